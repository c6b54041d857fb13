"""Statistics of the elimination-compensation studies: losses by method, ratio and stage."""

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from prunebook.errors import InputError
from prunebook.evidence.statistics.registry import frame, statistic

PAPER_METHODS = (
    "elimination-compensation",
    "non-linear",
    "magnitude",
    "gradient-magnitude",
    "random",
    "fully-connected",
)
CELL = ["widths", "noise"]  # one network on one problem


def _label(cell: tuple, noisy: bool, *more: str) -> str:
    widths, noise = cell
    parts = [str(widths)] + ([f"noise {noise:g}"] if noisy else []) + [part for part in more if part]
    return ", ".join(parts)


def _by_seed(table: pd.DataFrame, **chosen) -> pd.DataFrame:
    for column, value in chosen.items():
        table = table[
            np.isclose(table[column], value) if isinstance(value, float) else table[column] == value
        ]
    return table


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
    losses = tables["losses"]
    if noise is not None:
        losses = _by_seed(losses, noise=float(noise))
    noisy = losses["noise"].nunique() > 1 or noise is not None
    rows = []
    for rival in [against or method] if not isinstance(against, list) else against:
        mine = _series(losses, method, stage, column)
        theirs = _series(losses, rival, against_stage or stage, column)
        if isinstance(ratios, list):
            mine = mine[mine["ratio"].round(6).isin([round(r, 6) for r in ratios])]
        if against_ratio is not None:
            theirs = _by_seed(theirs, ratio=float(against_ratio))
        keys = [*CELL, "seed"]
        if against_ratio is None and rival != "dense":
            keys.append("ratio")
        pairs = mine.merge(theirs.drop(columns="ratio") if "ratio" not in keys else theirs, on=keys)
        if pairs.empty:
            raise InputError(f"no results to compare {method} ({stage}) with {rival}")
        pairs["value"] = np.log(pairs["loss_x"] / pairs["loss_y"])
        split = [*CELL, "ratio"] if pool == "each" else CELL
        for cell, group in pairs.groupby(split, sort=False):
            name = _label(cell[:2], noisy, f"against {rival}" if rival != method else "")
            name += f", ratio {cell[2]:g}" if pool == "each" else ""
            means = group.groupby("seed")["value"].mean()
            rows += [{"cell": name, "seed": seed, "value": value} for seed, value in means.items()]
    return frame(rows)


def _series(losses: pd.DataFrame, method: str, stage: str, column: str) -> pd.DataFrame:
    table = losses[(losses["method"] == method) & (losses["stage"] == stage)]
    return table[[*CELL, "seed", "ratio", column]].rename(columns={column: "loss"})


@statistic(log=False)
def ratio_kept(tables, *, method, stage, factor, against="dense"):
    """Largest ratio up to which the loss stays below ``factor`` times a level, at every ratio on the way; 0 if none.

    The level is the loss of the dense network before pruning, or, for ``against="first"``, that of the same method at
    its lowest ratio.
    """
    noisy, rows = tables["losses"]["noise"].nunique() > 1, []
    dense = _series(tables["losses"], "dense", "trained", "loss").set_index([*CELL, "seed"])["loss"]
    mine = _series(tables["losses"], method, stage, "loss").sort_values("ratio")
    for key, group in mine.groupby([*CELL, "seed"], sort=False):
        level = group["loss"].iloc[0] if against == "first" else dense.loc[key]
        good = (group["loss"] < factor * level).cumprod().astype(bool)
        value = group.loc[good, "ratio"].max() if good.any() else 0.0
        rows.append({"cell": _label(key[:2], noisy), "seed": key[2], "value": float(value)})
    return frame(rows)


