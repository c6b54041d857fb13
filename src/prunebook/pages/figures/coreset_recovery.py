"""What pruning of the last layer costs, and what fine-tuning gives back: accuracies and errors of the logits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from prunebook.errors import InputError
from prunebook.pages.figures.coreset_parts import WAYS, cells, label_axes, panels_of_cells
from prunebook.pages.figures.layout import grid, log_axis, panel_label, share_axis
from prunebook.pages.figures.lines import finish, mean_line, off_axis
from prunebook.pages.figures.style import DOTS, INK, LOOKS, RED, Look, grey, handle, in_house_style

STATES = {
    "none": Look(INK, "o", (), "Right after pruning"),
    "last layer": Look("#3fa5dd", "s", (), "Last layer tuned"),
    "all layers": Look(RED, "^", (), "All layers tuned"),
}
HEURISTICS = {"gates": "Accuracy, units\npruned by L0 gates", "magnitude": "Accuracy, weights\npruned by magnitude"}
RANDOM = replace(LOOKS["random"], label="Random weights")
PRUNED = {name: LOOKS[name] for name in (*WAYS, "gates", "magnitude")} | {"random": RANDOM}
LOWEST = 0.01  # mean error of a logit at which the axis begins: what is less changes no label
_DENSE = {"linestyle": DOTS, "linewidth": 1.4, "label": "Dense, tuned without pruning"}


def curve(axis: Axes, part: pd.DataFrame, column: str, look: Look, **style) -> None:
    """Means over seeds against sparsity, with a band from the lowest to the highest.

    Gates reach other sparsities in every seed. Their means are of straight lines between what was measured, as far
    as all seeds go, and all that was measured is shown as points.
    """
    if part.empty or part["method"].iloc[0] != "gates":
        mean_line(axis, part, "sparsity", column, look, point="ratio", **style)
        return
    axis.plot(part["sparsity"], part[column], **(look.points | {"label": "_measured"}))
    seeds = {seed: group.groupby("sparsity")[column].mean() for seed, group in part.groupby("seed")}
    start = max(values.index[0] for values in seeds.values())
    end = min(values.index[-1] for values in seeds.values())
    x = np.unique(np.concatenate([values.index for values in seeds.values()]))
    x = x[(start <= x) & (x <= end)]
    between = pd.concat(
        pd.DataFrame({"seed": seed, "x": x, column: np.interp(x, values.index, values)})
        for seed, values in seeds.items()
    )
    mean_line(axis, between, "x", column, look, marker="", **style)


def dense_level(axis: Axes, cell: pd.DataFrame, column: str) -> bool:
    """Where the dense network gets when it is tuned in the same way. Says whether the table knows."""
    found = False
    for state, look in STATES.items():
        values = cell.loc[(cell["method"] == "dense") & (cell["tuned"] == state), column]
        # Right after pruning nothing, there is no error: no place for a line on a logarithmic axis.
        if len(values) and (column == "accuracy" or values.mean() > 0):
            axis.axhline(values.mean(), **(_DENSE | {"color": look.colour, "label": f"_dense, {state}"}))
            found = True
    return found


def _regularised(recovery: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The circumstances of the first reading."""
    kept = [(name, cell) for name, cell in cells(recovery) if cell["reading"].iloc[0] == "regularisation"]
    if not kept:
        there = ", ".join(recovery["reading"].unique())
        raise InputError(f"the table recovery has no reading regularisation: it has {there}")
    return kept


@in_house_style
def fine_tuning(recovery: pd.DataFrame, *, case: str = "difficult", method: str = "deterministic") -> Figure:
    """Accuracy, error of the logits, and that error without each point's mean, which softmax does not see.

    All against sparsity, for one circumstance and one method. Errors are against the logits before pruning. Dotted:
    the dense network after the same fine-tuning, in the same colours.
    """
    found = dict(_regularised(recovery))
    if case not in found:
        raise InputError(f"the table recovery has no case {case}: it has {', '.join(found)}")
    cell = found[case]
    part = cell[cell["method"] == method]
    if part.empty or method == "dense":
        there = sorted(set(cell["method"]) - {"dense"})
        raise InputError(f"the table recovery has no pruned networks of method {method}: it has {there}")
    figure, axes = grid(1, 3, 2.7)
    columns = {"accuracy": "Accuracy", "error": "Mean error of a logit"}
    columns["centred_error"] = "Mean error, centred"
    dense = False
    for place, (axis, (column, text)) in enumerate(zip(axes[0], columns.items(), strict=True)):
        for state, look in STATES.items():
            curve(axis, part[part["tuned"] == state], column, look, positive=place > 0)
        dense |= dense_level(axis, cell, column)
        axis.set_xlabel("Sparsity")
        panel_label(axis, place, text)
    share_axis(axes.flat, "x")
    share_axis(axes[0, :1])
    axes[0, 1].sharey(axes[0, 2])
    for axis in axes[0, 1:]:
        log_axis(axis, most=5)
    return finish(figure, [*_states(part), *_dense_handle(dense)], part)


