"""Lines over seeds: the mean with its bands, for all figures.

The sums are made here and not by seaborn, which would leave out a seed without a number: one that exploded must not
make the mean of the others look better than it is. Where a mean is not finite, its line has a gap, and an arrow at the
edge of the panel tells that there is a value off the axis.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from prunebook.errors import InputError
from prunebook.evidence.intervals import half_width
from prunebook.pages.figures.layout import legend_below, log_axis
from prunebook.pages.figures.style import BAND, GREY, INK, Look, grey
from prunebook.pages.numbers import tick
from prunebook.pages.vocabulary import LEVELS

RANGE = "range"  # from the lowest to the highest seed


def over_seeds(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    by: Sequence[str] = (),
    point: str | None = None,
    mean: str = "arithmetic",
    bands: Sequence[str | float | int] = (RANGE,),
) -> pd.DataFrame:
    """Mean over seeds at each point: a row a point, columns ``x``, ``mean``, ``seeds``, and ``low k``, ``high k``
    for the k-th of the bands.

    What a seed has several values of is averaged within the seed first.

    Args:
        by: columns that tell lines apart; they are columns of the result.
        point: the column in which seeds agree, where ``x`` differs between them; None takes ``x`` itself.
        mean: "arithmetic", or "geometric", with which bands are made of logarithms too.
        bands: ``RANGE``, or the level of a Student-t interval.
    """
    keys = [*by, point or x]
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log(table[y].astype(float)) if mean == "geometric" else table[y].astype(float)
        seeds = values.groupby([table[key] for key in (*keys, "seed")]).mean(skipna=False)
        groups = seeds.groupby(level=list(range(len(keys))))
        found = {
            "x": table.groupby(keys)[x].agg("first" if x == keys[-1] else "mean"),  # no rounding of equal ones
            "mean": groups.mean(skipna=False),
            "seeds": groups.size(),
        }
        for k, band in enumerate(bands):
            low, high = groups.min(skipna=False), groups.max(skipna=False)
            if band != RANGE:
                half = half_width(groups.std(skipna=False), found["seeds"], band)
                low, high = found["mean"] - half, found["mean"] + half
            found |= {f"low {k}": low, f"high {k}": high}
    found = pd.DataFrame(found)
    if mean == "geometric":
        columns = [name for name in found if name not in ("x", "seeds")]
        found[columns] = np.exp(found[columns])
    return found.rename_axis([*by, "point"]).reset_index()


def mean_line(
    axis: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    look: Look,
    *,
    point: str | None = None,
    mean: str = "arithmetic",
    bands: Sequence[str | float | int] = (RANGE,),
    positive: bool = False,
    top: float | int = np.inf,
    **style,
) -> pd.DataFrame:
    """Draw the mean over seeds with its bands, and return what is drawn, as from :func:`over_seeds`.

    Args:
        positive: the axis is logarithmic: zero and what is below have no place on it.
        top: where the axis ends; means above it get an arrow.
        style: changes to the look, as for ``Axes.plot``. On long lines, markers stand on a few points only.
    """
    if table.empty:
        return pd.DataFrame(columns=["point", "x", "mean", "seeds"])
    found = over_seeds(table, x, y, point=point, mean=mean, bands=bands)
    there = np.isfinite(found["mean"]) & ((found["mean"] > 0) | (not positive))
    runs = found.assign(run=(~there).cumsum())[there]  # a line ends where a value is missing
    every = {"markevery": (len(found) // 12, len(found) // 6)} if len(found) > 24 else {}
    looks = look.line | every | style
    labels = {"xlabel": axis.get_xlabel(), "ylabel": axis.get_ylabel()}
    axis.set(xlabel="x", ylabel="mean")  # seaborn would find its ticks only to see whether they want a label
    sns.lineplot(runs, x="x", y="mean", units="run", estimator=None, ax=axis, legend=False, **looks)
    axis.set(**labels)
    if (found["seeds"] > 1).any():
        for k in range(len(bands)):
            ends = found[[f"low {k}", f"high {k}"]].where(there, axis=0)
            axis.fill_between(found["x"], *ends.to_numpy().T, color=looks["color"], **BAND)
    above = found[(found["mean"] > top) | np.isposinf(found["mean"])]
    below = found[positive & (found["mean"] <= 0)]
    for out, place, arrow in ((above, 0.97, "up"), (below, 0.03, "down")):
        off_axis(axis, out["x"], place, arrow, looks["color"])
    return found


def off_axis(axis: Axes, x: Iterable, place: float | int, arrow: str, colour: str, which: str = "y") -> None:
    """Arrows at the edge of a panel, for values that its axis cannot show."""
    x = np.asarray(x, dtype=float)
    edge = np.full(len(x), place)
    at = (x, edge) if which == "y" else (edge, x)
    across = axis.get_xaxis_transform() if which == "y" else axis.get_yaxis_transform()
    style = {"linestyle": "", "marker": rf"$\{arrow}arrow$", "markersize": 8, "color": colour}
    if len(x):
        axis.plot(*at, transform=across, label="_arrow", zorder=5, clip_on=False, **style)


def arrow_handles(figure: Figure) -> list[Line2D]:
    """The legend's entry for arrows, if there are any."""
    there = any(line.get_label() == "_arrow" for axis in figure.axes for line in axis.lines)
    label = "Beyond the axis: zero, or far away"
    return [grey(label, linestyle="", marker=r"$\downarrow$")] if there else []


