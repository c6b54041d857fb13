"""Elimination-compensation: losses of pruned networks, and what lies behind them.

A figure has a row of panels for each architecture and noise level that the table holds: hand in the part of the table
that it is to show.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.evidence.statistics.elimination_compensation import CELL, PAPER_METHODS
from prunebook.pages.figures.curves import Axis, Curves
from prunebook.pages.figures.dots import dots
from prunebook.pages.figures.layout import Drawing
from prunebook.pages.figures.style import INK, LEVEL_LOOKS, LOOKS, grey, in_house_style, look, spare
from prunebook.pages.figures.tables import cells, present, relative_to_dense
from prunebook.pages.vocabulary import LOSSES, STAGES

ABLATION = ("elimination-compensation", "ec-ranking-only", "magnitude-compensated", "magnitude")
OURS = ("elimination-compensation", "joint-compensation", "mean-replacement", "obd", "layerwise-obs", "wanda")
MAIN = (*PAPER_METHODS[:4], "layerwise-obs", "wanda")
TOP = 1e5  # axes of losses end at this many times the loss of the dense network
# A compensation looks like the method that applies it to elimination-compensation's ranking.
COMPENSATED = {"none": "ec-ranking-only", "elimination": "elimination-compensation", "joint": "joint-compensation"}
RATIO = Axis("Pruning ratio", "ratio")
EMPTY = {"marker": "x", "markersize": 9, "markeredgewidth": 2, "linestyle": ""}


@in_house_style
def losses_by_ratio(losses: pd.DataFrame, column: str = "loss", floors: pd.DataFrame | None = None) -> Drawing:
    """Losses right after pruning and after fine-tuning, of the paper's methods; the others can be explored.

    Black lines are the dense network. A narrower network stands at the ratio it reached. Means above the axis are
    marked and counted at its top.

    Args:
        losses: the study's table ``losses``.
        column: "loss", "clean_loss", "train_loss", or "accuracy", which is drawn in per cent.
        floors: the study's table ``floors``; its positive means are levels that no network is expected to pass, or that
            tell what it must have learnt.
    """
    if losses[column].isna().all():
        raise InputError(f"the table losses has no values of {column}")
    if column == "accuracy":
        return _by_stage(losses.assign(y=100 * losses[column]), PAPER_METHODS, Axis("Test accuracy (%)"))
    dense = losses.loc[(losses["method"] == "dense") & (losses["stage"] == "trained"), column]
    axis = Axis(LOSSES[column], "log", top=TOP * dense.max() if len(dense) else np.inf)
    return _by_stage(losses.assign(y=losses[column].fillna(np.inf)), PAPER_METHODS, axis, floors)


@in_house_style
def relative_losses(losses: pd.DataFrame, methods: Sequence[str], column: str = "loss") -> Drawing:
    """Losses over the loss of the same seed's dense network just before pruning; other methods can be explored.

    ``ABLATION`` are two rankings, each with and without elimination-compensation's bias shifts; ``OURS`` are methods
    that the paper lacks. Lines of methods that were fine-tuned at a few ratios only are thin there.
    """
    table = relative_to_dense(losses, column)
    return _by_stage(table.assign(y=table["relative"].fillna(np.inf)), methods, Axis("Loss / dense loss", "log", TOP))


def _by_stage(losses: pd.DataFrame, methods: Sequence[str], axis: Axis, floors: pd.DataFrame | None = None) -> Drawing:
    """The column ``y`` against ratio: for each cell, a panel right after pruning and one after fine-tuning."""
    losses = losses[losses["stage"] != "best"]  # of fine-tuning the end is shown
    shown = present(losses, methods, "losses")
    dense = losses[losses["method"] == "dense"].assign(method=lambda rows: rows["stage"])
    levels = [dense.assign(stage="fine-tuned"), dense[dense["stage"] == "trained"].assign(stage="pruned")]
    if floors is not None:
        means = floors.groupby([*CELL, "name"], as_index=False)["value"].mean().query("value > 0")
        means = means.rename(columns={"name": "method", "value": "y"}).assign(seed=losses["seed"].iloc[0])
        levels += [means.assign(stage=stage) for stage in STAGES]
    pruned = losses[(losses["method"] != "dense") & losses["stage"].isin(list(STAGES))]
    pruned, ends = pruned.assign(x=pruned["reached"]), pruned["ratio"].agg(["min", "max"])
    rows = pd.concat([pruned, *(level.assign(ratio=end, x=end) for level in levels for end in ends)])
    rows = rows.sort_values("stage", ascending=False, kind="stable")  # pruned, then fine-tuned
    rows = pd.concat(
        part.assign(panel=f"{label}, " + part["stage"].map(STAGES).str.lower()) for label, part in cells(rows)
    )
    rows = rows.assign(curve=rows["method"], point=rows["ratio"])
    looks = {name: LOOKS[name] for name in dict.fromkeys([*shown, *pruned["method"]])} | LEVEL_LOOKS
    return Curves(rows, looks, RATIO, {"": axis}, 2, 2.75, shown=[*shown, *LEVEL_LOOKS]).draw()


@in_house_style
def effect(losses: pd.DataFrame, method: str, against: str, *, column: str = "loss") -> Drawing:
    """Loss of a method over that of a rival, paired by seed: below 1 the method is better.

    A line for each architecture and noise level, no point at a ratio where some seed has no finite loss. The rival
    "dense" is the dense network before pruning on the left, and the one trained on, on the right.
    """
    present(losses, [method], "losses"), present(losses, [against], "losses")
    found = cells(losses)
    looks = spare([label for label, _ in found])
    pairs = pd.concat(
        _paired(cell, method, against, stage, column).assign(curve=label, panel=head)
        for stage, head in STAGES.items()
        for label, cell in found
    )
    axis = Axis(f"Loss: {look(method).label}\n/ {look(against).label}", "log", level=1)
    return Curves(pairs, looks, RATIO, {"": axis}, 2, 3.1).draw()


def _paired(cell: pd.DataFrame, method: str, against: str, stage: str, column: str) -> pd.DataFrame:
    """A row for each seed and ratio: ``y``, the quotient of the two losses, missing where not finite and positive."""
    mine = cell[(cell["method"] == method) & (cell["stage"] == stage)]
    state = "trained" if against == "dense" and stage == "pruned" else stage
    theirs = cell[(cell["method"] == against) & (cell["stage"] == state)]
    keys = ["seed"] if against == "dense" else ["seed", "ratio"]
    pairs = mine[["seed", "ratio", column]].merge(theirs[[*keys, column]], on=keys, suffixes=("", "_rival"))
    quotient = pairs[column] / pairs[f"{column}_rival"]
    return pairs.assign(x=pairs["ratio"], y=quotient.where(np.isfinite(quotient) & (quotient > 0)))


@in_house_style
def layers_kept(layers: pd.DataFrame) -> Drawing:
    """Share of each layer's weights that is kept, by pruning ratio, a panel a layer; more methods can be explored.

    The dotted line keeps the same share everywhere. A cross marks a layer that is empty in at least one seed: the
    network's output is then a constant.
    """
    shown = present(layers, MAIN, "layers")
    rows = layers.assign(curve=layers["method"], x=layers["ratio"], y=layers["kept"] / layers["weights"])
    even = rows[rows["method"] == rows["method"].iloc[0]]
    rows = pd.concat([rows, even.assign(curve="even", y=1 - even["ratio"], kept=1)])
    rows["panel"] = "layer " + rows["layer"].astype(str) + ", " + rows["weights"].map("{:,} weights".format)
    several = rows.groupby(CELL).ngroups > 1
    parts = [
        part.assign(panel=f"{label},\n" + part["panel"] if several else part["panel"]) for label, part in cells(rows)
    ]
    rows = pd.concat(part.sort_values("layer", kind="stable") for part in parts)
    looks = {name: LOOKS[name] for name in dict.fromkeys([*shown, *layers["method"]])} | LEVEL_LOOKS
    empty = rows[(rows["kept"] == 0) & rows["curve"].isin(shown)]
    curves = Curves(rows, looks, RATIO, {"": Axis("Weights kept", "share")}, 3, 2.1, shown=[*shown, "even"])
    figure = curves.draw(*([grey("Layer empty in some seed", **EMPTY | {"color": INK})] if len(empty) else []))
    names = list(dict.fromkeys(curves.drawn["panel"]))
    for (panel, method), part in empty.groupby(["panel", "curve"]):
        at = part["ratio"].unique()
        figure.axes[names.index(panel)].plot(at, 0 * at, color=LOOKS[method].colour, **EMPTY, clip_on=False)
    return figure


@in_house_style
def linearisation(table: pd.DataFrame) -> Drawing:
    """Mean square output change of elimination-compensation's masks: to first order (dashed) and in truth (solid).

    On the right, the true change over the one predicted: the first order holds where it is near 1.
    """
    if unknown := set(table["compensation"]) - set(COMPENSATED):
        raise InputError(f"no compensation {sorted(unknown)} to draw: choose among {sorted(COMPENSATED)}")
    table = table.assign(curve=table["compensation"].map(COMPENSATED), x=table["ratio"])
    rows = pd.concat(
        part.assign(panel=f"{label}, {what}", quantity=quantity, kind=kind, y=part["true"] / by)
        for label, cell in cells(table)
        for what, quantity, kind, part, by in (
            ("output change", "change", "True change", cell, 1),
            ("output change", "change", "First order", cell, cell["true"] / cell["predicted"]),
            ("true / predicted", "quotient", "True change", cell, cell["predicted"]),
        )
    )
    axes = {"change": Axis("Mean square change", "log"), "quotient": Axis("True / predicted", "log", top=1e3, level=1)}
    return Curves(rows, {name: LOOKS[name] for name in COMPENSATED.values()}, RATIO, axes, 2, 2.75).draw()


@in_house_style
def stability(table: pd.DataFrame) -> Drawing:
    """Rank correlation of the scores from two halves of the training set; lines are the thresholds of the claim."""
    rows = pd.concat(part.assign(row=label) for label, part in cells(table))
    rows = rows.assign(panel="", curve=rows["ranking"], x=rows["spearman"])
    looks = {name: look(name) for name in dict.fromkeys(rows["ranking"])}
    axis = Axis("Spearman's rank correlation between halves of the training set")
    figure = dots(rows, looks, axis, levels=(0.5, 0.9), across=1, height=0.6)
    figure.axes[0].set_xlim(min(0, table["spearman"].min()) - 0.02, 1.02)
    return figure
