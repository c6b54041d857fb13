"""All biases at once: the linearised optimum, and what changes do to the outputs, to first order and truly."""

import copy
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from prunebook.networks.evaluating import evaluating
from prunebook.networks.linear_layers import outputs, type_of
from prunebook.weights.calibration import Calibration
from prunebook.weights.compensations import Change, Changes, Masks, compensation
from prunebook.weights.masks import apply

CUTOFF = 1e-8  # directions with a relative eigenvalue below this are left alone


@compensation("joint")
def joint(calibration: Calibration, masks: Masks, cutoff: float = CUTOFF) -> Changes:
    """Bias shifts of all units of all layers together that minimise the mean squared linearised output change.

    They solve sum_k E[J_i.J_k] db_k = E[J_i . sum_k J_k s_k], with s_k(x) the removed signal of unit k. The equations
    are scaled to a unit diagonal, and solved with least norm on the eigenvectors with an eigenvalue above `cutoff`
    times the largest: units that act alike make them singular. Dead units get W E[a], as under "elimination".
    """
    normal, right, _ = normal_equations(calibration, masks)
    scale = normal.diagonal().sqrt()
    dead = scale == 0
    inverse = torch.where(dead, 0.0, 1 / torch.where(dead, 1.0, scale))
    values, vectors = torch.linalg.eigh(normal * inverse[:, None] * inverse)
    used = values > cutoff * values[-1]
    vectors = vectors[:, used]
    shifts = inverse * (vectors @ ((vectors.T @ (inverse * right)) / values[used]))
    shifts = dict(zip(masks, shifts.split([len(mask) for mask in masks.values()]), strict=True))
    changes = {}
    for name, mask in masks.items():
        layer = calibration.statistics[name]
        removed_mean = (torch.where(mask, 0.0, layer.weight) * layer.mean).sum(1)
        changes[name] = Change(None, torch.where(layer.dead, removed_mean, shifts[name]))
    return changes


def normal_equations(
    calibration: Calibration, masks: Masks
) -> tuple[Float[Tensor, "units units"], Float[Tensor, " units"], Float[Tensor, ""]]:
    """(H, r, c) such that shifting the biases by db leaves the linearised error db.H db - 2 r.db + c; float64."""
    removal = {name: Change(None, torch.zeros_like(calibration.weights[name][:, 0])) for name in masks}
    normal = right = constant = 0.0
    for by_bias, change in _rows(calibration, masks, removal):
        stacked = torch.cat([by_bias[name] for name in masks], 1)  # (B, units)
        normal = normal + stacked.T @ stacked
        right = right - stacked.T @ change
        constant = constant + change @ change
    count = next(iter(calibration.statistics.values())).count
    return normal / count, right / count, constant / count


def linearised_change(calibration: Calibration, masks: Masks, changes: Changes) -> float:
    """E|dy|^2 to first order for the whole set of changes together; single importances are its diagonal.

    Estimated, without bias, where the calibration has probes.
    """
    total = sum(change @ change for _, change in _rows(calibration, masks, changes))
    return float(total) / next(iter(calibration.statistics.values())).count


def true_change(calibration: Calibration, masks: Masks, changes: Changes) -> float:
    """E|y' - y|^2 of the network pruned with these masks and changes: where `linearised_change` differs, it breaks."""
    pruned, call = apply(calibration.model, masks, changes), calibration.batches.call
    total, count = 0.0, 0
    with evaluating(calibration.model), evaluating(pruned), torch.no_grad():
        for x, _ in calibration.batches:
            y = call(calibration.model, x)
            total += (call(pruned, x) - y).double().square().sum()
            count += len(y)
    return float(total) / count


def _rows(calibration: Calibration, masks: Masks, changes: Changes) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """For each batch and output: dy/db of each layer (B, o), and the linearised change of the output (B)."""
    calibration.foretell()
    generator = calibration.generator("probes")
    steps = {}  # layers that give the change of what each gives
    for name, mask in masks.items():
        steps[name], change = copy.deepcopy(calibration.layers[name]).double(), changes[name]
        weight = torch.where(mask, 0.0 if change.weight is None else change.weight, -calibration.weights[name])
        steps[name].weight = nn.Parameter(weight.view_as(steps[name].weight), requires_grad=False)
        steps[name].bias = nn.Parameter(change.bias, requires_grad=False)
    with calibration.recorder() as recorder:
        for x, _ in calibration.batches:
            batch = recorder(x)
            signals = {n: [type_of(s).forward(s, a.double()) for a, _ in batch.calls[n]] for n, s in steps.items()}
            for row in batch.rows(calibration.probes, generator):
                by_bias, total = {}, torch.zeros(len(batch.y), dtype=torch.float64, device=batch.y.device)
                for name, mask in masks.items():
                    by_bias[name] = total.new_zeros(len(batch.y), len(mask))
                    for g, signal in zip(row[name], signals[name], strict=True):
                        by_bias[name] += outputs(steps[name], g.double()).sum(1).flatten(1)
                        total += (g * signal).flatten(1).sum(1)
                yield by_bias, total
