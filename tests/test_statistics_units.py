"""Statistics of mean replacement from tables made up so that the answer is known."""

import itertools

import numpy as np
import pandas as pd
import pytest

from prunebook.errors import InputError
from prunebook.evidence.statistics import general, mean_replacement

SCORES = ("norm", "rand", "abs_rs")


def value(frame):
    assert len(frame) == frame["seed"].nunique() * frame["cell"].nunique()
    return frame.set_index(["cell", "seed"])["value"].to_dict()


def grid(penalty):
    keys = ("net", "seed", "step", "set", "amount", "score", "replacement")
    cells = itertools.product(["small"], [1, 2], [0, 10, 20], ["all", "midconv"], [0.1, 0.5], SCORES, ["zero", "mean"])
    rows = [dict(zip(keys, cell, strict=True)) for cell in cells]
    return pd.DataFrame([row | {"penalty": penalty(**row)} for row in rows])


def test_contrast_pairs_rows_of_one_step():
    table = grid(lambda seed, step, replacement, score, **_: (replacement == "zero") * (step + seed))
    found = general.contrast(
        {"penalties": table},
        table="penalties",
        column="penalty",
        where={"set": "all", "amount": 0.1, "replacement": "zero", "score": ["norm", "rand"]},
        against={"replacement": "mean"},
        beside=["step"],
        cells=["score"],
    )
    assert value(found) == {("norm", 1): 11, ("norm", 2): 12, ("rand", 1): 11, ("rand", 2): 12}


def test_contrast_of_two_scores():
    table = grid(lambda score, step, **_: SCORES.index(score) * (step + 1))
    found = general.contrast(
        {"p": table},
        table="p",
        column="penalty",
        where={"set": "all", "amount": 0.1, "replacement": ["zero", "mean"], "score": "abs_rs"},
        against={"score": "rand"},
        beside=["step"],
        cells=["replacement"],
    )
    assert set(value(found).values()) == {11}  # mean of 1, 11, 21


def test_below_the_diagonal_leaves_ties_out():
    def penalty(step, replacement, amount, **_):
        if step == 0:
            return 0.0
        better = step == 10 or amount == 0.1
        return 1.0 if replacement == "zero" else 1.0 - better + (not better)

    found = mean_replacement.below_diagonal({"penalties": grid(penalty)}, scores=["norm"])
    assert value(found) == {("small", 1): 0.75, ("small", 2): 0.75}


def test_profile_area_is_the_mean_place_between_worst_and_best():
    rng = np.random.default_rng(0)
    table = grid(lambda **_: rng.normal())
    areas = mean_replacement.profile_areas(table).set_index(["net", "seed", "score", "replacement"])
    one = table[table["seed"] == 1]
    taus = np.linspace(0, 1, 20001)
    points = one.groupby(["step", "set", "amount"])["penalty"]
    mine = one[(one["score"] == "rand") & (one["replacement"] == "mean")].set_index(["step", "set", "amount"])
    profile = np.zeros_like(taus)
    for key, group in points:
        threshold = taus * group.min() + (1 - taus) * group.max()
        profile += mine.loc[key, "penalty"] <= threshold
    area = (profile / len(points)).mean()
    found = areas.loc[("small", 1, "rand", "mean")]
    assert float(found.iloc[-1]) == pytest.approx(area, abs=2e-4)


def followed(choices):
    rows = [
        {
            "net": "small",
            "seed": 1,
            "site": "conv2",
            "step": step,
            "score": score,
            "unit": unit,
            "width": 4,
            "energy": 10.0**unit,
        }
        for score, steps in choices.items()
        for step, chosen in steps.items()
        for unit in chosen
    ]
    return {"followed": pd.DataFrame(rows)}


CHOICES = {"a": {0: [0, 1], 10: [1, 2], 20: [1, 2]}, "b": {0: [2, 3], 10: [1, 2], 20: [0, 3]}}


def test_coverage_counts_units_once():
    tables = followed(CHOICES)
    assert set(value(mean_replacement.coverage(tables, scores=["a"])).values()) == {0.75}
    assert set(value(mean_replacement.coverage(tables, scores=["a"], since=10)).values()) == {0.5}
    assert set(value(mean_replacement.coverage(tables, scores=["b"], until=10)).values()) == {0.75}
    assert set(value(mean_replacement.coverage(tables, scores=["b"], minus_until=0)).values()) == {0.5}
    assert set(value(mean_replacement.coverage(tables, scores=["b"], since=10, minus_since=0)).values()) == {0.0}


def test_overlap_and_energy():
    tables = followed(CHOICES)
    overlap = mean_replacement.chosen_alike(tables, score="a", against="b")
    assert value(overlap) == {("small", 1): pytest.approx((0 + 1 + 0) / 3)}
    energy = mean_replacement.energy_contrast(tables, score="b", against="a")
    assert value(energy) == {("small", 1): pytest.approx(2.0 - 1.0)}


