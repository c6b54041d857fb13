"""Units of networks of any form: exactness, choice, and what is left alone."""

import copy
import sys
import warnings

import pytest
import torch
import torch_pruning
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

import prunebook as pb
from prunebook import units
from prunebook.data.batches import Batches
from prunebook.errors import InputError
from prunebook.networks.evaluating import evaluating
from prunebook.units.graph import find_groups, prune_graph, prune_in_steps, recalibrate
from prunebook.units.graph.bordered import BorderedConv2d
from prunebook.units.graph.exactness import exactness, torchvision_networks
from prunebook.units.graph.statistics import measure

close = torch.testing.assert_close
NETWORKS = torchvision_networks()


class Block(nn.Module):
    """A residual network with what small ones have: padding, batch norm, a skipped path, two readers of one stream."""

    def __init__(self, width=6, act=F.silu):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.inner = nn.Conv2d(width, 8, 3, padding=1, bias=False)
        self.inner_norm = nn.BatchNorm2d(8)
        self.outer = nn.Conv2d(8, width, 1)
        self.head = nn.Linear(width, 4)
        self.act = act

    def forward(self, x):
        x = self.act(self.norm(self.stem(x)))
        x = x + self.outer(self.act(self.inner_norm(self.inner(x))))
        return self.head(x.mean((2, 3)))


def block(seed=0, **options):
    torch.manual_seed(seed)
    return Block(**options).double().eval()


def images(count=12, size=8, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, size, size, dtype=torch.float64, generator=generator), torch.arange(count) % 4


def overwritten(model, x, means, masks, readers):
    """By hand: the layers in ``readers`` (name: group) read constants where their group's mask says so."""
    layers, hooks = dict(model.named_modules()), []
    for name, group in readers.items():

        def hook(module, args, mask=masks[group], value=means[name]):
            a = args[0].clone()
            for unit in mask.nonzero()[:, 0].tolist():
                a[:, unit] = value[unit]
            return (a,)

        hooks.append(layers[name].register_forward_pre_hook(hook))
    with torch.no_grad():
        out = model(x)
    for hook in hooks:
        hook.remove()
    return out


# exactness


@pytest.mark.parametrize("replacement", ["zero", "mean"])
@pytest.mark.parametrize("name", NETWORKS)
def test_smaller_is_exactly_what_is_overwritten_while_running(name, replacement):
    row = exactness({name: NETWORKS[name]}, [replacement]).iloc[0]
    assert row.difference < 1e-12
    assert row.change > 1e-6
    assert 0.05 < row.removed < 0.7


@pytest.mark.slow
@pytest.mark.parametrize("replacement", ["zero", "mean"])
@pytest.mark.parametrize("name", NETWORKS)
def test_torchvision_in_full(name, replacement):
    row = exactness({name: torchvision_networks(narrow=False)[name]}, [replacement]).iloc[0]
    assert row.difference < 1e-12
    assert row.change > 1e-6


def test_definition_by_hand():
    model, (x, y) = block(), images()
    found = prune_graph(model, [(x, y)], 0.5)
    assert found.removed == {"stem": 3, "inner": 4}
    read = {}
    hooks = [
        layer.register_forward_pre_hook(lambda m, a, n=n: read.update({n: a[0].transpose(0, 1).flatten(1).mean(1)}))
        for n, layer in model.named_modules()
        if n in ("inner", "outer", "head")
    ]
    before = model(x)
    for hook in hooks:
        hook.remove()
    for name, group in (("inner", "stem"), ("outer", "inner"), ("head", "stem")):
        mask = found.masks[group]
        close(found.means[name], torch.where(mask, read[name], 0))
    expected = overwritten(model, x, found.means, found.masks, {"inner": "stem", "outer": "inner", "head": "stem"})
    close(found.model(x), expected, rtol=0, atol=1e-12)
    assert (expected - before).abs().max() > 1e-3
    assert isinstance(found.model.inner, BorderedConv2d)
    assert found.model.inner.constant.shape == (4, 1, 3, 3)
    # The border is right for inputs of another size too.
    large, _ = images(3, 11)
    expected = overwritten(model, large, found.means, found.masks, {"inner": "stem", "outer": "inner", "head": "stem"})
    close(found.model(large), expected, rtol=0, atol=1e-12)


