"""Small tables for the pages on mean replacement. Networks with batch norm are networks of their own."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.evidence.intervals import half_width
from prunebook.evidence.statistics.ranks import spearman
from prunebook.pages.figures.mr_parts import FORETOLD, TIE, named, paired
from prunebook.pages.vocabulary import SCORES, SETS, network_name

LARGE = 0.01  # nats: two penalties further apart than this differ by what one would notice

HEADERS = {"half_width": "± (95 %)", "half_width_95": "± (95 %)", "tuned": "steps tuned"}


def spelled(table: pd.DataFrame) -> pd.DataFrame:
    """A small table as a page shows it: names of networks and layer sets, and headers, in words."""
    words = {"set": lambda name: SETS.get(name, name), "net": network_name}
    shown = table.assign(**{name: table[name].map(word) for name, word in words.items() if name in table})
    return shown.rename(columns=lambda column: HEADERS.get(column, column.replace("_", " ")))


def networks(table: pd.DataFrame) -> str:
    """The names of a table's networks, for a sentence."""
    return ", ".join(map(network_name, dict.fromkeys(named(table)["net"])))


def main_network(table: pd.DataFrame, first: str = "medium", *, enough: int = 4) -> str:
    """The network without batch norm that figures show: ``first`` if it has ``enough`` seeds, else that of the most."""
    seeds = table[~table["batch_norm"].astype(bool)].groupby("net", sort=False)["seed"].nunique()
    return first if seeds.get(first, 0) >= enough else str(seeds.idxmax())


