"""Statistics of pruning the last layer with guarantees: what heuristics leave, and what fine-tuning gives back."""

import numpy as np
import pandas as pd

from prunebook.evidence.statistics.general import chosen, pooled
from prunebook.evidence.statistics.ranks import spearman
from prunebook.evidence.statistics.registry import frame, statistic

KEYS = ["reading", "case"]


def _pairs(recovery: pd.DataFrame, tuned: str, where: dict) -> pd.DataFrame:
    """Pruned networks before fine-tuning beside the same ones after it."""
    rows = chosen(recovery, where)
    keys = [*KEYS, "method", "ratio", "sparsity", "seed"]
    before = rows[rows["tuned"] == "none"].drop(columns="tuned")
    after = rows[(rows["tuned"] == tuned) & (rows["method"] != "dense")].drop(columns="tuned")
    columns = [*keys, "accuracy", "error", "centred_error"]
    return before[columns].merge(after[columns], on=keys, suffixes=("", "_after"))


@statistic(log=False)
def fine_tuning_gap(tables, *, tuned, where, cells=("method",), relative=False):
    """Accuracy after fine-tuning minus accuracy after pruning, at the ratio where that is largest; with ``relative`` as
    a share of the latter."""
    pairs = _pairs(tables["recovery"], tuned, where)
    gap = pairs["accuracy_after"] - pairs["accuracy"]
    return pooled(pairs.assign(value=gap / pairs["accuracy"] if relative else gap), cells, "max")


@statistic(log=True)
def error_after_tuning(tables, *, tuned, column, where, cells=("method",)):
    """Log of the logits' error after fine-tuning over that after pruning, averaged over ratios."""
    pairs = _pairs(tables["recovery"], tuned, where)
    return pooled(pairs.assign(value=np.log(pairs[f"{column}_after"] / pairs[column])), cells)


@statistic(log=False)
def foretold(tables, *, tuned, column="error", where=None):
    """How much better the error after pruning orders accuracies after pruning than accuracies after fine-tuning.

    Difference of the two rank correlations, over methods and ratios, with the sign turned: large errors should go
    with low accuracies.
    """
    pairs, rows = _pairs(tables["recovery"], tuned, where or {}), []
    for (reading, case, seed), group in pairs.groupby([*KEYS, "seed"]):
        now, later = (-spearman(group[column], group[name]) for name in ("accuracy", "accuracy_after"))
        rows.append({"cell": f"{reading}, {case}", "seed": seed, "value": now - later})
    return frame(rows)


def area(group: pd.DataFrame, most: float = 0.95) -> float:
    """Mean of accuracy over the dense accuracy, for sparsities from 0 to ``most``, straight between what was
    measured."""
    dense = group["dense"].iloc[0]
    order = group.sort_values("sparsity")
    x = np.concatenate([[0.0], order["sparsity"].to_numpy()])
    y = np.concatenate([[1.0], order["accuracy"].to_numpy() / dense])
    grid = np.linspace(0, most, 96)
    return float(np.interp(grid, x, y).mean())


@statistic(log=False)
def prunability(tables, *, easier, harder, methods=("magnitude", "gates"), reading="regularisation", where=None):
    """Area under accuracy against sparsity right after pruning, relative to the dense network, of one case minus
    another."""
    given = {"reading": reading, **(where or {})}
    recovery = chosen(tables["recovery"], {**given, "tuned": "none", "method": list(methods)})
    models = chosen(tables["models"], {**given, "what": "dev accuracy"})
    dense = models[[*KEYS, "seed", "value"]].rename(columns={"value": "dense"})
    rows = recovery.merge(dense, on=[*KEYS, "seed"])
    areas = {key: area(group) for key, group in rows.groupby(["case", "method", "seed"])}
    return frame(
        {"cell": method, "seed": seed, "value": value - areas[harder, method, seed]}
        for (case, method, seed), value in areas.items()
        if case == easier and (harder, method, seed) in areas
    )
