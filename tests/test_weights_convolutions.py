"""Convolutions are pruned as linear layers are: against Jacobians of each sample, and against what they are made of."""

import pytest
import torch
from test_weights_oracles import inputs
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils import prune as torch_prune

from prunebook.errors import InputError
from prunebook.weights import (
    COMPENSATIONS,
    CRITERIA,
    METHODS,
    Calibration,
    apply,
    linearised_change,
    prune,
    select,
    true_change,
)

close = torch.testing.assert_close

OPTIONS = {
    "plain": {},
    "no bias": {"bias": False},
    "groups": {"groups": 2, "bias": False},
    "depthwise": {"groups": 4},
    "stride": {"stride": (2, 1)},
    "zeros around": {"padding": (2, 1), "stride": 2},
    "same": {"padding": "same", "dilation": 2},
    "circular": {"padding": 1, "padding_mode": "circular", "groups": 2},
    "reflect": {"padding": 2, "padding_mode": "reflect", "dilation": (1, 2)},
    "replicate": {"padding": 1, "padding_mode": "replicate", "bias": False},
}


class Net(nn.Module):
    def __init__(self, kind=nn.Conv2d, shape=(6, 5), activation=torch.tanh, **options):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.activation = kind(4, 4, 3, **options, dtype=torch.float64), activation
        width = self.conv(torch.zeros(1, 4, *shape, dtype=torch.float64)).numel()
        self.head = nn.Linear(width, 2, dtype=torch.float64)

    def forward(self, x):
        return self.head(self.activation(self.conv(x)).flatten(1))


def images(n=7, shape=(6, 5)):
    return inputs(n, 4 * torch.Size(shape).numel()).view(n, 4, *shape)


def jacobians(model, x):
    """dy/db and dy/dW of the convolution, (samples, outputs, units) and (samples, outputs, units, inputs)."""
    bias = torch.zeros(4, dtype=torch.float64) if model.conv.bias is None else model.conv.bias.detach()

    def output(weight, bias, sample):
        model.conv.bias = model.conv.bias if model.conv.bias is not None else nn.Parameter(bias)
        return functional_call(model, {"conv.weight": weight, "conv.bias": bias}, (sample[None],))[0]

    rows = [
        torch.autograd.functional.jacobian(lambda w, b, s=s: output(w, b, s), (model.conv.weight.detach(), bias))
        for s in x
    ]
    return torch.stack([b for _, b in rows]), torch.stack([w.flatten(2) for w, _ in rows])


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_score_is_what_the_best_shift_of_the_bias_leaves(kind, monkeypatch):
    from prunebook.weights import statistics

    monkeypatch.setattr(statistics, "BYTES", 1 if kind == "groups" else statistics.BYTES)  # a sample at a time
    model, x = Net(**OPTIONS[kind]), images()
    calibration = Calibration(model, [x[:3], x[3:]])
    scores, layer = CRITERIA["elimination-compensation"](calibration)["conv"], calibration.statistics["conv"]
    weight = model.conv.weight.detach().flatten(1)
    by_bias, by_weight = jacobians(Net(**OPTIONS[kind]), x)
    assert by_weight.any(0).any(0).all()
    for unit in range(4):
        for j in range(weight.shape[1]):
            removed = -(weight[unit, j] * by_weight[:, :, unit, j]).reshape(-1, 1)
            shift = torch.linalg.lstsq(by_bias[:, :, unit].reshape(-1, 1), -removed).solution
            left = (removed + by_bias[:, :, unit].reshape(-1, 1) * shift).square().sum() / len(x)
            close(scores[unit, j], left, rtol=1e-8, atol=1e-16)
            close(layer.shift[unit, j], shift[0, 0], rtol=1e-8, atol=1e-14)


def linear_of(model):
    """The same network with nn.Linear, for images of one pixel."""
    plain = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    state = model.state_dict()
    plain.load_state_dict({
        "0.weight": state["conv.weight"].flatten(1), "0.bias": state["conv.bias"],
        "2.weight": state["head.weight"], "2.bias": state["head.bias"],
    })  # fmt: skip
    return plain


