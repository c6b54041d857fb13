"""The guarantees where they are strained: scaled weights, inputs from the ball, several layers, unseen points."""

from dataclasses import replace

import pandas as pd
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from prunebook.coresets.neuron_bounds import neuron_samples_hoeffding
from prunebook.coresets.sensitivity import obeyed
from prunebook.coresets.weight_bounds import accumulated
from prunebook.data.images import DataSet
from prunebook.studies.checks import check_table
from prunebook.studies.coreset_bounds.guarantees import Prepared, draw, kept, make_ready
from prunebook.studies.coreset_bounds.network import Anatomy, without_lowest


def scaling(ready: Prepared, seed: int) -> pd.DataFrame:
    """The last layer and its bias times alpha: labels stay, and what becomes of the draws that are asked for.

    Half of the labels are to be kept. "stated" is the neuron bound, "hoeffding" its replacement for all points and
    classes at once, "weights" the bound for weights. ``failed`` is the share of draws in which some logit is off by
    more than epsilon.
    """
    rows, net, before = [], ready.net, ready.net.logits.argmax(dim=1)
    for number, alpha in enumerate(ready.config.alphas):
        w_out, b_out = alpha * net.w_out, alpha * net.b_out
        scaled = replace(net, w_out=w_out, b_out=b_out, logits=net.hidden @ w_out.T + b_out)
        now = make_ready(scaled, ready.config)
        epsilon = now.tolerance("neurons", 0.5)
        failure = ready.config.delta / scaled.logits.numel()
        replacement = neuron_samples_hoeffding(epsilon, now.neurons.total, failure=failure)
        for bound, samples in (("stated", now.samples("neurons", epsilon)), ("hoeffding", replacement)):
            # The same draws for every alpha: what differs is how many of them the bound asks for.
            sampled = draw(now, "neurons", samples, (seed, 30, number))
            largest = ((sampled - w_out) @ net.hidden.T).abs().amax(dim=(1, 2))
            row = {
                "bound": bound,
                "alpha": alpha,
                "total": float(now.neurons.total),
                "epsilon": epsilon,
                "samples": float(samples),
                "kept": float(kept(sampled, "neurons").mean()),
                "largest_over_epsilon": float((largest / epsilon).mean()),
                "failed": float((largest > epsilon).double().mean()),
                "labels_changed": float((scaled.logits.argmax(dim=1) != before).double().mean()),
            }
            rows.append(row)
        samples = now.samples("weights", now.tolerance("weights", 0.5))
        rows.append({"bound": "weights", "alpha": alpha, "samples": float(samples.sum())})
    return pd.DataFrame(rows)


def ball_points(net: Anatomy, count: int, where: str, seed: int) -> Float64[Tensor, "count d1"]:
    """Queries with the appended coordinate, which is drawn like the others, uniform in the ball of the bound's radius.

    "ball": normal directions, radius R U^(1/D). "orthant": the same without signs, as no real query is negative.
    """
    d = net.w_in.shape[1] + 1
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(count, d, generator=generator, dtype=torch.float64)
    direction /= direction.norm(dim=1, keepdim=True)
    radius = net.radius * torch.rand(count, 1, generator=generator, dtype=torch.float64) ** (1 / d)
    points = (direction.abs() if where == "orthant" else direction) * radius
    return points.to(net.w_in.device)


def other_inputs(ready: Prepared, seed: int, count: int = 2000) -> pd.DataFrame:
    """Errors of the same sampled units on held-out data and on points of the ball, at the draws for half of the
    labels."""
    net = ready.net
    epsilon = ready.tolerance("neurons", 0.5)
    sampled = draw(ready, "neurons", ready.samples("neurons", epsilon), (seed, 40))
    units = torch.cat([net.w_in, net.b_in[:, None]], dim=1)
    rows = []
    for where in ("data", "ball", "orthant"):
        hidden = net.hidden if where == "data" else (ball_points(net, count, where, seed) @ units.T).relu()
        error = ((sampled - net.w_out) @ hidden.T).abs()
        logit, exceeded = (net.w_out @ hidden.T).abs().mean(), (error > epsilon).double().mean()
        seen = (float(value) for value in (error.mean(), error.std(), error.amax(), logit, exceeded))
        rows.append((where, epsilon, *seen))
    return pd.DataFrame(rows, columns=["inputs", "epsilon", "error", "error_sd", "error_max", "logit", "exceeded"])


@torch.no_grad()
def layer_by_layer(model: nn.Sequential, task: DataSet, ratios) -> pd.DataFrame:
    """All layers pruned by magnitude at one ratio, input first: each layer's error, its bound at the output, the truth.

    A layer's own error is the largest over units and held-out points, given the pruned layers before it as input.
    The bound multiplies it by the largest absolute row sum of every layer behind it.
    """
    linear = [layer for layer in model if isinstance(layer, nn.Linear)]
    weights, rows = [layer.weight for layer in linear], []
    for ratio in ratios:
        dense, pruned, errors = task.dev.x.double(), task.dev.x.double(), []
        for place, layer in enumerate(linear):
            weight, bias = layer.weight.double(), layer.bias.double()
            # Cut off without the slack for rounding that ``number_to_prune`` gives: so the results were measured.
            smaller = without_lowest(weight, weight.abs().flatten(), int(ratio * weight.numel()))
            errors.append(float((pruned @ (smaller - weight).T).abs().max()))
            dense, pruned = dense @ weight.T + bias, pruned @ smaller.T + bias
            if place < len(linear) - 1:
                dense, pruned = dense.relu(), pruned.relu()
        error = (dense - pruned).abs()
        seen = {"observed": float(error.max()), "observed_mean": float(error.mean())}
        for number, own in enumerate(errors):
            alone = [own * (number == place) for place in range(len(errors))]
            row = {"ratio": ratio, "layer": number + 1, "own_error": own, "at_output": accumulated(alone, weights)}
            rows.append(row | {"bound": accumulated(errors, weights), **seen})
    return pd.DataFrame(rows)


def assumptions(ready: Prepared, factors=(1.0, 1.5, 2.0, 3.0, 5.0)) -> pd.DataFrame:
    """Share of held-out points at which no share is above C times the weight's sensitivity, as bounds presuppose."""
    net, values = ready.net, ready.weights.values
    found = [float(obeyed(net.w_out, net.hidden, factor * values).double().mean()) for factor in factors]
    return pd.DataFrame({"C": factors, "obeyed": found})


def identities(ready: Prepared) -> pd.DataFrame:
    """Facts that hold by arithmetic, measured: softmax does not see a constant, and half the gap decides the label."""
    net = ready.net
    shifted = (net.logits - 3.7).softmax(dim=1) - net.logits.softmax(dim=1)
    found = {"softmax shift": float(shifted.abs().max())}
    logits = net.logits[net.correct]
    top, index = logits.topk(2, dim=1)
    for name, factor in (("below", 0.999), ("above", 1.001)):
        moved = factor * (top[:, 0] - top[:, 1]) / 2
        worst = logits.scatter_add(1, index, torch.stack([-moved, moved], dim=1))
        changed = (worst.argmax(dim=1) != index[:, 0]).double().mean()
        found[f"labels changed just {name} half the gap"] = float(changed)
    return check_table(found)
