"""Statistics of the elimination-compensation studies: losses by method, ratio and stage."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.evidence.statistics.ranks import beyond_attainable, kendall
from prunebook.evidence.statistics.registry import frame, statistic
from prunebook.tables import chosen

PAPER_METHODS = (
    "elimination-compensation",
    "non-linear",
    "magnitude",
    "gradient-magnitude",
    "random",
    "fully-connected",
)
CELL = ["widths", "noise"]  # one network on one problem


def _labelled(table: pd.DataFrame, noisy: bool, *more: Callable | str) -> pd.DataFrame:
    """With ``cell``, the name of each row's network and noise level, and what else it is about."""
    cells = []
    for row in table.itertuples():
        parts = [row.widths, f"noise {row.noise:g}" if noisy else ""]
        parts += [part if isinstance(part, str) else part(row) for part in more]
        cells.append(", ".join(filter(None, parts)))
    return table.assign(cell=cells)[["cell", "seed", "value"]]


def _several(losses: pd.DataFrame) -> bool:
    return losses["noise"].nunique() > 1


@statistic(log=True)
def loss_ratio(
    tables,
    *,
    method,
    stage,
    ratios=None,
    against=None,
    against_stage=None,
    against_ratio=None,
    pool="mean",
    column="loss",
    noise=None,
):
    """Log of the loss of ``method`` over that of its rival, paired by seed.

    Args:
        ratios: a list, or "all"; None for the dense network, which has no ratio.
        against: one method or several, a cell each; None compares the method with itself.
        against_stage, against_ratio: where the rival is taken; by default at the same stage and ratio.
        pool: "mean" averages over ratios, "each" makes a cell of each ratio.
        noise: only this noise level.
    """
    losses = tables["losses"] if noise is None else chosen(tables["losses"], {"noise": float(noise)})
    noisy, found = noise is not None or _several(losses), []
    mine = _series(losses, method, stage, column)
    if isinstance(ratios, list):
        mine = mine[mine["ratio"].round(6).isin([round(r, 6) for r in ratios])]
    split = [*CELL, "ratio"] if pool == "each" else CELL
    for rival in against if isinstance(against, list) else [against or method]:
        theirs = _series(losses, rival, against_stage or stage, column)
        keys = [*CELL, "seed", "ratio"]
        if against_ratio is not None:
            theirs = chosen(theirs, {"ratio": float(against_ratio)})
        if against_ratio is not None or rival == "dense":
            theirs, keys = theirs.drop(columns="ratio"), keys[:-1]
        pairs = mine.merge(theirs, on=keys)
        if pairs.empty:
            raise InputError(f"no results to compare {method} ({stage}) with {rival}")
        pairs["value"] = np.log(pairs["loss_x"] / pairs["loss_y"])
        means = pairs.groupby([*split, "seed"], sort=False)["value"].mean().reset_index()
        more = [f"against {rival}" if rival != method else ""]
        more += [lambda row: f"ratio {row.ratio:g}"] if pool == "each" else []
        found.append(_labelled(means, noisy, *more))
    return pd.concat(found, ignore_index=True)


def _series(losses: pd.DataFrame, method: str, stage: str, column: str) -> pd.DataFrame:
    table = chosen(losses, {"method": method, "stage": stage}, [*CELL, "seed", "ratio", column])
    return table.rename(columns={column: "loss"})


@statistic(log=False)
def ratio_kept(tables, *, method, stage, factor, against="dense"):
    """Largest ratio up to which the loss stays below ``factor`` times a level, at every ratio on the way; 0 if none.

    The level is the loss of the dense network before pruning, or, for ``against="first"``, that of the same method at
    its lowest ratio.
    """
    losses, keys = tables["losses"], [*CELL, "seed"]
    mine = _series(losses, method, stage, "loss").sort_values("ratio")
    if against == "first":
        mine["level"] = mine.groupby(keys)["loss"].transform("first")
    else:
        mine = mine.merge(_series(losses, "dense", "trained", "loss"), on=keys, suffixes=("", "_dense"))
        mine["level"] = mine["loss_dense"]
    good = (mine["loss"] < factor * mine["level"]).groupby([mine[key] for key in keys]).cummin()
    kept = mine["ratio"].where(good, 0.0).groupby([mine[key] for key in keys], sort=False).max()
    return _labelled(kept.rename("value").reset_index(), _several(losses))


