"""Statistics of mean replacement along training: gains, performance profiles, coverage, agreement of scores."""

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.evidence.statistics.general import chosen, pooled
from prunebook.evidence.statistics.ranks import spearman
from prunebook.evidence.statistics.registry import frame, statistic

KEYS = ["net", "seed", "step", "set", "amount"]  # one point: scores and replacements are compared at it


@statistic(log=False, scale="share")
def below_diagonal(
    tables, *, scores, table="penalties", column="penalty", where=None, tolerance=1e-6, slack=0.0, cells=("net",)
):
    """Share of points at which the mean leaves no larger penalty than zero, ties within the tolerance left out.

    With ``slack``, of points at which the mean's penalty is larger by no more than that.
    """
    where = {"score": list(scores), **(where or {})}
    rows = chosen(tables[table], where, [*KEYS, "score", "replacement", column])
    pairs = rows.pivot_table(index=[*KEYS, "score"], columns="replacement", values=column).reset_index()
    pairs = pairs[(pairs["zero"] - pairs["mean"]).abs() > tolerance]
    return pooled(pairs.assign(value=(pairs["mean"] <= pairs["zero"] + slack).astype(float)), cells)


@statistic(log=False)
def diagonal_early(tables, *, late, where, **options):
    """The share of ``below_diagonal`` of networks pruned before step ``late``, minus that of those pruned later."""
    early, after = (
        below_diagonal(tables, table="tuning", where={**where, "step": steps}, **options)
        for steps in ({"below": late}, {"above": late - 1})
    )
    both = early.merge(after, on=["cell", "seed"])
    return both.assign(value=both["value_x"] - both["value_y"])[["cell", "seed", "value"]]


@statistic(log=False)
def above_chance(tables, *, score, layer_set, amount, replacements=("zero", "mean"), cells=("net",)):
    """Penalty of a score minus that of random choice at the same points; ``score`` may be one of the conventions."""
    keys = [*KEYS, "replacement"]
    where = {"set": layer_set, "amount": float(amount), "replacement": list(replacements)}
    known = "conventions" if "/" in score else "penalties"
    mine, rand = (
        chosen(tables[table], {**where, "score": name}, [*keys, "penalty"])
        for table, name in ((known, score), ("penalties", "rand"))
    )
    pairs = mine.merge(rand, on=keys, suffixes=("", "_rand"))
    return pooled(pairs.assign(value=pairs["penalty"] - pairs["penalty_rand"]), cells)


def profile_areas(penalties: pd.DataFrame, scores=None) -> pd.DataFrame:
    """Area under each method's performance profile, a row a net, seed, score and replacement.

    At each point, a method's place between the best and the worst of all is (worst - own) / (worst - best); the
    area is its mean over points. Points at which all methods are equal are left out.
    """
    rows = penalties if scores is None else penalties[penalties["score"].isin(scores)]
    groups = rows.groupby(KEYS)["penalty"]
    worst, best = groups.transform("max"), groups.transform("min")
    rows = rows.assign(place=(worst - rows["penalty"]) / (worst - best))[worst > best]
    return rows.groupby(["net", "seed", "score", "replacement"])["place"].mean().reset_index(name="area")


@statistic(log=False)
def profile_gain(tables, *, scores, cells=("net", "score")):
    """Area under the profile with means minus that with zeros, for each score."""
    areas = profile_areas(tables["penalties"])
    areas = areas[areas["score"].isin(scores)]
    wide = areas.pivot_table(index=["net", "seed", "score"], columns="replacement", values="area").reset_index()
    return pooled(wide.assign(value=wide["mean"] - wide["zero"]), cells)


@statistic(log=False)
def profile_difference(tables, *, score, against, replacements=("zero", "mean"), cells=("net", "replacement")):
    """Area of a score minus that of another, or minus the largest of several, with equal replacement."""
    areas = profile_areas(tables["penalties"])
    areas = areas[areas["replacement"].isin(replacements)]
    wide = areas.pivot_table(index=["net", "seed", "replacement"], columns="score", values="area").reset_index()
    rivals = wide[against] if isinstance(against, list) else wide[[against]]
    return pooled(wide.assign(value=wide[score] - rivals.max(axis=1)), cells)


def covered(followed: pd.DataFrame, since: int = 0, until: int | None = None) -> pd.DataFrame:
    """Share of a layer's units that a score has chosen at least once between two steps, a row a net, seed and
    score."""
    rows = followed[followed["step"] >= since]
    rows = rows if until is None else rows[rows["step"] <= until]
    groups = rows.groupby(["net", "seed", "score", "site"])
    share = groups["unit"].nunique() / groups["width"].first()
    return share.groupby(level=["net", "seed", "score"]).mean().reset_index(name="share")


@statistic(log=False, scale="share")
def coverage(tables, *, scores, since=0, until=None, minus_since=None, minus_until=None):
    """Share of units chosen at least once between two steps; with ``minus_*``, minus that between two others."""
    found = covered(tables["followed"], since, until)
    found = found[found["score"].isin(scores)]
    if minus_since is not None or minus_until is not None:
        other = covered(tables["followed"], minus_since or 0, minus_until)
        found = found.merge(other, on=["net", "seed", "score"], suffixes=("", "_other"))
        found["share"] -= found["share_other"]
    return pooled(found.assign(value=found["share"]), ["net", "score"])


@statistic(log=False, scale="correlation")
def coverage_rank(tables):
    """Rank correlation over scores between coverage and the area under the profile with means."""
    areas = profile_areas(tables["penalties"])
    areas = areas[areas["replacement"] == "mean"]
    joined = covered(tables["followed"]).merge(areas, on=["net", "seed", "score"])
    return frame(
        {"cell": net, "seed": seed, "value": spearman(group["share"], group["area"])}
        for (net, seed), group in joined.groupby(["net", "seed"])
    )


