"""Small tables of mean replacement against plain averages."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from prunebook.errors import InputError
from prunebook.evidence.statistics.mean_replacement import below_diagonal, foresight
from prunebook.pages.tables import mean_replacement


@pytest.fixture(scope="module")
def penalties():
    keys = ["net", "seed", "step", "score", "set", "amount", "replacement"]
    nets, scores = ("small", "medium"), ("abs_mrs", "rs", "norm")
    grid = itertools.product(nets, range(3), (0, 1000), scores, ("midconv", "all"), (0.1, 1.0), ("zero", "mean"))
    table = pd.DataFrame(grid, columns=keys)
    return table.assign(penalty=np.random.default_rng(0).normal(size=len(table)), batch_norm=False)


def test_a_table_for_a_page_is_in_words():
    table = pd.DataFrame(
        {"net": ["vgg11", "small"], "set": ["midconv", "other"], "lowest_tenth": 1, "half_width_95": 2}
    )
    shown = mean_replacement.spelled(table)
    assert list(shown.columns) == ["net", "set", "lowest tenth", "± (95 %)"]
    assert shown.iloc[:, :2].to_numpy().tolist() == [["VGG11", "Middle conv."], ["Small", "other"]]
    assert list(mean_replacement.spelled(table[["lowest_tenth"]])) == ["lowest tenth"]


@pytest.mark.parametrize("layer_set", ["all", "midconv"])
def test_penalties_with_zeros_and_means(penalties, layer_set):
    found = mean_replacement.readings(penalties, layer_set=layer_set)
    assert list(found)[2:] == ["zero", "mean", "difference", "half_width_80", "half_width_95", "seeds"]
    assert len(found) == 6
    for row in found.itertuples():
        own = penalties[(penalties["net"] == row.net) & (penalties["score"] == row.score)]
        own = own[(own["set"] == layer_set) & (own["amount"] == 0.1)]
        seeds = own.groupby(["replacement", "seed"])["penalty"].mean().unstack("replacement")  # noqa: PD010
        assert row.zero == pytest.approx(seeds["zero"].mean())
        assert row.mean == pytest.approx(seeds["mean"].mean())
        error = stats.sem(seeds["zero"] - seeds["mean"])
        for level, width in ((0.8, row.half_width_80), (0.95, row.half_width_95)):
            low, high = stats.t.interval(level, 2, row.difference, error)
            assert width == pytest.approx((high - low) / 2)
        assert row.difference == pytest.approx(row.zero - row.mean)
        assert row.seeds == 3
    with pytest.raises(InputError, match=r"0.3 was not measured: choose one of 0.1, 1"):
        mean_replacement.readings(penalties, amount=0.3)


def test_one_seed_has_no_interval_and_a_missing_number_is_not_left_out(penalties):
    one = penalties[penalties["seed"] == 0].copy()
    one.loc[(one["step"] == 1000) & (one["score"] == "rs") & (one["replacement"] == "zero"), "penalty"] = np.nan
    found = mean_replacement.readings(one)
    assert found[["half_width_80", "half_width_95"]].isna().all(axis=None)
    assert list(found["difference"].isna()) == list(found["score"] == "rs")


def test_batch_norm_is_told_apart(penalties):
    both = pd.concat([penalties, penalties.assign(batch_norm=True, penalty=-penalties["penalty"])])
    found = mean_replacement.readings(both).set_index(["net", "score"])["difference"]
    assert mean_replacement.networks(both) == "Small, Medium, Small with batch norm, Medium with batch norm"
    assert mean_replacement.networks(both.assign(net="vgg11")) == "VGG11, VGG11 with batch norm"
    assert found["medium with batch norm", "rs"] == pytest.approx(-found["medium", "rs"])


def test_other_readings_are_those_of_one_layer_set(penalties):
    table = penalties.replace({"score": {"rs": "rs/literal-sign"}})
    found = mean_replacement.readings(table, layer_set="midconv").set_index(["net", "score"])
    row = mean_replacement.readings(penalties, layer_set="midconv").set_index(["net", "score"]).loc[("small", "rs")]
    for column in ("zero", "mean", "difference", "half_width_95"):
        assert found.loc[("small", "rs/literal-sign"), column] == pytest.approx(row[column])
    assert len(found) == 6


def test_borders_side_by_side(penalties):
    means = penalties[penalties["replacement"] == "mean"]
    ways = {"exact": 1, "response-mean": 2, "all-taps": 3}
    borders = pd.concat(means.assign(border=way, penalty=factor * means["penalty"]) for way, factor in ways.items())
    found = mean_replacement.border_table(borders)
    assert list(found.columns) == ["net", "score", *ways]
    gains = mean_replacement.readings(penalties).set_index(["net", "score"])["mean"]
    for row in found.itertuples(index=False):
        assert row[2] == pytest.approx(gains[row.net, row.score])
        assert row[4] == pytest.approx(3 * row[2])


def test_batch_norm_table_tells_the_largest_difference(penalties):
    rows = [("medium", True, seed, step, "norm", 0.2, 0.1, seed * step) for seed in (0, 1) for step in (0, 7)]
    columns = ["net", "batch_norm", "seed", "step", "score", "zero", "mean", "difference"]
    (row,) = mean_replacement.batch_norm_table(pd.DataFrame(rows, columns=columns)).itertuples()
    assert (row.net, row.score, row.largest_difference) == ("medium with batch norm", "norm", 7)
    assert row.zero == pytest.approx(0.2)


def test_the_network_that_figures_show():
    def rows(net, seeds, batch_norm=False):
        return pd.DataFrame({"net": net, "seed": range(seeds), "batch_norm": batch_norm})

    small, normed = rows("small", 8), rows("medium", 8, batch_norm=True)
    assert mean_replacement.main_network(pd.concat([small, rows("medium", 3), normed])) == "small"
    assert mean_replacement.main_network(pd.concat([small, rows("medium", 4)])) == "medium"
    assert mean_replacement.main_network(rows("tiny", 1)) == "tiny"


def test_shares_leave_out_ties(penalties):
    table = penalties.copy()
    table.loc[table["step"] == 0, "penalty"] = 0.0
    for by in ("score", "set"):
        found = mean_replacement.shares(table, scores=["norm", "abs_mrs"], by=by)
        assert (found["ties"] * 2 == found["points"]).all()
        statistic = below_diagonal({"penalties": table}, scores=["norm", "abs_mrs"], cells=("net", by))
        expected = statistic.groupby("cell")["value"].mean()
        for row in found.itertuples():
            assert row.below == pytest.approx(expected[f"{row.net}, {getattr(row, by)}"])


def test_shares_of_large_differences_are_told_apart():
    keys = ["net", "seed", "step", "score", "set", "amount", "replacement"]
    table = pd.DataFrame(
        itertools.product(("small",), (1,), range(4), ("norm",), ("all",), (0.1,), ("zero", "mean")), columns=keys
    )
    table["penalty"] = [0.5, 0.4, 0.5, 0.505, 0.5, 0.52, 0.5, 0.2]  # by .1 lower, .005 higher, .02 higher, .3 lower
    row = mean_replacement.shares(table, scores=["norm"]).iloc[0]
    assert (row["below"], row["large"]) == (0.5, 3)
    assert row["below_large"] == pytest.approx(2 / 3)


def test_how_often_the_last_multiple_is_the_best():
    rows = [
        {"net": "n", "seed": seed, "step": 0, "set": layers, "score": "norm", "alpha": alpha,
         "penalty": abs(alpha - (9 if layers == "midconv" else best))}
        for seed, best in ((1, 0.5), (2, 1.5), (3, 7), (4, 1.0))
        for layers in ("all", "midconv")
        for alpha in (0.5, 1.0, 1.5)
    ]  # fmt: skip
    assert mean_replacement.at_the_end(pd.DataFrame(rows), layer_set="all", scores=["norm"]) == 0.5


def test_foresight_table():
    rng = np.random.default_rng(1)
    grid = itertools.product(("small",), range(2), (0, 5), range(9), ("zero", "mean"))
    table = pd.DataFrame(grid, columns=["net", "seed", "step", "unit", "replacement"])
    table = table.assign(penalty=rng.normal(size=len(table)), score_norm=rng.normal(size=len(table)))
    found = mean_replacement.foresight_table(table, [("norm", "zero"), ("norm", "mean")])
    assert len(found) == 4
    for kind in ("zero", "mean"):
        expected = foresight({"single_units": table}, scores=["norm"], replacement=kind)["value"].mean()
        assert found.loc[found["replacement"] == kind, "correlation"].mean() == pytest.approx(expected)
    pooled = mean_replacement.foresight_table(table, [("norm", "zero")], by_step=False)
    assert list(pooled["correlation"]) == pytest.approx(
        [found.loc[found["replacement"] == "zero", "correlation"].mean()]
    )
    assert pooled["seeds"].tolist() == [2]
    own = table[table["replacement"] == "zero"]
    mask_lowest = own.loc[own.groupby(["seed", "step"])["score_norm"].idxmin(), "penalty"]  # a tenth of nine, but one
    assert pooled["lowest_tenth"].tolist() == pytest.approx([mask_lowest.mean()])
    assert pooled["all_units"].tolist() == pytest.approx([own["penalty"].mean()])


def test_of_a_network_followed_twice_the_longest_training_counts():
    rows = [("small", False, 9), ("vgg11", False, 2), ("vgg11", False, 9), ("vgg11", True, 2)]
    table = pd.DataFrame(2 * rows, columns=["net", "batch_norm", "steps"])
    found = mean_replacement.longest(table)
    assert sorted(found.itertuples(index=False, name=None)) == sorted(2 * [rows[0], rows[2], rows[3]])
