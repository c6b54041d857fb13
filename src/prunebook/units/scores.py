"""Which units go: scores, of which the lowest go first (Evci et al., 2019, Table 1), how many, and which of equal ones.

Notation as in `observation`; m(u) is the mean of unit u. The signed scores are first-order changes of the mean loss per
position: of a to zero, -a * g, and of a to its mean, (m - a) * g.
"""

import hashlib
import math
from collections.abc import Callable
from numbers import Integral, Real

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from prunebook.errors import InputError
from prunebook.units.statistics import UnitStatistics

SLACK = 1e-9  # a product this little below a whole number is that number: 0.29 * 100 is 28.999999999999996

Score = Callable[[UnitStatistics], Float[Tensor, " units"]]


def random_score(seed: int, step: int = 0) -> Score:
    """A score that draws a number from [0, 1) for each unit, float64: the same whenever and in whatever order asked."""

    def score(seen: UnitStatistics) -> Float[Tensor, " units"]:
        digest = hashlib.sha256(f"{seed} {step} {seen.site}".encode()).digest()
        generator = Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
        return torch.rand(len(seen.mean), generator=generator, dtype=torch.float64).to(seen.mean.device)

    return score


# Primary: mean over positions, then modulus, then mean over samples, as Molchanov et al. (2017) and the authors' later
# code do it.
SCORES: dict[str, Score] = {
    # Squared norm of the incoming weights over their number; no bias.
    "norm": lambda seen: seen.weight.flatten(1).square().mean(1),
    "rand": random_score(0),
    "rs": lambda seen: -seen.product.mean(0),
    "abs_rs": lambda seen: seen.product.abs().mean(0),
    "mrs": lambda seen: seen.displacement.mean(0),
    "abs_mrs": lambda seen: seen.displacement.abs().mean(0),
}

# Other readings of the same words, for judging how much depends on them.
CONVENTIONS: dict[str, Score] = {
    # Table 1 prints a * g without the minus, which reverses the order; the text calls it a change of the loss.
    "rs/literal-sign": lambda seen: seen.product.mean(0),
    # Table 1 prints mrs with the sign used above; its reverse shows what a slip there would do.
    "mrs/reversed-sign": lambda seen: -seen.displacement.mean(0),
    # Modulus before anything is averaged.
    "abs_rs/elementwise": lambda seen: seen.absolute_product,
    "abs_mrs/elementwise": lambda seen: seen.absolute_displacement,
    # Modulus after everything is averaged.
    "abs_rs/average-first": lambda seen: seen.product.mean(0).abs(),
    "abs_mrs/average-first": lambda seen: seen.displacement.mean(0).abs(),
    # The norm as Table 1 prints it: the same order within a layer.
    "norm/unsquared": lambda seen: seen.weight.flatten(1).norm(dim=1),
}


def register(name: str, function: Score) -> Score:
    """File a score under a new name in `SCORES`: it takes the `UnitStatistics` of a site, and gives a number a unit.

    The lowest go first. Gives the function back. Raises InputError where the name is taken.

    Examples
    --------
    >>> from prunebook.units import SCORES, register
    >>> energy = register("energy", lambda seen: seen.energy)
    >>> SCORES.pop("energy") is energy
    True
    """
    if name in SCORES or name in CONVENTIONS:
        raise InputError(f"there is a score {name!r} already: choose another name")
    SCORES[name] = function
    return function


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
