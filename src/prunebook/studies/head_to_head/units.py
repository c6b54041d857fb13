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

import pandas as pd
from torch import Tensor, nn

from prunebook import units
from prunebook.studies.head_to_head.config import DENSE, REPLACEMENTS, OnUnits
from prunebook.studies.head_to_head.weights import check_table, require_none
from prunebook.studies.mean_replacement import penalties
from prunebook.training import timing
from prunebook.training.on_images import milestones, train_on_images
from prunebook.training.sgd import Recipe, Trainer, outputs, score
from prunebook.training.snapshots import LAYOUT

TOLERANCE = 1e-3  # of logits in float32, between a folded network and the smaller one
FREE = ("norm", "rand")  # scores that look at no image


@dataclass(frozen=True)
class _Images:
    """Training images, the subset that scores see, and test images."""

    x: Tensor
    y: Tensor
    x_seen: Tensor
    y_seen: Tensor
    x_test: Tensor
    y_test: Tensor


def run(config: OnUnits, seed: int, dataset, device, report) -> dict[str, pd.DataFrame]:
    """All tables of one seed. Every network is fine-tuned on the same minibatches in the same order."""
    recipe = Recipe(
        config.steps,
        learning_rate=config.learning_rate,
        momentum=config.momentum,
        batch_size=config.batch_size,
    )
    marks = milestones(config.start, config.snapshot_every)
    model, trajectory = train_on_images(
        config.net, dataset, recipe, seed, marks, precision=config.precision, report=report
    )
    trajectory.load(config.start, model)
    images = _images(config, dataset, seed)
    tuning = Recipe(
        config.tune_steps,
        learning_rate=config.learning_rate,
        momentum=config.momentum,
        batch_size=config.batch_size,
    )
    rows, latency, done, worst, uneven = [], [], {}, 0.0, 0
    rows.append({**_label(DENSE, "none", 0.0), "stage": "trained", **_measured(model, images)})
    seen, scores, cost = _scored(config, model, images, seed)
    for ratio in config.ratios:
        sizes = set()
        for name, by_site in scores.items():
            gone = penalties.masks(model, by_site, "all", ratio)
            for compensation in REPLACEMENTS:
                means = {site: seen[site].mean for site in gone} if compensation == "mean" else None
                folded = units.fold(model, gone, means, shape=tuple(images.x.shape[1:]))
                small = units.remove(folded, gone).to(memory_format=LAYOUT)
                worst = max(worst, _difference(folded, small, images.x_test))
                sizes.add(sum(p.numel() for p in small.parameters()))
                if name == config.scores[0] and compensation == "none":
                    found = timing.removed_latency(model, small, images.x_test)
                    latency += [{"ratio": ratio, **row} for row in found]
                label = {**_label(name, compensation, ratio), "reached": _share(gone)}
                rows.append({**label, "stage": "pruned", **_measured(small, images)})
                # Two scores that choose alike are one network.
                key = compensation.encode() + b"".join(bytes(mask.cpu().numpy()) for mask in gone.values())
                if key not in done:
                    done[key] = _tuned(small, images, tuning, seed, config.precision)
                rows.append({**label, "stage": "fine-tuned", **done[key]})
        uneven += len(sizes) - 1
        report(f"pruned and fine-tuned at ratio {ratio:g}")
    rows.append(
        {
            **_label(DENSE, "none", 0.0),
            "stage": "fine-tuned",
            **_tuned(model, images, tuning, seed, config.precision),
        }
    )
    require_none(
        {"sizes that differ at one ratio": uneven, "logits that removal changed": int(worst > TOLERANCE)}
    )
    checks = {
        "sizes that differ at one ratio": uneven,
        "largest change of a logit by removal": worst,
        "networks fine-tuned": len(done) + 1,
        "test samples": len(images.y_test),
    }
    return {
        "losses": pd.DataFrame(rows),
        "cost": cost,
        "latency": pd.DataFrame(latency),
        "checks": check_table(checks),
    }


def _images(config: OnUnits, dataset, seed: int) -> _Images:
    def plain(x: Tensor) -> Tensor:
        return x.contiguous(memory_format=LAYOUT)

    subset = penalties.subsets(dataset, config.samples, seed)
    test = slice(config.test_limit)
    return _Images(
        plain(dataset.train.x),
        dataset.train.y,
        subset.x,
        subset.y,
        plain(dataset.test.x[test]),
        dataset.test.y[test],
    )


def _label(ranking: str, compensation: str, ratio: float) -> dict:
    return {"ranking": ranking, "compensation": compensation, "ratio": ratio, "tuned": True, "reached": 0.0}


def _scored(config: OnUnits, model: nn.Sequential, images: _Images, seed: int):
    """Observations, scores by name and site, and what they cost with one thread."""
    device = images.x.device
    seen, looking = timing.timed(lambda: units.unit_statistics(model, images.x_seen, images.y_seen), device)
    scores, rows = {}, []
    for name in config.scores:
        scores[name], seconds = timing.timed(lambda name=name: _score(name, seen, seed, config.start), device)
        seconds += 0 if name in FREE else looking
        rows.append(_row("ranking", name, seconds, 0 if name in FREE else len(images.y_seen)))
    rows.append(_row("compensation", "none", 0.0, 0))
    rows.append(_row("compensation", "mean", looking, len(images.y_seen)))
    _, seconds = timing.timed(lambda: outputs(model, images.x_seen), device)
    rows.append(_row("reference", "forward pass", seconds, len(images.y_seen)))
    return seen, scores, pd.DataFrame(rows)


def _score(name: str, seen, seed: int, step: int) -> dict[str, Tensor]:
    score = units.random_score(seed, step) if name == "rand" else units.SCORES[name]
    return {site: score(observation).double() for site, observation in seen.items()}


def _row(part: str, name: str, seconds: float, count: int) -> dict:
    return {"part": part, "name": name, "seconds": seconds, "seen": count, "threads": 1}


def _share(gone: dict[str, Tensor]) -> float:
    return float(sum(mask.sum() for mask in gone.values())) / sum(mask.numel() for mask in gone.values())


def _measured(network: nn.Sequential, images: _Images) -> dict:
    loss, accuracy = score(outputs(network, images.x_test), images.y_test)
    train_loss, _ = score(outputs(network, images.x_seen), images.y_seen)
    left = sum(p.numel() for p in network.parameters())
    return {"left": left, "loss": loss, "accuracy": accuracy, "train_loss": train_loss}


def _tuned(network: nn.Sequential, images: _Images, recipe: Recipe, seed: int, precision: str) -> dict:
    Trainer(network, images.x, images.y, recipe, seed=10**6 * seed + 1, precision=precision).advance()
    return _measured(network.eval(), images)


def _difference(one: nn.Sequential, other: nn.Sequential, x: Tensor) -> float:
    return float((outputs(one, x[:100]) - outputs(other, x[:100])).abs().max())
