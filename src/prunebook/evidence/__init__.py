"""The claims that the papers make, the rules that decide on them, and the verdicts."""

from prunebook.evidence.claims import CLAIMS_FILE, INCONCLUSIVE, NOT_SUPPORTED, NOT_TESTED, SUPPORTED, read
from prunebook.evidence.judging import Condition, deciding, judge, judge_condition, more_seeds, seeds_needed
from prunebook.evidence.reported import NOT_YET, read_reported, reported
from prunebook.evidence.verdicts import complete, conditions_table, verdicts
from prunebook.pages.findings import findings, findings_cards, findings_of, findings_text
from prunebook.pages.verdicts import (
    PAGES,
    TITLES,
    chip,
    coverage,
    evidence,
    markdown_table,
    measured_text,
    rule_text,
)

__all__ = [
    "CLAIMS_FILE",
    "INCONCLUSIVE",
    "NOT_SUPPORTED",
    "NOT_TESTED",
    "NOT_YET",
    "PAGES",
    "SUPPORTED",
    "TITLES",
    "Condition",
    "chip",
    "complete",
    "conditions_table",
    "coverage",
    "deciding",
    "evidence",
    "findings",
    "findings_cards",
    "findings_of",
    "findings_text",
    "judge",
    "judge_condition",
    "markdown_table",
    "measured_text",
    "more_seeds",
    "read",
    "read_reported",
    "reported",
    "rule_text",
    "seeds_needed",
    "verdicts",
]
