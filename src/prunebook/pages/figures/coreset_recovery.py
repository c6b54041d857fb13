"""What pruning of the last layer costs, and what fine-tuning gives back: accuracies and errors of the logits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import seaborn as sns

from prunebook.errors import InputError
from prunebook.pages.figures.coreset_parts import WAYS, by_case
from prunebook.pages.figures.curves import Axis, Curves, finish, off_axis
from prunebook.pages.figures.layout import Drawing, column_heads, grid, log_axis
from prunebook.pages.figures.style import DOTS, INK, LOOKS, RED, Look, handle, in_house_style

STATES = {
    "none": Look(INK, "o", (), "Right after pruning"),
    "last layer": Look("#3fa5dd", "s", (), "Last layer tuned"),
    "all layers": Look(RED, "^", (), "All layers tuned"),
}
CONTROLS = {f"dense, {state}": Look(look.colour, "", DOTS[1], f"{look.label}, dense") for state, look in STATES.items()}
RANDOM = replace(LOOKS["random"], label="Random weights")
HEURISTICS = {"gates": "Units by L0 gates", "magnitude": "Weights by magnitude"}
PRUNED = {name: LOOKS[name] for name in (*WAYS, "gates", "magnitude")} | {"random": RANDOM}
LOWEST = 0.01  # mean error of a logit at which the axis begins: what is less changes no label


def _curves(cell: pd.DataFrame, method: str) -> pd.DataFrame:
    """A method's rows with the state as the curve, beside the dense network that was tuned in the same way.

    Gates reach other sparsities in every seed: they are taken at the same places, on straight lines between what was
    measured, as far as all seeds go.
    """
    part = cell[cell["method"] == method].assign(point=lambda rows: rows["ratio"], curve=lambda rows: rows["tuned"])
    if method == "gates" and len(part):
        part = pd.concat(_between(state) for _, state in part.groupby("tuned"))
    ends = part["sparsity"].agg(["min", "max"])
    dense = cell[cell["method"] == "dense"].assign(curve=lambda rows: "dense, " + rows["tuned"])
    return pd.concat([part, *(dense.assign(sparsity=end, point=end) for end in ends)])


def _between(part: pd.DataFrame) -> pd.DataFrame:
    columns = [name for name in ("accuracy", "error", "centred_error") if name in part]
    seeds = {seed: group.groupby("sparsity")[columns].mean() for seed, group in part.groupby("seed")}
    start, end = max(v.index[0] for v in seeds.values()), min(v.index[-1] for v in seeds.values())
    x = np.unique(np.concatenate([values.index for values in seeds.values()]))
    x = x[(start <= x) & (x <= end)]
    one = part.iloc[0][["method", "tuned", "curve"]].to_dict()
    return pd.concat(
        pd.DataFrame(
            {"seed": seed, "sparsity": x, "point": x} | one | {c: np.interp(x, v.index, v[c]) for c in columns}
        )
        for seed, v in seeds.items()
    )


def _regularised(recovery: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The circumstances of the first reading."""
    rows = recovery[recovery["reading"] == "regularisation"]
    if rows.empty:
        there = ", ".join(recovery["reading"].unique())
        raise InputError(f"the table recovery has no reading regularisation: it has {there}")
    return dict(list(by_case(rows)[0].groupby("cell", sort=False)))


@in_house_style
def fine_tuning(recovery: pd.DataFrame, *, case: str = "difficult", method: str = "deterministic") -> Drawing:
    """Accuracy, error of the logits, and that error without each point's mean, which softmax does not see.

    All against sparsity, for one circumstance and one method. Errors are against the logits before pruning. Dotted:
    the dense network after the same fine-tuning, in the same colours.
    """
    found = _regularised(recovery)
    if case not in found:
        raise InputError(f"the table recovery has no case {case}: it has {', '.join(found)}")
    cell = found[case]
    if method == "dense" or not (cell["method"] == method).any():
        there = sorted(set(cell["method"]) - {"dense"})
        raise InputError(f"the table recovery has no pruned networks of method {method}: it has {there}")
    rows = _curves(cell, method)
    error = Axis("Mean error of a logit", "log")
    columns = {"accuracy": "Accuracy", "error": "Error", "centred_error": "Error, centred"}
    rows = pd.concat(
        rows.assign(panel=panel, quantity="accuracy" if column == "accuracy" else "error", y=rows[column])
        for column, panel in columns.items()
    )
    # Right after pruning nothing, there is no error: no place for a line on a logarithmic axis.
    rows = rows[(rows["curve"] != "dense, none") | (rows["quantity"] == "accuracy")]
    y = {"accuracy": Axis("Accuracy", "share"), "error": error}
    return Curves(rows.assign(x=rows["sparsity"]), STATES | CONTROLS, Axis("Sparsity", "share"), y, height=2.7).draw()


