"""What is left of the advantage of means after some steps of fine-tuning.

Lines, bands and networks as in ``prunebook.pages.figures.mr_parts``.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prunebook.pages.figures.coreset_parts import handle
from prunebook.pages.figures.layout import grid, panel_label
from prunebook.pages.figures.mr_parts import (
    SETS,
    TIMES,
    ZERO_LINE,
    band_handles,
    choose,
    finish,
    paired,
    scores_in,
    seed_line,
    symlog_axis,
)
from prunebook.pages.figures.style import INK, in_house_style

MOST_ACROSS = 4  # panels; with more, what is in them is too small to read


@in_house_style
def after_tuning(table: pd.DataFrame, *, net: str | None = None, late: float | int = 25_000) -> Figure:
    """Penalties with zeros and with means after fine-tuning, for networks pruned before step ``late`` and from there.

    Above, a panel for each layer set and amount, since their penalties differ by orders of magnitude, and a row for
    each set where they are many: penalty with zeros minus that with means against steps of fine-tuning, which stand at
    equal distances; averaged over scores and steps of pruning. Below, a panel for each number of steps but zero, and at
    most the last three: every penalty with means over the same with zeros, a point a seed, score, layer set, amount and
    step of pruning.
    """
    columns = ("step", "score", "replacement", "set", "amount", "tuned", "penalty")
    rows = choose(table, columns, "tuning", net=net)
    points = paired(rows, keys=("tuned",))
    ticks = sorted(points["tuned"].unique().tolist())
    points = points.assign(
        gain=points["zero"] - points["mean"],
        place=np.searchsorted(ticks, points["tuned"]),
        half=np.where(points["step"] < late, "early", "late"),
    )
    scores_in(rows)
    order = list(SETS)
    shown = sorted(points.groupby(["set", "amount"]).groups, key=lambda cell: (order.index(cell[0]), cell[1]))
    after = [steps for steps in ticks if steps > 0][-3:]
    halves = [half for half in TIMES if (points["half"] == half).any()]
    above = [[cell[0] for cell in shown].count(layers) for layers in SETS]
    above = [count for count in above if count] if len(shown) > MOST_ACROSS else [len(shown)]
    firsts = [sum(above[:place]) for place in range(len(above))]
    figure, panels = _rows_of_panels([*above, len(after)], 2.6)
    for axis, (layers, amount) in zip(panels, shown, strict=False):
        here = (points["set"] == layers) & (points["amount"] == amount)
        _advantage(axis, points[here], halves, ticks)
    for axis, steps in zip(panels[len(shown) :], after, strict=True):
        _scatter(axis, points[points["tuned"] == steps], halves)
    cells = (f"{SETS[layers]}\n{_amount(amount)}" for layers, amount in shown)
    titles = [*cells, *(f"After {steps:,} step{'s' * (steps != 1)}" for steps in after)]
    for place, (axis, title) in enumerate(zip(panels, titles, strict=True)):
        panel_label(axis, place, title)
    symlog_axis(panels[: len(shown)], np.concatenate([_heights(axis) for axis in panels[: len(shown)]]))
    for axis in panels[len(shown) :]:
        _equal_axes(axis, points)
    for first in firsts:
        panels[first].set_ylabel("Penalty, zeros minus means")
    if after:
        panels[len(shown)].set_ylabel("Penalty with means")
    names = {"early": f"Pruned before step {late:,.0f}", "late": f"Pruned from step {late:,.0f} on"}
    return finish(figure, [*(handle(TIMES[half], label=names[half]) for half in halves), *band_handles(rows)])


def _amount(amount: float) -> str:
    """An amount for the reader; from 1 on it is a number of units."""
    if amount < 1:
        return f"{amount:.0%} of units"
    return f"{amount:.0f} unit{'s' * (amount > 1)} a layer"


def _rows_of_panels(counts: list[int], height: float) -> tuple[Figure, list[Axes]]:
    """A page-wide figure with so many panels in each row, from left to right and from top to bottom."""
    counts = [count for count in counts if count]
    across = math.lcm(*counts)
    figure, axes = grid(len(counts), 1, height)
    cells = figure.add_gridspec(len(counts), across)
    for axis in axes.flat:
        axis.remove()
    parts = [(row, across // count, place) for row, count in enumerate(counts) for place in range(count)]
    return figure, [figure.add_subplot(cells[row, k * part : (k + 1) * part]) for row, part, k in parts]


def _advantage(axis: Axes, part: pd.DataFrame, halves: list[str], ticks: list) -> None:
    axis.axhline(0, **ZERO_LINE)
    for half in halves:
        seed_line(axis, part[part["half"] == half], "place", "gain", TIMES[half].line)
    axis.set_xticks(range(len(ticks)), [f"{tick:g}" for tick in ticks])
    axis.set_xlabel("Fine-tuning steps")


def _heights(axis: Axes) -> np.ndarray:
    labels = {look.label for look in TIMES.values()}
    return np.concatenate([line.get_ydata() for line in axis.lines if line.get_label() in labels])


def _scatter(axis: Axes, part: pd.DataFrame, halves: list[str]) -> None:
    alpha = float(np.clip(60 / max(len(part), 1), 0.25, 0.8))
    for half in halves:
        mine = part[part["half"] == half]
        style = TIMES[half].points | {"alpha": alpha, "markersize": 4, "markeredgewidth": 0}
        axis.plot(mine["zero"], mine["mean"], **style)
    axis.set_xlabel("Penalty with zeros")


def _equal_axes(axis: Axes, points: pd.DataFrame) -> None:
    """The same scale on both axes and in all panels, with the diagonal."""
    values = points.loc[points["tuned"] > 0, ["zero", "mean"]].to_numpy()
    values = values[np.isfinite(values)]
    room = 0.06 * (values.max() - values.min() or 1.0)
    ends = (values.min() - room, values.max() + room)
    axis.plot(ends, ends, color=INK, linewidth=1.0, label="_diagonal", zorder=4)
    axis.set(xlim=ends, ylim=ends)
    for which in "xy":
        symlog_axis([axis], values.ravel(), which, apart=0.19)
    axis.set_aspect("equal")
