"""What people bring to units and certificates: the right value, or one clear error."""

import contextlib
import copy
import warnings

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from prunebook import units, weights
from prunebook.coresets import certify
from prunebook.coresets.labels import additive_epsilon, epsilon_to_keep
from prunebook.coresets.last_layer import find_head
from prunebook.errors import InputError

close = torch.testing.assert_close


@pytest.fixture(autouse=True)
def as_at_home():
    """Without the type checks of these tests, which a user does not have; and seeded."""
    jaxtyping.config.update("jaxtyping_disable", True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    jaxtyping.config.update("jaxtyping_disable", False)


def images(count=40, channels=1, side=8):
    return torch.randn(count, channels, side, side, dtype=torch.float64), torch.arange(count) % 3


def mlp(outputs=3):
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, outputs))


def halves(model):
    """The first half of the units of each site."""
    return {site.name: torch.arange(site.units) < site.units // 2 for site in units.unit_layers(model)}


def conv(padding=0):
    return nn.Conv2d(1, 4, 3, padding=padding)


CHAINS = {
    "pooled before the ReLU": [conv(), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)],
    "normed, then pooled before the ReLU": [
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.ReLU(),
        nn.MaxPool2d(3), nn.Flatten(), nn.Linear(4, 3),
    ],
    "global average": [conv(1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)],
    "averages between convolutions": [
        conv(), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 5, 2), nn.ReLU(),
        nn.AvgPool2d(2, padding=1, count_include_pad=False), nn.Flatten(), nn.Linear(20, 3),
    ],
    "average, then maximum": [
        conv(), nn.ReLU(), nn.AvgPool2d(2, ceil_mode=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 3)
    ],
    "dropout of maps": [
        conv(), nn.Dropout2d(), nn.ReLU(), nn.Dropout2d(), nn.Flatten(), nn.Linear(144, 3), nn.Dropout()
    ],
    "identities": [
        nn.Identity(), conv(), nn.Identity(), nn.BatchNorm2d(4), nn.Identity(), nn.ReLU(), nn.Flatten(), nn.Identity(),
        nn.Linear(144, 5), nn.ReLU(), nn.Linear(5, 3), nn.Identity(),
    ],
    "blocks in blocks": [
        nn.Sequential(nn.Sequential(conv(1), nn.BatchNorm2d(4)), nn.ReLU()), nn.Sequential(nn.MaxPool2d(2)),
        nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 3)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_chains_that_people_have_are_pruned_exactly(name):
    model = nn.Sequential(*copy.deepcopy(CHAINS[name])).double()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.weight.data.uniform_(0.5, 2)
    model.train()  # whatever mode it is in
    x, y = images()
    seen, gone = units.unit_statistics(model, x, y), halves(model)
    site = units.unit_layers(model)[0]
    first = units.as_chain(model)[: site.index + 1].eval()(x)
    close(seen[site.name].mean, first.mean((0, 2, 3)), rtol=1e-12, atol=1e-14)
    model.train()
    for means in (None, {key: s.mean for key, s in seen.items()}):
        expected = units.masked_outputs(model, x, gone, means)
        folded = units.fold(model, gone, means, shape=x.shape[1:])
        small = units.remove(folded, gone)
        close(folded.eval()(x), expected, rtol=0, atol=1e-12)
        close(small.eval()(x), expected, rtol=0, atol=1e-12)
        assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in model.parameters())
        found = units.measure(model, [units.Variant(gone, means)], [(x, y)])
        close(found.loss[0, 0], nn.functional.cross_entropy(expected, y).detach(), rtol=1e-10, atol=1e-12)
        assert (expected - copy.deepcopy(model).eval()(x)).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3), nn.LogSoftmax(1)], "layer 3 .LogSoftmax.*or nothing"),
        ([conv(), nn.ReLU(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3)], "BatchNorm2d.*after layer 1"),
        ([nn.Linear(64, 8), nn.LeakyReLU(), nn.Linear(8, 3)], "LeakyReLU.*max-pooling and a ReLU"),
        ([nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)], "Conv1d.*at the start"),
        ([nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)], "grouped"),
        ([conv(), nn.ReLU(), nn.AvgPool2d(2, padding=1), nn.Flatten(), nn.Linear(64, 3)], "count_include_pad"),
        ([conv(), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)], "AvgPool2d"),
        ([nn.Sequential(nn.Sequential(conv(), nn.Tanh())), nn.Linear(4, 3)], r"layer 0\.0\.1 .Tanh"),
    ],
)
def test_what_does_not_belong_is_named_with_what_does(layers, message):
    with pytest.raises(InputError, match=message):
        units.unit_layers(nn.Sequential(*layers))


