"""What a report counts, against closed forms and counts made here."""

import math

import pytest
import torch
from scipy.stats import beta
from torch import nn
from torch.nn.utils import prune as torch_prune
from torch.utils.data import TensorDataset

import prunebook as pb
from prunebook.delivery.measuring import multiply_adds
from prunebook.errors import InputError

SHAPE = (3, 8, 8)


def convnet():
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12 * 4, 20), nn.ReLU(), nn.Linear(20, 5)),
    ).eval()


@pytest.fixture(scope="module")
def labelled():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, x = convnet(), torch.randn(90, *SHAPE)
        y = model(x).argmax(1)
        y[:20] = (y[:20] + 1) % 5  # 70 of 90 are right
    return model, x, y


def quick(before, after, data, **options):
    return pb.report(before, after, data, seconds=0.01, **options)


def call(model, x):
    return model(x)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Linear(7, 5), (1, 7), 35),
        (nn.Linear(7, 5), (3, 4, 7), 12 * 35),
        (nn.Conv2d(4, 6, 3, padding=1), (1, 4, 10, 8), 80 * 6 * 4 * 9),
        (nn.Conv2d(4, 6, (3, 1), stride=2), (1, 4, 9, 8), 4 * 4 * 6 * 4 * 3),
        (nn.Conv2d(8, 8, 3, groups=8), (2, 8, 5, 5), 2 * 9 * 8 * 9),
        (nn.Conv1d(2, 3, 5), (1, 2, 9), 5 * 3 * 2 * 5),
        (nn.LSTM(4, 6), (5, 1, 4), 5 * 4 * 6 * (4 + 6)),
        (
            nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval(),
            (1, 5, 16),
            5 * (16 * 48 + 16 * 16 + 2 * 16 * 32) + 2 * 5 * 5 * 16,
        ),
    ],
    ids=str,
)
def test_multiply_adds_are_the_closed_form(layer, shape, expected):
    fast = torch.backends.mha.get_fastpath_enabled()
    assert multiply_adds(layer, torch.randn(shape), call) == expected
    assert torch.backends.mha.get_fastpath_enabled() == fast


def test_removed_units_are_counted(labelled):
    model, x, y = labelled
    pruned = pb.prune_units(model, TensorDataset(x, y), {"conv1": 3, "conv2": 4, "dense1": 8})
    found = quick(model, pruned, TensorDataset(x, y))
    assert found.before.parameters == 8 * 28 + 16 + 12 * 73 + 20 * 49 + 5 * 21
    # The second convolution does not pad, so what replaces units fits into biases.
    assert found.after.parameters == 5 * 28 + 10 + 8 * 46 + 12 * 33 + 5 * 13
    assert found.before.multiply_adds == 64 * 8 * 27 + 4 * 12 * 72 + 20 * 48 + 5 * 20
    assert found.after.multiply_adds == 64 * 5 * 27 + 4 * 8 * 45 + 12 * 32 + 5 * 12
    tensors = 4 * found.after.parameters + 4 * 10 + 8  # of batch norm, and its number of batches
    assert 0 < found.after.file_bytes - tensors < 2000
    assert "faster" not in str(found)


def test_masks_cost_what_the_weights_did(labelled):
    model, x, y = labelled
    pruned = pb.prune(model, TensorDataset(x, y), 0.6, method="magnitude")
    found = quick(model, pruned, TensorDataset(x, y))
    removed = sum(int((~mask).sum()) for mask in pruned.masks.values())
    assert found.before.zeros == 8  # shifts of batch norm
    assert found.after.zeros == removed + 8
    for same in ("parameters", "multiply_adds", "file_bytes"):
        assert getattr(found.before, same) == getattr(found.after, same)
    assert "no network faster and no file smaller" in str(found)
    assert f"{removed + 8:,}" in str(found)
    assert torch_prune.is_pruned(pruned.model)  # it stayed as it is


def test_accuracy_and_its_interval_are_exact(labelled):
    model, x, y = labelled
    worse = pb.prune(model, x, 0.9, method="random").model
    found = quick(model, worse, TensorDataset(x, y), confidence=0.9)
    right = int((worse(x).argmax(1) == y).sum())
    assert (found.before.points, found.before.correct, found.after.correct) == (90, 70, right)
    assert found.before.interval == pytest.approx((beta.ppf(0.05, 70, 21), beta.ppf(0.95, 71, 20)), rel=1e-9)
    assert f"{70 / 90:.4f} [" in str(found)