def level(axis: Axes, values: pd.Series, label: str, mean: str = "arithmetic", **style) -> Line2D:
    """A level to compare with, across a panel: the mean over seeds, with a band from the lowest to the highest."""
    look = {"color": INK, "linewidth": 1.1, "label": label} | style
    middle = np.exp(np.log(values).mean()) if mean == "geometric" else values.mean()
    axis.axhspan(values.min(), values.max(), color=look["color"], alpha=0.08, linewidth=0, zorder=1)
    axis.axhline(middle, zorder=2, **look)
    return Line2D([], [], **look)


def dense_levels(axis: Axes, dense: pd.DataFrame, stage: str, mean: str = "arithmetic") -> dict[str, Line2D]:
    """The column ``value`` of the dense network before pruning and, beside fine-tuned ones, after as much training."""
    states = {"trained": (LEVELS["dense"], "-")}
    states |= {"fine-tuned": (LEVELS["dense-on"], (0, (5, 2)))} if stage == "fine-tuned" else {}
    return {
        label: level(axis, dense.loc[dense["stage"] == state, "value"], label, mean, linestyle=dash)
        for state, (label, dash) in states.items()
        if (dense["stage"] == state).any()
    }


def end_axis(panels: Sequence[Axes], drawn: Sequence[pd.DataFrame], top: float | int) -> None:
    """One logarithmic axis for panels, which ends at ``top`` at the latest; on each panel, in words, what lies above.

    Args:
        drawn: of each panel, what :func:`mean_line` drew there.
    """
    means = pd.concat(drawn)["mean"]
    means = means[np.isfinite(means) & (means > 0)]
    if not len(means):
        raise InputError("no finite positive value to draw on a logarithmic axis")
    if top <= means.min():
        lowest = f"{means.min():.3g}"
        raise InputError(f"the axis would end at {top:g}, but the lowest mean is {lowest}: choose a larger top")
    for axis in panels:
        log_axis(axis)
    low, high = panels[0].get_ylim()
    cut = any((found["mean"] > top).any() for found in drawn)
    if high > top or cut:
        panels[0].set_ylim(top=top * (top / low) ** (0.15 if cut else 0.03))  # room for the words
    for axis, found in zip(panels, drawn, strict=True):
        above = found.loc[found["mean"] > top, "mean"]
        if len(above):
            highest = f"up to {rounded(above.max())}" if np.isfinite(above.max()) else "not all finite"
            words = f"↑ {len(above)} mean{'s' * (len(above) > 1)} above {rounded(top)}, {highest}"
            ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
            axis.text(0.02, 0.91, words, transform=axis.transAxes, va="top", fontsize=8.5, bbox=ground)


def rounded(value: float | int) -> str:
    """Two digits, as at an axis."""
    return tick(float(f"{value:.2g}"))


def t_bands(table: pd.DataFrame) -> tuple[str | float, ...]:
    """Student-t intervals of 95 and 80 % from three seeds on; two seeds have their range."""
    return (0.95, 0.8) if table["seed"].nunique() > 2 else (RANGE,)


def range_handle(table: pd.DataFrame) -> list[Patch]:
    """The legend's entry for bands from the lowest to the highest seed, if there are several."""
    seeds = table["seed"].nunique()
    return [band_handle(f"Lowest to highest of {seeds} seeds")] if seeds > 1 else []


def finish(figure: Figure, handles: Iterable, seeds: pd.DataFrame | None = None, *, arrows: bool = True) -> Figure:
    """The legend below: the handles, the bands over the seeds of a table, and arrows, if words do not tell of them."""
    bands = [] if seeds is None else range_handle(seeds)
    legend_below(figure, [*handles, *bands, *(arrow_handles(figure) if arrows else [])])
    return figure


def band_handle(label: str) -> Patch:
    """The legend's entry for what bands are."""
    return Patch(color=GREY, alpha=0.25, linewidth=0, label=label)
