"""What pruning of the last layer costs, and what fine-tuning gives back: accuracies and errors of the logits."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from prunebook.errors import InputError
from prunebook.pages.figures.coreset_parts import (
    BAND,
    DOTS,
    GREY,
    LOOKS,
    arrow_handles,
    cells,
    handle,
    label_axes,
    log_panels,
    mean_line,
    panels_of_cells,
    percent_axis,
    share_axis,
)
from prunebook.pages.figures.layout import grid, legend_below, panel_label
from prunebook.pages.figures.style import INK, Look, in_house_style

STATES = {
    "none": Look(INK, "o", (), "Right after pruning"),
    "last layer": Look("#3fa5dd", "s", (), "Last layer tuned"),
    "all layers": Look("#cc3311", "^", (), "All layers tuned"),
}
HEURISTICS = {
    "gates": "Accuracy, units\npruned by L0 gates",
    "magnitude": "Accuracy, weights\npruned by magnitude",
}
NOTHING = 1e-6  # a mean error of a logit that is rounding in single precision
_COLUMNS = ("method", "ratio", "sparsity", "tuned", "accuracy")
_DENSE = {"linestyle": DOTS, "linewidth": 1.4, "label": "Dense, tuned without pruning"}


def curve(axis: Axes, part: pd.DataFrame, column: str, style: dict) -> None:
    """Means over seeds against sparsity, with a band from the lowest to the highest.

    Gates reach other sparsities in every seed. Their means are of straight lines between what was measured, as far
    as all seeds go, and all that was measured is shown as points.
    """
    if part.empty:
        return
    if part["method"].iloc[0] != "gates":
        mean_line(axis, part, "sparsity", column, "ratio", style)
        return
    axis.plot(part["sparsity"], part[column], **(style | {"linestyle": "", "label": "_measured"}))
    seeds = [group.groupby("sparsity")[column].mean() for _, group in part.groupby("seed")]
    start, end = max(seed.index[0] for seed in seeds), min(seed.index[-1] for seed in seeds)
    x = np.unique(np.concatenate([seed.index for seed in seeds]))
    x = x[(start <= x) & (x <= end)]
    values = np.array([np.interp(x, seed.index, seed) for seed in seeds])
    axis.plot(x, values.mean(axis=0), **(style | {"marker": ""}))
    if len(seeds) > 1:
        axis.fill_between(x, values.min(axis=0), values.max(axis=0), color=style["color"], **BAND)


def dense_level(axis: Axes, cell: pd.DataFrame, column: str) -> bool:
    """Where the dense network gets when it is tuned in the same way. Says whether the table knows."""
    found = False
    for state, look in STATES.items():
        values = cell.loc[(cell["method"] == "dense") & (cell["tuned"] == state), column]
        if len(values):
            axis.axhline(values.mean(), **(_DENSE | {"color": look.colour, "label": f"_dense, {state}"}))
            found = True
    return found


def _regularised(recovery: pd.DataFrame, columns=()) -> list[tuple[str, pd.DataFrame]]:
    """The circumstances of the first reading."""
    found = cells(recovery, (*_COLUMNS, *columns), "recovery")
    kept = [(label, cell) for label, cell in found if cell["reading"].iloc[0] == "regularisation"]
    if not kept:
        raise InputError(
            f"the table recovery has no reading regularisation: it has {', '.join(recovery['reading'].unique())}"
        )
    return kept


@in_house_style
def fine_tuning(recovery: pd.DataFrame, *, case: str = "difficult", method: str = "deterministic") -> Figure:
    """Accuracy, error of the logits, and that error without each point's mean, which softmax does not see.

    All against sparsity, for one circumstance and one method. Errors are against the logits before pruning. Dotted:
    the dense network after the same fine-tuning, in the same colours.
    """
    found = dict(_regularised(recovery, ("error", "centred_error")))
    if case not in found:
        raise InputError(f"the table recovery has no case {case}: it has {', '.join(found)}")
    cell = found[case]
    part = cell[cell["method"] == method]
    if part.empty or method == "dense":
        there = sorted(set(cell["method"]) - {"dense"})
        raise InputError(f"the table recovery has no pruned networks of method {method}: it has {there}")
    figure, axes = grid(1, 3, 2.7)
    columns = {
        "accuracy": "Accuracy",
        "error": "Mean error of a logit",
        "centred_error": "Mean error, centred",
    }
    dense = False
    for place, (axis, (column, text)) in enumerate(zip(axes[0], columns.items(), strict=True)):
        for state, look in STATES.items():
            curve(axis, part[part["tuned"] == state], column, look.line)
        dense |= dense_level(axis, cell, column)
        axis.set_xlabel("Sparsity")
        panel_label(axis, place, text)
    share_axis(axes)
    percent_axis(axes[0, :1])
    arrows = log_panels(axes[0, 1:])
    shown = [look for state, look in STATES.items() if state in set(part["tuned"])]
    extra = [Line2D([], [], color=GREY, **_DENSE)] if dense else []
    legend_below(figure, [*map(handle, shown), *extra, *arrow_handles(arrows)])
    return figure


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
    dense, random = False, set(recovery["method"]) & {"random"}
    for column, (_, cell) in zip(axes.T, found, strict=True):
        for axis, method in zip(column, HEURISTICS, strict=True):
            curve(axis, _rows(cell, "random", "none"), "accuracy", LOOKS["random"].line)
            dense |= dense_level(axis, cell, "accuracy")
            for state, look in STATES.items():
                curve(axis, _rows(cell, method, state), "accuracy", look.line)
    share_axis(axes)
    percent_axis(axes.flat)
    label_axes(axes, "Sparsity", tuple(HEURISTICS.values()))
    extra = [handle(LOOKS["random"])] if random else []
    extra += [Line2D([], [], color=GREY, **_DENSE)] if dense else []
    shown = [look for state, look in STATES.items() if state in set(recovery["tuned"])]
    legend_below(figure, [*map(handle, shown), *extra])
    return figure


def _rows(cell: pd.DataFrame, method: str, state: str) -> pd.DataFrame:
    return cell[(cell["method"] == method) & (cell["tuned"] == state)]


@in_house_style
def error_and_accuracy(recovery: pd.DataFrame, tuned: str = "all layers") -> Figure:
    """Does the error right after pruning foretell what fine-tuning reaches? Share of wrong labels over that error.

    Above right after pruning, below after fine-tuning, for each network that was fine-tuned. A point a seed. Each
    circumstance has its own range of errors, the same in both rows. Errors below ``NOTHING`` count as zero.
    """
    found = cells(recovery, (*_COLUMNS, "error"), "recovery")
    if tuned not in STATES or tuned == "none":
        raise InputError(f"tuned must be last layer or all layers, not {tuned!r}")
    keys = ["reading", "case", "seed", "method", "ratio", "sparsity"]
    before = recovery[recovery["tuned"] == "none"][[*keys, "accuracy", "error"]]
    after = recovery[(recovery["tuned"] == tuned) & (recovery["method"] != "dense")][[*keys, "accuracy"]]
    # Several gates may reach the same sparsity and be the same network: one pair is enough.
    pairs = before.merge(after, on=keys, suffixes=("", "_after")).drop_duplicates([*keys, "accuracy_after"])
    shown = [method for method in LOOKS if method in set(pairs["method"])]
    if not shown:
        raise InputError(f"the table recovery has no pruned network with {tuned} tuned")
    figure, axes = panels_of_cells(found, 2, 2.2, sharex=False)
    arrows = False
    for column, (_, cell) in zip(axes.T, found, strict=True):
        mine = pairs[(pairs["reading"] == cell["reading"].iloc[0]) & (pairs["case"] == cell["case"].iloc[0])]
        for axis, accuracy in zip(column, ("accuracy", "accuracy_after"), strict=True):
            for method in shown:
                part = mine[mine["method"] == method]
                error = part["error"].where(part["error"] > NOTHING, 0.0)
                axis.plot(error, 1 - part[accuracy], **LOOKS[method].points)
        arrows |= log_panels(column, "x")
    arrows |= log_panels(axes.flat)
    for axis in axes.flat:
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    names = (STATES["none"].label.lower(), STATES[tuned].label.lower())
    label_axes(axes, "Error after pruning", [f"Wrong labels,\n{name}" for name in names])
    legend_below(
        figure, [*(Line2D([], [], **LOOKS[method].points) for method in shown), *arrow_handles(arrows)]
    )
    return figure
