"""A gain for each unit that reads pruned ones: its pre-activation gets back the standard deviation that it had.

Mean replacement keeps the first moment of a pre-activation and lets its variance collapse. Jordan et al. (2023, REPAIR)
put the variance of merged networks right in this way. The gain goes into the kept weights and the bias, at no cost.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from prunebook.networks.evaluating import as_written
from prunebook.units.consumers import Reading, outputs_of, readings, scale_units, units_last
from prunebook.units.folding import fold

ROUNDING = 1e-10  # of a variance, the part that float32 may make up


@as_written()
def gain(
    model: nn.Module,
    pruned: Mapping[str, Any],
    x: Float[Tensor, "samples ..."],
    means: Mapping[str, Any] | None = None,
    *,
    border: str = "exact",
) -> nn.Sequential:
    """`fold`, and then a gain for each unit that reads pruned ones, layer by layer, input first.

    A gain is the standard deviation of the pre-activation in the unpruned network over that in the pruned one, over
    samples and positions; the mean stays what pruning has left. A pre-activation that does not vary any more has 1.

    Parameters
    ----------
    model, pruned, means, border
        As for `fold`.
    x : float (samples, ...)
        Inputs that moments are taken from; a thousand or so.

    Returns
    -------
    nn.Sequential
        A copy, with the pruned units at zero; `remove` takes them out.

    Raises
    ------
    InputError
        As `fold` does.

    Examples
    --------
    >>> import torch
    >>> from prunebook.units import gain
    >>> chain = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    >>> x = torch.randn(100, 2)
    >>> repaired = gain(chain, {"dense1": [True, False, False]}, x)
    >>> torch.allclose(repaired(x).std(), chain(x).std())
    True
    """
    changed = fold(model, pruned, means, border=border, shape=tuple(x.shape[1:]) if x.ndim == 4 else None)
    for reading in readings(model, changed, pruned, x):
        (_, before), (centre, after) = (
            moments(units_last(reading.layer, part) for part in parts)
            for parts in (reading.before, outputs_of(reading))
        )
        scale_units(reading.layer, gains(before, after), centre)
    return changed


def gains(before: Float64[Tensor, " units"], after: Float64[Tensor, " units"]) -> Float64[Tensor, " units"]:
    """Square root of the quotient of two variances; 1 where nothing but rounding varies after."""
    return torch.where(after > ROUNDING * before, (before / after).sqrt(), 1.0)


def moments(parts: Iterable[Float[Tensor, "_ units"]]) -> tuple[Float64[Tensor, " units"], Float64[Tensor, " units"]]:
    """Mean and variance of each unit over all rows of all parts, which are merged without loss of digits."""
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for part in parts:
        part = part.double()
        own, far = part.mean(0), part.mean(0) - mean
        total = count + len(part)
        squares = squares + (part - own).square().sum(0) + far.square() * (count * len(part) / total)
        mean, count = mean + far * (len(part) / total), total
    return mean, squares / count


def variance_kept(
    model: nn.Module, changed: nn.Sequential, pruned: Mapping[str, Any], x: Float[Tensor, "samples ..."]
) -> float:
    """The share of the variance of pre-activations that is left: of the units of each layer that reads pruned ones, but
    for those that are pruned themselves, the sum of their variances now over the sum before; the mean of these layers,
    1 where there are none."""
    shares = [
        float(_variance(r, outputs_of(r))[r.alive].sum() / _variance(r, r.before)[r.alive].sum())
        for r in readings(model, changed, pruned, x)
        if r.alive.any()
    ]
    return sum(shares) / len(shares) if shares else 1.0


def _variance(reading: Reading, parts: list[Tensor]) -> Tensor:
    return moments(units_last(reading.layer, part) for part in parts)[1]
