"""Stacked training against one network at a time, trained by PyTorch's own autograd and modules."""

import pytest
import torch
from torch import nn

from prunebook.errors import InputError
from prunebook.networks.mlp import mlp, narrowed, weight_count
from prunebook.training.stacked import StackedMLP, evaluate, minibatches, train

WIDTHS = (7, 6, 5, 3)


def problem(loss, n=50):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, WIDTHS[0], generator=generator, dtype=torch.float64)
    if loss == "mse":
        return x, torch.randn(n, WIDTHS[-1], generator=generator, dtype=torch.float64)
    return x, torch.randint(0, WIDTHS[-1], (n,), generator=generator)


def variants(widths=WIDTHS, count=4):
    models = [mlp(widths, seed=s).double() for s in range(count)]
    generator = torch.Generator().manual_seed(1)
    masks = [[torch.rand(layer.weight.shape, generator=generator) > 0.4 for layer in model[::2]] for model in models]
    return models, masks


def train_alone(model, masks, x, y, loss, *, epochs, batch_size, seed):
    """What a user would write: autograd, a mask applied to the weight after every optimiser step."""
    function = nn.MSELoss() if loss == "mse" else nn.CrossEntropyLoss()
    optimiser = torch.optim.Adam(model.parameters())
    layers = model[::2]
    with torch.no_grad():
        for layer, mask in zip(layers, masks, strict=True):
            layer.weight.mul_(mask)
    for _, index in minibatches(len(x), batch_size, epochs, seed, x.device):
        optimiser.zero_grad()
        function(model(x[index]), y[index]).backward()
        for layer, mask in zip(layers, masks, strict=True):
            layer.weight.grad.mul_(mask)
        optimiser.step()
        with torch.no_grad():
            for layer, mask in zip(layers, masks, strict=True):
                layer.weight.mul_(mask)
    return model


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_stacked_training_is_separate_training(loss):
    x, y = problem(loss)
    models, masks = variants()
    net = StackedMLP.from_models(models, masks)
    train(net, x, y, loss=loss, epochs=4, batch_size=16, seed=3)  # 50 samples: the last batch is short
    for v, (model, mask) in enumerate(zip(models, masks, strict=True)):
        alone = train_alone(model, mask, x, y, loss, epochs=4, batch_size=16, seed=3)
        stacked = net.write_to(v, mlp(WIDTHS).double())
        for one, other in zip(alone.parameters(), stacked.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
        assert alone[1].weight.item() != pytest.approx(0.25)  # the slopes were trained, not left behind


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_evaluation_counts_samples_not_batches(loss):
    x, y = problem(loss)
    models, masks = variants()
    net = StackedMLP.from_models(models, masks)
    losses, accuracy = evaluate(net, x, y, loss=loss, chunk=16)
    function = nn.MSELoss() if loss == "mse" else nn.CrossEntropyLoss()
    for v in range(len(models)):
        out = net.write_to(v, mlp(WIDTHS).double())(x)
        assert losses[v].item() == pytest.approx(function(out, y).item(), rel=1e-12)
        if loss == "cross_entropy":
            assert accuracy[v].item() == pytest.approx((out.argmax(1) == y).double().mean().item())
    assert accuracy.isnan().all() == (loss == "mse")


def test_pruned_weights_stay_exactly_zero_and_the_rest_move():
    x, y = problem("mse")
    models, masks = variants()
    net = StackedMLP.from_models(models, masks)
    before = [w.clone() for w in net.weights]
    train(net, x, y, loss="mse", epochs=3, batch_size=16)
    reaches = torch.ones(len(net), WIDTHS[-1], 1, dtype=torch.float64)  # does a unit still reach the output?
    for old, new, mask in reversed(list(zip(before, net.weights, net.masks, strict=True))):
        assert (new[mask == 0] == 0).all()
        assert (new != old)[(mask * reaches) > 0].all()
        reaches = ((mask.transpose(1, 2) @ reaches) > 0).double()


def test_a_narrower_network_in_the_stack_is_that_network():
    x, y = problem("mse")
    narrow = mlp((7, 4, 2, 3), seed=9).double()
    net = StackedMLP.from_models([mlp(WIDTHS, seed=0).double(), narrow])
    train(net, x, y, loss="mse", epochs=2, batch_size=10, seed=1)
    ones = [torch.ones_like(layer.weight) for layer in narrow[::2]]
    alone = train_alone(narrow, ones, x, y, "mse", epochs=2, batch_size=10, seed=1)
    stacked = net.write_to(1, mlp((7, 4, 2, 3)).double())
    for one, other in zip(alone.parameters(), stacked.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_history_is_the_running_training_loss():
    x, y = problem("mse")
    net = StackedMLP.from_models(variants()[0])
    start, _ = evaluate(net, x, y, loss="mse")
    history = train(net, x, y, loss="mse", epochs=1, batch_size=len(x))
    torch.testing.assert_close(history[0].double(), start)  # one batch: its loss before the step


def test_concat_and_select_keep_variants_apart():
    models, masks = variants()
    x, _ = problem("mse")
    net = StackedMLP.from_models(models, masks)
    again = StackedMLP.concat([net.select([2, 3]), net.select([0])])
    torch.testing.assert_close(again.outputs(x), net.outputs(x)[[2, 3, 0]])


def test_a_stack_of_parts_is_the_stack_of_its_networks():
    models, masks = variants()
    whole = StackedMLP.from_models(models, masks)
    networks = [
        [(mask, layer.weight.detach() * mask, layer.bias.detach()) for layer, mask in zip(m[::2], own, strict=True)]
        for m, own in zip(models, masks, strict=True)
    ]
    stack = StackedMLP.from_parts(networks, whole.select([1]).slopes)
    x, _ = problem("mse")
    torch.testing.assert_close(stack.outputs(x), whole.outputs(x))
    assert stack.kept().tolist() == [sum(int(mask.sum()) for mask in own) for own in masks]


def test_minibatch_order_depends_on_the_seed_alone():
    first = [index.tolist() for _, index in minibatches(10, 4, 2, 5, "cpu")]
    torch.rand(3)
    assert first == [index.tolist() for _, index in minibatches(10, 4, 2, 5, "cpu")]
    assert first != [index.tolist() for _, index in minibatches(10, 4, 2, 6, "cpu")]
    assert sorted(sum(first[:3], [])) == list(range(10))


@pytest.mark.parametrize(
    "change", [{"loss": "hinge"}, {"batch_size": 0}, {"epochs": -1}, {"y": torch.zeros(3, 3).double()}]
)
def test_bad_training_arguments_are_named(change):
    x, y = problem("mse")
    arguments = {"x": x, "y": y, "loss": "mse", "epochs": 1, **change}
    with pytest.raises(InputError, match=r"hinge|batch_size 0|epochs -1|3 targets"):
        train(StackedMLP.from_models(variants()[0]), **arguments)


def test_only_networks_the_stack_can_stand_for_are_stacked():
    for bad in (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)), nn.Sequential(nn.PReLU())):
        with pytest.raises(InputError, match="cannot stack"):
            StackedMLP.from_models([bad])
    with pytest.raises(InputError, match="slope per unit"):
        StackedMLP.from_models([nn.Sequential(nn.Linear(2, 2), nn.PReLU(2), nn.Linear(2, 1))])
    with pytest.raises(InputError, match="equal depth"):
        StackedMLP.from_models([mlp((2, 2, 1)), mlp((2, 1))])


