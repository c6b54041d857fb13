"""Rankings against plain computations."""

import pytest
import torch
from test_weights_oracles import Tokens, Twice, inputs, network
from torch import nn
from torch.nn import functional as F

from prunebook.errors import InputError
from prunebook.weights import CRITERIA, Calibration, criterion
from prunebook.weights.brute_force import ELEMENTWISE, chain, output_changes, single_changes

close = torch.testing.assert_close

CHAINS = {
    "tanh": lambda: network((5, 4, 3, 2)),
    "slopes of each unit": lambda: nn.Sequential(
        nn.Linear(5, 4), nn.PReLU(4, init=0.1), nn.Linear(4, 3), nn.PReLU(3), nn.Linear(3, 2)
    ),
    "in place, dropout, no bias, nested": lambda: nn.Sequential(
        nn.Sequential(nn.Linear(5, 4), nn.ReLU(inplace=True), nn.Dropout(0.3)),
        nn.Sequential(nn.Linear(4, 3, bias=False), nn.SiLU(), nn.LeakyReLU(0.2, inplace=True)),
        nn.Linear(3, 2),
        nn.Sigmoid(),
    ),
    "one layer": lambda: nn.Linear(5, 2),
    "linear after linear": lambda: nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 2, bias=False)),
}


@pytest.mark.parametrize("kind", CHAINS)
def test_nonlinear_fast_is_slow(kind, monkeypatch):
    from prunebook.weights import brute_force

    torch.manual_seed(0)
    model, x = CHAINS[kind]().double(), inputs(40, 5)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1 and len(p) > 1:
                p += 0.3 * torch.randn_like(p)
    calibration = Calibration(model, x, nonlinear_samples=25)
    assert chain(model) is not None
    slow = output_changes(calibration, fast=False)
    for limit in (2**30, 1, 25 * 4 * 8 * 2):
        monkeypatch.setitem(brute_force.BYTES, "cpu", limit)
        fast = output_changes(calibration)
        for name, scores in slow.items():
            close(fast[name], scores, rtol=1e-10, atol=1e-18)
            assert (scores > 0).any()


def test_nonlinear_by_hand():
    model, x = network((4, 3, 2)), inputs(30, 4)
    calibration = Calibration(model, x, nonlinear_samples=1000)
    scores = CRITERIA["non-linear"](calibration)
    i, j = 1, 2
    with torch.no_grad():
        before = model(x)
        weight = model[0].weight[i, j].item()
        changed = network((4, 3, 2))
        changed[0].weight[i, j] = 0
        changed[0].bias[i] += weight * x[:, j].mean()
        expected = (changed(x) - before).square().sum(1).mean()
    close(scores["0"][i, j], expected)


def test_nonlinear_takes_the_slow_path_for_anything_else():
    for model in (Tokens(), Twice(), nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 1))):
        assert chain(model) is None
    shared = nn.Linear(3, 3)
    assert chain(nn.Sequential(shared, nn.Tanh(), shared)) is None
    hooked = network((3, 3, 1))
    hooked[1].register_forward_hook(lambda module, args, output: output * 2)
    assert chain(hooked) is None
    assert chain(nn.Sequential(nn.Tanh(), nn.Linear(3, 1))) is None
    assert chain(nn.Sequential()) is None
    assert chain(nn.Sequential(nn.Flatten(), nn.Linear(3, 1))) is not None
    torch.manual_seed(0)
    model, x = Tokens().double(), inputs(20 * 4, 3).view(20, 4, 3)
    calibration = Calibration(model, x)
    scores = CRITERIA["non-linear"](calibration)
    changed = Tokens().double()
    changed.load_state_dict(model.state_dict())
    with torch.no_grad():
        weight = changed.mixed.weight[2, 1].item()
        changed.mixed.weight[2, 1] = 0
        changed.mixed.bias[2] += weight * calibration.statistics["mixed"].mean[1]
        expected = (changed(x) - model(x)).square().sum(1).mean()
    close(scores["mixed"][2, 1], expected)


