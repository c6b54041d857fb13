"""Compensations: what the biases, or the kept weights, do to make up for the removed weights.

Each is a function (calibration, masks) -> dict from layer name to `Change`; masks are (n_out, n_in), True = kept. A new
one is a function with `@compensation(name)`. Notation as in `prunebook.weights.statistics`. The bias of a convolution
moves all positions at once.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from prunebook.errors import InputError
from prunebook.weights.calibration import Calibration
from prunebook.weights.criteria import DAMPING, filing, ridge

Masks = dict[str, Bool[Tensor, "_ _"]]

BYTES = 256 * 2**20  # of the systems of equations that are solved at a time
SECONDS = 1e-10  # for a row, over n_in^3: 51 ms at 800 inputs on one core


@dataclass(frozen=True)
class Change:
    """What to add to a layer's bias (n_out) and, unless None, to its kept weights (n_out, n_in); float64."""

    weight: Float[Tensor, "n_out n_in"] | None
    bias: Float[Tensor, " n_out"]


Changes = dict[str, Change]

COMPENSATIONS: dict[str, Callable[[Calibration, Masks], Changes]] = {}


def compensation(name: str) -> Callable:
    """Decorator that files a compensation in COMPENSATIONS: a function (calibration, masks) -> changes by layer.

    Raises InputError where the name is taken.

    Examples
    --------
    >>> from prunebook.weights import COMPENSATIONS, Change, compensation
    >>> @compensation("half")
    ... def half(calibration, masks):
    ...     whole = COMPENSATIONS["mean"](calibration, masks)
    ...     return {name: Change(None, change.bias / 2) for name, change in whole.items()}
    >>> COMPENSATIONS.pop("half") is half
    True
    """
    return filing(COMPENSATIONS, name, "compensation")


@compensation("none")
def none(calibration: Calibration, masks: Masks) -> Changes:
    """Nothing: removed weights become zero."""
    return {name: Change(None, calibration.weights[name].new_zeros(len(mask))) for name, mask in masks.items()}


@compensation("elimination")
def elimination(calibration: Calibration, masks: Masks) -> Changes:
    """Each unit's bias moves by the sum of W A1/d over its removed weights (Ballini et al., arXiv 2602.20467).

    To first order the joint optimum for weights removed at one unit is this sum exactly; across units it is not.
    """
    return {
        name: Change(None, torch.where(mask, 0.0, calibration.statistics[name].shift).sum(1))
        for name, mask in masks.items()
    }


@compensation("mean")
def mean(calibration: Calibration, masks: Masks) -> Changes:
    """Each unit's bias moves by the mean of what was removed, the sum of W E[a]: mean replacement."""
    return {
        name: Change(None, (torch.where(mask, 0.0, calibration.weights[name]) * calibration.moments[name].mean).sum(1))
        for name, mask in masks.items()
    }


@compensation("obs")
def obs(calibration: Calibration, masks: Masks, damping: float = DAMPING) -> Changes:
    """Kept weights and bias of each row re-fitted by least squares to the row's old output on the layer's own inputs.

    With C the covariance of the inputs, S the kept and R the removed weights of a row: the change of the kept ones is
    (C_SS + lam)^-1 C_SR w_R, and the bias makes up for the mean. lam is `damping` times the mean variance and holds the
    kept weights where they are, not at zero; the bias is not damped. It is the update that layer-wise optimal brain
    surgeon and SparseGPT approximate, solved for the final mask at once. Each row takes a Cholesky factor of
    (n_in, n_in): where that is long it is said beforehand.
    """
    seconds = sum(SECONDS * len(mask) * mask.shape[1] ** 3 for mask in masks.values())
    if seconds > 60:
        widest = max(masks, key=lambda name: len(masks[name]) * masks[name].shape[1] ** 3)
        warnings.warn(
            f"re-fitting every row will take about {seconds / 60:.0f} minutes on one core, most of it in layer "
            f"{widest!r}: leave that out with layers=, or take mean-replacement",
            stacklevel=2,
        )
    changes = {}
    for name, mask in masks.items():
        blocks, removed = calibration.covariances[name], torch.where(mask, 0.0, calibration.weights[name])
        rows = zip(blocks, removed.chunk(len(blocks)), mask.chunk(len(blocks)), strict=True)
        update = torch.cat([_row_updates(c, gone, kept, ridge(c, damping)) for c, gone, kept in rows])
        changes[name] = Change(update, ((removed - update) * calibration.moments[name].mean).sum(1))
    return changes


def _row_updates(covariance: Tensor, removed: Tensor, mask: Tensor, lam: Tensor) -> Tensor:
    eye = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    target = removed @ covariance  # (o, i): C_SR w_R where kept
    step = max(1, BYTES // (8 * covariance.numel()))
    updates = []
    for rows in range(0, len(mask), step):
        kept = mask[rows : rows + step].to(covariance.dtype)  # removed rows and columns become the identity's
        system = kept[:, :, None] * (covariance + lam * eye) * kept[:, None, :] + torch.diag_embed(1 - kept)
        right = (target[rows : rows + step] * kept)[..., None]
        factor, failed = torch.linalg.cholesky_ex(system)
        if failed.any():
            raise InputError("the kept inputs of a row are linearly dependent: use a damping above 0")
        updates.append(torch.cholesky_solve(right, factor)[..., 0])
    return torch.cat(updates)
