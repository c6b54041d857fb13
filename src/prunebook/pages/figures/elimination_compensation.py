"""Losses of pruned networks: by ratio, with and without compensation, and against one rival.

Every function draws one row of panels for each architecture and noise level that the table holds: hand in the part
of the table that the figure is to show.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebook.errors import InputError
from prunebook.evidence.intervals import half_width
from prunebook.evidence.statistics.elimination_compensation import PAPER_METHODS
from prunebook.pages.figures.ec_parts import dense_lines, end_axis, floor_lines, ratio_axis, spread
from prunebook.pages.figures.layout import column_heads, grid, legend_below, log_axis, panel_label
from prunebook.pages.figures.style import INK, handle, in_house_style, look
from prunebook.pages.figures.tables import (
    CELL,
    STAGES,
    cells,
    dodge,
    dodge_step,
    mean_of,
    need,
    positions,
    present,
    relative_to_dense,
)

NAMES = {"loss": "Test loss", "clean_loss": "Test loss, clean targets", "train_loss": "Training loss"}
ABLATION = ("elimination-compensation", "ec-ranking-only", "magnitude-compensated", "magnitude")
OURS = (
    "elimination-compensation",
    "joint-compensation",
    "mean-replacement",
    "obd",
    "layerwise-obs",
    "wanda",
)
_COLUMNS = (*CELL, "seed", "method", "ratio", "stage", "reached")
TOP = 1e5  # axes of losses end at this many times the loss of the dense network
_CELL_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b8578f", "#7a7a1f", "#332288")


@in_house_style
def losses_by_ratio(
    losses: pd.DataFrame,
    methods: Sequence[str] = PAPER_METHODS,
    *,
    column: str = "loss",
    mean: str = "arithmetic",
    floors: pd.DataFrame | None = None,
    names: Sequence[str] = ("noise",),
    top: float | int | None = None,
) -> Figure:
    """Losses right after pruning and after fine-tuning, with violins over three seeds or more.

    Lines join the means over seeds. Black lines are the dense network, with a band from the lowest to the highest
    seed. A narrower network stands at the ratio it reached. Means above the axis are marked and counted at its top.

    Args:
        losses: the study's table ``losses``.
        column: "loss", "clean_loss", "train_loss", or "accuracy", which is drawn in per cent.
        mean: "arithmetic", as in the paper, or "geometric".
        floors: the study's table ``floors``; of it, the rows ``names`` are drawn as dotted lines.
        top: where the axis of losses ends; None ends it at 100,000 times the loss of the dense network.
    """
    need(losses, (*_COLUMNS, column), "losses")
    if mean not in ("arithmetic", "geometric"):
        raise InputError(f"mean is {mean!r}: choose arithmetic or geometric")
    if losses[column].isna().all():
        raise InputError(f"the table losses has no values of {column}")
    percent = column == "accuracy"
    losses = losses.assign(value=losses[column] * (100 if percent else 1))
    shown, rows = present(losses, methods, "losses"), cells(losses)
    ticks = np.sort(losses.loc[losses["method"].isin(shown), "ratio"].unique())
    figure, axes = grid(len(rows), 2, 2.75, sharex=True, sharey="col")
    column_heads(axes, STAGES.values())
    extra: dict[str, Line2D] = {}
    for row, (label, cell) in enumerate(rows):
        for axis, stage in zip(axes[row], STAGES, strict=True):
            panel_label(axis, 2 * row + list(STAGES).index(stage), label)
            for place, method in enumerate(shown):
                part = cell[(cell["method"] == method) & (cell["stage"] == stage)]
                shift = dodge(place, len(shown), ticks)
                spread(axis, part, method, ticks, shift, dodge_step(len(shown), ticks), mean, log=not percent)
            extra |= dense_lines(axis, cell, stage, mean)
            if floors is not None:
                extra |= floor_lines(axis, floors, cell, names)
        axes[row, 0].set_ylabel("Test accuracy (%)" if percent else NAMES[column])
    if not percent:
        for panels in axes.T:
            end_axis(panels, _default_top(losses) if top is None else top)
    ratio_axis(axes, ticks)
    legend_below(figure, [*map(handle, shown), *extra.values()])
    return figure


def _default_top(losses: pd.DataFrame) -> float:
    dense = losses.loc[(losses["method"] == "dense") & (losses["stage"] == "trained"), "value"]
    return TOP * dense.max() if len(dense) else np.inf


def _relative(losses: pd.DataFrame, methods: Sequence[str], column: str) -> Figure:
    """Loss over the dense network's, geometric mean and range over seeds; thin lines join what is sparsely measured."""
    need(losses, (*_COLUMNS, column), "losses")
    shown = present(losses, methods, "losses")
    losses = relative_to_dense(losses, column)
    rows = cells(losses)
    ticks = np.sort(losses.loc[losses["method"].isin(shown), "ratio"].unique())
    figure, axes = grid(len(rows), 2, 2.75, sharex=True, sharey="col")
    column_heads(axes, STAGES.values())
    extra: dict[str, Line2D] = {}
    for row, (label, cell) in enumerate(rows):
        for side, (axis, stage) in enumerate(zip(axes[row], STAGES, strict=True)):
            panel_label(axis, 2 * row + side, label)
            here = cell[cell["stage"] == stage]
            for method in shown:
                groups = here[here["method"] == method].groupby("ratio")["relative"]
                if not len(groups):
                    continue
                x = positions(list(groups.groups), ticks)
                means = [mean_of(values, "geometric") for _, values in groups]
                whole = len(x) == len(ticks)
                axis.plot(x, means, **look(method).line, zorder=3, **({} if whole else {"linewidth": 0.7}))
                if (groups.size() > 1).any():
                    axis.fill_between(
                        x, groups.min(), groups.max(), color=look(method).colour, alpha=0.12, linewidth=0
                    )
            extra |= dense_lines(axis, cell.assign(value=cell["relative"]), stage, "geometric")
        axes[row, 0].set_ylabel("Loss / dense loss")
    for panels in axes.T:
        end_axis(panels, TOP)
    ratio_axis(axes, ticks)
    legend_below(figure, [*map(handle, shown), *extra.values()])
    return figure


