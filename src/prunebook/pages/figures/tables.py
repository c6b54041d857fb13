"""What the figures ask of a table, and the small sums they make of it."""

import inspect
import re
from collections.abc import Callable, Sequence
from functools import wraps

import pandas as pd

from prunebook.errors import InputError
from prunebook.evidence.statistics.elimination_compensation import CELL


def checked(function: Callable) -> Callable:
    """The one place where tables are checked: where a function is entered with them.

    Raises InputError for an empty table and, where the function asks for a column that is missing, says which.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def entered(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        tables = {name: value for name, value in given.items() if isinstance(value, pd.DataFrame)}
        if empty := [name for name, table in tables.items() if table.empty]:
            raise InputError(f"the table {empty[0]} is empty: nothing to draw")
        try:
            return function(*args, **kwargs)
        except KeyError as missing:
            words = str(missing.args[0])
            columns = ", ".join(re.findall("'([^']+)'", words)) or words.rpartition(": ")[2]
            there = "; ".join(f"{name} has {', '.join(map(str, t.columns))}" for name, t in tables.items())
            raise InputError(f"no column {columns} in the tables: {there}") from missing

    return entered


def cells(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The table of each architecture, in order of appearance, and of each noise level, labelled by what differs."""
    several = [column for column in CELL if table[column].nunique() > 1] or ["widths"]
    groups = dict(list(table.groupby(CELL)))
    order = list(table["widths"].unique())
    keys = sorted(groups, key=lambda key: (order.index(key[0]), key[1]))
    return [(_label(key, several), groups[key]) for key in keys]


def _label(key: tuple, shown: Sequence[str]) -> str:
    widths, noise = key
    level = f"noise ±{noise:g}" if noise else "no noise"
    return ", ".join({"widths": str(widths), "noise": level}[column] for column in shown)


def one_cell(table: pd.DataFrame, name: str) -> None:
    """Raises InputError where a table of test outputs holds more than one network."""
    for column in (*CELL, "seed"):
        if column in table and table[column].nunique() > 1:
            values = ", ".join(map(str, table[column].unique()))
            raise InputError(f"the table {name} holds several values of {column} ({values}): choose one")


def present(table: pd.DataFrame, wanted: Sequence[str], name: str, column: str = "method") -> list[str]:
    """Those of ``wanted`` that the table holds, in the order given. Raises InputError where it holds none."""
    there = set(table[column])
    if not there & set(wanted):
        raise InputError(f"the table {name} holds none of {', '.join(wanted)}: it holds {sorted(there)}")
    return [value for value in wanted if value in there]


def relative_to_dense(
    losses: pd.DataFrame, column: str = "loss", *, by: str = "method", cell: Sequence[str] = CELL
) -> pd.DataFrame:
    """Adds ``relative``: each loss over that of the same cell and seed's dense network just before pruning."""
    dense, keys = losses[(losses[by] == "dense") & (losses["stage"] == "trained")], [*cell, "seed"]
    if dense.empty:
        raise InputError("the table losses has no dense network at stage trained to compare with")
    joined = losses.merge(dense[[*keys, column]].rename(columns={column: "before"}), on=keys, validate="m:1")
    return joined.assign(relative=joined[column] / joined["before"])
