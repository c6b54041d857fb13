"""Every replacement of pruned units along one training, and the fine-tuning of some of them.

moments  step, score, amount, layers, replacement, images ("scored" or "test"), units, loss, error, scaled_nll,
         variance_kept: with zeros, means and re-fits the share of the variance of pre-activations that is left on the
         scored images; a gain leaves all of it, and recalibration does not touch it
tuned    step, score, amount, replacement, momentum ("fresh" or "carried"), steps (of fine-tuning), loss, error,
         scaled_nll: on test images
history  step, train_loss: mean over the steps since the last snapshot

Rows of replacement "none" are the network that nothing was taken from. All networks that are fine-tuned see the same
minibatches. Momentum that is carried over is that of the training, gone through again from ``before`` steps earlier on,
as snapshots keep weights alone; that of removed weights goes with them.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from prunebook import units
from prunebook.data.tasks import load
from prunebook.errors import InputError
from prunebook.networks.likelihood import measured
from prunebook.studies.mean_replacement import penalties
from prunebook.studies.moments.config import MOMENTA, NETS, WHOLE, Moments
from prunebook.studies.moments.replacing import look, replaced, replacements_of
from prunebook.training.on_images import train_on_images
from prunebook.training.sgd import Recipe, Trainer, outputs
from prunebook.training.snapshots import LAYOUT

Masks = dict[str, Tensor]
SHRINKING = ("zero", "mean", "re-fit")  # what leaves less of a variance than there was


def prepare(config: Moments, data, device):
    """The images, all of the training part, and the configuration under the name of what was really loaded."""
    if config.net not in NETS:
        raise InputError(f"unknown net {config.net!r}: choose from {', '.join(NETS)}")
    if config.start and config.start not in config.snapshots:
        raise InputError(f"start={config.start} has no snapshot: choose one of {config.snapshots}, or 0")
    if unknown := sorted(set(config.tuned_scores) - set(config.scores)):
        raise InputError(f"tuned_scores name {unknown[0]}, which is not of the scores {', '.join(config.scores)}")
    if config.start and not 0 < config.before <= config.start:
        raise InputError(f"before={config.before} must be at least 1 and at most start={config.start}")
    return load(config, data, device, dev=0)


@dataclass(frozen=True)
class Images:
    """The subsets of the study of mean replacement, and further test images that the temperature is fitted on."""

    subsets: penalties.Subsets
    x_held: Tensor
    y_held: Tensor

    def told(self, networks: list[nn.Module]) -> dict[str, dict[str, Tensor]]:
        """By images, what is measured of each network."""
        held = torch.stack([outputs(network, self.x_held) for network in networks])
        found = {}
        for name, (x, y) in zip(("scored", "test"), self.subsets.both, strict=True):
            logits = torch.stack([outputs(network, x) for network in networks])
            found[name] = measured(logits, y, held, self.y_held)._asdict()
        return found


def run(config: Moments, seed: int, dataset, device, report) -> dict[str, pd.DataFrame]:
    """All tables of one seed. The seed decides initial weights, batches, subsets and random scores."""
    plan, batch_norm = NETS[config.net]
    recipe = Recipe(config.train_steps, config.learning_rate, config.train_momentum, config.batch_size)
    steps = {*config.snapshots} | ({config.start - config.before} if config.start else set())
    options = {"batch_norm": batch_norm, "precision": config.precision, "report": report}
    model, trajectory = train_on_images(plan, dataset, recipe, seed, sorted(steps), **options)
    images, tables, tuned = _images(config, dataset, seed), [], pd.DataFrame()
    for step in config.snapshots:
        trajectory.load(step, model)
        at = look(model, images.subsets, config.scores, seed, step)
        tables.append(_along(config, at, images, step))
        report(f"measured step {step}")
        if step == config.start:
            trajectory.load(step - config.before, earlier := deepcopy(model))
            momenta = _momenta(config, earlier, dataset, seed)
            tuned = _tuned(config, at, dataset, images, momenta, seed, report)
    history = pd.DataFrame(trajectory.history, columns=["step", "train_loss"])
    found = {"moments": pd.concat(tables, ignore_index=True), "history": history}
    return found | ({"tuned": tuned} if config.start else {})


def _images(config: Moments, dataset, seed: int) -> Images:
    wide = penalties.subsets(dataset, config.samples + config.held, seed)  # the first of these are those of fewer
    one = slice(config.samples)
    narrow = penalties.Subsets(wide.x[one], wide.y[one], wide.x_test[one], wide.y_test[one])
    return Images(narrow, wide.x_test[config.samples :], wide.y_test[config.samples :])


def _cells(at: penalties.Moment, scores, layer_sets, amounts) -> Iterator[tuple[dict, Masks]]:
    """Every score, amount and layer set: its row, and the units that go."""
    for score in scores:
        for layers in layer_sets:
            for amount in amounts:
                gone = at.masks(score, layers, amount)
                count = int(sum(mask.sum() for mask in gone.values()))
                yield {"score": score, "amount": float(amount), "layers": layers, "units": count}, gone


def _along(config: Moments, at: penalties.Moment, images: Images, step: int) -> pd.DataFrame:
    """Every replacement in every cell, on scored and on test images."""
    rows, networks = [{"replacement": WHOLE, "units": 0, "variance_kept": 1.0}], [at.model]
    for row, gone in _cells(at, config.scores, config.layer_sets, config.amounts):
        for name in replacements_of(at.model):
            network, changed = replaced(name, at, gone)
            kept = units.variance_kept(at.model, changed, gone, at.data.x) if name in SHRINKING else None
            rows.append({**row, "replacement": name, "variance_kept": kept})
            networks.append(network)
    table, told = pd.DataFrame(rows), images.told(networks)
    parts = [
        table.assign(images=name, **{k: v.cpu().numpy() for k, v in found.items()}) for name, found in told.items()
    ]
    found = pd.concat(parts, ignore_index=True)
    found.insert(0, "step", step)
    return found


def _momenta(config: Moments, model: nn.Sequential, dataset, seed: int) -> nn.Sequential:
    """A network whose parameters are the momenta of the training at ``start``; the one given is where it begins."""
    recipe = Recipe(config.start, config.learning_rate, config.train_momentum, config.batch_size)
    x, y = dataset.train.x.contiguous(memory_format=LAYOUT), dataset.train.y
    trainer = Trainer(model, x, y, recipe, seed=seed, precision=config.precision)
    trainer.step = config.start - config.before  # the same minibatches as then
    trainer.advance()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(trainer.optimiser.state[parameter]["momentum_buffer"])
    return model


def _tuned(
    config: Moments, at: penalties.Moment, dataset, images: Images, momenta: nn.Sequential, seed: int, report
) -> pd.DataFrame:
    """Fine-tuning with each momentum of some replacements, and of the network that nothing was taken from."""
    recipe = Recipe(config.tune_steps, config.learning_rate, config.train_momentum, config.batch_size)
    x, y = dataset.train.x.contiguous(memory_format=LAYOUT), dataset.train.y
    start = [({"replacement": WHOLE}, at.model, {})]
    for row, gone in _cells(at, config.tuned_scores, ["all"], config.tuned_amounts):
        for name in config.tuned_replacements:
            start.append(({**row, "replacement": name}, replaced(name, at, gone)[0], gone))
    rows, networks = [], []
    for row, network, gone in start:
        for momentum in MOMENTA:
            network_now = deepcopy(network)
            trainer = Trainer(network_now, x, y, recipe, seed=10**6 * seed + config.start, precision=config.precision)
            if momentum == "carried":
                _carry(trainer, units.remove(momenta, gone))
            trainer.advance()
            rows.append({**row, "momentum": momentum})
            networks.append(network_now.eval())
        report(f"fine-tuned {len(rows)} of {2 * len(start)} networks")
    table = pd.DataFrame(rows).drop(columns="layers").assign(step=config.start, steps=config.tune_steps)
    told = images.told(networks)["test"]
    return table.assign(**{name: value.cpu().numpy() for name, value in told.items()})


def _carry(trainer: Trainer, momenta: nn.Sequential) -> None:
    """Give the optimiser the momenta that are the parameters of a network of the same form."""
    theirs = dict(momenta.named_parameters())
    for name, parameter in trainer.model.named_parameters():
        if name in theirs:  # a bias that a replacement has added has none
            trainer.optimiser.state[parameter]["momentum_buffer"] = theirs[name].detach().clone()
