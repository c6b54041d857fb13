"""What lies behind the losses: where weights are kept, how far the first order holds, how stable rankings are."""

from collections.abc import Sequence
from itertools import count

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from prunebook.errors import InputError
from prunebook.evidence.statistics.elimination_compensation import PAPER_METHODS
from prunebook.pages.figures.ec_parts import ratio_axis
from prunebook.pages.figures.layout import column_heads, grid, legend_below, log_axis, panel_label
from prunebook.pages.figures.style import INK, handle, in_house_style, look
from prunebook.pages.figures.tables import CELL, cells, mean_of, need, positions, present

MAIN = (*PAPER_METHODS[:4], "layerwise-obs", "wanda")
# A compensation looks like the method that applies it to elimination-compensation's ranking.
COMPENSATED = {
    "none": ("ec-ranking-only", "No shift"),
    "elimination": ("elimination-compensation", "Elimination-compensation"),
    "joint": ("joint-compensation", "Joint shifts"),
}
_EVEN = {"color": INK, "linestyle": (0, (1, 1.5)), "linewidth": 1.2, "label": "Same share in every layer"}
_ACROSS = 3  # panels in a row


@in_house_style
def layers_kept(layers: pd.DataFrame, methods: Sequence[str] = MAIN) -> Figure:
    """Share of each layer's weights that are kept, by pruning ratio: means over seeds, a panel a layer.

    The dotted line keeps the same share everywhere. A cross marks a layer that is empty in at least one seed: the
    network's output is then a constant.
    """
    need(layers, (*CELL, "seed", "method", "ratio", "layer", "kept", "weights"), "layers")
    shown = present(layers, methods, "layers")
    layers = layers.assign(share=layers["kept"] / layers["weights"])
    networks, numbers = cells(layers), count()
    blocks = [-(-cell["layer"].nunique() // _ACROSS) for _, cell in networks]
    ticks = np.sort(layers.loc[layers["method"].isin(shown), "ratio"].unique())
    figure, axes = grid(sum(blocks), _ACROSS, 2.1, sharex=True, sharey=True)
    empty = False
    for block, (label, cell) in enumerate(networks):
        panels = axes[sum(blocks[:block]) : sum(blocks[: block + 1])].ravel()
        for axis, (layer, part) in zip(panels, cell.groupby("layer"), strict=False):
            size = f"layer {layer}, {part['weights'].iloc[0]:,} weights"
            panel_label(axis, next(numbers), f"{label}, layer {layer}" if len(networks) > 1 else size)
            axis.plot(positions(ticks, ticks), 1 - ticks, **_EVEN, zorder=5)
            for method in shown:
                groups = part[part["method"] == method].groupby("ratio")["share"]
                x, mask_lowest = positions(list(groups.groups), ticks), groups.min()
                axis.plot(x, groups.mean(), **look(method).line)
                collapsed = (mask_lowest == 0).to_numpy()
                if collapsed.any():
                    empty = True
                    axis.plot(
                        x[collapsed], mask_lowest[collapsed], **_cross(look(method).colour), clip_on=False
                    )
        for axis in panels[cell["layer"].nunique() :]:
            axis.set_visible(False)
    axes[0, 0].set_ylim(0, 1.04)
    axes[0, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for axis in axes[:, 0]:
        axis.set_ylabel("Weights kept")
    ratio_axis(axes, ticks)
    extra = [Line2D([], [], **_EVEN)]
    extra += [Line2D([], [], **_cross(INK), label="Layer empty in some seed")] if empty else []
    legend_below(figure, [*map(handle, shown), *extra])
    return figure


def _cross(colour: str) -> dict:
    return {"color": colour, "marker": "x", "markersize": 9, "markeredgewidth": 2, "linestyle": ""}


@in_house_style
def linearisation(table: pd.DataFrame) -> Figure:
    """Mean square output change of elimination-compensation's masks: to first order (dashed) and in truth (solid).

    Geometric means over seeds, with bands from the lowest to the highest seed. On the right, the true change over the
    one predicted: the first order holds where it is near 1.
    """
    need(table, (*CELL, "seed", "compensation", "ratio", "predicted", "true"), "linearisation")
    if unknown := set(table["compensation"]) - set(COMPENSATED):
        raise InputError(f"no compensation {sorted(unknown)} to draw: choose among {sorted(COMPENSATED)}")
    table = table.assign(quotient=table["true"] / table["predicted"])
    rows, ticks = cells(table), np.sort(table["ratio"].unique())
    figure, axes = grid(len(rows), 2, 2.75, sharex=True, sharey="col")
    column_heads(axes, ("Output change", "True / predicted"))
    for row, (label, cell) in enumerate(rows):
        for side, axis in enumerate(axes[row]):
            panel_label(axis, 2 * row + side, label)
        for compensation, part in cell.groupby("compensation", sort=False):
            style = look(COMPENSATED[compensation][0]).line | {"linestyle": "-"}
            for axis, column in ((axes[row, 0], "true"), (axes[row, 1], "quotient")):
                groups = part.groupby("ratio")[column]
                x = positions(list(groups.groups), ticks)
                axis.plot(x, groups.agg(mean_of, "geometric"), **style)
                if (groups.size() > 1).any():
                    axis.fill_between(
                        x, groups.min(), groups.max(), color=style["color"], alpha=0.15, linewidth=0
                    )
            predicted = part.groupby("ratio")["predicted"].agg(mean_of, "geometric")
            axes[row, 0].plot(
                positions(predicted.index, ticks),
                predicted,
                color=style["color"],
                dashes=(3, 1.5),
                linewidth=1.1,
            )
        axes[row, 0].set_ylabel("Mean square change")
        axes[row, 1].axhline(1, color=INK, linewidth=1.1)
    for axis in axes.flat:
        log_axis(axis)
    ratio_axis(axes, ticks)
    shown = [name for name in COMPENSATED if name in set(table["compensation"])]
    handles = [handle(COMPENSATED[name][0]) for name in shown]
    for line, name in zip(handles, shown, strict=True):
        line.set(label=COMPENSATED[name][1], linestyle="-")
    kinds = [Line2D([], [], color="#666666", label="True change")]
    kinds += [Line2D([], [], color="#666666", dashes=(3, 1.5), label="First order")]
    legend_below(figure, handles + kinds)
    return figure


@in_house_style
def stability(table: pd.DataFrame, *, column: str = "spearman") -> Figure:
    """Agreement between rankings from two halves of the training set: a point a seed, a bar at their mean.

    Args:
        table: the study's table ``stability``.
        column: "spearman", the rank correlation of all scores, or "overlap", the share of the lower half in common.
    """
    need(table, (*CELL, "seed", "ranking", column), "stability")
    rows, rankings = cells(table), list(dict.fromkeys(table["ranking"]))
    figure, axes = grid(1, 1, 0.5 + 0.45 * len(rows))
    axis = axes[0, 0]
    for row, (_, cell) in enumerate(rows):
        for place, ranking in enumerate(rankings):
            values = cell.loc[cell["ranking"] == ranking].sort_values("seed")[column].to_numpy()
            y = row + 0.44 * ((place + 0.5) / len(rankings) - 0.5)
            style = look(ranking)
            spread = np.linspace(-0.06, 0.06, len(values)) if len(values) > 1 else np.zeros(1)
            axis.plot(values, y + spread, **style.points)
            if len(values) > 1:
                axis.plot([values.mean()] * 2, [y - 0.12, y + 0.12], color=style.colour, linewidth=2.2)
    axis.set_yticks(range(len(rows)), [label for label, _ in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(min(0, table[column].min()) - 0.02, 1.02)
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(
        {"spearman": "Spearman's rank correlation", "overlap": "Share in common"}.get(column, column)
        + " between halves of the training set"
    )
    legend_below(figure, [handle(ranking, line=False) for ranking in rankings])
    return figure