def test_trained_network():
    torch.manual_seed(0)
    model, (x, y) = Block().double(), images(64)
    x = x + F.one_hot(y % 3, 3).double()[:, :, None, None]
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(40):
        optimiser.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimiser.step()
    for replacement in ("zero", "mean"):
        found = prune_graph(model, [(x, y)], 0.5, replacement=replacement)
        assert found.difference < 1e-12
        with evaluating(model), evaluating(found.model), torch.no_grad():
            assert F.cross_entropy(model(x), y) < 0.7
            assert (found.model(x) - model(x)).abs().max() > 0.1
    assert model.training
    assert found.model.training


# torch-pruning gives all groups of a grouped convolution the columns of the first, so ResNeXt is left out.
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "resnext50_32x4d"])
def test_against_torch_pruning_without_compensation(name):
    model, x = NETWORKS[name]
    found = prune_graph(model, x, 0.4, score="norm", replacement="zero")
    rival = copy.deepcopy(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = torch_pruning.DependencyGraph().build_dependency(rival, x[:1], verbose=False)
        for root, mask in found.masks.items():
            layer, gone = rival.get_submodule(root), mask.nonzero()[:, 0].tolist()
            cut = torch_pruning.prune_linear_out_channels
            cut = cut if isinstance(layer, nn.Linear) else torch_pruning.prune_conv_out_channels
            graph.get_pruning_group(layer, cut, gone).prune()
    sizes = [{key: value.shape for key, value in net.state_dict().items()} for net in (found.model, rival)]
    added = {key for key in sizes[0] if key not in sizes[1]}
    assert all(key.endswith(("bias", "constant")) for key in added)
    assert {key: shape for key, shape in sizes[0].items() if key not in added} == sizes[1]
    close(found.model(x), rival(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("score", ["norm", "abs_rs", "abs_mrs", "rs", "mrs"])
@pytest.mark.parametrize("replacement", ["zero", "mean"])
def test_chains_go_the_same_way(score, replacement):
    torch.manual_seed(0)
    relu, norm = nn.ReLU, nn.BatchNorm2d
    conv = [nn.Conv2d(3, 6, 3, padding=1), norm(6), relu(), nn.Conv2d(6, 8, 3, padding=1, bias=False), relu()]
    dense = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 9), relu(), nn.Linear(9, 4)]
    model, (x, y) = nn.Sequential(*conv, *dense).double().eval(), images()
    options = {"ratio": 0.4, "score": score, "replacement": replacement}
    chain, graph = units.prune_units(model, [(x, y)], **options), prune_graph(model, [(x, y)], **options)
    assert list(chain.masks) == ["conv1", "conv2", "dense1"]
    assert list(graph.masks) == ["0", "3", "7"]
    for ours, other in zip(graph.masks.values(), chain.masks.values(), strict=True):
        assert torch.equal(ours, other)
    close(graph.scores["0"], chain.scores["conv1"])
    close(graph.scores["7"], chain.scores["dense1"])
    close(graph.model(x), chain.model(x), rtol=0, atol=1e-12)


# what is measured


def test_scores_against_gates():
    """Each unit's product is the derivative of the loss by a gate in front of all layers that read it."""
    model, (x, y) = block(), images(5)
    groups, _ = find_groups(model, lambda m: m(x[:2]))
    seen, _ = measure(model, Batches([(x, y)], model), groups, gradients=True)
    gates = torch.ones(5, 6, dtype=torch.float64, requires_grad=True)
    hooks = [
        model.inner.register_forward_pre_hook(lambda m, a: (a[0] * gates[:, :, None, None],)),
        model.head.register_forward_pre_hook(lambda m, a: (a[0] * gates,)),
    ]
    (slope,) = torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), gates)
    close(seen["stem"].product * seen["stem"].positions, slope)
    assert seen["stem"].positions == 65
    # The displacement: the same towards what is read on average.
    for hook in hooks:
        hook.remove()
    read = {}
    for name in ("inner", "head"):
        hook = model.get_submodule(name).register_forward_pre_hook(lambda m, a, n=name: read.update({n: a[0].detach()}))
        model(x)
        hook.remove()
    steps = torch.zeros(5, 6, dtype=torch.float64, requires_grad=True)
    far = {n: a.transpose(0, 1).flatten(1).mean(1).view(-1, *[1] * (a.ndim - 2)) - a for n, a in read.items()}
    model.inner.register_forward_pre_hook(lambda m, a: (a[0] + steps[:, :, None, None] * far["inner"],))
    model.head.register_forward_pre_hook(lambda m, a: (a[0] + steps * far["head"],))
    (slope,) = torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), steps)
    close(seen["stem"].displacement * 65, slope)


