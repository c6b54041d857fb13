"""How far two sets of tables are apart: rows matched by their keys, each metric within its own tolerance."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from prunebook.errors import InputError
from prunebook.paths import DATA
from prunebook.tables import chosen

TOLERANCES_FILE = DATA / "tolerances.yaml"
UNITS = ("absolute", "relative", "excess")  # |b - a|; that over |a|; the larger over the smaller, less one


def read_tolerances(path: Path = TOLERANCES_FILE) -> dict:
    """Tolerances by study and table. Raises InputError for a metric without exactly one of ``UNITS``."""
    tolerances = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    declared = [(study, *each) for study, tables in tolerances.items() for each in _each(tables)]
    for study, table, entry in declared:
        at = f"{path.name}: {study}, {table}"
        if not entry.get("rows"):
            raise InputError(f"{at} does not say which columns name a row (rows)")
        if extra := sorted(set(entry.get("by", ())) - set(entry["rows"])):
            raise InputError(f"{at} groups by {', '.join(extra)}, which is not of its rows")
        for metric, allowed in metrics_of(entry).items():
            if len(set(UNITS) & set(allowed)) != 1:
                raise InputError(f"{at}, {metric} needs one of {', '.join(UNITS)}")
    return tolerances


def entries(given: Mapping | list) -> list:
    """What is declared for a table, once or, for different rows (``where``), several times."""
    return given if isinstance(given, list) else [given]


def _each(tables: Mapping) -> Iterator[tuple[str, Mapping]]:
    return ((table, entry) for table, given in tables.items() for entry in entries(given))


def metrics_of(entry: Mapping) -> dict:
    """Of the tolerances of a table those that are metrics: their names, and what each is allowed."""
    return {name: allowed for name, allowed in entry.items() if name not in ("rows", "where", "by")}


def unit_of(allowed: Mapping) -> str:
    """In which of ``UNITS`` a metric is compared."""
    return next(unit for unit in UNITS if unit in allowed)


def compare(then: Mapping[str, pd.DataFrame], now: Mapping[str, pd.DataFrame], tolerances: Mapping) -> pd.DataFrame:
    """One row a metric: table, metric, rows, largest (difference, in the unit of the tolerance), needed (the least
    tolerance that it would have kept to), allowed, unit, within (share of rows), share (that is asked for), ok.

    Rows of both tables are matched by the columns ``rows``. Two missing numbers agree, one does not. With columns
    ``by`` there is one row a metric and group of equal values in them, with a column ``group``: a share over all rows
    would forgive one method what the others do right.
    """
    found = []
    for table, entry in _each(tolerances):
        if table not in then or table not in now:
            raise InputError(f"there is no table {table!r} in both results: {', '.join(then)}")
        left, right = (chosen(tables[table], entry.get("where", {})) for tables in (then, now))
        for metric, allowed in metrics_of(entry).items():
            columns = [*entry["rows"], metric]
            if left.duplicated(entry["rows"]).any() or right.duplicated(entry["rows"]).any():
                raise InputError(f"{table}: {', '.join(entry['rows'])} name more than one row")
            pairs = left[columns].merge(
                right[columns], on=entry["rows"], how="outer", suffixes=("_then", "_now"), indicator=True
            )
            a, b = (pairs[f"{metric}_{side}"].to_numpy(float) for side in ("then", "now"))
            unit = unit_of(allowed)
            with np.errstate(divide="ignore", invalid="ignore"):
                size = {"absolute": 1.0, "relative": np.abs(a), "excess": np.minimum(np.abs(a), np.abs(b))}
                gap = np.abs(a - b) / size[unit]
            gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.where(np.isnan(gap), np.inf, gap))
            gap = np.where(pairs["_merge"] == "both", gap, np.inf)
            share, by = float(allowed.get("share", 1.0)), entry.get("by", [])
            groups = pairs.groupby(by, sort=False, dropna=False).indices.items() if by else [((), slice(None))]
            for names, rows in groups:
                ordered = np.sort(gap[rows])
                within = float((ordered <= allowed[unit]).mean())
                # Less a little: 0.95 of 20 rows are 19, whatever the floats say.
                asked = max(math.ceil(share * len(ordered) - 1e-9), 1)
                found.append(
                    {
                        "table": table,
                        "metric": metric,
                        "rows": len(ordered),
                        "largest": float(ordered[-1]),
                        "needed": float(ordered[asked - 1]),
                        "allowed": float(allowed[unit]),
                        "unit": unit,
                        "within": within,
                        "share": share,
                        "ok": within >= share,
                        **({"group": "/".join(map(str, names if len(by) > 1 else [names]))} if by else {}),
                    }
                )
    return pd.DataFrame(found)
