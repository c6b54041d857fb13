"""Masks (True = kept): made from scores, and put on layers, or on a copy of the network, together with changes."""

from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from prunebook.errors import InputError
from prunebook.networks.evaluating import private_copy
from prunebook.weights.calibration import Calibration
from prunebook.weights.compensations import COMPENSATIONS, Change, Changes, Masks

Scope = Literal["network", "layer", "row"]


def select(
    scores: dict[str, Float[Tensor, "_ _"]], ratio: float, scope: Scope = "network"
) -> dict[str, Bool[Tensor, "_ _"]]:
    """Masks that remove exactly round(ratio * n) weights, those with the smallest scores; ties by index.

    n counts all layers together ("network"), each layer, or each output row of each layer. A larger ratio removes the
    same weights and more. Raises InputError for a ratio outside [0, 1), no scores, NaN scores, or an unknown scope.
    """
    check_ratio(ratio)
    check_scope(scope)
    if not scores:
        raise InputError("there are no scores to select from")
    for name, score in scores.items():
        if score.isnan().any():
            raise InputError(f"scores of layer {name!r} contain NaN")
    if scope == "row":
        return {name: _keep(score, ratio) for name, score in scores.items()}
    if scope == "layer":
        return {name: _keep(score.reshape(1, -1), ratio).view(score.shape) for name, score in scores.items()}
    together = torch.cat([score.double().reshape(-1) for score in scores.values()])
    parts = _keep(together[None], ratio)[0].split([score.numel() for score in scores.values()])
    return {name: part.view(scores[name].shape) for name, part in zip(scores, parts, strict=True)}


def _keep(scores: Tensor, ratio: float) -> Tensor:
    order = scores.argsort(dim=1, stable=True)[:, : number_to_prune(ratio, scores.shape[1])]
    return torch.ones_like(scores, dtype=torch.bool).scatter_(1, order, False)


def number_to_prune(ratio: float, n: int, how: Literal["round", "floor"] = "round") -> int:
    """How many of n weights a ratio removes: the nearest number, or the largest that is not above the ratio (but for
    the rounding error of ratio * n).
    """
    return round(ratio * n) if how == "round" else int(ratio * n + 1e-9)


def check_ratio(ratio: Any) -> None:
    """Raises InputError unless the ratio is a number in [0, 1)."""
    if isinstance(ratio, Mapping):
        raise InputError("ratio is a dictionary: give one number, and prune layers apart with layers=")
    if not isinstance(ratio, Real) or isinstance(ratio, bool) or not 0 <= ratio < 1:
        raise InputError(f"ratio is {ratio!r}: the fraction of weights to remove is a number in [0, 1)")


def check_scope(scope: Any) -> None:
    """Raises InputError for an unknown scope."""
    if scope not in get_args(Scope):
        raise InputError(f"scope is {scope!r}: choose one of {get_args(Scope)}")


def sparsity(masks: dict[str, Bool[Tensor, "..."]]) -> float:
    """Fraction of the weights that the masks remove."""
    return sum(int((~mask).sum()) for mask in masks.values()) / sum(mask.numel() for mask in masks.values())


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

    Each pruned layer has `weight_orig` and `weight_mask`; `torch.nn.utils.prune.remove(layer, "weight")` makes it
    permanent. A layer without bias gets one (n_out more numbers) if and only if its bias change is not zero.
    """
    model = private_copy(model)
    with torch.inference_mode(False), torch.no_grad():
        for name, mask in masks.items():
            layer = model.get_submodule(name)
            weight, bias = _changed(name, layer, mask, changes[name])
            layer.weight.copy_(weight.view_as(layer.weight))
            if bias is not None and layer.bias is None:
                layer.bias = nn.Parameter(bias, requires_grad=layer.weight.requires_grad)
            elif bias is not None:
                layer.bias.copy_(bias)
            torch_prune.custom_from_mask(layer, "weight", mask.view_as(layer.weight))
    return model


def _changed(name: str, layer: nn.Module, mask: Tensor, change: Change) -> tuple[Tensor, Tensor | None]:
    """Weight (n_out, n_in; where pruned as it was) and bias, added in float64 and rounded once."""
    weight, bias = layer.weight.detach().flatten(1), None if layer.bias is None else layer.bias.detach()
    if mask.shape != weight.shape:
        raise InputError(f"mask of {name!r} is {tuple(mask.shape)}, the weight {tuple(weight.shape)}")
    if change.weight is not None:
        weight = (weight + torch.where(mask, change.weight, 0.0)).to(weight.dtype)
    if bias is not None:
        bias = (bias + change.bias).to(bias.dtype)
    elif change.bias.any():
        bias = change.bias.to(weight.dtype)
    return weight, bias
