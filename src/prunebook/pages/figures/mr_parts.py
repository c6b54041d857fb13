"""What figures and tables of pruned units share: the rows of one network, and pairs of replacements.

Networks with batch norm are networks of their own, called "medium with batch norm".
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.pages import vocabulary
from prunebook.pages.figures import style
from prunebook.pages.figures.tables import present

LOOKS = {score: style.LOOKS[score] for score in vocabulary.SCORES}
SIGNED = ("rs", "mrs")
PAPER_END = 35_000  # the paper's figures end here
TIE = 1e-6  # penalties this close are equal
# Which score foretells which replacement; the norm of weights knows of neither and stands beside both.
FORETOLD = (
    ("rs", "zero"), ("abs_rs", "zero"), ("norm", "zero"), ("mrs", "mean"), ("abs_mrs", "mean"), ("norm", "mean")
)  # fmt: skip


def named(table: pd.DataFrame) -> pd.DataFrame:
    """The table with batch norm in the name of the network, where there is any."""
    if "batch_norm" not in table:
        return table
    normed = table["batch_norm"].astype(bool)
    return table.assign(net=table["net"].where(~normed, table["net"].astype(str) + " with batch norm"))


def choose(
    table: pd.DataFrame, name: str, *, net: str | None = None, until: int | None = None, **where
) -> pd.DataFrame:
    """Rows of one network, up to a step, in which each column of ``where`` has the value.

    Raises InputError for several networks of which none is chosen, and where nothing is left.
    """
    table = named(table)
    if net is None and table["net"].nunique() > 1:
        raise InputError(
            f"the table {name} holds several networks ({', '.join(table['net'].unique())}): choose one with net="
        )
    for column, value in (({} if net is None else {"net": net}) | where).items():
        same = np.isclose(table[column], value) if isinstance(value, float) else table[column] == value
        if not same.any():
            there = ", ".join(map(str, table[column].unique()))
            raise InputError(f"the table {name} has no {column} {value}: it has {there}")
        table = table[same]
    if until is None:
        return table
    if (table["step"] > until).all():
        raise InputError(f"the table {name} starts at step {table['step'].min()}: until={until} is before it")
    return table[table["step"] <= until]


def scores_in(table: pd.DataFrame, wanted: Iterable[str] = tuple(LOOKS)) -> list[str]:
    """Those of ``wanted`` that the table holds. Raises InputError where it holds none, or where one has no look."""
    wanted = list(wanted)
    if unknown := sorted({*wanted, *table["score"]} - set(LOOKS)):
        raise InputError(f"no score {', '.join(unknown)} to draw: choose among {', '.join(LOOKS)}")
    return present(table, wanted, "of scores", "score")


def paired(table: pd.DataFrame, column: str = "penalty", keys: Iterable[str] = ()) -> pd.DataFrame:
    """Columns ``zero`` and ``mean``: a column of the table with either replacement, all else equal; ``gain`` is zero
    minus mean.

    Raises InputError where two rows have the same keys, or where one of the two replacements is nowhere.
    """
    index = ["net", "seed", "step", "score", "set", "amount", *keys]
    if table.duplicated([*index, "replacement"]).any():
        raise InputError(f"the table holds several rows with the same {', '.join(index)} and replacement")
    wide = table.set_index([*index, "replacement"])[column].unstack("replacement")  # noqa: PD010 - keeps what has no number
    if missing := {"zero", "mean"} - set(wide.columns):
        raise InputError(f"the table holds no replacement {', '.join(sorted(missing))} to compare with")
    return wide.assign(gain=wide["zero"] - wide["mean"]).reset_index()
