"""Errors that leave a label alone, against brute force over adversarial errors."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebook.coresets import mass, sensitivities
from prunebook.coresets.labels import (
    additive_epsilon,
    correct,
    deterministic_consistent,
    epsilon_to_keep,
    ratio_epsilon,
    sign_split_epsilon,
)
from prunebook.coresets.sampling import keep_largest
from prunebook.coresets.weight_bounds import dropped
from prunebook.errors import InputError

close = torch.testing.assert_close


def points(count=300, n=12, classes=5, seed=0):
    """Logits with bias, masses without, and labels of which most are right."""
    g = torch.Generator().manual_seed(seed)
    weight = torch.randn(classes, n, generator=g, dtype=torch.float64)
    bias = torch.randn(classes, generator=g, dtype=torch.float64)
    h = torch.randn(count, n, generator=g, dtype=torch.float64).relu()
    logits = h @ weight.T + bias
    labels = logits.argmax(1)
    wrong = torch.rand(count, generator=g) < 0.2
    return weight, h, logits, mass(weight, h), torch.where(wrong, (labels + 1) % classes, labels)


def scales(kind, logits, masses):
    return {"additive": torch.ones_like(logits), "ratio": logits.abs(), "sign-split": masses.sum(0)}[kind]


def epsilons(kind, logits, masses, labels):
    if kind == "sign-split":
        return sign_split_epsilon(logits, masses, labels)
    return {"additive": additive_epsilon, "ratio": ratio_epsilon}[kind](logits, labels)


KINDS = ["additive", "ratio", "sign-split"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_error_below_flips_a_label_and_one_above_does(kind):
    _, _, logits, masses, labels = points(count=60, classes=4)
    found, scale = epsilons(kind, logits, masses, labels), scales(kind, logits, masses)
    right = correct(logits, labels)
    assert torch.equal(right, logits.argmax(1) == labels)
    assert (found[~right] == 0).all()
    assert (found[right] > 0).all()
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4)), dtype=torch.float64)
    for factor, survives in ((1 - 1e-9, True), (1 + 1e-9, False)):
        size = (factor * found)[:, None] * scale
        labelled = [correct(logits + corner * size, labels) for corner in corners]
        kept = torch.stack(labelled).all(0)
        assert (kept[right] == survives).all()


@pytest.mark.parametrize("kind", KINDS)
def test_is_the_smallest_over_classes(kind):
    _, _, logits, masses, labels = points()
    scale = scales(kind, logits, masses)
    own, own_scale = (t.gather(1, labels[:, None]) for t in (logits, scale))
    each = (own - logits) / (own_scale + scale)
    each.scatter_(1, labels[:, None], torch.inf)
    close(epsilons(kind, logits, masses, labels), each.amin(1).clamp(min=0), rtol=1e-12, atol=0)
    # the runner-up decides for two of them, but not always for the third
    right = correct(logits, labels)
    second = logits.scatter(1, labels[:, None], -torch.inf).argmax(1)
    by_runner_up = each.gather(1, second[:, None])[:, 0]
    exceptions = (by_runner_up > each.amin(1) * (1 + 1e-12))[right].double().mean()
    assert (exceptions > 0) == (kind == "sign-split")


def test_ratio_is_one_across_zero_and_never_more():
    _, _, logits, _, labels = points()
    found = ratio_epsilon(logits - logits.mean(1, keepdim=True), labels)
    assert found.max() <= 1
    assert ratio_epsilon(torch.tensor([[2.0, -1.0, 0.0]]), torch.tensor([0])) == 1
    assert ratio_epsilon(torch.zeros(1, 3), torch.tensor([0])) == 0


def test_ties_and_empty_inputs():
    logits, labels = torch.tensor([[1.0, 1.0, 0.0], [0.5, 0.0, 0.0]]), torch.tensor([0, 0])
    assert correct(logits, labels).tolist() == [False, True]
    found = sign_split_epsilon(logits, torch.zeros(2, 2, 3), labels)
    assert found.tolist() == [0, math.inf]  # the bias alone decides, and it is not pruned


@pytest.mark.parametrize("kept", [0, 2, 4, 5, 100])
def test_deterministic_against_brute_force(kept):
    weight, h, logits, masses, labels = points(count=80, classes=3)
    found = sensitivities(weight, h)
    errors = dropped(found, keep_largest(weight, found, kept))
    consistent = deterministic_consistent(logits, masses, errors, labels)
    capped = errors.clamp(max=1)
    expected = correct(logits, labels)
    for sides in itertools.product((0.0, 1.0), repeat=6):  # each sign of each class loses nothing, or the most
        side = torch.tensor(sides, dtype=torch.float64).view(2, 1, 3)
        lost = side * capped[:, None] * masses
        expected &= correct(logits - lost[0] + lost[1], labels)
    assert torch.equal(consistent, expected)
    pruned = torch.where(keep_largest(weight, found, kept), weight, 0.0)
    after = logits + h @ (pruned - weight).T
    assert correct(after, labels)[consistent].all()
    if kept == 100:
        assert torch.equal(consistent, correct(logits, labels))


def test_deterministic_is_tighter_than_two_sided():
    weight, h, logits, masses, labels = points(classes=3)
    found = sensitivities(weight, h)
    errors = dropped(found, keep_largest(weight, found, 5))
    one_sided = deterministic_consistent(logits, masses, errors, labels)
    two_sided = sign_split_epsilon(logits, masses, labels) > errors.max()
    assert (one_sided | ~two_sided).all()
    assert one_sided.sum() > two_sided.sum()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=40), st.integers(1, 20))
def test_epsilon_to_keep(values, twentieths):
    epsilon = epsilon_to_keep(torch.tensor(values, dtype=torch.float64), twentieths / 20)
    needed = -(-twentieths * len(values) // 20)  # ceil, in whole numbers
    assert sum(v >= epsilon for v in values) >= needed
    assert sum(v > epsilon for v in values) < needed
    assert epsilon in values


def test_shares_that_floating_point_overshoots():
    values = torch.arange(100.0)
    assert math.ceil(0.07 * 100) == 8  # what a plain ceil would take
    assert epsilon_to_keep(values, 0.07) == 93
    assert epsilon_to_keep(values, 1) == 0
    assert epsilon_to_keep(torch.arange(5.0), 0.5) == 2


def test_bad_input():
    _, _, logits, _, labels = points()
    for bad in (labels + 5, labels - 5):
        with pytest.raises(InputError, match="0 to 4"):
            additive_epsilon(logits, bad)
    with pytest.raises(InputError, match="at least two"):
        correct(logits[:, :1], 0 * labels)
    with pytest.raises(InputError, match="not finite"):
        correct(logits * math.nan, labels)
    for share in (0, -0.5, 1.5, math.nan):
        with pytest.raises(InputError, match="share"):
            epsilon_to_keep(logits[:, 0], share)
    with pytest.raises(InputError, match="no point is classified correctly"):
        epsilon_to_keep(logits[:0, 0], 0.5)