def test_builder_is_seeded_and_leaves_the_callers_random_state_alone():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    one, two = mlp(WIDTHS, seed=4), mlp(WIDTHS, seed=4)
    torch.testing.assert_close(torch.rand(2), expected)
    torch.testing.assert_close(one[0].weight, two[0].weight, rtol=0, atol=0)
    assert (one[0].weight != mlp(WIDTHS, seed=5)[0].weight).any()


@pytest.mark.parametrize(
    ("widths", "weights"),
    [((784, 32, 32, 10), 26432), ((784, 64, 64, 10), 54912), ((68, 32, 32, 32, 1), 4256)]
    + [((68, 64, 32, 32, 16, 16, 1), 8208)],
)
def test_weight_counts_of_the_paper(widths, weights):
    assert weight_count(widths) == weights


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9, 0.95])
def test_narrowed_network_has_the_nearest_size_one_factor_can_reach(ratio):
    widths = (68, 64, 32, 32, 16, 16, 1)
    target = (1 - ratio) * weight_count(widths)
    found = abs(weight_count(narrowed(widths, ratio)) - target)
    for k in range(1, 4001):  # a fine grid of factors finds nothing nearer
        hidden = [max(1, int(k / 4000 * w + 0.5)) for w in widths[1:-1]]
        assert found <= abs(weight_count((68, *hidden, 1)) - target)


def test_bad_networks_are_refused():
    with pytest.raises(InputError, match="at least two"):
        mlp((5,))
    with pytest.raises(InputError, match="gelu"):
        mlp((2, 2), activation="gelu")