@statistic(log=False)
def chosen_alike(tables, *, score, against):
    """Mean Jaccard overlap of the units that two scores choose at the same step."""
    followed = tables["followed"]
    rows = followed[followed["score"].isin([score, against])]
    sets = rows.groupby(["net", "seed", "step", "score"])["unit"].agg(set)
    pairs = sets.unstack("score").dropna()  # noqa: PD010 - sets cannot be averaged
    overlap = [len(a & b) / len(a | b) for a, b in zip(pairs[score], pairs[against], strict=True)]
    return pooled(pairs.reset_index().assign(value=overlap), ["net"])


@statistic(log=False)
def energy_contrast(tables, *, score, against):
    """Median log10 of the summed squared activations of the units a score chooses, minus that of another score's."""
    followed = tables["followed"]
    logs = followed.assign(log=np.log10(followed["energy"].clip(lower=1e-12)))
    medians = logs.groupby(["net", "seed", "score"])["log"].median().unstack("score")  # noqa: PD010
    return pooled((medians[score] - medians[against]).rename("value").reset_index(), ["net"])


@statistic(log=False, scale="correlation")
def foresight(tables, *, scores, replacement):
    """Rank correlation of a score with the true penalty of single units, averaged over steps."""
    single = chosen(tables["single_units"], {"replacement": replacement})
    rows = [
        (net, score, seed, spearman(group[f"score_{score}"], group["penalty"]))
        for (net, seed, _), group in single.groupby(["net", "seed", "step"])
        for score in scores
    ]
    return pooled(pd.DataFrame(rows, columns=["net", "score", "seed", "value"]), ["net", "score"])


@statistic(log=False)
def best_alpha(tables, *, layer_set, scores, parabola=False):
    """The multiple of the mean at which the penalty is least, on the grid measured, averaged over steps and
    scores; with ``parabola``, the lowest point of the parabola through the mean penalties."""
    rows = chosen(tables["constants"], {"set": layer_set, "score": list(scores)})
    if parabola:
        means = rows.groupby(["net", "seed", "alpha"])["penalty"].mean().unstack("alpha")  # noqa: PD010
        bent, sloped, _ = np.polyfit(means.columns.to_numpy(float), means.to_numpy().T, 2)
        lowest = np.where(bent > 0, -sloped / (2 * bent), np.nan)
        return pooled(means.assign(value=lowest)["value"].reset_index(), ["net"])
    keys = ["net", "seed", "step", "score"]
    least = rows.loc[rows.groupby(keys)["penalty"].idxmin()]
    return pooled(least.assign(value=least["alpha"]), ["net"])


@statistic(log=False)
def late_signal(tables, *, score, early, late):
    """Signed over unsigned score late in training minus early, averaged over layers and steps."""
    rows = chosen(tables["agreement"], {"score": score}, ["net", "seed", "step", "signal"])
    kept = rows.assign(late=rows["step"] > late)[(rows["step"] > late) | (rows["step"] <= early)]
    means = kept.pivot_table(index=["net", "seed"], columns="late", values="signal").dropna()
    return pooled((means[True] - means[False]).rename("value").reset_index(), ["net"])


def _tuning_gains(tables, since: int, until: int) -> pd.DataFrame:
    """Median over pruned networks of the penalty with zeros minus that with means: a row a net and seed, a column a
    number of steps tuned. A mean would say what the cell with the largest penalties says, half of all units gone."""
    table = chosen(tables["tuning"], {"step": {"above": since - 1, "below": until}})
    if table.empty:
        raise InputError(f"nothing was pruned from step {since} on and before step {until}")
    keys = ["net", "seed", "tuned", "step", "set", "amount", "score"]
    pairs = table.set_index([*keys, "replacement"])["penalty"].unstack("replacement")  # noqa: PD010 - keeps gaps
    return (pairs["zero"] - pairs["mean"]).groupby(level=keys[:3]).median().unstack("tuned")  # noqa: PD010


@statistic(log=False)
def tuning_gain(tables, *, steps, minus_steps=None, since=0, until=10**9):
    """Gain of means over zeros after some steps of fine-tuning, or that minus the gain after other steps.

    The median over the networks pruned from step ``since`` on and before step ``until``.
    """
    gains = _tuning_gains(tables, since, until)
    value = gains[steps] if minus_steps is None else gains[steps] - gains[minus_steps]
    return pooled(value.rename("value").reset_index(), ["net"])


@statistic(log=False)
def tuning_kept(tables, *, steps, late):
    """Share of the gain that is left after some steps of fine-tuning: networks pruned before minus after ``late``.

    A seed whose gain is near zero has no share of its own to speak of, so the shares are those of the mean gains over
    seeds, and a seed's value is its jackknife pseudo-value (Tukey, 1958): n times the result of all n seeds minus n - 1
    times the result without this one. One seed has the plain result.
    """
    early, after = _tuning_gains(tables, 0, late), _tuning_gains(tables, late, 10**9)

    def left(first: pd.DataFrame, then: pd.DataFrame) -> float:
        first, then = first.mean(), then.mean()
        return float(first[steps] / first[0] - then[steps] / then[0])

    rows = []
    early = early.loc[early.index.intersection(after.index)]  # seeds that have both
    for net, runs in early.groupby(level="net"):
        later, count = after.loc[runs.index], len(runs)
        for run in runs.index:
            value = left(runs, later)
            if count > 1:
                value = count * value - (count - 1) * left(runs.drop(run), later.drop(run))
            rows.append({"cell": net, "seed": run[1], "value": value})
    return frame(rows)
