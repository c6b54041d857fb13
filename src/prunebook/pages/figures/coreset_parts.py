"""What the figures on pruning the last layer share: looks, panels of circumstances, logarithmic axes, legends.

Tables may hold several training circumstances: each gets a column, a row or a line. Lines are means over seeds, and
bands reach from the lowest to the highest seed unless a figure says otherwise. On logarithmic axes an arrow at the
edge stands for a value that the axis cannot show: exactly zero, or no finite number.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from prunebook.errors import InputError
from prunebook.pages.figures.layout import column_heads, grid, log_axis, panel_label
from prunebook.pages.figures.style import COLOURS, MARKERS, Look
from prunebook.pages.figures.style import DASHES as STYLE_DASHES
from prunebook.pages.figures.tables import need

LOOKS = {
    "neurons": Look("#d55e00", "D", (), "Units"),
    "weights": Look("#0072b2", "o", (), "Weights"),
    "weights, ratio": Look("#999999", "p", (), "Weights, ratio"),
    "weights, CoreNet": Look("#5f3d1b", "*", (), "Weights, CoreNet"),
    "sampling": Look("#0072b2", "o", (), "Weights, sampled"),
    "deterministic": Look("#5f3d1b", "P", (), "Weights, deterministic"),
    "hybrid": Look("#882255", "^", (), "Weights, hybrid"),
    "gates": Look("#332288", "v", (), "L0 gates"),
    "magnitude": Look(COLOURS["magnitude"], MARKERS["magnitude"], (), "Magnitude"),
    "random": Look(COLOURS["random"], MARKERS["random"], STYLE_DASHES["random"], "Random weights"),
}
ORDER = ("easy", "moderate", "difficult")
SPARE = ("#3fa5dd", "#7a7a1f", "#332288", "#cc3311", "#5f3d1b", "#666666")  # of cases, and of layers
SHAPES = "osD^vP"
WAYS = ("neurons", "sampling", "deterministic", "hybrid")
GREY = "#666666"
DOTS = (0, (1, 1.5))
SHORT = (0, (3, 1.5))
DASHES = ((), (5, 2), (1.2, 1.8), (5, 1.5, 1.2, 1.5), (5, 1.2, 1.2, 1.2, 1.2, 1.2), (9, 2))  # of cases
BAND = {"alpha": 0.15, "linewidth": 0, "label": "_seeds"}
ZONE = {"color": "#cc3311", "alpha": 0.1, "linewidth": 0}


def cells(table: pd.DataFrame, columns: Iterable[str], name: str) -> list[tuple[str, pd.DataFrame]]:
    """The table of each training circumstance: easy, moderate, difficult, then all others as they come.

    The circumstances of another reading than regularisation are named with it where their name alone would not do.
    Raises InputError for a missing column, an empty table, and a table of more than one network.
    """
    need(table, ("reading", "case", "seed", *columns), name)
    for column in ("dataset", "net", "widths"):
        if column in table and table[column].nunique() > 1:
            values = ", ".join(map(str, table[column].unique()))
            raise InputError(f"the table {name} holds several values of {column} ({values}): choose one")
    groups = dict(list(table.groupby(["reading", "case"], sort=False)))
    first = [("regularisation", case) for case in ORDER]
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


def share_axis(axes: np.ndarray, percent: bool = False) -> None:
    """A share from 0 to 1, with fewer ticks in narrow panels."""
    ticks = (0, 0.5, 1) if axes.shape[1] > 3 else (0, 0.25, 0.5, 0.75, 1)
    for axis in axes.flat:
        labels = [f"{100 * tick:g}" if percent else f"{tick:g}".lstrip("0") or "0" for tick in ticks]
        axis.set_xticks(ticks, labels)
        axis.set_xlim(-0.04, 1.04)


def percent_axis(panels: Iterable[Axes]) -> None:
    """A share on the vertical axis, in percent."""
    for axis in panels:
        axis.set_ylim(-0.04, 1.04)
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def log_panels(panels: Iterable[Axes], which: str = "y", *, low=np.inf, high=0.0) -> bool:
    """One logarithmic scale for all panels, around what their lines show and the limits given.

    What cannot be shown gets an arrow at the edge, and lines have a gap there. Says whether there is any.
    """
    panels, arrows = list(panels), False
    lines = [(axis, line) for axis in panels for line in axis.lines if _in_data(axis, line, which)]
    data = [np.asarray(getattr(line, f"get_{which}data")(), dtype=float) for _, line in lines]
    bands = [path.vertices[:, int(which == "y")] for axis in panels for path in _bands(axis)]
    shown = np.concatenate([*data, *bands, [low, high]])
    shown = shown[np.isfinite(shown) & (shown > 0)]
    if not len(shown):
        raise InputError("no finite positive value to draw on a logarithmic axis")
    low, high = shown.min(), shown.max()
    room = max((high / low) ** 0.06, 1.1)
    for axis in panels:
        getattr(axis, f"set_{which}lim")(low / room, high * room)
        log_axis(axis, which, 5)
    for (axis, line), values in zip(lines, data, strict=True):
        other = np.asarray(getattr(line, f"get_{'x' if which == 'y' else 'y'}data")(), dtype=float)
        for out, place, arrow in ((values <= 0, 0.03, "down left"), (np.isposinf(values), 0.97, "up right")):
            if out.any():
                arrows = True
                _arrow(axis, which, other[out], place, arrow.split()[which == "x"], line.get_color())
        # A line to a value that the axis cannot show would fall straight down to its edge.
        if line.get_linestyle() not in ("None", ""):
            getattr(line, f"set_{which}data")(np.where(values > 0, values, np.nan))
    return arrows


def _in_data(axis: Axes, line: Line2D, which: str) -> bool:
    """Whether a line has coordinates of this axis, and does not just go across all of it."""
    across, up = line.get_transform().contains_branch_seperately(axis.transData)
    return across if which == "x" else up


def _bands(axis: Axes) -> list:
    """Outlines of the bands over seeds."""
    return [path for band in axis.collections if band.get_label() == "_seeds" for path in band.get_paths()]


def _arrow(axis: Axes, which: str, at: np.ndarray, place: float, arrow: str, colour) -> None:
    edge = np.full(len(at), place)
    axis.plot(
        *((at, edge) if which == "y" else (edge, at)),
        linestyle="",
        marker=rf"$\{arrow}arrow$",
        markersize=8,
        color=colour,
        label="_arrow",
        transform=axis.get_xaxis_transform() if which == "y" else axis.get_yaxis_transform(),
        zorder=5,
    )


def arrow_handles(arrows: bool) -> list[Line2D]:
    """The legend's entry for arrows, if there are any."""
    label = "Off the axis: zero or not finite"
    return [Line2D([], [], color=GREY, linestyle="", marker=r"$\downarrow$", label=label)] if arrows else []


