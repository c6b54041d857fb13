"""Pruned units by their definition: their outputs are overwritten with zero or a constant during the forward pass.

Slow, but nothing in it depends on how a constant travels to the next layer. Folding and removal are checked against it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from prunebook.errors import InputError
from prunebook.networks.evaluating import evaluating, trainable
from prunebook.units.forward import forward
from prunebook.units.layers import UnitLayer, check_map, unit_layers


def masked_outputs(
    model: nn.Module,
    x: Float[Tensor, "samples ..."],
    pruned: Mapping[str, Any],
    constants: Mapping[str, Any] | None = None,
    *,
    batch_statistics: bool = False,
) -> Tensor:
    """Outputs in evaluation mode with pruned units (True in the mask of their site) at zero or at their constant.

    The site is the output of the ReLU, before pooling: a[u] becomes c[u] at every position. The constants of all layers
    are given beforehand, usually the means in the unpruned network. ``constants`` None means zero.

    Raises InputError for an unknown site, a mask or constants of the wrong length, or missing or non-finite constants.
    """
    model = trainable(model)
    work = checked(unit_layers(model), pruned, constants, next(model.parameters()))
    edits = {site.index: overwriting(site, mask, constant) for site, mask, constant in work}
    with evaluating(model):
        return forward(model, x, edits, batch_statistics=batch_statistics)


def overwriting(site: UnitLayer, mask: Tensor, constant: Tensor) -> Callable[[Tensor], Tensor]:
    """A function that puts constants in the place of a site's output where the mask is True."""

    def edit(a: Tensor) -> Tensor:
        check_map(site, a)
        shape = (-1,) + (1,) * (a.ndim - 2)
        return torch.where(mask.view(shape), constant.to(a.dtype).view(shape), a)

    return edit


def checked(
    chain: Sequence[UnitLayer], pruned: Mapping[str, Any], constants: Mapping[str, Any] | None, like: Tensor
) -> list[tuple[UnitLayer, Tensor, Tensor]]:
    """The layers with a mask, input first, each with its mask and its constants, of the type and device of ``like``.

    Constants are zero for kept units and by default. Raises InputError as `masked_outputs` does.
    """
    every = {site.name: site for site in chain}
    for name in [*pruned, *(constants or {})]:
        if name not in every:
            raise InputError(f"there is no site {name!r}: the network has {', '.join(every) or 'none'}")
    found = []
    for name, site in every.items():
        if name not in pruned:
            continue
        mask = torch.as_tensor(pruned[name], device=like.device)
        if mask.dtype != torch.bool or mask.shape != (site.units,):
            raise InputError(
                f"the mask of {name} is {mask.dtype} of shape {tuple(mask.shape)}: give {site.units} booleans, "
                "True for the units that go"
            )
        constant = torch.zeros(site.units).to(like)
        if constants is not None and (name in constants or mask.any()):
            if name not in constants:
                raise InputError(f"there are pruned units in {name}, but no constants for it: give them too")
            given = torch.as_tensor(constants[name]).detach()
            if given.shape != (site.units,) or given.dtype == torch.bool:
                raise InputError(
                    f"the constants of {name} are {given.dtype} of shape {tuple(given.shape)}: give {site.units} "
                    "numbers"
                )
            constant = given.to(like).masked_fill(~mask, 0)
            if not constant.isfinite().all():
                raise InputError(f"the constants of {name} are not finite: has training diverged?")
        found.append((site, mask, constant))
    return found
