"""Choosing rows of a table by the values of its columns."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from prunebook.errors import InputError


def chosen(table: pd.DataFrame, where: dict, columns: Iterable[str] | None = None) -> pd.DataFrame:
    """Rows in which each named column has the value, one of the values of a list, or lies between {above, below}.

    ``columns`` are those that are wanted, each once however often it is named; None: all. Raises InputError for a
    column that the table does not have.
    """
    wanted = list(table.columns if columns is None else dict.fromkeys(columns))
    if missing := [column for column in (*where, *wanted) if column not in table]:
        raise InputError(f"the table has no column {missing[0]!r}: it has {', '.join(table.columns)}")
    keep = np.ones(len(table), bool)
    for column, value in where.items():
        values = table[column]
        if isinstance(value, dict):
            keep &= (values > value.get("above", -np.inf)) & (values < value.get("below", np.inf))
        else:
            items = value if isinstance(value, list) else [value]
            keep &= np.any([_equal(values, item) for item in items], axis=0)
    return table.loc[keep, wanted]


def _equal(values: pd.Series, wanted) -> np.ndarray:
    if isinstance(wanted, float):
        return np.isclose(values, wanted, atol=0)
    return (values == wanted).to_numpy(bool)
