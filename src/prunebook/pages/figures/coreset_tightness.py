"""How tight a bound is: on inputs other than data, under a change of scale, and factor by factor."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from prunebook.errors import InputError
from prunebook.pages.figures.coreset_parts import case_looks, cells, shown_of
from prunebook.pages.figures.layout import grid, log_axis, panel_label
from prunebook.pages.figures.lines import finish, mean_line, off_axis
from prunebook.pages.figures.style import INK, LOOKS, RED, ZONE, Look, grey, handle, in_house_style
from prunebook.pages.numbers import factor

BOUNDS = {  # of the number of draws
    "stated": Look("#d55e00", "D", (), "Units, as stated"),
    "hoeffding": Look("#882255", "v", (), "Units, Hoeffding"),
    "weights": LOOKS["weights"],
}
INPUTS = {
    "data": Look(INK, "o", (), "Held-out data"),
    "ball": Look("#3fa5dd", "s", (), "Ball"),
    "orthant": Look(RED, "^", (), "Positive part of the ball"),
}
STEPS = {  # of the waterfall, in words that fit beside it
    "bound as stated": "As stated, all the ball",
    "all points": "Hoeffding, all images",
    "one pair": "One image, one class",
    "bound, all at once": "Bernstein, all images",
    "one event": "One image, class, sign",
    "exact variance": "Exact variance, worst",
    "Gaussian": "Normal tail",
    "both signs": "Both signs together",
    "Monte Carlo": "Real draws",
    "typical point": "Median image",
}


@in_house_style
def other_inputs(inputs: pd.DataFrame) -> Figure:
    """Mean (filled) and largest (hollow) error of sampled units on data and on points of the ball, and epsilon.

    The same sampled units see all inputs. Means over seeds; a line joins the mean and the largest error.
    """
    found = cells(inputs)
    kinds = [kind for kind in INPUTS if kind in set(inputs["inputs"])]
    if len(kinds) < inputs["inputs"].nunique():
        raise InputError(f"inputs must be of {', '.join(INPUTS)}, not {sorted(set(inputs['inputs']))}")
    figure, ((axis,),) = grid(1, 1, 0.5 + 0.62 * len(found))
    for row, (_, cell) in enumerate(found):
        means = cell.groupby("inputs")[["error", "error_max", "epsilon"]].mean()
        epsilon = cell.groupby("seed")["epsilon"].first().mean()
        axis.plot([epsilon] * 2, [row - 0.4, row + 0.4], color=INK, linewidth=2.6, label="_epsilon")
        for place, kind in enumerate(kinds):
            if kind not in means.index:
                continue
            look, y = INPUTS[kind], row + 0.26 * (place - (len(kinds) - 1) / 2)
            low, high = means.loc[kind, ["error", "error_max"]]
            axis.plot([low, high], [y, y], color=look.colour, linewidth=1.2, label="_range")
            axis.plot([low], [y], **look.points)
            axis.plot([high], [y], **(look.hollow | {"label": f"_{kind}"}))
    axis.set_yticks(range(len(found)), [label for label, _ in found])
    axis.set_ylim(len(found) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
    axis.set_xlabel("Error of a logit")
    log_axis(axis, "x", 5)
    handles = [handle(INPUTS[kind], linestyle="") for kind in kinds]
    handles += [grey("Mean", linestyle="", marker="o")]
    handles += [grey("Largest", linestyle="", marker="o", markerfacecolor="white")]
    return finish(figure, [*handles, grey("Error allowed: ε", color=INK, linewidth=2.6)])


@in_house_style
def scaling(table: pd.DataFrame) -> Figure:
    """The last layer times alpha: draws that half of the labels ask for, and whether the error allowed is kept.

    A thin line a circumstance, told apart by dashes. Right: largest error over points and classes, averaged over
    draws, over the error allowed: above 1 the guarantee is broken.
    """
    found = cells(table)
    if unknown := set(table["bound"]) - set(BOUNDS):
        raise InputError(f"no bound {', '.join(sorted(unknown))} to draw: choose among {', '.join(BOUNDS)}")
    dashes = {name: look.line["linestyle"] for name, look in case_looks(found).items()}
    figure, ((left, right),) = grid(1, 2, 3.0)
    for name, cell in found:
        for bound, look in BOUNDS.items():
            part = cell[cell["bound"] == bound]
            style = {"linewidth": 1.0, "linestyle": dashes[name], "positive": True}
            mean_line(left, part, "alpha", "samples", look, **style)
            if part["largest_over_epsilon"].notna().any():
                mean_line(right, part, "alpha", "largest_over_epsilon", look, **style)
    right.axhline(1, color=INK, linewidth=1.1, label="_one")
    for place, axis in enumerate((left, right)):
        log_axis(axis, "x", 5), log_axis(axis, "y", 5)
        axis.set_xlabel("Last layer times α")
        panel_label(axis, place)
    right.set_ylim(top=max(3, right.get_ylim()[1]))
    right.axhspan(1, right.get_ylim()[1], **ZONE)
    right.text(0.03, 0.97, "guarantee broken", transform=right.transAxes, va="top", color="#a32a0e")
    left.set_ylabel("Draws asked for")
    right.set_ylabel("Largest error / ε")
    handles = [handle(look) for bound, look in BOUNDS.items() if bound in set(table["bound"])]
    handles += [grey(case_looks(found)[name].label, linestyle=dash) for name, dash in dashes.items()]
    return finish(figure, handles, table)


@in_house_style
def waterfall(table: pd.DataFrame) -> Figure:
    """From the stated bound to what a typical point sees, one factor of the bound after the other measured.

    Large points are geometric means over circumstances and seeds, joined from step to step; small points are those of
    each circumstance. At each step, the factor to the one above: above 1, what was replaced had
    been too small.
    """
    found = cells(table)
    kinds = shown_of(table, "kind", list(dict.fromkeys(table["kind"])), "waterfall")
    looks, most = case_looks(found), table.groupby("kind")["name"].nunique().max()
    figure, axes = grid(1, len(kinds), 0.7 + 0.33 * most)
    for place, (axis, kind) in enumerate(zip(axes[0], kinds, strict=True)):
        part = table[table["kind"] == kind]
        steps = part.groupby("order")["name"].first()
        means = part.groupby("order")["epsilon"].agg(_geometric).to_numpy()
        there, rows = np.isfinite(means) & (means > 0), np.arange(len(means))
        joined = {"color": LOOKS[kind].colour, "linewidth": 1.8, "label": "_mean"}
        axis.plot(np.where(there, means, np.nan), rows, **joined)
        for lane, (label, cell) in enumerate(found):
            points = cell[cell["kind"] == kind].groupby("order")["epsilon"].agg(_geometric)
            y = steps.index.get_indexer(points.index) + 0.5 * ((lane + 0.5) / len(found) - 0.5)
            shown = (points > 0) & np.isfinite(points)
            style = looks[label].points | {"color": INK, "markersize": 4.5}
            axis.plot(points[shown], y[shown], **style, zorder=4)
            off_axis(axis, y[np.isposinf(points)], 0.97, "right", INK, "x")
            off_axis(axis, y[points <= 0], 0.03, "left", INK, "x")
        large = {"color": LOOKS[kind].colour, "s": 70, "zorder": 3, "legend": False}
        sns.scatterplot(x=means[there], y=rows[there], ax=axis, **large)
        log_axis(axis, "x", 5)
        for row, ratio in enumerate(means[1:] / means[:-1], 1):
            offset = {"xycoords": axis.get_yaxis_transform(), "textcoords": "offset points"}
            axis.annotate(factor(ratio), (1, row), (4, 0), va="center", fontsize=9, **offset)
        axis.set_yticks(rows, [STEPS.get(name, name) for name in steps])
        axis.set_ylim(len(means) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        axis.set(xlabel="Error of a logit" if kind == "neurons" else "Relative error", ylabel="")
        panel_label(axis, place, LOOKS[kind].label)
    handles = [handle(look, color=INK, linestyle="") for look in looks.values()]
    mean = grey("Mean, with the factor to the step above", marker="o", markersize=8, linewidth=1.8)
    return finish(figure, [*handles, mean])


def _geometric(values: pd.Series) -> float:
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(values).mean(skipna=False)))
