"""Statistics of the head-to-head: how far rankings are apart, how far one is behind the best, and whether order lasts.

A pair is a ranking with a compensation. Controls are no pairs. One network is one cell.
"""

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.evidence.statistics.general import chosen, pooled
from prunebook.evidence.statistics.ranks import beyond_attainable, kendall
from prunebook.evidence.statistics.registry import statistic

CONTROLS = ("dense", "narrow")
CHANCE = ("random", "rand")  # rankings that know nothing
POINT = ["net", "seed", "ratio"]


def pairs_at(losses: pd.DataFrame, stage: str, *, without=(), tuned: bool = True, **where) -> pd.DataFrame:
    """The rows of all pairs at a stage; with ``tuned``, of those that were fine-tuned at all."""
    rows = chosen(losses, {"stage": stage, **where})
    rows = rows[~rows["ranking"].isin([*CONTROLS, *without])]
    rows = rows[rows["tuned"].astype(bool)] if tuned else rows
    if rows.empty:
        raise InputError(f"no pairs at stage {stage!r} fit {where or 'this condition'}")
    return rows


def spreads(losses: pd.DataFrame, stage: str, *, without=CHANCE, compensation="none", column="loss") -> pd.Series:
    """Log of the largest over the smallest loss among rankings with one compensation, by network, seed and ratio."""
    rows = pairs_at(losses, stage, without=without, compensation=compensation)
    groups = np.log(rows[column]).groupby([rows[name] for name in POINT])
    return groups.max() - groups.min()


@statistic(log=True)
def spread_left(tables, *, stage, of, without=CHANCE, compensation="none", column="loss"):
    """Log of the mean spread over ratios at a stage, over the same at stage ``of``: which share of it is left.

    The spread at a ratio is the log of the largest over the smallest loss among rankings.
    """
    options = {"without": without, "compensation": compensation, "column": column}
    both = [spreads(tables["losses"], name, **options) for name in (stage, of)]
    later, before = (spread.groupby(level=["net", "seed"]).mean() for spread in both)
    return pooled(np.log(later / before).rename("value").reset_index(), ["net"])


@statistic(log=True)
def behind_best(tables, *, ranking, stage, compensation="none", where=None, column="loss"):
    """Log of a pair's loss over the lowest of all fine-tuned pairs at the same ratio, averaged over ratios."""
    rows = pairs_at(tables["losses"], stage, **(where or {}))
    best = rows.groupby(POINT)[column].min().rename("best").reset_index()
    mine = chosen(rows, {"ranking": ranking, "compensation": compensation}).merge(best, on=POINT)
    return pooled(mine.assign(value=np.log(mine[column] / mine["best"])), ["net"])


@statistic(log=True)
def behind_picked(tables, *, ranking, stage, compensation="none", cells=("net",), column="loss"):
    """Log of a pair's loss over that of the pair which is best at this ratio on the other seeds, in the mean of logs.

    Whoever picks the best of many on the losses that are reported has it look better than it is.
    """
    rows = pairs_at(tables["losses"], stage)
    rows = rows.assign(pair=rows["ranking"].str.cat(rows["compensation"], sep=" with "), value=np.log(rows[column]))
    found = []
    for (net, ratio), group in rows.groupby(["net", "ratio"]):
        logs = group.pivot_table(index="seed", columns="pair", values="value").dropna(axis="columns")
        mine, others = logs[f"{ranking} with {compensation}"], (logs.sum() - logs) / (len(logs) - 1)
        picked = others.idxmin(axis="columns")
        found += [(net, ratio, seed, mine[seed] - logs.loc[seed, pair]) for seed, pair in picked.items()]
    return pooled(pd.DataFrame(found, columns=[*POINT[::2], "seed", "value"]), cells)


@statistic(log=False)
def order_foretold(tables, *, stages, without=CHANCE, column="loss"):
    """Agreement of the orders of fine-tuned pairs at two stages, minus that of two seeds at the second stage.

    Both agreements are Kendall's tau between different seeds, averaged over ratios.
    """
    names, rows = ["seed", "ranking", "compensation"], []
    both = [pairs_at(tables["losses"], stage, without=without) for stage in stages]
    for (net, ratio), _ in both[0].groupby(["net", "ratio"]):
        here = [part[(part["net"] == net) & (part["ratio"] == ratio)].set_index(names)[column] for part in both]
        one, other = (part.unstack(names[1:]).dropna(axis="columns") for part in here)  # noqa: PD010
        shared = one.columns.intersection(other.columns)
        gaps = beyond_attainable(one[shared], other[shared])
        rows += [{"net": net, "seed": seed, "value": gap} for seed, gap in gaps.items()]
    return pooled(pd.DataFrame(rows, columns=["net", "seed", "value"]), ["net"])


@statistic(log=False, scale="correlation")
def order_kept(tables, *, stages, without=CHANCE, column="loss"):
    """Kendall's tau between the orders of fine-tuned pairs by loss at two stages, averaged over ratios."""
    names = [*POINT, "ranking", "compensation"]
    one, other = (pairs_at(tables["losses"], stage, without=without).set_index(names)[column] for stage in stages)
    both = pd.concat({"one": one, "other": other}, axis=1).dropna()
    rows = [
        {**dict(zip(POINT, key, strict=True)), "value": kendall(part["one"], part["other"])}
        for key, part in both.groupby(level=POINT)
    ]
    return pooled(pd.DataFrame(rows), ["net"])


@statistic(log=True)
def compensated(tables, *, ranking, compensations, stage, column="loss"):
    """Log of the loss with each compensation over the loss without any, one ranking, averaged over ratios."""
    rows = chosen(tables["losses"], {"stage": stage, "ranking": ranking})
    plain = chosen(rows, {"compensation": "none"})[[*POINT, column]]
    pairs = chosen(rows, {"compensation": list(compensations)}).merge(plain, on=POINT, suffixes=("", "_none"))
    if pairs.empty:
        names = ", ".join(compensations)
        raise InputError(f"no rows of {ranking} at stage {stage!r} with and without {names}")
    value = np.log(pairs[column] / pairs[f"{column}_none"])
    return pooled(pairs.assign(value=value), ["net", "compensation"])
