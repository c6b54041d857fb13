"""Statistics of any tidy table: a value, a ratio, a difference or a share of rows, a cell and a seed at a time."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.evidence.statistics.registry import statistic
from prunebook.tables import chosen


def pooled(table: pd.DataFrame, cells: Sequence[str], pool: str = "mean") -> pd.DataFrame:
    """One value a cell and seed from the column ``value``. Raises InputError where there is nothing to pool."""
    if table.empty:
        raise InputError("no results fit this condition")
    groups = table.groupby([*cells, "seed"], sort=False, dropna=False)["value"].agg(pool).reset_index()
    # "case easy", but "0.5" alone says little: numbers go with the name of their column.
    names = [groups[c].map(lambda value, c=c: value if isinstance(value, str) else f"{c} {value:g}") for c in cells]
    groups["cell"] = names[0].str.cat(names[1:], sep=", ") if names else "all"
    return groups[["cell", "seed", "value"]]


@statistic(log=False)
def measured(tables, *, table, column, where=None, cells=(), pool="mean"):
    """A column of a table where the rows are as in ``where``, pooled within ``cells``."""
    rows = chosen(tables[table], where or {}, [*cells, "seed", column])
    return pooled(rows.assign(value=rows[column].astype(float)), cells, pool)


@statistic(log=False, scale="share")
def share(tables, *, table, column, where=None, cells=(), above=None, at_most=None):
    """Share of the rows in which a column is above a limit, or at most a limit."""
    rows = chosen(tables[table], where or {}, [*cells, "seed", column])
    hit = rows[column] > above if at_most is None else rows[column] <= at_most
    return pooled(rows.assign(value=hit.astype(float)), cells)


@statistic(log=False)
def difference(tables, *, table, column, minus, where=None, cells=(), pool="mean"):
    """One column minus another, pooled."""
    rows = chosen(tables[table], where or {}, [*cells, "seed", column, minus])
    return pooled(rows.assign(value=rows[column] - rows[minus]), cells, pool)


@statistic(log=True)
def quotient(tables, *, table, column, over, where=None, cells=(), pool="mean"):
    """Log of one column over another, row by row, pooled."""
    rows = chosen(tables[table], where or {}, [*cells, "seed", column, over])
    return pooled(rows.assign(value=np.log(rows[column] / rows[over])), cells, pool)


def _beside(table: pd.DataFrame, column: str, where: dict, against: dict, keys: Iterable[str]) -> pd.DataFrame:
    """A column in the rows of ``where``, and as ``other`` in those with entries of ``where`` replaced."""
    keys = [*dict.fromkeys(keys)]
    mine, theirs = (chosen(table, rows, [*keys, column]) for rows in (where, {**where, **against}))
    pairs = mine.merge(theirs.rename(columns={column: "other"}), on=keys)
    if pairs.empty:
        raise InputError(f"there are no rows to compare {where} with {against}")
    return pairs


@statistic(log=True)
def change(tables, *, table, column, where, against, beside=(), cells=(), pool="mean"):
    """Log of a column over the same column in other rows; rows belong together if they agree in seed, cells and
    ``beside``.

    ``against`` replaces entries of ``where``.
    """
    pairs = _beside(tables[table], column, where, against, [*cells, *beside, "seed"])
    return pooled(pairs.assign(value=np.log(pairs[column] / pairs["other"])), cells, pool)


@statistic(log=False)
def contrast(tables, *, table, column, where, against, beside=(), cells=(), pool="mean"):
    """A column minus the same column in other rows, which are found as for ``change``."""
    pairs = _beside(tables[table], column, where, against, [*cells, *beside, "seed"])
    return pooled(pairs.assign(value=pairs[column] - pairs["other"]), cells, pool)


@statistic(log=True)
def change_of_means(tables, *, table, column, where, against, beside=(), cells=()):
    """Log of a column's mean over its mean in other rows: for what is near zero in some rows, or below."""
    pairs = _beside(tables[table], column, where, against, [*cells, *beside, "seed"])
    one, other = (pooled(pairs.assign(value=pairs[name]), cells) for name in (column, "other"))
    if min(one["value"].min(), other["value"].min()) <= 0:
        raise InputError(f"a mean of {column} is not above 0, and has no ratio")
    return one.assign(value=np.log(one["value"] / other["value"]))


@statistic(log=False, scale="share")
def share_of_range(tables, *, table, column, by, at_most, where=None, cells=(), most=0.95):
    """Share of the range of ``by`` from 0 to ``most`` in which a column, straight between rows, is at most a limit.

    Where nothing is removed, at 0, the column is 1.
    """
    rows = chosen(tables[table], where or {}, [*cells, "seed", column, by]).sort_values(by)
    grid, groups = np.linspace(0, most, 951), rows.set_index([*cells, "seed"]).groupby([*cells, "seed"], sort=False)
    curve = lambda group: np.interp(grid, [0.0, *group[by]], [1.0, *group[column]])  # noqa: E731
    shares = groups.apply(lambda group: np.mean(curve(group) <= at_most))
    return pooled(shares.rename("value").reset_index(), cells)


@statistic(log=True)
def spread(tables, *, table, column, where=None, cells=()):
    """Log of the largest over the smallest value of a column."""
    rows = chosen(tables[table], where or {}, [*cells, "seed", column])
    logs = rows.assign(value=np.log(rows[column]))
    high, low = (pooled(logs, cells, pool) for pool in ("max", "min"))
    return high.assign(value=high["value"] - low["value"])


@statistic(log=False)
def slope(tables, *, table, column, by, where=None, cells=()):
    """Slope of the line through log(column) against log(by)."""
    rows = chosen(tables[table], where or {}, [*cells, "seed", column, by])
    groups = np.log(rows.set_index([*cells, "seed"])).groupby([*cells, "seed"], sort=False)
    slopes = groups.apply(lambda group: np.polyfit(group[by], group[column], 1)[0])
    return pooled(slopes.rename("value").reset_index(), cells)


@statistic(log=False)
def disorder(tables, *, table, column, by, rising, where=None, cells=()):
    """Share of neighbouring rows, ordered by ``by``, in which a column moves the wrong way."""
    rows = chosen(tables[table], where or {}, [*cells, "seed", column, by]).sort_values(by)
    step = rows.groupby([*cells, "seed"], sort=False)[column].diff()
    wrong = step < 0 if rising else step > 0
    return pooled(rows.assign(value=wrong.astype(float))[step.notna()], cells)
