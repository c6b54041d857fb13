"""What the figures on pruning the last layer share: circumstances, their panels, and shares on axes.

Tables may hold several training circumstances: each gets a column, a row or a line. Lines are means over seeds, and
bands reach from the lowest to the highest seed unless a figure says otherwise.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from prunebook.errors import InputError
from prunebook.pages.figures.layout import column_heads, grid, panel_label
from prunebook.pages.figures.style import LOOKS, SPARE, Look
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


def panels_of_cells(found: list, rows: int, height: float, **options) -> tuple[Figure, np.ndarray]:
    """A column of panels for each circumstance, up to four side by side. Axes are (rows, circumstances)."""
    across = len(found) if len(found) <= 4 else 3
    blocks = -(-len(found) // across)
    figure, axes = grid(blocks * rows, across, height, **({"sharex": True, "sharey": "row"} | options))
    for spare in range(len(found), blocks * across):
        for axis in axes[-rows:, spare % across]:
            axis.set_visible(False)
    for block in range(blocks):
        here = axes[block * rows : (block + 1) * rows]
        names = [label for label, _ in found[block * across : (block + 1) * across]]
        column_heads(here[:, : len(names)], names)
        for axis in here[-1]:
            axis.tick_params(labelbottom=True)
    visible = [axis for axis in axes.flat if axis.get_visible()]
    if len(visible) <= 26:
        for place, axis in enumerate(visible):
            panel_label(axis, place)
    ordered = axes.reshape(blocks, rows, across).swapaxes(0, 1).reshape(rows, -1)
    return figure, ordered[:, : len(found)]


def label_axes(axes: np.ndarray, x: str, y: Sequence[str]) -> None:
    """Names of the axes: below the last row, and left of the first panel of each line of panels."""
    for axis in axes[-1]:
        axis.set_xlabel(x)
    for row, text in zip(axes, y, strict=True):
        for axis in row:
            if axis.get_subplotspec().is_first_col():
                axis.set_ylabel(text)


def shown_of(table: pd.DataFrame, column: str, wanted: Sequence[str], name: str) -> list[str]:
    """Those of ``wanted`` that the table holds. Raises InputError where it holds none, or where one has no look."""
    if unknown := [value for value in wanted if value not in LOOKS]:
        raise InputError(f"nothing called {', '.join(unknown)} to draw: choose among {', '.join(LOOKS)}")
    return present(table, wanted, name, column)


def case_looks(found: list) -> dict[str, Look]:
    """A look for each circumstance, by its place in the order."""
    return {
        label: replace(SPARE[place % len(SPARE)], label=label[0].upper() + label[1:])
        for place, (label, _) in enumerate(found)
    }


def unit_of(kind: str) -> str:
    """What the errors of a kind of pruning are measured in."""
    return "error of a logit" if kind == "neurons" else "relative error"
