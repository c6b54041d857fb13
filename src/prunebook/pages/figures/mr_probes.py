"""Further questions to the weights of some steps: which constant, what is left of a signed score, single units.

Lines, bands, networks and ``until`` as in ``prunebook.pages.figures.mr_parts``.
"""

from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import spearmanr

from prunebook.errors import InputError
from prunebook.pages.figures.coreset_parts import DOTS, arrow_handles, grey, handle, log_panels
from prunebook.pages.figures.layout import grid, log_axis, panel_label
from prunebook.pages.figures.mr_parts import (
    COLOURS,
    FORETOLD,
    GROUND,
    LOOKS,
    SETS,
    SIGNED,
    ZERO_LINE,
    band_handles,
    by_seed,
    choose,
    finish,
    scores_in,
    seed_line,
    step_axis,
    symlog_axis,
)
from prunebook.pages.figures.style import INK, in_house_style

_SHADES = ("o", "s", "^", "D", "v", "P", "X", "*")


@in_house_style
def multiples_of_mean(constants: pd.DataFrame, *, net: str | None = None) -> Figure:
    """Penalty with the constant alpha times the mean, averaged over the steps measured: is alpha = 1 the best?

    A ring marks the lowest mean on the grid. Columns are layer sets, signed scores have a row of their own.
    """
    rows = choose(constants, ("step", "set", "score", "alpha", "penalty"), "constants", net=net)
    shown = scores_in(rows)
    groups = [g for g in ([s for s in shown if s not in SIGNED], [s for s in shown if s in SIGNED]) if g]
    sets = [name for name in SETS if name in set(rows["set"])]
    figure, axes = grid(len(groups), len(sets), 2.4, sharex=True)
    for place, (axis, (scores, name)) in enumerate(
        zip(axes.flat, [(scores, name) for scores in groups for name in sets], strict=True)
    ):
        axis.axvline(1, color=INK, linewidth=1.0, linestyle=DOTS, label="_mean")
        drawn = []
        for score in scores:
            part = rows[(rows["set"] == name) & (rows["score"] == score)]
            seed_line(axis, part, "alpha", "penalty", LOOKS[score].line)
            means = by_seed(part, "alpha", "penalty").mean(axis=1, skipna=False)
            drawn += means.tolist()
            if means.notna().any():
                ring = {"marker": "o", "markersize": 12, "markeredgewidth": 1.3, "markerfacecolor": "none"}
                axis.plot([means.idxmin()], [means.min()], color=COLOURS[score], label="_least", **ring)
        symlog_axis([axis], drawn)
        panel_label(axis, place, f"{SETS[name]}, {'signed' if scores[0] in SIGNED else 'unsigned'}")
    for axis in axes[:, 0]:
        axis.set_ylabel("Penalty")
    for axis in axes[-1]:
        axis.set_xlabel("Constant / mean activation")
    ring = grey("Least on this grid", linestyle="", marker="o", markersize=10, markerfacecolor="none")
    mean = grey("The mean", color=INK, linewidth=1, linestyle=DOTS)
    return finish(figure, [*(handle(LOOKS[score]) for score in shown), ring, mean, *band_handles(rows)])


@in_house_style
def signed_signal(agreement: pd.DataFrame, *, net: str | None = None, until: int | None = None) -> Figure:
    """How much of a signed score is left of its unsigned twin along training, averaged over layers.

    The sum of |score| over that of the unsigned scores: near 0, samples cancel each other in the signed score.
    """
    rows = choose(agreement, ("step", "site", "score", "signal"), "agreement", net=net, until=until)
    shown = scores_in(rows, SIGNED)
    figure, axes = grid(1, 1, 2.8)
    axis = axes[0, 0]
    for score in shown:
        seed_line(axis, rows[rows["score"] == score], "step", "signal", LOOKS[score].line)
    step_axis([axis])
    axis.set_ylabel("Signed / unsigned score")
    arrows = log_panels([axis])
    handles = [handle(LOOKS[score], label=f"|{score}| / abs_{score}") for score in shown]
    return finish(figure, [*handles, *arrow_handles(arrows), *band_handles(rows)])


@in_house_style
def single_units(
    table: pd.DataFrame,
    *,
    net: str | None = None,
    pairs: Iterable[tuple[str, str]] = FORETOLD,
) -> Figure:
    """What a score says of a unit, and what pruning this unit alone costs: a point a unit, seed and step.

    ``pairs`` are scores and replacements, a panel each, three in a row. Written: Spearman's rank correlation within
    a seed and step, averaged. The darker, the earlier in training.
    """
    pairs = list(pairs)
    columns = ("step", "unit", "replacement", "penalty", *(f"score_{score}" for score, _ in pairs))
    rows = choose(table, columns, "single_units", net=net)
    scores_in(pd.DataFrame(pairs, columns=["score", "replacement"]))
    steps = np.sort(rows["step"].unique())
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.85, len(steps)))
    across = min(3, len(pairs))
    figure, axes = grid(-(-len(pairs) // across), across, 2.7, sharey=True)
    for spare in list(axes.flat)[len(pairs) :]:
        spare.set_visible(False)
    points = len(rows) / rows["replacement"].nunique()
    look = {
        "alpha": float(np.clip(600 / points, 0.25, 0.7)),
        "markersize": float(np.clip(60 / np.sqrt(points), 2, 4)),
        "markeredgewidth": 0,
        "linestyle": "",
    }
    styles = [
        {"color": shade, "marker": _SHADES[place % len(_SHADES)], "label": f"Step {step:,}", **look}
        for place, (step, shade) in enumerate(zip(steps, shades, strict=True))
    ]
    arrows = False
    for place, (axis, (score, replacement)) in enumerate(zip(axes.flat, pairs, strict=False)):
        part = rows[rows["replacement"] == replacement]
        if part.empty:
            raise InputError(f"the table single_units has no replacement {replacement}")
        axis.axhline(0, **ZERO_LINE)
        for step, style in zip(steps, styles, strict=True):
            mine = part[part["step"] == step]
            axis.plot(mine[f"score_{score}"], mine["penalty"], rasterized=True, **style)
        groups = part.groupby(["seed", "step"])
        ranks = [spearmanr(group[f"score_{score}"], group["penalty"])[0] for _, group in groups]
        text = f"ρ = {np.mean(ranks):.2f}" if np.isfinite(ranks).all() else "ρ not defined"
        axis.text(0.04, 0.96, text, va="top", transform=axis.transAxes, bbox=GROUND)
        if score in SIGNED:
            symlog_axis([axis], part[f"score_{score}"], "x", apart=0.19)
        else:
            arrows |= log_panels([axis], "x")
            log_axis(axis, "x", 3)
        axis.set_xlabel(f"Score {score}")
        panel_label(axis, place, f"Pruned to {replacement}")
    symlog_axis(list(axes.flat), rows["penalty"])
    for axis in axes[:, 0]:
        axis.set_ylabel("Penalty of this unit")
    handles = [Line2D([], [], **(style | {"markersize": 6, "alpha": 0.9})) for style in styles]
    return finish(figure, [*handles, *arrow_handles(arrows)])
