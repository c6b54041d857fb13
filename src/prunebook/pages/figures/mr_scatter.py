"""Penalties with zeros against penalties with means, point by point.

Both axes are logarithmic on both sides of zero, so that every point has a place and small penalties are seen beside
large ones. Cells are shaded by the number of points in them. Ties are penalties equal within one millionth.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.scale import SymmetricalLogTransform

from prunebook.errors import InputError
from prunebook.pages.figures.coreset_parts import GREY, SHORT, grey
from prunebook.pages.figures.layout import grid, panel_label
from prunebook.pages.figures.mr_parts import (
    COLOURS,
    LINEAR,
    SETS,
    TIE,
    finish,
    named,
    paired,
    power_axis,
    scores_in,
)
from prunebook.pages.figures.style import INK, in_house_style
from prunebook.pages.figures.tables import need

FIRST = -3  # power of ten below which the axes are linear
CELLS = 60  # in a row
WINDOW = (-0.1, 0.45)  # of the paper's axes


def density(points: pd.DataFrame, limits: tuple[float, float]) -> pd.DataFrame:
    """How many points lie in each cell of equal size on the page: edges left, right, low, high, and count."""
    scale = SymmetricalLogTransform(10, 10.0**FIRST, LINEAR)
    edges = scale.inverted().transform(np.linspace(*scale.transform(np.array(limits)), CELLS + 1))
    counts, *_ = np.histogram2d(points["zero"], points["mean"], bins=[edges, edges])
    x, y = np.nonzero(counts)
    columns = {"left": edges[x], "right": edges[x + 1], "low": edges[y], "high": edges[y + 1]}
    return pd.DataFrame({**columns, "count": counts[x, y].astype(int)})


@in_house_style
def zero_against_mean(
    penalties: pd.DataFrame, *, scores: Sequence[str] = ("norm", "abs_rs", "abs_mrs"), by: str = "score"
) -> Figure:
    """Density of the penalties with means over the same penalties with zeros: below the diagonal means do better.

    All networks, seeds, steps, amounts and layer sets of the table. A panel for each score, or with ``by="set"`` for
    each layer set. Told above each panel: the share of points below the diagonal, ties left out, and that of ties.
    The dashed square is the window of the paper's axes. Raises InputError for penalties that are not finite.
    """
    columns = ("net", "seed", "step", "score", "set", "amount", "replacement", "penalty")
    need(penalties, columns, "penalties")
    if by not in ("score", "set"):
        raise InputError(f"by must be score or set, not {by!r}")
    shown = scores_in(penalties, scores)
    points = paired(named(penalties[penalties["score"].isin(shown)]))
    if not np.isfinite(points[["zero", "mean"]]).all(axis=None):
        raise InputError(
            "the table penalties holds values that are not finite: they have no place on the axes"
        )
    names = shown if by == "score" else [name for name in SETS if name in set(points["set"])]
    parts = [points[points[by] == name] for name in names]
    limits = _limits(points)
    found = [density(part, limits) for part in parts]
    most = int(max(cells["count"].max() for cells in found))
    across = min(3, len(names))
    figure, axes = grid(-(-len(names) // across), across, 2.75, sharex=True, sharey=True)
    for spare in list(axes.flat)[len(names) :]:
        spare.set_visible(False)
    for place, (axis, name) in enumerate(zip(axes.flat, names, strict=False)):
        _shade(axis, found[place], COLOURS[name] if by == "score" else INK, most)
        _frame(axis, limits)
        if place + across >= len(names):
            axis.tick_params(labelbottom=True)
            axis.set_xlabel("Penalty with zeros")
        panel_label(axis, place, f"{name if by == 'score' else SETS[name]}\n{_shares(parts[place])}")
    for axis in axes[:, 0]:
        axis.set_ylabel("Penalty with means")
    handles = [grey("Equal penalties", color=INK, linewidth=1.0)]
    handles += [grey("Axes of the paper's figure", linestyle=SHORT, linewidth=0.9)]
    return finish(figure, [*handles, *_shades(most)])


def _limits(points: pd.DataFrame) -> tuple[float, float]:
    """One pair for both axes, with room around everything."""
    values = points[["zero", "mean"]].to_numpy()
    return float(min(1.5 * values.min(), 1.5 * WINDOW[0])), float(max(1.5 * values.max(), 1.5 * WINDOW[1]))


def _frame(axis: Axes, limits: tuple[float, float]) -> None:
    """Scales, the diagonal, and the paper's window."""
    axis.plot(limits, limits, color=INK, linewidth=1.0, label="_diagonal", zorder=4)
    side = WINDOW[1] - WINDOW[0]
    style = {"fill": False, "edgecolor": GREY, "linestyle": SHORT, "linewidth": 0.9, "zorder": 4}
    axis.add_patch(Rectangle((WINDOW[0], WINDOW[0]), side, side, **style))
    for which in "xy":
        power_axis(axis, which, FIRST, limits, apart=0.19)
    axis.tick_params(labelsize=8.5)
    axis.set_aspect("equal")


def _tints(colour: str) -> LinearSegmentedColormap:
    """From a light tint of a colour to a dark shade of it."""
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    light = [0.35 * part + 0.65 for part in (red, green, blue)]
    dark = [0.55 * part for part in (red, green, blue)]
    return LinearSegmentedColormap.from_list("tints", [light, (red, green, blue), dark])


def _shade(axis: Axes, cells: pd.DataFrame, colour: str, most: int) -> None:
    corners = [("left", "low"), ("right", "low"), ("right", "high"), ("left", "high")]
    boxes = np.stack([cells[list(corner)].to_numpy() for corner in corners], axis=1)
    style = {"edgecolors": "face", "linewidths": 0.2, "label": "_density"}
    shades = _tints(colour)(LogNorm(1, max(most, 2))(cells["count"]))
    axis.add_collection(PolyCollection(list(boxes), facecolors=shades, **style))


def _shades(most: int) -> list[Patch]:
    """Entries of one, several and many points in a cell."""
    counts = sorted({1, round(most**0.5), most})
    tints = _tints("#666666")
    return [
        Patch(
            color=tints(LogNorm(1, max(most, 2))(count)),
            label=f"{count:,} point{'s' * (count > 1)} in a cell",
        )
        for count in counts
    ]


def _shares(part: pd.DataFrame) -> str:
    """Share of points below the diagonal, and of ties, in words."""
    tied = (part["zero"] - part["mean"]).abs() <= TIE
    apart = part[~tied]
    share = f"{(apart['mean'] < apart['zero']).mean():.1%} below" if len(apart) else "none below"
    return f"{share}, {tied.mean():.1%} ties"
