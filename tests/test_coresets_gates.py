"""Hard-concrete gates, against Monte Carlo and numerical inversion."""

import math

import pytest
import torch
from scipy import optimize

from prunebook.errors import InputError
from prunebook.training.gates import active_probability, fixed_gate, initial_log_alpha, sample_gate, uniform_noise

close = torch.testing.assert_close


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_probability_active_is_the_share_of_open_gates():
    log_alpha = torch.tensor([-3.0, -1.0, 0.0, 0.7, 2.0], dtype=torch.float64)
    many = log_alpha.expand(100_000, 5)
    gates = sample_gate(many, uniform_noise(many, generator()))
    p = active_probability(log_alpha)
    error = ((gates > 0).double().mean(0) - p).abs()
    assert (error < 5 * (p * (1 - p) / 100_000).sqrt()).all()
    assert (gates >= 0).all()
    assert (gates <= 1).all()
    assert ((gates == 1).double().mean(0) > 0)[2:].all()  # 1 is reached, not only approached


def test_gate_from_its_noise():
    # at s = 1/2 the stretched variable is 1/2; the temperature divides the logit
    assert sample_gate(torch.zeros(1), torch.full((1,), 0.5)).item() == pytest.approx(0.5)
    s = 1 / (1 + math.exp(-(math.log(0.6 / 0.4) + 0.25) * 1.5))
    assert sample_gate(torch.tensor([0.25]), torch.tensor([0.6])).item() == pytest.approx(1.2 * s - 0.1)


def test_fixed_gate_shuts_and_opens_at_the_logarithm_of_eleven():
    edge = math.log(11)
    assert round(edge, 3) == 2.398
    values = torch.tensor([-edge - 1e-9, -edge + 1e-9, edge - 1e-9, edge + 1e-9], dtype=torch.float64)
    shut, opening, closing, open_ = fixed_gate(values).tolist()
    assert shut == 0 < opening < 1e-8
    assert 1 - 1e-8 < closing < 1 == open_
    half = optimize.brentq(lambda a: fixed_gate(torch.tensor(a, dtype=torch.float64)).item() - 0.25, -2, 2)
    assert half == pytest.approx(math.log(0.35 / 0.85))


def test_gradients_reach_gates_between_their_ends():
    log_alpha = torch.tensor([-4.0, 0.1, 4.0], requires_grad=True)
    fixed_gate(log_alpha).sum().backward()
    assert (log_alpha.grad != 0).tolist() == [False, True, False]
    log_alpha.grad = None
    (2.0 * active_probability(log_alpha).sum()).backward()
    assert (log_alpha.grad > 0).all()


def test_start_and_noise():
    like = torch.empty(20_000)
    start = initial_log_alpha(like, 0.2, generator())
    close(start.mean().item(), math.log(4), atol=5e-4, rtol=0)
    close(start.std().item(), 0.01, atol=3e-4, rtol=0)
    assert start.dtype == torch.float32
    noise = uniform_noise(like.double(), generator())
    assert noise.dtype == torch.float64
    assert noise.min() >= 1e-6
    assert noise.max() <= 1 - 1e-6
    assert torch.equal(noise, uniform_noise(like.double(), generator()))
    with pytest.raises(InputError, match="rate is 1"):
        initial_log_alpha(like, 1.0)
