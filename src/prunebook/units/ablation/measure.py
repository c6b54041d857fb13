"""Losses of very many variants of one network, each with some of its units pruned.

A variant sets chosen units of chosen sites to zero, or to constants (mean replacement, Evci et al., 2019). The network
runs once up to its first site; behind it, whatever two variants have in common is computed once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from prunebook.data.batches import class_labels
from prunebook.errors import InputError
from prunebook.units.ablation.batch_norm import masked_logits
from prunebook.units.ablation.execute import sample_bytes, walk
from prunebook.units.ablation.plan import Cut, Plan, integer
from prunebook.units.ablation.stages import Stage, stages
from prunebook.units.folding import BORDERS, check_plain
from prunebook.units.forward import NORMS, as_chain, exact
from prunebook.units.layers import UnitLayer, sites

MEMORY = {"cpu": 192 * 2**20, "cuda": 4 * 2**30}


@dataclass(frozen=True)
class Variant:
    """Units to prune: for each named site a boolean (channels,), True where pruned. Sites not named stay whole.

    ``constants`` has (channels,) for each site with pruned units, of which the pruned units' values count; None means
    zeros. ``border`` says what a constant does to a consumer with zero padding: "exact" replaces the unit's map and
    leaves the padding zero; "response-mean" adds the mean over places of what the constant would add there to the
    consumer's bias; "all-taps" adds what it would add where no tap meets the padding.
    """

    pruned: Mapping[str, Tensor]
    constants: Mapping[str, Tensor] | None = None
    border: str = "exact"


@dataclass(frozen=True)
class Measurement:
    """``loss``: mean cross-entropy (variants, sets), float64. ``correct``: right answers (variants, sets), integers.
    ``unpruned_loss`` and ``unpruned_correct`` (sets,) are those of the whole network. ``distinct`` counts the variants
    that were run, the whole network included, and ``macs`` multiply-accumulates behind the first site, one sample."""

    loss: Float[Tensor, "variants sets"]
    correct: Int[Tensor, "variants sets"]
    unpruned_loss: Float[Tensor, " sets"]
    unpruned_correct: Int[Tensor, " sets"]
    distinct: int
    macs: int


def measure(
    model: nn.Module,
    variants: Sequence[Variant],
    evaluation: Sequence[tuple[Tensor, Any]],
    *,
    batch_statistics: bool = False,
    memory: int | None = None,
) -> Measurement:
    """Losses of all variants on each of the sets ``evaluation``, pairs of inputs (samples, ...) and classes (samples,).

    The network is read as in evaluation mode, whatever mode it is in. Its weights, buffers, gradients and mode and the
    random state stay as they are. Products of float32 are made in float32, not in TF32. Losses differ from those of a
    masked copy by rounding alone, which is relative to the pre-activations of the whole network. ``memory`` is about
    what the maps of one chunk of samples may take, in bytes; a chunk that finds no room is halved.

    With ``batch_statistics`` batch norm uses the mean and variance of each set, all of its samples at once. Then
    nothing can be shared, and each distinct variant costs a forward pass.

    Raises InputError for a network that is no plain chain, an unknown site, a mask or constants of the wrong shape,
    constants that are missing or not finite, an unknown border, or data that do not fit the network.
    """
    model, chain = as_chain(model), sites(model)
    check_plain(model)
    norms = [layer for layer in model if isinstance(layer, NORMS)]
    batch_statistics = batch_statistics and bool(norms)
    if not batch_statistics and any(norm.running_mean is None for norm in norms):
        raise InputError("the batch norm keeps no running statistics: measure with batch_statistics=True")
    _check_variants(chain, variants)
    evaluation = _checked_data(model, chain, evaluation)
    with exact(evaluation[0][0].device):
        parts = stages(model, evaluation[0][0], fold=not batch_statistics)
        keys = [_key(parts, variant) for variant in variants]
        whole = (Cut(),) * len(parts)
        distinct = {key: index for index, key in enumerate(dict.fromkeys([whole, *keys]))}
        if batch_statistics:
            macs = len(distinct) * sum(p.weight.numel() * p.result[0] * p.result[1] for p in parts)
            runs = [_batch_norm_run(model, parts, list(distinct), x, y) for x, y in evaluation]
        else:
            plan = Plan(parts, list(distinct))
            macs, runs = plan.macs, [_run(model, plan, x, y, memory) for x, y in evaluation]
    loss, correct = (torch.stack([run[k] for run in runs], 1) for k in (0, 1))
    where = torch.tensor([distinct[key] for key in keys], dtype=torch.long, device=loss.device)
    return Measurement(loss[where], correct[where], loss[0], correct[0], len(distinct), macs)


def _run(model: nn.Sequential, plan: Plan, x: Tensor, y: Tensor, memory: int | None) -> tuple[Tensor, Tensor]:
    budget = MEMORY.get(x.device.type, MEMORY["cuda"]) if memory is None else memory
    chunk, start = max(1, min(len(x), budget // sample_bytes(plan))), 0
    loss = torch.zeros(len(plan.variants), dtype=torch.float64, device=x.device)
    correct = torch.zeros(len(plan.variants), dtype=torch.long, device=x.device)
    while start < len(x):
        part = slice(start, start + chunk)
        try:
            losses, right = _judge(walk(plan, model, x[part]), y[part])
        except torch.OutOfMemoryError:
            if chunk == 1:
                raise
            chunk = (chunk + 1) // 2
            continue
        loss += losses
        correct += right
        start += chunk
    return loss / len(x), correct


def _batch_norm_run(
    model: nn.Sequential, parts: Sequence[Stage], distinct: Sequence[tuple[Cut, ...]], x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    loss, correct = zip(
        *(_judge(masked_logits(model, parts, cuts, x).T[None], y) for cuts in distinct), strict=True
    )
    return torch.cat(loss) / len(x), torch.cat(correct)


def _judge(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropies and number of right answers, (variants,), of logits (variants, classes, samples)."""
    losses = logits.double().log_softmax(1).gather(1, y.expand(len(logits), 1, -1))
    return -losses.sum((1, 2)), (logits.argmax(1) == y).sum(1)


