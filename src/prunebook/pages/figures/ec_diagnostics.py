"""What lies behind the losses: where weights are kept, how far the first order holds, how stable rankings are."""

from collections.abc import Sequence
from itertools import count

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebook.errors import InputError
from prunebook.evidence.statistics.elimination_compensation import PAPER_METHODS
from prunebook.pages.figures.layout import column_heads, grid, log_axis, panel_label, ratio_axis, share_axis
from prunebook.pages.figures.lines import finish, mean_line
from prunebook.pages.figures.style import DOTS, INK, LOOKS, SHORT, grey, handle, in_house_style, look
from prunebook.pages.figures.tables import cells, present

MAIN = (*PAPER_METHODS[:4], "layerwise-obs", "wanda")
# A compensation looks like the method that applies it to elimination-compensation's ranking.
COMPENSATED = {
    "none": ("ec-ranking-only", "No shift"),
    "elimination": ("elimination-compensation", "Elimination-compensation"),
    "joint": ("joint-compensation", "Joint shifts"),
}
AGREEMENT = {"spearman": "Spearman's rank correlation", "overlap": "Share in common"}
_EVEN = {"color": INK, "linestyle": DOTS, "linewidth": 1.2, "label": "Same share in every layer"}
_EMPTY = {"marker": "x", "markersize": 9, "markeredgewidth": 2, "linestyle": ""}
_ACROSS = 3  # panels in a row


@in_house_style
def layers_kept(layers: pd.DataFrame, methods: Sequence[str] = MAIN) -> Figure:
    """Share of each layer's weights that is kept, by pruning ratio: means over seeds, a panel a layer.

    The dotted line keeps the same share everywhere. A cross marks a layer that is empty in at least one seed: the
    network's output is then a constant.
    """
    shown = present(layers, methods, "layers")
    layers = layers.assign(share=layers["kept"] / layers["weights"])
    networks, numbers = cells(layers), count()
    blocks = [-(-cell["layer"].nunique() // _ACROSS) for _, cell in networks]
    ratios = np.sort(layers.loc[layers["method"].isin(shown), "ratio"].unique())
    figure, axes = grid(sum(blocks), _ACROSS, 2.1, sharex=True, sharey=True)
    collapsed = False
    for block, (label, cell) in enumerate(networks):
        panels = axes[sum(blocks[:block]) : sum(blocks[: block + 1])].ravel()
        for axis, (layer, part) in zip(panels, cell.groupby("layer"), strict=False):
            size = f"layer {layer}, {part['weights'].iloc[0]:,} weights"
            panel_label(axis, next(numbers), f"{label}, layer {layer}" if len(networks) > 1 else size)
            axis.plot(ratios, 1 - ratios, **_EVEN, zorder=5)
            for method in shown:
                mine = part[part["method"] == method]
                mean_line(axis, mine, "ratio", "share", LOOKS[method], bands=())
                if len(empty := mine.loc[mine["kept"] == 0, "ratio"].unique()):
                    axis.plot(empty, 0 * empty, color=LOOKS[method].colour, **_EMPTY, clip_on=False)
                    collapsed = True
        for axis in panels[cell["layer"].nunique() :]:
            axis.set_visible(False)
    share_axis(axes.flat)
    ratio_axis(axes.flat, ratios)
    for axis in axes[:, 0]:
        axis.set_ylabel("Weights kept")
    extra = [grey("Layer empty in some seed", **_EMPTY | {"color": INK})] if collapsed else []
    return finish(figure, [*map(handle, shown), Line2D([], [], **_EVEN), *extra])


@in_house_style
def linearisation(table: pd.DataFrame) -> Figure:
    """Mean square output change of elimination-compensation's masks: to first order (dashed) and in truth (solid).

    Geometric means over seeds, with bands from the lowest to the highest seed. On the right, the true change over the
    one predicted: the first order holds where it is near 1.
    """
    if unknown := set(table["compensation"]) - set(COMPENSATED):
        raise InputError(f"no compensation {sorted(unknown)} to draw: choose among {sorted(COMPENSATED)}")
    table = table.assign(quotient=table["true"] / table["predicted"])
    rows = cells(table)
    shown = [name for name in COMPENSATED if name in set(table["compensation"])]
    figure, axes = grid(len(rows), 2, 2.75, sharex=True, sharey="col")
    column_heads(axes, ("Output change", "True / predicted"))
    for row, (label, cell) in enumerate(rows):
        left, right = axes[row]
        for name in shown:
            part, style = cell[cell["compensation"] == name], LOOKS[COMPENSATED[name][0]]
            solid = {"mean": "geometric", "linestyle": "-"}
            first = {"linestyle": SHORT, "marker": "", "linewidth": 1.1, "bands": (), "mean": "geometric"}
            mean_line(left, part, "ratio", "true", style, **solid)
            mean_line(left, part, "ratio", "predicted", style, **first)
            mean_line(right, part, "ratio", "quotient", style, **solid)
        right.axhline(1, color=INK, linewidth=1.1)
        left.set_ylabel("Mean square change")
        for side, axis in enumerate((left, right)):
            panel_label(axis, 2 * row + side, label)
    for axis in axes.flat:
        log_axis(axis)
    ratio_axis(axes.flat, table["ratio"])
    methods = [handle(COMPENSATED[name][0], label=COMPENSATED[name][1], linestyle="-") for name in shown]
    kinds = [grey("True change"), grey("First order", linestyle=SHORT)]
    return finish(figure, [*methods, *kinds], table)


@in_house_style
def stability(table: pd.DataFrame, *, column: str = "spearman") -> Figure:
    """Agreement between rankings from two halves of the training set: a point a seed, a bar at their mean.

    Args:
        table: the study's table ``stability``.
        column: "spearman", the rank correlation of all scores, or "overlap", the share of the lower half in common.
    """
    rankings, rows = list(dict.fromkeys(table["ranking"])), cells(table)
    lane = {name: 0.44 * ((place + 0.5) / len(rankings) - 0.5) for place, name in enumerate(rankings)}
    points = pd.concat([cell.assign(row=row) for row, (_, cell) in enumerate(rows)])
    means = points.assign(row=points["row"] + points["ranking"].map(lane))
    means = means.groupby(["ranking", "row"], as_index=False)[column].mean()
    seed = points.groupby(["row", "ranking"])["seed"].rank() - 1
    apart = 0.12 * (seed / max(seed.max(), 1) - 0.5)  # seeds that agree do not hide each other
    points["row"] += points["ranking"].map(lane) + apart
    figure, ((axis,),) = grid(1, 1, 0.5 + 0.45 * len(rows))
    look_of = {"hue": "ranking", "palette": {name: look(name).colour for name in rankings}}
    look_of |= {"x": column, "y": "row", "ax": axis, "legend": False}
    markers = {name: look(name).marker for name in rankings}
    sns.scatterplot(means, **look_of, marker="|", s=260, linewidth=2.2)
    sns.scatterplot(points, **look_of, style="ranking", markers=markers, s=32, zorder=3)
    axis.set_yticks(range(len(rows)), [label for label, _ in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(min(0, table[column].min()) - 0.02, 1.02)
    axis.grid(visible=False, axis="y")
    axis.set(xlabel=f"{AGREEMENT[column]} between halves of the training set", ylabel="")
    return finish(figure, [handle(name, linestyle="") for name in rankings])
