"""A saved network comes back bit for bit, and whatever is wrong with a file or an architecture is named."""

import hashlib
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune as torch_prune
from torch.utils.data import TensorDataset

import prunebook as pb
from prunebook.delivery import checking
from prunebook.errors import DataError, InputError
from prunebook.units import MapBiasConv2d
from prunebook.units.graph.bordered import BorderedConv2d

close = torch.testing.assert_close


def convnet(width=8, classes=5, norm=nn.BatchNorm2d, activation=nn.ReLU):
    return nn.Sequential(
        *(nn.Conv2d(3, width, 3, padding=1, bias=False), norm(width), activation(), nn.MaxPool2d(2)),
        *(nn.Conv2d(width, 12, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(12 * 16, 20), nn.ReLU()),
        nn.Linear(20, classes),
    ).eval()


@pytest.fixture(scope="module")
def made():
    """The data, removed units, and masks on what these left."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, x = convnet(), torch.randn(60, 3, 8, 8)
        for norm in (m for m in model if isinstance(m, nn.BatchNorm2d)):
            norm.running_mean.normal_()
        data = TensorDataset(x, model(x).argmax(1))
        small = pb.prune_units(model, data, 0.4)
        masked = pb.prune(small.model, data, 0.7, layers=["7", "9"])
    return x, small, masked


@pytest.fixture
def path(made, tmp_path):
    pb.save(made[1:], tmp_path / "both.safetensors")
    return tmp_path / "both.safetensors"


def same_state(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_removed_units_come_back_on_the_dense_architecture(made, tmp_path):
    x, small, _ = made
    pb.save(small, tmp_path / "small.safetensors")
    dense = convnet()
    state = {name: value.clone() for name, value in dense.state_dict().items()}
    again = pb.load(tmp_path / "small.safetensors", dense)
    assert same_state(again, small.model)
    assert isinstance(again[4], MapBiasConv2d)
    assert torch.equal(again(x), small.model(x))
    assert repr(again) == repr(small.model)
    assert all(torch.equal(value, state[name]) for name, value in dense.state_dict().items())


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.inner, self.outer = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1, bias=False)
        self.depth, self.head = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Linear(8, 5)

    def forward(self, x):
        x = self.norm(self.stem(x))
        x = x + self.outer(nn.functional.gelu(self.inner(x)))
        return self.head(self.depth(x).relu().mean((2, 3)))


def test_a_residual_network_comes_back(made, tmp_path):
    x, dense = made[0], Residual().eval()
    pruned = pb.prune_units(dense, x, 0.4, score="variance")
    assert isinstance(pruned.model.outer, BorderedConv2d)
    pb.save(pruned, tmp_path / "residual")
    again = pb.load(tmp_path / "residual", Residual().eval())
    assert same_state(again, pruned.model)
    assert torch.equal(again(x), pruned.model(x))
    report = pb.report(dense, pruned, x, seconds=0.01)
    assert report.after.parameters == sum(p.numel() for p in pruned.model.parameters()) < report.before.parameters


def test_masks_come_back_and_hold_while_training(made, path):
    x, _, masked = made
    again = pb.load(path, convnet())
    assert torch.equal(again(x), masked.model(x))
    assert all(torch.equal(again.get_submodule(n).weight_mask.bool(), mask) for n, mask in masked.masks.items())
    steps = torch.optim.SGD(again.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    again(x).square().sum().backward()
    steps.step()
    again(x)
    assert all(not again.get_submodule(name).weight[~mask].any() for name, mask in masked.masks.items())


def test_a_bias_that_compensation_added_comes_back(tmp_path):
    def network():
        return nn.Sequential(nn.Linear(6, 4, bias=False), nn.Tanh(), nn.Linear(4, 2))

    x = 1 + torch.rand(30, 6)
    pruned = pb.prune(network(), x, 0.5)
    assert pruned.model[0].bias is not None
    pb.save(pruned, tmp_path / "biased")
    assert torch.equal(pb.load(tmp_path / "biased", network())(x), pruned.model(x))


def test_what_two_modules_share_stays_shared(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.hidden, self.head = nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 9, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, i):
            return self.head(self.hidden(self.embed(i)).relu())

    words = torch.arange(9)
    pruned = pb.prune(Tied(), words, 0.5, method="magnitude", layers=["hidden"])
    pb.save(pruned, tmp_path / "tied")
    again = pb.load(tmp_path / "tied", Tied())
    assert again.head.weight is again.embed.weight
    assert torch.equal(again(words), pruned.model(words))
    loose = Tied()
    loose.head.weight = nn.Parameter(torch.randn(9, 4))
    with pytest.raises(InputError, match=r"the model has a tensor 'head\.weight', and the file has none"):
        pb.load(tmp_path / "tied", loose)


def test_fine_tuned_half_precision_and_permanent_masks(made, tmp_path):
    x, _, _ = made
    pruned = pb.prune(convnet(), x, 0.5, method="magnitude")
    with torch.no_grad():
        pruned.model[7].bias += 1
    for name in pruned.masks:
        torch_prune.remove(pruned.model.get_submodule(name), "weight")
    pruned.model.to(torch.bfloat16)
    pb.save(pruned, tmp_path / "file")
    again = pb.load(tmp_path / "file", convnet())
    assert again[7].bias.dtype == torch.bfloat16
    assert torch.equal(again(x.bfloat16()), pruned.model(x.bfloat16()))


def test_the_file_is_the_same_each_time_and_tells_what_was_done(made, path):
    first = path.read_bytes()
    for _ in range(5):
        pb.save(list(made[1:]), path)
        assert path.read_bytes() == first
    assert first[8:9] == b"{"  # JSON and raw numbers, as safetensors lays them out
    assert b"pickle" not in first
    checked = pb.verify(path, convnet())
    units, weights = checked.history["steps"]
    assert units["counts"]["conv2"] == {"of": 12, "removed": 4, "layer": "4"}
    assert weights["method"]["name"] == "elimination-compensation"
    assert weights["counts"]["9"]["removed"] == int((~made[2].masks["9"]).sum())
    assert weights["reached"] == made[2].reached
    assert "conv2: 4 of 12" in str(checked)
    assert f"{sum(int((~m).sum()) for m in made[2].masks.values())} zeros under masks" in str(checked)


def test_every_flipped_bit_is_found_and_the_file_named(path):
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        with pytest.raises(DataError, match=r"both\.safetensors"):
            pb.verify(path)


@pytest.mark.parametrize("share", [0, 0.1, 0.99])
def test_a_cut_file_is_named(path, share):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=r"both\.safetensors is no whole safetensors file"):
        pb.load(path, convnet())


def forged(path, change):
    """Another file with checksums that are right: `change` gets tensors and history."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        history = json.loads(file.metadata()["history"].partition(" ")[2])
    change(tensors, history)
    history["sha256"] = {name: checking.digest(tensor) for name, tensor in tensors.items()}
    text = json.dumps(history)
    save_file(tensors, path, {"history": f"{hashlib.sha256(text.encode()).hexdigest()} {text}"})


def revive(tensors, history):
    tensors["9.weight"][~tensors["mask:1:9"]] = 0.5


def claim_more(tensors, history):
    history["steps"][1]["counts"]["7"]["removed"] += 1


def other_units(tensors, history):
    tensors["mask:0:conv1"][:] = False


def claim_units(tensors, history):
    tensors["mask:0:dense1"][~tensors["mask:0:dense1"]] = True
    history["steps"][0]["counts"]["dense1"]["removed"] = 20


def more_parameters(tensors, history):
    history["parameters"] += 1


def no_mask(tensors, history):
    del tensors["mask:1:7"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (revive, "layer '9' has weights other than zero where its mask removes them"),
        (claim_more, "the mask of '7' does not remove"),
        (other_units, "the mask of 'conv1' does not remove 3 of 8"),
        (claim_units, "layer '7' does not have the 0 units"),
        (more_parameters, "parameters, and its history tells of"),
        (no_mask, "the mask of '7' does not remove"),
    ],
)
def test_a_history_that_is_not_true_is_refused(path, change, said):
    forged(path, lambda tensors, history: None)
    pb.verify(path, convnet())
    forged(path, change)
    with pytest.raises(DataError, match=said):
        pb.verify(path)


