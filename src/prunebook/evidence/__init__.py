"""The claims that the papers make, the rules that decide on them, and the verdicts."""

from prunebook.evidence.claims import (
    CLAIMS_FILE,
    INCONCLUSIVE,
    NO_DIFFERENCE,
    NOT_SUPPORTED,
    NOT_TESTED,
    SUPPORTED,
    read,
)
from prunebook.evidence.judging import Condition, deciding, judge, judge_condition
from prunebook.evidence.reported import NOT_YET, read_reported, reported
from prunebook.evidence.verdict_table import (
    all_conditions,
    changes,
    complete,
    conditions_table,
    judged,
    latest,
    verdicts,
)

__all__ = [
    "CLAIMS_FILE",
    "INCONCLUSIVE",
    "NOT_SUPPORTED",
    "NOT_TESTED",
    "NOT_YET",
    "NO_DIFFERENCE",
    "SUPPORTED",
    "Condition",
    "all_conditions",
    "changes",
    "complete",
    "conditions_table",
    "deciding",
    "judge",
    "judge_condition",
    "judged",
    "latest",
    "read",
    "read_reported",
    "reported",
    "verdicts",
]
