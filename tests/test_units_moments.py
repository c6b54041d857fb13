"""Gain and re-fit of the layers that read pruned units, against NumPy's least squares and moments in float64."""

import numpy as np
import pytest
import torch
from torch import nn

from prunebook.errors import InputError
from prunebook.networks.convnets import convnet
from prunebook.units import fold, forward, gain, refit, remove, unit_layers, unit_statistics, variance_kept
from prunebook.units.consumers import rows_of, units_last
from prunebook.units.gain import moments
from prunebook.units.refit import Moments

close = torch.testing.assert_close


def dense(widths=(5, 12, 9, 3), seed=0):
    torch.manual_seed(seed)
    layers = [part for a, b in zip(widths, widths[1:], strict=False) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1]).double()


def convolutions(*, same=False, norm=False, seed=0):
    torch.manual_seed(seed)

    def block(a, b):
        return [nn.Conv2d(a, b, 3, padding=int(same)), *([nn.BatchNorm2d(b)] if norm else []), nn.ReLU()]

    side = 3 if same else 1
    model = nn.Sequential(*block(2, 6), nn.MaxPool2d(2), *block(6, 5), nn.Flatten(), nn.Linear(5 * side**2, 3))
    for layer in model:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    return model.double().eval(), torch.randn(80, 2, 6 if same else 8, 6 if same else 8, dtype=torch.float64)


NETWORKS = {
    "dense": lambda: (dense(), torch.randn(80, 5, dtype=torch.float64)),
    "valid": convolutions,
    "padded": lambda: convolutions(same=True),
    "batch norm": lambda: convolutions(norm=True),
}


def gone(model, share=0.5):
    return {site.name: torch.arange(site.units) < share * site.units for site in unit_layers(model)}


def pre_activations(model, site, x):
    layer = model[site.consumer]
    return units_last(layer, forward(model[: site.consumer + 1], x, {})).detach().numpy()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("with_means", [False, True])
def test_a_gain_gives_each_pre_activation_its_deviation_back_and_leaves_its_mean(name, with_means):
    model, x = NETWORKS[name]()
    means = {site: seen.mean for site, seen in unit_statistics(model, x, torch.arange(80) % 3).items()}
    before, masks = {k: v.clone() for k, v in model.state_dict().items()}, gone(model)
    for site in unit_layers(model):  # one at a time: the mean of a later layer moves with the gains before it
        mask = {site.name: masks[site.name]}
        plain = fold(model, mask, means if with_means else None, shape=x.shape[1:])
        found = gain(model, mask, x, means if with_means else None)
        z, old, new = (pre_activations(net, site, x) for net in (model, plain, found))
        assert old.std(0) != pytest.approx(z.std(0), rel=0.01)
        assert new.std(0) == pytest.approx(z.std(0), rel=1e-9)
        if name != "padded" or not with_means:  # a bias map is scaled too, and its mean with it
            assert new.mean(0) == pytest.approx(old.mean(0), rel=1e-6, abs=1e-9)
        assert variance_kept(model, found, mask, x) == pytest.approx(1)
        assert variance_kept(model, plain, mask, x) == pytest.approx(old.var(0).sum() / z.var(0).sum())
    whole = gain(model, masks, x, means if with_means else None)
    own = {site.producer: masks[site.name].tolist() for site in unit_layers(model)}
    for site in unit_layers(model):
        alive = [not gone_too for gone_too in own.get(site.consumer, [False] * len(model[site.consumer].weight))]
        new, old = (pre_activations(net, site, x).std(0) for net in (whole, model))
        assert new[alive] == pytest.approx(old[alive], rel=1e-9)
        assert (new[~np.array(alive)] == 0).all()
    close(remove(whole, masks)(x), whole(x))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_gain_is_the_quotient_of_deviations_in_a_closed_case():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
        model[2].weight.copy_(torch.tensor([[3.0, 4.0]]))
        model[2].bias.fill_(1.0)
    x = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]]).double()  # variance 9/4 + 16/4; of the first alone 9/4
    found = gain(model, {"dense1": [False, True]}, x)
    assert found[2].weight[0, 0].item() == pytest.approx(5.0)
    assert found[2].bias.item() == pytest.approx(1.0 + 1.5 - 2.5)  # the mean stays 2.5
    still = gain(model, {"dense1": [True, True]}, x)
    assert torch.equal(still(x), torch.ones(4, 1).double())  # nothing varies any more, and nothing is made to