def _key(parts: Sequence[Stage], variant: Variant) -> tuple[Cut, ...]:
    cuts = []
    for stage in parts:
        mask = variant.pruned.get(stage.site.name)
        number = 0 if mask is None else integer(mask)
        if not number:
            cuts.append(Cut())
            continue
        constants = None
        if variant.constants is not None:
            values = variant.constants[stage.site.name].detach().cpu().to(torch.float64)
            values = values.masked_fill(~mask.cpu(), 0.0)
            constants = values.numpy().tobytes() if values.any() else None
        moved = constants is not None and stage.padded
        cuts.append(Cut(number, constants, variant.border if moved else "exact"))
    return tuple(cuts)


def _check_variants(chain: Sequence[UnitLayer], variants: Sequence[Variant]) -> None:
    units = {site.name: site.units for site in chain}
    for index, variant in enumerate(variants):
        if variant.border not in BORDERS:
            raise InputError(
                f"variant {index}: unknown border {variant.border!r}: choose from {', '.join(BORDERS)}"
            )
        for kind, given in (("pruned", variant.pruned), ("constants", variant.constants or {})):
            for name, value in given.items():
                if name not in units:
                    raise InputError(f"variant {index}: no site {name!r}: choose from {', '.join(units)}")
                if not isinstance(value, Tensor):
                    raise InputError(
                        f"variant {index}: {kind} at {name} is {type(value).__name__}: give a tensor"
                    )
                if value.shape != (units[name],):
                    raise InputError(
                        f"variant {index}: {kind} at {name} is {tuple(value.shape)}: give ({units[name]},)"
                    )
                if (value.dtype is torch.bool) != (kind == "pruned"):
                    right = "booleans" if kind == "pruned" else "numbers"
                    raise InputError(f"variant {index}: {kind} at {name} is {value.dtype}: give {right}")
        if variant.constants is not None:
            for name, mask in variant.pruned.items():
                if name not in variant.constants and mask.any():
                    raise InputError(
                        f"variant {index}: no constants at {name}: give them for each site with pruned units"
                    )
                if (
                    name in variant.constants
                    and not variant.constants[name].cpu()[mask.cpu()].isfinite().all()
                ):
                    raise InputError(
                        f"variant {index}: constants at {name} are not finite: has training diverged?"
                    )


def _checked_data(
    model: nn.Sequential, chain: Sequence[UnitLayer], evaluation: Sequence[tuple[Tensor, Any]]
) -> list[tuple[Tensor, Tensor]]:
    if not evaluation:
        raise InputError("no data to measure on: give at least one pair (x, y)")
    if not chain:
        raise InputError("the chain has no hidden layer: there is no unit to prune")
    weight, classes = next(model.parameters()), len(model[chain[-1].consumer].weight)
    if classes < 2:
        raise InputError("the network has one output: give one logit for each class")
    found = []
    for index, (x, y) in enumerate(evaluation):
        if x.dtype is not weight.dtype or x.device != weight.device:
            raise InputError(
                f"set {index}: inputs {x.dtype} on {x.device}, weights {weight.dtype} on {weight.device}: give both on "
                "one device and of one type"
            )
        if len(x) == 0:
            raise InputError(f"set {index} is empty: give at least one sample")
        found.append((x, class_labels(y, len(x), classes).to(x.device)))
    return found
