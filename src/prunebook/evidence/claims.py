"""The ledger of claims, ``data/claims.yaml``, and the words for verdicts."""

import math
from collections.abc import Mapping
from pathlib import Path

import yaml

from prunebook.errors import InputError
from prunebook.evidence.statistics import STATISTICS

SUPPORTED, NOT_SUPPORTED = "supported", "not supported"
INCONCLUSIVE, NOT_TESTED = "inconclusive", "not tested"
NO_DIFFERENCE = "no difference"
PARTS = {"paper", "short", "where", "claim", "study", "rule", "change", "conditions"}
LATER = {"thresholds", "effect"}  # what a claim of a later edition says besides
KINDS = ("claim", "check", "inference")
CLAIMS_FILE = Path(__file__).parents[3] / "data" / "claims.yaml"


def read(path: Path = CLAIMS_FILE) -> dict[str, dict]:
    """The claims by id, all editions. Raises InputError for a claim that lacks a part or names what there is not."""
    claims = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for name, claim in claims.items():
        wanted = PARTS | (LATER if claim.get("edition", 1) > 1 else set()) | ({"why"} if "replaces" in claim else set())
        if missing := wanted - set(claim):
            raise InputError(f"claim {name} in {path.name} lacks {', '.join(sorted(missing))}")
        if claim.get("kind", "claim") not in KINDS:
            raise InputError(f"claim {name}: kind {claim['kind']!r} must be one of {', '.join(KINDS)}")
        if claim.get("replaces", name) not in claims:
            raise InputError(f"claim {name} replaces {claim['replaces']}, which is not there")
        for condition in claim["conditions"]:
            if condition["statistic"] not in STATISTICS:
                raise InputError(f"claim {name} names an unknown statistic {condition['statistic']!r}")
            if len({"above", "below"} & set(condition)) != 1:
                raise InputError(f"claim {name}: a condition needs one of above and below")
            scale = condition.get("scale", STATISTICS[condition["statistic"]].scale)
            if "margin" in condition and scale in ("share", "correlation"):
                raise InputError(f"claim {name}: a {scale} has no margin about no difference; leave it out")
    return claims


def replacing(claims: Mapping[str, dict], name: str) -> list[dict]:
    """The claims that replace one."""
    return [claim for claim in claims.values() if claim.get("replaces") == name]


def fresh(claim: Mapping, seed: int, net: str | None = None) -> bool:
    """Whether a seed came after the question, so that it may judge; of ``net``, where networks are told apart."""
    after = claim.get("after_seed", 0)
    if isinstance(after, Mapping):
        after = after.get(net, after.get("other", math.inf))
    return seed > after and seed not in claim.get("seen_seeds", ())
