"""The claims that the papers make, the rules that decide on them, and the verdicts."""

from prunebook.evidence.claims import CLAIMS_FILE, INCONCLUSIVE, NOT_SUPPORTED, NOT_TESTED, SUPPORTED, read
from prunebook.evidence.judging import Condition, deciding, judge, judge_condition, more_seeds, seeds_needed
from prunebook.evidence.reported import NOT_YET, read_reported, reported
from prunebook.evidence.verdict_table import all_conditions, complete, conditions_table, verdicts

__all__ = [
    "CLAIMS_FILE",
    "INCONCLUSIVE",
    "NOT_SUPPORTED",
    "NOT_TESTED",
    "NOT_YET",
    "SUPPORTED",
    "Condition",
    "all_conditions",
    "complete",
    "conditions_table",
    "deciding",
    "judge",
    "judge_condition",
    "more_seeds",
    "read",
    "read_reported",
    "reported",
    "seeds_needed",
    "verdicts",
]
