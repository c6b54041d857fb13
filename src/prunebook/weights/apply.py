"""Masks and changes put on a copy of a model, with torch's own pruning tools."""

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from prunebook.errors import InputError

if TYPE_CHECKING:
    from prunebook.weights.compensations import Changes, Masks


def apply(model: nn.Module, masks: "Masks", changes: "Changes") -> nn.Module:
    """A deep copy of the model with the changes added and the masks set by
    `torch.nn.utils.prune.custom_from_mask`.

    Each pruned layer has `weight_orig` and `weight_mask`; `torch.nn.utils.prune.remove(layer, "weight")`
    makes it permanent. A layer without bias gets one (n_out more numbers) if and only if its bias change is
    not zero.
    """
    model = copy.deepcopy(model)
    with torch.no_grad():
        for name, mask in masks.items():
            layer, change = model.get_submodule(name), changes[name]
            if mask.shape != layer.weight.shape:
                raise InputError(
                    f"mask of {name!r} is {tuple(mask.shape)}, the weight {tuple(layer.weight.shape)}"
                )
            # added in float64 and rounded once
            if change.weight is not None:
                layer.weight.copy_(layer.weight + torch.where(mask, change.weight, 0.0))
            if change.bias.any():
                if layer.bias is None:
                    layer.bias = nn.Parameter(
                        torch.zeros_like(layer.weight[:, 0]), requires_grad=layer.weight.requires_grad
                    )
                layer.bias.copy_(layer.bias + change.bias)
            torch_prune.custom_from_mask(layer, "weight", mask)
    return model
