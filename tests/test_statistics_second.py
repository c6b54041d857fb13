"""The statistics that the second edition added, on tables whose answer is known."""

import math

import numpy as np
import pandas as pd
import pytest

from prunebook.errors import InputError
from prunebook.evidence.statistics import STATISTICS
from prunebook.evidence.statistics.elimination_compensation import PAPER_METHODS
from prunebook.evidence.statistics.ranks import beyond_attainable

SEEDS = (1, 2, 3)


def values(name, tables, **arguments):
    return STATISTICS[name].function(tables, **arguments).sort_values("seed")["value"].tolist()


def frame(columns, rows):
    return pd.DataFrame(rows, columns=columns.split())


def test_a_range_is_measured_by_length_and_not_by_points():
    table = frame("seed ratio sparsity_kept", [(1, 0.2, 1.0), (1, 0.4, 0.0), (1, 0.95, 0.0)])
    found = values("share_of_range", {"t": table}, table="t", column="sparsity_kept", by="ratio", at_most=0.0)
    assert found == pytest.approx([(0.95 - 0.4) / 0.95], abs=2e-3)  # two of three points


def test_a_quotient_of_means_needs_no_logarithm_of_each():
    rows = [(1, 0, "z", 1.0), (1, 0, "m", 0.0), (1, 1, "z", 3.0), (1, 1, "m", 2.0)]
    table = frame("seed step replacement penalty", rows)
    ask = {"table": "t", "column": "penalty", "where": {"replacement": "m"}, "against": {"replacement": "z"}}
    assert np.exp(values("change_of_means", {"t": table}, **ask, beside=["step"])) == pytest.approx([0.5])
    with pytest.raises(InputError, match="not above 0"):
        values("change_of_means", {"t": table.assign(penalty=-1.0)}, **ask, beside=["step"])


def test_agreement_is_counted_from_what_another_seed_reaches():
    orders = pd.DataFrame([[1, 2, 3], [1, 2, 3], [1, 2, 3]], index=SEEDS)
    assert beyond_attainable(orders, orders).tolist() == [0, 0, 0]
    assert beyond_attainable(-orders, orders).tolist() == [-2, -2, -2]
    mixed = pd.DataFrame([[1, 2, 3], [1, 3, 2], [2, 1, 3]], index=SEEDS)
    assert beyond_attainable(mixed, mixed).abs().max() == 0
    turned = mixed * np.array([[-1], [1], [1]])  # seed 1 agrees with the others to 1/3, turned round to -1/3
    assert beyond_attainable(turned, mixed).tolist() == pytest.approx([-2 / 3, 0, 0])


@pytest.mark.parametrize(("turned", "gap"), [(1, 0), (-1, -2)])
def test_noise_and_fine_tuning_can_turn_an_order_round(turned, gap):
    rows = [
        ("4-3", noise, seed, 0.5, "pruned", method, math.exp(place * (turned if noise == 0 else 1)))
        for noise in (0.0, 0.01)
        for seed in SEEDS
        for place, method in enumerate(PAPER_METHODS)
    ]
    losses = frame("widths noise seed ratio stage method loss", rows)
    assert values("order_kept_by_noise", {"losses": losses}, noises=[0.0, 0.01], stage="pruned") == [gap] * 3
    rows = [
        ("n", seed, 0.5, stage, name, "none", True, math.exp(place * (turned if stage == "pruned" else 1)))
        for stage in ("pruned", "fine-tuned")
        for seed in SEEDS
        for place, name in enumerate("abc")
    ]
    losses = frame("net seed ratio stage ranking compensation tuned loss", rows)
    assert values("order_foretold", {"losses": losses}, stages=["pruned", "fine-tuned"]) == [gap] * 3


def test_the_best_is_picked_on_other_seeds():
    logs = {"a": (0, 0, 0), "b": (-1, 1, 1)}  # b is best on seed 1 by luck
    rows = [("n", s, 0.5, "best", name, "none", True, math.exp(logs[name][s - 1])) for s in SEEDS for name in "ab"]
    losses = {"losses": frame("net seed ratio stage ranking compensation tuned loss", rows)}
    assert values("behind_picked", losses, ranking="a", stage="best") == [0, 0, 0]
    assert values("behind_best", losses, ranking="a", stage="best") == [1, 0, 0]


POINT = "net seed step set amount score replacement penalty"


def pairs(gains, step=0, seed=1):
    """Penalties with zeros and with means that differ by ``gains``, a step each."""
    return [
        ("n", seed, step + index, "all", 0.1, "norm", name, 1.0 + (gain if name == "zero" else 0))
        for index, gain in enumerate(gains)
        for name in ("zero", "mean")
    ]


