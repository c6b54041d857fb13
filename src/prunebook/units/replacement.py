"""Pruned units by their definition: their outputs are overwritten with zero or a constant during the forward pass.

Slow, but nothing in it depends on how a constant travels to the next layer. Folding and removal are checked against it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from prunebook.errors import InputError
from prunebook.networks.evaluating import evaluating
from prunebook.units.forward import as_chain, forward
from prunebook.units.layers import UnitLayer, check_map, sites


def masked_outputs(
    model: nn.Module,
    x: Float[Tensor, "samples ..."],
    pruned: Mapping[str, Any],
    constants: Mapping[str, Any] | None = None,
    *,
    batch_statistics: bool = False,
) -> Tensor:
    """Outputs in evaluation mode with pruned units (True in the mask of their site) at zero or at their constant.

    The site is the output of the ReLU, before pooling: a[u] becomes c[u] at every position. The constants of all sites
    are given beforehand, usually the means in the unpruned network. ``constants`` None means zero.

    Raises InputError for an unknown site, a mask or constants of the wrong length, or missing or non-finite constants.
    """

    def overwrite(site: UnitLayer, mask: Tensor, constant: Tensor) -> Callable[[Tensor], Tensor]:
        def edit(a: Tensor) -> Tensor:
            check_map(site, a)
            shape = (-1,) + (1,) * (a.ndim - 2)
            return torch.where(mask.view(shape), constant.to(a.dtype).view(shape), a)

        return edit

    edits = {
        site.index: overwrite(site, mask, constant)
        for site, mask, constant in checked(model, pruned, constants)
    }
    with evaluating(model):
        return forward(model, x, edits, batch_statistics=batch_statistics)


def checked(
    model: nn.Module, pruned: Mapping[str, Any], constants: Mapping[str, Any] | None = None
) -> list[tuple[UnitLayer, Tensor, Tensor]]:
    """The sites with a mask, input first, each with its mask and its constants (zero for kept units and by default)."""
    chain, every = as_chain(model), {site.name: site for site in sites(model)}
    for name in [*pruned, *(constants or {})]:
        if name not in every:
            raise InputError(f"there is no site {name!r}: the network has {', '.join(every) or 'none'}")
    found = []
    for name, site in every.items():
        if name not in pruned:
            continue
        weight = chain[site.producer].weight
        mask = torch.as_tensor(pruned[name], device=weight.device)
        if mask.dtype != torch.bool or mask.shape != (site.units,):
            raise InputError(
                f"the mask of {name} is {mask.dtype} of shape {tuple(mask.shape)}: give {site.units} booleans, "
                "True for the units that go"
            )
        if constants is None or (name not in constants and not mask.any()):
            constant = weight.new_zeros(site.units)
        elif name not in constants:
            raise InputError(f"there are pruned units in {name}, but no constants for it: give them too")
        else:
            constant = torch.as_tensor(constants[name]).detach().to(weight)
            if constant.shape != (site.units,):
                raise InputError(
                    f"the constants of {name} have shape {tuple(constant.shape)}: give {site.units} numbers"
                )
            constant = torch.where(mask, constant, torch.zeros_like(constant))
            if not constant.isfinite().all():
                raise InputError(f"the constants of {name} are not finite: has training diverged?")
        found.append((site, mask, constant))
    return found