@in_house_style
def ranking_by_compensation(losses: pd.DataFrame, *, column: str = "loss") -> Figure:
    """Two rankings, each with and without elimination-compensation's bias shifts, relative to the dense network.

    Geometric means over seeds of the loss over the loss of the same seed's dense network just before pruning, with
    bands from the lowest to the highest seed. Solid lines are the paper's methods, dashed ones the other half.
    """
    return _relative(losses, ABLATION, column)


@in_house_style
def ours_by_ratio(losses: pd.DataFrame, methods: Sequence[str] = OURS, *, column: str = "loss") -> Figure:
    """Methods that the paper lacks, next to elimination-compensation, relative to the dense network.

    As ``ranking_by_compensation``. After fine-tuning, some methods were measured at a few ratios only: markers tell
    which, and the lines between them are thin.
    """
    return _relative(losses, methods, column)


@in_house_style
def effect(
    losses: pd.DataFrame, method: str, against: str, *, column: str = "loss", level: float = 0.95
) -> Figure:
    """Loss of a method over that of a rival, paired by seed: mean of the logarithms with a Student interval.

    One line for each architecture and noise level, no interval for a single seed, no point at a ratio where some seed
    has no finite loss. Below 1 the method is better. The rival "dense" is the dense network before pruning on the
    left, and the one trained on, on the right.
    """
    need(losses, (*_COLUMNS, column), "losses")
    present(losses, [method], "losses"), present(losses, [against], "losses")
    rows = cells(losses)
    ticks = np.sort(losses.loc[losses["method"] == method, "ratio"].unique())
    figure, axes = grid(1, 2, 3.1, sharey=True)
    handles = []
    for place, (label, cell) in enumerate(rows):
        colour, marker = _CELL_COLOURS[place % len(_CELL_COLOURS)], "osD^vP"[place % 6]
        for axis, stage in zip(axes[0], STAGES, strict=True):
            points = _paired(cell, method, against, stage, column, level)
            x = positions(points.index, ticks) + dodge(place, len(rows), ticks)
            axis.plot(x, points["mean"], color=colour, marker=marker, linewidth=0.9)
            sure = points["low"].notna().to_numpy()
            axis.vlines(x[sure], points["low"][sure], points["high"][sure], color=colour, linewidth=1.6)
        handles.append(Line2D([], [], color=colour, marker=marker, label=label))
    for side, (axis, head) in enumerate(zip(axes[0], STAGES.values(), strict=True)):
        axis.axhline(1, color=INK, linewidth=1.1)
        panel_label(axis, side, head)
    log_axis(axes[0, 0])
    axes[0, 0].set_ylabel(f"Loss: {look(method).label}\n/ {look(against).label}")
    ratio_axis(axes, ticks)
    legend_below(figure, handles)
    return figure


def _paired(
    cell: pd.DataFrame, method: str, against: str, stage: str, column: str, level: float
) -> pd.DataFrame:
    """Mean ratio and interval by pruning ratio; the interval is missing for fewer than two seeds."""
    mine = cell[(cell["method"] == method) & (cell["stage"] == stage)]
    state = "trained" if against == "dense" and stage == "pruned" else stage
    theirs = cell[(cell["method"] == against) & (cell["stage"] == state)]
    keys = ["seed"] if against == "dense" else ["seed", "ratio"]
    pairs = mine[["seed", "ratio", column]].merge(theirs[[*keys, column]], on=keys, suffixes=("", "_rival"))
    quotient = pairs[column] / pairs[f"{column}_rival"]
    logs = np.log(quotient.where(np.isfinite(quotient) & (quotient > 0))).groupby(pairs["ratio"])
    n, mean = logs.size(), logs.mean(skipna=False)
    half = half_width(logs.std(skipna=False), n, level)
    return pd.DataFrame({"mean": np.exp(mean), "low": np.exp(mean - half), "high": np.exp(mean + half)})
