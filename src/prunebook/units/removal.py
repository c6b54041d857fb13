"""Pruned units taken out of the network, which becomes smaller; and all steps up to there in one call."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from prunebook.data.batches import Batches, class_labels
from prunebook.errors import InputError
from prunebook.networks.evaluating import as_written, evaluating, require_values
from prunebook.units.folding import check_path, fold
from prunebook.units.forward import as_chain, forward, leaves
from prunebook.units.layers import UnitLayer, unit_layers
from prunebook.units.replacement import checked, masked_outputs
from prunebook.units.scores import CONVENTIONS, SCORES, mask_lowest, number_to_prune, random_score
from prunebook.units.statistics import UnitStatistics, unit_statistics

Replacement = Literal["mean", "zero"]
CHUNK = 256  # samples in one pass; the means are over all of them


@dataclass(frozen=True)
class PrunedUnits:
    """A smaller network and how it came about; everything by the name of the site.

    model: of the class of the one given; masks: True where a unit was removed; scores: the lowest went; means: what
    took the place of each unit, None for zero, and in a network that is no chain, of each input channel of the layers
    that read them; reached: the share of units removed in each site that was pruned;
    left_alone: layers from which nothing was taken, each with the reason; notes: what one should know, such as emptied
    layers; difference: the largest between its outputs and those of the network with the same units overwritten while
    it runs, relative to the largest output; rounding, if all is well.
    """

    model: nn.Module
    masks: dict[str, Bool[Tensor, " units"]]
    scores: dict[str, Float[Tensor, " units"]]
    means: dict[str, Float[Tensor, " channels"]] | None
    reached: dict[str, float]
    left_alone: dict[str, str]
    notes: tuple[str, ...]
    difference: float

    @property
    def removed(self) -> dict[str, int]:
        """How many units went."""
        return {name: int(mask.sum()) for name, mask in self.masks.items()}

    def __str__(self) -> str:
        lines = [
            f"{name}: {self.removed[name]} of {len(mask)} units removed ({self.reached[name]:.1%})"
            for name, mask in self.masks.items()
        ]
        lines += [f"left alone: {name} ({reason})" for name, reason in self.left_alone.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


@as_written()
def prune_chain(
    model: nn.Module,
    data: Any,
    ratio: float | int | Mapping[str, float | int] = 0.4,
    *,
    score: str | Callable[[UnitStatistics], Tensor] = "abs_mrs",
    replacement: Replacement = "mean",
    layers: Sequence[str] | None = None,
    border: str = "exact",
    seed: int = 0,
) -> PrunedUnits:
    """A smaller copy of a chain without its least important units, each replaced by its mean (Evci et al., 2019).

    `unit_statistics`, a score, `mask_lowest`, `fold` and `remove` in one call; options are those of
    `prunebook.units.prune_units`. The network given stays as it is.

    Raises
    ------
    InputError
        For a network that is no chain, data that do not fit it, and unknown layers, scores or replacements.
    """
    require_values(model)
    amounts = _amounts(model, ratio, layers)
    if not amounts:
        raise InputError("there is no layer to prune: the chain has no hidden layer, or layers= and ratio= name none")
    if replacement not in get_args(Replacement):
        raise InputError(f"replacement is {replacement!r}: choose from {', '.join(get_args(Replacement))}")
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise InputError(f"seed is {seed!r}: give a whole number")
    table = SCORES | CONVENTIONS | {"rand": random_score(seed)}
    if not callable(score) and score not in table:
        raise InputError(f"there is no score {score!r}: choose from {', '.join(table)}, or give a function")
    # What cannot be folded is refused before any work.
    none = {site.name: [False] * site.units for site in unit_layers(model) if site.name in amounts}
    fold(model, none, {} if replacement == "mean" else None, border=border)
    with evaluating(model):
        batches = list(Batches(data, model))
    classes = len(as_chain(model)[unit_layers(model)[-1].consumer].weight)
    if classes < 2:
        raise InputError(f"the network has {classes} output: give one logit a class, two at least")
    shapes = {tuple(x.shape[1:]) for x, _ in batches}
    if len(shapes) > 1:
        raise InputError(f"inputs have the shapes {sorted(shapes)}: bring them to one, as folding depends on it")
    x = torch.cat([x for x, _ in batches])
    y = torch.cat([class_labels(y, len(x), classes) for x, y in batches])
    seen = unit_statistics(model, x, y, chunk=CHUNK if len(x) > CHUNK else None)
    function = score if callable(score) else table[score]
    scores = {name: torch.as_tensor(function(seen[name])) for name in amounts}
    for name, values in scores.items():
        if values.shape != seen[name].mean.shape:
            raise InputError(f"the scores of {name} have shape {tuple(values.shape)}: give one number a unit")
    masks = {name: mask_lowest(scores[name], amount) for name, amount in amounts.items()}
    means = {name: seen[name].mean for name in amounts} if replacement == "mean" else None
    small = remove(fold(model, masks, means, border=border, shape=x.shape[1:] if x.ndim == 4 else None), masks)
    with torch.no_grad():
        after, expected = forward(small, x[:CHUNK], {}), masked_outputs(model, x[:CHUNK], masks, means)
    difference = float((after - expected).abs().max() / expected.abs().max().clamp(min=1e-30))
    if border == "exact" and difference > torch.finfo(after.dtype).eps ** 0.5:
        raise InputError(f"the smaller network is off by {difference:.1e}: is a layer of a kind of its own?")
    notes = [f"{name} lost all of its units: one that is zero stands in" for name, m in masks.items() if m.all()]
    if len(after) > 1 and bool((after == after[:1]).all()):
        notes.append("the outputs are the same for all inputs")
    return PrunedUnits(
        model=small,
        masks=masks,
        scores=scores,
        means=means,
        reached={name: float(mask.double().mean()) for name, mask in masks.items()},
        left_alone=_left_alone(model, masks),
        notes=tuple(notes),
        difference=difference,
    )


def _amounts(
    model: nn.Module, ratio: float | int | Mapping[str, float | int], layers: Sequence[str] | None
) -> dict[str, int]:
    """How many units go, for each site that is to be pruned."""
    units = {site.name: site.units for site in unit_layers(model)}
    asked, there = (
        dict(ratio) if isinstance(ratio, Mapping) else dict.fromkeys(units, ratio),
        ", ".join(units) or "none",
    )
    if layers is not None and not isinstance(layers, Iterable):
        raise InputError(f"layers is {layers!r}: give a list of names out of {there}")
    names = [layers] if isinstance(layers, str) else asked if layers is None else layers
    for name in [*names, *asked]:
        if name not in units:
            raise InputError(f"there is no layer {name!r}: the network has {there}")
        if name not in asked:
            raise InputError(f"no ratio for layer {name!r}: name it in ratio too")
    return {name: number_to_prune(units[name], asked[name]) for name in units if name in names}


def _left_alone(model: nn.Module, masks: Mapping[str, Tensor]) -> dict[str, str]:
    names = [site.name for site in unit_layers(model)]
    found = {name: "not asked for" for name in names if name not in masks}
    found |= {name: "the ratio is less than one unit" for name, mask in masks.items() if not mask.any()}
    last = list(leaves(model))[unit_layers(model)[-1].consumer]
    return {name: found[name] for name in names if name in found} | {f"layer {last}": "gives the outputs"}


@as_written()
def remove(model: nn.Module, pruned: Mapping[str, Any]) -> nn.Sequential:
    """A smaller copy of the network without the pruned units.

    Its outputs are those of the network with these units at zero, ``fold(model, pruned)``; for mean replacement remove
    them from ``fold(model, pruned, means)``.

    Parameters
    ----------
    model : nn.Sequential
        A chain, as `unit_layers` describes it. It stays as it is.
    pruned : mapping of str to bool (units,)
        For each site by name, True where a unit goes. A layer that would be left empty keeps one unit, all zero.

    Returns
    -------
    nn.Sequential
        Of the same class, with narrower layers.

    Raises
    ------
    InputError
        As `fold` does, and where a dense layer does not read flattened whole maps.

    Examples
    --------
    >>> import torch
    >>> from prunebook.units import remove
    >>> chain = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    >>> remove(chain, {"dense1": [True, False, False]})[0]
    Linear(in_features=2, out_features=2, bias=True)
    """
    small = fold(model, pruned)
    work, chain = checked(unit_layers(small), pruned, None, next(small.parameters())), as_chain(small)
    for site, _, _ in work:
        check_path(small, site)
    for site, mask, _ in work:
        kept = ~mask
        if not kept.any():
            kept[0] = True
        _take(chain, site, kept)
    return small


def _take(model: nn.Sequential, site: UnitLayer, kept: Tensor) -> None:
    producer, consumer = model[site.producer], model[site.consumer]
    count = int(kept.sum())
    _slice(producer, ("weight", "bias", "bias_map"), kept, 0)
    setattr(producer, "out_features" if site.dense else "out_channels", count)
    if site.norm is not None:
        _slice(model[site.norm], ("weight", "bias", "running_mean", "running_var"), kept, 0)
        model[site.norm].num_features = count
    # Flattening puts the positions of one channel side by side.
    columns = kept.repeat_interleave(consumer.weight.shape[1] // site.units)
    _slice(consumer, ("weight",), columns, 1)
    setattr(consumer, "in_channels" if isinstance(consumer, nn.Conv2d) else "in_features", int(columns.sum()))


def _slice(layer: nn.Module, names: tuple[str, ...], kept: Tensor, axis: int) -> None:
    index = kept.nonzero()[:, 0]
    for name in names:
        if (old := getattr(layer, name, None)) is not None:
            new = old.detach().index_select(axis, index.to(old.device))
            setattr(layer, name, nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new)
