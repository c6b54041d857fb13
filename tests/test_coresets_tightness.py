"""Deviations by enumeration, their tails by Monte Carlo, and the waterfalls made of them."""

import math

import pytest
import torch
from test_coresets_sensitivity import layer

from prunebook import coresets
from prunebook.coresets import epsilon_for, mass, neuron_sensitivities, sample_neurons, sample_weights, sensitivities
from prunebook.coresets.deviations import Deviation, of_neurons, of_weights, together
from prunebook.coresets.neuron_bounds import neuron_epsilon, neuron_epsilon_hoeffding
from prunebook.coresets.sensitivity import parts
from prunebook.coresets.tightness import neuron_waterfall, quantiles, weight_waterfall
from prunebook.errors import InputError

close = torch.testing.assert_close


def split(seed=0, points=40):
    """A layer whose sensitivities come from half of the points; one input is dead there and alive elsewhere."""
    weight, h = layer(n_out=3, n_in=20, points=points, seed=seed)
    h[: points // 2, 4] = 0
    return weight, sensitivities(weight, h[: points // 2]), h[points // 2 :]


def units(seed=0):
    g = torch.Generator().manual_seed(seed)
    w_out, w_in, b_in = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((3, 15), (15, 6), (15,)))
    x = torch.randn(25, 6, generator=g, dtype=torch.float64)
    radius = coresets.query_radius(x)
    return w_out, neuron_sensitivities(w_out, w_in, b_in, radius), (x @ w_in.T + b_in).relu()


@pytest.mark.parametrize("elements", [1, 2**22])
def test_bias_and_span_by_enumeration(monkeypatch, elements):
    monkeypatch.setattr(coresets.deviations, "ELEMENTS", elements)
    weight, found, h = split()
    m = torch.tensor([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]])
    got = of_weights(weight, found, h, m)
    close(got.scale, mass(weight, h))
    for sign in (0, 1):
        for k in range(3):
            w, q = parts(weight)[sign, k], found.probabilities[sign, k]
            for i in range(len(h)):
                terms = (w * h[i])[q > 0]
                missed = (w * h[i])[q == 0].sum()
                close(got.bias[sign, i, k], -missed, atol=1e-12, rtol=0)
                gap = (terms / q[q > 0] - terms.sum()).abs().max() / m[sign, k]
                close(got.span[sign, i, k], gap, atol=1e-12, rtol=1e-12)
    assert (got.bias < 0).any()
    both = together(got)
    close(both.scale, h @ weight.abs().T)
    close(both.variance, got.variance[0] + got.variance[1])
    close(both.bias, got.bias[0] - got.bias[1])


def test_units_by_enumeration():
    w_out, found, hidden = units()
    got = of_neurons(w_out, hidden, found.probabilities, 7)
    terms = hidden[:, None] * w_out / found.probabilities
    close(got.span, (terms - (hidden @ w_out.T)[..., None]).abs().amax(2) / 7)
    close(got.bias, torch.zeros_like(got.bias))


def test_bernstein_of_a_deviation_is_the_guarantee_at_the_worst_case():
    # variance and range C * total over m: what epsilon_for assumes of them
    total, m, failure = 6.0, 80, 0.05
    one = torch.ones(1, dtype=torch.float64)
    worst = Deviation(0 * one, total / m * one, total / m * one, one)
    close(worst.bernstein(failure).item(), epsilon_for(m, total, failure=failure).item())
    close(worst.gaussian(0.05).item(), 1.959963984540054 * math.sqrt(total / m))
    shifted = Deviation(-0.5 * one, one, one, 2 * one)
    close(shifted.gaussian(0.05).item(), (0.5 + 1.959963984540054) / 2)
    assert Deviation(0 * one, one, one, 0 * one).bernstein(0.1) == 0  # nothing there, nothing to get wrong


@pytest.mark.parametrize("tail", ["bernstein", "gaussian"])
def test_tails_cover(tail):
    weight, found, h = split()
    m, delta, draws = 4000, 0.1, 2000
    both = together(of_weights(weight, found, h, m))
    changes = sample_weights(weight, found, m, draws, 3) - weight
    error = (changes @ h.T).mT.abs() / both.scale
    exceeded = (error > getattr(both, tail)(delta)).double().mean(0)
    slack = 5 * math.sqrt(delta * (1 - delta) / draws)
    unbiased = both.bias == 0
    assert (exceeded <= delta + slack).all()
    if tail == "gaussian":  # and not by much, at this many draws
        assert ((exceeded - delta).abs()[unbiased] <= 1.5 * slack).all()


def test_quantiles_by_hand(monkeypatch):
    weight, found, h = split()
    changes = sample_weights(weight, found, 50, 200, 1) - weight
    error = (changes @ h.T).mT.abs()  # (draws, points, outputs)
    ordered = error.sort(0).values
    close(quantiles(changes, h, 0.1), ordered[179])
    monkeypatch.setattr(coresets.deviations, "ELEMENTS", 1)
    close(quantiles(changes, h, 0.1), ordered[179])


def test_weight_waterfall():
    weight, found, h = split()
    m, delta = 300, 0.1
    steps = weight_waterfall(weight, found, h, m, delta=delta, draws=500, seed=2)
    values = {step.name: step.epsilon for step in steps}
    events = 2 * 3 * len(h)
    assert values["bound, all at once"] == epsilon_for(m, found.total, failure=delta / events).max()
    assert values["one event"] == epsilon_for(m, found.total, failure=delta).max()
    signs = of_weights(weight, found, h, m)
    assert values["exact variance"] == signs.bernstein(delta).max()
    assert values["Gaussian"] == signs.gaussian(delta).max()
    assert values["both signs"] == together(signs).gaussian(delta).max()
    changes = sample_weights(weight, found, m, 500, 2) - weight
    error = quantiles(changes, h, delta) / mass(weight, h).sum(0)
    close(values["Monte Carlo"], error.max().item())
    close(values["typical point"], error.amax(1).quantile(0.5).item())
    # on the sample itself the bound holds, and each tail is below the one before
    own = layer(n_out=3, n_in=20, points=20)[1]
    first = sensitivities(weight, own)
    on_sample = [s.epsilon for s in weight_waterfall(weight, first, own, m, delta=delta, draws=500)]
    assert on_sample == sorted(on_sample, reverse=True)


def test_neuron_waterfall():
    w_out, found, hidden = units()
    m, delta = 200, 0.2
    steps = neuron_waterfall(w_out, found, hidden, m, dimension=7, delta=delta, c=1.5, draws=500, seed=2)
    values = [step.epsilon for step in steps]
    exact = of_neurons(w_out, hidden, found.probabilities, m)
    factors = sample_neurons(found.probabilities, m, 500, 2)
    error = quantiles((factors[:, None] - 1) * w_out, hidden, delta)
    expected = [
        neuron_epsilon(m, found.total, 7, delta, 1.5),
        neuron_epsilon_hoeffding(m, found.total, failure=delta / hidden.shape[0] / 3),
        neuron_epsilon_hoeffding(m, found.total, failure=delta),
        exact.bernstein(delta).max(),
        exact.gaussian(delta).max(),
        error.max(),
        error.amax(1).quantile(0.5),
    ]
    close(values, [v.item() for v in expected])
    assert values[1:] == sorted(values[1:], reverse=True)


def test_edges():
    weight, found, h = split()
    with pytest.raises(InputError, match=r"5 draws have no 0\.9 quantile"):
        weight_waterfall(weight, found, h, 10, delta=0.1, draws=5)
    with pytest.raises(InputError, match="delta is 1"):
        weight_waterfall(weight, found, h, 10, delta=1)
    dead = sensitivities(weight, 0 * h)
    assert all(step.epsilon == 0 for step in weight_waterfall(weight, dead, 0 * h, 10, delta=0.5, draws=10))
    alone = weight[:, :1]
    steps = weight_waterfall(alone, sensitivities(alone, h[:, :1]), h[:, :1], 10, delta=0.5, draws=10)
    assert max(step.epsilon for step in steps[2:]) < 1e-7  # one weight for each output: sampling is exact
