"""The ledger of claims, ``data/claims.yaml``, and the words for verdicts."""

from pathlib import Path

import yaml

from prunebook.errors import InputError
from prunebook.evidence.statistics import STATISTICS

SUPPORTED, NOT_SUPPORTED = "supported", "not supported"
INCONCLUSIVE, NOT_TESTED = "inconclusive", "not tested"
PARTS = {"paper", "short", "where", "claim", "study", "rule", "change", "conditions"}
CLAIMS_FILE = Path(__file__).parents[3] / "data" / "claims.yaml"


def read(path: Path = CLAIMS_FILE) -> dict[str, dict]:
    """The claims by id. Raises InputError for a claim that lacks a part or names an unknown statistic."""
    claims = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for name, claim in claims.items():
        if missing := PARTS - set(claim):
            raise InputError(f"claim {name} in {path.name} lacks {', '.join(sorted(missing))}")
        for condition in claim["conditions"]:
            if condition["statistic"] not in STATISTICS:
                raise InputError(f"claim {name} names an unknown statistic {condition['statistic']!r}")
            if len({"above", "below"} & set(condition)) != 1:
                raise InputError(f"claim {name}: a condition needs one of above and below")
    return claims
