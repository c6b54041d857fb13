"""What rankings and compensations cost, and what pruned weights save. Everything is timed with one thread."""

from collections.abc import Mapping

import pandas as pd
import torch
from torch import Tensor, nn

from prunebook.coresets import network
from prunebook.studies.head_to_head.config import SENSITIVITY
from prunebook.studies.head_to_head.fitting import Bench
from prunebook.studies.head_to_head.pruned import masks_of
from prunebook.training import timing
from prunebook.training.stacked import StackedMLP
from prunebook.weights import COMPENSATIONS, CRITERIA

Scores = dict[str, dict[str, Tensor]]


def rankings(bench: Bench, dense: nn.Sequential) -> tuple[Scores, pd.DataFrame]:
    """Scores by ranking and layer, each from the network and the samples alone, and the seconds of each."""
    config = bench.config
    points = bench.problem.x_train[bench.seen[: config.points]]
    scores, rows = {}, []
    for name in config.rankings:
        if name == SENSITIVITY:
            count, function = (
                len(points),
                lambda: network.scores(network.network_sensitivities(dense, points)),
            )
        else:
            brute = name == "non-linear"
            count = min(len(bench.seen), config.nonlinear_samples) if brute else len(bench.seen)
            function = _ranking(bench, dense, name)
        scores[name], seconds = timing.timed(function, bench.device)
        rows.append(_row("ranking", name, seconds, count))
    return scores, pd.DataFrame(rows)


def _ranking(bench: Bench, dense: nn.Sequential, name: str):
    return lambda: CRITERIA[name](bench.evidence(dense))


def others(bench: Bench, dense: nn.Sequential, scores: Scores) -> pd.DataFrame:
    """Seconds of each compensation that the study uses, from the network and the samples alone, and of plain passes.

    Compensations are timed for the mask of the first ranking at ``cost_ratio``.
    """
    config, rows = bench.config, []
    masks = masks_of(scores, config.rankings[0], config.cost_ratio)
    for name in config.compensations:
        if config.partners or name not in config.costly:
            _, seconds = timing.timed(_compensation(bench, dense, name, masks), bench.device)
            rows.append(_row("compensation", name, seconds, len(bench.seen)))
    _, seconds = timing.timed(torch.no_grad()(lambda: dense(bench.problem.x_train[bench.seen])), bench.device)
    rows.append(_row("reference", "forward pass", seconds, len(bench.seen)))
    stack = StackedMLP.from_models([dense])
    _, seconds = timing.timed(lambda: bench.train(stack, 1, 0), bench.device)
    rows.append(_row("reference", "epoch of training", seconds, len(bench.problem.x_train)))
    return pd.DataFrame(rows)


def _compensation(bench: Bench, dense: nn.Sequential, name: str, masks: Mapping[str, Tensor]):
    return lambda: COMPENSATIONS[name](bench.evidence(dense), masks)


def _row(part: str, name: str, seconds: float, seen: int) -> dict:
    return {"part": part, "name": name, "seconds": seconds, "seen": seen, "threads": 1}


def latency(bench: Bench, dense: nn.Sequential, scores: Scores) -> pd.DataFrame:
    """Time of a forward pass on the CPU under the masks of the first ranking, and bytes."""
    x = bench.problem.x_test[: max(timing.BATCHES)]
    parts = []
    for ratio in bench.config.ratios:
        masks = masks_of(scores, bench.config.rankings[0], ratio)
        parts.append(pd.DataFrame(timing.masked_latency(dense, masks, x)).assign(ratio=ratio))
    return pd.concat(parts, ignore_index=True)