class Small(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))


class Scaled(nn.Sequential):
    def forward(self, x):
        return super().forward(x / 255)


class Standardised(nn.Linear):
    """The weight that is used is not the one that is stored."""

    def forward(self, x):
        return nn.functional.linear(x, self.weight - self.weight.mean(1, keepdim=True), self.bias)


class Always(nn.Dropout):
    def forward(self, x):
        return nn.functional.dropout(x, 0.5, training=True)


def test_classes_derived_from_sequential():
    model, x, y = Small(), torch.randn(20, 6), torch.arange(20) % 3
    found = units.prune_units(model, TensorDataset(x, y), 0.5)
    assert type(found.model) is Small
    close(found.model(x), units.masked_outputs(model, x, found.masks, found.means))
    loss = units.measure(model, [units.Variant(found.masks, found.means)], [(x, y)]).loss
    close(loss[0, 0], nn.functional.cross_entropy(found.model(x), y).double().detach(), rtol=1e-5, atol=1e-6)
    scaled = Scaled(*mlp())
    changed = mlp()
    changed.forward = lambda x: x
    for wrong in (scaled, changed, nn.Sequential(scaled, nn.ReLU(), nn.Linear(3, 3))):
        for call in (
            lambda w=wrong: units.unit_statistics(w, x, y),
            lambda w=wrong: units.fold(w, {}),
            lambda w=wrong: units.remove(w, {}),
            lambda w=wrong: units.masked_outputs(w, x, {}),
            lambda w=wrong: units.measure(w, [], [(x, y)]),
        ):
            with pytest.raises(InputError, match="forward pass of its own"):
                call()
    small = units.prune_units(scaled, TensorDataset(x, y), 0.5)
    assert type(small.model) is Scaled
    assert small.difference < 1e-6
    close(small.means["2"][small.masks["0"]], scaled[0](x / 255).relu().mean(0)[small.masks["0"]].detach())
    with pytest.raises(InputError, match="no output of the network depends on its parameters"):
        units.prune_units(changed, TensorDataset(x, y))


@pytest.mark.parametrize("layer", [Standardised(6, 12), Always()])
def test_layers_with_a_forward_pass_of_their_own(layer):
    rest = [nn.ReLU(), nn.Linear(12, 3)]
    model = nn.Sequential(*([layer] if isinstance(layer, nn.Linear) else [nn.Linear(6, 12), layer]), *rest)
    with pytest.raises(InputError, match="forward pass of its own: replace it by nn"):
        units.fold(model, {})


def test_hooks_that_change_the_outputs_are_noticed():
    model, x, y = mlp(), torch.randn(20, 6), torch.arange(20) % 3
    handle = model.register_forward_pre_hook(lambda _, args: (args[0] / 255,))
    with pytest.raises(InputError, match="not those of its layers in a row"):
        units.unit_statistics(model, x, y)
    handle.remove()
    units.unit_statistics(model, x, y)


