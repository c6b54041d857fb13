"""What figures and tables of the last layer share: training circumstances, their order and their looks."""

from collections.abc import Sequence

import pandas as pd

from prunebook.errors import InputError
from prunebook.pages.figures.style import LOOKS, Look, spare
from prunebook.pages.figures.tables import present
from prunebook.pages.vocabulary import CASES

WAYS = ("neurons", "sampling", "deterministic", "hybrid")


def cells(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The table of each training circumstance: easy, moderate, difficult, then all others as they come.

    The circumstances of another reading than regularisation are named with it where their name alone would not do.
    Raises InputError for a table of more than one network.
    """
    for column in ("dataset", "net", "widths"):
        if column in table and table[column].nunique() > 1:
            values = ", ".join(map(str, table[column].unique()))
            raise InputError(f"the table holds several values of {column} ({values}): choose one")
    groups = dict(list(table.groupby(["reading", "case"], sort=False)))
    first = [("regularisation", case) for case in CASES]
    keys = [key for key in first if key in groups] + [key for key in groups if key not in first]
    return [
        (case if reading in ("regularisation", case) else f"{case}, {reading}", groups[reading, case])
        for reading, case in keys
    ]


def by_case(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Look]]:
    """The rows in the order of their circumstances, which column ``cell`` names, and a look for each."""
    found = cells(table)
    return pd.concat(cell.assign(cell=label) for label, cell in found), spare(label for label, _ in found)


def shown_of(table: pd.DataFrame, column: str, wanted: Sequence[str], name: str) -> list[str]:
    """Those of ``wanted`` that the table holds. Raises InputError where it holds none, or where one has no look."""
    if unknown := [value for value in wanted if value not in LOOKS]:
        raise InputError(f"nothing called {', '.join(unknown)} to draw: choose among {', '.join(LOOKS)}")
    return present(table, wanted, name, column)


def unit_of(kind: str) -> str:
    """What the errors of a kind of pruning are measured in."""
    return "error of a logit" if kind == "neurons" else "relative error"