class Pixel(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.head = nn.Conv2d(4, 4, 1).double(), nn.Linear(4, 2).double()

    def forward(self, x):
        return self.head(self.conv(x).tanh().flatten(1))


@pytest.mark.parametrize("method", METHODS)
def test_a_convolution_of_one_pixel_is_a_linear_layer(method):
    model, x, y = Pixel(), inputs(30, 4), torch.arange(30) % 2
    found = prune(model, [(x[:, :, None, None], y)], 0.4, method, loss=F.cross_entropy)
    expected = prune(linear_of(model), [(x, y)], 0.4, method, loss=F.cross_entropy)
    for ours, theirs in (("conv", "0"), ("head", "2")):
        assert torch.equal(found.masks[ours].flatten(1), expected.masks[theirs])
        close(found.scores[ours].flatten(1), expected.scores[theirs])
        close(found.changes[ours].bias, expected.changes[theirs].bias)
    assert found.masks["conv"].shape == model.conv.weight.shape
    close(found.model(x[:, :, None, None]), expected.model(x))


def patches(model, x):
    """What each place of a padded convolution of one group reads, by torch."""
    conv = model.conv
    return F.unfold(x, conv.kernel_size, conv.dilation, conv.padding, conv.stride).mT.flatten(0, 1)


def test_moments_and_least_squares_are_those_of_the_patches():
    model, x = Net(padding=1, stride=2), images(40)
    calibration, read = Calibration(model, x), patches(model, x)
    masks = {"conv": torch.rand(4, 36, generator=torch.Generator().manual_seed(0)) < 0.6}
    close(calibration.moments["conv"].mean, read.mean(0))
    close(calibration.covariances["conv"][0], torch.cov(read.T, correction=0))
    close(CRITERIA["wanda"](calibration)["conv"], calibration.weights["conv"].abs() * read.square().mean(0).sqrt())
    from prunebook.weights.compensations import obs

    change = obs(calibration, masks, damping=0.0)["conv"]
    wanted = read @ calibration.weights["conv"].T
    for unit, kept in enumerate(masks["conv"]):
        design = torch.cat([read[:, kept], torch.ones(len(read), 1).double()], 1)
        solution = torch.linalg.lstsq(design, wanted[:, unit]).solution
        close((calibration.weights["conv"] + change.weight)[unit, kept], solution[:-1], rtol=1e-6, atol=1e-8)
        close(change.bias[unit], solution[-1], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["no bias", "groups", "depthwise", "circular"])
def test_the_mean_of_what_a_layer_gives_stays(kind):
    model, x = Net(**OPTIONS[kind]), images()
    for method in ("mean", "obs"):
        calibration = Calibration(model, x, layers=["conv"])
        masks = select(CRITERIA["magnitude"](calibration), 0.5)
        pruned = apply(model, masks, COMPENSATIONS[method](calibration, masks))
        close(pruned.conv(x).mean((0, 2, 3)), model.conv(x).mean((0, 2, 3)))
        assert (pruned.conv(x) - model.conv(x)).abs().max() > 1e-3
        assert pruned.conv.bias is not None


@pytest.mark.parametrize("kind", OPTIONS)
def test_to_first_order_is_all_there_is_in_a_linear_network(kind):
    model, x = Net(activation=lambda z: z, **OPTIONS[kind]), images()
    calibration = Calibration(model, [x[:5], x[5:]], layers=["conv"])
    masks = select(CRITERIA["random"](calibration), 0.5)
    found = {}
    for name in ("none", "mean", "elimination", "obs", "joint"):
        changes = COMPENSATIONS[name](calibration, masks)
        found[name] = true_change(calibration, masks, changes)
        assert linearised_change(calibration, masks, changes) == pytest.approx(found[name], rel=1e-9)
    assert found["joint"] < min(found["none"], found["mean"], found["elimination"])


def test_brute_force_removes_one_weight_and_shifts_the_bias():
    model, x = Net(groups=2, padding=1, bias=False), images()
    model.conv.weight.data = model.conv.weight.data.to(memory_format=torch.channels_last)
    calibration = Calibration(model, x)
    scores = CRITERIA["non-linear"](calibration)["conv"]
    changed = Net(groups=2, padding=1)
    changed.load_state_dict(model.state_dict() | {"conv.bias": torch.zeros(4).double()})
    with torch.no_grad():
        weight = changed.conv.weight[3, 1, 2, 0].item()
        changed.conv.weight[3, 1, 2, 0] = 0
        changed.conv.bias[3] = weight * F.pad(x, (1, 1, 1, 1))[:, 3, 2:, :-2].mean()
        close(scores[3, 1 * 9 + 2 * 3 + 0], (changed(x) - model(x)).square().sum(1).mean())


@pytest.mark.parametrize(("kind", "shape"), [(nn.Conv1d, (9,)), (nn.Conv3d, (3, 4, 3))])
def test_other_numbers_of_axes(kind, shape):
    model, x = Net(kind, shape, padding=1, groups=2), images(6, shape)
    layer = Calibration(model, x).statistics["conv"]
    by_bias, by_weight = jacobians(Net(kind, shape, padding=1, groups=2), x)
    close(layer.d, by_bias.square().sum((0, 1)) / 6)
    close(layer.cross, (by_bias[..., None] * by_weight).sum((0, 1)) / 6)
    close(layer.second, by_weight.square().sum((0, 1)) / 6)


def test_masks_are_torchs_and_masked_convolutions_are_left_alone():
    model, x = nn.Sequential(Net(padding=1, bias=False), nn.ReLU(), nn.Linear(2, 2).double()), images()
    pruned = prune(model, x, 0.5)
    layer = pruned.model[0].conv
    assert torch_prune.is_pruned(layer)
    assert layer.bias is not None
    assert model[0].conv.bias is None
    assert torch.equal(layer.weight_mask.bool(), pruned.masks["0.conv"])
    assert pruned.masks["0.conv"].shape == layer.weight.shape
    torch_prune.random_unstructured(model[0].conv, "weight", 0.5)
    again = prune(model, x, 0.5)
    assert list(again.masks) == ["0.head", "2"]
    assert again.notes == ("left alone: 1 Conv2d",)
    with pytest.raises(InputError, match="masked already"):
        prune(model, x, 0.5, layers=["0.conv"])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True).double()
        self.head = nn.Linear(8, 2).double()

    def forward(self, x):
        return self.head(self.block(x).mean(1))


