"""What the scores of units need to know, from one forward and one backward pass.

Notation: a(x, p) is the output of a unit for sample x at position p, after the ReLU and before pooling (a dense unit
has one position); g(x, p) is the derivative by a(x, p) of the sample's own cross-entropy.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from prunebook.data.batches import Batches, class_labels
from prunebook.errors import InputError
from prunebook.networks.evaluating import as_written, evaluating, require_values, trainable
from prunebook.units.forward import as_chain, check_chain, forward
from prunebook.units.layers import UnitLayer, check_map, unit_layers


@dataclass(frozen=True)
class UnitStatistics:
    """One site, C units, N samples, P positions; in the precision of the network.

    mean: of a over samples and positions; product, gradient: means of a * g and of g over positions, for each sample;
    energy: sum of a^2; absolute_product, absolute_displacement: means of |a * g| and of |(mean - a) * g|; weight: a
    copy of that of the layer that makes the units, its first axis the units; positions: P; site: its name.
    """

    mean: Float[Tensor, " units"]
    product: Float[Tensor, "samples units"]
    gradient: Float[Tensor, "samples units"]
    energy: Float[Tensor, " units"]
    absolute_product: Float[Tensor, " units"]
    absolute_displacement: Float[Tensor, " units"]
    weight: Float[Tensor, "units ..."]
    positions: int
    site: str = ""

    @property
    def displacement(self) -> Float[Tensor, "samples units"]:
        """Mean of (mean - a) * g over positions, for each sample."""
        return self.mean * self.gradient - self.product


@as_written()
def unit_statistics(
    model: nn.Module,
    x: Float[Tensor, "samples ..."],
    y: Any,
    *,
    chunk: int | None = None,
    batch_statistics: bool = False,
) -> dict[str, UnitStatistics]:
    """What the scores need to know of the units of every site, from one forward and one backward pass.

    The network, its gradients, mode and buffers and the random state stay as they were. The module has the notation.

    Parameters
    ----------
    model : nn.Sequential
        A chain, as `unit_layers` describes it, that gives one logit for each class. It is run in evaluation mode.
    x : float (samples, ...)
        Inputs; a thousand or so.
    y : int (samples,)
        Their classes, from 0.
    chunk : int, optional
        So many samples at a time save memory and cost one more forward pass. The means are over all samples either way.
    batch_statistics : bool
        Let batch norm use the statistics of ``x``. Then g is the derivative of the summed loss, through which samples
        see each other.

    Returns
    -------
    dict of str to UnitStatistics
        By the name of the site, input first.

    Raises
    ------
    InputError
        For a network that is no chain, no samples, labels that are no classes of theirs, or chunks together with batch
        statistics.

    Examples
    --------
    >>> import torch
    >>> from prunebook.units import unit_statistics
    >>> chain = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> x = torch.ones(5, 2)
    >>> seen = unit_statistics(chain, x, torch.zeros(5, dtype=torch.long))
    >>> torch.equal(seen["dense1"].mean, chain[:2](x)[0])
    True
    """
    require_values(model)
    model = trainable(model)
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk is {chunk}: give at least 1, or None for all samples at once")
    if batch_statistics and chunk is not None and chunk < len(x):
        raise InputError("batch statistics need all samples at once: leave chunk out")
    where = {site.index: site for site in unit_layers(model)}
    if not where:
        raise InputError("the network has no hidden layer: there are no units to observe")
    x, y = Batches([(x, y)], model).first()
    logits = check_chain(model, x)
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise InputError(f"the outputs have shape {tuple(logits.shape)}: give one logit a class, two at least")
    y = class_labels(y, len(x), logits.shape[1]).to(x.device)
    pieces = list(zip(x.split(chunk or len(x)), y.split(chunk or len(x)), strict=True))
    known = _means(model, pieces, where) if len(pieces) > 1 else {}
    found: dict[str, dict[str, list[Tensor]]] = {site.name: defaultdict(list) for site in where.values()}
    with evaluating(model), torch.enable_grad():
        for part, labels in pieces:
            # The graph begins at the first site: neither what lies before it nor the weights need a gradient.
            starts: list[Tensor] = []
            looks = {
                i: partial(_look, site, found[site.name], known.get(site.name), starts) for i, site in where.items()
            }
            outputs = forward(model, part, looks, batch_statistics=batch_statistics)
            torch.autograd.grad(F.cross_entropy(outputs, labels, reduction="sum"), starts)
            del outputs
    chain, statistics = as_chain(model), {}
    for site in where.values():
        parts = found[site.name]
        statistics[site.name] = UnitStatistics(
            mean=parts["mean"][0],
            product=torch.cat(parts["product"]),
            gradient=torch.cat(parts["gradient"]),
            energy=torch.stack(parts["energy"]).sum(0),
            absolute_product=torch.stack(parts["absolute_product"]).sum(0) / len(x),
            absolute_displacement=torch.stack(parts["absolute_displacement"]).sum(0) / len(x),
            weight=chain[site.producer].weight.detach().clone(),
            positions=parts["positions"][0],
            site=site.name,
        )
    return statistics


def _flat(a: Tensor) -> Tensor:
    """(samples, units, positions)"""
    return a.detach().flatten(2) if a.ndim > 2 else a.detach()[..., None]


def _means(model: nn.Module, pieces: list, where: dict[int, UnitLayer]) -> dict[str, Tensor]:
    sums: dict[str, Tensor] = defaultdict(int)

    def add(name: str, a: Tensor) -> Tensor:
        sums[name] = sums[name] + _flat(a).mean(2).sum(0)
        return a

    with evaluating(model), torch.no_grad():
        for part, _ in pieces:
            forward(model, part, {index: partial(add, site.name) for index, site in where.items()})
    count = sum(len(part) for part, _ in pieces)
    return {name: total / count for name, total in sums.items()}


def _look(site: UnitLayer, found: dict[str, list], known: Tensor | None, starts: list[Tensor], a: Tensor) -> Tensor:
    """Puts sums over the output of a site, and over its gradient once there is one, into ``found``.

    The first one to be called cuts the graph, and puts the new start into ``starts``.
    """
    check_map(site, a)
    flat = _flat(a)
    mean = flat.mean((0, 2)) if known is None else known

    def back(gradient: Tensor) -> None:
        g = _flat(gradient)
        found["mean"].append(mean)
        found["positions"].append(flat.shape[2])
        found["gradient"].append(g.mean(2))
        work = flat * g
        found["product"].append(work.mean(2))
        found["absolute_product"].append(work.abs_().mean(2).sum(0))
        torch.sub(mean[:, None], flat, out=work)
        found["absolute_displacement"].append(work.mul_(g).abs_().mean(2).sum(0))
        found["energy"].append(torch.mul(flat, flat, out=work).sum((0, 2)))

    if not starts:
        a = a.detach().requires_grad_()
        starts.append(a)
    a.register_hook(back)
    return a
