"""Mean replacement: overwritten outputs against folded and smaller networks, and against independent packages."""

import copy
import warnings

import pytest
import simplify
import torch
import torch_pruning
from torch import nn
from torch.nn.utils import parametrizations, prune

from prunebook.errors import InputError
from prunebook.networks.convnets import convnet
from prunebook.units import (
    BORDERS,
    LAYER_SETS,
    MapBiasConv2d,
    constant_response,
    fold,
    forward,
    layer_set,
    masked_outputs,
    remove,
    unit_layers,
    unit_statistics,
)

close = torch.testing.assert_close
SHAPES = {"valid": (3, 22, 22), "padded": (3, 16, 16)}


def chain(kind, *, norm=False, seed=0, biased=True):
    """A narrow network in float64: "valid" has the form of Small and Medium, "padded" that of VGG11."""
    torch.manual_seed(seed)
    pool = "pool"
    plan, dense, same = {
        "valid": (((6, 5), pool, (7, 3), pool, (8, 2)), (9, 5), False),
        "padded": (((4, 3), pool, (6, 3), pool, (7, 3), (6, 3), pool, (5, 3), (8, 3)), (9, 5), True),
    }[kind]
    layers, channels, side = [], 3, SHAPES[kind][1]
    for item in plan:
        if item == pool:
            layers.append(nn.MaxPool2d(2))
            side //= 2
            continue
        width, kernel = item
        layers.append(nn.Conv2d(channels, width, kernel, padding=kernel // 2 if same else 0, bias=biased))
        layers += [*([nn.BatchNorm2d(width)] if norm else []), nn.ReLU()]
        side, channels = side if same else side - kernel + 1, width
    layers.append(nn.Flatten())
    width = channels * side * side
    for item in dense:
        layers += [nn.Linear(width, item), *([nn.BatchNorm1d(item)] if norm else []), nn.ReLU()]
        width = item
    model = nn.Sequential(*layers, nn.Linear(width, 4)).double()
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.mul_(2)
                if layer.bias is not None:
                    layer.bias.normal_(0.1, 0.2)
            if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.normal_(0.2, 0.3)
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)
    return model.eval()


def images(kind, count=12, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, *SHAPES[kind], generator=generator, dtype=torch.float64)
    return x, torch.randint(4, (count,), generator=generator)


def draw(model, names, share=0.4, seed=2):
    """Random units of these sites, at least one and not all of each."""
    generator = torch.Generator().manual_seed(seed)
    units = {site.name: site.units for site in unit_layers(model)}
    pruned = {}
    for name in names:
        pruned[name] = torch.rand(units[name], generator=generator) < share
        pruned[name][0], pruned[name][-1] = True, False
    return pruned


def means_of(model, x, y):
    return {name: seen.mean for name, seen in unit_statistics(model, x, y).items()}


def setting(kind, name, **options):
    model = chain(kind, **options)
    x, y = images(kind)
    pruned = draw(model, [site.name for site in layer_set(model, name)])
    return model, x, pruned, means_of(model, x, y)


def test_overwritten_by_hand():
    model, x, pruned, means = setting("valid", "all")
    expected = x
    convs = {1: "conv1", 4: "conv2", 7: "conv3", 10: "dense1", 12: "dense2"}
    for index, layer in enumerate(model):
        expected = layer(expected)
        if index in convs:
            expected = expected.clone()
            for unit in pruned[convs[index]].nonzero()[:, 0]:
                expected[:, unit] = means[convs[index]][unit]
    close(masked_outputs(model, x, pruned, means), expected, rtol=0, atol=1e-14)
    assert not torch.allclose(masked_outputs(model, x, pruned), expected)
    close(masked_outputs(model, x, {}), model(x), rtol=0, atol=0)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("name", LAYER_SETS)
@pytest.mark.parametrize("kind", SHAPES)
def test_folded_and_smaller_networks_are_the_overwritten_one(kind, name, norm):
    model, x, pruned, means = setting(kind, name, norm=norm)
    before = copy.deepcopy(model.state_dict())
    for constants in (None, means, {key: torch.randn_like(value) for key, value in means.items()}):
        expected = masked_outputs(model, x, pruned, constants)
        assert (expected - model(x)).abs().max() > 1e-3
        folded = fold(model, pruned, constants, shape=SHAPES[kind])
        close(folded(x), expected, rtol=0, atol=1e-12)
        small = remove(folded, pruned)
        close(small(x), expected, rtol=0, atol=1e-12)
        kept = {site.name: site.units for site in unit_layers(model)}
        kept |= {site: int((~mask).sum()) for site, mask in pruned.items()}
        assert {site.name: site.units for site in unit_layers(small)} == kept
        for site in unit_layers(model):
            layer = folded[site.producer]
            mask = pruned.get(site.name, torch.zeros(site.units, dtype=torch.bool))
            assert not layer.weight[mask].any()
            assert not layer.bias[mask].any()
            assert layer.weight[~mask].any()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), f"{key} of the network given was changed"


