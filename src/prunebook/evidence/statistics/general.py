"""Statistics of any tidy table: a value, a ratio, a difference or a share of rows, a cell and a seed at a time."""

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.evidence.statistics.registry import frame, statistic

POOLS = {"mean": "mean", "max": "max", "min": "min", "median": "median"}


def chosen(table: pd.DataFrame, where: dict) -> pd.DataFrame:
    """Rows in which each named column has the value, one of the values of a list, or lies between {above, below}."""
    for column, wanted in where.items():
        if column not in table:
            raise InputError(f"the table has no column {column!r}: it has {', '.join(table.columns)}")
        values = table[column]
        if isinstance(wanted, dict):
            keep = pd.Series(True, index=table.index)
            if "above" in wanted:
                keep &= values > wanted["above"]
            if "below" in wanted:
                keep &= values < wanted["below"]
        elif isinstance(wanted, list):
            keep = pd.concat([_equal(values, item) for item in wanted], axis=1).any(axis=1)
        else:
            keep = _equal(values, wanted)
        table = table[keep]
    return table


def _equal(values: pd.Series, wanted) -> pd.Series:
    if isinstance(wanted, float):
        return pd.Series(np.isclose(values, wanted, atol=0), index=values.index)
    return values == wanted


def pooled(table: pd.DataFrame, cells: list[str], pool: str) -> pd.DataFrame:
    """One value a cell and seed from the column ``value``. Raises InputError where there is nothing to pool."""
    if table.empty:
        raise InputError("no results fit this condition")
    # "case easy", but "0.5" alone says little: numbers go with the name of their column.
    names = [
        table[c].astype(str)
        if table[c].dtype.kind in "OUTS" or c == "widths"
        else c + " " + table[c].map("{:g}".format)
        for c in cells
    ]
    label = names[0].str.cat(names[1:], sep=", ") if names else pd.Series("all", index=table.index)
    groups = table.assign(cell=label).groupby(["cell", "seed"], sort=False)["value"]
    return frame(groups.agg(POOLS[pool]).reset_index().to_dict("records"))


@statistic(log=False)
def measured(tables, *, table, column, where=None, cells=(), pool="mean"):
    """A column of a table where the rows are as in ``where``, pooled within ``cells``."""
    rows = chosen(tables[table], where or {})
    return pooled(rows.assign(value=rows[column].astype(float)), list(cells), pool)


@statistic(log=False)
def share(tables, *, table, column, where=None, cells=(), above=None, at_most=None):
    """Share of the rows in which a column is above a limit, or at most a limit."""
    rows = chosen(tables[table], where or {})
    hit = rows[column] > above if at_most is None else rows[column] <= at_most
    return pooled(rows.assign(value=hit.astype(float)), list(cells), "mean")


@statistic(log=False)
def difference(tables, *, table, column, minus, where=None, cells=(), pool="mean"):
    """One column minus another, pooled."""
    rows = chosen(tables[table], where or {})
    return pooled(rows.assign(value=rows[column] - rows[minus]), list(cells), pool)


@statistic(log=True)
def quotient(tables, *, table, column, over, where=None, cells=(), pool="mean"):
    """Log of one column over another, row by row, pooled."""
    rows = chosen(tables[table], where or {})
    return pooled(rows.assign(value=np.log(rows[column] / rows[over])), list(cells), pool)


@statistic(log=True)
def change(tables, *, table, column, where, against, beside=(), cells=(), pool="mean"):
    """Log of a column over the same column in other rows; rows belong together if they agree in seed, cells and
    ``beside``.

    ``against`` replaces entries of ``where``.
    """
    keys = [*dict.fromkeys([*cells, *beside, "seed"])]
    mine = chosen(tables[table], where)
    theirs = chosen(tables[table], {**where, **against})
    pairs = mine.merge(theirs[[*keys, column]], on=keys, suffixes=("", "_other"))
    if pairs.empty:
        raise InputError(f"no rows of {table} to compare {where} with {against}")
    return pooled(pairs.assign(value=np.log(pairs[column] / pairs[f"{column}_other"])), list(cells), pool)


@statistic(log=True)
def spread(tables, *, table, column, where=None, cells=()):
    """Log of the largest over the smallest value of a column."""
    rows = chosen(tables[table], where or {})
    logs = rows.assign(value=np.log(rows[column]))
    high, low = (pooled(logs, list(cells), pool) for pool in ("max", "min"))
    return high.assign(value=high["value"] - low["value"])


@statistic(log=False)
def slope(tables, *, table, column, by, where=None, cells=()):
    """Slope of the line through log(column) against log(by)."""
    rows = chosen(tables[table], where or {})
    found = []
    for keys, group in rows.groupby([*cells, "seed"], sort=False):
        value = np.polyfit(np.log(group[by]), np.log(group[column]), 1)[0]
        found.append({**dict(zip([*cells, "seed"], keys, strict=True)), "value": value})
    return pooled(pd.DataFrame(found), list(cells), "mean")


@statistic(log=False)
def disorder(tables, *, table, column, by, rising, where=None, cells=()):
    """Share of neighbouring rows, ordered by ``by``, in which a column moves the wrong way."""
    rows = chosen(tables[table], where or {}).sort_values(by)
    step = rows.groupby([*cells, "seed"], sort=False)[column].diff()
    wrong = step < 0 if rising else step > 0
    return pooled(rows.assign(value=wrong.astype(float))[step.notna()], list(cells), "mean")
