"""Further questions to the weights of some steps: which constant, what is left of a signed score, single units.

Lines, bands, networks and ``until`` as in ``prunebook.pages.figures.mr_parts``.
"""

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import spearmanr

from prunebook.errors import InputError
from prunebook.pages.figures import mr_parts as parts
from prunebook.pages.figures.layout import grid, log_axis, panel_label, wrapped
from prunebook.pages.figures.lines import mean_line, off_axis, t_bands
from prunebook.pages.figures.style import DOTS, INK, LOOKS, grey, handle, in_house_style

RING = {"marker": "o", "linestyle": "", "markersize": 10, "markeredgewidth": 1.3, "markerfacecolor": "none"}


@in_house_style
def multiples_of_mean(constants: pd.DataFrame, *, net: str | None = None) -> Figure:
    """Penalty with the constant alpha times the mean, averaged over the steps measured: is alpha = 1 the best?

    A ring marks the lowest mean on the grid. Columns are layer sets, signed scores have a row of their own.
    """
    rows = parts.choose(constants, "constants", net=net)
    shown = parts.scores_in(rows)
    signs = {"unsigned": [s for s in shown if s not in parts.SIGNED], "signed": [s for s in shown if s in parts.SIGNED]}
    signs = {sign: scores for sign, scores in signs.items() if scores}
    sets = [name for name in parts.SETS if name in set(rows["set"])]
    figure, axes = grid(len(signs), len(sets), 2.4, sharex=True)
    for place, ((row, column), axis) in enumerate(np.ndenumerate(axes)):
        sign, name = list(signs)[row], sets[column]
        axis.axvline(1, color=INK, linewidth=1.0, linestyle=DOTS, label="_mean")
        drawn = []
        for score in signs[sign]:
            part = rows[(rows["set"] == name) & (rows["score"] == score)]
            found = mean_line(axis, part, "alpha", "penalty", LOOKS[score], bands=t_bands(part))
            drawn.append(found["mean"])
            if found["mean"].notna().any():
                least = found.loc[found["mean"].idxmin()]
                axis.plot(least["x"], least["mean"], color=LOOKS[score].colour, label="_least", **RING)
        parts.symlog_axis(axis, pd.concat(drawn))
        panel_label(axis, place, f"{parts.SETS[name]}, {sign}")
        axis.set(xlabel="Constant / mean activation" if row == len(signs) - 1 else "")
        axis.set(ylabel="" if column else "Penalty")
    marks = [grey("Least on this grid", **RING), grey("The mean", color=INK, linewidth=1, linestyle=DOTS)]
    return parts.finish(figure, [*map(handle, shown), *marks], rows)


@in_house_style
def signed_signal(agreement: pd.DataFrame, *, net: str | None = None, until: int | None = None) -> Figure:
    """How much of a signed score is left of its unsigned twin along training, averaged over layers.

    The sum of |score| over that of the unsigned scores: near 0, samples cancel each other in the signed score.
    """
    rows = parts.choose(agreement, "agreement", net=net, until=until)
    shown = parts.scores_in(rows, parts.SIGNED)
    figure, axes = grid(1, 1, 2.8)
    axis = axes[0, 0]
    for score in shown:
        part = rows[rows["score"] == score]
        mean_line(axis, part, "step", "signal", LOOKS[score], bands=t_bands(part), positive=True)
    parts.step_axis([axis])
    axis.set_ylabel("Signed / unsigned score")
    log_axis(axis)
    return parts.finish(figure, [handle(score, label=f"|{score}| / abs_{score}") for score in shown], rows)


@in_house_style
def single_units(
    table: pd.DataFrame, *, net: str | None = None, pairs: Iterable[tuple[str, str]] = parts.FORETOLD
) -> Figure:
    """What a score says of a unit, and what pruning this unit alone costs: a point a unit, seed and step.

    ``pairs`` are scores and replacements, a panel each, three in a row. Written: Spearman's rank correlation within
    a seed and step, averaged over both. The darker, the earlier in training.
    """
    pairs = list(pairs)
    rows = parts.choose(table, "single_units", net=net)
    parts.scores_in(pd.DataFrame(pairs, columns=["score", "replacement"]))
    steps = sorted(rows["step"].unique())
    colours = dict(zip(steps, sns.color_palette("viridis", len(steps)), strict=True))
    markers = dict(zip(steps, itertools.cycle("os^DvPX*"), strict=False))
    points = len(rows) / rows["replacement"].nunique()
    look = {"alpha": np.clip(600 / points, 0.25, 0.7), "s": np.clip(3600 / points, 4, 16), "linewidth": 0}
    look |= {"hue": "step", "style": "step", "markers": markers, "palette": colours}
    figure, panels = wrapped(len(pairs), 2.5, sharey=True)
    for place, (axis, (score, replacement)) in enumerate(zip(panels, pairs, strict=True)):
        part, x = rows[rows["replacement"] == replacement], f"score_{score}"
        if part.empty:
            raise InputError(f"the table single_units has no replacement {replacement}")
        axis.axhline(0, **parts.ZERO_LINE)
        if score not in parts.SIGNED:
            log_axis(axis, "x", 3)
            nothing = part[part[x] <= 0]
            off_axis(axis, nothing["penalty"], 0.03, "left", INK, "x")
            part = part[part[x] > 0]
        sns.scatterplot(part, x=x, y="penalty", ax=axis, legend=False, rasterized=True, **look)
        if score in parts.SIGNED:
            parts.symlog_axis(axis, part[x], "x", apart=0.2)
        axis.set(xlabel=f"Score {score}", ylabel="" if place % 3 else "Penalty of this unit")
        groups = rows[rows["replacement"] == replacement].groupby(["seed", "step"])
        ranks = [spearmanr(group[x], group["penalty"])[0] for _, group in groups]
        text = f"ρ = {np.mean(ranks):.2f}" if np.isfinite(ranks).all() else "ρ not defined"
        axis.text(0.04, 0.96, text, va="top", transform=axis.transAxes, bbox=parts.GROUND)
        panel_label(axis, place, f"Pruned to {replacement}")
    for axis in panels:
        parts.symlog_axis(axis, rows["penalty"])
    entries = [
        Line2D([], [], color=colours[step], marker=markers[step], linestyle="", label=f"Step {step:,}")
        for step in steps
    ]
    return parts.finish(figure, entries)