def test_only_what_can_be_seen_is_counted():
    tables = {"penalties": frame(POINT, pairs([0.1, -0.001, -0.01, 0.0]))}
    share = lambda **options: values("below_diagonal", tables, scores=["norm"], **options)  # noqa: E731
    assert share(slack=0.005) == pytest.approx([2 / 3])
    assert share(tolerance=0.005) == [0.5]
    assert share() == pytest.approx([1 / 3])


def test_early_minus_late():
    rows = pairs([0.1, 0.1], step=0) + pairs([0.1, -0.1], step=100)
    tables = {"tuning": frame(POINT, rows).assign(tuned=100)}
    ask = {"late": 100, "scores": ["norm"], "tolerance": 0.005, "where": {"tuned": 100}}
    assert values("diagonal_early", tables, **ask) == [0.5]


def test_scores_with_either_sign_are_set_against_chance():
    place = ("n", 1, 0, "midconv", 0.1)
    tables = {
        "penalties": frame(POINT, [(*place, "rand", "mean", 1.0), (*place, "rs", "mean", 0.75)]),
        "conventions": frame(POINT, [(*place, "rs/literal-sign", "mean", 1.5)]),
    }
    assert values("above_chance", tables, score="rs", layer_set="midconv", amount=0.1) == [-0.25]
    assert values("above_chance", tables, score="rs/literal-sign", layer_set="midconv", amount=0.1) == [0.5]


def test_a_parabola_finds_what_lies_between_the_points():
    grid = np.arange(0, 1.75, 0.25)
    rows = [("n", 1, 0, "all", "norm", alpha, (alpha - 0.9) ** 2) for alpha in grid]
    tables = {"constants": frame("net seed step set score alpha penalty", rows)}
    ask = {"layer_set": "all", "scores": ["norm"]}
    assert values("best_alpha", tables, **ask, parabola=True) == pytest.approx([0.9])
    assert values("best_alpha", tables, **ask) == [1.0]
    bent = {"constants": tables["constants"].assign(penalty=-tables["constants"]["penalty"])}
    assert np.isnan(values("best_alpha", bent, **ask, parabola=True)).all()


def test_the_gain_of_fine_tuning_in_points_and_as_a_share():
    columns = "reading case method ratio sparsity seed tuned accuracy error centred_error"
    rows = [
        ("r", "c", "m", 0.9, 0.9, 1, tuned, accuracy, 1.0, 1.0) for tuned, accuracy in (("none", 0.4), ("all", 0.7))
    ]
    tables = {"recovery": frame(columns, rows)}
    assert values("fine_tuning_gap", tables, tuned="all", where={}) == pytest.approx([0.3])
    assert values("fine_tuning_gap", tables, tuned="all", where={}, relative=True) == pytest.approx([0.75])


def moments(losses, kept=lambda amount: amount):
    """The table of mr-moments: ``losses`` gives the loss of a replacement at an amount."""
    rows = [
        ("n", 1, 0, "rand", amount, "all", name, "test", losses(name, amount), kept(amount))
        for amount in (0.1, 0.2, 0.5)
        for name in ("none", "zero", "mean", "mean+gain", "recalibrated")
    ]
    return {"moments": frame("net seed step score amount layers replacement images loss variance_kept", rows)}


def test_variance_foretells_the_gain_or_does_not():
    tables = moments(lambda name, amount: 2 - amount if name == "mean" else 2.0)
    assert values("foretold_by_variance", tables, images="test") == pytest.approx([1])
    tables = moments(lambda name, amount: 2 - amount if name == "mean" else 2.0, kept=lambda amount: -amount)
    assert values("foretold_by_variance", tables, images="test") == pytest.approx([-1])


def test_what_is_left_to_gain_is_a_share_of_the_penalty():
    level = {"none": 1.0, "zero": 3.0, "mean": 2.0, "mean+gain": 1.4, "recalibrated": 1.5}
    tables = moments(lambda name, amount: level[name])
    ask = {"repaired": "recalibrated", "against": "mean+gain", "images": "test"}
    assert values("left_to_gain", tables, **ask) == pytest.approx([0.05])
    rows = tables["moments"]
    with pytest.raises(InputError, match="recalibrated"):
        values("left_to_gain", {"moments": rows[rows["replacement"] != "recalibrated"]}, **ask)
    with pytest.raises(InputError, match="nothing was taken from"):
        values("left_to_gain", {"moments": rows[rows["replacement"] != "none"]}, **ask)
