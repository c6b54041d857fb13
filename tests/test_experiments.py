"""The study for one seed on a small problem: its tables, its invariants, and that a seed decides everything."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from prunebook import studies
from prunebook.data.tasks import Problem
from prunebook.errors import RunError
from prunebook.networks.mlp import mlp, narrowed, weight_count
from prunebook.studies.elimination_compensation import pde as ec_pde
from prunebook.studies.elimination_compensation import run
from prunebook.training.stacked import StackedMLP, train
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


def test_every_method_is_measured_at_every_stage_it_should_be(tables):
    losses = tables["losses"]
    counts = losses.groupby(["method", "stage"]).size()
    for name, method in METHODS.items():
        assert counts[name, "pruned"] == 2
        assert counts[name, "fine-tuned"] == (2 if method.from_paper else 1)
    assert counts["dense", "trained"] == counts["dense", "fine-tuned"] == 1
    assert counts["fully-connected", "pruned"] == counts["fully-connected", "fine-tuned"] == 2
    assert np.isfinite(losses[["loss", "clean_loss", "train_loss"]]).all(axis=None)
    assert losses["accuracy"].isna().all()


def test_ratios_are_reached_exactly_and_kept_by_fine_tuning(tables):
    losses, size = tables["losses"], weight_count(WIDTHS)
    network_wide = [name for name, method in METHODS.items() if method.scope == "network"]
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
    others = {"mr-training": 8, "mr-tuning": 4, "mr-pictures": 2, "head-to-head": 8}
    assert {name: number for name, number in seeds.items() if number != 5} == others


def test_a_folder_without_the_published_file_means_solving(tmp_path):
    config, found = run.prepare(replace(CONFIG, limit=4), str(tmp_path), "cpu")
    assert config.dataset == found.name == "diffusion-sorption"
    assert found.x_train.shape[1] == 68
    assert found.groups["u0"] == list(range(4, 68))
