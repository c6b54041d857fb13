"""The rules of the second edition: on closed cases, and how often they err on tables whose truth is known."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from prunebook import evidence
from prunebook.evidence import power
from prunebook.evidence.second_edition import EDGE, Group, holm, judge_again, simultaneous

RULE = {"edition": 2, "effect": "times", "thresholds": "none", "study": "ec-mnist"}


def tables(values, column="value", **more):
    """A table with a row a seed and cell, from values with a column a cell."""
    rows = [
        {"seed": seed + 1, "cell_name": f"c{cell}", column: value, **more}
        for seed, row in enumerate(np.atleast_2d(np.asarray(values, float).T).T)
        for cell, value in enumerate(row)
    ]
    return {"t": pd.DataFrame(rows)}


def claim(*conditions, **more):
    plain = {"statistic": "measured", "table": "t", "column": "value", "cells": ["cell_name"]}
    return {**RULE, **more, "conditions": [{**plain, **condition} for condition in conditions]}


FOUR = np.array([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("values", "condition", "verdict"),
    [
        (FOUR, {"above": 0.0}, evidence.SUPPORTED),
        (FOUR, {"below": 0.0}, evidence.NOT_SUPPORTED),
        (FOUR, {"above": 0.25}, evidence.INCONCLUSIVE),
        (FOUR, {"above": 0.0, "margin": 1.0}, evidence.NO_DIFFERENCE),  # real, and too small to matter
        (FOUR, {"below": 0.0, "margin": 1.0}, evidence.NO_DIFFERENCE),
        (FOUR, {"above": 0.25, "margin": 0.3}, evidence.INCONCLUSIVE),  # the interval ends at 0.455
        (FOUR[:3], {"above": 0.0}, evidence.NOT_TESTED),
    ],
)
def test_closed_cases(values, condition, verdict):
    assert judge_again(claim(condition), tables(values)).verdict == verdict


def test_the_interval_is_students_on_the_scale_of_the_numbers():
    values = np.array([0.7, 0.8, 0.9, 0.95, 0.99])
    scales = {"plain": (lambda x: x,) * 2, "share": (stats.logistic.ppf, stats.logistic.cdf)}
    scales["correlation"] = (np.arctanh, np.tanh)
    for scale, (to, back) in scales.items():
        (found,) = judge_again(claim({"above": 0.0, "scale": scale}), tables(values)).conditions
        moved = to(values)
        ends = stats.t.interval(0.95, 4, moved.mean(), stats.sem(moved))
        assert (found.effect, found.low, found.high) == pytest.approx(tuple(map(back, (moved.mean(), *ends))))
    quotient = {"statistic": "quotient", "over": "one", "below": 1}
    (found,) = judge_again(claim(quotient), tables(values, one=2.0)).conditions
    logs = np.log(values / 2)
    ends = stats.t.interval(0.95, 4, logs.mean(), stats.sem(logs))
    assert (found.effect, found.low, found.high) == pytest.approx(tuple(map(math.exp, (logs.mean(), *ends))))


def test_a_share_of_one_and_a_perfect_correlation_are_finite():
    for scale in ("share", "correlation"):
        (found,) = judge_again(claim({"above": 0.5, "scale": scale}), tables([1.0] * 4)).conditions
        assert found.effect == pytest.approx(1 - EDGE)
        assert found.outcome == evidence.SUPPORTED


def test_all_conditions_must_hold_and_one_that_fails_is_enough():
    both = claim({"above": 0.0})
    good, bad, open_ = FOUR, -FOUR, FOUR - 0.25
    verdict = lambda *columns: judge_again(both, tables(np.stack(columns, axis=1))).verdict  # noqa: E731
    assert verdict(good, good) == evidence.SUPPORTED
    assert verdict(good, open_) == evidence.INCONCLUSIVE
    assert verdict(good, good, 10 * good, 10 * bad - 5) == evidence.NOT_SUPPORTED
    # Alone it fails at 2.5 %; as one of ten it does not, after Holm.
    weak = np.array([-0.1, -0.2, -0.3, -0.15])
    assert verdict(weak) == evidence.NOT_SUPPORTED
    assert verdict(weak, *[good] * 9) == evidence.INCONCLUSIVE


def test_a_tie_beside_conditions_that_hold_is_no_difference():
    values = np.stack([FOUR, FOUR / 1000], axis=1)
    judgement = judge_again(claim({"above": 0.0, "margin": 0.01}), tables(values))
    assert judgement.verdict == evidence.NO_DIFFERENCE
    assert [c.outcome for c in judgement.conditions] == [evidence.SUPPORTED, evidence.NO_DIFFERENCE]


def test_what_is_proven_must_hold_in_every_seed():
    rule = claim({"above": 0.999999}, kind="check")
    values = np.array([1.0, 1.0, 1.0, 50.0])  # an interval over seeds would reach below 1
    assert judge_again(rule, tables(values)).verdict == evidence.SUPPORTED
    assert judge_again(rule, tables([*values, 0.99])).verdict == evidence.NOT_SUPPORTED


@pytest.mark.parametrize("count", [1, 2, 7])
def test_holm_is_that_of_statsmodels(count):
    rng = np.random.default_rng(count)
    for _ in range(10):
        chances = rng.uniform(0, 0.1, count).round(3)
        assert holm(chances, 0.025).tolist() == multipletests(chances, 0.025, method="holm")[0].tolist()


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"table": "moments", "above": 0}, "moments"),
        ({"column": "scaled_nll", "above": 0}, "scaled_nll"),
        ({"where": {"cell_name": "none"}, "above": 0}, "no results fit"),
    ],
)
def test_tables_without_what_a_rule_needs_give_a_reason(condition, reason):
    judgement = judge_again(claim(condition), tables(FOUR))
    assert (judgement.verdict, judgement.conditions) == (evidence.NOT_TESTED, [])
    assert reason in judgement.reason
    assert judge_again(claim({"above": 0}), None).reason == "no fresh seeds yet"
    assert "finite" in judge_again(claim({"above": 0}), tables([*FOUR, math.nan])).reason


def test_the_pooled_effect_is_the_mean_over_cells_of_the_first_condition():
    values = np.random.default_rng(0).normal(1, 0.2, (6, 3))
    means = values.mean(axis=1)
    low, high = stats.t.interval(0.95, 5, means.mean(), stats.sem(means))
    judgement = judge_again(claim({"above": 0.0}, {"above": 5.0, "column": "other"}), tables(values, other=9.0))
    assert judgement.pooled == pytest.approx((means.mean(), low, high))


# --- Simulation: error rates of whole rules ---------------------------------------------------------------------------

TRIALS = 150


def rate(verdict, draw, rule):
    rng = np.random.default_rng(1)
    return np.mean([judge_again(rule, tables(draw(rng))).verdict == verdict for _ in range(TRIALS)])


def allowed(chance):
    """Three standard errors above a chance, of so many trials."""
    return chance + 3 * math.sqrt(chance * (1 - chance) / TRIALS)


def test_a_true_claim_is_seldom_refused_whatever_the_number_of_conditions():
    for cells in (1, 8):  # at the edge of the truth
        wrong = rate(evidence.NOT_SUPPORTED, lambda rng, k=cells: rng.normal(0, 1, (6, k)), claim({"above": 0.0}))
        assert wrong <= allowed(0.025)
    uncorrected = 1 - 0.975**8
    assert allowed(0.025) < uncorrected / 2, "without Holm this test would not see the difference"


def test_a_false_claim_is_seldom_supported():
    def one_is_false(rng):  # seven conditions hold beyond doubt, the eighth is at the edge of holding
        return rng.normal(0, 1, (6, 8)) + np.where(np.arange(8) == 0, 0, 100)

    assert rate(evidence.SUPPORTED, one_is_false, claim({"above": 0.0})) <= allowed(0.025)


def test_a_difference_at_the_margin_is_seldom_called_none():
    at_margin = lambda rng: rng.normal(1, 0.3, (6, 1))  # noqa: E731
    assert rate(evidence.NO_DIFFERENCE, at_margin, claim({"above": 0.0, "margin": 1.0})) <= allowed(0.025)
    alike = lambda rng: rng.normal(0, 0.3, (6, 1))  # noqa: E731
    assert rate(evidence.NO_DIFFERENCE, alike, claim({"above": 0.0, "margin": 1.0})) > 0.9


@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_a_band_holds_at_all_ratios_at_once(alike):
    """Also with fewer seeds than ratios, where the correlations are poorly known; a plain interval fails."""
    rng, cells, trials = np.random.default_rng(0), 8, 60
    covered = {"band": 0, "plain": 0}
    for _ in range(trials):
        values = math.sqrt(alike) * rng.normal(size=(8, 1)) + math.sqrt(1 - alike) * rng.normal(size=(8, cells))
        largest = np.abs(stats.ttest_1samp(values, 0).statistic).max()
        covered["band"] += largest < simultaneous(pd.DataFrame(values), 0.95)
        covered["plain"] += largest < stats.t.ppf(0.975, 7)
    assert covered["band"] / trials > 0.95 - 0.085
    if not alike:
        assert covered["plain"] / trials < 0.8


def test_the_band_of_a_single_curve_is_students_and_curves_have_bands_of_their_own():
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(8, 1)))
    assert simultaneous(values, 0.95) == pytest.approx(stats.t.ppf(0.975, 7), rel=0.05)
    labels = ["a, ratio 0.1", "a, ratio 0.2", "b, ratio 0.1, loss"]
    found = pd.DataFrame(np.random.default_rng(0).normal(size=(8, 3)), columns=labels)
    wide = Group(found, "plain", "above", 0.0, 0.0, True, 0.0).critical(0.95)
    assert wide[0] == wide[1] > wide[2] == pytest.approx(stats.t.ppf(0.975, 7), rel=0.05)


def test_so_many_more_seeds_decide_four_times_in_five():
    """Where the truth is what the seeds so far say, give or take: repeat the experiment with the promised number."""
    rng, decided, rule = np.random.default_rng(0), [], claim({"above": 0.0})
    for _ in range(80):
        truth, first = rng.normal(0, 0.5), rng.normal(0, 1, (5, 1))
        first += truth
        if judge_again(rule, tables(first)).verdict != evidence.INCONCLUSIVE:
            continue
        wanted = power.seeds_to_decide(rule, tables(first))
        if wanted is not None:
            more = np.concatenate([first, rng.normal(truth, 1, (wanted, 1))])
            decided.append(judge_again(rule, tables(more)).verdict != evidence.INCONCLUSIVE)
    assert len(decided) > 15
    assert 0.6 < np.mean(decided) <= 1


def test_one_condition_that_fails_needs_no_other_to_be_settled():
    """The first edition asked for as many seeds as the worst open condition, though one failure settles a claim."""
    rng = np.random.default_rng(0)
    failing, hopeless = rng.normal(-0.9, 1, 8), rng.normal(0, 1, 8)
    hopeless -= hopeless.mean()
    both = tables(np.stack([failing, hopeless], axis=1))
    rule = claim({"above": 0.0})
    assert judge_again(rule, both).verdict == evidence.INCONCLUSIVE
    assert power.seeds_to_decide(rule, both) < 20
    assert power.seeds_to_decide(rule, tables(hopeless)) is None
