"""Masks and changes put on a network: on its layers one by one, or on a copy of it with torch's own pruning tools."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from prunebook.errors import InputError
from prunebook.networks.evaluating import private_copy
from prunebook.weights.calibration import Calibration
from prunebook.weights.compensations import COMPENSATIONS, Change, Changes, Masks


class PrunedLayer(NamedTuple):
    """A layer under its mask (True = kept): weight, zero where pruned, and bias, None where none is needed."""

    mask: Bool[Tensor, "n_out n_in"]
    weight: Float[Tensor, "n_out n_in"]
    bias: Float[Tensor, " n_out"] | None


def pruned_layers(calibration: Calibration, masks: Masks, compensation: str = "none") -> dict[str, PrunedLayer]:
    """The layers of the network under these masks, compensated, in the order of the masks and the layers' dtype."""
    if compensation not in COMPENSATIONS:
        raise InputError(f"no compensation {compensation!r}: choose one of {sorted(COMPENSATIONS)}")
    changes = COMPENSATIONS[compensation](calibration, masks)
    found = {}
    for name, mask in masks.items():
        weight, bias = _changed(name, calibration.layers[name], mask, changes[name])
        found[name] = PrunedLayer(mask, weight * mask, bias)
    return found


def apply(model: nn.Module, masks: Masks, changes: Changes) -> nn.Module:
    """A copy of the model with the changes added and the masks set by `torch.nn.utils.prune.custom_from_mask`.

    Each pruned layer has `weight_orig` and `weight_mask`; `torch.nn.utils.prune.remove(layer, "weight")`
    makes it permanent. A layer without bias gets one (n_out more numbers) if and only if its bias change is
    not zero.
    """
    model = private_copy(model)
    with torch.inference_mode(False), torch.no_grad():
        for name, mask in masks.items():
            layer = model.get_submodule(name)
            weight, bias = _changed(name, layer, mask, changes[name])
            layer.weight.copy_(weight)
            if bias is not None and layer.bias is None:
                layer.bias = nn.Parameter(bias, requires_grad=layer.weight.requires_grad)
            elif bias is not None:
                layer.bias.copy_(bias)
            torch_prune.custom_from_mask(layer, "weight", mask)
    return model


def _changed(name: str, layer: nn.Linear, mask: Tensor, change: Change) -> tuple[Tensor, Tensor | None]:
    """Weight (where pruned as it was) and bias, added in float64 and rounded once."""
    weight, bias = layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
    if mask.shape != weight.shape:
        raise InputError(f"mask of {name!r} is {tuple(mask.shape)}, the weight {tuple(weight.shape)}")
    if change.weight is not None:
        weight = (weight + torch.where(mask, change.weight, 0.0)).to(weight.dtype)
    if bias is not None:
        bias = (bias + change.bias).to(bias.dtype)
    elif change.bias.any():
        bias = change.bias.to(weight.dtype)
    return weight, bias
