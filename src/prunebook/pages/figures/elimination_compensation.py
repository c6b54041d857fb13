"""Losses of pruned networks: by ratio, with and without compensation, and against one rival.

Every function draws one row of panels for each architecture and noise level that the table holds: hand in the part
of the table that the figure is to show. Lines join the means over seeds, bands reach from the lowest to the highest.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebook.errors import InputError
from prunebook.evidence.statistics.elimination_compensation import CELL, PAPER_METHODS
from prunebook.pages.figures.layout import column_heads, grid, log_axis, panel_label, ratio_axis
from prunebook.pages.figures.lines import band_handle, dense_levels, end_axis, finish, mean_line
from prunebook.pages.figures.style import DOTS, INK, LOOKS, SPARE, handle, in_house_style, look
from prunebook.pages.figures.tables import cells, present, relative_to_dense
from prunebook.pages.vocabulary import FLOORS, LOSSES, STAGES

ABLATION = ("elimination-compensation", "ec-ranking-only", "magnitude-compensated", "magnitude")
OURS = ("elimination-compensation", "joint-compensation", "mean-replacement", "obd", "layerwise-obs", "wanda")
TOP = 1e5  # axes of losses end at this many times the loss of the dense network
_FLOOR_DASHES = (DOTS, (0, (4, 1.5, 1, 1.5)), (0, (3, 3)))


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
    """Losses right after pruning and after fine-tuning.

    Black lines are the dense network. A narrower network stands at the ratio it reached. Means above the axis are
    marked and counted at its top.

    Args:
        losses: the study's table ``losses``.
        column: "loss", "clean_loss", "train_loss", or "accuracy", which is drawn in per cent.
        mean: "arithmetic", as in the paper, or "geometric".
        floors: the study's table ``floors``; of it, the rows ``names`` are drawn as dotted lines.
        top: where the axis of losses ends; None ends it at 100,000 times the loss of the dense network.
    """
    if mean not in ("arithmetic", "geometric"):
        raise InputError(f"mean is {mean!r}: choose arithmetic or geometric")
    if losses[column].isna().all():
        raise InputError(f"the table losses has no values of {column}")
    percent = column == "accuracy"
    losses = losses.assign(value=100 * losses[column] if percent else losses[column])
    if top is None:
        dense = losses.loc[(losses["method"] == "dense") & (losses["stage"] == "trained"), "value"]
        top = TOP * dense.max() if len(dense) else np.inf
    label = "Test accuracy (%)" if percent else LOSSES[column]
    marks = None if floors is None else floors[floors["name"].isin(names)]
    return _by_stage(losses, methods, label, mean, None if percent else top, marks)


def _by_stage(
    losses: pd.DataFrame,
    methods: Sequence[str],
    label: str,
    mean: str,
    top: float | int | None,
    floors: pd.DataFrame | None = None,
) -> Figure:
    """The column ``value`` against ratio: a row of panels a cell, a column a stage; logarithmic if there is a top.

    Lines of methods that were measured at some of the ratios only are thin.
    """
    shown, rows = present(losses, methods, "losses"), cells(losses)
    ratios = losses.loc[losses["method"].isin(shown), "ratio"].unique()
    figure, axes = grid(len(rows), 2, 2.75, sharex=True, sharey="col")
    column_heads(axes, STAGES.values())
    drawn, extra = {}, {}
    for (row, side), axis in np.ndenumerate(axes):
        stage, (name, cell) = list(STAGES)[side], rows[row]
        panel_label(axis, 2 * row + side, name)
        found = []
        for method in shown:
            part = cell[(cell["method"] == method) & (cell["stage"] == stage)]
            # A network without a finite loss exploded: it has its place above the axis.
            part = part.assign(value=part["value"].fillna(np.inf)) if top else part
            style = {"zorder": 4 if method == "elimination-compensation" else 3}
            style |= {} if part["ratio"].nunique() == len(ratios) else {"linewidth": 0.7}
            style |= {"point": "ratio", "mean": mean, "positive": bool(top), "top": top or np.inf}
            found.append(mean_line(axis, part, "reached", "value", LOOKS[method], **style))
        drawn[row, side] = pd.concat(found)
        extra |= dense_levels(axis, cell[cell["method"] == "dense"], stage, mean)
        extra |= _floors(axis, floors, cell)
        axis.set_ylabel(label if side == 0 else "")
    if top:
        for side in (0, 1):
            end_axis(list(axes[:, side]), [drawn[row, side] for row in range(len(rows))], top)
    ratio_axis(axes.flat, ratios)
    return finish(figure, [*map(handle, shown), *extra.values()], losses, arrows=False)


def _floors(axis, floors: pd.DataFrame | None, cell: pd.DataFrame) -> dict[str, Line2D]:
    """Positive losses that no network is expected to pass, or that tell what it must have learnt."""
    if floors is None:
        return {}
    means = floors.merge(cell[CELL].drop_duplicates(), on=CELL).groupby("name", sort=False)["value"].mean()
    found = {}
    for (name, value), dash in zip(means.items(), _FLOOR_DASHES, strict=False):
        if value > 0:
            style = {"color": "#b30000", "linewidth": 1.2, "linestyle": dash}
            style["label"] = FLOORS.get(name, name.capitalize())
            axis.axhline(value, zorder=2, **style)
            found[name] = Line2D([], [], **style)
    return found


@in_house_style
def ranking_by_compensation(losses: pd.DataFrame, *, column: str = "loss") -> Figure:
    """Two rankings, each with and without elimination-compensation's bias shifts, relative to the dense network.

    Geometric means over seeds of the loss over the loss of the same seed's dense network just before pruning. Solid
    lines are the paper's methods, dashed ones the other half.
    """
    return _relative(losses, ABLATION, column)


@in_house_style
def ours_by_ratio(losses: pd.DataFrame, methods: Sequence[str] = OURS, *, column: str = "loss") -> Figure:
    """Methods that the paper lacks, next to elimination-compensation, relative to the dense network.

    As ``ranking_by_compensation``. After fine-tuning, some methods were measured at a few ratios only: markers tell
    which, and the lines between them are thin.
    """
    return _relative(losses, methods, column)


def _relative(losses: pd.DataFrame, methods: Sequence[str], column: str) -> Figure:
    table = relative_to_dense(losses, column)
    table = table.assign(value=table["relative"])
    return _by_stage(table, methods, "Loss / dense loss", "geometric", TOP)


@in_house_style
def effect(losses: pd.DataFrame, method: str, against: str, *, column: str = "loss", level: float = 0.95) -> Figure:
    """Loss of a method over that of a rival, paired by seed: mean of the logarithms with a Student interval.

    One line for each architecture and noise level, no interval for a single seed, no point at a ratio where some seed
    has no finite loss. Below 1 the method is better. The rival "dense" is the dense network before pruning on the
    left, and the one trained on, on the right.
    """
    present(losses, [method], "losses"), present(losses, [against], "losses")
    rows = cells(losses)
    looks = [SPARE[place % len(SPARE)] for place in range(len(rows))]
    figure, axes = grid(1, 2, 3.1, sharey=True)
    for side, (axis, (stage, head)) in enumerate(zip(axes[0], STAGES.items(), strict=True)):
        for each, (_, cell) in zip(looks, rows, strict=True):
            points = _paired(cell, method, against, stage, column)
            mean_line(axis, points, "ratio", "quotient", each, mean="geometric", bands=(level,))
        axis.axhline(1, color=INK, linewidth=1.1)
        log_axis(axis)
        panel_label(axis, side, head)
    axes[0, 0].set_ylabel(f"Loss: {look(method).label}\n/ {look(against).label}")
    ratio_axis(axes.flat, losses.loc[losses["method"] == method, "ratio"])
    handles = [handle(each, label=name) for each, (name, _) in zip(looks, rows, strict=True)]
    return finish(figure, [*handles, band_handle(f"{level:.0%} interval")])


def _paired(cell: pd.DataFrame, method: str, against: str, stage: str, column: str) -> pd.DataFrame:
    """A row for each seed and ratio: ``quotient`` of the two losses, missing where it is not finite and positive."""
    mine = cell[(cell["method"] == method) & (cell["stage"] == stage)]
    state = "trained" if against == "dense" and stage == "pruned" else stage
    theirs = cell[(cell["method"] == against) & (cell["stage"] == state)]
    keys = ["seed"] if against == "dense" else ["seed", "ratio"]
    pairs = mine[["seed", "ratio", column]].merge(theirs[[*keys, column]], on=keys, suffixes=("", "_rival"))
    quotient = pairs[column] / pairs[f"{column}_rival"]
    return pairs.assign(quotient=quotient.where(np.isfinite(quotient) & (quotient > 0)))
