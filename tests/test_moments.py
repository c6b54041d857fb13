"""The study of replacements and their moments: its tables against the definitions, cell by cell."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from prunebook import units
from prunebook.errors import InputError
from prunebook.store.probes import PROBES
from prunebook.studies.mean_replacement import penalties
from prunebook.studies.moments import run
from prunebook.studies.moments.config import NETS, REPLACEMENTS, Moments
from prunebook.studies.moments.replacing import look, replaced
from prunebook.training.on_images import train_on_images
from prunebook.training.sgd import Recipe, Trainer, outputs, score
from prunebook.training.snapshots import LAYOUT

CONFIG: Moments = PROBES["mr-moments"]["tiny"]
CELL = ["step", "score", "amount", "layers", "replacement"]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNEBOOK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def carried_out(config):
    config, dataset = run.prepare(config, None, "cpu")
    return run.run(config, 1, dataset, torch.device("cpu"), str), dataset


@pytest.fixture(scope="module")
def found():
    return carried_out(CONFIG)


def network(config, dataset, step):
    plan, batch_norm = NETS[config.net]
    recipe = Recipe(config.train_steps, config.learning_rate, config.train_momentum, config.batch_size)
    model, along = train_on_images(plan, dataset, recipe, 1, [step], batch_norm=batch_norm)
    return along.load(step, model)


def test_every_cell_is_there_once_on_both_sets_of_images(found):
    moments = found[0]["moments"]
    grid = len(CONFIG.scores) * len(CONFIG.amounts) * len(CONFIG.layer_sets) * len(REPLACEMENTS)
    assert len(moments) == 2 * (grid + 1) * len(CONFIG.snapshots)
    assert not moments.duplicated([*CELL, "images"]).any()
    assert set(moments["replacement"]) == {"none", *REPLACEMENTS}
    assert np.isfinite(moments[["loss", "error", "scaled_nll"]]).all(axis=None)
    shrinking = moments["replacement"].isin(["none", "zero", "mean", "re-fit"])
    assert (moments["variance_kept"].notna() == shrinking).all()


def test_losses_are_those_of_the_network_with_its_units_overwritten(found):
    tables, dataset = found
    model, moments = network(CONFIG, dataset, 4), tables["moments"]
    data = penalties.subsets(dataset, CONFIG.samples, 1)
    seen, at = penalties.scored(model, data, ["abs_mrs"], 1, 4), moments.set_index([*CELL, "images"])
    masks = seen.masks("abs_mrs", "all", 0.3)
    for images, (x, y) in zip(("scored", "test"), data.both, strict=True):
        for name, means in (("zero", None), ("mean", seen.means(masks))):
            loss, accuracy = score(units.masked_outputs(model, x, masks, means).detach(), y)
            row = at.loc[(4, "abs_mrs", 0.3, "all", name, images)]
            assert row["loss"] == pytest.approx(loss, rel=1e-5)
            assert row["error"] == pytest.approx(1 - accuracy)
        whole = moments[(moments["replacement"] == "none") & (moments["images"] == images)].iloc[0]
        assert whole["loss"] == pytest.approx(score(outputs(model, x), y)[0], rel=1e-5)


def test_the_share_of_variance_is_that_of_the_layer_that_reads_the_units(found):
    tables, dataset = found
    moments = tables["moments"]
    shares = moments[moments["images"] == "scored"].pivot_table(
        index=CELL[:-1], columns="replacement", values="variance_kept"
    )
    alone = shares.xs("firstdense", level="layers")
    assert alone["zero"].to_numpy() == pytest.approx(alone["mean"].to_numpy(), rel=1e-4)  # a shift has no variance
    model, data = network(CONFIG, dataset, 4), penalties.subsets(dataset, CONFIG.samples, 1)
    (site,) = units.layer_set(model, "firstdense")
    gone = penalties.scored(model, data, ["abs_mrs"], 1, 4).masks("abs_mrs", "firstdense", 0.3)
    hidden = units.forward(model[: site.index + 1], data.x, {}).detach()
    weight = model[site.consumer].weight.detach()
    before, after = ((part @ weight.T).var(0).sum() for part in (hidden, hidden * ~gone[site.name]))
    assert alone.loc[(4, "abs_mrs", 0.3), "mean"] == pytest.approx(float(after / before), rel=1e-4)


def test_the_variance_of_units_is_that_of_their_outputs(found):
    model = network(CONFIG, found[1], 4)
    data = penalties.subsets(found[1], CONFIG.samples, 1)
    scores = look(model, data, ("variance", "norm"), 1, 4).scores
    for site in units.unit_layers(model):
        outputs_of_site = units.forward(model[: site.index + 1], data.x, {}).detach().double()
        axes = (0, 2, 3) if outputs_of_site.ndim == 4 else (0,)
        expected = outputs_of_site.var(axes, unbiased=False)
        assert torch.allclose(scores["variance"][site.name], expected, rtol=1e-3, atol=1e-9)
    assert list(scores) == ["variance", "norm"]


def test_momentum_that_is_carried_over_is_that_of_the_training(found):
    _, dataset = found
    x, y = dataset.train.x.contiguous(memory_format=LAYOUT), dataset.train.y
    recipe = Recipe(CONFIG.train_steps, CONFIG.learning_rate, CONFIG.train_momentum, CONFIG.batch_size)
    config = replace(CONFIG, before=4)  # from the very beginning: then it is the momentum of the training exactly
    model = network(CONFIG, dataset, 0)
    trainer = Trainer(network(CONFIG, dataset, 0), x, y, recipe, seed=1)
    trainer.advance(config.start)
    momenta = run._momenta(config, model, dataset, 1)
    for mine, theirs in zip(momenta.parameters(), trainer.model.parameters(), strict=True):
        assert torch.equal(mine, trainer.optimiser.state[theirs]["momentum_buffer"])
    # The unpruned network with it goes on as the training does, but for the order of the images.
    tuned = Trainer(network(CONFIG, dataset, 4), x, y, replace(recipe, steps=3), seed=10**6 + config.start)
    run._carry(tuned, momenta)
    tuned.advance()
    test = penalties.subsets(dataset, CONFIG.samples, 1)
    loss = score(outputs(tuned.model, test.x_test), test.y_test)[0]
    again, _ = carried_out(config)
    rows = again["tuned"]
    rows = rows[(rows["replacement"] == "none")].set_index("momentum")["loss"]
    assert rows["carried"] == pytest.approx(loss, rel=1e-5)
    assert rows["carried"] != rows["fresh"]


def test_what_is_fine_tuned_is_there_with_either_momentum(found):
    tuned = found[0]["tuned"]
    grid = len(CONFIG.tuned_scores) * len(CONFIG.tuned_amounts) * len(CONFIG.tuned_replacements)
    assert len(tuned) == 2 * (grid + 1)
    assert not tuned.duplicated(["score", "amount", "replacement", "momentum"]).any()
    assert (tuned["steps"] == CONFIG.tune_steps).all()


def test_batch_norm_is_recalibrated_to_what_reaches_it():
    tables, dataset = carried_out(PROBES["mr-moments"]["batch norm"])
    assert "tuned" not in tables
    assert set(tables["moments"]["replacement"]) == {"none", *REPLACEMENTS, "recalibrated"}
    config = PROBES["mr-moments"]["batch norm"]
    model, data = network(config, dataset, 4), penalties.subsets(dataset, config.samples, 1)
    gone = {site.name: torch.arange(site.units) % 2 == 0 for site in units.unit_layers(model)}
    found = replaced("recalibrated", look(model, data, (), 1, 4), gone)[0]
    assert not found.training
    norm = next(layer for layer in found if isinstance(layer, torch.nn.BatchNorm2d))
    before = found[: list(found).index(norm)](data.x).detach()
    assert torch.allclose(norm.running_mean, before.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(norm.running_var, before.var((0, 2, 3), unbiased=True), rtol=1e-4)


def test_a_seed_decides_everything(found):
    again, _ = carried_out(CONFIG)
    for name, table in found[0].items():
        pd.testing.assert_frame_equal(table, again[name])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tuned_scores": ("rs",)}, "tuned_scores name rs"),
        ({"net": "huge"}, "unknown net 'huge'"),
        ({"start": 5}, "start=5 has no snapshot"),
        ({"before": 9}, "before=9"),
    ],
)
def test_a_configuration_that_cannot_be_carried_out_is_refused(change, told):
    with pytest.raises(InputError, match=told):
        run.prepare(replace(CONFIG, **change), None, "cpu")
