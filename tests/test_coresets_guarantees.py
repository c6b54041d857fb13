"""Closed forms of the guarantees: by hand, as inverses, and at their edges."""

import math

import pytest
import torch
from test_coresets_sensitivity import layer

from prunebook.coresets import epsilon_for, neuron_sensitivities, query_radius, samples_for, sensitivities
from prunebook.coresets.corenet import corenet_constants, corenet_delta, corenet_layer_epsilons, corenet_samples
from prunebook.coresets.neuron_bounds import (
    neuron_epsilon,
    neuron_epsilon_hoeffding,
    neuron_samples,
    neuron_samples_hoeffding,
)
from prunebook.coresets.weight_bounds import accumulated, dropped
from prunebook.errors import InputError

close = torch.testing.assert_close
LENET = (784, 300, 100, 10)


def test_bernstein_by_hand():
    # the tail 2 exp(-m e^2 / (2 V + 2 V e / 3)) with V = C S, at the draws and one draw less
    epsilon, total, failure, C = 0.3, 7.5, 0.01, 1.5
    m = samples_for(epsilon, total, failure=failure, C=C).item()
    tail = [2 * math.exp(-n * epsilon**2 / (2 * C * total * (1 + epsilon / 3))) for n in (m, m - 1)]
    assert tail[0] <= failure < tail[1]
    a = C * total * math.log(2 / failure) / (3 * 100)
    close(epsilon_for(100, total, failure=failure, C=C).item(), a + math.sqrt(a * a + 6 * a))


def test_sipp_prints_another_logarithm():
    epsilon, total, delta = 0.2, 4.0, 0.1
    printed = math.ceil((6 + 2 * epsilon) * total / 3 * math.log(4 / delta) / epsilon**2)
    assert samples_for(epsilon, total, failure=delta / 2) == printed  # a failure for each of two signs