@in_house_style
def heuristics(recovery: pd.DataFrame) -> Drawing:
    """Wrong labels after pruning units by gates and weights by magnitude, before and after fine-tuning.

    Sparsity counts units in the upper row and weights in the lower one; the random reference prunes weights in both.
    Dotted: the dense network after the same fine-tuning. Gates reach other sparsities in every seed: pale points are
    what was measured.
    """
    found = _regularised(recovery)
    if not set(HEURISTICS) & set(recovery["method"]):
        raise InputError(f"the table recovery holds none of {', '.join(HEURISTICS)}")
    rows = []
    for method, words in HEURISTICS.items():
        for case, cell in found.items():
            plain = cell[(cell["method"] == "random") & (cell["tuned"] == "none")].assign(curve="random")
            mine = [_curves(cell, method)] if (cell["method"] == method).any() else []
            rows += [part.assign(panel=f"{case}\n{words}") for part in (plain.assign(point=plain["ratio"]), *mine)]
    rows = pd.concat(rows)
    rows = rows.assign(x=rows["sparsity"], y=100 * (1 - rows["accuracy"]))
    looks = STATES | CONTROLS | {"random": RANDOM}
    axis = Axis("Wrong labels (%)", "log")
    figure = Curves(rows, looks, Axis("Sparsity", "share"), {"": axis}, len(found), 2.1).draw()
    for panel, cell in zip(figure.axes, found.values(), strict=False):  # the upper row
        for state, part in cell[cell["method"] == "gates"].groupby("tuned"):
            style = STATES[state].points | {"alpha": 0.4, "markersize": 4, "label": "_measured"}
            panel.plot(part["sparsity"], 100 * (1 - part["accuracy"]), **style)
            for line in panel.lines:
                line.set_marker("" if line.get_label() == STATES[state].label else line.get_marker())
    return figure


@in_house_style
def error_and_accuracy(recovery: pd.DataFrame, tuned: str = "all layers") -> Drawing:
    """Does the error right after pruning foretell what fine-tuning reaches? Share of wrong labels over that error.

    Above right after pruning, below after fine-tuning, for each network that was fine-tuned. A point a seed. All
    circumstances share the range of errors. Those below ``LOWEST`` are arrows at its left end.
    """
    recovery, cases = by_case(recovery)
    if tuned not in STATES or tuned == "none":
        raise InputError(f"tuned must be last layer or all layers, not {tuned!r}")
    keys = ["cell", "seed", "method", "ratio", "sparsity"]
    before = recovery[recovery["tuned"] == "none"][[*keys, "accuracy", "error"]]
    after = recovery[(recovery["tuned"] == tuned) & (recovery["method"] != "dense")][[*keys, "accuracy"]]
    # Several gates may reach the same sparsity and be the same network: one pair is enough.
    pairs = before.merge(after, on=keys, suffixes=("", "_after")).drop_duplicates([*keys, "accuracy_after"])
    names = {"accuracy": STATES["none"].label.lower(), "accuracy_after": STATES[tuned].label.lower()}
    shown = [method for method in PRUNED if method in set(pairs["method"])]
    if not shown:
        raise InputError(f"the table recovery has no pruned network with {tuned} tuned")
    figure, axes = grid(2, len(cases), 2.2, sharex=True, sharey=True)
    column_heads(axes, cases)
    style = {"hue": "method", "hue_order": shown, "style": "method", "legend": False, "s": 26, "linewidth": 0.4}
    style |= {"palette": {name: PRUNED[name].colour for name in shown}}
    style |= {"markers": {name: PRUNED[name].marker for name in shown}}
    log_axis(axes[0, 0], "x", 5), log_axis(axes[0, 0], "y", 5)
    for (row, column), axis in np.ndenumerate(axes):
        mine = pairs[pairs["cell"] == list(cases)[column]]
        mine = mine.assign(wrong=100 * (1 - mine[list(names)[row]]))
        there = (mine["error"] >= LOWEST) & (mine["wrong"] > 0)
        sns.scatterplot(mine[there], x="error", y="wrong", ax=axis, **style)
        for method, part in mine[~there].groupby("method"):
            off_axis(axis, part.loc[part["error"] < LOWEST, "wrong"], 0.03, "left", PRUNED[method].colour, "x")
            off_axis(axis, part.loc[part["wrong"] <= 0, "error"], 0.03, "down", PRUNED[method].colour)
        axis.set(xlabel="Error after pruning" if row else "", ylabel=f"Wrong labels (%),\n{list(names.values())[row]}")
        axis.label_outer()
    axes[0, 0].set_xlim(left=LOWEST / 3)  # room for arrows
    figure.numbers, figure.note = pairs, f"A point a network, of {pairs['seed'].nunique()} seeds."
    return finish(figure, [handle(PRUNED[name], linestyle="") for name in shown])
