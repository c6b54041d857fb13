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


def beyond_attainable(one: pd.DataFrame, other: pd.DataFrame) -> pd.Series:
    """How well orders of ``one`` agree with orders of ``other``, minus how well the latter agree among themselves.

    A row a seed and a column a thing that is ordered; the rows of the two have the same seeds. Both agreements are
    means of Kendall's tau over pairs of two different seeds, so 0 is as good as another seed of the same condition.
    """

    def agreement(first: pd.DataFrame, second: pd.DataFrame, seed) -> float:
        rest = second.drop(index=seed)
        return float(np.mean([kendall(first.loc[seed], row) for _, row in rest.iterrows()]))

    gaps = [agreement(one, other, seed) - agreement(other, other, seed) for seed in other.index]
    return pd.Series(gaps, other.index)
