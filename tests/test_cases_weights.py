"""Networks and data that people really have: the right value, or one clear error."""

import copy
import inspect
import warnings

import jaxtyping
import numpy as np
import pytest
import torch
from test_weights_oracles import inputs, network, statistics
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune as torch_prune
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset, TensorDataset

from prunebook.errors import InputError
from prunebook.networks.evaluating import private_copy
from prunebook.weights import CRITERIA, METHODS, Batches, Calibration, class_labels, prune

close = torch.testing.assert_close
FORWARD_ONLY = ("magnitude", "random", "wanda", "mean-replacement", "layerwise-obs")


class Net(nn.Module):
    """Two linear layers with something of one's own in between."""

    def __init__(self, between, widths=(6, 8, 3)):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(*widths[:2]), nn.Linear(*widths[1:])
        self.between = between
        self.double()

    def forward(self, x):
        return self.between(self, x)


def plain(m, x):
    return m.last(torch.tanh(m.first(x)))


def masks_equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.masks.values(), other.masks.values(), strict=True))


# the model is what the theory takes it for, or is refused


def without_gradient(m, x):
    with torch.no_grad():
        h = torch.tanh(m.first(x))
    return m.last(h)


REFUSED = {
    "no gradient reaches layer 'first'": [
        without_gradient,
        lambda m, x: m.last(torch.tanh(m.first(x)).detach()),
        lambda m, x: m.last((8 * m.first(x)).round()),
    ],
    "gradients are wrong": [lambda m, x: m.last(m.first(x) + 2 * m.first(x).detach())],
    "used a second time": [
        lambda m, x: plain(m, x) + (x @ m.first.weight.T)[:, :3],
        lambda m, x: plain(m, x) + m.first.bias[:3],
    ],
    "does not return W a": [lambda m, x: m.last(Other(m.first)(x))],
    "two passes over one batch differ": [lambda m, x: m.last(F.dropout(m.first(x), 0.5))],
    "samples": [
        lambda m, x: m.last(m.first(x) - m.first(x).mean(0)),
        lambda m, x: plain(m, x / x.detach().abs().max()),
    ],
}


class Other(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        with torch.no_grad():  # as a hook of someone else
            hook = self.layer.register_forward_hook(lambda module, args, z: 2 * z, prepend=True)
        try:
            return self.layer(x)
        finally:
            hook.remove()


@pytest.mark.parametrize(("message", "between"), [(m, f) for m, all_ in REFUSED.items() for f in all_])
def test_a_model_that_breaks_a_premise_is_refused(message, between):
    x = inputs(40, 6)
    with pytest.raises(InputError, match=message):
        prune(Net(between), x, 0.5)
    prune(Net(plain), x, 0.5)


@pytest.mark.parametrize("between", REFUSED["no gradient reaches layer 'first'"][:2])
def test_frozen_backbones_do_for_methods_without_derivatives(between):
    model, free, x = Net(between), Net(plain), inputs(40, 6)
    y = torch.arange(40) % 3
    for name in FORWARD_ONLY:
        assert masks_equal(prune(model, x, 0.5, name), prune(free, x, 0.5, name))
    with pytest.raises(InputError, match="no gradient reaches layer 'first'"):
        prune(model, [(x, y)], 0.5, "gradient-magnitude", loss=F.cross_entropy)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dead_units_and_many_layers_are_no_reason_to_refuse(dtype):
    model, x = network((6, *[20] * 8, 4), nn.ReLU, dtype=dtype), inputs(40, 6, dtype=dtype)
    with torch.no_grad():
        model[2].bias -= 1e3
    found = statistics(model, x)
    assert found["0"].dead.all()
    assert not found["14"].dead.all()
    mixed = Net(lambda m, x: torch.autocast("cpu", torch.bfloat16)(plain)(m, x).float()).float()
    prune(mixed, x.float(), 0.5)
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).to(dtype)
    pruned = prune(encoder, inputs(60, 8, dtype=dtype).view(12, 5, 8), 0.5)
    assert set(pruned.masks) == {"linear1", "linear2"}
    assert "1 MultiheadAttention" in pruned.notes[0]
    assert "'self_attn.out_proj'" in pruned.notes[0]


