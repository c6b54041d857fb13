"""Which units a score chooses: how good the choices are, how active the units, what a score tells of one."""

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import seaborn as sns

from prunebook.errors import InputError
from prunebook.evidence.statistics.mean_replacement import KEYS, profile_areas
from prunebook.evidence.statistics.ranks import spearman
from prunebook.pages.figures import layout
from prunebook.pages.figures import mr_parts as parts
from prunebook.pages.figures.curves import Axis, Curves, finish, over_seeds
from prunebook.pages.figures.dots import dots
from prunebook.pages.figures.layout import Drawing, log_axis
from prunebook.pages.figures.mean_replacement import STEP
from prunebook.pages.figures.mr_parts import PAPER_END
from prunebook.pages.figures.points import points
from prunebook.pages.figures.style import INK, Look, grey, handle, in_house_style, spare
from prunebook.pages.vocabulary import REPLACED, SETS

TAUS = np.linspace(0, 1, 51)
REPLACING = {"mean": Look("#0072b2", "o", (), REPLACED["mean"]), "zero": Look("#d55e00", "D", (), REPLACED["zero"])}
RANDOM = Look(INK, "", (1, 1.5), "Expected of random choices")
RING = {"marker": "o", "linestyle": "", "markersize": 10, "markeredgewidth": 1.3, "markerfacecolor": "none"}


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
    for run, places in place.groupby(level=["net", "seed"]):
        for method, values in places.items():
            above = 1 - np.searchsorted(np.sort(values), taus, side="right") / len(values)
            rows[(*run, *method)] = np.where(np.equal(taus, 1), (values >= 1).mean(), above)
    index = pd.MultiIndex.from_tuples(rows, names=["net", "seed", *methods])
    return pd.DataFrame(list(rows.values()), index, taus)


@in_house_style
def performance_profiles(penalties: pd.DataFrame) -> Drawing:
    """Areas under the performance profiles of all scores, with means and with zeros; the profiles can be explored.

    The height of a profile at tau is the share of points at which a method's penalty is below
    tau * best + (1 - tau) * worst of all methods there; the area is the method's mean place between the worst and the
    best. The second panel leaves out the signed scores before the best and the worst are sought.
    """
    shown, areas, profiles = parts.scores_in(penalties), [], []
    for panel, left_out in (("All scores", ()), ("Without the signed scores", parts.SIGNED)):
        kept = [score for score in shown if score not in left_out]
        if (kept == shown and left_out) or len(kept) < 2:
            continue
        rows = parts.named(penalties[penalties["score"].isin(kept)])
        areas.append(profile_areas(rows, kept).rename(columns={"area": "x"}).assign(panel=panel))
        found = (
            profile_curves(rows)
            .reset_index()
            .melt(["net", "seed", "score", "replacement"], var_name="x", value_name="y")
        )
        profiles.append(found.assign(panel=panel, kind=found["replacement"].map(REPLACED), curve=found["score"]))
    rows = pd.concat(areas).assign(row=lambda rows: rows["score"], curve=lambda rows: rows["replacement"])
    rows = rows.sort_values("score", key=lambda scores: scores.map(shown.index), kind="stable")
    figure = dots(rows, REPLACING, Axis("Area: 0 is always the worst, 1 the best"), across=2)
    looks = {score: replace(parts.LOOKS[score], marker="") for score in shown}
    x, y = Axis("τ: 0 is the worst of all, 1 the best", "share"), Axis("Share of points below threshold", "share")
    figure.curves = Curves(pd.concat(profiles).sort_values("replacement", kind="stable"), looks, x, {"": y}, 2)
    return figure


