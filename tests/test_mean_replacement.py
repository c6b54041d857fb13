"""The two studies of mean replacement at their least scale, against what a few plain lines give."""

import copy
import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from prunebook import units
from prunebook.errors import DataError, InputError
from prunebook.networks.convnets import convnet
from prunebook.studies import STUDIES
from prunebook.studies.mean_replacement import penalties as grid
from prunebook.studies.mean_replacement import picture_folders, probes, run, tuning
from prunebook.studies.mean_replacement.facts import facts
from prunebook.training.on_images import milestones, recipe_of, train_on_images
from prunebook.training.sgd import Recipe, Trainer, outputs, score
from prunebook.units.ablation.measure import Variant

TRAINING, TUNING = STUDIES["mr-training"], STUDIES["mr-tuning"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNEBOOK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def found():
    config, dataset = run.prepare(TRAINING.presets["smoke"][0], None, "cpu")
    return config, dataset, run.run(config, 1, dataset, torch.device("cpu"), str)


@pytest.fixture(scope="module")
def tuned():
    config, dataset = tuning.prepare(TUNING.presets["smoke"][0], None, "cpu")
    return config, dataset, tuning.run(config, 1, dataset, torch.device("cpu"), str)


def test_the_grid_is_complete(found):
    config, _, tables = found
    penalties = tables["penalties"]
    assert not penalties.isna().any().any()
    keys = ["step", "score", "set", "amount", "replacement"]
    assert not penalties.duplicated(keys).any()
    cells = len(config.scores) * len(config.sets) * len(config.amounts) * 2
    assert (penalties.groupby("step").size() == cells).all()
    assert set(tables["network"]["step"]) == set(penalties["step"]) == {0, 4, 8, 12}


def test_penalties_are_those_of_the_folded_network(found):
    """A sample of the grid, each variant folded and evaluated by itself."""
    config, dataset, tables = found
    model, trajectory = train_on_images(
        config.net, dataset, recipe_of(config, config.steps), 1, milestones(config.steps, 4)
    )
    data = grid.subsets(dataset, config.samples, 1)
    trajectory.load(8, model)
    at = grid.scored(model, data, config.scores, 1, 8)
    table = tables["penalties"].query("step == 8").sample(25, random_state=0)
    for row in table.itertuples():
        amount = 1 if row.amount == 1 else row.amount
        pruned = at.masks(row.score, row.set, amount)
        folded = units.fold(model, pruned, at.means(at.seen) if row.replacement == "mean" else None)
        for (x, y), penalty in zip(data.both, (row.penalty, row.test_penalty), strict=True):
            expected = score(outputs(folded, x), y)[0] - score(outputs(model, x), y)[0]
            assert penalty == pytest.approx(expected, abs=2e-6)


def test_measuring_leaves_no_trace_in_the_training(found):
    config, dataset, _ = found
    alone = convnet(config.net, shape=dataset.train.x.shape[1:], classes=len(dataset.classes), seed=1)
    alone = alone.to(memory_format=torch.channels_last)
    x = dataset.train.x.contiguous(memory_format=torch.channels_last)
    Trainer(alone, x, dataset.train.y, recipe_of(config, config.steps), seed=1).advance()
    model, trajectory = train_on_images(
        config.net, dataset, recipe_of(config, config.steps), 1, milestones(config.steps, 4)
    )
    trajectory.load(config.steps, model)
    for name, value in alone.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_same_seed_same_tables(found):
    config, dataset, tables = found
    again = run.run(config, 1, dataset, torch.device("cpu"), str)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, again[name])


def test_followed_units_are_as_many_as_asked_for(found):
    config, _, tables = found
    followed = tables["followed"]
    count = units.number_to_prune(int(followed["width"].iloc[0]), config.followed[1])
    assert (followed.groupby(["step", "score"]).size() == count).all()
    assert (followed["energy"] >= 0).all()


def test_alpha_of_one_is_the_mean_and_of_zero_is_zero(found):
    _, _, tables = found
    keys = ["score", "set"]
    both = tables["penalties"].query("step == 8 and amount == 0.2 and set in ['all', 'lastconv']")
    for alpha, replacement in ((0.0, "zero"), (1.0, "mean")):
        table = tables["constants"]
        mine = table[table["alpha"] == alpha].set_index(keys)["penalty"]
        grid_ = both[both["replacement"] == replacement].set_index(keys)["penalty"]
        assert mine.sort_index().to_numpy() == pytest.approx(grid_.sort_index().to_numpy(), abs=1e-6)


def test_norm_that_takes_the_batch_leaves_no_difference():
    config, dataset = run.prepare(replace(TRAINING.presets["smoke"][0], batch_norm=True), None, "cpu")
    table = run.run(config, 1, dataset, torch.device("cpu"), str)["batch_norm"]
    assert len(table) > 0
    assert table["difference"].max() < 1e-4
    assert table["zero"].abs().max() > 1e-3  # pruning itself does something


def test_only_padded_networks_have_borders(found):
    _, dataset, tables = found
    assert "borders" not in tables
    model = convnet("vgg11", shape=(3, 32, 32), classes=10, seed=0).eval()
    data = grid.subsets(dataset, 20, 1)
    table = probes.borders(grid.scored(model, data, ("norm",), 1, 0), ("midconv",), (0.5,))
    assert set(table["border"]) == {"exact", "response-mean", "all-taps"}
    assert table["penalty"].nunique() == 3


