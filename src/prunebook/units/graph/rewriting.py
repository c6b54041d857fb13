"""Units taken out of a network in place, and what replaces them put into the layers that read them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from prunebook.units.graph.bordered import add_constant
from prunebook.units.graph.dependencies import TRANSPOSED, Group
from prunebook.units.graph.reading import Substitute, width_of


@torch.no_grad()
def rewrite(
    model: nn.Module, groups: Sequence[Group], masks: Mapping[str, Tensor], substitutes: Mapping[str, Substitute]
) -> None:
    """Folds the substitutes into their layers, and cuts the masked units out. Outputs are then those of the network
    whose layers read the substitutes. A group that loses all its units keeps one a block, read with weights of zero."""
    layers = dict(model.named_modules())
    for name, substitute in substitutes.items():
        _fold(layers[name], substitute)
    dropped: dict[tuple[str, str], Tensor] = {}
    for group in groups:
        mask = masks.get(group.name)
        if mask is None or not mask.any():
            continue
        if mask.all():
            mask = mask.clone()
            mask.view(group.blocks, -1)[:, 0] = False
        for part in group.parts:
            key = (part.layer, part.role)
            dropped[key] = torch.cat([dropped.get(key, torch.tensor([], dtype=torch.long)), part.dropped(mask)])
    for (name, role), channels in dropped.items():
        _slice(layers[name], role, channels)


def _blocks(layer: nn.Module) -> tuple[Tensor, int]:
    """The weight as (blocks, outputs of a block, inputs of a block, ...), a view."""
    groups = getattr(layer, "groups", 1)
    return layer.weight.unflatten(0, (groups, -1)), groups


def _fold(layer: nn.Module, substitute: Substitute) -> None:
    weight, groups = _blocks(layer)
    cut, constant = (t.view(groups, -1) for t in (substitute.cut, substitute.constant.to(weight)))
    kernel = torch.einsum("goi...,gi->go...", weight, constant * cut)
    if substitute.mix is not None:  # one block, which is the whole layer
        kept = ~substitute.cut
        weight[0][:, kept] += torch.einsum("oc...,ck->ok...", weight[0][:, substitute.cut], substitute.mix.to(weight))
    for block, gone in zip(weight, cut, strict=True):
        block[:, gone] = 0
    add_constant(layer, kernel.flatten(0, 1))


def _slice(layer: nn.Module, role: str, channels: Tensor) -> None:
    """Takes channels out of what a layer gives, reads, or passes on."""
    if role == "reads":
        weight, groups = _blocks(layer)
        kept = _kept(width_of(layer), channels, weight.device).view(groups, -1)
        blocks = [block[:, mask] for block, mask in zip(weight, kept, strict=True)]
        _put(layer, "weight", torch.cat(blocks))
        count = int(kept.sum())
        setattr(layer, "in_features" if isinstance(layer, nn.Linear) else "in_channels", count)
        return
    axis = 1 if role == "makes" and isinstance(layer, TRANSPOSED) else 0
    kept = _kept(layer.weight.shape[axis] if layer.weight is not None else layer.num_features, channels)
    for name in ("weight", "bias", "constant", "running_mean", "running_var"):
        old = getattr(layer, name, None)
        if old is not None:
            index = kept.nonzero()[:, 0].to(old.device)
            _put(layer, name, old.index_select(axis if name == "weight" else 0, index))
    count = int(kept.sum())
    widths = ("out_features", "num_features", "num_parameters", "out_channels")
    if role == "passes" and hasattr(layer, "groups"):
        widths += ("in_channels", "groups")
    for width in widths:
        if hasattr(layer, width):
            setattr(layer, width, count)


def _kept(width: int, channels: Tensor, device: torch.device | str = "cpu") -> Tensor:
    kept = torch.ones(width, dtype=torch.bool)
    kept[channels] = False
    return kept.to(device)


def _put(layer: nn.Module, name: str, new: Tensor) -> None:
    old = getattr(layer, name)
    setattr(layer, name, nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new)