def test_variance_and_fluctuation():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 3)).double()
    x = torch.randn(40, 5, dtype=torch.float64)
    for batches in (x, [(x[:7],), (x[7:30],), (x[30:],)]):
        a = model[:2](x).detach()
        variance = prune_graph(model, batches, 0.3, score="variance")
        close(variance.scores["0"], a.var(0, correction=0))
        expected = a.var(0, correction=0) * model[2].weight.detach().square().sum(0)
        close(prune_graph(model, batches, 0.3, score="fluctuation").scores["0"], expected)
        # It is what mean replacement of this unit alone adds to the squared error of the next layer's outputs.
        one = prune_graph(model, batches, 1, score="fluctuation")
        error = (one.model(x) - model(x)).square().sum(1).mean().detach()
        close(error, expected.min())


def test_of_a_thousand_columns_each_has_its_own_mean():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(4 * 36, 4)).double()
    x, _ = images()
    found = prune_graph(model, x, 0.5, score="variance")
    flat = model[:3](x).mean(0).detach()
    columns = found.masks["0"].repeat_interleave(36)
    close(found.means["3"], torch.where(columns, flat, 0))
    assert found.model[3].in_features == 72


# which units go


def test_scopes():
    model, x = NETWORKS["resnet18"]
    layer = prune_graph(model, x, 0.4, score="variance")
    everywhere = prune_graph(model, x, 0.4, score="variance", scope="global")
    alike = prune_graph(model, x, 0.4, score="variance", scope="isomorphic")
    total = sum(len(mask) for mask in layer.masks.values())
    for found in (everywhere, alike):
        assert sum(found.removed.values()) == pytest.approx(0.4 * total, abs=8)
        assert len(set(found.reached.values())) > 2
        assert found.difference < 1e-12
    # All scores relative to the mean of their layer: those that went are below those that stayed.
    relative = {n: s / s.mean() for n, s in everywhere.scores.items()}
    gone = max(float(relative[n][m].max()) for n, m in everywhere.masks.items() if m.any())
    stay = min(float(relative[n][~m].min()) for n, m in everywhere.masks.items())
    assert gone <= stay
    groups, _ = find_groups(copy.deepcopy(model), lambda m: m(x[:2]))
    assert len({group.kind for group in groups}) < len(groups)
    whole = prune_graph(block(), images()[0], 0.99, score="variance", scope="global")
    assert all(not mask.all() for mask in whole.masks.values())


def test_widths_are_multiples():
    model, x = NETWORKS["mobilenet_v2"]
    found = prune_graph(model, x, 0.4, score="variance", round_to=8)
    assert all((~mask).sum() % 8 == 0 for mask in found.masks.values())
    assert found.model.features[18][0].out_channels % 8 == 0
    assert any("so that its width can be divided" in note for note in found.notes)
    grouped, x = NETWORKS["resnext50_32x4d"]
    found = prune_graph(grouped, x, 0.4, score="variance")
    mask = found.masks["layer1.0.conv1"].view(4, -1)
    assert len(set(mask.sum(1).tolist())) == 1
    assert mask.any()