def mean_line(axis: Axes, table: pd.DataFrame, x: str, y: str, by: str, style: dict) -> None:
    """Means over seeds, with a band from the lowest to the highest. A seed without a number is not left out."""
    groups = table.groupby(by)
    at = groups[x].mean()
    axis.plot(at, groups[y].agg(lambda values: values.mean(skipna=False)), **style)
    if (groups.size() > 1).any():
        axis.fill_between(at, groups[y].min(), groups[y].max(), color=style["color"], **BAND)


def shown_of(table: pd.DataFrame, column: str, wanted: Sequence[str], name: str) -> list[str]:
    """Those of ``wanted`` that the table holds. Raises InputError where it holds none, or where one has no look."""
    if unknown := [value for value in wanted if value not in LOOKS]:
        raise InputError(f"nothing called {', '.join(unknown)} to draw: choose among {', '.join(LOOKS)}")
    there = set(table[column])
    found = [value for value in wanted if value in there]
    if not found:
        raise InputError(f"the table {name} holds none of {', '.join(wanted)}: it holds {sorted(there)}")
    return found


def case_looks(found: list) -> dict[str, Look]:
    """A look for each circumstance, by its place in the order."""
    return {
        label: Look(
            SPARE[place % len(SPARE)],
            SHAPES[place % len(SHAPES)],
            DASHES[place % len(DASHES)],
            label[0].upper() + label[1:],
        )
        for place, (label, _) in enumerate(found)
    }


def handle(look: Look, **changes) -> Line2D:
    """Entry of a look in the legend."""
    return Line2D([], [], **(look.line | changes))


def unit_of(kind: str) -> str:
    """What the errors of a kind of pruning are measured in."""
    return "error of a logit" if kind == "neurons" else "relative error"


def grey(label: str, **style) -> Line2D:
    """Entry of a kind of line, whatever its colour."""
    return Line2D([], [], **({"color": GREY, "label": label} | style))
