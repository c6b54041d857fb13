"""What the figures of pruned units share: the rows of one network, pairs of replacements, panels of scores, axes.

Lines are means over seeds, with bands of 95 and 80 % intervals; two seeds are shown as a range. Steps after ``until``
are left out, None takes all. Networks with batch norm are networks of their own, called "medium with batch norm".
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.scale import SymmetricalLogTransform
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from prunebook.errors import InputError
from prunebook.pages import vocabulary
from prunebook.pages.figures import lines, style
from prunebook.pages.figures.lines import band_handle, mean_line, t_bands
from prunebook.pages.figures.tables import present
from prunebook.pages.numbers import tick

LOOKS = {score: style.LOOKS[score] for score in vocabulary.SCORES}
SIGNED = ("rs", "mrs")
SETS, REPLACED, network_name = vocabulary.SETS, vocabulary.REPLACED, vocabulary.network_name
PAPER_END = 35_000  # the paper's figures end here
TIE = 1e-6  # penalties this close are equal
# Which score foretells which replacement; the norm of weights knows of neither and stands beside both.
FORETOLD = (
    ("rs", "zero"), ("abs_rs", "zero"), ("norm", "zero"), ("mrs", "mean"), ("abs_mrs", "mean"), ("norm", "mean")
)  # fmt: skip
DASHED = {"linestyle": style.SHORT, "marker": ""}
ZERO_LINE = {"color": style.INK, "linewidth": 0.8, "label": "_zero"}
GROUND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
LINEAR = 0.6  # decades that the linear part of a scale takes, on each side of zero


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


def two_lines(axis: Axes, solid: pd.DataFrame, dashed: pd.DataFrame, y: str, score: str, other: str = "") -> None:
    """Along training, a score's line in its colour, and in grey the one that it is compared with."""
    axis.axhline(0, **ZERO_LINE)
    grey = {"color": style.GREY, "label": f"_{score}"} | DASHED
    mean_line(axis, dashed, "step", other or y, LOOKS[score], bands=t_bands(dashed), **grey)
    mean_line(axis, solid, "step", y, LOOKS[score], bands=t_bands(solid))


def step_axis(panels: Iterable[Axes]) -> None:
    """Steps of training, in thousands if there are that many."""
    panels = list(panels)
    unit = 1000 if max(axis.dataLim.xmax for axis in panels) >= 2000 else 1
    for axis in panels:
        axis.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / unit:g}"))
        if axis.xaxis.get_tick_params().get("labelbottom", True):
            axis.set_xlabel("Step (thousands)" if unit > 1 else "Step")


def symlog_axis(axis: Axes, values: Iterable[float | int], which: str = "y", apart: float = 0.13) -> None:
    """Logarithmic on both sides of zero, if the largest value is 10 times that at the lowest decile.

    Around zero the axis is linear, up to the power of ten below that decile, or four below the largest.
    """
    values = np.asarray(list(values), dtype=float)
    values = values[np.isfinite(values)]
    sizes = np.abs(values[values != 0])
    if not len(sizes) or sizes.max() < 10 * np.quantile(sizes, 0.1):
        return
    last = int(np.floor(np.log10(sizes.max())))
    first = min(max(int(np.floor(np.log10(np.quantile(sizes, 0.1)))), last - 4), last - 1)
    power_axis(axis, which, first, (min(1.6 * values.min(), 0.0), max(1.6 * values.max(), 0.0)), apart)


def power_axis(axis: Axes, which: str, first: int, ends: Sequence[float], apart: float = 0.13) -> None:
    """Logarithmic on both sides of zero, linear within the power of ten ``first``.

    Ticks are zero and powers of ten, the largest first, as long as they are ``apart``, a share of the axis.
    """
    scale = SymmetricalLogTransform(10, 10.0**first, LINEAR)
    low, high = scale.transform(np.array(ends))
    last = int(np.floor(np.log10(np.abs(ends).max())))
    ticks = [0.0]
    for value in (sign * 10.0**power for power in range(last, first - 1, -1) for sign in (1, -1)):
        place, *others = scale.transform(np.array([value, *ticks]))
        if low <= place <= high and np.abs(place - others).min() >= apart * (high - low):
            ticks.append(value)
    getattr(axis, f"set_{which}scale")("symlog", linthresh=10.0**first, linscale=LINEAR)
    scaled = getattr(axis, f"{which}axis")
    scaled.set_major_locator(FixedLocator(sorted(ticks)))
    signs = {True: "\N{MINUS SIGN}", False: ""}
    scaled.set_major_formatter(FuncFormatter(lambda value, _: signs[value < 0] + tick(abs(value))))
    scaled.set_minor_locator(NullLocator())


def finish(figure: Figure, handles: Sequence, *tables: pd.DataFrame) -> Figure:
    """The legend below, with what arrows and the bands over the seeds of ``tables`` are."""
    seeds = max((table["seed"].nunique() for table in tables), default=1)
    label = {1: "", 2: "Band: the two seeds"}.get(seeds, "Bands: 80 and 95 % intervals")
    return lines.finish(figure, [*handles, *([band_handle(label)] if label else [])])