def lstsq(h, z):
    """Slopes (units, columns) and constants of an ordinary least-squares fit."""
    found = np.linalg.lstsq(np.c_[h, np.ones(len(h))], z, rcond=None)[0]
    return found[:-1].T, found[-1]


@pytest.mark.parametrize("name", ["dense", "valid", "padded"])
def test_a_refit_is_numpys_least_squares(name):
    model, x = NETWORKS[name]()
    for site in unit_layers(model):
        mask = {site.name: torch.arange(site.units) % 2 == 0}
        layer = model[site.consumer]
        inputs = forward(model[: site.consumer], x, {})
        each = layer.weight[0].numel() // site.units
        columns = ~mask[site.name].repeat_interleave(each).numpy()
        h = patches(layer, inputs)[:, columns]
        slope, constant = lstsq(h, pre_activations(model, site, x))
        found = refit(model, mask, x, ridges=[0.0])[site.consumer]
        weight = found.weight.flatten(1).detach().numpy()
        if np.linalg.matrix_rank(np.c_[h, np.ones(len(h))]) == h.shape[1] + 1:  # else only what is fitted is unique
            assert weight[:, columns] == pytest.approx(slope, abs=1e-7)
            assert found.bias.detach().numpy() == pytest.approx(constant, abs=1e-7)
        fitted = h @ weight[:, columns].T + found.bias.detach().numpy()
        assert fitted == pytest.approx(h @ slope.T + constant, abs=1e-6)


def patches(layer, inputs):
    """Rows of a layer's inputs, cut out by hand."""
    inputs = inputs.detach().numpy()
    if isinstance(layer, nn.Linear):
        return inputs
    pad, size = layer.padding[0], layer.kernel_size[0]
    inputs = np.pad(inputs, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    places = range(inputs.shape[2] - size + 1)
    cut = [[inputs[:, :, i : i + size, j : j + size].reshape(len(inputs), -1) for j in places] for i in places]
    return np.stack([part for line in cut for part in line], 1).reshape(-1, inputs.shape[1] * size**2)


@pytest.mark.parametrize("pad", ["same", 1, 0])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular"])
def test_rows_give_a_layers_outputs(pad, mode):
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3, padding=pad, padding_mode=mode, stride=1, dilation=1).double()
    x = torch.randn(5, 3, 6, 7, dtype=torch.float64)
    close(rows_of(layer, x) @ layer.weight.flatten(1).T + layer.bias, units_last(layer, layer(x)))
    tokens = nn.Linear(7, 4).double()
    close(rows_of(tokens, x) @ tokens.weight.T + tokens.bias, units_last(tokens, tokens(x)))


@pytest.mark.parametrize("name", ["dense", "valid"])
def test_mean_replacement_is_the_refit_from_no_unit_or_under_an_endless_ridge(name):
    model, x = NETWORKS[name]()
    means = {site: seen.mean for site, seen in unit_statistics(model, x, torch.arange(80) % 3).items()}
    for site in unit_layers(model):
        for mask, ridges in ((torch.ones(site.units, dtype=torch.bool), [1e-4]), (gone(model)[site.name], [1e15])):
            found, expected = refit(model, {site.name: mask}, x, ridges=ridges), fold(model, {site.name: mask}, means)
            if name == "dense" or isinstance(model[site.consumer], nn.Linear):
                close(found(x), expected(x))
            else:  # the mean of a map is not the mean that each tap of a kernel sees
                gaps = [(pre_activations(net, site, x) - pre_activations(model, site, x)) for net in (found, expected)]
                assert (gaps[0] ** 2).mean() <= (gaps[1] ** 2).mean() * (1 + 1e-9)
                close(found[site.consumer].weight, expected[site.consumer].weight)