PAIRS = {
    "bernstein": (
        lambda e, t: samples_for(e, t, failure=0.05, C=2.0),
        lambda m, t: epsilon_for(m, t, failure=0.05, C=2.0),
    ),
    "neuron": (lambda e, t: neuron_samples(e, t, 21, 0.1), lambda m, t: neuron_epsilon(m, t, 21, 0.1)),
    "hoeffding": (
        lambda e, t: neuron_samples_hoeffding(e, t, failure=0.1),
        lambda m, t: neuron_epsilon_hoeffding(m, t, failure=0.1),
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_draws_and_error_are_inverse(pair):
    draws, error = PAIRS[pair]
    u = torch.rand(4, 20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    m = torch.cat([torch.arange(1.0, 5001).double(), 10 ** (12 * u[0])]).round()
    total = 10 ** (-2 + 6 * u[1])
    totals = torch.cat([10 ** (4 * u[2, :5000] - 1), total])
    assert (draws(error(m, totals), totals) == m).all()
    epsilon = 10 ** (-3 + 5 * u[3])
    needed = draws(epsilon, total)
    assert (needed == needed.floor()).all()
    assert (error(needed, total) <= epsilon).all()
    assert ((needed == 0) | (error((needed - 1).clamp(min=0), total) > epsilon)).all()


@pytest.mark.parametrize("pair", PAIRS)
def test_edges_of_the_bounds(pair):
    draws, error = PAIRS[pair]
    totals = torch.tensor([0.0, 3.0], dtype=torch.float64)
    close(draws(0.0, totals), torch.tensor([0.0, torch.inf], dtype=torch.float64))
    close(error(0, totals), torch.tensor([0.0, torch.inf], dtype=torch.float64))
    assert draws(torch.inf, 3.0) == 0
    assert error(torch.inf, 3.0) == 0
    assert draws(2.0, 3.0) > 0  # an error above 1 is a number, if an empty one
    assert draws(1e-9, 30.0) > 2**62  # beyond int64: still a number
    for bad in (-0.1, math.nan):
        with pytest.raises(InputError, match=r"epsilon is .*: give numbers >= 0"):
            draws(bad, 3.0)
        with pytest.raises(InputError, match=r"samples is .*: give numbers >= 0"):
            error(bad, 3.0)
        with pytest.raises(InputError, match="finite sums"):
            draws(0.1, bad)


@pytest.mark.parametrize("failure", [0.0, 1.0, -1.0, math.nan])
def test_failures_are_probabilities(failure):
    for call in (
        lambda: samples_for(0.1, 3.0, failure=failure),
        lambda: neuron_samples(0.1, 3.0, 5, failure),
        lambda: neuron_samples_hoeffding(0.1, 3.0, failure=failure),
        lambda: corenet_constants(LENET, failure),
    ):
        with pytest.raises(InputError, match="strictly between 0 and 1"):
            call()


def test_other_bad_arguments():
    with pytest.raises(InputError, match=r"C is 0\.5"):
        samples_for(0.1, 3.0, failure=0.1, C=0.5)
    with pytest.raises(InputError, match="inside"):
        corenet_samples(1.0, 3.0, corenet_constants(LENET, 0.1))
    with pytest.raises(InputError, match="inside"):
        corenet_layer_epsilons(1.5, [2.0])
    with pytest.raises(InputError, match="at least 1"):
        corenet_layer_epsilons(0.5, [0.5])
    with pytest.raises(InputError, match="no hidden layer"):
        corenet_constants((784, 10), 0.1)
    with pytest.raises(InputError, match="must be positive"):
        neuron_samples(0.1, 3.0, 0, 0.1)
    with pytest.raises(InputError, match="one error for each weight"):
        accumulated([1.0], [])


def test_dropped_sums_what_is_not_kept():
    weight, h = layer()
    found = sensitivities(weight, h)
    kept = torch.rand(weight.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    close(dropped(found, kept), (found.values * ~kept).sum(2))
    assert (dropped(found, torch.ones_like(kept)) == 0).all()
    close(dropped(found, torch.zeros_like(kept)), found.total)


def test_corenet_on_lenet():
    found = corenet_constants(LENET, 0.1)
    assert (found.eta, found.points, round(found.kappa)) == (410, 189, 192)
    assert corenet_samples(0.5, 10.0, found) == 38_998


def test_corenet_budget():
    weight = torch.tensor([[1.0, -0.5], [2.0, 1.0]])
    h = torch.tensor([[1.0, 1.0], [3.0, 2.0], [0.0, 0.0]])
    # first unit: 1.5/0.5, 4/2 and the empty point as 1; the second has no cancellation
    close(corenet_delta(weight, h, 0.25), (3 + 2 + 1) / 3 + 0.25)
    assert corenet_delta(weight, torch.tensor([[1.0, 2.0]]), 0.0) == math.inf
    budget = corenet_layer_epsilons(0.6, [2.0, 3.0, 5.0])
    close(budget, [0.1 / 30, 0.1 / 15, 0.1 / 5])


def test_errors_accumulate():
    g = torch.Generator().manual_seed(2)
    weights = [torch.randn(n, k, generator=g, dtype=torch.float64) for k, n in ((6, 8), (8, 7), (7, 3))]
    pruned = [w + 0.1 * torch.randn(w.shape, generator=g, dtype=torch.float64) for w in weights]
    x = torch.randn(50, 6, generator=g, dtype=torch.float64)

    def run(network, x):
        for w in network[:-1]:
            x = (x @ w.T).relu()
        return x @ network[-1].T

    observed = (run(pruned, x) - run(weights, x)).abs().max()
    true, other, at_pruned, at_true = x, x, [], []
    for w, v in zip(weights, pruned, strict=True):
        at_pruned.append((other @ (v - w).T).abs().max().item())
        at_true.append((true @ (v - w).T).abs().max().item())
        true, other = (true @ w.T).relu(), (other @ v.T).relu()
    assert observed <= accumulated(at_pruned, weights)
    assert observed <= accumulated(at_true, pruned)
    # one unit a layer and everything positive: the bound is reached
    chain, one = [torch.tensor([[2.0]]), torch.tensor([[3.0]])], torch.ones(1, 1)
    error = run([w + 0.5 for w in chain], one) - run(chain, one)
    close(accumulated([0.5, 0.5 * 2.5], chain), error.item())


def test_neuron_sensitivities_by_hand():
    w_out, w_in = torch.tensor([[1.0, -2.0], [-3.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    found = neuron_sensitivities(w_out, w_in, torch.tensor([4.0, 1.5]), 2.0)
    close(found.values, torch.tensor([3 * 2 * 5.0, 2 * 2 * 1.5], dtype=torch.float64))
    close(found.total.item(), 36.0)
    close(found.probabilities, torch.tensor([30 / 36, 6 / 36], dtype=torch.float64))
    close(query_radius(torch.tensor([[3.0, 4.0], [0.0, 1.0]])), math.sqrt(26))
    nothing = neuron_sensitivities(0 * w_out, w_in, torch.tensor([4.0, 1.5]), 2.0)
    assert (nothing.probabilities == 0).all()


def test_stated_neuron_bound_by_hand():
    assert neuron_samples(0.5, 100.0, 11, 0.1, 2.0) == math.ceil(2 * 100 / 0.25 * (11 * math.log(100) + math.log(10)))
    # the logarithm is clipped below t = 1
    assert neuron_samples(0.1, 0.5, 11, 0.1) == math.ceil(0.5 / 0.01 * math.log(10))
    close(neuron_epsilon(200, 0.5, 11, 0.1).item(), math.sqrt(0.5 * math.log(10) / 200))
    assert neuron_samples_hoeffding(0.5, 20.0, failure=0.05) == math.ceil(3200 * math.log(40))


def test_scaling_leaves_hoeffding_but_not_the_stated_bound():
    alphas = torch.tensor([0.01, 1, 10, 100, 1e4], dtype=torch.float64)
    stated = neuron_samples(0.5 * alphas, 300 * alphas, 60, 0.1)
    assert (stated.diff() < 0).all()
    assert stated[0] / stated[-1] > 1e4
    assert len(neuron_samples_hoeffding(0.5 * alphas, 300 * alphas, failure=0.1).unique()) == 1