def test_facts_hold():
    for seed in (1, 2):
        values = facts(seed).set_index("name")["value"]
        assert values[["regression", "next layer"]].max() < 1e-12
        assert values["after pooling"] > 0.1
        assert values[["cells of table 2", "cells of table 3"]].tolist() == [720, 1248]


def test_every_must_be_a_multiple():
    with pytest.raises(InputError, match="every=6 must be a multiple of snapshot_every=4"):
        run.prepare(replace(TRAINING.presets["smoke"][0], every=6), None, "cpu")
    with pytest.raises(InputError, match="start=5 has no snapshot: take a multiple of 4 up to 12"):
        tuning.prepare(replace(TUNING.presets["smoke"][0], start=5), None, "cpu")


def test_fine_tuning_starts_from_the_penalty(tuned, found):
    """At 0 steps the two studies measure the same networks, one as masks and one without the units."""
    keys = ["step", "score", "set", "amount", "replacement"]
    mine = tuned[2]["tuning"].query("tuned == 0 and amount == 0.5").set_index(keys)
    assert len(mine) == 2 * 2 * 2
    theirs = found[2]["penalties"].set_index(keys)
    both = mine.join(theirs.add_suffix("_grid"))
    assert both["penalty"].to_numpy() == pytest.approx(both["penalty_grid"].to_numpy(), abs=2e-6)
    assert both["test_penalty"].to_numpy() == pytest.approx(both["test_penalty_grid"].to_numpy(), abs=2e-6)


def test_fine_tuning_needs_no_training_beyond_its_start(tuned, tmp_path, monkeypatch):
    config, dataset, tables = tuned
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path))
    lines = []
    alone = tuning.run(config, 1, dataset, torch.device("cpu"), lines.append)
    kept = sorted(path.stem for path in tmp_path.glob("trajectories/*/step-*.pt"))
    assert kept == ["step-000000", "step-000004"]
    # The other half of the training changes nothing.
    tuning.run(replace(config, start=8), 1, dataset, torch.device("cpu"), lines.append)
    assert "training goes on from step 4" in lines
    again = tuning.run(config, 1, dataset, torch.device("cpu"), lines.append)
    for name in ("tuning", "untouched"):
        pd.testing.assert_frame_equal(alone[name], tables[name])
        pd.testing.assert_frame_equal(again[name], tables[name])


def test_the_fine_tuned_table_is_complete(tuned):
    config, _, tables = tuned
    table = tables["tuning"]
    cells = len(config.scores) * len(config.sets) * len(config.amounts) * 2
    assert (table.groupby(["step", "tuned"]).size() == cells).all()
    assert set(table["tuned"]) == set(config.tune_steps)
    assert set(tables["untouched"]["tuned"]) == set(config.tune_steps)
    assert (tables["removal"]["difference"] < 1e-4).all()
    assert (tables["removal"]["weights_left"] < tables["removal"]["weights"]).all()


def test_training_without_the_units_is_training_with_them_held_at_zero():
    """The removed network is trained in place of the folded one with masks, which is slower."""
    torch.manual_seed(0)
    x, y = torch.randn(200, 3, 32, 32, dtype=torch.float64), torch.randint(10, (200,))
    model = convnet("tiny", seed=3).double().eval()
    seen = units.unit_statistics(model, x, y)
    pruned = {site: units.mask_lowest(units.SCORES["norm"](s), 4) for site, s in seen.items()}
    folded = units.fold(model, pruned, {site: seen[site].mean for site in pruned})
    small = units.remove(folded, pruned)
    masks = {}
    for site in units.unit_layers(model):
        keep = (~pruned[site.name]).double()
        name = f"{site.producer}"
        masks[f"{name}.weight"] = keep.view(-1, *[1] * (model[site.producer].weight.ndim - 1)).expand_as(
            model[site.producer].weight
        )
        masks[f"{name}.bias"] = keep
    recipe = Recipe(12, learning_rate=0.05, batch_size=32)
    Trainer(folded, x, y, recipe, seed=5, masks=masks).advance()
    Trainer(small, x, y, recipe, seed=5).advance()
    assert (outputs(folded, x) - outputs(small, x)).abs().max() < 1e-10
    before = copy.deepcopy(model)
    assert (outputs(before, x) - outputs(small, x)).abs().max() > 1e-3


def test_single_units_are_variants_of_one_unit(found):
    _, _, tables = found
    single = tables["single_units"]
    assert (single.groupby(["unit", "replacement"]).size() == 1).all()
    assert {f"score_{name}" for name in units.SCORES} <= set(single.columns)
    assert Variant({}).constants is None


def test_pictures_from_a_folder_and_in_its_place(tmp_path, monkeypatch):
    config = STUDIES["mr-pictures"].presets["smoke"][0]
    monkeypatch.delenv("PRUNEBOOK_DATA", raising=False)
    with pytest.raises(DataError, match="no image folder"):
        picture_folders.prepare(config, str(tmp_path), "cpu")
    named, found = picture_folders.prepare(config, None, "cpu")
    assert found.stand_in
    assert named.dataset == "digits"
    assert found.train.x.shape[1:] == (3, 64, 64)
    rng = np.random.default_rng(0)
    for part, kind, number in itertools.product(("train", "val"), "ab", range(config.limit)):
        folder = tmp_path / part / kind
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (70, 80, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    config = replace(config, batch_size=8)
    named, found = picture_folders.prepare(config, str(tmp_path), "cpu")
    assert not found.stand_in
    tables = picture_folders.run(named, 1, found, torch.device("cpu"), str)
    assert len(tables["penalties"]) == 2 * 2 * 5 * 2 * 2  # steps 0 and 4
