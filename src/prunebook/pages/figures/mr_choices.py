"""Which units a score chooses: how good the choices are, how active the units, and how many there are over time.

Lines, bands, networks and ``until`` as in ``prunebook.pages.figures.mr_parts``.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prunebook.errors import InputError
from prunebook.evidence.statistics.mean_replacement import KEYS, profile_areas
from prunebook.pages.figures import mr_parts as parts
from prunebook.pages.figures.layout import grid, log_axis, panel_label, share_axis
from prunebook.pages.figures.lines import mean_line, t_bands
from prunebook.pages.figures.style import DOTS, INK, LOOKS, grey, handle, in_house_style

TAUS = np.linspace(0, 1, 201)


def profile_curves(penalties: pd.DataFrame, taus: np.ndarray = TAUS) -> pd.DataFrame:
    """Share of points at which a method's penalty is below the threshold, for each tau: a row a run and method.

    The threshold is tau * best + (1 - tau) * worst of all methods at the same network, seed, step, layer set and
    amount. Below is strict, except at tau = 1, where no penalty would be. Points at which all methods are equal are
    left out. Raises InputError for penalties that are not finite and for methods that lack points of others.
    """
    if not np.isfinite(penalties["penalty"]).all():
        raise InputError("the table penalties holds values that are not finite: there is no worst of them")
    methods = ["score", "replacement"]
    wide = penalties.pivot_table(index=KEYS, columns=methods, values="penalty")
    if penalties.duplicated([*KEYS, *methods]).any() or wide.isna().any(axis=None):
        raise InputError("the table penalties must hold each method once for each network, seed, step, set and amount")
    best, worst = wide.min(axis=1), wide.max(axis=1)
    place = wide.rsub(worst, axis=0).div(worst - best, axis=0)[worst > best]  # 1 is the best, 0 the worst
    if place.empty:
        raise InputError("all methods are equal at every point of the table penalties: nothing to compare")
    rows = {}
    for run, points in place.groupby(level=["net", "seed"]):
        for method, values in points.items():
            above = 1 - np.searchsorted(np.sort(values), taus, side="right") / len(values)
            rows[(*run, *method)] = np.where(np.equal(taus, 1), (values >= 1).mean(), above)
    index = pd.MultiIndex.from_tuples(rows, names=["net", "seed", *methods])
    return pd.DataFrame(list(rows.values()), index, taus)


@in_house_style
def performance_profiles(penalties: pd.DataFrame, *, without: Sequence[str] = ()) -> Figure:
    """Performance profiles of all scores, with means (solid) and zeros (dashed), and the areas below them.

    The height at tau is the share of points at which a method's penalty is below tau * best + (1 - tau) * worst of
    all methods there. Every network, seed, step, layer set and amount of the table is a point, unless all methods
    are equal there. Scores in ``without`` are left out before the best and the worst are sought. No bands: they would
    cover the other lines.
    """
    shown = [score for score in parts.scores_in(penalties) if score not in without]
    if not shown:
        raise InputError(f"no score is left without {', '.join(without)}")
    rows = parts.named(penalties[penalties["score"].isin(shown)])
    curves = profile_curves(rows).groupby(level=["score", "replacement"]).mean()
    areas = profile_areas(rows).groupby(["score", "replacement"])["area"].mean().sort_values(ascending=False)
    figure, axes = grid(1, 1, 4.0)
    handles = []
    for score, kind in areas.index:
        style = LOOKS[score].line | ({"linestyle": parts.DASHED["linestyle"]} if kind == "zero" else {})
        style |= {"label": f"{score}, {kind}: {areas[score, kind]:.3f}", "linewidth": 1.6}
        style |= {"markevery": (7 + 5 * shown.index(score), 40)}
        sns.lineplot(x=curves.columns, y=curves.loc[(score, kind)], ax=axes[0, 0], legend=False, **style)
        handles.append(axes[0, 0].lines[-1])
    axes[0, 0].set(xlabel="τ: 0 is the worst of all, 1 the best", ylabel="Share of points below threshold")
    share_axis(axes.flat)
    axes[0, 0].set_xlim(0, 1)
    return parts.finish(figure, handles)


@in_house_style
def single_layer(
    penalties: pd.DataFrame,
    followed: pd.DataFrame,
    *,
    net: str | None = None,
    layer_set: str = "midconv",
    amount: float | int = 0.1,
    scores: Sequence[str] = ("abs_mrs", "rand", "mrs"),
    until: int | None = parts.PAPER_END,
) -> Figure:
    """Penalties along training in one layer set, and how loud the units are that each score chose there.

    Left: with means (solid) and with zeros (dashed), logarithmic on both sides of zero where they span much. Right:
    every unit chosen at every step and seed, by its sum of squared activations over samples and places; a line at the
    top marks the median. Units that are silent have no place on the axis: their share is told.
    """
    rows = parts.choose(penalties, "penalties", net=net, until=until, set=layer_set, amount=float(amount))
    units = parts.choose(followed, "followed", net=net, until=until)
    shown = parts.scores_in(rows, scores)
    figure, axes = grid(1, 2, 3.0)
    left, right = axes[0]
    left.axhline(0, **parts.ZERO_LINE)
    for score in shown:
        for kind, change in (("zero", parts.DASHED | {"label": f"_{score}"}), ("mean", {})):
            part = rows[(rows["score"] == score) & (rows["replacement"] == kind)]
            mean_line(left, part, "step", "penalty", LOOKS[score], bands=t_bands(part), **change)
    mine = rows[rows["score"].isin(shown)].groupby(["step", "score", "replacement"])["penalty"]
    parts.symlog_axis(left, mine.mean())
    parts.step_axis([left])
    left.set_ylabel("Penalty")
    panel_label(left, 0, "Penalty")
    _energies(right, units, parts.scores_in(units, shown))
    panel_label(right, 1, "Units chosen")
    kinds = [
        grey("Mean replacement", marker="o"),
        grey("Zero", **parts.DASHED),
        grey("Median", linestyle="", marker="v"),
    ]
    return parts.finish(figure, [*(handle(score) for score in shown), *kinds], rows)


def _energies(axis: Axes, units: pd.DataFrame, shown: Sequence[str]) -> None:
    """Histograms of the logarithm of the energies, as shares of all that a score chose."""
    loud = units[units["score"].isin(shown) & (units["energy"] > 0)]
    if loud.empty:
        raise InputError("the table followed holds no unit with an energy above zero")
    of_all = loud["score"].map(1 / units["score"].value_counts())
    colours = {score: LOOKS[score].colour for score in shown}
    bars = {"hue": "score", "hue_order": shown, "palette": colours, "element": "step", "alpha": 0.15}
    sns.histplot(loud, x="energy", weights=of_all, bins=40, log_scale=True, ax=axis, legend=False, **bars)
    silent = []
    for score in shown:
        energy = units.loc[units["score"] == score, "energy"]
        mark = {"color": colours[score], "marker": "v", "linestyle": "", "clip_on": False}
        if energy.median() > 0:
            mark |= {"transform": axis.get_xaxis_transform(), "label": f"_median {score}"}
            axis.plot(energy.median(), 1, **mark)
        if (energy == 0).any():
            silent.append(f"{score} {(energy == 0).mean():.1%}")
    axis.set(xlabel="Sum of squared activations", ylabel="Share of choices")
    log_axis(axis, "x", 5)
    axis.set_ylim(0, axis.get_ylim()[1] * 1.1)
    if silent:
        text = "Silent: " + ", ".join(silent)
        axis.text(0.03, 0.9, text, va="top", fontsize=8.5, transform=axis.transAxes, bbox=parts.GROUND)


def chosen_so_far(followed: pd.DataFrame, since: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Share of the units chosen at least once from a step on, and what random choices would reach.

    The first has columns score, seed, step, share, averaged over layers, and ends at each seed's last step; the
    second is 1 - (1 - k/N)^T at each step, for k of N units and the T-th measurement. Raises InputError where nothing
    was measured from ``since`` on.
    """
    rows = followed[followed["step"] >= since]
    if rows.empty:
        raise InputError(f"the table followed ends at step {followed['step'].max()}, before {since}")
    steps = np.sort(rows["step"].unique())
    layer = ["score", "seed", "site"]
    first = rows.groupby([*layer, "unit"])["step"].min().reset_index()
    new = first.pivot_table(index=layer, columns="step", values="unit", aggfunc="count", fill_value=0)
    share = new.reindex(columns=steps, fill_value=0).cumsum(axis=1)
    share = share.div(rows.groupby(layer)["width"].first(), axis=0).groupby(level=["score", "seed"]).mean()
    long = share.reset_index().melt(["score", "seed"], var_name="step", value_name="share")
    long["step"] = long["step"].astype(int)
    long = long[long["step"] <= long["seed"].map(rows.groupby("seed")["step"].max())]
    at_once = rows.groupby([*layer, "step"])["width"].agg(lambda width: len(width) / width.iloc[0])
    counts = np.arange(1, len(steps) + 1)
    random = [1 - (1 - part) ** counts for part in at_once.groupby("site").mean()]
    return long, pd.Series(np.mean(random, axis=0), index=steps)


