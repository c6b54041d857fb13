"""Check from git's history that every rule of the second edition came before the results that judge it.

A result's record names the commit of the code that measured it. The ledger of that commit must have the rule word for
word; where git does not know the commit, the ledger from before the commit that added the result must have it.
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import yaml

from prunebook.evidence.claims import fresh
from prunebook.evidence.verdict_table import fits

ROOT = Path(__file__).resolve().parents[1]
LEDGER, RESULTS = "data/claims.yaml", "data/results/paper"
RULE = ("study", "only", "after_seed", "seen_seeds", "kind", "levels", "rule", "conditions")


class History:
    """What git knows of a checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger = cache(self._ledger)

    def git(self, *words: str) -> str | None:
        """The answer of git; None where it has none."""
        done = subprocess.run(["git", "-C", str(self.root), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    @property
    def whole(self) -> bool:
        return self.git("rev-parse", "--is-shallow-repository") == "false"

    def _ledger(self, commit: str) -> dict[str, dict]:
        text = self.git("show", f"{commit}:{LEDGER}")
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if text else {}

    def before(self, record: Path) -> str | None:
        """The commit whose ledger the result of a record was measured under; None for one that git does not know."""
        measured = json.loads(record.read_text(encoding="utf-8")).get("commit")
        if measured and self.git("merge-base", "--is-ancestor", measured, "HEAD") is not None:
            return measured
        added = self.git("log", "--diff-filter=A", "--format=%H", "--", str(record.relative_to(self.root)))
        return f"{added.splitlines()[-1]}^" if added else None


def rule(claim: dict) -> dict:
    """What of a claim decides on its verdict."""
    return {part: claim.get(part) for part in RULE}


def violations(root: Path = ROOT) -> list[str]:
    """A line for each result that judges a claim of the second edition whose rule it cannot have come after."""
    history, found = History(root), []
    claims = yaml.safe_load((root / LEDGER).read_text(encoding="utf-8"))
    for name, claim in claims.items():
        if claim.get("edition", 1) < 2:
            continue
        for record in sorted((root / RESULTS / claim["study"]).glob("*/seed-*/record.json")):
            read = json.loads(record.read_text(encoding="utf-8"))
            judges = fresh(claim, read["seed"], read["config"].get("net"))
            if not judges or not fits(read["config"], claim.get("only", {})):
                continue
            commit = history.before(record)
            where = record.parent.relative_to(root / RESULTS).as_posix()
            if commit is None:
                found.append(f"{name}: git does not know when {where} was measured; commit it")
            elif rule(history.ledger(commit).get(name, {})) != rule(claim):
                found.append(f"{name}: at {commit[:9]}, when {where} was measured, the rule was not there, or another")
    return found


if __name__ == "__main__":
    if not History(ROOT).whole:
        print("This clone is shallow, so its history cannot tell; fetch it with `git fetch --unshallow`.")
        sys.exit(0)
    lines = violations()
    print("\n".join(lines) or "Every rule of the second edition came before the results that judge it.")
    sys.exit(bool(lines))
