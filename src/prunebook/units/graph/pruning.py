"""Units of a network of any form pruned, and all steps up to there in one call."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from prunebook.data.batches import Batches
from prunebook.errors import InputError
from prunebook.networks.evaluating import as_written, evaluating, private_copy, require_values, why_unfit
from prunebook.units.graph.choosing import Ratio, amounts, check_options, choose
from prunebook.units.graph.dependencies import Group, find_groups
from prunebook.units.graph.probing import Run, outputs, separable
from prunebook.units.graph.reading import Substitute, cuts
from prunebook.units.graph.rewriting import rewrite
from prunebook.units.graph.scores import FORWARD_ONLY, graph_scores
from prunebook.units.graph.statistics import GroupStatistics, Reading, measure
from prunebook.units.removal import PrunedUnits
from prunebook.units.scores import random_score

REPLACEMENTS = ("mean", "zero")
PROBE = 2  # samples that show how the network hangs together
CHECK = 32  # samples on which the smaller network is compared with its definition


@as_written()
def prune_graph(
    model: nn.Module,
    data: Any,
    ratio: Ratio = 0.4,
    *,
    score: str | Callable[[GroupStatistics], Tensor] = "abs_mrs",
    replacement: str = "mean",
    layers: Sequence[str] | None = None,
    scope: str = "layer",
    round_to: int = 1,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    targets: Callable[[Any], Any] | None = None,
    seed: int = 0,
    widths: Mapping[str, int] | None = None,
) -> PrunedUnits:
    """A smaller copy of any network; `prunebook.units.prune_units` says what the arguments mean.

    Units are the channels that go together (see `find_groups`). What replaces a unit is measured where each layer reads
    it, so nothing that lies between, such as batch norm, activations, additions, concatenation or pooling, makes the
    smaller network differ from the one whose layers read the replacement.
    """
    require_values(model)
    if why_unfit(model):
        raise InputError(f"the layers of this network cannot be seen{why_unfit(model)}")
    table = {**graph_scores(), "rand": random_score(_seed(seed))}
    if not callable(score) and score not in table:
        raise InputError(f"there is no score {score!r}: choose from {', '.join(table)}, or give a function")
    if replacement not in REPLACEMENTS:
        raise InputError(f"replacement is {replacement!r}: choose from {', '.join(REPLACEMENTS)}")
    work = private_copy(model)
    batches = Batches(data, work, forward=forward, targets=targets)
    with evaluating(work):
        first, _ = batches.first()
    buffers = {name: value.clone() for name, value in work.named_buffers()}
    probe = _runner(batches, first, PROBE, buffers)
    groups, left = find_groups(work, probe)
    with evaluating(work):
        groups, refused = separable(work, probe, groups)
    left |= refused
    ratios = _ratios(groups, left, ratio, layers)
    check_options(ratios, scope, round_to)
    wanted = [group for group in groups if group.name in ratios]
    seen, readings = measure(work, batches, wanted, gradients=callable(score) or score not in FORWARD_ONLY, loss=loss)
    function = score if callable(score) else table[score]
    scores = {name: _scored(name, function, facts) for name, facts in seen.items()}
    masks = choose(wanted, scores, ratios, scope=scope, round_to=round_to, widths=widths)
    put = _substitutes(work, wanted, masks, readings, replacement)
    check = _runner(batches, first, CHECK, buffers)
    with evaluating(work):
        expected = outputs(work, check, put)
        _restore(work, buffers)
        rewrite(work, wanted, masks, put)
        after = outputs(work, check, {})
        _restore(work, buffers)
    return PrunedUnits(
        model=work,
        masks=masks,
        scores=scores,
        means=None if replacement == "zero" else {name: s.constant for name, s in put.items()},
        reached={name: float(mask.double().mean()) for name, mask in masks.items()},
        left_alone=_left_alone(groups, masks, left),
        notes=tuple(_notes(masks, after, ratios, scope)),
        difference=_difference(after, expected),
    )


def prune_in_steps(
    model: nn.Module, data: Any, ratio: Ratio = 0.4, *, steps: int, **options: Any
) -> Iterator[PrunedUnits]:
    """Prunes in ``steps`` equal steps up to ``ratio`` of the units there were; fine-tune ``model`` of each in between.

    Takes the options of `prune_units`, and makes each step from the model that it gave before, as it is by then.

    Examples
    --------
    >>> import torch
    >>> from prunebook.units.graph import prune_in_steps
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 12), torch.nn.GELU(), torch.nn.Linear(12, 3))
    >>> for step in prune_in_steps(net, torch.randn(20, 4), 0.5, steps=3, score="variance"):
    ...     print(step.model[0].out_features)  # fine-tune step.model here
    10
    8
    6
    """
    if not isinstance(steps, Integral) or isinstance(steps, bool) or steps < 1:
        raise InputError(f"steps is {steps!r}: give a whole number, at least 1")
    goals = ratio if isinstance(ratio, Mapping) else {"": ratio}
    if any(isinstance(r, Integral) for r in goals.values()):
        raise InputError("steps need ratios as fractions: give 0.5 for half of the units")
    widths: dict[str, int] = {}
    for step in range(1, steps + 1):
        now = {name: r * step / steps for name, r in goals.items()}
        found = prune_graph(model, data, now if isinstance(ratio, Mapping) else now[""], widths=widths, **options)
        widths = {name: widths.get(name, len(mask)) for name, mask in found.masks.items()}
        model = found.model
        yield found


def _seed(seed: object) -> int:
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise InputError(f"seed is {seed!r}: give a whole number")
    return int(seed)


def _runner(batches: Batches, first: Any, samples: int, buffers: Mapping[str, Tensor]) -> Run:
    """A pass of a few samples of the first batch, or of all of it where a batch is no tensor."""
    x = first[:samples] if isinstance(first, Tensor) else first

    def run(model: nn.Module) -> Any:
        _restore(model, buffers)
        return batches.call(model, x)

    return run


@torch.no_grad()
def _restore(model: nn.Module, buffers: Mapping[str, Tensor]) -> None:
    """Buffers as they were, for some networks change them as they run; those of another size are left."""
    for name, value in buffers.items():
        if model.get_buffer(name).shape == value.shape:
            model.get_buffer(name).copy_(value)


def _ratios(groups: list[Group], left: Mapping[str, str], ratio: Ratio, layers: Sequence[str] | None) -> dict:
    asked = [*(ratio if isinstance(ratio, Mapping) else ()), *([layers] if isinstance(layers, str) else layers or ())]
    for name in asked:
        if name in left:
            raise InputError(f"layer {name!r} cannot be pruned: {left[name]}")
    found = amounts(groups, ratio, layers)
    if not found:
        reasons = "; ".join(f"{name}: {why}" for name, why in left.items())
        raise InputError(f"there are no units to prune: {reasons or 'layers= and ratio= name none'}")
    return found


def _scored(name: str, function: Callable[[GroupStatistics], Tensor], facts: GroupStatistics) -> Tensor:
    values = torch.as_tensor(function(facts))
    if values.shape != facts.mean.shape:
        raise InputError(f"the scores of {name} have shape {tuple(values.shape)}: give one number a unit")
    if not values.isfinite().all():
        raise InputError(f"the scores of {name} are not finite: has training diverged?")
    return values


def _substitutes(
    model: nn.Module, groups: list[Group], masks: Mapping[str, Tensor], readings: Mapping[str, Reading], how: str
) -> dict[str, Substitute]:
    found, layers = {}, dict(model.named_modules())
    for name, cut in cuts(model, groups, masks).items():
        mean = readings[name].mean.to(layers[name].weight)
        found[name] = Substitute(cut, torch.where(cut, mean, 0) if how != "zero" else torch.zeros_like(mean))
    return found


def _difference(after: list[Tensor], expected: list[Tensor]) -> float:
    """The largest difference of outputs, relative to the largest output. Raises InputError if it is no rounding."""
    if [t.shape for t in after] != [t.shape for t in expected]:
        raise InputError("the smaller network gives outputs of other shapes: name layers= that do not change them")
    worst = 0.0
    for a, b in zip(after, expected, strict=True):
        if b.numel():
            difference = float((a - b).abs().max() / b.abs().max().clamp(min=1e-30))
            if not difference <= torch.finfo(b.dtype).eps ** 0.5:
                raise InputError(
                    f"the smaller network differs from its definition by {difference:.1e} of the largest output: does "
                    "its forward pass use weights outside their layers, or draw random numbers?"
                )
            worst = max(worst, difference)
    return worst


def _left_alone(groups: list[Group], masks: Mapping[str, Tensor], left: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for group in groups:
        if group.name not in masks:
            found[group.name] = "not asked for"
        elif not masks[group.name].any():
            found[group.name] = "fewer units than can go together"
    return found | dict(left)


def _notes(masks: Mapping[str, Tensor], after: list[Tensor], ratios: Mapping[str, Any], scope: str) -> Iterator[str]:
    for name, mask in masks.items():
        if mask.all():
            yield f"{name} lost all of its units: one that is zero stands in"
        elif scope == "layer" and isinstance(ratios[name], float):
            short = int(ratios[name] * len(mask)) - int(mask.sum())
            if short > 0:
                yield f"{name} kept {short} units more than its ratio says, so that its width can be divided"
    if after and len(after[0]) > 1 and all(bool((t == t[:1]).all()) for t in after):
        yield "the outputs are the same for all inputs"