def test_files_of_others_are_refused(tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "other")
    with pytest.raises(DataError, match="other has no history"):
        pb.load(tmp_path / "other", convnet())
    with pytest.raises(DataError, match="missing is no file that can be read"):
        pb.verify(tmp_path / "missing")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: convnet(width=9), "layer '0' had 8 units before pruning; in the model it has 9"),
        (lambda: convnet(classes=3), r"'9\.(weight|bias)' is \(5,.*\) in the file, \(3,.*\) in the model"),
        (lambda: convnet()[:-1], r"the file has a layer '9', Linear.*, and the model has none"),
        (lambda: nn.Sequential(*convnet(), nn.Softmax(1)), r"the model has a layer '10', Softmax\(dim=1\)"),
        (lambda: convnet(activation=nn.GELU), r"layer '2' is ReLU\(\) in the file, GELU.* in the model"),
        (lambda: convnet(norm=lambda n: nn.BatchNorm2d(n, eps=0.1)), r"layer '1' is BatchNorm2d.*eps=1e-05"),
        (lambda: nn.Linear(4, 2), "the file has a layer '0'"),
    ],
)
def test_another_architecture_is_one_error_with_the_layer(path, model, said):
    for call in (pb.load, pb.verify):
        with pytest.raises(InputError, match=f"{said}.*: give the architecture that was pruned"):
            call(path, model())


