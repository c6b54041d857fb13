"""The study for one seed on a small problem: its tables, its invariants, and that a seed decides everything."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn.functional import cross_entropy

from prunebook import studies
from prunebook.data.tasks import Problem, images, pde
from prunebook.errors import InputError, RunError
from prunebook.networks.mlp import mlp, narrowed, weight_count
from prunebook.studies import STUDIES
from prunebook.studies.elimination_compensation import pde as ec_pde
from prunebook.studies.elimination_compensation import run
from prunebook.training.choosing import BestOfStack
from prunebook.training.stacked import StackedMLP, evaluate, train
from prunebook.weights import METHODS

WIDTHS = (6, 8, 7, 1)


@pytest.fixture(scope="module")
def problem():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(400, 6, generator=generator)
    x[:, 5] = 0.3  # an input that never changes
    y = (x[:, :1] * x[:, 1:2] - x[:, 2:3]).contiguous()
    return Problem(
        name="made-up",
        origin="test",
        notice="",
        stand_in=False,
        checksums={},
        loss="mse",
        x_train=x[:300],
        y_train=y[:300],
        x_test=x[300:],
        y_test=y[300:] + 0.01,
        y_clean=y[300:],
        coordinates={"x": x[300:, 0]},
        floor={"noise": 1e-4},
        groups={"constant": [5], "first": [0]},
    )


CONFIG = ec_pde.OnPde(
    widths=WIDTHS,
    ratios=(0.3, 0.7),
    extra_ratios=(0.7,),
    epochs=2,
    batch_size=32,
    nonlinear_samples=50,
    profile_ratio=0.7,
)


@pytest.fixture(scope="module")
def tables(problem):
    return run.run(CONFIG, 1, problem, torch.device("cpu"), lambda line: None)


def measured() -> dict:
    """The methods of the study; the library knows more."""
    return {name: METHODS[name] for name in CONFIG.methods}


def test_every_method_is_measured_at_every_stage_it_should_be(tables):
    losses = tables["losses"]
    counts = losses.groupby(["method", "stage"]).size()
    for name, method in measured().items():
        assert counts[name, "pruned"] == 2
        assert counts[name, "fine-tuned"] == (2 if method.from_paper else 1)
    assert counts["dense", "trained"] == counts["dense", "fine-tuned"] == 1
    assert counts["fully-connected", "pruned"] == counts["fully-connected", "fine-tuned"] == 2
    assert np.isfinite(losses[["loss", "clean_loss", "train_loss"]]).all(axis=None)
    assert losses["accuracy"].isna().all()


def test_ratios_are_reached_exactly_and_kept_by_fine_tuning(tables):
    losses, size = tables["losses"], weight_count(WIDTHS)
    network_wide = [name for name, method in measured().items() if method.scope == "network"]
    pruned = losses[losses["method"].isin(network_wide)]
    assert (pruned["weights"] == size - (pruned["ratio"] * size).round()).all()
    narrow = losses[losses["method"] == "fully-connected"]
    assert (narrow["weights"] == [weight_count(narrowed(WIDTHS, ratio)) for ratio in narrow["ratio"]]).all()
    both = losses.pivot_table(index=["method", "ratio"], columns="stage", values="weights").dropna(
        subset=["pruned", "fine-tuned"]
    )
    assert (both["pruned"] == both["fine-tuned"]).all()
    layers = tables["layers"].groupby(["method", "ratio"])["kept"].sum()
    joined = losses[losses["stage"] == "pruned"].set_index(["method", "ratio"])["weights"]
    assert (layers == joined.reindex(layers.index)).all()


def test_training_more_and_pruning_less_lowers_the_loss(tables):
    value = tables["losses"].set_index(["method", "stage", "ratio"])["loss"]
    assert value["dense", "fine-tuned", 0.0] < value["dense", "trained", 0.0]
    assert value["random", "fine-tuned", 0.3] < value["random", "pruned", 0.3]


def test_an_input_that_never_changes_is_not_relied_on_and_one_that_matters_is(tables):
    reliance = tables["reliance"].set_index(["method", "stage", "ratio", "group"])["rms"]
    assert reliance["dense", "trained", 0.0, "constant"] == pytest.approx(0, abs=1e-6)
    assert reliance["dense", "trained", 0.0, "first"] > 1e-3


def test_predictions_belong_to_the_networks_of_the_loss_table(tables, problem):
    shown = tables["predictions"]
    value = tables["losses"].set_index(["method", "stage", "ratio"])["clean_loss"]
    for column, key in {
        "dense": ("dense", "trained", 0.0),
        "pruned": ("elimination-compensation", "pruned", 0.7),
        "fine_tuned": ("elimination-compensation", "fine-tuned", 0.7),
    }.items():
        mean_square = ((shown[column] - shown["clean"]).astype(float) ** 2).mean()
        assert mean_square == pytest.approx(value[key], rel=1e-4)


def test_without_compensation_prediction_and_truth_come_from_the_same_mask(tables):
    line = tables["linearisation"].set_index(["compensation", "ratio"])
    for ratio in CONFIG.ratios:
        predicted = line["predicted"]
        assert predicted["joint", ratio] <= predicted["elimination", ratio] * (1 + 1e-9)
        assert (line["true"] > 0).all()


def test_a_seed_decides_everything_and_another_seed_differs(tables, problem):
    again = run.run(CONFIG, 1, problem, torch.device("cpu"), lambda line: None)
    other = run.run(CONFIG, 2, problem, torch.device("cpu"), lambda line: None)
    for name in set(tables) - {"cost"}:
        pd.testing.assert_frame_equal(tables[name], again[name])
    assert (tables["losses"]["loss"] != other["losses"]["loss"]).all()


def test_other_peoples_random_state_does_not_matter(tables, problem):
    torch.manual_seed(123)
    torch.rand(7)
    again = run.run(
        replace(CONFIG, methods=("elimination-compensation", "random")), 1, problem, torch.device("cpu"), str
    )
    mine = tables["losses"][tables["losses"]["method"] == "random"]["loss"].tolist()
    assert again["losses"][again["losses"]["method"] == "random"]["loss"].tolist() == pytest.approx(mine, rel=1e-6)


@pytest.fixture(scope="module")
def with_held_out(problem):
    """Fine-tuning makes it worse on these: the targets are those of other inputs."""
    held = problem.x_train[:100].flip(0)
    return replace(problem, x_held=held, y_held=problem.y_train[:100])


def test_best_is_the_epoch_with_the_lowest_held_out_loss_and_changes_nothing_else(tables, problem, with_held_out):
    config = replace(CONFIG, methods=("elimination-compensation", "random"), epochs=3)
    plain = run.run(config, 1, problem, torch.device("cpu"), str)["losses"]
    found = run.run(config, 1, with_held_out, torch.device("cpu"), str)["losses"]
    best = found[found["stage"] == "best"].reset_index(drop=True)
    assert "step" not in plain
    assert not (plain["stage"] == "best").any()
    pd.testing.assert_frame_equal(found[found["stage"] != "best"].drop(columns="step"), plain)
    assert set(best["step"]) <= {0, 10, 20, 30}  # ends of epochs of 300 samples in batches of 32
    before, after = (
        plain[plain["stage"] == stage].set_index(["method", "ratio"])["loss"] for stage in ("pruned", "fine-tuned")
    )
    for row in best.itertuples():
        key = (row.method, row.ratio)
        if row.step == 30:
            assert row.loss == after[key]
        elif row.step == 0 and row.method != "dense":
            assert row.loss == before[key]
        else:
            assert row.loss != after[key]
    assert best["step"].nunique() > 1, "the case decides nothing"


def test_a_stack_keeps_the_best_of_each_variant():
    generator = torch.Generator().manual_seed(3)
    x, y = torch.rand(200, 6, generator=generator), torch.randint(3, (200,), generator=generator)
    net = StackedMLP.from_models([mlp((6, 5, 3), seed=seed) for seed in (1, 2, 3)])
    best, seen = BestOfStack(net, x[150:], y[150:], "cross_entropy"), {}

    def look(now, step):
        seen[step] = evaluate(now, x[150:], y[150:], loss="cross_entropy")[0]
        best.look(now, step)

    seen[0] = evaluate(net, x[150:], y[150:], loss="cross_entropy")[0]
    train(net, x[:150], y[:150], loss="cross_entropy", epochs=8, batch_size=50, learning_rate=0.1, looks=3, look=look)
    assert sorted(seen) == list(range(25))
    losses = torch.stack([seen[step] for step in sorted(seen)])
    assert best.step.tolist() == losses.argmin(0).tolist()
    assert len(set(best.step.tolist())) > 1
    held = evaluate(best.net, x[150:], y[150:], loss="cross_entropy")[0]
    assert torch.equal(held, losses.min(0).values)


def test_a_rate_that_falls_to_zero_ends_flat():
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(128, 6, generator=generator)
    y, ends = x[:, :1] * x[:, 1:2], {}
    for schedule in ("constant", "cosine"):
        net, steps = StackedMLP.from_models([mlp(WIDTHS, seed=1)]), []
        look = lambda now, step, steps=steps: steps.append(now.weights[0].clone())  # noqa: E731
        train(net, x, y, loss="mse", epochs=20, batch_size=32, schedule=schedule, looks=4, look=look)
        ends[schedule] = [float((b - a).abs().max()) for a, b in pairwise(steps)]
    assert ends["cosine"][-1] < 0.01 * ends["constant"][-1]
    assert ends["cosine"][0] == pytest.approx(ends["constant"][0], rel=0.05)
    with pytest.raises(InputError, match="unknown schedule 'linear'"):
        train(net, x, y, loss="mse", epochs=1, schedule="linear")


def test_what_stands_beside_a_loss_is_that_of_the_network_by_itself():
    config, found = run.prepare(
        replace(STUDIES["ec-mnist"].presets["smoke"][0], dataset="digits", limit=400), None, "cpu"
    )
    net = StackedMLP.from_models([mlp(config.widths, seed=seed) for seed in (1, 2)])
    train(net, found.x_train, found.y_train, loss="cross_entropy", epochs=5, learning_rate=0.01)
    told = run.losses_of(net, found, slice(100))
    for place in (0, 1):
        model = net.write_to(place, mlp(config.widths))
        with torch.no_grad():
            logits, held = model(found.x_test), model(found.x_held)
        wrong = (logits.argmax(1) != found.y_test).double().mean()

        def scaled(b, z, y):
            return float(cross_entropy(float(b) * z.double(), y))

        factor = minimize_scalar(scaled, bracket=(0.1, 1), args=(held, found.y_held), tol=1e-12).x
        assert told["error"][place] == pytest.approx(float(wrong)) == 1 - told["accuracy"][place]
        assert told["scaled_nll"][place] == pytest.approx(scaled(factor, logits, found.y_test), rel=1e-5)
        assert told["loss"][place] == pytest.approx(scaled(1, logits, found.y_test), rel=1e-5)


def test_held_out_samples_are_neither_trained_nor_tested_on():
    problem = images("digits", limit=400)
    rows = [{tuple(x.tolist()) for x in part} for part in (problem.x_train, problem.x_held, problem.x_test)]
    assert len(problem.x_train) == 400
    assert not rows[0] & rows[1]
    assert not rows[2] & rows[1]
    whole, part = pde(0.01, trajectories=5), pde(0.01, trajectories=5, held_out=0.2)
    assert len(part.x_held) == 640  # one of four trajectories, whole
    assert torch.equal(torch.cat([part.y_train, part.y_held]), whole.y_train)
    assert torch.equal(part.y_test, whole.y_test)
    with pytest.raises(InputError, match="2 trajectories: use more"):
        pde(0.01, trajectories=2, held_out=0.2)


def test_a_revived_weight_and_a_changed_mask_stop_the_run(problem, monkeypatch):
    net = StackedMLP.from_models([mlp(WIDTHS, seed=0)])
    before = [mask.clone() for mask in net.masks]
    assert not any(net.faults(before).values())
    before[0][0, 0, 0] = 0  # pruned, but the weight is there and so is its mask
    assert net.faults(before) == {"mask entries changed by fine-tuning": 1, "pruned weights that came back": 1}

    def revive(net, *rest, **options):
        history = train(net, *rest, **options)
        for weight in net.weights:
            weight += 1.0
        return history

    monkeypatch.setattr(run, "train", revive)
    config = replace(CONFIG, methods=("elimination-compensation",), epochs=1, profile_ratio=None)
    with pytest.raises(RunError, match="pruned weights that came back"):
        run.run(config, 1, problem, torch.device("cpu"), str)


def test_paper_presets_are_the_papers_protocol():
    mnist = studies.STUDIES["ec-mnist"].presets["paper"]
    pde = studies.STUDIES["ec-pde"].presets["paper"]
    assert [weight_count(config.widths) for config in mnist] == [26432, 54912]
    assert sorted({weight_count(config.widths) for config in pde}) == [4256, 8208]
    assert {config.noise for config in pde} == {0.0, 0.005, 0.01}
    assert {config.epochs for config in mnist} == {15}
    lenet, vgg = (studies.STUDIES[name].presets["paper"] for name in ("cb-lenet", "cb-vgg"))
    assert {config.case for config in lenet} >= {"easy", "moderate", "difficult"}
    assert [config.case for config in vgg] == ["easy", "moderate", "difficult"]
    along = studies.STUDIES["mr-training"].presets["paper"]
    assert [config.net for config in along] == ["small", "medium", "medium", "vgg11", "medium", "vgg11"]
    assert all(config.steps == 60 * -(-50_000 // config.batch_size) for config in along[:4])
    assert all(len(config.scores) * len(config.sets) * len(config.amounts) * 2 == 360 for config in along[:5])
    assert [(config.batch_norm, config.steps) for config in along[4:]] == [(True, 5000), (False, 2000)]
    tuned = studies.STUDIES["mr-tuning"].presets["paper"]
    assert {(config.net, config.start) for config in tuned} == {
        (net, start) for net in ("medium", "small") for start in (5_000, 25_000)
    }
    assert all(len(config.scores) * len(config.sets) * len(config.amounts) * 2 == 36 for config in tuned)
    seeds = {name: study.seeds["paper"] for name, study in studies.STUDIES.items()}
    others = {"mr-training": 8, "mr-tuning": 4, "mr-pictures": 2, "head-to-head": 8, "ec-pde-converged": 4}
    others["mr-moments"] = 4
    assert {name: number for name, number in seeds.items() if number != 5} == others


def test_a_folder_without_the_published_file_means_solving(tmp_path):
    config, found = run.prepare(replace(CONFIG, limit=4), str(tmp_path), "cpu")
    assert config.dataset == found.name == "diffusion-sorption"
    assert found.x_train.shape[1] == 68
    assert found.groups["u0"] == list(range(4, 68))
