"""Scores of units; the lowest are pruned first. Evci et al. (2019), Table 1.

Notation as in `observation`; m(u) is the mean of unit u. The signed scores are first-order changes of the mean loss per
position: of a to zero, -a * g, and of a to its mean, (m - a) * g.
"""

import hashlib
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from prunebook.errors import InputError
from prunebook.units.statistics import UnitStatistics

Score = Callable[[UnitStatistics], Float[Tensor, " units"]]


def random_score(seed: int, step: int = 0) -> Score:
    """A score that draws a number from [0, 1) for each unit, float64: see `random_generator`."""

    def score(seen: UnitStatistics) -> Float[Tensor, " units"]:
        generator = random_generator(seed, step, seen.site)
        return torch.rand(len(seen.mean), generator=generator, dtype=torch.float64).to(seen.mean.device)

    return score


def random_generator(seed: int, step: int, site: str) -> Generator:
    """A fresh generator (CPU) for one measurement of one site: the same numbers whenever and in whatever order asked.

    Draws of zero and mean replacement are the same, for a score is taken once for both.
    """
    digest = hashlib.sha256(f"{seed} {step} {site}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)


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
    """File a score under a new name in `SCORES`.

    Parameters
    ----------
    name : str
        What `prune_units` will know it by.
    function : callable
        Takes the `UnitStatistics` of one site with C units, and returns C numbers, of which the lowest go first.

    Returns
    -------
    callable
        The function itself.

    Raises
    ------
    InputError
        The name is taken.

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
