"""Rank correlations against those of SciPy."""

import numpy as np
import pytest
from scipy import stats

from prunebook.evidence.statistics.ranks import kendall, spearman


@pytest.mark.parametrize(("ours", "theirs"), [(spearman, stats.spearmanr), (kendall, stats.kendalltau)])
def test_they_are_those_of_scipy_with_and_without_ties(ours, theirs):
    rng = np.random.default_rng(0)
    for count, values in ((2, 9), (6, 3), (9, 1000), (50, 4), (200, 10**6)):
        first = rng.integers(0, values, count)
        second = first + rng.integers(0, values, count)
        assert ours(first, second) == pytest.approx(theirs(first, second).statistic, rel=1e-12)
        assert ours(-first, first) == pytest.approx(-1)
    with np.errstate(invalid="raise"):
        assert np.isnan(ours([1, 1, 1], [1, 2, 3]))
