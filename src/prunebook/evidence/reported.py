"""Numbers from the papers, ``data/reported/values.yaml``, beside what we measure."""

import itertools
import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import yaml

from prunebook.errors import InputError
from prunebook.evidence.claims import CLAIMS_FILE, read
from prunebook.evidence.judging import judge_condition
from prunebook.evidence.kept import kept, state
from prunebook.evidence.statistics import STATISTICS
from prunebook.evidence.verdict_table import Measured, conditions_table
from prunebook.store.results import Store

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
            raise InputError(f"reported value {name}: what is read off has an error, what is printed has none")
        statistic = entry.get("ours", {}).get("statistic")
        if statistic is not None and statistic not in STATISTICS:
            raise InputError(f"reported value {name} names an unknown statistic {statistic!r}")
    return entries


def reported(store: Store | None = None, path: Path = REPORTED_FILE, claims: Path = CLAIMS_FILE) -> pd.DataFrame:
    """Each reported number with ours: columns id, paper, quantity, reported, where, reading, error, ours, note.

    ``ours`` is text: mean over seeds and 95 % interval, cell by cell, or that it has not been measured.
    """
    root, entries = (Store() if store is None else store).root, read_reported(path)
    ours = kept("reported", state(root, [path, claims]), lambda: _ours(entries, Store(root), claims))
    rows = [
        {key: entry[key] for key in PARTS} | {"ours": ours[entry["id"]], "note": entry.get("note", "")}
        for entry in entries
    ]
    columns = ["id", "paper", "quantity", "reported", "where", "reading", "error", "ours", "note"]
    return pd.DataFrame(rows, columns=columns)


def _ours(entries: list[dict], store: Store, claims: Path) -> dict[str, str]:
    """Our side of each entry by its id."""
    measured, known, found = Measured(store), read(claims), {}
    for name, ours in ((entry["id"], entry.get("ours", {})) for entry in entries):
        if claim := ours.get("claim"):
            if claim not in known:
                raise InputError(f"reported value {name} leans on the claim {claim}, which is not there")
            found[name] = _cells(conditions_table(claim, store, claims).itertuples())
        elif "widths" in ours:
            found[name] = str(sum(a * b for a, b in itertools.pairwise(ours["widths"])))
        elif "product" in ours:
            found[name] = ", ".join(str(math.prod(factors)) for factors in ours["product"])
        elif tables := measured.tables(ours["study"], ours.get("only", {})):
            rest = {k: v for k, v in ours.items() if k not in ("study", "statistic", "only")}
            statistic = STATISTICS[ours["statistic"]]
            values = statistic.function(tables, **rest)
            found[name] = _cells(judge_condition(values, "above", 1.0, statistic.log))
        else:
            found[name] = NOT_YET
    return found


def _cells(conditions: Iterable) -> str:
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