def longest(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each network's longest training: some are followed for a while only until a GPU can be had."""
    return table[table["steps"] == table.groupby(["net", "batch_norm"])["steps"].transform("max")]


def shares(
    penalties: pd.DataFrame, *, scores: Sequence[str] = ("norm", "abs_rs", "abs_mrs"), by: str = "score"
) -> pd.DataFrame:
    """Points, ties among them, and the share ``below`` of the others at which means have the lower penalty.

    A row for each network and score or, with ``by="set"``, layer set. ``large`` counts the points at which the two
    penalties differ by more than ``LARGE``; ``below_large`` is the share of these.
    """
    points = paired(named(penalties[penalties["score"].isin(list(scores))]))
    tied, large = points["gain"].abs() <= TIE, points["gain"].abs() > LARGE
    lower = (points["gain"] > 0).astype(float).mask(tied)
    columns = {"ties": tied, "below": lower, "large": large, "below_large": lower.where(large)}
    groups = points.assign(**columns).groupby(["net", by])
    table = groups.agg({"ties": "sum", "below": "mean", "large": "sum", "below_large": "mean"})
    table.insert(0, "points", groups.size())
    return _in_order(table.rename_axis(columns=None).reset_index())


def foresight_table(
    single_units: pd.DataFrame, pairs: Iterable[tuple[str, str]] = FORETOLD, *, by_step: bool = True
) -> pd.DataFrame:
    """What a score tells of single units: a row for each network, pair of score and replacement, and step.

    ``correlation`` is by rank, with the penalty of the unit pruned alone; ``lowest_tenth`` and ``all_units`` are means
    of this penalty. Half widths of the correlation as in ``readings``; steps are averaged without ``by_step``.
    """
    rows, values = [], ["correlation", "lowest_tenth", "all_units"]
    for score, replacement in pairs:
        units = named(single_units[single_units["replacement"] == replacement])
        for (net, step, seed), group in units.groupby(["net", "step", "seed"]):
            lowest = group.nsmallest(max(1, len(group) // 10), f"score_{score}")
            correlation = spearman(group[f"score_{score}"], group["penalty"])
            means = lowest["penalty"].mean(), group["penalty"].mean()
            rows.append((net, score, replacement, step, seed, correlation, *means))
    keys = ["net", "score", "replacement", *(["step"] if by_step else [])]
    table = pd.DataFrame(rows, columns=["net", "score", "replacement", "step", "seed", *values])
    return _in_order(_over_seeds(table, keys, values, "correlation"))


def at_the_end(constants: pd.DataFrame, *, layer_set: str, scores: Sequence[str]) -> float:
    """Share of seeds, steps and scores whose least penalty is at the largest multiple of the mean that was tried."""
    rows = constants[(constants["set"] == layer_set) & constants["score"].isin(list(scores))]
    least = rows.loc[rows.groupby(["net", "seed", "step", "score"])["penalty"].idxmin(), "alpha"]
    return float((least == rows["alpha"].max()).mean())


def readings(penalties: pd.DataFrame, *, amount: float | int = 0.1, layer_set: str = "all") -> pd.DataFrame:
    """Penalties with zeros and with means, averaged over the steps measured: a row for each network and score.

    ``difference`` is zero minus mean; ``half_width_80`` and ``half_width_95`` are those of its Student-t intervals over
    seeds, empty for one seed.
    """
    points = paired(named(_at(penalties, amount, layer_set))).rename_axis(columns=None)
    points = points.rename(columns={"gain": "difference"})
    return _over_seeds(points, ["net", "score"], ["zero", "mean", "difference"], "difference")


def border_table(borders: pd.DataFrame, *, amount: float | int = 0.1, layer_set: str = "all") -> pd.DataFrame:
    """Penalty with means for each way to fold at a border: a row a network and score, a column a way."""
    rows = named(_at(borders, amount, layer_set))
    means = rows.groupby(["net", "score", "border", "seed"])["penalty"].mean()
    table = means.groupby(["net", "score", "border"]).mean().unstack("border")  # noqa: PD010 - few and complete
    ways = [way for way in ("exact", "response-mean", "all-taps") if way in table]
    return _in_order(table[ways].rename_axis(columns=None).reset_index())


def batch_norm_table(batch_norm: pd.DataFrame) -> pd.DataFrame:
    """Mean penalties where batch norm uses the batch's statistics, and the largest difference of zeros and means."""
    groups = named(batch_norm).groupby(["net", "score"])
    table = groups[["zero", "mean"]].mean().assign(largest_difference=groups["difference"].max())
    return _in_order(table.reset_index())


def advantage(tuning: pd.DataFrame, *, late: float | int = 25_000) -> pd.DataFrame:
    """Penalty with zeros minus that with means: a row for early and late pruning and each number of steps tuned.

    The median over the networks pruned, as in the claims' rules. ``kept`` is the share of the advantage before
    fine-tuning, ``held_out`` the advantage on test images.
    """
    cell = ["seed", "step", "set", "amount", "score", "pruned", "tuned"]
    values = {"penalty": "advantage", "test_penalty": "held_out"}
    wide = _halved(tuning, late).set_index([*cell, "replacement"])[list(values)]
    wide = wide.unstack("replacement")  # noqa: PD010 - two indexes at once
    gains = pd.DataFrame({name: wide[old]["zero"] - wide[old]["mean"] for old, name in values.items()})
    keys = ["pruned", "tuned"]
    runs = gains.groupby([*keys, "seed"]).median().reset_index()
    table = _over_seeds(runs, keys, list(values.values()), "advantage")
    table = table.rename(columns={"half_width_95": "half_width"})
    table["kept"] = table["advantage"] / table.groupby("pruned")["advantage"].transform("first")
    return table[[*keys, "advantage", "half_width", "kept", "held_out", "seeds"]]


def losses(tuning: pd.DataFrame, untouched: pd.DataFrame, *, late: float | int = 25_000) -> pd.DataFrame:
    """What the penalties are made of: median losses of pruned networks beside those of the network trained on unpruned.

    A row for early and late starts and each number of steps tuned; means over seeds.
    """
    parts = []
    for name, table in (("unpruned", untouched), *tuning.groupby("replacement")):
        runs = _halved(table, late).groupby(["pruned", "tuned", "seed"])[["loss", "test_loss"]].median()
        part = runs.groupby(["pruned", "tuned"]).mean()
        parts.append(part.set_axis([name, f"{name}, held out"], axis=1))
    return pd.concat(parts, axis=1).reset_index()


def _halved(table: pd.DataFrame, late: float | int) -> pd.DataFrame:
    """With the column ``pruned``: before the step ``late`` or from there on."""
    names = (f"from {late:,.0f} on", f"before {late:,.0f}")
    return table.assign(pruned=np.where(table["step"] >= late, *names))


def removed(removal: pd.DataFrame) -> pd.DataFrame:
    """Networks without their pruned units: weights, milliseconds for one batch, largest difference of a logit."""
    groups = removal.groupby(["set", "amount"])
    mean, most = groups.mean(numeric_only=True), groups["difference"].max()
    columns = {
        "weights": mean["weights"].map("{:,.0f}".format),
        "left": mean["weights_left"].map("{:,.0f}".format),
        "ms": 1000 * groups["seconds"].median(),
        "ms left": 1000 * groups["seconds_left"].median(),
        "times faster": groups["seconds"].median() / groups["seconds_left"].median(),
        "largest difference": most.map("{:.1e}".format),
    }
    return pd.DataFrame(columns).reset_index()


def _at(table: pd.DataFrame, amount: float, layer_set: str | None = None) -> pd.DataFrame:
    at = table[np.isclose(table["amount"], amount)]
    if at.empty:
        there = ", ".join(f"{value:g}" for value in sorted(table["amount"].unique()))
        raise InputError(f"an amount of {amount:g} was not measured: choose one of {there}")
    return at if layer_set is None else at[at["set"] == layer_set]


def _over_seeds(rows: pd.DataFrame, keys: list[str], columns: list[str], judged: str) -> pd.DataFrame:
    """Means over each seed's rows and then over seeds, their number, and half widths of the intervals of one column."""
    groups = rows.groupby([*keys, "seed"])[columns].mean(skipna=False).groupby(keys)
    table = groups.mean(skipna=False)
    count, spread = groups.size(), groups[judged].std()
    for level in (80, 95):
        table[f"half_width_{level}"] = half_width(spread, count, level / 100)
    table["seeds"] = count
    return table.reset_index()


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Networks as they come, scores and layer sets in the order of the figures."""
    order = {"score": SCORES, "set": list(SETS)}
    keys = [column for column in ("net", "score", "set") if column in table]
    place = {"key": lambda values: values.map(order[values.name].index) if values.name in order else values}
    return table.sort_values(keys, ignore_index=True, **place)
