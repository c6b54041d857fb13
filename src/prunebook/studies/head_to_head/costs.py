"""What rankings and compensations cost, and what pruned weights save. Everything is timed with one thread."""

from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from prunebook.coresets import network
from prunebook.studies.head_to_head.config import SENSITIVITY
from prunebook.studies.head_to_head.fitting import Bench, masks_of
from prunebook.training import timing
from prunebook.training.stacked import StackedMLP
from prunebook.weights import COMPENSATIONS, CRITERIA

Scores = dict[str, dict[str, Tensor]]
COST = ["part", "name", "seconds", "seen"]


def rankings(bench: Bench, dense: nn.Sequential) -> tuple[Scores, pd.DataFrame]:
    """Scores by ranking and layer, each from the network and the samples alone, and the seconds of each."""
    config = bench.config
    points = bench.problem.x_train[bench.seen[: config.points]]
    fewer = {SENSITIVITY: config.points, "non-linear": config.nonlinear_samples}  # samples; the others see all
    scores, rows = {}, []

    def score(name: str) -> dict[str, Tensor]:
        if name == SENSITIVITY:
            return network.scores(network.network_sensitivities(dense, points))
        return CRITERIA[name](bench.calibration(dense))

    for name in config.rankings:
        scores[name], seconds = timing.timed(partial(score, name), bench.device)
        rows.append(("ranking", name, seconds, min(len(bench.seen), fewer.get(name, len(bench.seen)))))
    return scores, pd.DataFrame(rows, columns=COST).assign(threads=1)


def others(bench: Bench, dense: nn.Sequential, scores: Scores) -> pd.DataFrame:
    """Seconds of each compensation that the study uses, from the network and the samples alone, and of plain passes.

    Compensations are timed for the mask of the first ranking at ``cost_ratio``.
    """
    config, x, count = bench.config, bench.problem.x_train, len(bench.seen)
    masks = masks_of(scores, config.rankings[0], config.cost_ratio)
    stack = StackedMLP.from_models([dense])
    jobs = [
        ("compensation", name, count, lambda name=name: COMPENSATIONS[name](bench.calibration(dense), masks))
        for name in config.compensations
        if config.partners or name not in config.costly
    ]
    jobs.append(("reference", "forward pass", count, torch.no_grad()(lambda: dense(x[bench.seen]))))
    jobs.append(("reference", "epoch of training", len(x), lambda: bench.train(stack, 1, 0)))
    rows = [(part, name, timing.timed(job, bench.device)[1], seen) for part, name, seen, job in jobs]
    return pd.DataFrame(rows, columns=COST).assign(threads=1)


def latency(bench: Bench, dense: nn.Sequential, scores: Scores) -> pd.DataFrame:
    """Time of a forward pass on the CPU under the masks of the first ranking, and bytes."""
    x = bench.problem.x_test[: max(timing.BATCHES)]
    parts = []
    for ratio in bench.config.ratios:
        masks = masks_of(scores, bench.config.rankings[0], ratio)
        parts.append(pd.DataFrame(timing.masked_latency(dense, masks, x)).assign(ratio=ratio))
    return pd.concat(parts, ignore_index=True)