def test_attention_is_left_alone_and_named_and_no_mask_is_without_effect():
    model, x = Attention(), inputs(6 * 5, 8).view(6, 5, 8)
    pruned = prune(model, x, 0.5)
    assert list(pruned.masks) == ["block.linear1", "block.linear2", "head"]
    (note,) = pruned.notes
    assert note.startswith("left alone: 1 MultiheadAttention, ")
    assert "'block.self_attn.out_proj'" in note
    with pytest.raises(InputError, match=r"'block.self_attn.out_proj' is never called"):
        prune(model, x, 0.5, layers=["block.self_attn.out_proj"])
    hollow = pruned.model.eval()
    for p in hollow.parameters():
        p.requires_grad_(False)  # what lets torch take its fast path
    with torch.no_grad():
        hollow.block.linear1.weight_orig += 1.0  # as training would, without a mask on it
        weight, bias = hollow.block.linear1.weight_orig * hollow.block.linear1.weight_mask, hollow.block.linear1.bias
        plain = Attention().eval()
        plain.load_state_dict(
            {k.removesuffix("_orig"): v for k, v in hollow.state_dict().items() if not k.endswith("_mask")}
        )
        plain.block.linear1.weight.copy_(weight)
        plain.block.linear2.weight.mul_(hollow.block.linear2.weight_mask)
        plain.head.weight.mul_(hollow.head.weight_mask)
        assert bias is not None
        close(hollow(x), plain(x))


def test_the_cost_of_statistics_is_foretold_and_noted():
    model, x = Net(), images()
    model.head = nn.Linear(model.head.in_features, 501).double()
    with pytest.warns(UserWarning, match="501 outputs take 501 backward passes for each batch: probes=50 takes 50"):
        exact = prune(model, x, 0.5)
    assert exact.notes[-1].startswith("statistics took 501 backward passes for each batch")
    few = prune(model, x, 0.5, probes=3)
    assert few.notes[-1] == "statistics took 3 backward passes for each batch; one for each output would be 501"
    assert prune(model, x, 0.5, "wanda").notes == ()
    assert prune(Net(), x, 0.5).notes == ()
