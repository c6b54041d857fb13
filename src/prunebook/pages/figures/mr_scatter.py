"""Penalties with zeros against penalties with means, point by point.

Both axes are logarithmic on both sides of zero, so that every point has a place and small penalties are seen beside
large ones. Cells of equal size on the page are shaded by the number of points in them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.scale import SymmetricalLogTransform

from prunebook.errors import InputError
from prunebook.pages.figures.layout import panel_label, wrapped
from prunebook.pages.figures.mr_parts import LINEAR, SETS, TIE, finish, named, paired, power_axis, scores_in
from prunebook.pages.figures.style import GREY, INK, SHORT, grey, in_house_style

FIRST = -3  # power of ten below which the axes are linear
CELLS = 60  # in a row
WINDOW = (-0.1, 0.45)  # of the paper's axes


@in_house_style
def zero_against_mean(
    penalties: pd.DataFrame, *, scores: Sequence[str] = ("norm", "abs_rs", "abs_mrs"), by: str = "score"
) -> Figure:
    """Density of the penalties with means over the same penalties with zeros: below the diagonal means do better.

    All networks, seeds, steps, amounts and layer sets of the table. A panel for each score, or with ``by="set"`` for
    each layer set. Told above each panel: the share of points below the diagonal, ties left out, and that of ties.
    The dashed square is the window of the paper's axes. Raises InputError for penalties that are not finite.
    """
    if by not in ("score", "set"):
        raise InputError(f"by must be score or set, not {by!r}")
    shown = scores_in(penalties, scores)
    points = paired(named(penalties[penalties["score"].isin(shown)]))
    if not np.isfinite(points[["zero", "mean"]]).all(axis=None):
        raise InputError("the table penalties holds values that are not finite: no place on the axes for them")
    names = {score: score for score in shown} if by == "score" else SETS
    parts = {name: points[points[by] == name] for name in names if (points[by] == name).any()}
    values = np.append(points[["zero", "mean"]].to_numpy(), WINDOW)
    scale = SymmetricalLogTransform(10, 10.0**FIRST, LINEAR)
    ends = scale.transform(np.array([1.5 * values.min(), 1.5 * values.max()]))
    edges = scale.inverted().transform(np.linspace(*ends, CELLS + 1))
    counts = [np.histogram2d(part["zero"], part["mean"], [edges, edges])[0] for part in parts.values()]
    most = max(int(count.max()) for count in counts)
    figure, panels = wrapped(len(parts), 2.6, sharex=True, sharey=True)
    for place, (axis, (name, part)) in enumerate(zip(panels, parts.items(), strict=True)):
        colours = {"cmap": "flare", "norm": LogNorm(1, max(most, 2)), "vmin": None, "vmax": None}
        sns.histplot(part, x="zero", y="mean", bins=[edges, edges], ax=axis, rasterized=True, **colours)
        panel_label(axis, place, f"{names[name]}\n{_shares(part)}")
        axis.set(xlabel="Penalty with zeros" if place >= len(parts) - 3 else "")
        axis.set(ylabel="" if place % 3 else "Penalty with means")
    for axis in panels:  # only now: cells are of equal size in the scale of the axes when they were drawn
        _frame(axis, (edges[0], edges[-1]))
    figure.colorbar(axis.collections[0], ax=panels, label="Points in a cell", shrink=0.7, pad=0.02)
    diagonal = grey("Equal penalties", color=INK, linewidth=1.0)
    return finish(figure, [diagonal, grey("Axes of the paper's figure", linestyle=SHORT, linewidth=0.9)])  # fmt: skip


def _frame(axis: Axes, ends: tuple[float, float]) -> None:
    """Scales, the diagonal, and the paper's window."""
    axis.plot(ends, ends, color=INK, linewidth=1.0, label="_diagonal", zorder=4)
    side = WINDOW[1] - WINDOW[0]
    style = {"fill": False, "edgecolor": GREY, "linestyle": SHORT, "linewidth": 0.9, "zorder": 4}
    axis.add_patch(Rectangle((WINDOW[0], WINDOW[0]), side, side, **style))
    for which in "xy":
        power_axis(axis, which, FIRST, ends, apart=0.19)
        getattr(axis, f"set_{which}lim")(ends)
    axis.tick_params(labelsize=8.5)
    axis.set_aspect("equal")


def _shares(part: pd.DataFrame) -> str:
    """Share of points below the diagonal, and of ties, in words."""
    tied = part["gain"].abs() <= TIE
    apart = part[~tied]
    share = f"{(apart['gain'] > 0).mean():.1%} below" if len(apart) else "none below"
    return f"{share}, {tied.mean():.1%} ties"
