"""What is left of the advantage of means after some steps of fine-tuning."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prunebook.pages.figures.layout import panel_label, wrapped
from prunebook.pages.figures.lines import over_seeds, t_bands
from prunebook.pages.figures.mr_parts import SETS, ZERO_LINE, choose, finish, paired, scores_in, symlog_axis
from prunebook.pages.figures.style import INK, Look, grey, handle, in_house_style

TIMES = {"early": Look("#3fa5dd", "o", (), "Pruned early"), "late": Look("#332288", "s", (), "Pruned late")}


@in_house_style
def after_tuning(table: pd.DataFrame, *, net: str | None = None, late: float | int = 25_000) -> Figure:
    """Penalties with zeros and with means after fine-tuning, for networks pruned before step ``late`` and from there.

    First, a panel for each layer set and amount, each with a scale of its own, since their penalties differ by orders
    of magnitude: penalty with zeros minus that with means against steps of fine-tuning, which stand at equal distances;
    averaged over scores and steps of pruning, with 95 % intervals over seeds. Then a panel for each number of steps but
    zero, and at most the last three: every penalty with means over the same with zeros, a point a seed, score, layer
    set, amount and step of pruning.
    """
    rows = choose(table, "tuning", net=net)
    scores_in(rows)
    points = paired(rows, keys=("tuned",))
    ticks = sorted(points["tuned"].unique().tolist())
    points["place"] = np.searchsorted(ticks, points["tuned"])
    points["half"] = np.where(points["step"] < late, "early", "late")
    cells = list(points.groupby(["set", "amount"]))
    cells.sort(key=lambda cell: (list(SETS).index(cell[0][0]), cell[0][1]))
    after = [steps for steps in ticks if steps > 0][-3:]
    figure, panels = wrapped(len(cells) + len(after), 2.3)
    for axis, (_, part) in zip(panels, cells, strict=False):
        _advantage(axis, part, ticks)
    for axis, steps in zip(panels[len(cells) :], after, strict=True):
        _scatter(axis, points[points["tuned"] == steps], points[points["tuned"] > 0])
    titles = [f"{SETS[name]}\n{_amount(amount)}" for (name, amount), _ in cells]
    titles += [f"After {steps:,} step{'s' * (steps != 1)}" for steps in after]
    for place, (axis, title) in enumerate(zip(panels, titles, strict=True)):
        panel_label(axis, place, title)
        if place % 3 == 0:
            axis.set_ylabel("Zeros minus means" if place < len(cells) else "Penalty with means")
    names = {"early": f"Pruned before step {late:,.0f}", "late": f"Pruned from step {late:,.0f} on"}
    halves = [handle(TIMES[half], label=names[half]) for half in TIMES if (points["half"] == half).any()]
    bars = {1: "", 2: "Bars: the two seeds"}.get(rows["seed"].nunique(), "Bars: 95 % intervals")
    return finish(figure, [*halves, *([grey(bars, linewidth=1.2)] if bars else [])])


def _amount(amount: float) -> str:
    """An amount for the reader; from 1 on it is a number of units."""
    return f"{amount:.0%} of units" if amount < 1 else f"{amount:.0f} unit{'s' * (amount > 1)} a layer"


def _advantage(axis: Axes, part: pd.DataFrame, ticks: list) -> None:
    axis.axhline(0, **ZERO_LINE)
    for (half, mine), shift in zip(part.groupby("half"), (-0.06, 0.06), strict=False):
        found = over_seeds(mine, "place", "gain", bands=t_bands(mine))
        several = found["seeds"].max() > 1
        ends = [found["mean"] - found["low 0"], found["high 0"] - found["mean"]] if several else None
        axis.errorbar(found["x"] + shift, found["mean"], ends, elinewidth=1.2, **TIMES[half].line)
    axis.set_xticks(range(len(ticks)), [f"{tick:g}" for tick in ticks])
    axis.set_xlabel("Fine-tuning steps")


def _scatter(axis: Axes, part: pd.DataFrame, points: pd.DataFrame) -> None:
    """The same scale on both axes and in all panels, with the diagonal."""
    for half, mine in part.groupby("half"):
        look = TIMES[half]
        style = {"color": look.colour, "marker": look.marker, "alpha": 0.5, "s": 14, "linewidth": 0}
        sns.scatterplot(mine, x="zero", y="mean", ax=axis, **style, label=look.label, legend=False)
    values = points[["zero", "mean"]].to_numpy().ravel()
    values = values[np.isfinite(values)]
    room = 0.06 * (values.max() - values.min() or 1.0)
    ends = (values.min() - room, values.max() + room)
    axis.plot(ends, ends, color=INK, linewidth=1.0, label="_diagonal", zorder=4)
    for which in "xy":
        symlog_axis(axis, values, which, apart=0.2)
    axis.set(xlim=ends, ylim=ends, xlabel="Penalty with zeros", ylabel="")