def test_nonlinear_on_images_and_on_sequences():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    calibration = Calibration(model, inputs(30, 6).view(30, 1, 2, 3))
    for name, scores in output_changes(calibration, fast=False).items():
        close(output_changes(calibration)[name], scores)
    wise = network((3, 4, 2))  # applied to each position: not the plain case
    calibration = Calibration(wise, inputs(30, 3).view(10, 3, 3))
    for name, scores in output_changes(calibration, fast=False).items():
        close(output_changes(calibration)[name], scores)


def test_every_activation_of_the_list_is_elementwise():
    torch.manual_seed(0)
    x = torch.randn(6, 4)
    for kind in ELEMENTWISE:
        step = kind().eval()
        whole = step(x.clone())
        close(whole, torch.stack([step(x[:, i : i + 1].clone())[:, 0] for i in range(4)], 1))


def test_single_changes_of_some_weights():
    model, x = network((5, 4, 2)), inputs(20, 5)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    calibration = Calibration(model, x, nonlinear_samples=20)
    mean = calibration.statistics["0"].mean
    some = single_changes(model, calibration.sample, "0", mean, [(3, 1), (0, 4)])
    scores = CRITERIA["non-linear"](calibration)["0"]
    close(some, torch.stack([scores[3, 1], scores[0, 4]]))
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert single_changes(model, x, "0", mean, []).shape == (0,)


def test_gradient_magnitude():
    model, x = network((5, 4, 3), nn.PReLU), inputs(50, 5)
    y = torch.arange(50) % 3
    calibration = Calibration(model, [(x[:7], y[:7]), (x[7:], y[7:])], loss=F.cross_entropy)
    with torch.no_grad():
        scores = CRITERIA["gradient-magnitude"](calibration)
    assert all(p.grad is None for p in model.parameters())
    F.cross_entropy(model(x), y).backward()
    for name in calibration.layers:
        layer = model.get_submodule(name)
        close(scores[name], (layer.weight * layer.weight.grad).abs().detach())
    frozen = network((5, 4, 3), nn.PReLU).requires_grad_(False)
    again = Calibration(frozen, [(x, y)], loss=F.cross_entropy)
    close(CRITERIA["gradient-magnitude"](again)["0"], scores["0"])


def test_wanda_and_magnitude_by_hand():
    model, x = network((5, 4, 3)), inputs(50, 5)
    calibration = Calibration(model, x)
    weight = model[0].weight.detach()
    close(CRITERIA["wanda"](calibration)["0"], weight.abs() * x.norm(dim=0) / 50**0.5)
    close(CRITERIA["magnitude"](calibration)["0"], weight.abs())
    close(CRITERIA["mean-replacement"](calibration)["0"], weight.square() * x.var(0, correction=0))


def test_random_is_decided_by_the_seed_alone():
    model, x = network((5, 4, 3)), inputs(50, 5)
    torch.manual_seed(1)
    first = CRITERIA["random"](Calibration(model, x, seed=3))
    torch.manual_seed(2)
    other = Calibration(model, x, seed=3)
    assert len(other.sample) == 50
    assert torch.equal(CRITERIA["random"](other)["0"], first["0"])
    assert not torch.equal(CRITERIA["random"](Calibration(model, x, seed=4))["0"], first["0"])


def test_sample_is_a_random_subset_without_replacement():
    model, x = network((1, 2, 1)), torch.arange(40.0)[:, None].double()
    counts = torch.zeros(40)
    for seed in range(200):
        drawn = Calibration(model, [x[:3], x[3:35], x[35:]], seed=seed, nonlinear_samples=10).sample[:, 0].long()
        assert len(set(drawn.tolist())) == 10
        counts[drawn] += 1
    # each input is drawn 50 times on average, with a standard deviation of 6.1
    assert counts.min() > 50 - 4.5 * 6.1
    assert counts.max() < 50 + 4.5 * 6.1
    few = Calibration(model, [x[:3], x[3:]], nonlinear_samples=10)
    assert torch.equal(few.sample, Calibration(model, x, nonlinear_samples=10).sample)
    assert torch.equal(Calibration(model, x).sample, x)


def test_a_new_ranking_is_one_function():
    @criterion("largest-first")
    def largest_first(calibration):
        return {name: -weight.abs() for name, weight in calibration.weights.items()}

    assert CRITERIA.pop("largest-first") is largest_first
    with pytest.raises(InputError, match="already"):
        criterion("obd")(largest_first)
