"""Masks from scores, and how sparse they are. True = kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from prunebook.errors import InputError

Scope = Literal["network", "layer", "row"]


def select(
    scores: dict[str, Float[Tensor, "_ _"]], ratio: float, scope: Scope = "network"
) -> dict[str, Bool[Tensor, "_ _"]]:
    """Masks that remove exactly round(ratio * n) weights, those with the smallest scores; ties by index.

    n counts all layers together ("network"), each layer, or each output row of each layer. A larger ratio
    removes the same weights and more. Raises InputError for a ratio outside [0, 1), no scores, NaN scores,
    or an unknown scope.
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


@dataclass(frozen=True)
class Sparsity:
    """Fractions of removed weights: by layer, and over all layers."""

    layers: dict[str, float]
    overall: float


def sparsity(masks: dict[str, Bool[Tensor, "_ _"]]) -> Sparsity:
    """Fraction of weights that the masks remove."""
    removed = {name: int((~mask).sum()) for name, mask in masks.items()}
    total = sum(mask.numel() for mask in masks.values())
    return Sparsity({name: removed[name] / mask.numel() for name, mask in masks.items()}, sum(removed.values()) / total)