def test_a_compiled_model_that_has_run():
    plain, x = mlp(), torch.randn(60, 6)
    y = plain(x).argmax(1)
    right = units.unit_statistics(plain, x, y)["dense1"].mean
    masks = {"dense1": torch.arange(12) < 5}
    for compiled in (
        torch.compile(plain, backend="eager"),
        nn.Sequential(torch.compile(plain[:2], backend="eager"), plain[2]),
    ):
        compiled(x)
        assert torch.equal(units.unit_statistics(compiled, x, y)["dense1"].mean, right)
        close(units.remove(compiled, masks)(x), units.masked_outputs(plain, x, masks), rtol=0, atol=1e-6)
        certified = certify(compiled, TensorDataset(x, y))
        assert certified.epsilon == certify(plain, TensorDataset(x, y)).epsilon
    torch._dynamo.reset()


def test_inference_mode():
    with torch.inference_mode():
        x, y = torch.randn(30, 6), torch.arange(30) % 3
    plain = mlp()
    with torch.inference_mode():
        units.unit_statistics(plain, x, y)
        small = units.prune_units(plain, TensorDataset(x, y)).model
    assert not any(p.is_inference() for p in small.parameters())
    small(x.clone()).sum().backward()


def test_a_layer_called_by_keyword():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.fc = nn.Linear(6, 12), nn.Linear(12, 3)

        def forward(self, x):
            return self.fc(input=self.first(x).relu())

    net, x = Net(), torch.randn(50, 6)
    y = net(x).argmax(1)
    head = find_head(net, TensorDataset(x, y))
    assert head.name == "fc"
    assert torch.equal(head.inputs, net.first(x).relu())
    assert certify(net, TensorDataset(x, y), kind="neurons").before == 1
    assert not any(m._forward_hooks for m in net.modules())


@pytest.mark.parametrize("border", units.BORDERS)
@pytest.mark.parametrize("free", [False, True])
def test_what_folding_adds_is_as_frozen_as_what_is_there(border, free):
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3, bias=False),
    ).requires_grad_(free).double()  # fmt: skip
    x, y = images()
    means = {name: seen.mean for name, seen in units.unit_statistics(model, x, y).items()}
    folded = units.fold(model, halves(model), means, border=border, shape=x.shape[1:])
    assert folded[6].bias is not None
    for net in (folded, units.remove(folded, halves(model))):
        assert {p.requires_grad for p in net.parameters()} == {free}


def test_a_batch_of_three():
    x, y = torch.randn(30, 6), torch.arange(30) % 3
    three = DataLoader(TensorDataset(x, torch.ones(30), y), batch_size=10)
    for call in (certify, units.prune_units):
        with pytest.raises(InputError, match="3 items"):
            call(mlp(), three)


def test_what_a_dataset_yields_counts():
    class Sensors(Dataset):
        def __init__(self, x, y):
            self.x, self.y = x, y

        def __len__(self):
            return len(self.x)

        def __getitem__(self, i):
            return self.x[i] / 100, self.y[i]

    model, x = mlp(), torch.randn(80, 6)
    data = Sensors(100 * x, model(x).argmax(1))
    assert certify(model, data).before == 1
    close(units.prune_units(model, data).means["dense1"], model[:2](x).mean(0), rtol=1e-5, atol=1e-6)


def test_two_tensors_in_a_list_are_not_guessed_at():
    for call in (certify, units.prune_units):
        with pytest.raises(InputError, match="TensorDataset"):
            call(mlp(), [torch.randn(30, 6), torch.arange(30) % 3])


LABELS = {
    "floats": (lambda y: y.float(), "integers"),
    "one-hot": (lambda y: nn.functional.one_hot(y, 3), "argmax"),
    "a column": (lambda y: y[:, None], r"y\[:, 0\]"),
    "from 1": (lambda y: y + 1, "from 1 to 3"),
    "some ignored": (lambda y: torch.where(y == 0, -100, y), "-100"),
}


def calls(model, x, y):
    return (
        lambda: units.unit_statistics(model, x, y),
        lambda: units.measure(model, [], [(x, y)]),
        lambda: units.prune_units(model, [(x, y)]),
        lambda: certify(model, [(x, y)]),
    )


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_other_kinds_are_refused(kind):
    change, message = LABELS[kind]
    for call in calls(mlp(), torch.randn(30, 6), change(torch.arange(30) % 3)):
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize("change", [torch.Tensor.int, torch.Tensor.byte, torch.Tensor.numpy])
def test_integers_of_any_kind_are_labels(change):
    model, x, y = mlp(), torch.randn(30, 6), torch.arange(30) % 3
    seen = units.unit_statistics(model, x, change(y))["dense1"]
    assert torch.equal(seen.product, units.unit_statistics(model, x, y)["dense1"].product)
    for call in calls(model, x, change(y)):
        call()


