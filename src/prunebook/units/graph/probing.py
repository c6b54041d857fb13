"""Whether units of a group touch anything but the layers that read them: asked of the network itself."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from prunebook.errors import InputError
from prunebook.units.graph.dependencies import Group, tensors
from prunebook.units.graph.reading import Edit, Substitute, cuts, editing, overwriting

Run = Callable[[nn.Module], Any]


def outputs(
    model: nn.Module, run: Run, substitutes: dict[str, Substitute], made: dict[str, Edit] | None = None
) -> list:
    """All numbers that a network gives while layers read substitutes."""
    with torch.no_grad(), editing(model, overwriting(model, substitutes), made):
        return [t for t in tensors(run(model)) if t.is_floating_point()]


def separable(model: nn.Module, run: Run, groups: Sequence[Group]) -> tuple[list[Group], dict[str, str]]:
    """The groups of which units can go alone, and why others cannot.

    Every other unit is NaN where it is made, and overwritten where it is read. If the outputs are those without NaN,
    nothing else depends on these units, be it outputs, norms over units, or operations that are no layers.
    """
    if not groups or _passes(model, run, groups):
        return list(groups), {}
    good = [group for group in groups if _passes(model, run, [group])]
    if good and not _passes(model, run, good):
        raise InputError("units of this network depend on each other in ways that cannot be told apart")
    why = "its units reach the outputs, or each other, not only through layers that read them"
    return good, {group.name: why for group in groups if group not in good}


def _passes(model: nn.Module, run: Run, groups: Sequence[Group]) -> bool:
    masks = {group.name: torch.arange(group.units) % 2 == 0 for group in groups}
    layers = dict(model.named_modules())
    put = {
        name: Substitute(cut, torch.zeros(len(cut), dtype=layers[name].weight.dtype, device=cut.device))
        for name, cut in cuts(model, list(groups), masks).items()
    }
    poison: dict[str, list[Tensor]] = {}
    for group in groups:
        for part in group.of("makes"):
            poison.setdefault(part.layer, []).append(part.dropped(masks[group.name]))
    made = {name: _poisoning(layers[name], torch.cat(channels)) for name, channels in poison.items()}
    expected = outputs(model, run, put)
    try:
        found = outputs(model, run, put, made)
    except InputError:  # what was raised on meeting NaN
        return False
    return len(found) == len(expected) and all(
        a.shape == b.shape and torch.allclose(a, b, rtol=1e-4, atol=1e-6 * float(b.abs().max()) if b.numel() else 0)
        for a, b in zip(found, expected, strict=True)
    )


def _poisoning(layer: nn.Module, channels: Tensor) -> Edit:
    axis = -1 if isinstance(layer, nn.Linear) else 1
    width = layer.out_features if axis == -1 else layer.out_channels

    def edit(a: Tensor) -> Tensor:
        bad = torch.zeros(width, dtype=torch.bool, device=a.device)
        bad[channels.to(a.device)] = True
        shape = [1] * a.ndim
        shape[axis] = -1
        return a.masked_fill(bad.view(shape), float("nan"))

    return edit