@statistic(log=True)
def gain_difference(tables, *, noises):
    """Log of (dense trained on / dense) at the first noise level over the same at the second."""
    values = loss_ratio(tables, method="dense", stage="fine-tuned", against="dense", against_stage="trained")
    first, second = (
        values[values["cell"].str.endswith(f"noise {noise:g}")].set_index("seed")["value"] for noise in noises
    )
    cell = f"dense trained on, noise {noises[0]:g} against {noises[1]:g}"
    both = (first - second).dropna()
    return frame({"cell": cell, "seed": seed, "value": value} for seed, value in both.items())


@statistic(log=True)
def loss_level(tables, *, method, stage, ratio, floor, column="loss"):
    """Log of a loss over a floor that the study measured, e.g. the variance of the noise."""
    losses = _by_seed(tables["losses"], method=method, stage=stage, ratio=float(ratio))
    floors = _by_seed(tables["floors"], name=floor)[[*CELL, "seed", "value"]]
    pairs = losses.merge(floors, on=[*CELL, "seed"])
    noisy = tables["losses"]["noise"].nunique() > 1
    return frame(
        {
            "cell": _label((row.widths, row.noise), noisy),
            "seed": row.seed,
            "value": np.log(getattr(row, column) / row.value),
        }
        for row in pairs.itertuples()
    )


@statistic(log=False)
def share_worse(tables, *, method, against, factor):
    """Share of points (stage, ratio) where ``method`` has more than ``factor`` times the loss of ``against``."""
    losses = tables["losses"]
    keys = [*CELL, "seed", "ratio", "stage"]
    mine = losses[losses["method"] == method][[*keys, "loss"]]
    pairs = mine.merge(losses[losses["method"] == against][[*keys, "loss"]], on=keys)
    pairs["worse"] = pairs["loss_x"] > factor * pairs["loss_y"]
    shares = pairs.groupby([*CELL, "seed"], sort=False)["worse"].mean().reset_index()
    return frame(
        {
            "cell": _label((row.widths, row.noise), True, f"factor {factor}"),
            "seed": row.seed,
            "value": row.worse,
        }
        for row in shares.itertuples()
    )


@statistic(log=False)
def rank_agreement(tables, *, noises, stage):
    """Kendall's tau between the orders of the paper's methods at two noise levels, averaged over ratios."""
    losses = tables["losses"]
    losses = losses[(losses["stage"] == stage) & losses["method"].isin(PAPER_METHODS)]
    rows = []
    for (widths, seed), group in losses.groupby(["widths", "seed"], sort=False):
        first, second = (
            _by_seed(group, noise=float(noise)).pivot_table(index="method", columns="ratio", values="loss")
            for noise in noises
        )
        shared = first.columns.intersection(second.columns)
        if not len(shared):  # this seed was not run at both noise levels yet
            continue
        taus = [kendalltau(first[ratio], second[ratio].reindex(first.index)).statistic for ratio in shared]
        rows.append({"cell": f"{widths}, {stage}", "seed": seed, "value": float(np.mean(taus))})
    return frame(rows)


@statistic(log=False)
def stability(tables, *, ranking):
    """Rank correlation between the scores from two halves of the training set."""
    chosen = _by_seed(tables["stability"], ranking=ranking)
    return frame(
        {"cell": f"{row.widths}, {ranking}", "seed": row.seed, "value": row.spearman}
        for row in chosen.itertuples()
    )


@statistic(log=True)
def cost_ratio(tables, *, what, against, per_weight=False):
    """Log of the time of ``what`` over that of ``against``; ``per_weight`` counts the latter once a weight."""
    cost = tables["cost"]
    keys = [*CELL, "seed"]
    mine = _by_seed(cost, what=what)[[*keys, "seconds", "weights"]]
    pairs = mine.merge(_by_seed(cost, what=against)[[*keys, "seconds"]], on=keys)
    return frame(
        {
            "cell": f"{row.widths}, against {against}" + (" a weight" if per_weight else ""),
            "seed": row.seed,
            "value": np.log(row.seconds_x / row.seconds_y / (row.weights if per_weight else 1)),
        }
        for row in pairs.itertuples()
    )
