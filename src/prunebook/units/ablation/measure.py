"""Losses of very many variants of one network, each with some of its units pruned.

A variant sets chosen units of chosen layers to zero, or to constants (mean replacement, Evci et al., 2019). The network
runs once up to its first site; behind it, whatever two variants have in common is computed once.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from prunebook.data.batches import Batches, class_labels
from prunebook.errors import InputError
from prunebook.networks.device import products_in
from prunebook.units.ablation.plan import Cut, Plan, bits, integer, sample_bytes, values, walk
from prunebook.units.ablation.stages import Stage, stages
from prunebook.units.folding import BORDERS, check_plain
from prunebook.units.forward import NORMS, as_chain, forward
from prunebook.units.layers import UnitLayer, unit_layers
from prunebook.units.replacement import checked, overwriting

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

    The network is read as in evaluation mode, and stays as it is. Products of float32 are made in float32, not in TF32.
    Losses differ from those of a masked copy by rounding alone, which is relative to the pre-activations of the whole
    network. ``memory`` is about what the maps of one chunk of samples may take, in bytes; a chunk that finds no room is
    halved.

    With ``batch_statistics`` batch norm uses the mean and variance of each set, all of its samples at once. Then
    nothing can be shared, and each distinct variant costs a forward pass.

    Raises InputError for a network that is no plain chain, an unknown site, a mask or constants of the wrong shape,
    constants that are missing or not finite, an unknown border, or data that do not fit the network.
    """
    model, chain = as_chain(model), unit_layers(model)
    check_plain(model)
    norms = [layer for layer in model if isinstance(layer, NORMS)]
    batch_statistics = batch_statistics and bool(norms)
    if not batch_statistics and any(norm.running_mean is None for norm in norms):
        raise InputError("the batch norm keeps no running statistics: measure with batch_statistics=True")
    cuts = [_cuts(chain, index, variant) for index, variant in enumerate(variants)]
    evaluation = _checked_data(model, chain, evaluation)
    x = evaluation[0][0]
    with products_in("single"), torch.inference_mode(), torch.autocast(x.device.type, enabled=False):
        parts = stages(model, x, fold=not batch_statistics)
        keys = [_key(parts, cut) for cut in cuts]
        whole = (Cut(),) * len(parts)
        distinct = {key: index for index, key in enumerate(dict.fromkeys([whole, *keys]))}
        if batch_statistics:
            macs = len(distinct) * sum(p.weight.numel() * p.result[0] * p.result[1] for p in parts)
            runs = [_one_by_one(model, parts, list(distinct), x, y) for x, y in evaluation]
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


def _one_by_one(
    model: nn.Sequential, parts: Sequence[Stage], distinct: Sequence[tuple[Cut, ...]], x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """By plain forward passes with batch norm over ``x``; the parts hold the consumers' own weights."""
    edits = [_edits(parts, cuts, x) for cuts in distinct]
    found = [_judge(forward(model, x, at, batch_statistics=True).T[None], y) for at in edits]
    loss, correct = (torch.cat(part) for part in zip(*found, strict=True))
    return loss / len(x), correct


def _judge(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropies and number of right answers, (variants,), of logits (variants, classes, samples)."""
    losses = logits.double().log_softmax(1).gather(1, y.expand(len(logits), 1, -1))
    return -losses.sum((1, 2)), (logits.argmax(1) == y).sum(1)


def _edits(parts: Sequence[Stage], cuts: Sequence[Cut], x: Tensor) -> dict[int, Callable[[Tensor], Tensor]]:
    """What puts the cut of each site in place, by the index of the layer whose output it changes."""
    edits: dict[int, Callable[[Tensor], Tensor]] = {}
    for stage, cut in zip(parts, cuts, strict=True):
        if not cut.mask:
            continue
        pruned = torch.zeros(stage.site.units, dtype=torch.bool, device=x.device)
        pruned[torch.from_numpy(bits(cut.mask)).to(x.device)] = True
        constants = stage.bias.new_zeros(stage.site.units)
        if cut.constants is not None and cut.border == "exact":
            constants = values(cut, stage.weight)
        elif cut.constants is not None:
            shift = stage.shift(values(cut, stage.weight), cut.border)[0]
            edits[stage.site.consumer] = lambda z, shift=shift: z + shift
        edits[stage.site.index] = overwriting(stage.site, pruned, constants)
    return edits


def _cuts(chain: Sequence[UnitLayer], index: int, variant: Variant) -> dict[str, Cut]:
    """What a variant does at each site where it does something."""
    if variant.border not in BORDERS:
        raise InputError(f"variant {index}: unknown border {variant.border!r}: choose from {', '.join(BORDERS)}")
    try:
        work = checked(chain, variant.pruned, variant.constants, torch.empty(0, dtype=torch.float64))
    except InputError as error:
        raise InputError(f"variant {index}: {error}") from None
    return {
        site.name: Cut(integer(mask), held.numpy().tobytes() if held.any() else None, variant.border)
        for site, mask, held in work
        if mask.any()
    }


def _key(parts: Sequence[Stage], cuts: Mapping[str, Cut]) -> tuple[Cut, ...]:
    """One cut a stage; a border makes a difference for constants in front of padding alone."""
    found = (cuts.get(stage.site.name, Cut()) for stage in parts)
    return tuple(
        cut if cut.constants is not None and stage.padded else dataclasses.replace(cut, border="exact")
        for stage, cut in zip(parts, found, strict=True)
    )


def _checked_data(
    model: nn.Sequential, chain: Sequence[UnitLayer], evaluation: Sequence[tuple[Tensor, Any]]
) -> list[tuple[Tensor, Tensor]]:
    if not evaluation:
        raise InputError("no data to measure on: give at least one pair (x, y)")
    if not chain:
        raise InputError("the chain has no hidden layer: there is no unit to prune")
    if (classes := len(model[chain[-1].consumer].weight)) < 2:
        raise InputError("the network has one output: give one logit for each class")
    pairs = [Batches([pair], model).first() for pair in evaluation]
    return [(x, class_labels(y, len(x), classes).to(x.device)) for x, y in pairs]
