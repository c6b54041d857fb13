"""Pruning as a user does it, the registry, and what is refused."""

import copy

import pytest
import torch
from test_weights_oracles import Tokens, inputs, network
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as torch_prune
from torch.utils.data import DataLoader, TensorDataset

from prunebook.errors import InputError
from prunebook.weights import CRITERIA, METHODS, Calibration, Method, criterion, prune, register

close = torch.testing.assert_close
PAPER = ["elimination-compensation", "non-linear", "magnitude", "gradient-magnitude", "random"]


def setup(bias=True):
    model, x = network((6, 5, 4, 3), nn.PReLU, bias=bias), inputs(50, 6)
    return model, x, torch.arange(50) % 3


def test_four_lines():
    model, x, y = setup()
    loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True)
    pruned = prune(model, loader, ratio=0.8)
    assert pruned.model(x).shape == (50, 3)
    assert pruned.reached == round(0.8 * 62) / 62
    assert (pruned.ratio, pruned.method.name) == (0.8, "elimination-compensation")


@pytest.mark.parametrize("name", METHODS)
def test_every_method(name):
    model, x, y = setup()
    model.train()
    state = copy.deepcopy(model.state_dict())
    before = torch.random.get_rng_state()
    pruned = prune(model, [(x, y)], 0.6, name, loss=F.cross_entropy)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert model.training
    assert pruned.model.training
    assert all(p.grad is None for p in model.parameters())
    scope = METHODS[name].scope
    removed = sum(int((~mask).sum()) for mask in pruned.masks.values())
    exact = {"network": round(0.6 * 62), "row": 5 * 4 + 4 * 3 + 3 * 2}
    assert removed == exact[scope]
    assert pruned.reached == removed / 62
    for key, mask in pruned.masks.items():
        layer, old, change = pruned.model.get_submodule(key), model.get_submodule(key), pruned.changes[key]
        assert (layer.weight[~mask] == 0).all()
        moved = old.weight if change.weight is None else old.weight + change.weight
        close(layer.weight[mask], moved[mask], check_dtype=False)
        close(layer.bias, old.bias + change.bias)
        assert (change.weight is None) == (METHODS[name].compensation != "obs")
    again = prune(model, [(x, y)], 0.6, name, loss=F.cross_entropy)
    assert all(torch.equal(again.masks[key], mask) for key, mask in pruned.masks.items())


def test_one_evidence_for_all():
    model, x, y = setup()
    calibration = Calibration(model, [(x, y)], loss=F.cross_entropy, seed=5)
    for name in METHODS:
        shared = prune(model, None, 0.5, name, calibration=calibration)
        alone = prune(model, [(x, y)], 0.5, name, loss=F.cross_entropy, seed=5)
        assert all(torch.equal(alone.masks[key], mask) for key, mask in shared.masks.items())
        close(shared.model(x), alone.model(x))
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    for ratio in (0.1, 0.5, 0.9):
        prune(model, None, ratio, "non-linear", calibration=calibration)
    assert len(calls) == 3  # one for the report of each; nothing is measured again


def test_float32_networks():
    model, x, y = setup()
    for name in METHODS:
        pruned = prune(model.float(), [(x.float(), y)], 0.5, name, loss=F.cross_entropy).model
        assert all(p.dtype == torch.float32 for p in pruned.parameters())
        assert pruned(x.float()).isfinite().all()


def test_bias_is_added_only_where_it_is_needed():
    model, x, _ = setup(bias=False)
    x[:, 2] = 0.5
    pruned = prune(model, x, 5 / 62)  # the constant input only
    assert pruned.model[0].bias is not None
    assert pruned.model[2].bias is None
    assert pruned.model[4].bias is None
    close(pruned.model(x), model(x))
    assert model[0].bias is None
    assert isinstance(pruned.model[0].bias, nn.Parameter)
    assert "0.bias" in pruned.model.state_dict()
    plain = prune(model, x, 0.5, "magnitude").model
    assert all(layer.bias is None for layer in (plain[0], plain[2], plain[4]))


def test_scope_can_be_set():
    model, x, _ = setup()
    by_row = prune(model, x, 0.5, scope="row")
    assert [set(mask.sum(1).tolist()) for mask in by_row.masks.values()] == [{3}, {3}, {2}]
    by_layer = prune(model, x, 0.5, scope="layer")
    assert {int((~mask).sum()) for mask in by_layer.masks.values()} == {15, 10, 6}


