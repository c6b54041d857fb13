"""Score, prune, fold, remove, fine-tune, certify, save: the way a network of one's own goes, from end to end."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import prune as torch_prune
from torch.utils.data import DataLoader, TensorDataset

from prunebook import coresets, units, weights

SHAPE = (2, 8, 8)
close = torch.testing.assert_close


class Net(nn.Module):
    """Blocks and a head, as people write them; not one of the library's networks."""

    def __init__(self, width=6):
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(
                nn.Conv2d(2, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)
            ),
            nn.Sequential(nn.Conv2d(width, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 4, 12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 3))

    def forward(self, x):
        return self.head(self.features(x))


def leaves(model):
    return nn.Sequential(*(layer for layer in model.modules() if not list(layer.children())))


def train(model, loader, epochs, optimiser=torch.optim.Adam, **options):
    steps = optimiser(model.parameters(), **options)
    model.train()
    for _ in range(epochs):
        for x, y in loader:
            steps.zero_grad()
            cross_entropy(model(x), y).backward()
            steps.step()
    return model.eval()


@pytest.fixture(scope="module")
def trained():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = torch.randn(300, *SHAPE, dtype=torch.float64)
        y = x.mean((1, 2, 3)).mul(9).add(1.5).clamp(0, 2.99).long()
        net = train(Net().double(), DataLoader(TensorDataset(x, y), 50, shuffle=True), 12, lr=0.01)
    return net, x, y


@pytest.fixture
def loader(trained):
    _, x, y = trained
    return DataLoader(TensorDataset(x, y), batch_size=70)


@pytest.fixture(scope="module")
def cut(trained):
    """The chain, the units that go, their means, and what is left when they are gone."""
    net, x, y = trained
    chain = leaves(net)
    assert torch.equal(chain(x), net(x))
    seen = units.unit_statistics(chain, x, y)
    scores = {name: units.SCORES["abs_mrs"](s) for name, s in seen.items()}
    gone = {name: units.mask_lowest(score, units.number_to_prune(len(score), 0.4)) for name, score in scores.items()}
    means = {name: s.mean for name, s in seen.items()}
    folded = units.fold(chain, gone, means, shape=SHAPE)
    return chain, gone, means, folded, units.remove(folded, gone)


def test_folding_and_removal_are_mean_replacement(trained, cut):
    _, x, _ = trained
    chain, gone, means, folded, small = cut
    expected = units.masked_outputs(chain, x, gone, means)
    assert sum(int(mask.sum()) for mask in gone.values()) == 2 + 3 + 4
    close(folded(x), expected, rtol=0, atol=1e-12)
    close(small(x), expected, rtol=0, atol=1e-12)
    # Without the means it is another network, so the equality above says something.
    assert (small(x) - units.masked_outputs(chain, x, gone)).abs().max() > 1e-3
    assert [small[i].weight.shape[0] for i in (0, 4, 9)] == [4, 5, 8]
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in chain.parameters())


@pytest.mark.parametrize(
    ("optimiser", "options"),
    [(torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}), (torch.optim.AdamW, {"lr": 0.01})],
)
def test_masks_outlast_fine_tuning_until_they_are_permanent(cut, loader, optimiser, options):
    small = cut[-1]
    pruned = weights.prune(small, loader, ratio=0.6)
    total = sum(mask.numel() for mask in pruned.masks.values())
    assert abs(pruned.reached - 0.6) <= 0.5 / total
    before = {name: pruned.model.get_submodule(name).weight.detach().clone() for name in pruned.masks}
    tuned = train(pruned.model, loader, 3, optimiser, **options)
    for name, mask in pruned.masks.items():
        layer = tuned.get_submodule(name)
        with torch.no_grad():
            tuned(next(iter(loader))[0])
        assert not layer.weight[~mask].any()
        assert (layer.weight - before[name])[mask].abs().max() > 1e-3
        torch_prune.remove(layer, "weight")
        assert not layer.weight[~mask].any()
    train(tuned, loader, 1, optimiser, **options)
    assert any(tuned.get_submodule(name).weight[~mask].any() for name, mask in pruned.masks.items())


def test_a_saved_network_comes_back_from_tensors_alone(trained, cut, loader):
    _, x, _ = trained
    _, gone, means, _, small = cut
    # Compensation would give the convolutions a bias that the network of the file has not.
    linear = [name for name, layer in small.named_modules() if isinstance(layer, nn.Linear)]
    pruned = weights.prune(small, loader, ratio=0.6, layers=linear)
    for name in pruned.masks:
        torch_prune.remove(pruned.model.get_submodule(name), "weight")
    file = io.BytesIO()
    torch.save({"state": pruned.model.state_dict(), "gone": gone, "means": means}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    fresh = leaves(Net().double())
    fresh = units.remove(units.fold(fresh, saved["gone"], saved["means"], shape=SHAPE), saved["gone"]).eval()
    assert not torch.equal(fresh(x), pruned.model(x))
    fresh.load_state_dict(saved["state"])
    assert torch.equal(fresh(x), pruned.model(x))


def test_a_certificate_keeps_its_promise(cut, loader):
    small = cut[-1]
    state = copy.deepcopy(small.state_dict())
    found = coresets.certify(small, loader, keep=0.8, draws=20)
    assert all(torch.equal(value, state[name]) for name, value in small.state_dict().items())
    assert found.layer == "12"
    assert found.before > 0.5
    # At each point the error stays below epsilon with probability 0.9, and then the label stays at 0.8 of the points.
    assert 0 < found.observed_mean < found.epsilon
    assert found.labels_kept >= 0.8 * 0.9
    assert sum(found.after) / len(found.after) >= found.before * 0.8 * 0.9
    assert "80% of the correct labels" in str(found)


def test_layers_in_another_order_are_noticed():
    class Twisted(nn.Module):
        def __init__(self):
            super().__init__()
            self.second, self.first = nn.Linear(5, 5), nn.Linear(5, 5)

        def forward(self, x):
            return self.second(self.first(x))

    net, x = Twisted(), torch.ones(2, 5)
    assert not torch.equal(leaves(net)(x), net(x))
