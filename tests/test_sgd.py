"""Training that can be stopped and gone on with, and its snapshots."""

import copy

import pytest
import torch
from torch import nn

from prunebook.errors import InputError
from prunebook.networks.convnets import PLANS, convnet
from prunebook.training import sgd, snapshots
from prunebook.training.sgd import Recipe, Trainer, noisy_labels, pool_first


def samples(n=90, classes=10, seed=0, shape=(3, 16, 16)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *shape, generator=generator), torch.randint(classes, (n,), generator=generator)


def tiny(dropout=0.0, **more):
    model = convnet("tiny", shape=(3, 16, 16), seed=3, **more)
    return nn.Sequential(*model[:-1], nn.Dropout(dropout), model[-1]) if dropout else model


def weights(model):
    return torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])


@pytest.mark.parametrize("more", [{}, {"dropout": 0.5}, {"batch_norm": True}])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, more):
    x, y = samples()
    recipe = Recipe(13, batch_size=40, schedule="one-cycle", weight_decay=1e-3)
    whole = Trainer(tiny(**more), x, y, recipe, seed=5)
    whole.advance()
    first = Trainer(tiny(**more), x, y, recipe, seed=5)
    first.advance(7)
    first.save(tmp_path / "state.pt")
    torch.rand(3)  # what others draw in between must not matter
    second = Trainer(tiny(**more), x, y, recipe, seed=5)
    second.load(tmp_path / "state.pt")
    second.advance()
    assert torch.equal(weights(whole.model), weights(second.model))
    other = Trainer(tiny(**more), x, y, recipe, seed=6)
    other.advance()
    assert not torch.equal(weights(whole.model), weights(other.model))


def test_steps_are_those_of_plain_sgd():
    x, y = samples()
    recipe = Recipe(9, learning_rate=0.05, batch_size=32, weight_decay=0.01)
    model = tiny().double()
    reference = copy.deepcopy(model)
    trainer = Trainer(model, x.double(), y, recipe, seed=1)
    names = [name.endswith("weight") for name, _ in reference.named_parameters()]
    velocity = [torch.zeros_like(p) for p in reference.parameters()]
    for _ in range(9):
        index = trainer._batch()
        loss = nn.functional.cross_entropy(reference(x.double()[index]), y[index])
        gradients = torch.autograd.grad(loss, list(reference.parameters()))
        with torch.no_grad():
            for p, g, v, decays in zip(reference.parameters(), gradients, velocity, names, strict=True):
                v.mul_(0.9).add_(g + 0.01 * decays * p)
                p.sub_(0.05 * v)
        trainer.advance(trainer.step + 1)
    assert (weights(model) - weights(reference)).abs().max() < 1e-12


def test_an_epoch_sees_every_sample_once():
    x, y = samples(n=50)
    trainer = Trainer(tiny(), x, y, Recipe(10, batch_size=16), seed=1)
    seen = []
    for step in range(8):
        trainer.step = step
        seen.append(trainer._batch())
    epochs = [torch.cat(seen[:4]), torch.cat(seen[4:])]
    assert all(epoch.sort().values.tolist() == list(range(50)) for epoch in epochs)
    assert not torch.equal(*epochs)


def test_masked_weights_stay_zero_and_do_not_gather_momentum():
    x, y = samples()
    model = tiny()
    mask = (torch.rand(model[0].weight.shape, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    trainer = Trainer(model, x, y, Recipe(5, batch_size=30), seed=1, masks={"0.weight": mask})
    trainer.advance()
    momentum = trainer.optimiser.state[model[0].weight]["momentum_buffer"]
    assert (model[0].weight[mask == 0] == 0).all()
    assert (momentum[mask == 0] == 0).all()
    assert (model[0].weight[mask == 1] != 0).all()


def test_the_proximal_penalty_gives_exact_zeros_where_it_is_asked_for():
    x, y = samples()
    model = tiny()
    last = str(len(model) - 1)
    Trainer(model, x, y, Recipe(30, batch_size=30, proximal=0.5, penalised=(last,)), seed=1).advance()
    assert (model[-1].weight == 0).any()
    assert (model[0].weight != 0).all()


def test_pooling_before_relu_changes_nothing():
    x, y = samples(n=8)
    for name in ("tiny", "small"):
        chain = convnet(name, shape=(3, 32, 32), seed=1, batch_norm=name == "tiny").double()
        images = torch.nn.functional.interpolate(x, 32).double()
        fast = pool_first(chain)
        grads = []
        for net in (chain, fast):
            loss = nn.functional.cross_entropy(net(images), y)
            grads.append((loss, *torch.autograd.grad(loss, list(chain.parameters()))))
        assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-14) for a, b in zip(*grads, strict=True))
        pools = [i for i, layer in enumerate(fast) if isinstance(layer, nn.MaxPool2d)]
        assert all(isinstance(fast[i + 1], nn.ReLU) for i in pools)


def test_label_noise_draws_the_share_anew():
    y = torch.zeros(1000, dtype=torch.int64)
    y[0] = 9
    noisy = noisy_labels(y, 0.4, seed=1)
    assert 0.3 < (noisy != y).double().mean() < 0.4  # a tenth of the new labels are the old ones
    assert torch.equal(noisy, noisy_labels(y, 0.4, seed=1))
    assert y[1:].sum() == 0
    assert noisy_labels(y, 0.0, seed=1) is y


