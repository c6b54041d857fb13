"""How often the sampled error exceeds what the guarantee allows; and that fewer draws would not do."""

import math

import pytest
import torch
from test_coresets_sensitivity import layer

from prunebook.coresets import (
    epsilon_for,
    mass,
    neuron_sensitivities,
    sample_neurons,
    sample_weights,
    samples_for,
    sensitivities,
)
from prunebook.coresets.neuron_bounds import neuron_samples, neuron_samples_hoeffding
from prunebook.coresets.sampling import keep_largest
from prunebook.coresets.weight_bounds import dropped

DRAWS = 2000
DELTA = 0.1
SLACK = 5 * math.sqrt(DELTA * (1 - DELTA) / DRAWS)


def exceeded(weight, h, samples, epsilon):
    """Share of draws with |z' - z| > epsilon z, for each sign, point and output."""
    found = sensitivities(weight, h)
    drawn = sample_weights(weight, found, samples, DRAWS, 11)
    sums = torch.stack([drawn.clamp(min=0), (-drawn).clamp(min=0)], 1) @ h.T  # (draws, 2, K, points)
    z = mass(weight, h).mT
    return ((sums - z).abs() > epsilon * z * (1 + 1e-9)).double().mean(0)


@pytest.mark.parametrize("epsilon", [0.2, 0.6])
def test_bernstein_covers_each_point(epsilon):
    weight, h = layer(n_out=3, n_in=24, points=15)
    m = samples_for(epsilon, sensitivities(weight, h).total, failure=DELTA)
    assert exceeded(weight, h, m, epsilon).max() <= DELTA + SLACK
    assert exceeded(weight, h, (m / 50).ceil(), epsilon).max() > DELTA + SLACK


def test_error_of_given_draws_covers():
    weight, h = layer(n_out=3, n_in=24, points=15)
    epsilon = epsilon_for(60, sensitivities(weight, h).total, failure=DELTA)[..., None]
    assert exceeded(weight, h, 60, epsilon).max() <= DELTA + SLACK
    assert exceeded(weight, h, 60, epsilon / 10).max() > DELTA + SLACK


def test_union_covers_all_points_at_once():
    weight, h = layer(n_out=3, n_in=24, points=15)
    found = sensitivities(weight, h)
    events = 2 * 3 * 15
    for failure, holds in ((DELTA / events, True), (0.9999, False)):
        m = samples_for(0.3, found.total, failure=failure)
        drawn = sample_weights(weight, found, m, DRAWS, 1)
        sums = torch.stack([drawn.clamp(min=0), (-drawn).clamp(min=0)], 1) @ h.T
        z = mass(weight, h).mT
        any_point = ((sums - z).abs() > 0.3 * z).flatten(1).any(1).double().mean()
        assert (any_point <= DELTA + SLACK) == holds


@pytest.mark.parametrize("kept", [0, 1, 4, 8])
def test_deterministic_error_is_certain_and_one_sided(kept):
    weight, h = layer(n_out=3, n_in=24, points=40)
    found = sensitivities(weight, h)
    mask = keep_largest(weight, found, kept)
    error = dropped(found, mask)[:, None]
    z, left = mass(weight, h), mass(torch.where(mask, weight, 0.0), h)
    assert (z - left >= -1e-12).all()
    assert (z - left <= error * z + 1e-12).all()
    assert ((z - left) > error / 50 * z).any()


def worst_case_units(n=40):
    """Units that all look in one direction, at an input in that direction: |w h| = s for each."""
    g = torch.Generator().manual_seed(8)
    direction = torch.nn.functional.normalize(torch.randn(6, generator=g, dtype=torch.float64), dim=0)
    p = torch.rand(n, 1, generator=g, dtype=torch.float64) * direction
    w_out = torch.randn(1, n, generator=g, dtype=torch.float64)
    radius = 3.0
    hidden = (p @ (radius * direction)).relu()
    found = neuron_sensitivities(w_out, p[:, :-1], p[:, -1], radius)
    torch.testing.assert_close((w_out[0] * hidden).abs(), found.values)
    return w_out, hidden, found


def test_hoeffding_covers_the_worst_input():
    w_out, hidden, found = worst_case_units()
    epsilon = float(found.total) / 5
    m = float(neuron_samples_hoeffding(epsilon, found.total, failure=DELTA))
    shares = []
    for draws in (m, math.ceil(m / 50)):
        factors = sample_neurons(found.probabilities, draws, DRAWS, 2)
        error = ((factors - 1) * w_out[0] * hidden).sum(1).abs()
        shares.append((error > epsilon).double().mean())
    assert shares[0] <= DELTA + SLACK
    assert shares[1] > DELTA + SLACK


def test_stated_neuron_bound_breaks_at_a_large_scale():
    g = torch.Generator().manual_seed(9)
    w_out, w_in = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((5, 60), (60, 20)))
    b_in = torch.randn(60, generator=g, dtype=torch.float64)
    x = torch.randn(200, 20, generator=g, dtype=torch.float64)
    radius = math.sqrt(float(x.square().sum(1).max()) + 1)
    hidden = (x @ w_in.T + b_in).relu()
    scale = 1 / float(neuron_sensitivities(w_out, w_in, b_in, radius).total)
    violated, needed = [], []
    for alpha in (1.0, 300.0, 1e4, 1e6):
        out = w_out * scale * alpha  # t = alpha
        found = neuron_sensitivities(out, w_in, b_in, radius)
        m = float(neuron_samples(0.02 * alpha, found.total, 21, DELTA))
        factors = sample_neurons(found.probabilities, m, 200, 3)
        error = ((factors[:, None] - 1) * out @ hidden.T).abs().amax((1, 2))
        violated.append((error > 0.02 * alpha).double().mean().item())
        needed.append(m)
        fair = float(neuron_samples_hoeffding(0.02 * alpha, found.total, failure=DELTA / 1000))
        factors = sample_neurons(found.probabilities, fair, 200, 3)
        error = ((factors[:, None] - 1) * out @ hidden.T).abs().amax((1, 2))
        assert (error <= 0.02 * alpha).double().mean() >= 1 - DELTA
    assert violated[0] == 0
    assert violated[-1] == 1
    assert needed[1:] == sorted(needed[1:], reverse=True)