@in_house_style
def energies(
    followed: pd.DataFrame, *, net: str | None = None, scores: Sequence[str] = ("abs_mrs", "rand", "mrs"),
    until: int | None = PAPER_END,
) -> Drawing:  # fmt: skip
    """How loud the units are that each score chose: every unit chosen at every step and seed.

    By its sum of squared activations over samples and places; a mark at the top is the median. Units that are silent
    have no place on the axis: their share is told.
    """
    units = parts.choose(followed, "followed", net=net, until=until)
    shown = parts.scores_in(units, scores)
    units = units[units["score"].isin(shown)]
    loud = units[units["energy"] > 0]
    if loud.empty:
        raise InputError("the table followed holds no unit with an energy above zero")
    figure, ((axis,),) = layout.grid(1, 1, 2.6)
    colours = {score: parts.LOOKS[score].colour for score in shown}
    bars = {"hue": "score", "hue_order": shown, "palette": colours, "element": "step", "alpha": 0.15}
    of_all = loud["score"].map(1 / units["score"].value_counts())
    sns.histplot(loud, x="energy", weights=of_all, bins=40, log_scale=True, ax=axis, legend=False, **bars)
    silent = (units["energy"] == 0).groupby(units["score"]).mean()
    for score, median in units.groupby("score")["energy"].median().items():
        mark = {"color": colours[score], "marker": "v", "linestyle": "", "clip_on": False, "label": f"_median {score}"}
        axis.plot(median or np.nan, 1, transform=axis.get_xaxis_transform(), **mark)
    axis.set(xlabel="Sum of squared activations", ylabel="Share of choices")
    log_axis(axis, "x", 5)
    edges = np.geomspace(loud["energy"].min(), loud["energy"].max(), 41)
    counts = of_all.groupby(
        [loud["score"], pd.cut(loud["energy"], edges, labels=edges[:-1], include_lowest=True)], observed=False
    ).sum()
    figure.numbers = counts.rename("share").rename_axis(["score", "energy_from"]).reset_index()
    told = ", ".join(f"{score} {silent[score]:.1%}" for score in shown)
    figure.note = f"{units['seed'].nunique()} seeds together. Silent units, which have no place on the axis: {told}."
    marks = [grey("Median", linestyle="", marker="v")]
    return finish(figure, [*(handle(score, marker="", linewidth=4, alpha=0.6) for score in shown), *marks])


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
    followed: pd.DataFrame, *, net: str | None = None, since: Sequence[int] = (0, 10_000), until: int | None = PAPER_END
) -> Drawing:
    """Share of a layer's units that each score has chosen at least once, against step; a panel for each start.

    Dotted: what fresh random choices would reach.
    """
    rows, found = parts.choose(followed, "followed", net=net, until=until), []
    parts.scores_in(rows)
    for start in since:
        share, random = chosen_so_far(rows, start)
        random = (
            random.rename_axis("step").rename("share").reset_index().assign(score="random", seed=rows["seed"].min())
        )
        panel = "From the start" if start == 0 else f"From step {start:,}"
        found += [share.assign(panel=panel), random.assign(panel=panel)]
    found = pd.concat(found).rename(columns={"score": "curve", "step": "x", "share": "y"})
    y = {"": Axis("Units chosen so far", "share")}
    return Curves(found, parts.LOOKS | {"random": RANDOM}, STEP, y, 2, 3.0).draw()


@in_house_style
def multiples_of_mean(constants: pd.DataFrame, *, net: str | None = None) -> Drawing:
    """Penalty with the constant alpha times the mean, averaged over the steps measured: is alpha = 1 the best?

    A ring marks the lowest mean on the grid. Panels are layer sets, apart for signed scores.
    """
    rows = parts.choose(constants, "constants", net=net)
    parts.scores_in(rows)
    rows = rows.assign(sign=rows["score"].isin(parts.SIGNED), place=rows["set"].map(list(SETS).index))
    rows = rows.sort_values(["sign", "place"], kind="stable").assign(
        curve=rows["score"], x=rows["alpha"], y=rows["penalty"]
    )
    rows["panel"] = rows["set"].map(SETS) + rows["sign"].map({False: ", unsigned", True: ", signed"})
    axis = Axis("Penalty", own=True)
    curves = Curves(rows, parts.LOOKS, Axis("Constant / mean activation"), {"": axis}, rows["set"].nunique(), 2.4)
    marks = [grey("Least on this grid", **RING), grey("The mean", color=INK, linewidth=1, linestyle=(0, (1, 1.5)))]
    figure = curves.draw(*marks)
    for panel, (_, part) in zip(figure.axes, curves.drawn.groupby("panel", sort=False), strict=True):
        panel.axvline(1, color=INK, linewidth=1.0, linestyle=(0, (1, 1.5)), label="_mean")
        for score, found in over_seeds(part, ("curve",)).dropna(subset="mean").groupby("curve"):
            least = found.loc[found["mean"].idxmin()]
            panel.plot(least["x"], least["mean"], color=parts.LOOKS[score].colour, label="_least", **RING)
    return figure