def test_distance_of_outputs(labelled):
    double, x = convnet().double(), labelled[1].double()
    other = nn.Sequential(double, nn.Flatten())
    assert quick(double, other, x).distance == 0
    moved = convnet().double()
    moved.load_state_dict(double.state_dict())
    with torch.no_grad():
        moved[-1].bias[2] += 3.0
    found, outputs = quick(double, moved, [(x[:50],), (x[50:],)]), double(x).detach()
    assert found.distance == pytest.approx(3 / math.sqrt(5) / float(outputs.square().mean().sqrt()))
    assert found.largest == pytest.approx(3 / float(outputs.abs().max()))


def test_latency_tells_a_slow_network_from_a_fast_one():
    small, large = nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 3000), nn.ReLU(), nn.Linear(3000, 8))
    found = pb.report(small, large, torch.randn(3, 8), seconds=0.1)
    assert set(found.before.milliseconds) == {"batch of 1", "batch of 64"}
    for was, now in zip(found.before.milliseconds.values(), found.after.milliseconds.values(), strict=True):
        assert was.low <= was.median <= was.high
        assert was.median < now.median
    assert found.after.milliseconds["batch of 1"].median < found.after.milliseconds["batch of 64"].median


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (None, "the data has no labels"),
        (torch.randn(90), "give class indices as integers"),
        (torch.full((90,), -100), "labels reach from -100"),
        (torch.randn(90, 5), "give class indices"),
    ],
)
def test_without_classes_accuracy_is_left_out_and_said_so(labelled, targets, said):
    model, x, _ = labelled
    found = quick(model, model, x if targets is None else TensorDataset(x, targets))
    assert found.before.points is None
    assert "accuracy is left out" in str(found)
    assert said in str(found)
    assert "accuracy" not in found.table.index


def test_one_output_is_no_classifier():
    model, x = nn.Linear(4, 1), torch.randn(6, 4)
    found = quick(model, model, TensorDataset(x, torch.zeros(6, dtype=torch.long)))
    assert found.before.correct is None
    assert "accuracy is left out" in str(found)


def test_other_forms_of_batches_go_through_forward():
    model = nn.Linear(4, 3)
    batches = [{"x": torch.randn(5, 4), "y": torch.tensor([0, 1, 2, 0, 1])} for _ in range(2)]
    found = quick(model, model, batches, forward=lambda net, b: net(b["x"]), targets=lambda b: b["y"])
    assert (found.before.points, found.before.multiply_adds) == (10, 5 * 12)
    assert list(found.before.milliseconds) == ["the first batch"]


def test_a_notebook_gets_a_table_and_nothing_is_markup(labelled):
    model, x, _ = labelled
    found = quick(model, model, x)
    assert found._repr_html_().count("<tr") == 1 + len(found.table)
    assert "<p>accuracy is left out: the data has no labels: give batches (x, y)" in found._repr_html_()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"confidence": 95}, "confidence is 95: give a number between 0 and 1"),
        ({"seconds": 0}, "seconds is 0"),
        ({"after": nn.Linear(4, 2)}, r"outputs are \[\(6, 3\)\] before and \[\(6, 2\)\] after"),
        ({"after": nn.Linear(5, 3)}, "cannot take a batch"),
        ({"after": nn.Linear(4, 3, device="meta")}, "has no values yet"),
        ({"data": iter([torch.randn(6, 4)])}, "only once"),
    ],
)
def test_bad_input_is_one_clear_error(change, said):
    arguments = {"before": nn.Linear(4, 3), "after": nn.Linear(4, 3), "data": torch.randn(6, 4)} | change
    with pytest.raises(InputError, match=said):
        pb.report(**arguments)


def test_neither_network_is_touched(labelled):
    model, x, y = labelled
    pruned = pb.prune(model, x, 0.5, method="magnitude")
    pruned.model.train()
    state = {name: value.clone() for name, value in pruned.model.state_dict().items()}
    before = torch.get_rng_state()
    quick(model, pruned, TensorDataset(x, y))
    assert torch.equal(torch.get_rng_state(), before)
    assert pruned.model.training
    assert all(torch.equal(value, state[name]) for name, value in pruned.model.state_dict().items())
