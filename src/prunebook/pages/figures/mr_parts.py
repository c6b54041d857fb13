"""What the figures of pruned units are made of: looks, one network of a table, lines over seeds, axes.

Lines are means over seeds; a seed that has no number leaves a gap. Bands are Student-t intervals of the mean: 80 %, as
in the paper, inside a lighter one of 95 %. With two seeds there is one band, from the lower to the higher. Steps after
``until`` are left out, None takes all. Networks with batch norm are networks of their own, called "medium with batch
norm".
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.scale import SymmetricalLogTransform
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from prunebook.errors import InputError
from prunebook.evidence.intervals import half_width
from prunebook.pages.figures.coreset_parts import BAND, GREY, SHORT, grey, handle
from prunebook.pages.figures.layout import legend_below, number
from prunebook.pages.figures.style import INK, Look
from prunebook.pages.figures.tables import need

COLOURS = {
    "norm": "#4d4d4d",
    "rand": "#999999",
    "rs": "#b8578f",
    "abs_rs": "#0072b2",
    "mrs": "#d55e00",
    "abs_mrs": "#009e73",
}
_MARKERS = {"norm": "P", "rand": "x", "rs": "^", "abs_rs": "o", "mrs": "D", "abs_mrs": "s"}
LOOKS = {score: Look(colour, _MARKERS[score], (), score) for score, colour in COLOURS.items()}
SIGNED = ("rs", "mrs")
SETS = {
    "all": "All layers",
    "firstconv": "First conv.",
    "midconv": "Middle conv.",
    "lastconv": "Last conv.",
    "firstdense": "First dense",
}
TIMES = {"early": Look("#3fa5dd", "o", (), "Pruned early"), "late": Look("#332288", "s", (), "Pruned late")}
REPLACED = {"mean": "Mean replacement", "zero": "Zero"}
PAPER_END = 35_000  # the paper's figures end here
BANDS = {0.95: BAND | {"alpha": 0.1}, 0.8: BAND | {"alpha": 0.14}}  # where they overlap it is darker
TIE = 1e-6  # penalties this close are equal
# Which score foretells which replacement; the norm of weights knows of neither and stands beside both.
FORETOLD = (
    ("rs", "zero"), ("abs_rs", "zero"), ("norm", "zero"), ("mrs", "mean"), ("abs_mrs", "mean"), ("norm", "mean")
)  # fmt: skip
ZERO_LINE = {"color": INK, "linewidth": 0.8, "label": "_zero"}
GROUND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
LINEAR = 0.6  # decades that the linear part of a scale takes, on each side of zero
HOLLOW = {"markerfacecolor": "none", "markeredgewidth": 1.2}


def named(table: pd.DataFrame) -> pd.DataFrame:
    """The table with batch norm in the name of the network, where there is any."""
    if "batch_norm" not in table:
        return table
    normed = table["batch_norm"].astype(bool)
    return table.assign(net=table["net"].where(~normed, table["net"].astype(str) + " with batch norm"))


def network_name(net: str) -> str:
    """A network's name for the reader: VGG11, Small, Medium with batch norm."""
    first, *rest = net.split()
    return " ".join([first.upper() if first.startswith("vgg") else first.capitalize(), *rest])


def choose(
    table: pd.DataFrame,
    columns: Iterable[str],
    name: str,
    *,
    net: str | None = None,
    until: int | None = None,
    **where,
) -> pd.DataFrame:
    """Rows of one network, up to a step, in which each column of ``where`` has the value.

    Raises InputError for a missing column, for several networks of which none is chosen, and where nothing is left.
    """
    need(table, ("net", "seed", *columns, *where), name)
    table = named(table)
    if net is None and table["net"].nunique() > 1:
        raise InputError(
            f"the table {name} holds several networks ({', '.join(table['net'].unique())}): choose one with net="
        )
    wanted = ({} if net is None else {"net": net}) | where
    for column, value in wanted.items():
        same = np.isclose(table[column], value) if isinstance(value, float) else table[column] == value
        if not same.any():
            there = ", ".join(map(str, table[column].unique()))
            raise InputError(f"the table {name} has no {column} {value}: it has {there}")
        table = table[same]
    if until is not None and "step" in table:
        if (table["step"] > until).all():
            raise InputError(
                f"the table {name} starts at step {table['step'].min()}: until={until} is before it"
            )
        table = table[table["step"] <= until]
    return table


def scores_in(table: pd.DataFrame, wanted: Iterable[str] = tuple(LOOKS)) -> list[str]:
    """Those of ``wanted`` that the table holds. Raises InputError where it holds none, or where one has no look."""
    wanted = list(wanted)
    if unknown := sorted(({*wanted} | set(table["score"])) - set(LOOKS)):
        raise InputError(f"no score {', '.join(unknown)} to draw: choose among {', '.join(LOOKS)}")
    there = set(table["score"])
    if not there & set(wanted):
        raise InputError(f"the table holds none of the scores {', '.join(wanted)}: it holds {sorted(there)}")
    return [score for score in wanted if score in there]


