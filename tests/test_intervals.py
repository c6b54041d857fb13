"""Student's interval is the one of SciPy, for one mean and for many at once."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from prunebook.evidence.intervals import half_width


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_it_is_the_interval_of_scipy(count, level):
    values = np.random.default_rng(count).normal(3, 2, count)
    low, high = stats.t.interval(level, count - 1, loc=values.mean(), scale=stats.sem(values))
    half = half_width(values.std(ddof=1), count, level)
    assert values.mean() - half == pytest.approx(low)
    assert values.mean() + half == pytest.approx(high)


def test_many_at_once_and_none_for_one_value():
    values = pd.DataFrame({"group": ["a", "a", "b", "c", "c", "c"], "value": [1.0, 3.0, 5.0, 1.0, 2.0, 6.0]})
    groups = values.groupby("group")["value"]
    halves = half_width(groups.std(), groups.size())
    assert halves.index.tolist() == ["a", "b", "c"]
    assert halves["a"] == pytest.approx(12.706204736 * np.sqrt(2) / np.sqrt(2))
    assert np.isnan(halves["b"])
    assert halves["c"] == pytest.approx(half_width(np.std([1, 2, 6], ddof=1), 3))
    assert np.isnan(half_width(0.0, 1))
