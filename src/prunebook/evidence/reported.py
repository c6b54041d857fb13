"""Numbers from the papers, ``data/reported/values.yaml``, beside what we measure."""

import math
from pathlib import Path

import pandas as pd
import yaml

from prunebook.errors import InputError
from prunebook.evidence.claims import CLAIMS_FILE, read
from prunebook.evidence.judging import judge_condition, restricted
from prunebook.evidence.statistics import STATISTICS
from prunebook.evidence.verdicts import conditions_table, tables_for

REPORTED_FILE = Path(__file__).parents[3] / "data" / "reported" / "values.yaml"
PARTS = {"id", "paper", "quantity", "reported", "where", "reading", "error"}
NOT_YET = "not measured yet"


def read_reported(path: Path = REPORTED_FILE) -> list[dict]:
    """The entries in order. Raises InputError for one that lacks a part, or reads an axis without an error."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    for entry in entries:
        name = entry.get("id", entry)
        if missing := PARTS - set(entry):
            raise InputError(f"reported value {name} in {path.name} lacks {', '.join(sorted(missing))}")
        if entry["reading"] not in ("printed", "axis"):
            raise InputError(f"reported value {name}: reading {entry['reading']!r} must be printed or axis")
        if (entry["reading"] == "axis") != (entry["error"] > 0):
            raise InputError(
                f"reported value {name}: what is read off has an error, what is printed has none"
            )
        statistic = entry.get("ours", {}).get("statistic")
        if statistic is not None and statistic not in STATISTICS:
            raise InputError(f"reported value {name} names an unknown statistic {statistic!r}")
    return entries


def reported(store=None, path: Path = REPORTED_FILE, claims: Path = CLAIMS_FILE) -> pd.DataFrame:
    """Each reported number with ours: columns id, paper, quantity, reported, where, reading, error, ours, note.

    ``ours`` is text: mean over seeds and 95 % interval, cell by cell, or that it has not been measured.
    """
    known = read(claims)
    rows = []
    for entry in read_reported(path):
        ours = entry.get("ours", {})
        if name := ours.get("claim"):
            if name not in known:
                raise InputError(
                    f"reported value {entry['id']} leans on the claim {name}, which is not there"
                )
            text = _cells(conditions_table(name, store, claims).itertuples())
        else:
            text = _ours(ours, store)
        rows.append(
            {key: entry[key] for key in sorted(PARTS)} | {"ours": text, "note": entry.get("note", "")}
        )
    columns = ["id", "paper", "quantity", "reported", "where", "reading", "error", "ours", "note"]
    return pd.DataFrame(rows, columns=columns)


def _ours(ours: dict, store) -> str:
    if "widths" in ours:
        return str(sum(a * b for a, b in zip(ours["widths"], ours["widths"][1:], strict=False)))
    if "product" in ours:
        return ", ".join(str(math.prod(factors)) for factors in ours["product"])
    rest = {k: v for k, v in ours.items() if k not in ("study", "statistic", "only")}
    tables = tables_for(ours["study"], ours.get("only", {}), store)
    if tables is None:
        return NOT_YET
    statistic = STATISTICS[ours["statistic"]]
    values = statistic.function(restricted(tables, ours.get("only", {})), **rest)
    return _cells(judge_condition(values, "above", 1.0, statistic.log))


def _cells(conditions) -> str:
    """The conditions' effects and intervals; no more than four, since a page is no table."""
    cells = [_cell(c) for c in conditions]
    more = f"; and {len(cells) - 4} more" if len(cells) > 4 else ""
    return "; ".join(cells[:4]) + more if cells else NOT_YET


def _cell(c) -> str:
    number = f"{c.effect:.3g}"
    if c.seeds > 1 and c.low < c.high:
        number += f" ({c.low:.3g} to {c.high:.3g})"
    seeds = "" if c.seeds > 1 else ", one seed"
    return (f"{c.label}: " if c.label not in ("", "all") else "") + number + seeds
