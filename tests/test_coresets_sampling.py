"""Sampled weights and units: unbiased, with the variance of the formula, at any number of draws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from test_coresets_sensitivity import layer

from prunebook.coresets import (
    epsilon_for,
    expected_kept,
    mass,
    neuron_variance,
    sample_neurons,
    sample_weights,
    sensitivities,
    variance,
)
from prunebook.coresets.sampling import LIMIT, draw_counts, hybrid, keep_largest
from prunebook.coresets.sensitivity import parts
from prunebook.coresets.weight_bounds import dropped
from prunebook.errors import InputError

close = torch.testing.assert_close
SIGMAS = 5


def row(*values):
    return torch.tensor([values], dtype=torch.float64)


def samples(value, rows=1):
    return torch.full((rows,), float(value), dtype=torch.float64)


def within(draws, mean, spread):
    """Sample means within SIGMAS standard errors of the expected ones."""
    error = (draws.mean(0) - mean).abs()
    assert (error <= SIGMAS * (spread.clamp(min=0) / len(draws)).sqrt() + 1e-12).all()


def test_counts_are_multinomial():
    p = row(0.5, 0.0, 0.3, 0.2, 0.0)
    counts = draw_counts(p, samples(7), 20_000, 1)[:, 0]
    assert (counts.sum(1) == 7).all()
    assert (counts[:, [1, 4]] == 0).all()
    for j in (0, 2, 3):
        observed = np.bincount(counts[:, j].numpy(), minlength=8)
        expected = stats.binom(7, p[0, j].item()).pmf(np.arange(8)) * len(counts)
        rare = expected < 5
        both = [np.append(v[~rare], v[rare].sum()) if rare.any() else v for v in (observed, expected)]
        assert stats.chisquare(*both).pvalue > 1e-5
    first, second = counts[:, 0].double(), counts[:, 2].double()
    covariance = ((first - 3.5) * (second - 2.1)).mean()
    close(covariance.item(), -7 * 0.5 * 0.3, atol=0.06, rtol=0)


def test_rounding_never_draws_an_impossible_entry():
    # shares do not add up to 1 in floating point; at these draws what is missing would be noticed
    p = torch.rand(500, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p[:, 5:] = 0
    p /= p.sum(1, keepdim=True)
    counts = draw_counts(p, samples(LIMIT, 500), 4, 0)
    assert (counts[..., 5:] == 0).all()
    assert (counts.sum(2) == LIMIT).all()
    close(counts.double() / LIMIT, p.expand(4, -1, -1), atol=1e-8, rtol=0)


def test_counts_depend_on_the_seed_and_rows_are_independent():
    p = torch.full((2, 3, 4), 0.25, dtype=torch.float64)
    m = torch.full((2, 3), 50.0, dtype=torch.float64)
    one, two = draw_counts(p, m, 5, (3, 1)), draw_counts(p, m, 5, (3, 2))
    assert torch.equal(one, draw_counts(p, m, 5, (3, 1)))
    assert torch.equal(one, draw_counts(p, m, 9, (3, 1))[:5])
    assert not torch.equal(one, two)
    assert len(one.view(-1, 4).unique(dim=0)) > 20


def test_what_cannot_be_drawn():
    for bad in (0, 0.5, 2.5, math.nan):
        with pytest.raises(InputError, match="whole numbers >= 1"):
            draw_counts(row(0.5, 0.5), samples(bad), 1, 0)
    for bad in (2.0**63, math.inf):
        with pytest.raises(InputError, match="64 bits"):
            draw_counts(row(0.5, 0.5), samples(bad), 1, 0)
    with pytest.raises(InputError, match="at least one"):
        draw_counts(row(0.5, 0.5), samples(1), 0, 0)
    assert (draw_counts(row(0.0, 0.0), samples(math.inf), 2, 0) == 0).all()
    weight, h = layer()
    with pytest.raises(InputError, match=r"shape \(4,\)"):
        sample_weights(weight, sensitivities(weight, h), samples(3, 4), 1, 0)


@pytest.mark.parametrize("m", [3, 40])
def test_weights_are_unbiased_with_the_exact_variance(m):
    weight, h = layer(n_out=2, n_in=8, points=12)
    found = sensitivities(weight, h)
    drawn = sample_weights(weight, found, m, 20_000, 5)
    assert (found.values.amax(0) > 0).all()  # so every weight can be drawn
    q = found.probabilities.sum(0)
    within(drawn, weight, weight.square() * (1 - q) / (m * q))
    spread = variance(weight, found, h, m)
    sums = torch.stack([drawn.clamp(min=0), (-drawn).clamp(min=0)]) @ h.T  # signs stay what they were
    for sign in (0, 1):
        deviation = sums[sign].mT - mass(weight, h)[sign]
        within(deviation, torch.zeros(()), spread[sign])
        fourth = deviation.pow(4).mean(0) - spread[sign].square()
        within(deviation.square(), spread[sign], fourth)
    outputs = drawn @ h.T
    total = spread.sum(0)
    fourth = (outputs.mT - h @ weight.T).pow(4).mean(0) - total.square()
    within((outputs.mT - h @ weight.T).square(), total, fourth)


def test_variance_is_the_enumeration_of_one_draw():
    weight, h = layer(n_out=2, n_in=5, points=4)
    found = sensitivities(weight, h)
    single = variance(weight, found, h, 1)
    for sign in (0, 1):
        for k in range(2):
            q, w = found.probabilities[sign, k], parts(weight)[sign, k]
            for i in range(4):
                terms = torch.where(q > 0, w * h[i] / q, 0)
                mean = (q * terms).sum()
                expected = (q * (terms - mean).square()).sum()
                close(single[sign, i, k], expected, atol=1e-12, rtol=1e-10)
    close(variance(weight, found, h, 10), single / 10)


def test_many_draws_give_the_layer_back():
    weight, h = layer()
    found = sensitivities(weight, h)
    close(sample_weights(weight, found, 10**12, 3, 0), weight.expand(3, -1, -1), rtol=1e-4, atol=0)


def test_edges_of_sampled_weights():
    weight, h = layer()
    h[:, 2] = 0
    found = sensitivities(weight, h)
    drawn = sample_weights(weight, found, 10**6, 4, 0)
    assert (drawn[..., 2] == 0).all()  # dead in the sample: never drawn
    assert (sample_weights(weight, sensitivities(weight, 0 * h), 5, 4, 0) == 0).all()
    positive = sensitivities(weight.abs(), h)
    many = torch.stack([samples(20, 3), samples(math.inf, 3)])  # nothing of the other sign: any number goes
    assert (sample_weights(weight.abs(), positive, many, 4, 0) >= 0).all()
    assert (variance(weight.abs(), positive, h, 20)[1] == 0).all()
    single = torch.tensor([[2.0, -3.0]]).double()
    certain = sensitivities(single, torch.ones(1, 2))
    assert (sample_weights(single, certain, 1, 5, 0) == single).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.integers(1, 10**9))
def test_expected_kept(shares, m):
    q = torch.tensor(shares, dtype=torch.float64)
    q = q / q.sum() if q.sum() > 1e-3 else torch.ones_like(q) / len(q)
    exact = sum(1 - math.exp(m * math.log1p(-p)) if p < 1 else 1.0 for p in q.tolist())
    close(expected_kept(q, m).item(), exact, rtol=1e-9, atol=1e-12)


def test_kept_is_not_the_number_of_draws():
    weight, h = layer(n_out=4, n_in=30)
    found = sensitivities(weight, h)
    drawn = sample_weights(weight, found, 10, 4000, 0)
    for sign in (0, 1):
        kept = ((drawn * (1 - 2 * sign)) > 0).sum(2).double()
        within(kept, expected_kept(found.probabilities, 10)[sign], kept.var(0))
    assert (expected_kept(found.probabilities, 10) < 10).all()
    assert (expected_kept(found.probabilities, math.inf) == (found.probabilities > 0).sum(2)).all()
    assert (expected_kept(found.probabilities, 0) == 0).all()


@pytest.mark.parametrize("kept", [0, 1, 3, 100, math.inf])
def test_keep_largest_is_brute_force(kept):
    weight, h = layer(n_out=4, n_in=12)
    h[:, :5] = 0  # ties among the dead
    h[:, 7] = h[:, 8]
    weight[:, 7] = weight[:, 8]
    weight[0, 3] = 0
    found = sensitivities(weight, h)
    mask = keep_largest(weight, found, kept)
    for k in range(4):
        for sign, factor in enumerate((1, -1)):
            own = [j for j in range(12) if factor * weight[k, j] > 0]
            best = sorted(own, key=lambda j: (-found.values[sign, k, j].item(), j))
            expected = set(best[: min(kept, len(own))])
            assert {j for j in own if mask[k, j]} == expected
    assert not mask[0, 3]


def test_keep_largest_takes_numbers_for_each_sign():
    weight, h = layer(n_out=2, n_in=12)
    numbers = torch.tensor([[1, 2], [3, 0]])
    mask = keep_largest(weight, sensitivities(weight, h), numbers)
    kept = torch.stack([(mask & (weight > 0)).sum(1), (mask & (weight < 0)).sum(1)])
    assert torch.equal(kept, numbers)
    with pytest.raises(InputError, match="whole numbers"):
        keep_largest(weight, sensitivities(weight, h), 1.5)


def test_hybrid_takes_the_smaller_bound():
    g = torch.Generator().manual_seed(3)
    weight = torch.randn(6, 400, generator=g, dtype=torch.float64).sign()
    h = 0.9 + 0.2 * torch.rand(30, 400, generator=g, dtype=torch.float64)  # all about as sensitive
    found = sensitivities(weight, h)
    m = ((parts(weight) > 0).sum(2) / torch.tensor([[1], [2]])).floor()
    result = hybrid(weight, found, m, 200, 0, failure=0.1)
    mask = keep_largest(weight, found, m)
    certain, likely = dropped(found, mask), epsilon_for(m, found.total, failure=0.1)
    close(result.bound, torch.minimum(certain, likely))
    assert torch.equal(result.deterministic, certain <= likely)
    assert result.deterministic.any()
    assert (~result.deterministic).any()
    for sign, factor in enumerate((1, -1)):
        for k in range(6):
            own = factor * weight[k] > 0
            pruned = result.weights[:, k, own]
            if result.deterministic[sign, k]:
                assert (pruned == torch.where(mask, weight, 0.0)[k, own]).all()
            else:
                q = found.probabilities[sign, k, own]
                single = weight[k, own].square() * (1 - q) / (m[sign, k] * q)
                within(pruned[:, q > 0], weight[k, own][q > 0], single[q > 0])


def test_hybrid_with_room_for_everything_changes_nothing():
    weight, h = layer()
    result = hybrid(weight, sensitivities(weight, h), 100, 2, 0, failure=0.1)
    assert (result.weights == weight).all()
    assert (result.bound == 0).all()


def test_units_are_unbiased_with_the_exact_variance():
    g = torch.Generator().manual_seed(4)
    w_out = torch.randn(3, 9, generator=g, dtype=torch.float64)
    hidden = torch.rand(5, 9, generator=g, dtype=torch.float64)
    p = torch.rand(9, generator=g, dtype=torch.float64)
    p[3] = 0
    w_out[:, 3] = 0
    p /= p.sum()
    factors = sample_neurons(p, 12, 20_000, 7)
    assert (factors[:, 3] == 0).all()
    alive = p > 0
    within(factors[:, alive], torch.ones(()), (1 - p[alive]) / (12 * p[alive]))
    spread = neuron_variance(w_out, hidden, p, 12)
    outputs = torch.einsum("tn,kn,in->tik", factors, w_out, hidden)
    deviation = outputs - hidden @ w_out.T
    within(deviation, torch.zeros(()), spread)
    within(deviation.square(), spread, deviation.pow(4).mean(0) - spread.square())
    close(sample_neurons(p, 10**12, 1, 0)[0, alive], torch.ones(8, dtype=torch.float64), rtol=1e-4, atol=0)
    assert (sample_neurons(0 * p, 5, 2, 0) == 0).all()
