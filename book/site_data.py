"""What other programs read on the published site: claims and verdicts as JSON, and the schemas that they keep to."""

import json
import math
import shutil
from importlib.metadata import version
from pathlib import Path

from prunebook.evidence import all_conditions, read
from prunebook.pages.verdicts import PAGES

SCHEMAS = Path(__file__).parent / "schema"


def claims() -> dict:
    """Every claim with its rule, in the order of ``data/claims.yaml``."""
    entries = [
        {"claim": name, "paper": claim["paper"], "where": claim["where"], "short": claim["short"]}
        | {"statement": claim["claim"], "study": claim["study"], "rule": claim["rule"], "caveat": claim["change"]}
        | {"edition": claim.get("edition", 1), "kind": claim.get("kind", "claim")}
        | {part: claim[part] for part in ("replaces", "why") if part in claim}
        | ({"page": f"{PAGES[claim['study']]}.html#claim-{name}"} if claim["study"] in PAGES else {})
        for name, claim in read().items()
    ]
    return {"schema": "claims.schema.json", "version": version("prunebook"), "claims": entries}


def verdicts() -> dict:
    """Every claim's verdict and conditions, from the committed results."""
    entries = {}
    for row in all_conditions().to_dict("records"):
        entry = entries.setdefault(row["claim"], {"claim": row["claim"], "verdict": row["verdict"], "conditions": []})
        if isinstance(row["label"], str) and isinstance(row["outcome"], str):
            condition = {name: row[name] for name in ("label", "side", "threshold")}
            condition |= {name: number(row[name]) for name in ("effect", "low", "high")}
            entry["conditions"].append(condition | {"seeds": int(row["seeds"]), "outcome": row["outcome"]})
    return {"schema": "verdicts.schema.json", "version": version("prunebook"), "verdicts": list(entries.values())}


def number(value: float) -> float | None:
    """JSON has no infinity and nothing that is not a number: both are null."""
    return float(f"{value:.12g}") if math.isfinite(value) else None


def write(folder: Path) -> None:
    """Both files and their schemas; the folder becomes part of the root of the site."""
    shutil.copytree(SCHEMAS, folder)
    for name, content in (("claims", claims()), ("verdicts", verdicts())):
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