def test_one_logit_has_no_classes():
    with pytest.raises(InputError, match="two at least"):
        units.unit_statistics(mlp(1), torch.randn(30, 6), torch.zeros(30, dtype=torch.long))


def test_habits_from_other_libraries():
    model = nn.Sequential(conv(1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    mask, means = torch.arange(4) < 2, torch.rand(4)
    expected = units.fold(model, {"conv1": mask}, {"conv1": means}, shape=(1, 8, 8)).state_dict()
    alike = units.fold(model, {"conv1": mask.tolist()}, {"conv1": means.numpy()}, shape=(1, 8, 8)).state_dict()
    again = units.fold(model, {"conv1": mask.numpy()}, {"conv1": means}, shape=[1, 8, 8]).state_dict()
    assert all(torch.equal(v, alike[k]) and torch.equal(v, again[k]) for k, v in expected.items())
    gone = {"conv1": mask}
    wrong = [
        (lambda: units.fold(model, {"conv1": [0, 1]}), "booleans, True for the units that go"),
        (lambda: units.fold(model, gone, {"conv1": means}, shape=(50, 1, 8, 8)), "not of a batch"),
        (lambda: units.fold(model, gone, {"conv1": means}, shape=(8, 8)), "channels, height, width"),
        (lambda: units.fold(model, gone, {"conv1": means}, shape=(8, 8, 1)), "cannot read inputs"),
        (lambda: units.mask_lowest(means, 0.4), "number_to_prune"),
        (lambda: units.mask_lowest(means, 2.0), "k is 2.0"),
        (
            lambda: units.unit_statistics(model, torch.randn(1, 8, 8), torch.zeros(1).long()),
            "cannot read|first dimension",
        ),
        (lambda: units.measure(model.double(), [units.Variant({"conv1": [1, 0]})], [images()]), "variant 0.*4 bool"),
    ]
    for call, message in wrong:
        with pytest.raises(InputError, match=message):
            call()
    assert units.mask_lowest([0.1, 0.3, 0.2], np.int64(1)).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points": 0.5}, "points is 0.5"),
        ({"draws": 2.0}, "draws is 2.0"),
        ({"draws": True}, "draws is True"),
        ({"seed": None}, "seed is None"),
        ({"seed": -1}, "seed is -1"),
        ({"keep": "0.9"}, "keep is '0.9'"),
        ({"confidence": "0.9"}, "confidence is '0.9'"),
        ({"confidence": 1}, "1 - confidence is 0"),
        ({"delta": None}, "delta is None"),
        ({"C": 0}, "C is 0"),
        ({"C": float("nan"), "kind": "neurons"}, "C is nan"),
        ({"kind": "units"}, "kind is 'units'"),
    ],
)
def test_arguments_of_a_certificate(arguments, message):
    with pytest.raises(InputError, match=message):
        certify(None, None, **arguments)  # before anything is looked at


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Flatten(2), nn.Linear(4, 3)], "does not flatten whole maps"),
        ([nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Linear(4, 3)], "does not read the flattened maps"),
    ],
)
def test_removal_where_a_dense_layer_reads_maps(layers, message):
    with pytest.raises(InputError, match=message):
        units.remove(nn.Sequential(*layers), {"conv1": [False, True, False, False]})


def test_tokens_are_not_taken_for_units():
    """Three positions and three units: nothing but the number of dimensions tells them apart."""
    model, x = nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 3)), torch.randn(10, 3, 6)
    mask = {"dense1": [True, False, False]}
    with pytest.raises(InputError, match="first dimension of samples"):
        units.masked_outputs(model, x, mask)
    with pytest.raises(InputError, match="one logit a class"):
        units.unit_statistics(model, x, torch.zeros(10).long())