def test_a_seed_pruned_early_alone_has_no_share_to_compare():
    tables = tuning(lambda step, tuned, seed, **_: seed * (1 - tuned / (1000 if step > 20_000 else 500)))
    whole = mean_replacement.tuning_kept(tables, steps=100, late=20_000)
    table = tables["tuning"]
    extra = table[(table["seed"] == 1) & (table["step"] < 20_000)].assign(seed=4, penalty=7.0)
    more = mean_replacement.tuning_kept({"tuning": pd.concat([table, extra])}, steps=100, late=20_000)
    pd.testing.assert_frame_equal(more, whole)


def tuning(gain):
    keys = ("net", "seed", "step", "set", "amount", "score", "tuned", "replacement")
    starts, amounts = [5000, 15000, 25000, 35000], [0.1, 0.2, 0.5]
    cells = itertools.product(["small"], [1, 2, 3], starts, ["all"], amounts, ["norm"], [0, 10, 100], ["zero", "mean"])
    rows = [dict(zip(keys, cell, strict=True)) for cell in cells]
    return {
        "tuning": pd.DataFrame(row | {"penalty": gain(**row) * (row["replacement"] == "zero") + 3.0} for row in rows)
    }


def test_gain_after_tuning_by_start():
    tables = tuning(lambda step, tuned, seed, **_: seed * (1 if step >= 25000 else 2) * {0: 8, 10: 4, 100: 2}[tuned])
    late = value(mean_replacement.tuning_gain(tables, steps=10, since=25000))
    assert late == {("small", 1): 4, ("small", 2): 8, ("small", 3): 12}
    early = value(mean_replacement.tuning_gain(tables, steps=10, until=25000))
    assert early == {("small", 1): 8, ("small", 2): 16, ("small", 3): 24}
    minus = mean_replacement.tuning_gain(tables, steps=10, minus_steps=100, since=25000)
    assert value(minus) == {("small", 1): 2, ("small", 2): 4, ("small", 3): 6}
    with pytest.raises(InputError, match="from step 90000 on"):
        mean_replacement.tuning_gain(tables, steps=10, since=90000)


def test_one_large_cell_does_not_decide_the_gain():
    tables = tuning(lambda amount, **_: -1000 if amount == 0.5 else 2)
    assert set(value(mean_replacement.tuning_gain(tables, steps=10)).values()) == {2}


def test_share_of_the_gain_that_is_kept():
    tables = tuning(lambda step, tuned, seed, **_: seed * (8 if tuned == 0 else (1 if step < 25000 else 6)))
    found = value(mean_replacement.tuning_kept(tables, steps=100, late=25000))
    assert list(found.values()) == pytest.approx([1 / 8 - 6 / 8] * 3)


def test_a_seed_without_a_gain_does_not_blow_up_what_is_kept():
    def gain(step, tuned, seed, **_):
        whole = {1: 10.0, 2: 14.0, 3: -1e-9}[seed]
        return whole * (1 if tuned == 0 else 0.25 if step < 25000 else 0.5) + 0.1 * (tuned > 0)

    found = value(mean_replacement.tuning_kept(tuning(gain), steps=100, late=25000))
    assert list(found.values()) == pytest.approx([-0.25] * 3)


def test_pseudo_values_are_those_of_the_jackknife():
    early = {1: (4.0, 1.0), 2: (6.0, 3.0), 3: (5.0, 2.5)}
    tables = tuning(lambda step, tuned, seed, **_: early[seed][tuned > 0] if step < 25000 else (2.0, 1.0)[tuned > 0])
    found = value(mean_replacement.tuning_kept(tables, steps=100, late=25000))
    whole = 6.5 / 15 - 0.5
    assert found["small", 1] == pytest.approx(3 * whole - 2 * (5.5 / 11 - 0.5))
    assert found["small", 2] == pytest.approx(3 * whole - 2 * (3.5 / 9 - 0.5))
    assert found["small", 3] == pytest.approx(3 * whole - 2 * (4.0 / 10 - 0.5))


def test_the_least_alpha():
    rows = [
        {"net": "n", "seed": 1, "step": step, "set": "all", "score": "norm", "alpha": a, "penalty": (a - best) ** 2}
        for step, best in ((0, 0.5), (1, 1.0))
        for a in (0.0, 0.5, 1.0, 1.5)
    ]
    found = mean_replacement.best_alpha({"constants": pd.DataFrame(rows)}, layer_set="all", scores=["norm"])
    assert value(found) == {("n", 1): 0.75}


def test_signal_late_minus_early():
    rows = [
        {"net": "n", "seed": 1, "step": step, "site": site, "score": score, "signal": signal}
        for step, signal in ((0, 0.9), (10, 0.7), (50, 0.5), (90, 0.1))
        for site in ("conv1", "conv2")
        for score in ("rs", "mrs")
    ]
    found = mean_replacement.late_signal({"agreement": pd.DataFrame(rows)}, score="rs", early=10, late=60)
    assert value(found) == {("n", 1): pytest.approx(0.1 - 0.8)}


def test_foresight_is_a_rank_correlation():
    rows = [
        {"net": "n", "seed": 1, "step": 0, "unit": u, "replacement": "zero", "score_norm": u, "penalty": u**3}
        for u in range(5)
    ]
    found = mean_replacement.foresight({"single_units": pd.DataFrame(rows)}, scores=["norm"], replacement="zero")
    assert value(found) == {("n, norm", 1): pytest.approx(1.0)}
