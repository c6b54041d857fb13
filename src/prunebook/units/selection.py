"""Which units go: how many, and which of equal ones."""

import math
from numbers import Integral, Real

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from prunebook.errors import InputError

SLACK = 1e-9  # a product this little below a whole number is that number: 0.29 * 100 is 28.999999999999996


def number_to_prune(units: int, fraction: float | int) -> int:
    """How many of ``units`` to prune: floor(units * fraction), or the number itself if it is an integer.

    So 1 is one unit and 1.0 is all of them. Raises InputError outside 0 to 1, or 0 to ``units``.
    """
    if isinstance(fraction, bool) or not isinstance(fraction, Real):
        raise InputError(f"{fraction!r} is no amount: give a fraction, or a whole number of units")
    if isinstance(fraction, Integral):
        if not 0 <= fraction <= units:
            raise InputError(f"cannot prune {fraction} of {units} units: give a number from 0 to {units}")
        return int(fraction)
    if not 0 <= fraction <= 1:
        raise InputError(f"fraction {fraction} is not in [0, 1]: give a whole number to mean that many units")
    return math.floor(units * float(fraction) + SLACK)


def mask_lowest(score: Float[Tensor, "*batch units"], k: int) -> Bool[Tensor, "*batch units"]:
    """Mask of the ``k`` units with the lowest scores, True for pruned; of equal scores the higher index goes first.

    So does the code released by the authors of mean replacement, where it matters for units that never fire: all of
    them score 0. Raises InputError for NaN scores or k outside 0 to the number of units.
    """
    score = torch.as_tensor(score)
    units = score.shape[-1]
    if isinstance(k, bool) or not isinstance(k, Integral):
        raise InputError(f"k is {k!r}: give a whole number of units, such as number_to_prune(units, fraction)")
    if not 0 <= k <= units:
        raise InputError(f"cannot prune {k} of {units} units: give a number from 0 to {units}")
    if score.isnan().any():
        raise InputError("scores contain NaN: has training diverged?")
    order = score.flip(-1).argsort(dim=-1, stable=True)[..., :k]
    return torch.zeros_like(score, dtype=torch.bool).scatter_(-1, units - 1 - order, True)