@in_house_style
def unit_coverage(
    followed: pd.DataFrame,
    *,
    net: str | None = None,
    since: Sequence[int] = (0, 10_000),
    until: int | None = parts.PAPER_END,
) -> Figure:
    """Share of a layer's units that each score has chosen at least once, against step; a panel for each start.

    Dotted: what fresh random choices would reach.
    """
    rows = parts.choose(followed, "followed", net=net, until=until)
    shown = parts.scores_in(rows)
    figure, axes = grid(1, len(since), 3.0, sharex=True, sharey=True)
    for place, (axis, start) in enumerate(zip(axes[0], since, strict=True)):
        share, random = chosen_so_far(rows, start)
        axis.plot(random.index, random, color=INK, linestyle=DOTS, linewidth=1.6, label="_random", zorder=4)
        for score in shown:
            mine = share[share["score"] == score]
            mean_line(axis, mine, "step", "share", LOOKS[score], bands=t_bands(mine))
        panel_label(axis, place, "From the start" if start == 0 else f"From step {start:,}")
    share_axis(axes[0])
    parts.step_axis(axes[0])
    axes[0, 0].set_ylabel("Units chosen so far")
    expected = grey("Expected of random choices", color=INK, linestyle=DOTS, linewidth=1.6)
    return parts.finish(figure, [*(handle(score) for score in shown), expected], rows)
