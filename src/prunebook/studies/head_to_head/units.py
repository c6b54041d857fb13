"""One seed of a convolutional network: every score with zeros and with means, before and after the same fine-tuning.

losses   as for weights; ``ranking`` is the score, ``compensation`` "none" (zeros) or "mean", ``left`` counts parameters
cost     part, name, seconds, seen, threads
latency  ratio, form, batch, milliseconds, bytes, threads: of the whole network and of the one without its units
checks   name, value

Units are pruned in all hidden layers, in each the same share, rounded down. Means are folded into the next bias and
the units are then taken out, so what is fine-tuned is a smaller network. Units drawn as a coreset are not here: their
sensitivities are known for dense layers only, and most of these layers are convolutions.
"""

from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from prunebook import units
from prunebook.networks.likelihood import measured
from prunebook.studies.checks import check_table, require_none
from prunebook.studies.head_to_head.config import DENSE, REPLACEMENTS, OnUnits
from prunebook.studies.head_to_head.costs import COST
from prunebook.studies.mean_replacement import penalties
from prunebook.training import timing
from prunebook.training.choosing import advance_and_choose
from prunebook.training.on_images import milestones, recipe_of, train_along
from prunebook.training.sgd import Trainer, outputs, score
from prunebook.training.snapshots import LAYOUT

TOLERANCE = 1e-3  # of logits in float32, between a folded network and the smaller one
LOOKS = 10  # at the held-out images while fine-tuning
FREE = ("norm", "rand")  # scores that look at no image


def run(config: OnUnits, seed: int, dataset, device, report) -> dict[str, pd.DataFrame]:
    """All tables of one seed. Every network is fine-tuned on the same minibatches in the same order."""
    model, trajectory = train_along(config, dataset, seed, config.start, report)
    trajectory.load(config.start, model)
    data = _subsets(config, dataset, seed)
    x, y = dataset.train.x.contiguous(memory_format=LAYOUT), dataset.train.y
    tuning = recipe_of(config, config.tune_steps)

    def tuned(network: nn.Sequential) -> list[dict]:
        trainer = Trainer(network, x, y, tuning, seed=10**6 * seed + 1, precision=config.precision)
        step, best = advance_and_choose(trainer, *data.held, milestones(tuning.steps, max(1, tuning.steps // LOOKS)))
        end = {"stage": "fine-tuned", **_measured(network.eval(), data)}
        return [end, {"stage": "best", "step": step, **_measured(best, data)}]

    rows, latency, done, worst, uneven = [], [], {}, 0.0, 0
    rows.append({**_label(DENSE, "none", 0.0), "stage": "trained", **_measured(model, data)})
    at, cost = _scored(config, model, data, seed)
    for ratio in config.ratios:
        sizes = set()
        for name in config.scores:
            gone = at.masks(name, "all", ratio)
            for compensation in REPLACEMENTS:
                means = at.means(gone) if compensation == "mean" else None
                folded = units.fold(model, gone, means, shape=tuple(x.shape[1:]))
                small = units.remove(folded, gone).to(memory_format=LAYOUT)
                few = data.x_test[:100]
                worst = max(worst, float((outputs(folded, few) - outputs(small, few)).abs().max()))
                sizes.add(sum(p.numel() for p in small.parameters()))
                if name == config.scores[0] and compensation == "none":
                    found = timing.removed_latency(model, small, data.x_test)
                    latency += [{"ratio": ratio, **row} for row in found]
                reached = float(torch.cat(list(gone.values())).double().mean())
                label = {**_label(name, compensation, ratio), "reached": reached}
                rows.append({**label, "stage": "pruned", **_measured(small, data)})
                key = penalties.choice(compensation, gone)
                if key not in done:
                    done[key] = tuned(small)
                rows += [{**label, **row} for row in done[key]]
        uneven += len(sizes) - 1
        report(f"pruned and fine-tuned at ratio {ratio:g}")
    rows += [{**_label(DENSE, "none", 0.0), **row} for row in tuned(model)]
    checks = {"sizes that differ at one ratio": uneven}
    require_none(checks | {"logits that removal changed": int(worst > TOLERANCE)})
    checks |= {"largest change of a logit by removal": worst, "networks fine-tuned": len(done) + 1}
    checks |= {"test samples": len(data.y_test)}
    return {"losses": pd.DataFrame(rows), "cost": cost, "latency": pd.DataFrame(latency), "checks": check_table(checks)}


@dataclass(frozen=True)
class Subsets(penalties.Subsets):
    """And images that are neither trained nor tested on, with their classes."""

    held: tuple[Tensor, Tensor]


def _subsets(config: OnUnits, dataset, seed: int) -> Subsets:
    """The images that scores see, the first test images, and those held out."""
    seen = penalties.subsets(dataset, config.samples, seed)
    x_test, x_held = (part.x.contiguous(memory_format=LAYOUT) for part in (dataset.test, dataset.dev))
    test = slice(config.test_limit)
    return Subsets(seen.x, seen.y, x_test[test], dataset.test.y[test], (x_held, dataset.dev.y))


def _label(ranking: str, compensation: str, ratio: float) -> dict:
    return {"ranking": ranking, "compensation": compensation, "ratio": ratio, "tuned": True, "reached": 0.0}


def _scored(config: OnUnits, model: nn.Sequential, data: Subsets, seed: int) -> tuple:
    """The network looked at, a `Moment`, and the table of what its scores and means cost with one thread."""
    device, images = data.x.device, len(data.y)
    seen, looking = timing.timed(lambda: units.unit_statistics(model, data.x, data.y), device)
    scores, rows = {}, []
    for name in config.scores:
        score_it = partial(penalties.score_of, name, seen, seed, config.start)
        scores[name], seconds = timing.timed(score_it, device)
        rows.append(("ranking", name, seconds, 0) if name in FREE else ("ranking", name, seconds + looking, images))
    _, forward = timing.timed(lambda: outputs(model, data.x), device)
    rows += [("compensation", "none", 0.0, 0), ("compensation", "mean", looking, images)]
    rows.append(("reference", "forward pass", forward, images))
    cost = pd.DataFrame(rows, columns=COST).assign(threads=1)
    return penalties.Moment(model, config.start, data, seen, scores), cost


def _measured(network: nn.Sequential, data: Subsets) -> dict:
    x_held, y_held = data.held
    told = measured(outputs(network, data.x_test), data.y_test, outputs(network, x_held), y_held)
    found = {name: float(value) for name, value in told._asdict().items()}
    train_loss, _ = score(outputs(network, data.x), data.y)
    left = sum(p.numel() for p in network.parameters())
    return {"left": left, **found, "accuracy": 1 - found["error"], "train_loss": train_loss}