def test_a_weight_used_twice_is_refused_whatever_the_method():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Linear(6, 3)

        def forward(self, x):
            return F.linear(torch.tanh(self.encoder(x)), self.encoder.weight.T)

    for name in METHODS:
        with pytest.raises(InputError, match="weight of layer 'encoder' is used a second time"):
            prune(Tied().double(), [(inputs(40, 6),) * 2], 0.5, name, loss=F.mse_loss)
    norms = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)}).double()
    norms["b"].bias = norms["a"].bias
    with pytest.raises(InputError, match="shares its weight or bias"):
        prune(norms, inputs(5, 3), 0.5)


@pytest.mark.parametrize("early", [False, True])
def test_checkpointing(early):
    def net(reentrant):
        def forward(m, x):
            h = x if early else x + m.stem(x)
            block = lambda h: torch.tanh(m.first(h))  # noqa: E731
            return m.last(block(h) if reentrant is None else checkpoint(block, h, use_reentrant=reentrant))

        model = Net(forward)
        model.stem = nn.Linear(6, 6).double()
        return model

    x, models = inputs(40, 6), [net(None), net(False), net(True)]
    for model in models[1:]:
        model.load_state_dict(models[0].state_dict())
    want, found = statistics(models[0], x), statistics(models[1], x)
    for name, layer in want.items():
        close(found[name].second, layer.second, rtol=0, atol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of what is refused here
        assert masks_equal(prune(models[2], x, 0.5, "wanda"), prune(models[0], x, 0.5, "wanda"))
        with pytest.raises(InputError, match="use_reentrant"):
            prune(models[2], x, 0.5)
    assert not any(m._forward_hooks for model in models for m in model.modules())


# work is done on a private copy


class Keeps(nn.Module):
    """Keeps an activation, counts in a buffer, and clips an embedding: in evaluation mode too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.first, self.last = (nn.Embedding(30, 6, max_norm=1.0), nn.Linear(6, 8), nn.Linear(8, 3))
        self.register_buffer("seen", torch.zeros(()))
        self.kept = {"maps": [None]}

    def forward(self, tokens):
        self.seen += len(tokens)
        self.kept["maps"][0] = h = self.first(self.table(tokens).mean(1)).relu()
        return self.last(h)


@pytest.mark.parametrize("name", [n for n in METHODS if n != "non-linear"])
def test_a_model_that_changes_itself_is_left_as_it_is(name):
    model, tokens = Keeps(), torch.randint(0, 30, (60, 4), generator=torch.Generator().manual_seed(0))
    before = copy.deepcopy(model.state_dict())
    y = torch.arange(60) % 3
    pruned = prune(model, [(tokens, y)], 0.5, name, loss=F.cross_entropy)
    assert model.kept["maps"] == [None]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert pruned.model.seen == 0
    model(tokens)  # now a tensor with a graph lies on the model
    again = prune(model, [(tokens, y)], 0.5, name, loss=F.cross_entropy)
    assert model.kept["maps"][0].grad_fn is not None
    assert masks_equal(pruned, again)


def test_contents_decide_whether_a_model_has_changed():
    model, x = network((6, 8, 3)), inputs(40, 6)
    calibration = Calibration(model, x)
    model.load_state_dict(copy.deepcopy(model.state_dict()))
    prune(model, None, 0.5, calibration=calibration)
    model[0].weight.data[0, 0] += 1e-9  # leaves no mark but the number
    with pytest.raises(InputError, match="has changed since"):
        prune(model, None, 0.5, calibration=calibration)


def test_inference_mode():
    model, x = network((6, 8, 3)), inputs(40, 6)
    y = torch.arange(40) % 3
    want = {name: prune(model, [(x, y)], 0.5, name, loss=F.cross_entropy) for name in METHODS}
    with torch.inference_mode():
        built, cached = network((6, 8, 3)), x.clone()
        calibration = Calibration(built, [(cached, y)], loss=F.cross_entropy)
        inside = {name: prune(built, None, 0.5, name, calibration=calibration) for name in METHODS}
    for name in METHODS:
        outside = prune(built, [(cached, y)], 0.5, name, loss=F.cross_entropy)
        assert masks_equal(inside[name], want[name])
        assert masks_equal(outside, want[name])
        inside[name].model(x).sum().backward()  # can be trained


def test_compiled_models_are_pruned_as_they_are_written():
    plain_net, x = network((6, 8, 3)), inputs(40, 6)
    outer = nn.Sequential(torch.compile(copy.deepcopy(plain_net), backend="eager"), nn.Tanh())
    whole = torch.compile(plain_net, backend="eager")
    for model, reference in ((whole, plain_net), (outer, nn.Sequential(plain_net, nn.Tanh()))):
        model(x)
        want = prune(reference, x, 0.5)
        for name in ("elimination-compensation", "magnitude"):
            pruned, want = prune(model, x, 0.5, name), prune(reference, x, 0.5, name)
            assert list(pruned.masks) == list(want.masks)
            assert masks_equal(pruned, want)
            close(pruned.model(x), want.model(x))


def test_layers_masked_before():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    x = inputs(40, 36).view(40, 1, 6, 6)
    torch_prune.l1_unstructured(model[0], "weight", 0.5)
    model(x).sum().backward()
    for name in ("magnitude", "elimination-compensation"):
        pruned = prune(model, x, 0.5, name, layers=["2"])
        pruned.model(x).sum().backward()
        further = prune(pruned.model, x, 0.5, name, layers=["4"])
        assert list(further.masks) == ["4"]
        assert not further.model[2].weight[~pruned.masks["2"]].any()
    model.stream = (i for i in range(3))
    with pytest.raises(InputError, match="cannot be copied"):
        private_copy(model)


# one door for data


def test_batches_of_more_than_two_items_and_of_other_kinds():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.table, self.first, self.last = nn.Embedding(9, 4), nn.Linear(4, 6), nn.Linear(6, 3)
            self.double()

        def forward(self, tokens, mask=None):
            h = self.first(self.table(tokens)).relu()
            mean = h.mean(1) if mask is None else (h * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            return {"logits": self.last(mean)}

    class Bound(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, both):
            return self.inner(both[..., 0].long(), both[..., 1])["logits"]

    generator = torch.Generator().manual_seed(0)
    tokens, y = torch.randint(0, 9, (60, 5), generator=generator), torch.arange(60) % 3
    mask = (torch.arange(5) < torch.randint(1, 6, (60, 1), generator=generator)).double()
    model = Masked()
    three = DataLoader(TensorDataset(tokens, mask, y), batch_size=25)
    for data in (three, TensorDataset(tokens, mask, y), [([tokens, mask], y)], [{"tokens": tokens}]):
        with pytest.raises(InputError, match="forward="):
            prune(model, data, 0.5)
    both = DataLoader(TensorDataset(torch.stack([tokens.double(), mask], -1), y), batch_size=25)
    dicts = [{"tokens": t, "mask": m, "labels": z} for t, m, z in three]
    forms = {
        "tuples": (three, lambda model, b: model(b[0], b[1])["logits"], lambda b: b[2]),
        "dictionaries": (dicts, lambda model, b: model(b["tokens"], b["mask"])["logits"], lambda b: b["labels"]),
    }
    for name in ("elimination-compensation", "gradient-magnitude", "joint-compensation", "wanda"):
        want = prune(Bound(model), both, 0.5, name, loss=F.cross_entropy)
        for data, forward, targets in forms.values():
            found = prune(model, data, 0.5, name, loss=F.cross_entropy, forward=forward, targets=targets)
            assert masks_equal(found, want)
            for key, layer in found.changes.items():
                close(layer.bias, want.changes[f"inner.{key}"].bias)
    with pytest.raises(InputError, match="returns a dict"):
        prune(model, tokens, 0.5)
    prune(model, tokens, 0.5, "wanda")  # needs no outputs
    with pytest.raises(InputError, match="forward="):
        prune(model, tokens, 0.5, targets=lambda batch: batch)


def test_a_data_set_is_read_through_getitem():
    class Standardised(Dataset):
        def __init__(self, x):
            self.x, self.y = x, torch.zeros(len(x))

        def __len__(self):
            return len(self.x)

        def __getitem__(self, i):
            return (self.x[i] - self.x.mean(0)) / self.x.std(0), self.y[i]

    class Own(TensorDataset):
        def __getitem__(self, i):
            return tuple(100 * t for t in super().__getitem__(i))

    class Indexed:  # no Dataset, but used like one
        x = inputs(40, 6)

        def __len__(self):
            return 40

        def __getitem__(self, i):
            if i >= 40:
                raise IndexError
            return -self.x[i]

    x, model = inputs(40, 6), network((6, 8, 3))
    good = (x - x.mean(0)) / x.std(0)
    for data, want in ((Standardised(x), good), (Own(x), 100 * x), (Indexed(), -x)):
        close(statistics(model, data)["0"].mean, want.mean(0))


def test_two_tensors_in_a_list_or_tuple_are_refused():
    model, x = network((6, 8, 3)), inputs(40, 6)
    y = torch.arange(40) % 3
    for data in ((x, x), [x, x], [x, y], (x, y), [x[:20], x[20:]], [x, y[:30]]):
        with pytest.raises(InputError, match="TensorDataset"):
            prune(model, data, 0.5)
    want = statistics(model, x)["0"].mean
    for data in ([x[:10], x[10:]], [(x[:20],), (x[20:],)], TensorDataset(x, y), [(x, y)], [[x, y]]):
        close(statistics(model, data)["0"].mean, want)


class Stream:
    """Can be gone through once, though it is no iterator."""

    def __init__(self, *parts):
        self.source = iter(list(zip(*(p.split(15) for p in parts), strict=True)))

    def __iter__(self):
        return self.source


def test_data_that_come_once():
    model, x = network((6, 8, 3)), inputs(40, 6)
    y = torch.arange(40) % 3
    again = ("non-linear", "joint-compensation", "ec-refit", "mean-replacement-refit")  # look at the data twice or more
    once = [name for name in METHODS if not name.startswith(again)]
    for name in METHODS:
        if name in once:
            found = prune(model, Stream(x, y), 0.5, name, loss=F.cross_entropy)
            assert masks_equal(
                found, prune(model, Stream(x, y).source and list(Stream(x, y)), 0.5, name, loss=F.cross_entropy)
            )
        else:
            with pytest.raises(InputError, match="came once only"):
                prune(model, Stream(x, y), 0.5, name, loss=F.cross_entropy)
    batches = Batches(Stream(x), model)
    assert torch.equal(batches.first()[0], x[:15])
    assert torch.equal(torch.cat([part for part, _ in batches]), x)


def test_a_shuffled_loader_gives_every_pass_the_same_order():
    model, x = network((6, 8, 3)), inputs(40, 6)
    calibration = Calibration(model, DataLoader(TensorDataset(x), batch_size=7, shuffle=True))
    orders = []
    for _ in range(2):
        with calibration.recorder():
            orders.append(torch.cat([part for part, _ in calibration.batches]))
    assert torch.equal(*orders)
    assert not torch.equal(orders[0], x)


# labels


def test_labels():
    y = torch.arange(40) % 3
    for form in (y, y.int(), y.byte(), y.short(), y.numpy(), y.tolist()):
        found = class_labels(form, 40, 3)
        assert found.dtype == torch.int64
        assert torch.equal(found, y)
    for message, wrong in {
        "no labels": None,
        r"y\.long\(\)": y.float(),
        "as integers": y == 1,
        "argmax": F.one_hot(y, 3),
        r"y\[:, 0\]": y[:, None],
        "from 1 to 3": y + 1,
        "from -100 to 2": torch.where(y == 0, -100, y),
        "each of the 40": y[:20],
        "labels are list": [{"box": 1}],
    }.items():
        with pytest.raises(InputError, match=message):
            class_labels(wrong, 40, 3)


def test_targets_of_every_kind_give_the_same_gradient_or_one_error():
    model, x = network((6, 8, 3)), inputs(40, 6)
    y = torch.arange(40) % 3

    def score(y, loss=F.cross_entropy):
        return CRITERIA["gradient-magnitude"](Calibration(model, [(x, y)], loss=loss))["0"]

    want = score(y)
    assert (want > 0).any()
    for form in (y.int(), y.byte(), y.numpy(), F.one_hot(y, 3).double()):
        close(score(form), want)
    for message, wrong in {
        r"y\.long\(\)": y.float(),
        "argmax": F.one_hot(y, 3),
        r"y\[:, 0\]": y[:, None],
        "from 1 to 3": y + 1,
        "from -100": torch.where(y == 0, -100, y),
        "labels are list": [{"box": 1}] * 40,
    }.items():
        for loss in (F.cross_entropy, nn.CrossEntropyLoss()):
            with pytest.raises(InputError, match=message):
                score(wrong, loss)
    one, t = network((6, 8, 1)), inputs(40, 1)
    calibration = Calibration(one, [(x, t[:, 0])], loss=F.mse_loss)
    with pytest.raises(InputError, match="make them equal"):
        prune(one, None, 0.5, "gradient-magnitude", calibration=calibration)
    for loss, message in ((nn.CrossEntropyLoss(reduction="sum"), "is a sum"), (F.binary_cross_entropy, "cannot take")):
        with pytest.raises(InputError, match=message):
            score(y, loss)
    score(y, nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2, 3]).double()))


def test_targets_are_looked_at_only_where_they_are_used():
    model, x = network((6, 8, 3)), inputs(40, 6)
    boxes = [(x, [{"box": k} for k in range(40)])]
    assert masks_equal(prune(model, boxes, 0.5), prune(model, x, 0.5))


# arguments, costs and what the report says


def test_arguments_of_other_libraries():
    model, x = network((6, 8, 3)), inputs(40, 6)
    bare = inspect.unwrap(prune)  # without the type checker of the tests
    for message, call in {
        "prune layers apart with layers=": lambda: bare(model, x, {"0": 0.5}),
        "ratio is '0.5'": lambda: bare(model, x, "0.5"),
        "ratio is True": lambda: bare(model, x, True),
        "ratio is tensor": lambda: bare(model, x, torch.tensor(0.5)),
        "scope is '2:4'": lambda: bare(model, x, 0.5, scope="2:4"),
        "layers is '0'": lambda: bare(model, x, 0.5, layers="0"),
        "called '1'": lambda: bare(model, x, 0.5, layers=["1"]),
    }.items():
        with pytest.raises(InputError, match=message):
            call()
    with pytest.raises(InputError, match="loss is 'cross_entropy'"):
        inspect.unwrap(Calibration.__init__)(Calibration.__new__(Calibration), model, x, loss="cross_entropy")
    only = prune(model, x, 0.5, layers=["2"])
    assert list(only.masks) == ["2"]
    assert only.notes == ("left alone: Linear '0'",)


def test_wanda_and_the_like_make_no_backward_pass(monkeypatch):
    model, x = network((6, 8, 3)), inputs(40, 6)
    ready = Calibration(model, x)
    with monkeypatch.context() as patch:
        patch.setattr(torch.autograd, "grad", lambda *_, **__: pytest.fail("a backward pass"))
        for name in FORWARD_ONLY:
            prune(model, None, 0.5, name, calibration=ready)
    want = Calibration(model, x)
    for name, layer in want.statistics.items():
        close(ready.moments[name].mean, layer.mean, rtol=0, atol=0)
        close(ready.covariances[name], want.covariances[name], rtol=0, atol=0)


def test_large_costs_are_foretold(monkeypatch):
    from prunebook.weights import brute_force, compensations

    wide = network((2, 3, 501))
    with pytest.warns(UserWarning, match="501 outputs take 501 backward passes.*probes=50"):
        prune(wide, inputs(3, 2), 0.5)
    prune(wide, inputs(3, 2), 0.5, probes=2)
    prune(wide, inputs(3, 2), 0.5, "wanda")
    model, x = Net(plain), inputs(20, 6)
    monkeypatch.setattr(compensations, "SECONDS", 1.0)
    with pytest.warns(UserWarning, match=r"minutes.*'first'.*layers="):
        prune(model, x, 0.5, "layerwise-obs")
    monkeypatch.setattr(brute_force, "PASSES", 10)
    with pytest.warns(UserWarning, match="each of 72 weights.*layers="):
        prune(model, x, 0.5, "non-linear")


def test_the_report_says_what_happened():
    model, x = network((6, 8, 3)), inputs(40, 6)
    with torch.no_grad():
        model[0].weight[:, :5] = 0
    few = prune(model, x, 0.2, scope="network")
    assert any("26 more weights are zero already" in note for note in few.notes)
    assert any(f"{40 / 72:.4f} masks all zeros" in note for note in few.notes)
    most = prune(model, x, 0.99, "magnitude")
    assert any("outputs have become constant" in note for note in most.notes)
    assert any("layer '2' is emptied" in note for note in most.notes)
    with torch.no_grad():
        model[0].weight[:, :5] = 1
    rows = prune(model, x, 0.05, "wanda")
    assert rows.reached == 0
    assert any("0.0000 in place of 0.0500" in note for note in rows.notes)
    mixed = nn.Sequential(nn.ConvTranspose2d(1, 2, 3), nn.Conv2d(2, 2, 3), nn.Flatten(), nn.Linear(72, 3)).double()
    report = prune(mixed, inputs(10, 36).view(10, 1, 6, 6), 0.5)
    assert list(report.masks) == ["1", "3"]
    assert report.notes == ("left alone: 1 ConvTranspose2d",)
    assert str(report).splitlines()[-1] == "left alone: 1 ConvTranspose2d"
    assert prune(network((6, 8, 3)), x, 0.5).notes == ()


@pytest.fixture
def untyped():
    """Without the type checks of these tests, which a user does not have."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_other_arguments(untyped):
    model, x = network((6, 8, 3)), inputs(40, 6)

    def calibration(**arguments):
        return Calibration(model, x, **arguments)

    for message, call in {
        "probes is True": lambda: calibration(probes=True),
        "probes is 2.5": lambda: calibration(probes=2.5),
        "seed is 'a'": lambda: calibration(seed="a"),
        "seed is 0.5": lambda: calibration(seed=0.5),
        "layers is 5": lambda: calibration(layers=5),
        "layers is ..": lambda: calibration(layers=()),
        "calibration is a int": lambda: prune(model, None, 0.5, calibration=5),
    }.items():
        with pytest.raises(InputError, match=message):
            call()
    some = calibration(probes=np.int64(3), layers=(name for name in ["2"]), seed=np.int64(4))
    same = calibration(probes=3, layers=["2"], seed=4)
    assert list(some.layers) == ["2"]
    close(some.statistics["2"].d, same.statistics["2"].d, rtol=0, atol=0)
    assert masks_equal(prune(model, x, 0.5, "random", seed=-1), prune(model, x, 0.5, "random", seed=-1))
    assert not masks_equal(prune(model, x, 0.5, "random", seed=-1), prune(model, x, 0.5, "random", seed=1))


def test_layers_of_no_width_are_left_alone():
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns of layers without weights
                self.none = nn.Linear(6, 0).double()
            self.inner = network((6, 8, 3))

        def forward(self, x):
            return torch.cat([self.none(x), self.inner(x)], 1)

    model, x = Wide(), inputs(40, 6)
    pruned = prune(model, x, 0.5)
    assert pruned.notes == ("left alone: Linear 'none'",)
    assert masks_equal(pruned, prune(model.inner, x, 0.5))
    with pytest.raises(InputError, match="'none' has no weights"):
        prune(model, x, 0.5, layers=["none"])


def test_a_weight_shared_with_an_embedding_is_left_out_by_naming_the_others():
    tied = nn.Sequential(nn.Embedding(9, 6), *network((6, 6, 9))).double()
    free = copy.deepcopy(tied)
    tied[3].weight = tied[0].weight
    tokens = torch.arange(40) % 9
    with pytest.raises(InputError, match=r"'3' shares its weight.*layers="):
        prune(tied, tokens, 0.5)
    free[3].weight = nn.Parameter(tied[0].weight.detach().clone())
    assert masks_equal(prune(tied, tokens, 0.5, layers=["1"]), prune(free, tokens, 0.5, layers=["1"]))


def test_a_later_batch_that_the_model_cannot_take():
    model, x = network((6, 8, 3)), inputs(40, 6)
    for name in ("wanda", "elimination-compensation", "gradient-magnitude"):
        with pytest.raises(InputError, match=r"cannot take a batch .*40, 5"):
            prune(model, [(x, x[:, :3]), (x[:, :5], x[:, :3])], 0.5, name, loss=F.mse_loss)


def test_one_layer_at_two_places_and_layers_that_read_tokens():
    """Calls are added up, as torch's gradients are."""
    model, x = network((6, 6, 3)), inputs(40, 6)
    twice = nn.Sequential(model[0], nn.Tanh(), model[0], nn.Tanh(), model[2])
    found = statistics(twice, x)["0"]
    jacobian = torch.func.vmap(torch.func.jacrev(lambda w, x: torch.func.functional_call(twice, w, (x,))), (None, 0))
    by_weight = jacobian({"0.weight": model[0].weight.detach()}, x)["0.weight"]
    close(found.second, by_weight.square().sum(1).mean(0))