@pytest.mark.parametrize(
    "optimiser",
    [
        lambda p: torch.optim.Adam(p, 1e-2),
        lambda p: torch.optim.AdamW(p, 1e-2, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, 1e-2, momentum=0.9, weight_decay=0.01),
    ],
)
def test_fine_tuning_keeps_the_zeros(optimiser):
    model, x, y = setup()
    pruned = prune(model, [(x, y)], 0.7)
    assert torch_prune.is_pruned(pruned.model)
    opt = optimiser(pruned.model.parameters())
    first = F.cross_entropy(pruned.model(x), y).item()
    for _ in range(20):
        opt.zero_grad()
        F.cross_entropy(pruned.model(x), y).backward()
        opt.step()
    assert F.cross_entropy(pruned.model(x), y).item() < first
    outputs = pruned.model(x)
    for key, mask in pruned.masks.items():
        layer = pruned.model.get_submodule(key)
        assert (layer.weight[~mask] == 0).all()
        assert (layer.weight[mask] != model.get_submodule(key).weight[mask]).any()
        torch_prune.remove(layer, "weight")
        assert isinstance(layer.weight, nn.Parameter)
        assert (layer.weight[~mask] == 0).all()
    assert not torch_prune.is_pruned(pruned.model)
    close(pruned.model(x), outputs)
    # and it can be pruned again: what is zero goes first, also before other weights that are free
    for name in ("elimination-compensation", "random"):
        further = prune(pruned.model, x, 0.8, name)
        assert all((further.masks[key] <= mask).all() for key, mask in pruned.masks.items())


def test_state_and_copies_make_the_round_trip():
    model, x, _ = setup()
    pruned = prune(model, x, 0.7)
    close(copy.deepcopy(pruned.model)(x), pruned.model(x))
    other = prune(network((6, 5, 4, 3), nn.PReLU, seed=9), x, 0.1, "random").model
    assert not torch.allclose(other(x), pruned.model(x))
    other.load_state_dict(pruned.model.state_dict())
    close(other(x), pruned.model(x))


def test_any_module_can_be_pruned():
    torch.manual_seed(0)
    model, x = Tokens().double(), inputs(30 * 4, 3).view(30, 4, 3)
    for name in METHODS:
        if not METHODS[name].needs_loss:
            pruned = prune(model, x, 0.4, name)
            assert set(pruned.masks) == {"embed", "mixed", "out"}
            assert pruned.model(x).isfinite().all()
    alone = nn.Linear(3, 2).double()
    assert list(prune(alone, x, 0.5).masks) == [""]
    loss = Calibration(alone, [(x, torch.zeros(30, 4, 2).double())], loss=F.mse_loss)
    prune(alone, None, 0.5, "gradient-magnitude", calibration=loss)


def test_registry():
    assert [name for name, method in METHODS.items() if method.from_paper] == PAPER
    assert all(method.label for method in METHODS.values())
    assert len({method.label for method in METHODS.values()}) == len(METHODS)
    assert [name for name, method in METHODS.items() if method.needs_loss] == ["gradient-magnitude"]
    assert [name for name, method in METHODS.items() if method.scope != "network"] == ["wanda"]
    try:

        @criterion("by index")
        def by_index(calibration):
            return {k: torch.arange(w.numel()).view(w.shape).double() for k, w in calibration.weights.items()}

        method = register(Method("by-index", "By index", criterion="by index", compensation="mean"))
        model, x, _ = setup()
        assert not prune(model, x, 0.1, "by-index").masks["0"][0, 0]
        assert prune(model, x, 0.1, Method("x", "X", "by index")).changes["0"].bias.abs().max() == 0
        with pytest.raises(InputError, match="already"):
            register(method)
    finally:
        METHODS.pop("by-index", None)
        CRITERIA.pop("by index", None)
    with pytest.raises(InputError, match="no criterion 'nothing'"):
        register(Method("new", "New", criterion="nothing"))
    with pytest.raises(InputError, match="no compensation 'nothing'"):
        register(Method("new", "New", criterion="obd", compensation="nothing"))


