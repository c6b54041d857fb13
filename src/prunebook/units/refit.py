"""What a layer read before, fitted from the units that are left: ridge least squares, merged into its weights.

For a layer that gave z before and reads the kept units h now, the change (D, d) of its weights and bias has the least
mean square of z - (W + D) h - (b + d), plus a ridge on D. With no unit kept, d is mean replacement (Evci et al. 2019).
Re-fits of this kind are known: He et al. (2017) for channels. Moments are summed up chunk by chunk, in float64.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from prunebook.errors import InputError
from prunebook.networks.evaluating import as_written
from prunebook.units.consumers import Reading, add_to_bias, outputs_of, readings, rows_of, units_last
from prunebook.units.folding import fold

RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # times the mean variance of the kept inputs


@dataclass
class Moments:
    """Sums over rows of inputs h (columns) and of residuals r (units), from which any ridge fit follows."""

    count: int = 0
    h: Float64[Tensor, " columns"] | float = 0.0
    r: Float64[Tensor, " units"] | float = 0.0
    hh: Float64[Tensor, "columns columns"] | float = 0.0
    rh: Float64[Tensor, "units columns"] | float = 0.0
    rr: Float64[Tensor, " units"] | float = 0.0

    def add(self, h: Float[Tensor, "rows columns"], r: Float[Tensor, "rows units"]) -> None:
        h, r = h.double(), r.double()
        self.count += len(h)
        self.h, self.r = self.h + h.sum(0), self.r + r.sum(0)
        self.hh, self.rh, self.rr = self.hh + h.T @ h, self.rh + r.T @ h, self.rr + r.square().sum(0)

    def __add__(self, other: "Moments") -> "Moments":
        names = ("count", "h", "r", "hh", "rh", "rr")
        return Moments(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def fits(self, ridges: Sequence[float]) -> list[tuple[Tensor, Tensor]]:
        """D (units, columns) and d (units,) for each ridge, which is relative to the mean variance of the columns."""
        mean, target = self.h / self.count, self.r / self.count
        covariance = self.hh / self.count - mean.outer(mean)
        cross = self.rh / self.count - target.outer(mean)
        if not len(mean):
            return [(cross, target) for _ in ridges]
        values, vectors = torch.linalg.eigh(covariance)
        scale, turned = values.clamp(min=0).mean(), cross @ vectors
        found = []
        for ridge in ridges:
            below = values.clamp(min=0) + ridge * scale
            slope = torch.where(below > 0, turned / below, 0.0) @ vectors.T
            found.append((slope, target - slope @ mean))
        return found

    def error(self, slope: Float64[Tensor, "units columns"], shift: Float64[Tensor, " units"]) -> float:
        """Mean square of r - D h - d, summed over units."""
        fitted = (slope @ self.hh * slope).sum(1) + 2 * shift * (slope @ self.h) + self.count * shift.square()
        crossed = (slope * self.rh).sum(1) + shift * self.r
        return float((self.rr - 2 * crossed + fitted).sum() / self.count)


@as_written()
def refit(
    model: nn.Module,
    pruned: Mapping[str, Any],
    x: Float[Tensor, "samples ..."],
    *,
    held_out: float = 0.2,
    ridges: Sequence[float] = RIDGES,
) -> nn.Sequential:
    """A copy in which each layer that reads pruned units is fitted anew from those kept, layer by layer, input first.

    Parameters
    ----------
    model, pruned
        As for `fold`.
    x : float (samples, ...)
        Inputs that moments are taken from; a thousand or so.
    held_out : float
        Share of the samples, the last ones, that the ridge of each layer is chosen on; it is then fitted to all.
    ridges : sequence of float
        To choose from, relative to the mean variance of the kept inputs; one alone needs no held-out samples.

    Returns
    -------
    nn.Sequential
        With the pruned units at zero; `remove` takes them out.

    Raises
    ------
    InputError
        As `fold` does, and for no ridge or too few samples.

    Examples
    --------
    >>> import torch
    >>> from prunebook.units import refit
    >>> chain = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)).double()
    >>> with torch.no_grad():
    ...     _ = chain[0].weight[1].copy_(chain[0].weight[0]), chain[0].bias[1].copy_(chain[0].bias[0])
    >>> x = torch.randn(100, 2).double()
    >>> gone = {"dense1": [True, False, False, False]}  # the second unit knows all that the first one did
    >>> torch.allclose(refit(chain, gone, x, ridges=[1e-12])(x), chain(x))
    True
    """
    held = round(held_out * len(x)) if len(ridges) > 1 else 0
    if not ridges or any(ridge < 0 for ridge in ridges):
        raise InputError(f"ridges are {tuple(ridges)}: give at least one, none below 0")
    if len(ridges) > 1 and not 0 < held < len(x):
        raise InputError(f"held_out={held_out} of {len(x)} samples leaves none to fit or to choose on")
    changed = fold(model, pruned)
    for reading in readings(model, changed, pruned, x):
        _apply(reading, *_chosen(reading, len(x) - held, ridges))
    return changed


def _chosen(reading: Reading, fitted: int, ridges: Sequence[float]) -> tuple[Tensor, Tensor]:
    """D and d with the best ridge of those given, fitted to all samples."""
    fit, held, seen = Moments(), Moments(), 0
    for h, before, now in zip(reading.inputs, reading.before, outputs_of(reading), strict=True):
        cut = min(max(fitted - seen, 0), len(h))
        seen += len(h)
        for part, side in ((slice(cut), fit), (slice(cut, None), held)):
            if len(h[part]):
                residual = units_last(reading.layer, (before - now)[part])
                side.add(rows_of(reading.layer, h[part])[:, reading.kept], residual)
    if len(ridges) == 1:
        return fit.fits(ridges)[0]
    errors = [held.error(*found) for found in fit.fits(ridges)]
    best = min(range(len(ridges)), key=errors.__getitem__)
    return (fit + held).fits([ridges[best]])[0]


def _apply(reading: Reading, slope: Tensor, shift: Tensor) -> None:
    weight, alive = reading.layer.weight, reading.alive
    change = torch.zeros(len(weight), len(reading.kept), dtype=weight.dtype, device=weight.device)
    change[:, reading.kept] = (slope * alive[:, None]).to(weight.dtype)
    with torch.no_grad():
        weight += change.view(weight.shape)
    add_to_bias(reading.layer, shift * alive)
