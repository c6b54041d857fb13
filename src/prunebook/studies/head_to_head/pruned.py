"""Pruned networks as the parts that a stack is made of: mask, weight and bias of each layer."""

import torch
from torch import Tensor, nn

from prunebook.coresets.network import Draw
from prunebook.studies.head_to_head.config import scope_of
from prunebook.training.stacked import StackedMLP
from prunebook.weights import COMPENSATIONS, Calibration, select

Parts = list[tuple[Tensor, Tensor, Tensor]]


def masks_of(scores: dict[str, dict[str, Tensor]], ranking: str, ratio: float) -> dict[str, Tensor]:
    """What a ranking keeps at a ratio; True = kept."""
    return select(scores[ranking], ratio, scope_of(ranking))


def off(masks: dict[str, Tensor], ratio: float, scope: str) -> int:
    """How many weights more or fewer are gone than asked for. Within rows, each row is rounded by itself."""
    if scope == "row":
        return sum(
            int(((~mask).sum(1) - round(ratio * mask.shape[1])).abs().sum()) for mask in masks.values()
        )
    total = sum(mask.numel() for mask in masks.values())
    return abs(int(sum((~mask).sum() for mask in masks.values())) - round(ratio * total))


def compensated(evidence: Calibration, masks: dict[str, Tensor], compensation: str) -> Parts:
    """The network of the evidence under these masks, compensated."""
    changes = COMPENSATIONS[compensation](evidence, masks)
    parts = []
    for name, mask in masks.items():
        layer, change = evidence.layers[name], changes[name]
        weight, bias = layer.weight.detach(), layer.bias.detach()
        moved = weight if change.weight is None else weight + change.weight
        parts.append((mask, (moved * mask).to(weight.dtype), (bias + change.bias).to(bias.dtype)))
    return parts


def from_draw(dense: nn.Sequential, draw: Draw) -> Parts:
    """The network with its weights drawn, and its own biases."""
    layers = [(dense.get_submodule(name), weight) for name, weight in draw.weights.items()]
    return [(weight != 0, weight.to(layer.weight.dtype), layer.bias.detach()) for layer, weight in layers]


def stacked(like: StackedMLP, networks: list[Parts]) -> StackedMLP:
    """The networks side by side; their slopes are those of the first in another stack."""
    stack = like.select([0] * len(networks))
    for place in range(len(stack.weights)):
        masks, weights, biases = (
            torch.stack(part) for part in zip(*(n[place] for n in networks), strict=True)
        )
        stack.masks[place] = masks.to(weights.dtype)
        stack.weights[place], stack.biases[place] = weights, biases.unsqueeze(-1)
    return stack
