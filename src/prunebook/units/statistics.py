"""What the scores of units need to know, from one forward and one backward pass.

Notation: a(x, p) is the output of a unit for sample x at position p, after the ReLU and before pooling (a dense unit
has one position); g(x, p) is the derivative by a(x, p) of the sample's own cross-entropy.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from prunebook.errors import InputError
from prunebook.networks.evaluating import evaluating
from prunebook.units.layers import sites
from prunebook.units.replacement import forward


@dataclass(frozen=True)
class UnitStatistics:
    """One site, C units, N samples, P positions; in the precision of the network.

    Attributes:
        mean: of a over samples and positions.
        product: mean of a * g over positions, for each sample.
        gradient: mean of g over positions, for each sample.
        energy: sum of a^2 over samples and positions.
        absolute_product: mean of |a * g| over samples and positions.
        absolute_displacement: mean of |(mean - a) * g| over samples and positions.
        weight: of the layer that makes the units, its first axis the units; a copy.
        positions: how many there are, P.
    """

    mean: Float[Tensor, " units"]
    product: Float[Tensor, "samples units"]
    gradient: Float[Tensor, "samples units"]
    energy: Float[Tensor, " units"]
    absolute_product: Float[Tensor, " units"]
    absolute_displacement: Float[Tensor, " units"]
    weight: Float[Tensor, "units ..."]
    positions: int

    @property
    def displacement(self) -> Float[Tensor, "samples units"]:
        """Mean of (mean - a) * g over positions, for each sample."""
        return self.mean * self.gradient - self.product


def unit_statistics(
    model: nn.Sequential,
    x: Float[Tensor, "samples ..."],
    y: Int[Tensor, " labels"],
    *,
    chunk: int | None = None,
    batch_statistics: bool = False,
) -> dict[str, UnitStatistics]:
    """Observations of all sites by name, over the samples ``x`` with their classes ``y``.

    The network is in evaluation mode; with ``batch_statistics`` its batch norm layers use the statistics of ``x``, and
    g is then the derivative of the summed loss, through which samples see each other. ``chunk`` samples at a time save
    memory and cost one more forward pass; the means are over all samples either way. The network, its gradients, mode
    and buffers and the random state stay as they were.

    Raises InputError for no samples, labels that do not match them, or chunks together with batch statistics.
    """
    if len(x) == 0 or y.shape != (len(x),):
        raise InputError(f"{len(x)} samples with labels of shape {tuple(y.shape)}: give one label for each")
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk is {chunk}: give at least 1, or None for all samples at once")
    if batch_statistics and chunk is not None and chunk < len(x):
        raise InputError("batch statistics need all samples at once: leave chunk out")
    where = {site.index: site.name for site in sites(model)}
    if not where:
        raise InputError("the network has no hidden layer: there are no units to observe")
    pieces = [(part, labels) for part, labels in zip(*_split(x, y, chunk), strict=True)]
    known = _means(model, pieces, where) if len(pieces) > 1 else {}
    totals: dict[str, dict[str, list[Tensor]]] = {name: {} for name in where.values()}
    with evaluating(model), torch.enable_grad():
        for part, labels in pieces:
            # The graph begins at the first site: neither what lies before it nor the weights need a gradient.
            starts: list[Tensor] = []
            recorders = {
                index: _recorder(totals[name], known.get(name), starts) for index, name in where.items()
            }
            outputs = forward(model, part, recorders, batch_statistics=batch_statistics)
            torch.autograd.grad(F.cross_entropy(outputs, labels, reduction="sum"), starts)
            del outputs
    weights = {site.name: model[site.producer].weight.detach().clone() for site in sites(model)}
    return {name: _finish(parts, weights[name], len(x)) for name, parts in totals.items()}


def _split(x: Tensor, y: Tensor, chunk: int | None) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    size = len(x) if chunk is None else chunk
    return x.split(size), y.split(size)


def _flat(a: Tensor) -> Tensor:
    """(samples, units, positions)"""
    return a.detach().flatten(2) if a.ndim > 2 else a.detach()[..., None]


def _means(model: nn.Sequential, pieces: list, where: dict[int, str]) -> dict[str, Tensor]:
    sums: dict[str, Tensor] = {}

    def add(name: str) -> Callable[[Tensor], Tensor]:
        def look(a: Tensor) -> Tensor:
            sums[name] = sums.get(name, 0) + _flat(a).mean(2).sum(0)
            return a

        return look

    with evaluating(model), torch.no_grad():
        for part, _ in pieces:
            forward(model, part, {index: add(name) for index, name in where.items()})
    count = sum(len(part) for part, _ in pieces)
    return {name: total / count for name, total in sums.items()}


def _recorder(
    parts: dict[str, list[Tensor]], known: Tensor | None, starts: list[Tensor]
) -> Callable[[Tensor], Tensor]:
    """A function that looks at the output of a site, and at its gradient once there is one; keeps only sums.

    The first one to be called cuts the graph, and puts the new start into ``starts``.
    """

    def keep(**values: Tensor) -> None:
        for key, value in values.items():
            parts.setdefault(key, []).append(value)

    def look(a: Tensor) -> Tensor:
        flat = _flat(a)
        mean = flat.mean((0, 2)) if known is None else known

        def back(gradient: Tensor) -> None:
            g = _flat(gradient)
            work = flat * g
            product = work.mean(2)
            absolute = work.abs_().mean(2).sum(0)
            torch.sub(mean[:, None], flat, out=work)
            displaced = work.mul_(g).abs_().mean(2).sum(0)
            keep(
                product=product,
                gradient=g.mean(2),
                absolute_product=absolute,
                absolute_displacement=displaced,
                energy=torch.mul(flat, flat, out=work).sum((0, 2)),
                mean=mean,
                positions=torch.tensor(flat.shape[2]),
            )

        if not starts:
            a = a.detach().requires_grad_()
            starts.append(a)
        a.register_hook(back)
        return a

    return look


def _finish(parts: dict[str, list[Tensor]], weight: Tensor, count: int) -> UnitStatistics:
    return UnitStatistics(
        mean=parts["mean"][0],
        product=torch.cat(parts["product"]),
        gradient=torch.cat(parts["gradient"]),
        energy=torch.stack(parts["energy"]).sum(0),
        absolute_product=torch.stack(parts["absolute_product"]).sum(0) / count,
        absolute_displacement=torch.stack(parts["absolute_displacement"]).sum(0) / count,
        weight=weight,
        positions=int(parts["positions"][0]),
    )
