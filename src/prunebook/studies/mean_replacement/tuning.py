"""Fine-tuning after pruning: is the gain of mean replacement still there some steps later?

tuning     step (of pruning), set, amount, score, replacement, tuned (steps of fine-tuning), loss, test_loss, penalty,
           test_penalty: loss minus that of the network before pruning
untouched  step, tuned, loss, test_loss: the network that goes on training unpruned
removal    step, set, amount, score, replacement, units, weights, weights_left, seconds, seconds_left, difference: the
           network without its pruned units, its time for one batch, and how far its logits are from the folded one's
"""

import pandas as pd
import torch
from torch import Tensor, nn

from prunebook import units
from prunebook.data.tasks import load
from prunebook.studies.checks import check_start
from prunebook.studies.mean_replacement import penalties
from prunebook.studies.mean_replacement.config import AfterTuning
from prunebook.training.on_images import milestones, recipe_of, train_along
from prunebook.training.sgd import Trainer, outputs, score
from prunebook.training.snapshots import LAYOUT
from prunebook.training.timing import shortest

TIMED_BATCH, TIMED_ROUNDS = 100, 15


def prepare(config: AfterTuning, data, device):
    """The images, all of the training part, and the configuration under the name of what was really loaded."""
    check_start(config, milestones(config.steps, config.snapshot_every))
    return load(config, data, device, dev=0, size=config.size)


def run(config: AfterTuning, seed: int, dataset, device, report) -> dict[str, pd.DataFrame]:
    """All tables of one seed. Every network pruned at one step is trained on the same minibatches in the same order."""
    model, trajectory = train_along(
        config, dataset, seed, config.start, report, batch_norm=config.batch_norm, init=config.init
    )
    data = penalties.subsets(dataset, config.samples, seed)
    x, y = dataset.train.x.contiguous(memory_format=LAYOUT), dataset.train.y
    recipe = recipe_of(config, max(config.tune_steps))
    trajectory.load(config.start, model)
    at = penalties.scored(model, data, config.scores, seed, config.start)
    before = _losses(model, data)

    def follow(network: nn.Sequential) -> list[dict]:
        trainer = Trainer(network, x, y, recipe, seed=10**6 * seed + config.start, precision=config.precision)
        rows = []
        for steps in config.tune_steps:
            trainer.advance(steps)
            rows.append({"step": config.start, "tuned": steps, **_losses(network, data)})
        return rows

    tuning, removal, done, timed = [], [], {}, {}
    variants = list(penalties.prunings(at, config.sets, config.amounts))
    for number, (row, pruned, means) in enumerate(variants, 1):
        folded = units.fold(model, pruned, means, border="response-mean", shape=data.x.shape[1:])
        small = units.remove(folded, pruned).to(memory_format=LAYOUT)
        shape = row["set"], row["amount"]
        if shape not in timed:  # networks of one shape take the same time, whatever is in them
            timed[shape] = _times(model, small, data.x)
        whole, left = (sum(p.numel() for p in network.parameters()) for network in (model, small))
        apart = (outputs(folded, data.x[:TIMED_BATCH]) - outputs(small, data.x[:TIMED_BATCH])).abs().max()
        facts = {"weights": whole, "weights_left": left, "difference": float(apart)}
        removal.append({"step": config.start, **row, **facts, **timed[shape]})
        key = penalties.choice(row["replacement"], pruned)
        if key not in done:
            done[key] = follow(small)
        for found in done[key]:
            penalty, test_penalty = (found[name] - before[name] for name in ("loss", "test_loss"))
            tuning.append({**found, **row, "penalty": penalty, "test_penalty": test_penalty})
        report(f"fine-tuned {number} of the {len(variants)} networks pruned at step {config.start}")
    untouched = follow(model)
    return {"tuning": pd.DataFrame(tuning), "untouched": pd.DataFrame(untouched), "removal": pd.DataFrame(removal)}


def _losses(model: nn.Sequential, data: penalties.Subsets) -> dict[str, float]:
    names = ("loss", "test_loss")
    return {name: score(outputs(model, x), y)[0] for name, (x, y) in zip(names, data.both, strict=True)}


@torch.inference_mode()
def _times(model: nn.Sequential, small: nn.Sequential, x: Tensor) -> dict[str, float]:
    batch, networks = x[:TIMED_BATCH], (model.eval(), small.eval())
    times = shortest([lambda net=net: net(batch) for net in networks], x.device, least=TIMED_ROUNDS)
    return dict(zip(("seconds", "seconds_left"), times, strict=True))