def test_weights_only_files_need_all_shapes(made, tmp_path):
    pb.save(pb.prune(nn.Linear(4, 3), torch.randn(9, 4), 0.5), tmp_path / "file")
    with pytest.raises(InputError, match=r"'weight' is \(3, 4\) in the file, \(3, 6\) in the model"):
        pb.load(tmp_path / "file", nn.Linear(6, 3))


def test_bad_input_is_refused_before_a_file_is_there(made, tmp_path):
    target = tmp_path / "file"
    with pytest.raises(InputError, match="Sequential is no result of pruning"):
        pb.save(convnet(), target)
    with pytest.raises(InputError, match="int is no result of pruning"):
        pb.save([made[1], 3], target)
    with pytest.raises(InputError, match="NoneType is no result of pruning"):
        pb.save([], target)
    with pytest.raises(InputError, match="there is no folder"):
        pb.save(made[1], tmp_path / "nowhere" / "file")
    pruned = pb.prune(convnet(), made[0], 0.5, method="magnitude")
    torch_prune.remove(pruned.model[9], "weight")
    with torch.no_grad():
        pruned.model[9].weight += 1  # as training does without masks
    with pytest.raises(InputError, match="layer '9' has weights other than zero where its mask removes them"):
        pb.save(pruned, target)
    assert not list(tmp_path.iterdir())


def test_masks_before_units_are_told_but_cannot_be_kept(made, tmp_path):
    x = made[0]
    data = TensorDataset(x, torch.arange(len(x)) % 5)
    first = pb.prune(convnet(), data, 0.5, method="magnitude")
    for name in first.masks:
        torch_prune.remove(first.model.get_submodule(name), "weight")
    second = pb.prune_units(first.model, data, 0.4)
    pb.save([first, second], tmp_path / "file")
    assert [step["masks"] for step in pb.verify(tmp_path / "file").history["steps"]] == [False, True]
    close(pb.load(tmp_path / "file", convnet())(x), second.model(x), rtol=0, atol=0)