@statistic(log=True)
def gain_difference(tables, *, noises):
    """Log of (dense trained on / dense) at the first noise level over the same at the second."""
    values = loss_ratio(tables, method="dense", stage="fine-tuned", against="dense", against_stage="trained")
    ends = (values["cell"].str.endswith(f"noise {noise:g}") for noise in noises)
    first, second = (values[end].set_index("seed")["value"] for end in ends)
    cell = f"dense trained on, noise {noises[0]:g} against {noises[1]:g}"
    both = (first - second).dropna()
    return frame({"cell": cell, "seed": seed, "value": value} for seed, value in both.items())


@statistic(log=True)
def loss_level(tables, *, method, stage, ratio, floor, column="loss"):
    """Log of a loss over a floor that the study measured, e.g. the variance of the noise."""
    keys = [*CELL, "seed"]
    where = {"method": method, "stage": stage, "ratio": float(ratio)}
    losses = chosen(tables["losses"], where, [*keys, column])
    pairs = losses.merge(chosen(tables["floors"], {"name": floor}, [*keys, "value"]), on=keys)
    pairs["value"] = np.log(pairs[column] / pairs["value"])
    return _labelled(pairs, _several(tables["losses"]))


@statistic(log=False, scale="share")
def share_worse(tables, *, method, against, factor):
    """Share of points (stage, ratio) where ``method`` has more than ``factor`` times the loss of ``against``."""
    keys = [*CELL, "seed", "ratio", "stage"]
    mine, theirs = (chosen(tables["losses"], {"method": name}, [*keys, "loss"]) for name in (method, against))
    pairs = mine.merge(theirs, on=keys)
    pairs["value"] = pairs["loss_x"] > factor * pairs["loss_y"]
    shares = pairs.groupby([*CELL, "seed"], sort=False)["value"].mean().reset_index()
    return _labelled(shares, True, f"factor {factor}")


@statistic(log=False, scale="correlation")
def rank_agreement(tables, *, noises, stage):
    """Kendall's tau between the orders of the paper's methods at two noise levels, averaged over ratios."""
    losses = chosen(tables["losses"], {"stage": stage, "method": list(PAPER_METHODS)})
    point = ["widths", "seed", "ratio"]
    wide = losses.pivot_table(index=[*point, "method"], columns="noise", values="loss", sort=False)
    both = wide.reindex(columns=noises).dropna()  # without the seeds that were not run at both levels yet
    taus = both.groupby(level=point, sort=False).apply(lambda rows: kendall(*rows.to_numpy().T))
    means = taus.groupby(level=point[:2], sort=False).mean() if len(taus) else []
    return frame(
        {"cell": f"{widths}, {stage}", "seed": seed, "value": value} for (widths, seed), value in dict(means).items()
    )


@statistic(log=False)
def order_kept_by_noise(tables, *, noises, stage):
    """Agreement of the mean orders of the paper's methods at two noise levels, minus that at the second of them.

    A seed's order is by the mean log loss over ratios. Both agreements are between different seeds.
    """
    losses = chosen(tables["losses"], {"stage": stage, "method": list(PAPER_METHODS), "noise": list(noises)})
    keys, rows = ["widths", "noise", "seed", "method"], []
    means = losses.assign(value=np.log(losses["loss"])).groupby(keys)["value"].mean().unstack("method")  # noqa: PD010
    for widths in means.index.unique("widths"):
        one, other = (means.xs((widths, noise), level=("widths", "noise")) for noise in noises)
        both = one.index.intersection(other.index)  # without the seeds that were not run at both levels yet
        gaps = beyond_attainable(one.loc[both], other.loc[both])
        rows += [{"cell": f"{widths}, {stage}", "seed": seed, "value": gap} for seed, gap in gaps.items()]
    return frame(rows)


@statistic(log=False, scale="correlation")
def stability(tables, *, ranking):
    """Rank correlation between the scores from two halves of the training set."""
    rows = chosen(tables["stability"], {"ranking": ranking})
    return _labelled(rows.assign(value=rows["spearman"]), False, ranking)


@statistic(log=True)
def cost_ratio(tables, *, what, against, per_weight=False):
    """Log of the time of ``what`` over that of ``against``; ``per_weight`` counts the latter once a weight."""
    keys = [*CELL, "seed"]
    mine = chosen(tables["cost"], {"what": what}, [*keys, "seconds", "weights"])
    theirs = chosen(tables["cost"], {"what": against}, [*keys, "seconds"])
    pairs = mine.merge(theirs, on=keys)
    times = pairs["weights"] if per_weight else 1
    pairs["value"] = np.log(pairs["seconds_x"] / pairs["seconds_y"] / times)
    return _labelled(pairs, False, f"against {against}" + " a weight" * per_weight)
