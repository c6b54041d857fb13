"""Rank correlations without ``scipy.stats``, which takes a second to load: a third of what all verdicts take."""

import numpy as np
import pandas as pd


def spearman(first, second) -> float:
    """Spearman's correlation: that of the ranks, where equal values share the mean of theirs; NaN if all are equal."""
    ranks = np.asarray(pd.DataFrame({"first": np.asarray(first), "second": np.asarray(second)}).rank())
    ranks = ranks - ranks.mean(axis=0)
    squares = (ranks**2).sum(axis=0)
    return float(ranks[:, 0] @ ranks[:, 1] / np.sqrt(squares.prod())) if squares.all() else float("nan")


def kendall(first, second) -> float:
    """Kendall's tau-b of two orders of the same things; NaN if all of either are equal. Of n things, n² comparisons."""
    one, other = (np.sign(np.subtract.outer(values, values)) for values in map(np.asarray, (first, second)))
    ties = (one**2).sum() * (other**2).sum()
    return float((one * other).sum() / np.sqrt(ties)) if ties else float("nan")
