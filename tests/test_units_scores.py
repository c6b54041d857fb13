"""Observations and scores against one sample at a time, finite differences and identities."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from test_units_replacement import SHAPES, chain, images
from torch import nn
from torch.nn import functional as F

from prunebook.errors import InputError
from prunebook.units import (
    CONVENTIONS,
    SCORES,
    UnitStatistics,
    forward,
    random_score,
    register,
    unit_layers,
    unit_statistics,
)

close = torch.testing.assert_close
FIELDS = ("mean", "product", "gradient", "energy", "absolute_product", "absolute_displacement", "weight")


def by_hand(model, x, y):
    """a and g of each site, (samples, units, positions), from hooks and one backward pass for each sample."""
    found = {site.name: ([], []) for site in unit_layers(model)}
    for sample, label in zip(x, y, strict=True):
        seen = {}

        def save(name, seen=seen):
            def hook(module, args, output):
                output.retain_grad()
                seen[name] = output

            return hook

        handles = [model[site.index].register_forward_hook(save(site.name)) for site in unit_layers(model)]
        F.cross_entropy(model(sample[None]), label[None]).backward()
        for handle in handles:
            handle.remove()
        for name, a in seen.items():
            found[name][0].append(a.detach()[0].reshape(a.shape[1], -1))
            found[name][1].append(a.grad[0].reshape(a.shape[1], -1))
    return {name: (torch.stack(a), torch.stack(g)) for name, (a, g) in found.items()}


@pytest.fixture(scope="module", params=[("valid", False), ("padded", False), ("valid", True)])
def case(request):
    kind, norm = request.param
    model = chain(kind, norm=norm)
    x, y = images(kind)
    return model, x, y, unit_statistics(model, x, y), by_hand(copy.deepcopy(model), x, y)


def test_scores_sample_by_sample(case):
    model, _, _, seen, truth = case
    assert list(seen) == [site.name for site in unit_layers(model)]
    for site in unit_layers(model):
        a, g = truth[site.name]
        n, units, p = a.shape
        w = model[site.producer].weight.detach()
        mean = torch.tensor([a[:, u].mean() for u in range(units)])
        expected = {key: torch.zeros(units, dtype=torch.float64) for key in (*SCORES, *CONVENTIONS)}
        for u in range(units):
            zero = [(-a[i, u] * g[i, u]).mean() for i in range(n)]
            to_mean = [((mean[u] - a[i, u]) * g[i, u]).mean() for i in range(n)]
            expected["rs"][u] = sum(zero) / n
            expected["abs_rs"][u] = sum(abs(s) for s in zero) / n
            expected["mrs"][u] = sum(to_mean) / n
            expected["abs_mrs"][u] = sum(abs(s) for s in to_mean) / n
            expected["norm"][u] = w[u].norm() ** 2 / w[u].numel()
            expected["rs/literal-sign"][u] = -expected["rs"][u]
            expected["mrs/reversed-sign"][u] = -expected["mrs"][u]
            expected["abs_rs/elementwise"][u] = (a[:, u] * g[:, u]).abs().sum() / (n * p)
            expected["abs_mrs/elementwise"][u] = ((mean[u] - a[:, u]) * g[:, u]).abs().sum() / (n * p)
            expected["abs_rs/average-first"][u] = abs(expected["rs"][u])
            expected["abs_mrs/average-first"][u] = abs(expected["mrs"][u])
            expected["norm/unsquared"][u] = w[u].norm()
        observation = seen[site.name]
        assert observation.positions == p
        close(observation.mean, mean)
        close(observation.energy, a.square().sum((0, 2)))
        close(observation.gradient, g.mean(2), rtol=1e-10, atol=1e-14)
        for key, score in {**SCORES, **CONVENTIONS}.items():
            if key != "rand":
                value = score(observation)
                close(value, expected[key], rtol=1e-9, atol=1e-14, msg=lambda m, key=key: f"{key}: {m}")
                assert value.std() > 0


def test_saliencies_are_derivatives_of_the_loss(case):
    """P * mrs and P * rs are the slopes of the mean loss on the way of one unit to its mean and to zero."""
    model, x, y, seen, _ = case
    step = 1e-6
    for site in unit_layers(model):
        for key, targets in (("mrs", seen[site.name].mean), ("rs", torch.zeros(site.units).double())):
            slopes = SCORES[key](seen[site.name]) * seen[site.name].positions
            for unit in (0, site.units - 1):

                def moved(size, site=site, unit=unit, target=targets[unit]):
                    def edit(a):
                        a = a.clone()
                        a[:, unit] += size * (target - a[:, unit])
                        return a

                    return F.cross_entropy(forward(model, x, {site.index: edit}), y)

                with torch.no_grad():
                    slope = (moved(step) - moved(-step)) / (2 * step)
                close(slopes[unit], slope, rtol=1e-5, atol=1e-9)


def test_euler_identities():
    """A ReLU unit is homogeneous in its incoming weights and bias, and the next layer in its outgoing weights."""
    for kind in SHAPES:
        model = chain(kind)
        x, y = images(kind)
        F.cross_entropy(model(x), y).backward()
        seen = unit_statistics(model, x, y)
        for site in unit_layers(model):
            units, positions = site.units, seen[site.name].positions
            into, out = model[site.producer], model[site.consumer]
            incoming = (into.weight * into.weight.grad).flatten(1).sum(1) + into.bias * into.bias.grad
            outgoing = (out.weight * out.weight.grad).unflatten(1, (units, -1)).flatten(2).sum((0, 2))
            score = SCORES["rs"](seen[site.name])
            assert score.abs().max() > 1e-5
            close(score, -incoming.detach() / positions, rtol=1e-8, atol=1e-14)
            close(score, -outgoing.detach() / positions, rtol=1e-8, atol=1e-14)


def test_chunks_change_nothing(case):
    model, x, y, seen, _ = case
    for chunk in (5, 6, 100):
        for name, part in unit_statistics(model, x, y, chunk=chunk).items():
            for field in FIELDS:
                close(getattr(part, field), getattr(seen[name], field), rtol=1e-9, atol=1e-15)
            assert part.positions == seen[name].positions


@pytest.mark.parametrize("batch_statistics", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_observing_leaves_no_trace(batch_statistics, training):
    model = chain("valid", norm=True).train(training)
    model.insert(len(model) - 1, nn.Dropout(0.5).train(training))
    model[3].eval()
    x, y = images("valid")
    for index, p in enumerate(model.parameters()):
        p.grad = torch.full_like(p, float(index))
    before = copy.deepcopy(model)
    modes = [layer.training for layer in model]
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    # not Python's own: the type checks of the tests draw from it
    states = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    first = unit_statistics(model, x, y, batch_statistics=batch_statistics)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), states[1], strict=True))  # noqa: NPY002
    assert [layer.training for layer in model] == modes
    assert not any(layer._forward_hooks or layer._backward_hooks for layer in model)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before.state_dict()[key]), key
    for index, p in enumerate(model.parameters()):
        assert p.requires_grad
        assert torch.equal(p.grad, torch.full_like(p, float(index)))
    assert not x.requires_grad
    # neither frozen weights nor a caller without gradients change anything
    with torch.no_grad():
        again = unit_statistics(model.requires_grad_(False), x, y, batch_statistics=batch_statistics)
    for name, part in again.items():
        assert all(torch.equal(getattr(part, f), getattr(first[name], f)) for f in FIELDS)
        assert part.weight.data_ptr() != model[unit_layers(model)[0].producer].weight.data_ptr()


def test_batch_statistics():
    """Batch norm as in training, g the derivative of the summed loss."""
    model = chain("valid", norm=True)
    x, y = images("valid")
    truth, seen = copy.deepcopy(model).train(), {}
    for site in unit_layers(model):

        def hook(module, args, output, name=site.name):
            output.retain_grad()
            seen[name] = output

        truth[site.index].register_forward_hook(hook)
    F.cross_entropy(truth(x), y, reduction="sum").backward()
    plain = unit_statistics(model, x, y)
    for name, part in unit_statistics(model, x, y, batch_statistics=True).items():
        a, g = (t.detach().reshape(*t.shape[:2], -1) for t in (seen[name], seen[name].grad))
        close(part.mean, a.mean((0, 2)), rtol=1e-9, atol=1e-14)
        close(part.product, (a * g).mean(2), rtol=1e-8, atol=1e-14)
        assert not torch.allclose(part.mean, plain[name].mean, rtol=1e-3)


def test_dead_units_score_exactly_zero():
    model = chain("valid").float()
    with torch.no_grad():
        model[3].bias[2] = -1e6
    x, y = images("valid")
    seen = unit_statistics(model, x.float(), y)["conv2"]
    for key in ("rs", "abs_rs", "mrs", "abs_mrs"):
        score = SCORES[key](seen)
        assert score.dtype == torch.float32
        assert (score == 0).tolist() == [False, False, True, False, False, False, False]


def test_shared_activations_and_in_place_ones():
    """One ReLU module for all layers, and ReLUs that overwrite their input."""
    model, (x, y) = chain("valid"), images("valid")
    expected = unit_statistics(model, x, y)
    one = nn.ReLU()
    for relu in (lambda: one, lambda: nn.ReLU(inplace=True)):
        other = nn.Sequential(*(relu() if isinstance(layer, nn.ReLU) else layer for layer in model))
        for name, part in unit_statistics(other, x, y).items():
            assert all(torch.equal(getattr(part, f), getattr(expected[name], f)) for f in FIELDS)


def test_random_scores_depend_on_the_measurement_alone():
    seen = unit_statistics(chain("valid"), *images("valid"))
    torch.manual_seed(0)
    state = torch.get_rng_state()

    def draw(seed, step, site):
        return random_score(seed, step)(dataclasses.replace(seen["dense1"], site=site))

    first = draw(0, 250, "dense1")
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(7)
    assert torch.equal(draw(0, 250, "dense1"), first)
    assert ((first >= 0) & (first < 1)).all()
    others = [(1, 250, "dense1"), (0, 500, "dense1"), (0, 250, "dense2"), (25, 0, "dense1"), (2, 50, "dense1")]
    assert len({tuple(draw(*key).tolist()) for key in [*others, (0, 250, "dense1")]}) == 1 + len(others)
    many = torch.cat([draw(seed, 0, "dense1") for seed in range(1000)])
    assert abs(many.mean() - 0.5) < 4 * (1 / 12 / len(many)) ** 0.5


def test_new_scores():
    name = "energy of the tests"
    try:
        register(name, lambda seen: seen.energy)
        with pytest.raises(InputError, match="already"):
            register(name, lambda seen: seen.mean)
    finally:
        del SCORES[name]
    with pytest.raises(InputError, match="already"):
        register("norm/unsquared", lambda seen: seen.mean)


def test_bad_input():
    model = chain("valid")
    x, y = images("valid")
    with pytest.raises(InputError, match="do not go with"):
        unit_statistics(model, x, y[:-1])
    with pytest.raises(InputError, match="data is empty"):
        unit_statistics(model, x[:0], y[:0])
    with pytest.raises(InputError, match="chunk is 0"):
        unit_statistics(model, x, y, chunk=0)
    with pytest.raises(InputError, match="all samples at once"):
        unit_statistics(model, x, y, chunk=5, batch_statistics=True)
    with pytest.raises(InputError, match="no hidden layer"):
        unit_statistics(nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), x, y)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    model, (x, y) = chain("padded"), images("padded")
    expected = unit_statistics(model, x, y)
    for name, part in unit_statistics(model.cuda(), x.cuda(), y.cuda()).items():
        assert isinstance(part, UnitStatistics)
        for score in SCORES.values():
            value = score(part)
            assert value.is_cuda
            close(value.cpu(), score(expected[name]), rtol=1e-7, atol=1e-12)