def test_rates_of_the_schedules():
    cycle = Recipe(100, learning_rate=1.0, schedule="one-cycle")
    rates = [cycle.rate(step) for step in range(100)]
    assert max(rates) == 1.0 == rates[19]
    assert rates[0] == 0.05
    assert rates[-1] == pytest.approx(1 / 80)
    assert Recipe(100, learning_rate=0.3).rate(77) == 0.3


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": -1},
        {"steps": 5, "batch_size": 0},
        {"steps": 5, "schedule": "cosine"},
        {"steps": 5, "momentum": 1.0},
        {"steps": 5, "learning_rate": float("nan")},
        {"steps": 5, "label_noise": 1.5},
    ],
)
def test_unusable_recipes_are_refused(wrong):
    with pytest.raises(InputError):
        Recipe(**wrong)


def test_a_trajectory_is_found_again_gone_on_with_and_complete(tmp_path):
    x, y = samples()
    arguments = {"seed": 4, "key": {"net": "tiny"}, "folder": tmp_path}
    recipe, steps = Recipe(12, batch_size=30), (0, 4, 8, 12)

    class Stopped(Exception):
        pass

    lines = []

    def stop(line):
        lines.append(line)
        if line.startswith("training step 8"):
            raise Stopped

    with pytest.raises(Stopped):
        snapshots.follow(tiny, x, y, recipe, steps=steps, report=stop, **arguments)
    broken = snapshots.follow(tiny, x, y, recipe, steps=steps, report=lines.append, **arguments)
    assert any("goes on from step 8" in line for line in lines)
    whole = snapshots.follow(tiny, x, y, recipe, steps=steps, **{**arguments, "folder": tmp_path / "other"})
    for step in steps:
        assert torch.equal(weights(broken.load(step, tiny())), weights(whole.load(step, tiny())))
    assert torch.equal(weights(whole.load(0, tiny())), weights(tiny()))
    assert broken.history == whole.history
    assert len(whole.history) == 3
    count = len(lines)
    again = snapshots.follow(tiny, x, y, recipe, steps=(4, 12), report=lines.append, **arguments)
    assert len(lines) == count
    assert again.folder == broken.folder
    (_, first), (_, second), (_, third) = whole.history
    assert again.history == ((4, first), (12, pytest.approx((second + third) / 2))), "since the snapshot before"
    with pytest.raises(InputError, match="no snapshot at step 8"):
        again.load(8, tiny())
    with pytest.raises(InputError, match="do not fit"):
        snapshots.follow(tiny, x, y, recipe, steps=(13,), **arguments)


def test_trainings_in_the_cache_are_found_under_the_names_they_have(tmp_path, monkeypatch):
    """Written down from the release before: another name would train everything anew."""
    monkeypatch.setattr(torch, "__version__", "2.0")
    x, y = torch.linspace(-1, 1, 24).reshape(8, 3), torch.arange(8) % 2
    names = {"single": "df30741835b2e162", "bf16": "614a6adc079219b1"}
    for precision, name in names.items():
        found = snapshots.follow(
            lambda: torch.nn.Sequential(torch.nn.Linear(3, 2)), x, y, Recipe(4, batch_size=4), seed=1,
            steps=(0, 2, 4), key={"net": "toy"}, precision=precision, folder=tmp_path,
        )  # fmt: skip
        assert (found.folder.name, found.precision) == (name, precision)


def test_precision_is_what_was_asked_for():
    x, y = samples()
    single, same, half = (
        Trainer(tiny(), x, y, Recipe(4, batch_size=30), seed=1, precision=precision)
        for precision in ("single", "single", "bf16")
    )
    losses = [trainer.advance() for trainer in (single, same, half)]
    assert losses[0] == losses[1] != losses[2]
    assert losses[2] == pytest.approx(losses[0], rel=0.02)
    for precision, words in (("fp32", "is unknown: use single, bf16, tf32"), ("tf32", "only on newer GPUs")):
        with pytest.raises(InputError, match=words):
            Trainer(tiny(), x, y, Recipe(4, batch_size=30), seed=1, precision=precision)


def test_asking_for_a_snapshot_that_was_passed_trains_anew(tmp_path):
    x, y = samples()
    arguments = {"seed": 4, "key": {"net": "tiny"}, "folder": tmp_path}
    first = snapshots.follow(tiny, x, y, Recipe(12, batch_size=30), steps=(12,), **arguments)
    second = snapshots.follow(tiny, x, y, Recipe(12, batch_size=30), steps=(6, 12), **arguments)
    assert second.steps == (6, 12)
    assert second.folder == first.folder


def test_networks_of_the_papers_have_their_published_sizes():
    sizes = {"small": 424_394, "medium": 1_688_458, "vgg11": 9_750_922}
    for name, size in sizes.items():
        assert sum(p.numel() for p in convnet(name, seed=0).parameters()) == size
    assert set(sizes) < set(PLANS)
    with pytest.raises(InputError, match="unknown network"):
        convnet("vgg99")
    with pytest.raises(InputError, match="too small"):
        convnet("small", shape=(3, 16, 16))


def test_scores_are_over_samples():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    loss, accuracy = sgd.score(logits, torch.tensor([0, 1, 1]))
    assert accuracy == pytest.approx(2 / 3)
    assert loss == pytest.approx(float(nn.functional.cross_entropy(logits, torch.tensor([0, 1, 1]))))