@in_house_style
def signed_signal(agreement: pd.DataFrame, *, net: str | None = None) -> Drawing:
    """How much of a signed score is left of its unsigned twin along training, averaged over layers.

    The sum of |score| over that of the unsigned scores: near 0, samples cancel each other in the signed score.
    """
    rows = parts.choose(agreement, "agreement", net=net)
    looks = {
        score: replace(parts.LOOKS[score], label=f"|{score}| / abs_{score}")
        for score in parts.scores_in(rows, parts.SIGNED)
    }
    rows = rows.assign(panel="", curve=rows["score"], x=rows["step"], y=rows["signal"])
    return Curves(rows, looks, STEP, {"": Axis("Signed / unsigned score", "log")}, height=2.8).draw()


@in_house_style
def foretelling(table: pd.DataFrame, *, net: str | None = None) -> Drawing:
    """What a score says of the penalty when one unit alone is pruned: Spearman's rank correlation, a dot a step.

    Within a seed and step, over all units; which score is held against which replacement is ``mr_parts.FORETOLD``.
    """
    rows, looks = _single(table, net)
    keys = ["replacement", "score", "curve", "seed"]
    found = [(*key, spearman(part["x"], part["y"])) for key, part in rows.groupby(keys, sort=False)]
    found = pd.DataFrame(found, columns=["panel", "row", "curve", "seed", "x"])
    found["panel"] = "Pruned to " + found["panel"]
    return dots(found, looks, Axis("Rank correlation of score and penalty"), levels=(0,), across=2, height=0.6)


@in_house_style
def single_units(table: pd.DataFrame, *, net: str | None = None) -> Drawing:
    """The units behind ``foretelling``: the penalty of each, pruned alone, over its score. Points are unit, seed, step.

    Written in each panel: the mean of the rank correlations.
    """
    rows, looks = _single(table, net)
    ranks = {
        panel: np.mean([spearman(p["x"], p["y"]) for _, p in part.groupby(["seed", "curve"])])
        for panel, part in rows.groupby("panel")
    }
    words = {panel: f"ρ = {rank:.2f}" if np.isfinite(rank) else "ρ not defined" for panel, rank in ranks.items()}
    return points(rows, looks, ("Score", "Penalty of this unit"), words=words)


def _single(table: pd.DataFrame, net: str | None) -> tuple[pd.DataFrame, dict[Hashable, Look]]:
    """A row for each unit, seed, step and pair of a score and a replacement, and a look for each step."""
    rows, found = parts.choose(table, "single_units", net=net), []
    for score, replacement in parts.FORETOLD:
        there = rows[rows["replacement"] == replacement]
        if there.empty:
            raise InputError(f"the table single_units has no replacement {replacement}")
        there = there.assign(score=score, panel=f"{score}, to {replacement}", x=there[f"score_{score}"])
        found.append(there.assign(curve=there["step"], y=there["penalty"]))
    kept = ["panel", "score", "replacement", "curve", "unit", "seed", "x", "y"]
    looks = spare(f"step {step:,}" for step in sorted(rows["step"].unique()))
    return pd.concat(found)[kept], dict(zip(sorted(rows["step"].unique()), looks.values(), strict=True))
