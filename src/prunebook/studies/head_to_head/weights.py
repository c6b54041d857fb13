"""One seed of a dense network: every ranking with every compensation, before and after the same fine-tuning.

losses   ranking, compensation, ratio, stage, step, tuned, left, reached, loss, accuracy, error, scaled_nll, train_loss
draws    ratio, draws, expected, kept, target, comparable: the coreset that is drawn
cost     part, name, seconds, seen, threads: of rankings and compensations and, for scale, of plain passes
latency  ratio, form, batch, milliseconds, bytes, difference, threads
checks   name, value: what must hold in every run

Stages are "trained", "pruned", "fine-tuned" and "best": of a few looks on the way, and one before, the one with the
lowest loss on held-out samples; its ``step`` counts the minibatches until then. Rankings "dense" (trained on without
pruning) and "narrow" (a narrower network of about as many weights, trained from the start and then on) are controls.
``left`` counts weights. ``error`` and ``scaled_nll`` are those of ``networks.likelihood``.
"""

import pandas as pd
import torch
from torch import nn

from prunebook.coresets import network
from prunebook.data.tasks import Problem
from prunebook.networks.mlp import mlp, narrowed
from prunebook.studies.checks import check_table, require_none
from prunebook.studies.head_to_head import costs
from prunebook.studies.head_to_head.config import DENSE, DRAWN, NARROW, OnWeights, is_tuned, pairs, scope_of
from prunebook.studies.head_to_head.fitting import Bench, Queue, from_draw, masks_of, off
from prunebook.training.stacked import StackedMLP
from prunebook.weights import pruned_layers


def run(config: OnWeights, seed: int, problem: Problem, device, report) -> dict[str, pd.DataFrame]:
    """All tables of one seed. The seed decides initial weights, batch order and every random draw."""
    order = torch.randperm(len(problem.x_train), generator=torch.Generator().manual_seed(seed))
    bench = Bench(config, seed, problem, report, order[: config.calibration].to(problem.x_train.device))
    queue = Queue(bench)
    stack = bench.trained([config.widths])
    dense = stack.write_to(0, mlp(config.widths).to(bench.device))
    queue.add(stack, [(DENSE, "none", 0.0)], "trained", [True])
    report("trained the dense network")
    _narrow(queue)
    scores, ranked = costs.rankings(bench, dense)
    report(f"ranked in {len(scores)} ways")
    wrong = _ranked(queue, stack, dense, scores)
    draws = _drawn(queue, stack, dense)
    queue.flush()
    checks = {"weights off the ratio": wrong, **queue.faults}
    require_none(checks)
    checks |= {"networks fine-tuned": queue.done, "test samples": len(problem.x_test)}
    return {
        "losses": pd.concat(queue.tables, ignore_index=True),
        "draws": draws,
        "cost": pd.concat([ranked, costs.others(bench, dense, scores)], ignore_index=True),
        "latency": costs.latency(bench, dense, scores),
        "checks": check_table(checks),
    }


def _narrow(queue: Queue) -> None:
    """Narrower networks side by side. Their shape is not that of the dense one, so they are fine-tuned apart."""
    bench, ratios = queue.bench, queue.bench.config.ratios
    stack = bench.trained([narrowed(bench.config.widths, ratio) for ratio in ratios])
    labels = [(NARROW, "none", ratio) for ratio in ratios]
    queue.tables.append(bench.measure(stack, labels, "pruned", True))
    queue.tables += bench.tuned(stack, labels)
    bench.report(f"trained {len(ratios)} narrow networks")


def _ranked(queue: Queue, stack: StackedMLP, dense: nn.Sequential, scores: costs.Scores) -> int:
    """Every pair at every ratio into the queue; gives the number of weights that any mask is off its ratio."""
    config, calibration, wrong = queue.bench.config, queue.bench.calibration(dense), 0
    for ranking in config.rankings:
        masks = {ratio: masks_of(scores, ranking, ratio) for ratio in config.ratios}
        wrong += sum(off(mask, ratio, scope_of(ranking)) for ratio, mask in masks.items())
        mine = [compensation for name, compensation in pairs(config) if name == ranking]
        labels = [(ranking, compensation, ratio) for compensation in mine for ratio in config.ratios]
        parts = [
            list(pruned_layers(calibration, masks[ratio], compensation).values()) for _, compensation, ratio in labels
        ]
        tuned = [is_tuned(config, ranking, compensation) for _, compensation, _ in labels]
        queue.add(StackedMLP.from_parts(parts, stack.slopes), labels, "pruned", tuned)
    return wrong


def _drawn(queue: Queue, stack: StackedMLP, dense: nn.Sequential) -> pd.DataFrame:
    """Coresets by drawing into the queue, where the wanted share of weights can be drawn."""
    bench = queue.bench
    found = network.network_sensitivities(dense, bench.problem.x_train[bench.seen[: bench.config.points]])
    weights = {name: dense.get_submodule(name).weight.detach() for name in found}
    rows, labels, parts = [], [], []
    for place, ratio in enumerate(bench.config.ratios):
        draw = network.draw(weights, found, ratio, (bench.seed, place))
        row = {name: getattr(draw, name) for name in ("draws", "expected", "kept", "target")}
        rows.append({"ratio": ratio, **row, "comparable": draw.reached})
        if draw.reached:
            labels.append((DRAWN, "none", ratio))
            parts.append(from_draw(dense, draw))
    if labels:
        queue.add(StackedMLP.from_parts(parts, stack.slopes), labels, "pruned", [True] * len(labels))
    return pd.DataFrame(rows)
