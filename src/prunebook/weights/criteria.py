"""Criteria: functions of the calibration that give each weight a score; the lowest are removed first.

Each returns a dict from layer name to scores (n_out, n_in) in float64, for convolutions as in `statistics`. A new one
is a function with `@criterion(name)`. W is the weight, a the layer input, expectations E are over the data.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from prunebook.errors import InputError
from prunebook.weights.brute_force import output_changes
from prunebook.weights.calibration import Calibration

Scores = dict[str, Float[Tensor, "_ _"]]

CRITERIA: dict[str, Callable[[Calibration], Scores]] = {}

DAMPING = 1e-4  # of the layer-wise least squares, relative to the mean variance of the layer's inputs


def criterion(name: str) -> Callable:
    """Decorator that files a criterion in CRITERIA: a function of the calibration that scores each layer's weights.

    Raises InputError where the name is taken.

    Examples
    --------
    >>> from prunebook.weights import CRITERIA, criterion
    >>> @criterion("largest")
    ... def largest(calibration):
    ...     return {name: -weight.abs() for name, weight in calibration.weights.items()}
    >>> CRITERIA.pop("largest") is largest
    True
    """
    return filing(CRITERIA, name, "criterion")


def filing(table: dict[str, Any], name: str, kind: str) -> Callable:
    """Decorator that puts a function into a table under a name, unless the name is taken."""
    if name in table:
        raise InputError(f"there is a {kind} {name!r} already: choose another name")
    return lambda function: table.setdefault(name, function)


@criterion("elimination-compensation")
def elimination_compensation(calibration: Calibration) -> Scores:
    """I = W^2 (A2 - A1^2/d): mean squared first-order output change after the best shift of the unit's bias.

    Ballini et al., arXiv 2602.20467, section 2, with E[(dy/db)^2] as the denominator (its printed scalar
    formula has E[dy/db]^2, which does not follow from its own minimisation).
    """
    return {name: layer.residual for name, layer in calibration.statistics.items()}


@criterion("obd")
def obd(calibration: Calibration) -> Scores:
    """W^2 A2: optimal brain damage with the Gauss-Newton diagonal of 1/2 |y - t|^2, times 2 (LeCun et al. 1990)."""
    return {name: layer.weight.square() * layer.second for name, layer in calibration.statistics.items()}


@criterion("mean-replacement")
def mean_replacement(calibration: Calibration) -> Scores:
    """W^2 Var(a): what is left within the layer when the removed term becomes its mean; the outputs do not enter."""
    return {name: calibration.weights[name].square() * layer.variance for name, layer in calibration.moments.items()}


@criterion("magnitude")
def magnitude(calibration: Calibration) -> Scores:
    """|W|."""
    return {name: weight.abs() for name, weight in calibration.weights.items()}


@criterion("gradient-magnitude")
def gradient_magnitude(calibration: Calibration) -> Scores:
    """|W| |mean training gradient by W|. Needs a loss and targets. The paper prints the gradient without modulus."""
    return {name: (calibration.weights[name] * g).abs() for name, g in calibration.loss_gradients.items()}


@criterion("random")
def random(calibration: Calibration) -> Scores:
    """Uniform random numbers, decided by the calibration's seed."""
    generator = calibration.generator("random")
    return {
        name: torch.rand(weight.shape, generator=generator, dtype=torch.float64).to(weight.device)
        for name, weight in calibration.weights.items()
    }


@criterion("wanda")
def wanda(calibration: Calibration) -> Scores:
    """|W| sqrt(E[a^2]), which is |W| times the norm of the input over sqrt(N) (Sun et al. 2024).

    Meant to be compared within each output row; over the whole network it is another method.
    """
    return {name: calibration.weights[name].abs() * layer.square.sqrt() for name, layer in calibration.moments.items()}


@criterion("layerwise-obs")
def layerwise_obs(calibration: Calibration) -> Scores:
    """W_ij^2 / [H^-1]_jj with H = E[[a, 1][a, 1]^T]: the layer's output error after all else in the row is re-fitted.

    The column of ones (the bias) is never pruned and never damped, so the covariance C of the inputs decides:
    [H^-1]_jj = [C^-1]_jj. A ridge of lam = DAMPING times the mean variance keeps C invertible; the lam W^2 that the
    ridge alone would add is taken off, so that constant inputs score 0.
    """
    scores = {}
    for name, blocks in calibration.covariances.items():
        lam = torch.stack([ridge(covariance) for covariance in blocks])[:, None]
        damped = blocks + torch.diag_embed(lam.expand(blocks.shape[:2]))
        left = (1 / torch.linalg.inv(damped).diagonal(dim1=1, dim2=2) - lam).clamp(min=0)  # (groups, i)
        weight = calibration.weights[name]
        scores[name] = (weight.square().unflatten(0, (len(blocks), -1)) * left[:, None]).view_as(weight)
    return scores


@criterion("non-linear")
def nonlinear(calibration: Calibration) -> Scores:
    """E|y - y'|^2 where y' is the network without the weight, its mean input in the bias, by true forward passes.

    The paper's brute-force rival, on `calibration.nonlinear_samples` random inputs; the means are over all the data.
    """
    return output_changes(calibration)


def ridge(covariance: Float[Tensor, "n n"], damping: float = DAMPING) -> Float[Tensor, ""]:
    """`damping` times the mean variance; 1 where all inputs are constant."""
    mean = covariance.diagonal().mean()
    return damping * torch.where(mean > 0, mean, 1 / damping) if damping > 0 else mean.new_zeros(())
