"""Pruned units taken out of the network, which becomes smaller."""

from collections.abc import Mapping

from jaxtyping import Bool
from torch import Tensor, nn

from prunebook.units.folding import fold
from prunebook.units.layers import UnitLayer
from prunebook.units.replacement import checked


def remove(model: nn.Sequential, pruned: Mapping[str, Bool[Tensor, " _"]]) -> nn.Sequential:
    """A smaller copy of the network without the pruned units (True in the mask of their site).

    Its outputs are those of the network with these units at zero, ``fold(model, pruned)``; for mean replacement remove
    them from ``fold(model, pruned, means)``. A layer that would be left empty keeps one unit, all zero.

    Raises InputError as `fold` does.
    """
    small = fold(model, pruned)
    for site, mask, _ in checked(small, pruned):
        kept = ~mask
        if not kept.any():
            kept[0] = True
        _take(small, site, kept)
    return small


def _take(model: nn.Sequential, site: UnitLayer, kept: Tensor) -> None:
    producer, consumer = model[site.producer], model[site.consumer]
    count = int(kept.sum())
    _slice(producer, ("weight", "bias", "bias_map"), kept, 0)
    if isinstance(producer, nn.Conv2d):
        producer.out_channels = count
    else:
        producer.out_features = count
    if site.norm is not None:
        _slice(model[site.norm], ("weight", "bias", "running_mean", "running_var"), kept, 0)
        model[site.norm].num_features = count
    if isinstance(consumer, nn.Conv2d):
        _slice(consumer, ("weight",), kept, 1)
        consumer.in_channels = count
    else:
        # Flattening puts the positions of one channel side by side.
        columns = kept.repeat_interleave(consumer.in_features // site.units)
        _slice(consumer, ("weight",), columns, 1)
        consumer.in_features = int(columns.sum())


def _slice(layer: nn.Module, names: tuple[str, ...], kept: Tensor, axis: int) -> None:
    index = kept.nonzero()[:, 0]
    for name in names:
        old = getattr(layer, name, None)
        if old is None:
            continue
        new = old.detach().index_select(axis, index.to(old.device))
        if isinstance(old, nn.Parameter):
            new = nn.Parameter(new, requires_grad=old.requires_grad)
        setattr(layer, name, new)