def test_arguments_that_cannot_be_used():
    model, x, y = setup()
    calibration = Calibration(model, x)
    for message, call in {
        "no method 'nothing'": lambda: prune(model, x, 0.5, "nothing"),
        "ratio is 1": lambda: prune(model, x, 1.0),
        "ratio is -0.1": lambda: prune(model, x, -0.1),
        "pass loss=": lambda: prune(model, [(x, y)], 0.5, "gradient-magnitude"),
        "needs targets": lambda: prune(model, x, 0.5, "gradient-magnitude", loss=F.cross_entropy),
        "must return the mean": lambda: prune(
            model, [(x, y)], 0.5, "gradient-magnitude", loss=lambda outputs, y: outputs[:, 0] * y
        ),
        "another model": lambda: prune(copy.deepcopy(model), None, 0.5, calibration=calibration),
        "part of the calibration": lambda: prune(model, x, 0.5, calibration=calibration),
        "part of the calibration: ": lambda: prune(model, None, 0.5, calibration=calibration, seed=1),
        "probes is 0": lambda: prune(model, x, 0.5, probes=0),
        "nonlinear_samples is 0": lambda: Calibration(model, x, nonlinear_samples=0),
        "layer to prune": lambda: prune(nn.Sequential(nn.Tanh()), x, 0.5),
    }.items():
        with pytest.raises(InputError, match=message):
            call()


def test_data_that_cannot_be_used():
    model, x, y = setup()
    for message, data in {
        "only once": iter([x]),
        "only once:": (part for part in [x]),
        "data is empty": [],
        "data is empty:": x[:0],
        "data is empty: ": [x[:0]],
        "not finite": [(x,), (x.log(),)],
        "inputs are torch.float32": x.float(),
        "not int": 7,
        "not NoneType": None,
        "TensorDataset": (x, y),
        "not dict": [{"x": x}],
        "targets do not go": [(x, y[:5])],
        "not str": [("x", y)],
        "has 0 items": [()],
    }.items():
        with pytest.raises(InputError, match=message.rstrip(": ")):
            prune(model, data, 0.5)


def test_an_object_with_x_and_y_is_data():
    from collections import namedtuple

    model, x, y = setup()
    pair = namedtuple("Split", "x y")(x, y)
    pruned = prune(model, pair, 0.5, "gradient-magnitude", loss=F.cross_entropy)
    other = prune(model, TensorDataset(x, y), 0.5, "gradient-magnitude", loss=F.cross_entropy)
    assert torch.equal(pruned.masks["0"], other.masks["0"])


def test_layers_that_cannot_be_pruned():
    x = inputs(20, 4)

    def net():
        return network((4, 4, 4))

    tied = net()
    tied[2].weight = tied[0].weight
    masked = net()
    torch_prune.l1_unstructured(masked[0], "weight", 2)
    spectral = net()
    parametrizations.weight_norm(spectral[0])
    lazy = nn.Sequential(nn.LazyLinear(3))
    broken = net()
    broken[0].weight.data[0, 0] = torch.nan
    embedded = nn.ModuleDict({"table": nn.Embedding(3, 4, dtype=torch.float64), "head": nn.Linear(4, 3).double()})
    embedded["head"].weight = embedded["table"].weight
    for message, model in {
        "shares its weight or bias": tied,
        "masked already": masked,
        "parametrised": spectral,
        "no values yet": lazy,
        "not finite": broken,
        "shares its weight or bias with": embedded,
    }.items():
        with pytest.raises(InputError, match=message):
            Calibration(model, x)


def test_a_model_that_changed_since_is_noticed():
    model, x, _ = setup()
    calibration = Calibration(model, x)
    prune(model, None, 0.5, calibration=calibration)
    opt = torch.optim.SGD(model.parameters(), 0.1)
    model(x).sum().backward()
    opt.step()
    with pytest.raises(InputError, match="has changed"):
        prune(model, None, 0.5, calibration=calibration)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", METHODS)
def test_cuda_equals_cpu(name):
    model, x, y = setup()
    cpu = prune(model, [(x, y)], 0.5, name, loss=F.cross_entropy)
    state = torch.cuda.get_rng_state()
    cuda = prune(copy.deepcopy(model).cuda(), [(x, y)], 0.5, name, loss=F.cross_entropy)
    assert torch.equal(torch.cuda.get_rng_state(), state)
    for key, mask in cpu.masks.items():
        assert torch.equal(cuda.masks[key].cpu(), mask)
    close(cuda.model(x.cuda()).cpu(), cpu.model(x))