def by_seed(table: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """A row for each value of x, a column a seed: means of y over everything else."""
    means = table.groupby([x, "seed"])[y].mean(skipna=False)
    return means.unstack("seed")  # noqa: PD010 - pivot_table would leave out what has no number


def interval(seeds: pd.DataFrame, level: float = 0.8) -> tuple[pd.Series, pd.Series] | None:
    """Ends of the band around the mean of the columns; None for one seed."""
    count = seeds.shape[1]
    if count < 2:
        return None
    if count == 2:
        return seeds.min(axis=1, skipna=False), seeds.max(axis=1, skipna=False)
    half = half_width(seeds.std(axis=1, skipna=False), count, level)
    mean = seeds.mean(axis=1, skipna=False)
    return mean - half, mean + half


def bands(seeds: pd.DataFrame) -> list[tuple[tuple[pd.Series, pd.Series], dict]]:
    """The bands to draw, the widest first, each with how it is drawn: none for one seed, one for two, else two."""
    levels = {1: (), 2: (0.8,)}.get(seeds.shape[1], tuple(BANDS))
    return [(interval(seeds, level), BANDS[level]) for level in levels]


def seed_line(axis: Axes, table: pd.DataFrame, x: str, y: str, style: dict) -> None:
    """Mean over seeds with its bands. On long lines, markers stand on a few points only."""
    if table.empty:
        return
    seeds = by_seed(table, x, y)
    every = {} if len(seeds) < 12 else {"markevery": (len(seeds) // 12, len(seeds) // 6)}
    axis.plot(seeds.index, seeds.mean(axis=1, skipna=False), **(style | every))
    for ends, look in bands(seeds):
        axis.fill_between(seeds.index, *ends, color=style["color"], **look)


def band_handles(*tables: pd.DataFrame) -> list[Patch]:
    """The legend's entry for bands, if the tables hold several seeds."""
    seeds = max(table["seed"].nunique() for table in tables)
    label = {1: "", 2: "Band: the two seeds"}.get(seeds, "Bands: 80 and 95 % intervals")
    return [Patch(color=GREY, alpha=0.25, linewidth=0, label=label)] if label else []


def step_axis(panels: Iterable[Axes]) -> None:
    """Steps of training, in thousands if there are that many."""
    panels = list(panels)
    thousands = max(axis.dataLim.xmax for axis in panels) >= 2000
    for axis in panels:
        axis.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axis.xaxis.set_major_formatter(
            FuncFormatter(lambda step, _: f"{step / 1000 if thousands else step:g}")
        )
        axis.set_xlabel("Step (thousands)" if thousands else "Step")


def symlog_axis(
    panels: Iterable[Axes], values: Iterable[float | int], which: str = "y", apart: float = 0.12
) -> None:
    """One axis that is logarithmic on both sides of zero, if the largest value is 10 times that at the lowest decile.

    Around zero it is linear, up to the power of ten below that decile, or four below the largest.
    """
    panels, sizes = list(panels), np.abs(np.asarray(list(values), dtype=float))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not len(sizes) or sizes.max() < 10 * np.quantile(sizes, 0.1):
        return
    last = int(np.floor(np.log10(sizes.max())))
    first = max(int(np.floor(np.log10(np.quantile(sizes, 0.1)))), last - 4)
    first = min(first, last - 1)
    ends = np.array([getattr(axis.dataLim, f"interval{which}") for axis in panels])
    low, high = ends[:, 0].min(), ends[:, 1].max()
    for axis in panels:
        room = 0.4 * 10.0**first
        power_axis(axis, which, first, (min(1.6 * low, -room), max(1.6 * high, room)), apart)


def power_axis(axis: Axes, which: str, first: int, limits: tuple[float, float], apart: float = 0.12) -> None:
    """Logarithmic on both sides of zero, linear within the power of ten ``first``.

    Ticks are zero and powers of ten, the largest first, as long as they are ``apart``, a share of the axis.
    """
    scale = SymmetricalLogTransform(10, 10.0**first, LINEAR)
    low, high = scale.transform(np.array(limits))
    last = int(np.floor(np.log10(max(abs(limits[0]), abs(limits[1])))))
    ticks, places = [0.0], [0.0]
    for power in range(last, first - 1, -1):
        for value in (10.0**power, -(10.0**power)):
            place = float(scale.transform(np.array([value]))[0])
            if low <= place <= high and min(abs(place - other) for other in places) >= apart * (high - low):
                ticks.append(value)
                places.append(place)
    getattr(axis, f"set_{which}scale")("symlog", linthresh=10.0**first, linscale=LINEAR)
    getattr(axis, f"set_{which}lim")(limits)
    lines = getattr(axis, f"{which}axis")
    lines.set_major_locator(FixedLocator(sorted(ticks)))
    lines.set_major_formatter(
        FuncFormatter(lambda value, _: ("\N{MINUS SIGN}" if value < 0 else "") + number(abs(value)))
    )
    lines.set_minor_locator(NullLocator())


def finish(figure: Figure, handles: Sequence) -> Figure:
    """The legend below, and a first layout: tick labels of the next one know how large the panels are."""
    legend_below(figure, handles)
    figure.draw_without_rendering()
    return figure


def replaced_handles(shown: Sequence[str], kinds: dict[str, str] = REPLACED) -> list[Line2D]:
    """Entries of the scores, and of the solid and the dashed line."""
    solid, dashed = kinds.values()
    return [*(handle(LOOKS[score]) for score in shown), grey(solid), grey(dashed, linestyle=SHORT)]


def paired(table: pd.DataFrame, column: str = "penalty", keys: Iterable[str] = ()) -> pd.DataFrame:
    """Columns ``zero`` and ``mean``: a column of the table with either replacement, all else equal.

    Raises InputError where two rows have the same keys, or where one of the two replacements is nowhere.
    """
    index = ["net", "seed", "step", "score", "set", "amount", *keys]
    if table.duplicated([*index, "replacement"]).any():
        raise InputError(f"the table holds several rows with the same {', '.join(index)} and replacement")
    wide = table.set_index([*index, "replacement"])[column].unstack("replacement")  # noqa: PD010 - keeps what has no number
    if missing := {"zero", "mean"} - set(wide.columns):
        raise InputError(f"the table holds no replacement {', '.join(sorted(missing))} to compare with")
    return wide.reset_index()
