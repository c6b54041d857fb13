"""Masks from scores, and how sparse they are. True = kept."""

from dataclasses import dataclass
from typing import Literal, get_args

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
    if not 0 <= ratio < 1:
        raise InputError(f"ratio is {ratio}: the fraction of weights to remove is in [0, 1)")
    if scope not in get_args(Scope):
        raise InputError(f"scope is {scope!r}: choose one of {get_args(Scope)}")
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
    order = scores.argsort(dim=1, stable=True)[:, : round(ratio * scores.shape[1])]
    return torch.ones_like(scores, dtype=torch.bool).scatter_(1, order, False)


@dataclass(frozen=True)
class Sparsity:
    """Fractions of removed weights: by layer, and over all layers."""

    layers: dict[str, float]
    overall: float


def sparsity(masks: dict[str, Bool[Tensor, "_ _"]]) -> Sparsity:
    """Fraction of weights that the masks remove."""
    removed = {name: int((~mask).sum()) for name, mask in masks.items()}
    total = sum(mask.numel() for mask in masks.values())
    return Sparsity(
        {name: removed[name] / mask.numel() for name, mask in masks.items()}, sum(removed.values()) / total
    )


def effective_sparsity(
    masks: dict[str, Bool[Tensor, "_ _"]], varying: Bool[Tensor, " n_in"] | None = None
) -> float:
    """Fraction of weights that do nothing: removed, without a kept path to an output, or fed by a constant.

    For plain chains: masks in the order of the layers, each one's outputs the next one's inputs. `varying`
    marks the network inputs that are not constant (default: all vary). Raises InputError where the shapes
    do not form a chain.
    """
    parts = list(masks.values())
    for name, first, second in zip(list(masks)[1:], parts, parts[1:], strict=False):
        if first.shape[0] != second.shape[1]:
            raise InputError(
                f"layer {name!r} takes {second.shape[1]} inputs, the one before has {first.shape[0]} units"
            )
    alive = torch.ones_like(parts[0][0]) if varying is None else varying
    if alive.shape != parts[0][0].shape:
        raise InputError(f"varying has {len(alive)} entries, the network {parts[0].shape[1]} inputs")
    forward = []  # kept weights whose input varies
    for mask in parts:
        forward.append(mask & alive)
        alive = forward[-1].any(1)
    reaches = torch.ones_like(parts[-1][:, 0])
    used = 0
    for mask, live in zip(reversed(parts), reversed(forward), strict=True):
        used += int((live & reaches[:, None]).sum())
        reaches = (mask & reaches[:, None]).any(0)
    return 1 - used / sum(mask.numel() for mask in parts)