def _states(table: pd.DataFrame) -> list[Line2D]:
    return [handle(look) for state, look in STATES.items() if state in set(table["tuned"])]


def _dense_handle(dense: bool) -> list[Line2D]:
    return [grey(**_DENSE)] if dense else []


@in_house_style
def heuristics(recovery: pd.DataFrame) -> Figure:
    """Accuracy after pruning units by gates and weights by magnitude, before and after fine-tuning.

    Sparsity counts units in the upper row and weights in the lower one; the random reference prunes weights in both.
    Dotted: the dense network after the same fine-tuning.
    """
    found = _regularised(recovery)
    if not set(HEURISTICS) & set(recovery["method"]):
        raise InputError(f"the table recovery holds none of {', '.join(HEURISTICS)}")
    figure, axes = panels_of_cells(found, len(HEURISTICS), 2.1)
    dense = False
    for column, (_, cell) in zip(axes.T, found, strict=True):
        for axis, method in zip(column, HEURISTICS, strict=True):
            random = cell[(cell["method"] == "random") & (cell["tuned"] == "none")]
            curve(axis, random, "accuracy", RANDOM)
            dense |= dense_level(axis, cell, "accuracy")
            for state, look in STATES.items():
                part = cell[(cell["method"] == method) & (cell["tuned"] == state)]
                curve(axis, part, "accuracy", look)
    share_axis(axes.flat, "x", few=len(found) > 3)
    share_axis(axes.flat)
    label_axes(axes, "Sparsity", tuple(HEURISTICS.values()))
    extra = [handle(RANDOM)] if "random" in set(recovery["method"]) else []
    return finish(figure, [*_states(recovery), *extra, *_dense_handle(dense)], recovery)


@in_house_style
def error_and_accuracy(recovery: pd.DataFrame, tuned: str = "all layers") -> Figure:
    """Does the error right after pruning foretell what fine-tuning reaches? Share of wrong labels over that error.

    Above right after pruning, below after fine-tuning, for each network that was fine-tuned. A point a seed. All
    circumstances share the range of errors. Those below ``LOWEST`` are arrows at its left end.
    """
    found = cells(recovery)
    if tuned not in STATES or tuned == "none":
        raise InputError(f"tuned must be last layer or all layers, not {tuned!r}")
    keys = ["reading", "case", "seed", "method", "ratio", "sparsity"]
    before = recovery[recovery["tuned"] == "none"][[*keys, "accuracy", "error"]]
    after = recovery[(recovery["tuned"] == tuned) & (recovery["method"] != "dense")][[*keys, "accuracy"]]
    # Several gates may reach the same sparsity and be the same network: one pair is enough.
    pairs = before.merge(after, on=keys, suffixes=("", "_after")).drop_duplicates([*keys, "accuracy_after"])
    pairs = pairs.assign(before=1 - pairs["accuracy"], after=1 - pairs["accuracy_after"])
    shown = [method for method in PRUNED if method in set(pairs["method"])]
    if not shown:
        raise InputError(f"the table recovery has no pruned network with {tuned} tuned")
    figure, axes = panels_of_cells(found, 2, 2.2, sharex=True, sharey=True)
    style = {"hue": "method", "hue_order": shown, "style": "method", "legend": False, "s": 26, "linewidth": 0.4}
    style |= {"palette": {name: PRUNED[name].colour for name in shown}}
    style |= {"markers": {name: PRUNED[name].marker for name in shown}}
    for column, (_, cell) in zip(axes.T, found, strict=True):
        mine = pairs[(pairs["reading"] == cell["reading"].iloc[0]) & (pairs["case"] == cell["case"].iloc[0])]
        for axis, wrong in zip(column, ("before", "after"), strict=True):
            there = mine[(mine["error"] >= LOWEST) & (mine[wrong] > 0)]
            sns.scatterplot(there, x="error", y=wrong, ax=axis, **style)
            log_axis(axis, "x", 5), log_axis(axis, "y", 5)
            for method, part in mine[mine["error"] < LOWEST].groupby("method"):
                off_axis(axis, part[wrong], 0.03, "left", PRUNED[method].colour, "x")
            for method, part in mine[mine[wrong] <= 0].groupby("method"):
                off_axis(axis, part["error"], 0.03, "down", PRUNED[method].colour)
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
            axis.set(xlabel="", ylabel="")
    axes[0, 0].set_xlim(left=LOWEST / 3)  # room for arrows
    names = (STATES["none"].label.lower(), STATES[tuned].label.lower())
    label_axes(axes, "Error after pruning", [f"Wrong labels,\n{name}" for name in names])
    return finish(figure, [handle(PRUNED[name], linestyle="") for name in shown])
