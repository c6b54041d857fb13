"""The certificate of a whole network, against its parts, and the networks it refuses."""

import copy
import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from prunebook.coresets import (
    certify,
    expected_kept,
    mass,
    neuron_sensitivities,
    query_radius,
    samples_for,
    sensitivities,
)
from prunebook.coresets.labels import additive_epsilon, correct, epsilon_to_keep, sign_split_epsilon
from prunebook.coresets.last_layer import find_head
from prunebook.coresets.neuron_bounds import neuron_samples, neuron_samples_hoeffding
from prunebook.errors import InputError

close = torch.testing.assert_close


def network(seed=0, inplace=False):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(8, 20), nn.ReLU(), nn.Linear(20, 16), nn.ReLU(inplace), nn.Dropout(0.5), nn.Linear(16, 4)
        )


def data(model, count=400, wrong=0.1, seed=1):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 8, generator=g)
    y = copy.deepcopy(model).eval()(x).argmax(1)
    noisy = torch.rand(count, generator=g) < wrong
    return TensorDataset(x, torch.where(noisy, (y + 1) % 4, y))


def halves(model, dataset, seed=0):
    x, y = dataset.tensors
    h1 = model[:2](x).detach()
    h = model[2:4](h1).detach().double()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    first, held = order[: len(x) // 2], order[len(x) // 2 :]
    return h1, h, y, first, held


def test_weights_are_their_parts():
    model = network()
    dataset = data(model)
    found = certify(model, dataset, keep=0.7, delta=0.2, points=50, C=1.5, draws=4)
    _, h, y, first, held = halves(model, dataset)
    w, b = model[5].weight.detach().double(), model[5].bias.detach().double()
    logits = h[first] @ w.T + b
    right = correct(h[held] @ w.T + b, y[held])
    choice = sign_split_epsilon(logits, mass(w, h[first]), y[first])[correct(logits, y[first])]
    epsilon = epsilon_to_keep(choice, 0.7)  # held-out points serve no choice
    sensitivity = sensitivities(w, h[first[:50]])
    samples = samples_for(epsilon, sensitivity.total, failure=0.2 / 8, C=1.5)
    assert found.epsilon == pytest.approx(epsilon)
    close(found.samples, samples)
    assert (found.layer, found.kind, found.points, found.size, found.stated) == ("5", "weights", 200, 64, None)
    assert found.kept == pytest.approx(expected_kept(sensitivity.probabilities, samples).sum().item())
    assert found.before == right.double().mean().item()
    assert 0.8 < found.before < 1
    assert len(found.after) == 4
    assert 0 < found.observed_mean < found.observed_largest < epsilon
    assert found.labels_kept >= 0.7
    assert 0 < found.covered < 1


def test_neurons_are_their_parts():
    model = network(inplace=True)
    dataset = data(model)
    found = certify(model, dataset, keep=0.7, delta=0.2, kind="neurons", draws=4)
    h1, h, y, first, held = halves(model, dataset)
    w, b = model[5].weight.detach().double(), model[5].bias.detach().double()
    logits = h[first] @ w.T + b
    epsilon = epsilon_to_keep(additive_epsilon(logits, y[first])[correct(logits, y[first])], 0.7)
    radius = query_radius(h1[first])
    total = neuron_sensitivities(w, model[2].weight.detach(), model[2].bias.detach(), radius).total
    assert found.epsilon == pytest.approx(epsilon)
    close(found.samples, neuron_samples_hoeffding(epsilon, total, failure=0.2 / 4), rtol=1e-6, atol=0)
    close(found.stated, neuron_samples(epsilon, total, 21, 0.2).item(), rtol=1e-6, atol=0)
    assert (found.kind, found.size) == ("neurons", 16)
    assert found.observed_largest < epsilon
    assert found.covered == (h1[held].norm(dim=1) <= h1[first].norm(dim=1).max()).double().mean().item()


def test_report_has_the_numbers():
    model = network()
    text = str(certify(model, data(model)))
    for part in ("layer '5'", "64 of them", "200 held-out", "50% of the correct labels", "observed error"):
        assert part in text
    assert "published" not in text
    assert "published" in str(certify(model, data(model), kind="neurons"))


def test_model_and_random_state_are_untouched():
    model = network().train()
    dataset = data(model)
    loader = DataLoader(dataset, batch_size=64, shuffle=True)
    state, before = torch.get_rng_state(), copy.deepcopy(model.state_dict())
    first = certify(model, loader)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not model[5]._forward_hooks
    close(first.samples, certify(model, loader).samples, rtol=0, atol=0)
    assert first.after != certify(model, loader, seed=1).after


def test_batches_do_not_matter():
    model = network()
    dataset = data(model)
    one = certify(model, dataset)
    two = certify(model, DataLoader(dataset, batch_size=7))
    assert one.epsilon == pytest.approx(two.epsilon, rel=1e-4)
    assert one.size == two.size


class Functional(nn.Module):
    """Layers registered in another order than they are called in, and activations as functions."""

    def __init__(self):
        super().__init__()
        self.last, self.first = nn.Linear(16, 4, bias=False), nn.Linear(8, 16, bias=False)

    def forward(self, x):
        return self.last(self.first(x).relu())


def test_layers_are_found_by_running():
    torch.manual_seed(0)
    model = Functional()
    dataset = data(model)
    found = find_head(model, dataset)
    assert found.name == "last"
    assert torch.equal(found.hidden.weight, model.first.weight)
    assert certify(model, dataset).layer == certify(model, dataset, layer="last", kind="neurons").layer == "last"


@pytest.mark.parametrize("kind", ["weights", "neurons"])
def test_more_draws_than_can_be_made(monkeypatch, kind):
    monkeypatch.setattr(sys.modules["prunebook.coresets.certify"], "LIMIT", 10)
    model = network()
    found = certify(model, data(model), kind=kind)
    assert float(found.samples.max()) > 10
    assert found.after is found.observed_mean is found.observed_largest is found.labels_kept is None
    assert "not sampled: more than 10 draws" in str(found)


def test_refusals():
    model = network()
    dataset = data(model)
    x, y = dataset.tensors
    cases = [
        (nn.Sequential(nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 4)), dataset, {"kind": "neurons"}, "not the ReLU"),
        (model, dataset, {"confidence": 1}, "1 - confidence is 0"),
        (model, dataset, {"after": nn.Linear(8, 3)}, r"outputs are \(200, 3\)|outputs are \(400, 3\)"),
        (model, dataset, {"after": nn.Linear(7, 4)}, "cannot take a batch"),
        (nn.Sequential(nn.Linear(8, 4), nn.Softmax(1)), dataset, {}, "remove what follows"),
        (nn.Sequential(nn.Flatten()), dataset, {}, "no nn.Linear is called"),
        (model, x, {}, "no labels"),
        (model, TensorDataset(x, x[:, 0]), {}, "class indices as integers"),
        (model, TensorDataset(x, y + 1), {}, "class indices from 0 to 3"),
        (model, TensorDataset(x[:1], y[:1]), {}, "at least two"),
        (model, dataset, {"layer": "9"}, "no nn.Linear called '9'"),
        (model, dataset, {"layer": "0"}, "not that of its linear layer '0'"),
        (model, dataset, {"keep": 0.0}, "keep is 0"),
        (model, dataset, {"delta": 1.0}, "delta is 1"),
        (model, dataset, {"draws": 0}, "draws is 0"),
        (nn.Sequential(nn.Linear(8, 1)), TensorDataset(x.abs(), 0 * y), {}, "one output"),
        (nn.Sequential(nn.Linear(8, 4)), TensorDataset(x.abs(), y), {"kind": "neurons"}, "not the ReLU"),
        (
            nn.Sequential(nn.Linear(8, 5), nn.Hardtanh(0, 0.1, inplace=True), nn.Linear(5, 4)),
            dataset,
            {"kind": "neurons"},
            "not the ReLU",
        ),
        (nn.Sequential(nn.Linear(8, 5), nn.Sigmoid(), nn.Linear(5, 4)), dataset, {"kind": "neurons"}, "not the ReLU"),
    ]
    for net, loader, arguments, message in cases:
        with pytest.raises(InputError, match=message):
            certify(net, loader, **arguments)


def test_no_correct_point():
    model = network()
    x, y = data(model, wrong=0).tensors
    with pytest.raises(InputError, match="no point is classified correctly"):
        certify(model, TensorDataset(x, (y + 1) % 4))
