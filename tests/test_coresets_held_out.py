"""What held-out data guarantee: the bound covers the truth as often as it says, whatever was pruned and how."""

import copy

import pytest
import torch
from scipy.stats import binom
from torch import nn
from torch.utils.data import TensorDataset

import prunebook as pb
from prunebook.coresets import KeptLabels, certify
from prunebook.coresets.held_out import counted, labels_kept
from prunebook.coresets.last_layer import find_head


def network(activation=nn.ReLU, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 16), activation(), nn.Linear(16, 3)).eval()


def points(count, seed, wrong=0.1, model=None):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=g)
    y = (model or network())(x).argmax(1)
    return x, torch.where(torch.rand(count, generator=g) < wrong, (y + 1) % 3, y)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
@pytest.mark.parametrize("of", [1, 7, 60, 400])
def test_the_bound_covers_any_share_with_its_confidence_and_not_by_much_more(of, confidence):
    """By the exact distribution of what is kept, for many true shares."""
    bounds = torch.tensor([counted(of, of, kept, 0, confidence).at_least for kept in range(of + 1)])
    assert (bounds.diff() > 0).all()
    assert bounds[0] == 0
    for share in torch.linspace(0.02, 0.99, 40).tolist():
        chances = torch.from_numpy(binom.pmf(range(of + 1), of, share))
        assert chances[bounds <= share].sum() >= confidence - 1e-9
    # A bound is exact at the shares that it takes as values: there it just covers.
    for kept in range(1, of + 1, max(1, of // 10)):
        missed = binom.sf(kept - 1, of, float(bounds[kept]))
        assert missed == pytest.approx(1 - confidence, rel=1e-3)


def test_it_covers_the_truth_on_samples_of_a_population():
    """A network pruned once, and judged on many samples of points that served no choice."""
    model = network()
    pruned = copy.deepcopy(model)
    with torch.no_grad():
        pruned[0].weight[pruned[0].weight.abs() < 0.16] = 0
    x, y = points(200_000, 1)
    truth = labels_kept(model, pruned, TensorDataset(x, y)).share
    assert 0.8 < truth < 0.97
    below, samples, confidence = 0, 400, 0.8
    for part in range(samples):
        rows = slice(100 * part, 100 * (part + 1))
        found = certify(model, TensorDataset(x[rows], y[rows]), after=pruned, confidence=confidence)
        assert found.at_least < found.share
        below += found.at_least <= truth
    assert below >= binom.ppf(1e-4, samples, confidence)
    assert below <= 0.99 * samples  # it says something


def test_counts_are_those_of_the_labels():
    model, other = network(), network(seed=1)
    x, y = points(150, 2)
    was, now = model(x).argmax(1) == y, other(x).argmax(1) == y
    found = certify(model, [(x[:100], y[:100]), (x[100:], y[100:])], after=other)
    expected = (150, int(was.sum()), int((was & now).sum()), int((~was & now).sum()))
    assert (found.points, found.correct, found.kept, found.gained) == expected
    assert isinstance(found, KeptLabels)
    text = str(found)
    for part in (f"({found.kept} of {found.correct} were", "0.95 confidence", "served no choice", "theorem: nothing"):
        assert part in text
    assert f"{float(was.double().mean()):.4f} before, {float(now.double().mean()):.4f} after" in text


def test_any_classifier_and_any_pruning():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.GELU(), nn.Flatten(), nn.Linear(64, 3))
        x = torch.randn(80, 1, 6, 6)
    model.eval()
    data = TensorDataset(x, model(x).argmax(1))
    pruned = pb.prune(model, data, ratio=0.7).model.train()
    found = pb.certify(model, data, after=pruned, confidence=0.9)
    assert pruned.training
    assert found.correct == found.points == 80
    assert found.kept == int((pruned.eval()(x).argmax(1) == data.tensors[1]).sum())
    assert 0 < found.at_least < found.share <= 1


def test_one_report_has_all_three():
    model = network()
    found = certify(model, TensorDataset(*points(400, 3)), keep=0.8)
    held = found.held_out
    assert held.points == found.points == 200
    assert held.correct / held.points == pytest.approx(found.before)
    assert (held.kept + held.gained) / held.points == pytest.approx(found.after[0])
    text = str(found)
    for start in ("guaranteed by the theorem", "guaranteed by statistics, for the first draw", "seen: accuracy"):
        assert any(line.startswith(start) for line in text.splitlines()), start


@pytest.mark.parametrize("kind", ["tanh", "shifted"])
def test_inputs_of_either_sign_are_split(kind):
    model = network(nn.Tanh)
    if kind == "shifted":
        model = nn.Sequential(model[0], nn.ReLU(), nn.BatchNorm1d(16), model[2]).eval()
        model[2].running_mean += 0.3
    x, y = points(400, 4, model=model)
    head, h = find_head(model, TensorDataset(x, y)), model[:-1](x).double()
    assert head.split
    assert (head.inputs >= 0).all()
    torch.testing.assert_close(head.inputs[:, :16] - head.inputs[:, 16:], h.float())
    torch.testing.assert_close(head.inputs.double() @ head.weight.T + head.bias, model(x).double(), rtol=0, atol=1e-5)
    found = certify(model, TensorDataset(x, y), keep=0.9, draws=20)
    assert found.split
    assert found.size == 2 * 3 * 16
    assert found.observed_largest < found.epsilon
    assert found.labels_kept > 0.9
    assert "each weight counts twice" in str(found)
    assert not certify(network(), TensorDataset(*points(400, 4))).split


def test_the_split_layer_is_the_layer_itself_where_inputs_have_one_sign():
    """Two classes of inputs, x and -x behind negated weights: the theorem asks for the same draws."""
    model, (x, y) = network(), points(300, 5)
    mirrored = copy.deepcopy(model)
    mirrored[1] = nn.Sequential(nn.ReLU(), Negative())
    with torch.no_grad():
        mirrored[2].weight.neg_()
    one, two = (certify(net, TensorDataset(x, y)) for net in (model, mirrored))
    assert two.split
    assert not one.split
    assert two.epsilon == pytest.approx(one.epsilon, rel=1e-6)
    torch.testing.assert_close(two.samples, one.samples)


class Negative(nn.Module):
    def forward(self, x):
        return -x