# prune_units


def test_one_call_is_its_parts():
    model, (x, y) = nn.Sequential(*copy.deepcopy(CHAINS["identities"])).double(), images(600)
    state = copy.deepcopy(model.state_dict())
    random = torch.get_rng_state()
    found = units.prune_units(model, DataLoader(TensorDataset(x, y), 100, shuffle=True), 0.4, score="abs_rs")
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    seen = units.unit_statistics(model, x, y)
    for name, s in seen.items():
        close(found.scores[name], units.SCORES["abs_rs"](s), rtol=1e-9, atol=1e-15)
        close(found.means[name], s.mean, rtol=1e-9, atol=1e-15)
        assert torch.equal(
            found.masks[name], units.mask_lowest(found.scores[name], units.number_to_prune(len(s.mean), 0.4))
        )
    assert found.removed == {"conv1": 1, "dense1": 2}
    expected = units.masked_outputs(model, x, found.masks, found.means)
    close(found.model.eval()(x), expected, rtol=0, atol=1e-12)
    assert found.difference < 1e-12
    assert "conv1: 1 of 4 units removed (25.0%)" in str(found)
    assert "left alone: layer 10 (gives the outputs)" in str(found)


def test_what_is_left_alone_is_named():
    model, (x, y) = nn.Sequential(*copy.deepcopy(CHAINS["blocks in blocks"])).double(), images()
    data = TensorDataset(x, y)
    found = units.prune_units(model, data, 0.5, layers=["dense1"])
    assert found.left_alone["conv1"] == "not asked for"
    assert "layer 2.3" in found.left_alone
    assert units.prune_units(model, data, {"conv1": 0.1, "dense1": 1}).left_alone["conv1"].startswith("the ratio")
    zero = units.prune_units(model, data, 0.5, replacement="zero")
    close(zero.model.eval()(x), units.masked_outputs(model, x, zero.masks))
    assert zero.means is None
    emptied = units.prune_units(model, data, {"dense1": 1.0})
    assert emptied.notes == (
        "dense1 lost all of its units: one that is zero stands in",
        "the outputs are the same for all inputs",
    )


def test_what_cannot_be_folded_is_refused_before_the_data_are_looked_at():
    masked = mlp()
    prune.random_unstructured(masked[0], "weight", 0.5)
    norm = nn.BatchNorm1d(5, track_running_stats=False)
    batchwise = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 5), norm, nn.ReLU(), nn.Linear(5, 3))
    dense = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Linear(4, 3))
    for model, message in ((batchwise, "batch statistics"), (dense, "flattened maps")):
        with pytest.raises(InputError, match=message):
            units.prune_units(model, None)
    with pytest.raises(InputError, match=r"no units to prune: .*0 is masked or parametrised: remove that first"):
        units.prune_units(masked, torch.randn(5, 6))


def test_scores_of_chance_follow_the_seed():
    model, data = mlp(), TensorDataset(torch.randn(30, 6), torch.arange(30) % 3)
    masks = [units.prune_units(model, data, score="rand", seed=seed).masks["dense1"] for seed in (1, 1, 2)]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    own = units.prune_units(model, data, 3, score=lambda seen: -torch.arange(12.0)).masks["dense1"]
    assert own.nonzero()[:, 0].tolist() == [9, 10, 11]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": 1.5}, "1.5 is not in"),
        ({"ratio": "0.4"}, "no amount"),
        ({"ratio": {"conv9": 0.5}}, "no layer 'conv9'"),
        ({"layers": ["dense2"]}, "no layer 'dense2'.*dense1"),
        ({"layers": []}, "no layer to prune"),
        ({"score": "magnitude"}, "no score 'magnitude'.*abs_mrs"),
        ({"score": lambda seen: seen.gradient}, "one number a unit"),
        ({"replacement": "median"}, "choose from mean, zero"),
        ({"border": "mirror"}, "unknown border"),
    ],
)
def test_arguments_of_prune_units(arguments, message):
    data = TensorDataset(torch.randn(30, 6), torch.arange(30) % 3)
    with pytest.raises(InputError, match=message):
        units.prune_units(mlp(), data, **arguments)
    with pytest.raises(InputError, match="no labels"):
        units.prune_units(mlp(), data.tensors[0])