def test_ratios_by_name():
    model, (x, y) = block(), images()
    found = prune_graph(model, [(x, y)], {"inner": 3})
    assert found.removed == {"inner": 3}
    assert found.left_alone["stem"] == "not asked for"
    assert prune_graph(model, [(x, y)], 0.5, layers=["stem"]).removed == {"stem": 3}
    emptied = prune_graph(model, [(x, y)], {"inner": 1.0})
    assert emptied.model.inner.out_channels == 1
    assert emptied.notes == ("inner lost all of its units: one that is zero stands in",)
    assert emptied.difference < 1e-12
    for arguments, message in (
        ({"ratio": {"outer": 0.5}}, "units of 'outer' go with those of 'stem'"),
        ({"ratio": {"head": 0.5}}, "'head' cannot be pruned: no layer reads its units"),
        ({"layers": ["none"]}, "there are stem, inner"),
        ({"ratio": {"stem": 0.5}, "layers": ["inner"]}, "no ratio for layer 'inner'"),
        ({"ratio": 1.2}, "not in"),
        ({"scope": "model"}, "unknown scope 'model'"),
        ({"scope": "global", "ratio": 3}, "give one ratio, as a fraction"),
        ({"round_to": 0}, "round_to is 0"),
        ({"score": "best"}, "no score 'best'"),
        ({"score": lambda seen: torch.ones(3)}, "give one number a unit"),
        ({"score": lambda seen: seen.mean * float("nan")}, "are not finite"),
        ({"replacement": "median"}, "replacement is 'median'"),
        ({"border": "all-taps"}, "is for chains"),
        ({"seed": True}, "seed is True"),
    ):
        with pytest.raises(InputError, match=message):
            pb.prune_units(model, [(x, y)], **{"ratio": 0.5, **arguments})


@pytest.mark.parametrize("scope", ["layer", "global", "isomorphic"])
def test_steps_reach_what_one_step_does(scope):
    model, (x, y) = block(width=20), images()
    seen = []
    for step in prune_in_steps(model, [(x, y)], 0.5, steps=3, scope=scope, score="norm"):
        seen.append(sum(p.shape[0] for n, p in step.model.named_parameters() if n in ("stem.weight", "inner.weight")))
        with torch.no_grad():
            step.model.head.weight *= 1.5  # the caller fine-tunes
        assert step.difference < 1e-12
    assert seen == [24, 20, 14] if scope == "layer" else seen[-1] == 14
    assert model.stem.out_channels == 20
    with pytest.raises(InputError, match="steps is 0"):
        next(prune_in_steps(model, x, 0.5, steps=0))
    with pytest.raises(InputError, match="as fractions"):
        next(prune_in_steps(model, x, 5, steps=2))


# what people have


def test_the_model_given_stays_as_it_is():
    model = block().train()
    model.inner.weight.requires_grad_(False)
    before, (x, y) = copy.deepcopy(model.state_dict()), images()
    found = pb.prune_units(model, DataLoader(TensorDataset(x, y), 5), 0.5)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in (*model.modules(), *found.model.modules()))
    assert not found.model.inner.weight.requires_grad
    assert not found.model.inner.constant.requires_grad
    assert found.model.outer.weight.requires_grad
    assert all(p.grad is None and p.is_leaf for p in (*model.parameters(), *found.model.parameters()))


