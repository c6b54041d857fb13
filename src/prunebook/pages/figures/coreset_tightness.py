"""How tight a bound is: on inputs other than data, under a change of scale, and factor by factor."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from prunebook.errors import InputError
from prunebook.pages.figures.coreset_parts import (
    GREY,
    LOOKS,
    ZONE,
    arrow_handles,
    case_looks,
    cells,
    grey,
    handle,
    log_panels,
    mean_line,
    shown_of,
)
from prunebook.pages.figures.layout import grid, legend_below, number, panel_label
from prunebook.pages.figures.style import INK, Look, in_house_style

BOUNDS = {  # of the number of draws
    "stated": Look("#d55e00", "D", (), "Units, as stated"),
    "hoeffding": Look("#882255", "v", (), "Units, Hoeffding"),
    "weights": Look("#0072b2", "o", (), "Weights"),
}
INPUTS = {
    "data": Look(INK, "o", (), "Held-out data"),
    "ball": Look("#3fa5dd", "s", (), "Ball"),
    "orthant": Look("#cc3311", "^", (), "Positive part of the ball"),
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
    found = cells(inputs, ("inputs", "epsilon", "error", "error_max"), "inputs")
    kinds = [kind for kind in INPUTS if kind in set(inputs["inputs"])]
    if len(kinds) < inputs["inputs"].nunique():
        raise InputError(f"inputs must be of {', '.join(INPUTS)}, not {sorted(set(inputs['inputs']))}")
    figure, axes = grid(1, 1, 0.5 + 0.62 * len(found))
    axis = axes[0, 0]
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
            hollow = {"markerfacecolor": "white", "markeredgecolor": look.colour, "markeredgewidth": 1.2}
            axis.plot([high], [y], **(look.points | hollow | {"label": f"_{kind}"}))
    axis.set_yticks(range(len(found)), [label for label, _ in found])
    axis.set_ylim(len(found) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
    axis.set_xlabel("Error of a logit")
    arrows = log_panels([axis], "x")
    handles = [Line2D([], [], **INPUTS[kind].points) for kind in kinds]
    handles += [grey("Mean", linestyle="", marker="o")]
    handles += [grey("Largest", linestyle="", marker="o", markerfacecolor="white")]
    handles += [Line2D([], [], color=INK, linewidth=2.6, label="Error allowed: ε"), *arrow_handles(arrows)]
    legend_below(figure, handles)
    return figure


@in_house_style
def scaling(table: pd.DataFrame) -> Figure:
    """The last layer times alpha: draws that half of the labels ask for, and whether the error allowed is kept.

    A thin line a circumstance, told apart by dashes. Right: largest error over points and classes, averaged over
    draws, over the error allowed: above 1 the guarantee is broken.
    """
    found = cells(table, ("bound", "alpha", "samples", "largest_over_epsilon"), "scaling")
    if unknown := set(table["bound"]) - set(BOUNDS):
        raise InputError(f"no bound {', '.join(sorted(unknown))} to draw: choose among {', '.join(BOUNDS)}")
    lines = [look.line["linestyle"] for look in case_looks(found).values()]
    figure, axes = grid(1, 2, 3.0)
    left, right = axes[0]
    for dash, (_, cell) in zip(lines, found, strict=True):
        for bound, look in BOUNDS.items():
            part = cell[cell["bound"] == bound]
            style = look.line | {"linewidth": 1.0, "linestyle": dash}
            if not part.empty:
                mean_line(left, part, "alpha", "samples", "alpha", style)
            if part["largest_over_epsilon"].notna().any():
                mean_line(right, part, "alpha", "largest_over_epsilon", "alpha", style)
    right.axhline(1, color=INK, linewidth=1.1, label="_one")
    arrows = log_panels([left]) | log_panels([right], high=3)
    right.axhspan(1, right.get_ylim()[1], **ZONE)
    right.text(0.03, 0.97, "guarantee broken", transform=right.transAxes, va="top", color="#a32a0e")
    for axis in axes[0]:
        log_panels([axis], "x", low=table["alpha"].min(), high=table["alpha"].max())
        axis.set_xlabel("Last layer times α")
    left.set_ylabel("Draws asked for")
    right.set_ylabel("Largest error / ε")
    panel_label(left, 0), panel_label(right, 1)
    handles = [handle(look) for bound, look in BOUNDS.items() if bound in set(table["bound"])]
    handles += [
        grey(look.label, linestyle=dash) for dash, look in zip(lines, case_looks(found).values(), strict=True)
    ]
    legend_below(figure, handles + arrow_handles(arrows))
    return figure


@in_house_style
def waterfall(table: pd.DataFrame) -> Figure:
    """From the stated bound to what a typical point sees, one factor of the bound after the other measured.

    Bars are geometric means over circumstances and seeds, points those of each circumstance. Right of each bar: its
    length over the one above. A factor above 1 means that what was replaced had been too small.
    """
    found = cells(table, ("kind", "order", "name", "epsilon"), "waterfall")
    kinds = shown_of(table, "kind", list(dict.fromkeys(table["kind"])), "waterfall")
    looks = case_looks(found)
    most = table.groupby("kind")["name"].nunique().max()
    figure, axes = grid(1, len(kinds), 0.7 + 0.33 * most)
    arrows = False
    for place, (axis, kind) in enumerate(zip(axes[0], kinds, strict=True)):
        part = table[table["kind"] == kind]
        steps = part.groupby("order")["name"].first()
        bars = part.groupby("order")["epsilon"].agg(_geometric)
        for lane, (label, cell) in enumerate(found):
            points = cell[cell["kind"] == kind].groupby("order")["epsilon"].agg(_geometric)
            style = looks[label].points | {"color": INK, "markersize": 4.5}
            y = steps.index.get_indexer(points.index) + 0.5 * ((lane + 0.5) / len(found) - 0.5)
            axis.plot(points, y, **style, zorder=4)
        arrows |= log_panels([axis], "x", low=bars.min() / 2)
        start = axis.get_xlim()[0]
        finite = bars.where(np.isfinite(bars), axis.get_xlim()[1])
        axis.barh(range(len(bars)), finite - start, 0.62, start, color=LOOKS[kind].colour, alpha=0.4)
        factors = (bars / bars.shift()).to_numpy()
        for row, factor in enumerate(factors[1:], 1):
            axis.annotate(
                _times(factor),
                (1, row),
                (4, 0),
                xycoords=axis.get_yaxis_transform(),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
        axis.set_yticks(range(len(bars)), [STEPS.get(name, name) for name in steps])
        axis.set_ylim(len(bars) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        axis.set_xlabel("Error of a logit" if kind == "neurons" else "Relative error")
        panel_label(axis, place, LOOKS[kind].label)
    handles = [Line2D([], [], **(look.points | {"color": INK})) for look in looks.values()]
    bar = Patch(color=GREY, alpha=0.4, label="Mean, with the factor to the bar above")
    legend_below(figure, [*handles, bar, *arrow_handles(arrows)])
    return figure


def _geometric(values: pd.Series) -> float:
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(values).mean(skipna=False)))


def _times(factor: float) -> str:
    """A factor in words: a division below 1."""
    if not np.isfinite(factor) or factor <= 0:
        return "–"
    return f"× {number(float(f'{factor:.2g}'))}" if factor >= 1 else f"÷ {number(float(f'{1 / factor:.2g}'))}"