# all three calls


def three(model, data):
    return {
        "prune": lambda: weights.prune(model, data, 0.5),
        "prune_units": lambda: units.prune_units(model, data, 0.5),
        "certify": lambda: certify(model, data),
    }


def points(model, count=40):
    x = torch.randn(count, 6)
    return TensorDataset(x, model(x).argmax(1))


class Rows(IterableDataset):
    def __init__(self, data):
        self.data = data

    def __iter__(self):
        return iter(self.data)


def transposed(model):
    for layer in (model[0], model[2]):
        layer.weight = nn.Parameter(layer.weight.detach().T.contiguous().T)
        assert not layer.weight.is_contiguous()
    return model


def hooked(model):
    model[0].register_forward_pre_hook(lambda *_: None)
    model.register_forward_hook(lambda *_: None)
    return model


def built_there(model):
    with torch.inference_mode():
        return copy.deepcopy(model)


def in_place(model):
    return nn.Sequential(model[0], nn.ReLU(inplace=True), model[2])


def empty(data):
    x, y = data.tensors
    return [(x[:0], y[:0]), (x[:25], y[:25]), (x[:0], y[:0]), (x[25:], y[25:]), (x[:0], y[:0])]


def with_graph(data):
    x, y = data.tensors
    return TensorDataset(x.clone().requires_grad_() * 1, y)