class Odd(nn.Module):
    """One network a situation."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.a, self.b, self.c = nn.Linear(6, 10), nn.Linear(10, 10), nn.Linear(10, 4)
        self.norm = nn.LayerNorm(10)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        if self.how == "no_grad":
            with torch.no_grad():
                h = F.gelu(self.a(x))
        else:
            h = F.gelu(self.a(input=x) if self.how == "keyword" else self.a(x))
        if self.how == "stored":
            self.kept = h
        if self.how == "checkpoint":
            h = checkpoint(lambda h: F.silu(self.b(h)), h, use_reentrant=False)
        elif self.how == "twice":
            h = self.b(F.relu(self.b(h)))
        else:
            h = F.silu(self.b(h))
        if self.how == "norm":
            h = self.norm(h)
        if self.how == "softmax":
            h = h.softmax(-1)
        if self.how == "functional":
            return self.c(h) + F.linear(F.linear(h, self.b.weight.T), self.c.weight)
        if self.how == "two outputs":
            return self.c(h), h
        if self.how == "counter":
            self.calls += 1
            return self.c(h) + self.calls * 0.1
        if self.how == "dropout":
            h = F.dropout(h, 0.5, training=True)
        return self.c(input=h) if self.how == "keyword" else self.c(h)


def odd(how):
    torch.manual_seed(0)
    return Odd(how).double().eval(), torch.randn(20, 6, dtype=torch.float64), torch.arange(20) % 4


@pytest.mark.parametrize("how", ["plain", "keyword", "stored", "checkpoint", "counter"])
def test_networks_that_are_pruned_like_plain_ones(how):
    model, x, y = odd(how)
    if how == "stored":
        model(x)
    found = pb.prune_units(model, [(x[:9], y[:9]), (x[9:], y[9:])], 0.5)
    plain, *_ = odd("plain")
    expected = pb.prune_units(plain, [(x, y)], 0.5)
    assert found.removed == {"a": 5, "b": 5}
    for name, mask in expected.masks.items():
        assert torch.equal(found.masks[name], mask)
        close(found.scores[name], expected.scores[name])
    assert model.calls == found.model.calls == 0
    close(found.model(x) - (0.1 if how == "counter" else 0), expected.model(x))


@pytest.mark.parametrize(
    ("how", "left", "reason"),
    [
        ("twice", ["a", "b"], "is called 2 times"),
        ("norm", ["b"], "its units meet in norm"),
        ("softmax", ["b"], "reach the outputs, or each other"),
        ("functional", ["b"], "reach the outputs, or each other"),
        ("no_grad", ["a"], "autograd does not see its outputs"),
    ],
)
def test_units_that_are_left_alone_are_named(how, left, reason):
    model, x, y = odd(how)
    if how == "twice":
        with pytest.raises(InputError, match=f"no units to prune: .*{reason}"):
            pb.prune_units(model, [(x, y)], 0.5)
        return
    if how == "functional":  # the weight of b is used once more, by rows that pruning a would take
        with pytest.raises(InputError, match=r"cannot take a batch|differs from its definition"):
            pb.prune_units(model, [(x, y)], 0.5)
        return
    found = pb.prune_units(model, [(x, y)], 0.5)
    assert found.difference < 1e-12
    for name in left:
        assert name not in found.masks
        assert reason in found.left_alone[name]
    assert "no layer reads its units" in found.left_alone["c"]
    assert f"left alone: {left[0]} (" in str(found)


def test_outputs_of_several_kinds():
    model, x, _ = odd("two outputs")
    found = pb.prune_units(model, x, 0.5, score="variance")
    assert found.removed == {"a": 5}
    assert "reach the outputs" in found.left_alone["b"]

    def forward(net, batch):
        return {"logits": net(batch["x"])[0]}

    batches = [{"x": x[:8], "y": x[:8, :4]}, {"x": x[8:], "y": x[8:, :4]}]
    options = {"forward": forward, "targets": lambda batch: batch["y"]}
    found = pb.prune_units(model, batches, 0.5, loss=lambda out, y: F.mse_loss(out["logits"], y), **options)
    assert found.removed == {"a": 5, "b": 5}
    with pytest.raises(InputError, match="give loss=, or a score without gradients"):
        pb.prune_units(model, batches, 0.5, **options)
    with pytest.raises(InputError, match="no labels"):
        pb.prune_units(odd("plain")[0], x, 0.5)


def test_random_numbers_in_evaluation_mode():
    model, x, y = odd("dropout")
    with pytest.raises(InputError, match=r"no units to prune|differs from its definition"):
        pb.prune_units(model, [(x, y)], 0.5)


def test_weights_that_are_made_or_shared():
    for change, name in (
        (lambda m: prune.random_unstructured(m.b, "weight", 0.5), "b is masked or parametrised"),
        (lambda m: parametrizations.weight_norm(m.b), "b is masked or parametrised"),
        (lambda m: setattr(m.b, "bias", m.a.bias), "shares a parameter"),
    ):
        model, x, y = odd("plain")
        change(model)
        with pytest.raises(InputError, match=f"no units to prune: .*{name}"):
            pb.prune_units(model, [(x, y)], 0.5)


def test_modes_of_torch():
    model, x, y = odd("plain")
    expected = pb.prune_units(model, [(x, y)], 0.5)
    compiled = torch.compile(copy.deepcopy(model), backend="eager")
    compiled(x)
    with torch.inference_mode():
        inside = pb.prune_units(model, [(x.clone(), y)], 0.5)
        made_there = copy.deepcopy(model)
    with torch.no_grad():
        without = pb.prune_units(model, [(x, y)], 0.5)
    for found in (inside, without, pb.prune_units(compiled, [(x, y)], 0.5), pb.prune_units(made_there, [(x, y)], 0.5)):
        assert {n: m.tolist() for n, m in found.masks.items()} == {n: m.tolist() for n, m in expected.masks.items()}
        close(found.model(x), expected.model(x))


def test_other_layers():
    torch.manual_seed(0)
    one = nn.Sequential(
        nn.Conv1d(2, 6, 3, padding=1), nn.BatchNorm1d(6), nn.PReLU(6), nn.Conv1d(6, 5, 3, padding="same", bias=False),
        nn.ELU(), nn.Conv1d(5, 5, 3, groups=5), nn.Conv1d(5, 4, 2, padding=1, padding_mode="reflect"),
        nn.AvgPool1d(2), nn.Flatten(), nn.Linear(16, 3),
    ).double().eval()  # fmt: skip
    x = torch.randn(8, 2, 10, dtype=torch.float64)
    found = prune_graph(one, x, 0.5, score="variance")
    assert found.removed == {"0": 3, "3": 2, "6": 2}
    assert found.difference < 1e-12
    assert type(found.model[6]) is nn.Conv1d  # a padding that repeats what is there passes a constant
    one[6].padding_mode = "circular"
    with pytest.raises(InputError, match="finds no end in this network: replace circular padding"):
        prune_graph(one, x, 0.5, score="variance")
    decoder = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.ConvTranspose2d(6, 5, 2), nn.ReLU(), nn.Conv2d(5, 3, 1)
    )
    found = prune_graph(decoder.double(), images()[0], 0.4, score="variance")
    assert found.removed == {"2": 2}
    assert "go through 2 (ConvTranspose2d)" in found.left_alone["0"]
    assert found.difference < 1e-12


def test_without_torch_pruning(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    model, x, y = odd("plain")
    with pytest.raises(InputError, match="pip install 'prunebook"):
        pb.prune_units(model, [(x, y)], 0.5)


def test_batch_norm_measured_anew():
    model, (x, _) = block(), images(20)
    fresh = recalibrate(model, [(x[:10],), (x[10:],)])
    z = model.stem(x)
    close(fresh.norm.running_mean, z.mean((0, 2, 3)).detach())
    close(fresh.norm.running_var, torch.stack([z[:10].var((0, 2, 3)), z[10:].var((0, 2, 3))]).mean(0).detach())
    assert fresh.norm.momentum == model.norm.momentum == 0.1
    assert not fresh.training
    assert torch.equal(model.norm.running_mean, torch.zeros(6, dtype=torch.float64))
    with pytest.raises(InputError, match="no batch norm"):
        recalibrate(nn.Linear(2, 2), torch.ones(4, 2))