@pytest.mark.parametrize("name", LAYER_SETS)
@pytest.mark.parametrize("kind", SHAPES)
def test_folding_against_torch_simplify(kind, name):
    model, x, pruned, means = setting(kind, name)
    rival = copy.deepcopy(model)
    with torch.no_grad():
        for site in unit_layers(model):
            if site.name in pruned:
                mask = pruned[site.name]
                rival[site.producer].weight[mask] = 0
                rival[site.producer].bias[mask] = means[site.name][mask]
    close(rival(x), masked_outputs(model, x, pruned, means), rtol=0, atol=1e-12)
    dummy = torch.zeros(1, *SHAPES[kind], dtype=torch.float64)
    simplify.propagate_bias(rival, dummy, [])
    folded = fold(model, pruned, means, shape=SHAPES[kind])
    close(folded(x), rival(x), rtol=0, atol=1e-12)
    simplify.remove_zeroed(rival, dummy, [])
    small = remove(folded, pruned)
    close(small(x), rival(x), rtol=0, atol=1e-12)
    for ours, theirs in zip(small, rival, strict=True):
        if isinstance(ours, nn.Conv2d | nn.Linear):
            close(ours.weight, theirs.weight, rtol=0, atol=0)
            if isinstance(ours, nn.Linear):
                close(ours.bias, theirs.bias, rtol=0, atol=1e-12)
            elif isinstance(ours, MapBiasConv2d):
                close(ours.bias[:, None, None] + ours.bias_map, theirs.bf, rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("kind", SHAPES)
def test_removal_against_torch_pruning(kind, norm):
    model, x, pruned, _ = setting(kind, "all", norm=norm)
    rival = copy.deepcopy(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = torch_pruning.DependencyGraph().build_dependency(rival, example_inputs=x[:1])
        for site in unit_layers(model):
            layer = rival[site.producer]
            dense = isinstance(layer, nn.Linear)
            cut = torch_pruning.prune_linear_out_channels if dense else torch_pruning.prune_conv_out_channels
            graph.get_pruning_group(layer, cut, idxs=pruned[site.name].nonzero()[:, 0].tolist()).prune()
    small = remove(model, pruned)
    theirs = dict(rival.state_dict())
    assert list(small.state_dict()) == list(theirs)
    for key, value in small.state_dict().items():
        assert torch.equal(value, theirs[key]), key
    close(small(x), rival(x), rtol=0, atol=0)
    close(small(x), masked_outputs(model, x, pruned), rtol=0, atol=1e-12)
    for ours, other in zip(small, rival, strict=True):
        assert ours.extra_repr() == other.extra_repr()


def test_zero_masks_against_torch_prune():
    model, x, pruned, _ = setting("padded", "all")
    rival = copy.deepcopy(model)
    for site in unit_layers(model):
        layer, kept = rival[site.producer], (~pruned[site.name]).double()
        mask = kept.view(-1, *[1] * (layer.weight.ndim - 1)).expand_as(layer.weight)
        prune.custom_from_mask(layer, "weight", mask)
        prune.custom_from_mask(layer, "bias", kept)
    close(fold(model, pruned)(x), rival(x), rtol=0, atol=0)


def test_three_ways_at_the_border():
    model, x, pruned, means = setting("padded", "all")
    expected = masked_outputs(model, x, pruned, means)
    outputs = {way: fold(model, pruned, means, border=way, shape=SHAPES["padded"])(x) for way in BORDERS}
    close(outputs["exact"], expected, rtol=0, atol=1e-12)
    for way in ("response-mean", "all-taps"):
        assert (outputs[way] - expected).abs().max() > 1e-3
    assert (outputs["response-mean"] - outputs["all-taps"]).abs().max() > 1e-3
    for name in ("lastconv", "firstdense"):  # read by dense layers
        model, x, pruned, means = setting("padded", name)
        for way in BORDERS:
            close(fold(model, pruned, means, border=way)(x), masked_outputs(model, x, pruned, means))
    model, x, pruned, means = setting("valid", "all")
    for way in BORDERS:
        folded = fold(model, pruned, means, border=way)
        close(folded(x), masked_outputs(model, x, pruned, means), rtol=0, atol=1e-12)
        assert not any(isinstance(layer, MapBiasConv2d) for layer in folded)


def test_border_by_hand():
    """A 2x2 map under a 3x3 kernel: each position sees another four of the nine taps."""
    torch.manual_seed(0)
    layer = nn.Conv2d(1, 1, 3, padding=1, bias=False).double()
    w, c = layer.weight[0, 0].detach(), torch.tensor([[2.0]], dtype=torch.float64)
    seen = 2 * torch.stack([w[i : i + 2, j : j + 2].sum() for i in (1, 0) for j in (1, 0)])
    close(constant_response(layer, c, size=(2, 2)), seen.view(1, 1, 2, 2))
    close(constant_response(layer, c, size=(2, 2), border="response-mean"), seen.mean().view(1, 1))
    close(constant_response(layer, c, border="all-taps"), 2 * w.sum().view(1, 1))
    several = torch.randn(3, 1, dtype=torch.float64)
    for way in BORDERS:
        together = constant_response(layer, several, size=(2, 2), border=way)
        alone = [constant_response(layer, one[None], size=(2, 2), border=way)[0] for one in several]
        close(together, torch.stack(alone))


@pytest.mark.parametrize(
    ("padding", "mode", "mapped"),
    [(1, "zeros", True), ("same", "zeros", True), ("valid", "zeros", False), (1, "replicate", False)]
    + [(1, "reflect", False), (1, "circular", False), (0, "zeros", False), ((0, 2), "zeros", True)],
)
def test_every_way_of_padding(padding, mode, mapped):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
        nn.Conv2d(4, 5, 3, padding=padding, padding_mode=mode, bias=False),
        nn.ReLU(),
        nn.Dropout(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(3, bias=False),
    ).double()
    x = torch.randn(6, 2, 12, 12, dtype=torch.float64)
    model.eval()(x)
    pruned = draw(model, ["conv1", "conv2"])
    constants = {"conv1": torch.randn(4).double(), "conv2": torch.randn(5).double()}
    folded = fold(model, pruned, constants, shape=(2, 12, 12))
    close(folded(x), masked_outputs(model, x, pruned, constants), rtol=0, atol=1e-12)
    assert isinstance(folded[3], MapBiasConv2d) == mapped
    assert model[3].bias is None
    assert model[8].bias is None


def test_map_only_where_it_varies():
    model = chain("padded")
    x, y = images("padded")
    means = means_of(model, x, y)
    only = {"conv1": torch.zeros(4, dtype=torch.bool)}
    assert not any(isinstance(layer, MapBiasConv2d) for layer in fold(model, only, means))
    only["conv1"][1] = True
    folded = fold(model, only, means, shape=SHAPES["padded"])
    assert [isinstance(layer, MapBiasConv2d) for layer in folded].count(True) == 1
    zero = {**means, "conv1": torch.zeros(4, dtype=torch.float64)}
    assert not any(isinstance(layer, MapBiasConv2d) for layer in fold(model, only, zero, shape=SHAPES["padded"]))


def test_folding_step_by_step_is_folding_at_once():
    """Masks of different units one after the other; a bias map that is there already is added to."""
    model, x, pruned, means = setting("padded", "all")
    first = {name: mask & (torch.arange(len(mask)) % 2 == 0) for name, mask in pruned.items()}
    second = {name: mask & ~first[name] for name, mask in pruned.items()}
    once = fold(model, pruned, means, shape=SHAPES["padded"])
    twice = fold(fold(model, first, means, shape=SHAPES["padded"]), second, means, shape=SHAPES["padded"])
    close(twice(x), once(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("norm", [False, True])
def test_whole_layers(kind, norm):
    model, x, _, means = setting(kind, "all", norm=norm)
    for names in (["conv1"], ["conv3"], ["dense1"], [site.name for site in unit_layers(model)]):
        pruned = {
            site.name: torch.ones(site.units, dtype=torch.bool) for site in unit_layers(model) if site.name in names
        }
        for constants in (None, means):
            expected = masked_outputs(model, x, pruned, constants)
            close(expected, expected[:1].expand_as(expected), rtol=0, atol=1e-12)
            folded = fold(model, pruned, constants, shape=SHAPES[kind])
            close(folded(x), expected, rtol=0, atol=1e-12)
            small = remove(folded, pruned)
            close(small(x), expected, rtol=0, atol=1e-12)
            assert [site.units for site in unit_layers(small) if site.name in names] == [1] * len(names)


@pytest.mark.parametrize("border", ["response-mean", "all-taps"])
@pytest.mark.parametrize("kind", SHAPES)
def test_batch_statistics_take_the_constant_off(kind, border):
    model, x, pruned, means = setting(kind, "all", norm=True)
    last = pruned.pop("dense2")  # its reader, the output layer, has no batch norm
    zero, mean = (fold(model, pruned, constants, border=border, shape=SHAPES[kind]) for constants in (None, means))
    assert (zero(x) - mean(x)).abs().max() > 1e-3
    close(forward(mean, x, {}, batch_statistics=True), forward(zero, x, {}, batch_statistics=True))
    close(mean.train()(x), zero.train()(x))
    escaped = [fold(model, {"dense2": last}, constants).train()(x) for constants in (None, means)]
    assert (escaped[0] - escaped[1]).abs().max() > 1e-3


def test_batch_statistics_leave_what_varies_over_positions():
    """Overwriting under batch statistics: a constant vanishes, except for its border where the reader pads."""
    for kind, vanishes in (("valid", True), ("padded", False)):
        model, x, pruned, means = setting(kind, "midconv", norm=True)
        zero, mean = (masked_outputs(model, x, pruned, c, batch_statistics=True) for c in (None, means))
        assert torch.allclose(zero, mean, rtol=0, atol=1e-12) == vanishes
        assert (zero - forward(model, x, {}, batch_statistics=True)).abs().max() > 1e-3
        folded = fold(model, pruned, means, shape=SHAPES[kind])
        close(forward(folded, x, {}, batch_statistics=True), mean, rtol=0, atol=1e-12)


def test_running_statistics_revive_a_unit_unless_its_norm_is_zeroed():
    torch.manual_seed(0)
    for affine in (True, False):
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, affine=affine), nn.ReLU(), nn.Linear(4, 2)).double()
        model[1].running_mean.fill_(-1)
        x, pruned = torch.randn(5, 3).double(), {"dense1": torch.tensor([True, False, True, False])}
        naive = copy.deepcopy(model).eval()
        with torch.no_grad():
            naive[0].weight[pruned["dense1"]] = 0
            naive[0].bias[pruned["dense1"]] = 0
        expected = masked_outputs(model, x, pruned)
        assert model.training
        assert (naive(x) - expected).abs().max() > 1e-2
        folded = fold(model, pruned)
        assert folded.training
        close(folded.eval()(x), expected)
        close(remove(folded, pruned)(x), expected)


def test_gradients_flow_as_before():
    model, x, pruned, means = setting("padded", "all")
    model[0].weight.requires_grad_(False)
    folded = fold(model, pruned, means, shape=SHAPES["padded"])
    small = remove(folded, pruned)
    for network in (folded, small):
        assert not network[0].weight.requires_grad
        assert network[3].weight.requires_grad
        network(x).sum().backward()
        assert network[3].bias_map.grad is not None
    # a unit at zero behind a ReLU gets no gradient: it stays where it is in training
    for site in unit_layers(folded):
        layer = folded[site.producer]
        if layer.weight.grad is not None:
            assert not layer.weight.grad[pruned[site.name]].any()
            assert not layer.bias.grad[pruned[site.name]].any()


def test_bad_input():
    model, x, pruned, means = setting("padded", "all")
    some = torch.tensor([True, False, False, False])
    for function in (masked_outputs, lambda m, _, *rest: fold(m, *rest), lambda m, _, p, c=None: remove(m, p)):
        with pytest.raises(InputError, match="no site 'conv9'"):
            function(model, x, {"conv9": some})
        with pytest.raises(InputError, match="give 4 booleans"):
            function(model, x, {"conv1": some[:3]})
        with pytest.raises(InputError, match="give 4 booleans"):
            function(model, x, {"conv1": torch.tensor([True])})
    for function in (masked_outputs, lambda m, _, *rest: fold(m, *rest, shape=SHAPES["padded"])):
        with pytest.raises(InputError, match="no constants for it"):
            function(model, x, {"conv1": some}, {"conv2": means["conv2"]})
        with pytest.raises(InputError, match="give 4 numbers"):
            function(model, x, {"conv1": some}, {"conv1": means["conv2"]})
        with pytest.raises(InputError, match="not finite"):
            function(model, x, {"conv1": some}, {"conv1": means["conv1"] / 0})
        with pytest.raises(InputError, match="no site 'dense7'"):
            function(model, x, {"conv1": some}, {**means, "dense7": some.double()})
    with pytest.raises(InputError, match="unknown border 'mean'"):
        fold(model, pruned, means, border="mean")
    with pytest.raises(InputError, match="give the shape"):
        fold(model, pruned, means)
    with pytest.raises(InputError, match="give size"):
        constant_response(model[3], means["conv1"][None])
    masked = copy.deepcopy(model)
    prune.random_unstructured(masked[3], "weight", 0.5)
    with pytest.raises(InputError, match="layer 3 is masked"):
        fold(masked, pruned)
    with pytest.raises(InputError, match="layer 0 is masked or parametrised"):
        fold(nn.Sequential(parametrizations.weight_norm(nn.Linear(2, 4)), nn.ReLU(), nn.Linear(4, 2)), {})
    shared = nn.Linear(4, 4)
    with pytest.raises(InputError, match="layer 2 is used twice"):
        fold(nn.Sequential(shared, nn.ReLU(), shared), {"dense1": some})
    unflattened = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(InputError, match="does not read the flattened maps"):
        fold(unflattened, {"conv1": some}, {"conv1": torch.ones(4)})
    half = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Flatten(2), nn.Linear(4, 2))
    with pytest.raises(InputError, match="does not flatten whole maps"):
        fold(half, {"conv1": some}, {"conv1": torch.ones(4)})
    blind = nn.Sequential(
        nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False), nn.ReLU()
    ).append(nn.Linear(3, 2))
    with pytest.raises(InputError, match="always uses batch statistics"):
        fold(blind, {"dense1": some}, {"dense1": torch.ones(4)})


@pytest.mark.parametrize("name", ["small", "vgg11"])
def test_networks_of_the_paper(name):
    """In single precision, as measured."""
    model = convnet(name, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(4, 3, 32, 32, generator=generator), torch.randint(10, (4,), generator=generator)
    pruned, means = draw(model, [site.name for site in unit_layers(model)]), means_of(model, x, y)
    folded = fold(model, pruned, means, shape=(3, 32, 32))
    expected = masked_outputs(model, x, pruned, means)
    close(folded(x), expected, rtol=1e-4, atol=1e-6)
    close(remove(folded, pruned)(x), expected, rtol=1e-4, atol=1e-6)