ALIKE = {
    "DataParallel": (nn.DataParallel, None),
    "DataParallel inside": (lambda model: nn.Sequential(nn.DataParallel(model[:2]), model[2]), None),
    "not contiguous": (transposed, None),
    "hooks that only look": (hooked, None),
    "made under inference_mode": (built_there, None),
    "in place": (in_place, None),
    "frozen": (lambda model: model.requires_grad_(False), None),
    "training": (lambda model: nn.Sequential(*model[:2], nn.Dropout(), model[2]).train(), None),
    "one at a time": (None, lambda data: DataLoader(data, batch_size=1)),
    "empty batches": (None, empty),
    "a subset": (None, lambda data: Subset(data, range(len(data)))),
    "joined": (None, lambda data: ConcatDataset([Subset(data, range(9)), Subset(data, range(9, len(data)))])),
    "rows that come one by one": (None, Rows),
    "inputs with a graph": (None, with_graph),
    "inputs that are parameters": (None, lambda data: TensorDataset(nn.Parameter(data.tensors[0]), data.tensors[1])),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_other_forms_of_a_network_and_its_data_change_nothing(kind):
    changed, read = ALIKE[kind]
    model = mlp()
    data = points(model)
    wanted = {name: call() for name, call in three(copy.deepcopy(model), data).items()}
    given = changed(model) if changed else model
    found = {name: call() for name, call in three(given, read(data) if read else data).items()}
    for name in ("prune", "prune_units"):
        assert [m.tolist() for m in found[name].masks.values()] == [m.tolist() for m in wanted[name].masks.values()]
        x = data.tensors[0]
        close(found[name].model.eval()(x), wanted[name].model(x))
    assert found["certify"].epsilon == pytest.approx(wanted["certify"].epsilon, rel=1e-5)
    assert found["certify"].before == wanted["certify"].before == 1


@pytest.mark.parametrize("kind", ["no gradients", "autocast", "float64 by default"])
def test_what_is_set_outside_changes_nothing(kind):
    model = mlp()
    data = points(model)
    wanted = {name: call() for name, call in three(model, data).items()}
    before = torch.get_default_dtype()
    around = {"no gradients": torch.no_grad, "autocast": lambda: torch.autocast("cpu", torch.bfloat16)}
    with around.get(kind, contextlib.nullcontext)():
        try:
            if kind == "float64 by default":
                torch.set_default_dtype(torch.float64)
            found = {name: call() for name, call in three(model, data).items()}
        finally:
            torch.set_default_dtype(before)
    for name in ("prune", "prune_units"):
        assert all(torch.equal(found[name].masks[key], mask) for key, mask in wanted[name].masks.items())
        for key, value in wanted[name].model.state_dict().items():
            close(found[name].model.state_dict()[key], value)
    assert found["certify"].epsilon == pytest.approx(wanted["certify"].epsilon, rel=1e-6)


def scripted(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting is deprecated, and people have it
        return torch.jit.script(model)


def traced(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(model, torch.randn(2, 6))


def failing(model):
    model.register_forward_pre_hook(lambda *_: 1 / 0)
    return model


def lazy(_):
    return nn.Sequential(nn.LazyLinear(12), nn.ReLU(), nn.LazyLinear(3))


def of(change):
    return lambda data: TensorDataset(change(data.tensors[0]), data.tensors[1])


REFUSED = {
    "scripted": (scripted, None, "scripted or traced: give the module"),
    "traced": (traced, None, "scripted or traced: give the module"),
    "on the meta device": (lambda model: model.to("meta"), None, "'0.weight' has no values yet"),
    "lazy": (lazy, None, "'0.weight' has no values yet"),
    "failing": (failing, None, "cannot .*division by zero"),
    "bytes": (None, of(lambda x: (50 * x).to(torch.uint8)), "cannot .*Byte and Float"),
    "too narrow": (None, of(lambda x: x[:, :5]), "cannot .*shapes cannot be multiplied"),
    "sparse": (None, lambda data: [(data.tensors[0].to_sparse(), data.tensors[1])], "sparse_coo.*to_dense"),
    "inputs on meta": (None, lambda data: [(data.tensors[0].to("meta"), data.tensors[1])], "meta device"),
    "targets on meta": (None, lambda data: [(data.tensors[0], data.tensors[1].to("meta"))], "meta device"),
    "one sample a batch, bare": (None, lambda data: DataLoader(data, batch_size=None), "do not go with 6 inputs"),
    "arrays": (None, lambda data: [tuple(t.numpy() for t in data.tensors)], "not ndarray.*forward="),
    "words": (None, lambda data: [(["a", "b"], data.tensors[1][:2])], "not list.*forward="),
    "nothing": (None, lambda data: DataLoader(data, batch_size=1000, drop_last=True), "data is empty"),
    "not a number": (None, of(lambda x: torch.where(x > 2, torch.nan, x)), "not finite"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_call_can_use_is_one_clear_error(kind):
    changed, read, message = REFUSED[kind]
    model = mlp()
    data = points(model, 100)
    model, data = changed(model) if changed else model, read(data) if read else data
    for call in three(model, data).values():
        with pytest.raises(InputError, match=message):
            call()


def test_quantised_models_and_graphs():
    model = mlp()
    data = points(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {nn.Linear})
    for name in ("prune", "certify"):
        with pytest.raises(InputError, match="quantised: prune first"):
            three(small, data)[name]()
    graph = torch.fx.symbolic_trace(model)
    assert certify(graph, data).epsilon == certify(model, data).epsilon
    with pytest.raises(InputError, match=r"torch\.fx graph: give the module"):
        units.prune_units(graph, data)


# units


@pytest.mark.parametrize("make", [nn.utils.weight_norm, nn.utils.spectral_norm])
@pytest.mark.parametrize("index", [0, 2])
def test_weights_that_a_hook_makes_are_refused(make, index):
    """Folding would change what is made, and the next pass would make it again as it was."""
    model = mlp()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and people have it
        make(model[index])
    model(torch.randn(5, 6))
    gone = {"dense1": torch.arange(12) < 5}
    for call in (units.fold, units.remove):
        with pytest.raises(InputError, match=f"layer {index} is masked or parametrised already"):
            call(model, gone)


def test_a_parameter_that_two_layers_share_is_refused():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    gone = {"dense1": torch.arange(6) < 3}
    units.fold(model, gone)
    model[2].weight = model[0].weight
    for call in (units.fold, units.remove):
        with pytest.raises(InputError, match="layer 2 is used twice in the network, or a parameter"):
            call(model, gone)


def test_one_activation_at_many_places():
    model, relu, x = mlp(), nn.ReLU(), torch.randn(30, 6)
    deep = nn.Sequential(model[0], relu, nn.Linear(12, 12), relu, model[2])
    found = units.prune_units(deep, TensorDataset(x, torch.arange(30) % 3), 0.5)
    assert found.removed == {"dense1": 6, "dense2": 6}
    close(found.model(x), units.masked_outputs(deep, x, found.masks, found.means))


def test_chains_that_give_or_take_what_has_no_units():
    x, y = images(20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of layers without weights
        chains = {
            "has no attribute 'flatten'": [
                conv(),
                nn.ReLU(),
                nn.MaxPool2d(2, return_indices=True),
                nn.Flatten(),
                nn.Linear(36, 3),
            ],
            "no units to prune: 3: no layer reads its units": [
                nn.Flatten(),
                nn.Linear(64, 0),
                nn.ReLU(),
                nn.Linear(0, 3),
            ],
            "has 1 output: give one": [nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 1)],
        }
    for message, layers in chains.items():
        with pytest.raises(InputError, match=message):
            units.prune_units(nn.Sequential(*layers).double(), [(x, y)])
    pooled = nn.Sequential(conv(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).double()
    with pytest.raises(InputError, match=r"shapes .*6, 6.*8, 8.*bring them to one"):
        units.prune_units(pooled, [(x, y), (x[..., :6, :6], y)])
    for arguments, message in (({"layers": 5}, "layers is 5"), ({"seed": "a"}, "seed is 'a'")):
        with pytest.raises(InputError, match=message):
            units.prune_units(pooled, [(x, y)], **arguments)


# certificates


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Adapted(nn.Linear):
    """As low-rank adapters do."""

    def forward(self, x):
        return super().forward(x) + x[:, :3]


class Random(nn.Module):
    def __init__(self, between):
        super().__init__()
        self.first, self.last, self.between = nn.Linear(6, 12), nn.Linear(12, 3), between

    def forward(self, x):
        return self.last(self.between(self.first(x)).relu())


def test_a_last_layer_that_is_not_linear_in_its_weights_is_refused():
    data = points(mlp())
    heads = [Doubled(12, 3), Adapted(12, 3), nn.Linear(12, 3)]
    heads[2].register_forward_hook(lambda layer, args, out: 3 * out)
    for head in heads:
        model = nn.Sequential(*mlp()[:2], head)
        with pytest.raises(InputError, match="layer '2' does not return W a"):
            certify(model, data)


def test_models_without_labels_of_their_own_are_refused():
    for between, message in (
        (lambda h: nn.functional.dropout(h, 0.5, training=True), "two passes over one batch differ"),
        (lambda h: h / h.std(0), "half a batch gives other outputs"),
        (lambda h: torch.full_like(h, torch.nan), "outputs are not finite"),
    ):
        with pytest.raises(InputError, match=message):
            certify(Random(between), points(mlp()))
    assert certify(Random(lambda h: h), points(mlp())).points == 20


def test_the_smallest_share_is_one_label():
    """With one label to keep the error may be that of the best point, and not of the worst."""
    model = mlp()
    data = points(model)
    head = find_head(model, data)
    every = additive_epsilon(head.inputs.double() @ head.weight.T + head.bias, head.labels)
    assert epsilon_to_keep(every, 1e-12) == float(every.max()) > float(every.min()) == epsilon_to_keep(every, 1)
    assert certify(model, data, keep=1e-12).epsilon >= certify(model, data, keep=0.1).epsilon
    with pytest.raises(InputError, match="below 2"):
        certify(model, data, seed=2**70)