def test_moments_give_the_errors_and_the_ridge_that_a_search_gives():
    random = torch.Generator().manual_seed(0)
    h = torch.randn(60, 20, generator=random, dtype=torch.float64)
    r = 0.3 * h[:, :4] + torch.randn(60, 4, generator=random, dtype=torch.float64) + 2
    fit, held = Moments(), Moments()
    for part in (slice(0, 7), slice(7, 30)):
        fit.add(h[part], r[part])
    held.add(h[30:], r[30:])
    ridges = (1e-3, 1e-1, 1.0, 1e3)
    errors = []
    for ridge, (slope, shift) in zip(ridges, fit.fits(ridges), strict=True):
        x, y = h[:30].numpy(), r[:30].numpy()
        cov = np.cov(x.T, bias=True)
        direct = (y - y.mean(0)).T @ (x - x.mean(0)) / 30 @ np.linalg.inv(cov + ridge * cov.trace() / 20 * np.eye(20))
        assert slope.numpy() == pytest.approx(direct, rel=1e-8, abs=1e-10)
        error = ((r[30:] - h[30:] @ slope.T - shift) ** 2).sum(1).mean()
        assert held.error(slope, shift) == pytest.approx(float(error))
        errors.append(float(error))
    assert min(errors) not in (errors[0], errors[-1])
    both = fit + held
    whole = Moments()
    whole.add(h, r)
    for found, expected in zip(both.fits([0.1])[0], whole.fits([0.1])[0], strict=True):
        close(found, expected)


def test_a_refit_takes_the_ridge_that_does_best_on_samples_held_out():
    model, x = dense((5, 30, 4), seed=3), torch.randn(40, 5, dtype=torch.float64)
    mask = {"dense1": torch.arange(30) % 2 == 0}
    ridges = (1e-8, 1e-2, 1e4)
    fresh = torch.randn(2000, 5, dtype=torch.float64)

    def error(net):
        return (net(fresh) - model(fresh)).square().mean().item()

    each = [error(refit(model, mask, x, ridges=[ridge])) for ridge in ridges]
    assert error(refit(model, mask, x, ridges=ridges, held_out=0.25)) == pytest.approx(min(each), rel=1e-6)
    assert max(each) > 1.5 * min(each), "the case decides nothing"


def test_moments_in_parts_are_those_of_the_whole():
    x = 1e4 + torch.randn(50, 3, dtype=torch.float64)
    mean, variance = moments(x.split(7))
    close(mean, x.mean(0))
    close(variance, x.var(0, unbiased=False), rtol=1e-9, atol=0)


def test_what_cannot_be_fitted_is_refused():
    model, x = dense(), torch.randn(4, 5, dtype=torch.float64)
    mask = {"dense1": torch.arange(12) < 6}
    with pytest.raises(InputError, match="give at least one"):
        refit(model, mask, x, ridges=[])
    with pytest.raises(InputError, match="leaves none"):
        refit(model, mask, x, held_out=0.01)
    with pytest.raises(InputError, match="there is no site 'dense9'"):
        gain(model, {"dense9": mask["dense1"]}, x)


def test_a_refit_of_the_papers_network_does_better_than_means_and_they_better_than_nothing():
    model = convnet("tiny", shape=(1, 20, 20), seed=1, init="he").eval()
    x, fresh = torch.randn(300, 1, 20, 20), torch.randn(200, 1, 20, 20)
    means = {site: seen.mean for site, seen in unit_statistics(model, x, torch.arange(300) % 10).items()}
    masks = gone(model)
    nets = fold(model, masks), fold(model, masks, means), refit(model, masks, x)
    errors = [(remove(net, masks)(fresh) - model(fresh)).square().mean().item() for net in nets]
    assert errors[2] < errors[1] < errors[0]
