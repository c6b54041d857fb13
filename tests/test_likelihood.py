"""Error rate and temperature-scaled likelihood, against SciPy in float64 and closed cases."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from prunebook.networks.likelihood import MOST, inverse_temperature, measured


def nll(z, y, b=1.0):
    return -log_softmax(b * z, axis=1)[np.arange(len(y)), y].mean()


def case(seed, n=300, classes=5, scale=4.0, skill=2.0):
    random = np.random.default_rng(seed)
    y = random.integers(classes, size=n)
    return scale * (random.normal(size=(n, classes)) + skill * np.eye(classes)[y]), y


@pytest.mark.parametrize("scale", [0.01, 1.0, 6.0, 200.0])
@pytest.mark.parametrize("skill", [0.1, 1.0, 3.0])
def test_a_temperature_is_the_one_that_scipy_finds(scale, skill):
    z, y = case(1, scale=scale, skill=skill)
    found = float(inverse_temperature(torch.tensor(z), torch.tensor(y)))
    best = minimize_scalar(lambda b: nll(z, y, b), bounds=(0, MOST), method="bounded", options={"xatol": 1e-12})
    assert nll(z, y, found) <= best.fun + 1e-12
    near = minimize_scalar(lambda b: nll(z, y, b), bracket=(0.5 * found, found, 2 * found), tol=1e-12)
    assert found == pytest.approx(near.x, rel=1e-5)


def test_a_stack_of_networks_is_measured_as_each_by_itself_and_as_numpy_does():
    stack, (held, held_y) = [case(1, scale=s, skill=k)[0] for s, k in ((0.1, 1), (9, 2), (3, 0.3))], case(2)
    y = case(1)[1]
    helds = [held, 0.2 * held, held + case(3)[0]]
    tensors = [torch.tensor(np.stack(part)) for part in (stack, helds)]
    found = measured(tensors[0], torch.tensor(y), tensors[1], torch.tensor(held_y))
    for place, (z, h) in enumerate(zip(stack, helds, strict=True)):
        alone = measured(torch.tensor(z), torch.tensor(y), torch.tensor(h), torch.tensor(held_y))
        best = minimize_scalar(lambda b, h=h: nll(h, held_y, b), bracket=(0.1, 1.0), tol=1e-12).x
        expected = nll(z, y), (z.argmax(1) != y).mean(), nll(z, y, best)
        assert [float(value[place]) for value in found] == pytest.approx(expected, rel=1e-6)
        assert [float(value) for value in alone] == pytest.approx(expected, rel=1e-6)


def test_temperature_scaling_forgives_confidence_and_no_wrong_class():
    z, y = map(torch.tensor, case(4))
    sure, unsure = (measured(factor * z, y, factor * z, y) for factor in (50, 0.02))
    assert sure.loss > 5 * sure.scaled_nll
    assert sure.scaled_nll.item() == pytest.approx(unsure.scaled_nll.item(), rel=1e-9)
    assert sure.error == unsure.error > 0


def test_closed_cases():
    y = torch.tensor([0, 1, 0, 1])
    blind = torch.tensor([[1.0, 0.0]]).expand(4, 2)  # half of them are of each class
    assert inverse_temperature(blind, y) == 0
    assert inverse_temperature(-3 * torch.eye(2)[y], y) == 0  # always wrong: best taken as knowing nothing
    assert measured(blind, y, blind, y).scaled_nll == pytest.approx(math.log(2))
    assert inverse_temperature(torch.eye(2)[y], y) == MOST  # always right
    # Right with one fixed margin in 3 of 4: p = 3/4, so b is log 3.
    mixed = torch.eye(2)[torch.tensor([0, 1, 0, 0])]
    assert float(inverse_temperature(mixed, y)) == pytest.approx(math.log(3), rel=1e-10)


def test_a_diverged_network_is_told_and_spoils_no_other():
    z, y = map(torch.tensor, case(5))
    both = measured(torch.stack([z * math.nan, z]), y, torch.stack([z * math.nan, z]), y)
    assert both.scaled_nll[0].isnan()
    assert both.scaled_nll[1].item() == pytest.approx(measured(z, y, z, y).scaled_nll.item())
