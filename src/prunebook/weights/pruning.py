"""Prune a network by one of the registered methods."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from prunebook.errors import InputError
from prunebook.weights.apply import apply
from prunebook.weights.calibration import Calibration
from prunebook.weights.compensations import COMPENSATIONS, Change
from prunebook.weights.criteria import CRITERIA
from prunebook.weights.masks import Scope, select, sparsity
from prunebook.weights.methods import METHODS, Method


@dataclass(frozen=True)
class Pruned:
    """A pruned copy of a network and how it came about; masks, scores and changes by layer name.

    `ratio` is what was asked for, `reached` the fraction of weights that the masks remove.
    """

    model: nn.Module
    masks: dict[str, Bool[Tensor, "_ _"]]
    scores: dict[str, Float[Tensor, "_ _"]]
    changes: dict[str, Change]
    method: Method
    ratio: float
    reached: float


def prune(
    model: nn.Module,
    data: Any,
    ratio: float,
    method: str | Method = "elimination-compensation",
    *,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    scope: Scope | None = None,
    evidence: Calibration | None = None,
    seed: int | None = None,
    probes: int | None = None,
) -> Pruned:
    """A copy of `model` without the fraction `ratio` of its linear weights, compensated; `model` itself
    stays as it is.

    `data`, `loss`, `seed` (default 0) and `probes` go to `Evidence`. To prune many times, make one
    `Evidence(model, data)` and pass it as `evidence`, with None for these: the pass over the data and the
    scores are then computed once. Weights that are zero already go first, so that pruning in steps never
    brings one back. `scope` overrides the method's own. The masks are torch's (see `apply`),
    so fine-tuning with any optimiser keeps the removed weights at zero. Raises InputError for arguments,
    data or models that do not fit.
    """
    if isinstance(method, str):
        if method not in METHODS:
            raise InputError(f"no method {method!r}: choose one of {list(METHODS)}")
        method = METHODS[method]
    if not 0 <= ratio < 1:
        raise InputError(f"ratio is {ratio}: the fraction of weights to remove is in [0, 1)")
    if evidence is None:
        evidence = Calibration(model, data, loss=loss, seed=seed or 0, probes=probes)
    elif evidence.model is not model:
        raise InputError("the evidence belongs to another model: make one with Evidence(model, data)")
    elif any(given is not None for given in (data, loss, seed, probes)):
        raise InputError("data, loss, seed and probes are part of the evidence: leave them None")
    if method.needs_loss and evidence.loss is None:
        raise InputError(f"method {method.name!r} needs a training loss: pass loss=")
    rank = CRITERIA[method.ranking]
    scores = evidence.cached(("ranking", rank), lambda: rank(evidence))
    zeros = {name: weight == 0 for name, weight in evidence.weights.items()}
    first = {name: score.masked_fill(zeros[name], -torch.inf) for name, score in scores.items()}
    masks = select(first, ratio, scope or method.scope)
    changes = COMPENSATIONS[method.compensation](evidence, masks)
    pruned = apply(model, masks, changes)
    return Pruned(pruned, masks, scores, changes, method, ratio, sparsity(masks).overall)
