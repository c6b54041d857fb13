"""What replacing a unit by its mean is best for, and what it is not (Evci et al. 2019, section 3.3)."""

import pytest
import torch
from torch import nn

from prunebook.units import fold, masked_outputs, unit_statistics

close = torch.testing.assert_close


def best_constant(model, x, unit=1):
    """The c that brings the outputs of a chain with one site nearest to the unpruned ones, with unit <- c; and the mean
    of the unit. The outputs are affine in c, so the squared error is a parabola: three values fix it."""
    name = "conv1" if isinstance(model[0], nn.Conv2d) else "dense1"
    units = model[0].weight.shape[0]
    pruned = {name: torch.arange(units) == unit}
    with torch.no_grad():
        target = model(x)

        def error(c):
            constants = {name: torch.full((units,), c, dtype=torch.float64)}
            return (masked_outputs(model, x, pruned, constants) - target).square().mean()

        below, at, above = error(-1.0), error(0.0), error(1.0)
        site = nn.Sequential(*list(model)[:2])(x)
    best = (below - above) / (2 * (below + above - 2 * at))
    assert all(error(best.item()) <= error(best.item() + shift) for shift in (-1e-3, 1e-3))
    return best, site.movedim(1, 0)[unit].mean()


def dense(*layers, inputs=3):
    torch.manual_seed(0)
    with torch.no_grad():
        return nn.Sequential(*(make() for make in layers)).double()


def test_bias_shift_of_linear_regression():
    """With the other weights kept, the least-squares bias of the output layer is the folded one: b + w E[a]."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    model = dense(lambda: nn.Linear(3, 6), nn.ReLU, lambda: nn.Linear(6, 2))
    with torch.no_grad():
        a = model[:2](x)
        y = a @ torch.randn(6, 2, generator=generator).double() + torch.randn(200, 2, generator=generator)
        fit = torch.linalg.lstsq(torch.cat([a, torch.ones(200, 1)], 1), y).solution
        model[2].weight.copy_(fit[:6].T)
        model[2].bias.copy_(fit[6])
        gone = torch.tensor([False, True, False, False, True, False])
        folded = fold(model, {"dense1": gone}, {"dense1": a.mean(0)})
        refitted = torch.linalg.lstsq(torch.ones(200, 1).double(), y - a[:, ~gone] @ fit[:6][~gone]).solution[0]
    close(folded[2].bias, refitted, rtol=0, atol=1e-12)
    close(folded[2].bias - fit[6], a.mean(0)[gone] @ fit[:6][gone], rtol=0, atol=1e-12)
    assert (folded[2].bias - fit[6]).abs().min() > 1e-3


def test_the_mean_is_best_for_the_next_layer():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    best, mean = best_constant(dense(lambda: nn.Linear(3, 5), nn.ReLU, lambda: nn.Linear(5, 4)), x)
    close(best, mean, rtol=1e-10, atol=0)
    maps = torch.randn(20, 2, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = dense(lambda: nn.Conv2d(2, 5, 3), nn.ReLU, lambda: nn.Conv2d(5, 4, 1))
    best, mean = best_constant(model, maps)
    close(best, mean, rtol=1e-10, atol=0)
    seen = unit_statistics(
        nn.Sequential(*model, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 7 * 7, 2).double()), maps, torch.zeros(20).long()
    )
    close(seen["conv1"].mean[1], mean)


def test_the_mean_is_not_best_behind_max_pooling():
    """There it is the mean of what pooling leaves, which is larger."""
    maps = torch.randn(20, 2, 10, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = dense(lambda: nn.Conv2d(2, 5, 3), nn.ReLU, lambda: nn.MaxPool2d(2), lambda: nn.Conv2d(5, 4, 1))
    best, mean = best_constant(model, maps)
    with torch.no_grad():
        close(best, model[:3](maps)[:, 1].mean(), rtol=1e-10, atol=0)
    assert best > 1.2 * mean


@pytest.mark.parametrize("kernel", [1, 3])
def test_the_mean_is_nearly_best_before_a_larger_kernel(kernel):
    """Taps of a valid kernel never see some rows and columns, so each has a mean of its own: exact for 1x1 alone."""
    maps = torch.randn(20, 2, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = dense(lambda: nn.Conv2d(2, 5, 3), nn.ReLU, lambda: nn.Conv2d(5, 4, kernel))
    best, mean = best_constant(model, maps)
    assert abs(best / mean - 1) < 0.1
    assert (abs(best / mean - 1) < 1e-10) == (kernel == 1)
