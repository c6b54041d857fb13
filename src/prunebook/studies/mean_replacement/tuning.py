"""Fine-tuning after pruning: is the gain of mean replacement still there some steps later?

tuning     step (of pruning), set, amount, score, replacement, tuned (steps of fine-tuning), loss, test_loss, penalty,
           test_penalty: loss minus that of the network before pruning
untouched  step, tuned, loss, test_loss: the network that goes on training unpruned
removal    step, set, amount, score, replacement, units, weights, weights_left, seconds, seconds_left, difference: the
           network without its pruned units, its time for one batch, and how far its logits are from the folded one's
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import pandas as pd
import torch
from torch import Tensor, nn

from prunebook import units
from prunebook.data import images
from prunebook.errors import InputError
from prunebook.studies.mean_replacement import penalties
from prunebook.studies.mean_replacement.config import AlongTraining
from prunebook.training.on_images import milestones, train_on_images
from prunebook.training.sgd import Recipe, Trainer, outputs, score
from prunebook.training.snapshots import LAYOUT

TIMED_BATCH, TIMED_ROUNDS = 100, 15


@dataclass(frozen=True)
class AfterTuning(AlongTraining):
    """The trainings are those of ``AlongTraining``; one of their snapshots is pruned and trained on.

    A run is one step of pruning and not several, so that less is lost with one that is interrupted. The training is
    followed no further than that step.

    Assumptions where the paper is silent: the learning rate of the training, and a momentum that starts at zero.

    Attributes:
        start: step at which the network is pruned.
        tune_steps: numbers of minibatches after which the loss is measured.
    """

    study: ClassVar[str] = "mr-tuning"
    start: int = 25_000
    tune_steps: tuple[int, ...] = (0, 10, 100, 500)
    scores: tuple[str, ...] = ("norm", "abs_rs", "abs_mrs")
    sets: tuple[str, ...] = ("all", "midconv")
    amounts: tuple[float | int, ...] = (0.1, 0.2, 0.5)


def prepare(config: AfterTuning, data, device):
    """The images, all of the training part, and the configuration under the name of what was really loaded."""
    if config.start not in milestones(config.steps, config.snapshot_every):
        raise InputError(
            f"start={config.start} has no snapshot: take a multiple of {config.snapshot_every} up to {config.steps}"
        )
    found = images.load(config.dataset, data=data, device=device, dev=0, limit=config.limit, size=config.size)
    return replace(config, dataset=found.name), found


def run(config: AfterTuning, seed: int, dataset, device, report) -> dict[str, pd.DataFrame]:
    """All tables of one seed. Every network pruned at one step is trained on the same minibatches in the same order."""
    along = Recipe(
        config.steps,
        learning_rate=config.learning_rate,
        momentum=config.momentum,
        batch_size=config.batch_size,
    )
    model, trajectory = train_on_images(
        config.net,
        dataset,
        along,
        seed,
        [step for step in milestones(config.steps, config.snapshot_every) if step <= config.start],
        batch_norm=config.batch_norm,
        init=config.init,
        precision=config.precision,
        report=report,
    )
    data = penalties.subsets(dataset, config.samples, seed)
    x, y = dataset.train.x.contiguous(memory_format=LAYOUT), dataset.train.y
    recipe = replace(along, steps=max(config.tune_steps))
    trajectory.load(config.start, model)
    seen, scores = penalties.scored(model, data, config.scores, seed, config.start)
    before = _losses(model, data)

    def follow(network: nn.Sequential) -> list[dict]:
        trainer = Trainer(network, x, y, recipe, seed=10**6 * seed + config.start, precision=config.precision)
        rows = []
        for steps in config.tune_steps:
            trainer.advance(steps)
            rows.append({"step": config.start, "tuned": steps, **_losses(network, data)})
        return rows

    tuning, removal = [], []
    done: dict[bytes, list[dict]] = {}
    timed: dict[tuple, dict[str, float]] = {}
    variants = list(_prunings(model, config, seen, scores))
    for number, (row, pruned, means) in enumerate(variants, 1):
        folded = units.fold(model, pruned, means, border="response-mean", shape=data.x.shape[1:])
        small = units.remove(folded, pruned).to(memory_format=LAYOUT)
        shape = row["set"], row["amount"]
        if shape not in timed:  # networks of one shape take the same time, whatever is in them
            timed[shape] = _times(model, small, data.x)
        removal.append(
            {"step": config.start, **row, **_removed(model, folded, small, data.x), **timed[shape]}
        )
        key = row["replacement"].encode() + b"".join(bytes(m.cpu().numpy()) for m in pruned.values())
        same = done.setdefault(key, [])
        same += [] if same else follow(small)  # two scores that choose alike are one network
        tuning += [{**found, **row, **_penalties(found, before)} for found in same]
        report(f"fine-tuned {number} of the {len(variants)} networks pruned at step {config.start}")
    untouched = follow(model)
    return {
        "tuning": pd.DataFrame(tuning),
        "untouched": pd.DataFrame(untouched),
        "removal": pd.DataFrame(removal),
    }


def _prunings(
    model: nn.Sequential, config: AfterTuning, seen, scores
) -> Iterator[tuple[dict, dict[str, Tensor], dict[str, Tensor] | None]]:
    for name, by_site in scores.items():
        for layer_set in config.sets:
            for amount in config.amounts:
                pruned = penalties.masks(model, by_site, layer_set, amount)
                count = int(sum(mask.sum() for mask in pruned.values()))
                for replacement in penalties.REPLACEMENTS:
                    row = {"score": name, "set": layer_set, "amount": float(amount), "units": count}
                    means = {site: seen[site].mean for site in pruned} if replacement == "mean" else None
                    yield {**row, "replacement": replacement}, pruned, means


def _losses(model: nn.Sequential, data: penalties.Subsets) -> dict[str, float]:
    names = ("loss", "test_loss")
    return {name: score(outputs(model, x), y)[0] for name, (x, y) in zip(names, data.both, strict=True)}


def _penalties(found: dict, before: dict[str, float]) -> dict[str, float]:
    return {
        "penalty": found["loss"] - before["loss"],
        "test_penalty": found["test_loss"] - before["test_loss"],
    }


def _removed(model: nn.Sequential, folded: nn.Sequential, small: nn.Sequential, x: Tensor) -> dict:
    batch = x[:TIMED_BATCH]
    return {
        "weights": sum(p.numel() for p in model.parameters()),
        "weights_left": sum(p.numel() for p in small.parameters()),
        "difference": float((outputs(folded, batch) - outputs(small, batch)).abs().max()),
    }


def _times(model: nn.Sequential, small: nn.Sequential, x: Tensor) -> dict[str, float]:
    batch = x[:TIMED_BATCH]
    return {"seconds": _seconds(model, batch), "seconds_left": _seconds(small, batch)}


@torch.inference_mode()
def _seconds(model: nn.Sequential, batch: Tensor) -> float:
    """The shortest of some rounds: other work on the machine only adds."""
    model.eval()
    times = []
    for _ in range(TIMED_ROUNDS):
        begin = time.perf_counter()
        model(batch)
        if batch.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return min(times)
