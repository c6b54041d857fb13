"""Slow, plain ways to the quantities of weight pruning, and small networks to try them on."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from prunebook.weights import Calibration


def network(widths, activation=nn.Tanh, *, bias=True, seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    parts = []
    for n_in, n_out in pairwise(widths):
        parts += [nn.Linear(n_in, n_out, bias=bias, dtype=dtype), activation()]
    return nn.Sequential(*parts[:-1]).to(dtype)


def inputs(n, width, *, seed=1, dtype=torch.float64):
    """Correlated, skewed, with means away from 0."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, width, generator=generator, dtype=torch.float64)
    x = x @ torch.randn(width, width, generator=generator, dtype=torch.float64) * 0.5
    return (x + 0.3 * x.square() + torch.linspace(-1, 1, width, dtype=torch.float64)).to(dtype)


def statistics(model, batches, **options):
    return Calibration(model, batches, **options).statistics


class Tokens(nn.Module):
    """Linear layers that see several tokens of a sample, mixed in between."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 4)
        self.mixed = nn.Linear(4, 5)
        self.out = nn.Linear(5, 2)

    def forward(self, x):  # (B, T, 3)
        h = torch.tanh(self.embed(x))
        h = h + torch.softmax(h @ h.mT, -1) @ h
        return self.out(torch.tanh(self.mixed(h)).mean(1))


class Twice(nn.Module):
    """One linear layer called twice, of which an activation works in place."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        h = torch.relu_(self.first(x) + 0.3)
        return self.last(torch.tanh(self.first(h))).reshape(len(x), 3, 1)


def jacobians(model, x):
    """dy/dW (N, K, o, i) and dy/db (N, K, o) of each Linear with a bias, one sample and output at a time."""
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    by_weight, by_bias = {name: [] for name in layers}, {name: [] for name in layers}
    for sample in x.split(1):
        outputs = model(sample).reshape(-1)
        for y in outputs:
            wanted = [m.weight for m in layers.values()] + [m.bias for m in layers.values()]
            gradients = torch.autograd.grad(y, wanted, retain_graph=True, materialize_grads=True)
            for name, w, b in zip(layers, gradients[: len(layers)], gradients[len(layers) :], strict=True):
                by_weight[name].append(w)
                by_bias[name].append(b)
    shape = (len(x), len(outputs))
    return {
        name: (
            torch.stack(by_weight[name]).view(*shape, *layers[name].weight.shape),
            torch.stack(by_bias[name]).view(*shape, -1),
        )
        for name in layers
    }


def moments(by_weight, by_bias):
    """d, A1, A2 from the Jacobians."""
    return (
        by_bias.square().sum(1).mean(0),
        (by_weight * by_bias[..., None]).sum(1).mean(0),
        by_weight.square().sum(1).mean(0),
    )


def remove(masks, name, *entries):
    """Masks that keep all but some entries (i, j) of one layer."""
    masks = {key: torch.ones_like(mask, dtype=torch.bool) for key, mask in masks.items()}
    for i, j in entries:
        masks[name][i, j] = False
    return masks


def test_jacobians_agree_with_finite_differences():
    model, x = network((3, 4, 2)), inputs(5, 3)
    by_weight, by_bias = jacobians(model, x)["0"]
    before = model(x).detach()
    for tensor, index, derivative in (
        (model[0].weight, (1, 2), by_weight[:, :, 1, 2]),
        (model[0].bias, (3,), by_bias[:, :, 3]),
    ):
        with torch.no_grad():
            tensor[index] += 1e-6
        torch.testing.assert_close((model(x).detach() - before) / 1e-6, derivative, rtol=1e-4, atol=1e-6)
        with torch.no_grad():
            tensor[index] -= 1e-6


@pytest.mark.parametrize("make", [Tokens, Twice])
def test_networks_with_several_positions_run(make):
    model = make().double()
    x = torch.ones(2, 6, 3).double() if make is Tokens else torch.ones(2, 4).double()
    assert len(model(x)) == 2
