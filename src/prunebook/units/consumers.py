"""The layers that read pruned units, input first, with what they read now and what they gave before.

A repair changes each of them in place, and the next one sees what that makes of the network.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from prunebook.units.forward import MapBiasConv2d, as_chain, forward
from prunebook.units.layers import unit_layers
from prunebook.units.replacement import checked

CHUNK = 250  # samples in one pass
Consumer = nn.Linear | nn.Conv2d


class Reading(NamedTuple):
    """``layer`` reads pruned units: its ``inputs`` in the network as it is now, and its outputs ``before``, in the
    unpruned one, both in chunks of samples. ``kept`` is False for the columns of its weights that read pruned units,
    and ``alive`` for its own units that are pruned too, which must stay at zero."""

    site: str
    layer: Consumer
    inputs: list[Tensor]
    before: list[Tensor]
    kept: Tensor
    alive: Tensor


def readings(
    model: nn.Module, changed: nn.Sequential, pruned: Mapping[str, Any], x: Float[Tensor, "samples ..."]
) -> Iterator[Reading]:
    """Every layer of ``changed``, a copy of a chain in which ``pruned`` units are zero, that reads such a site.

    The samples run through both networks side by side, once; no gradient is kept. Raises InputError for unknown sites.
    """
    whole, chain = as_chain(model), as_chain(changed)
    now, before, place = list(x.split(CHUNK)), list(x.split(CHUNK)), 0
    work = checked(unit_layers(model), pruned, None, next(model.parameters()))
    own = {site.producer: ~mask for site, mask, _ in work}
    for site, mask, _ in work:
        if not mask.any():
            continue
        layer = chain[site.consumer]
        with torch.no_grad():
            now = [forward(chain[place : site.consumer], part, {}) for part in now]
            before = [forward(whole[place : site.consumer + 1], part, {}) for part in before]
        each = layer.weight[0].numel() // site.units  # columns that read one unit
        alive = own.get(site.consumer, torch.ones(len(layer.weight), dtype=torch.bool, device=mask.device))
        yield Reading(site.name, layer, now, before, ~mask.repeat_interleave(each), alive)
        with torch.no_grad():
            now = [forward(nn.Sequential(layer), part, {}) for part in now]
        place = site.consumer + 1


def rows_of(layer: Consumer, inputs: Float[Tensor, "samples ..."]) -> Float[Tensor, "rows columns"]:
    """What each output of ``layer`` is a sum of: its outputs are rows @ weight.flatten(1).T + bias, a row a position.

    For a dense layer any dimensions but the last are positions. A convolution must have one group.
    """
    if isinstance(layer, nn.Linear):
        return inputs.flatten(0, -2)
    if layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        patches = F.unfold(inputs, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        return patches.transpose(1, 2).flatten(0, 1)
    down, right = layer._reversed_padding_repeated_twice[2:], layer._reversed_padding_repeated_twice[:2]
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = F.pad(inputs, (*right, *down), mode=mode)
    return F.unfold(padded, layer.kernel_size, layer.dilation, 0, layer.stride).transpose(1, 2).flatten(0, 1)


def units_last(layer: Consumer, outputs: Tensor) -> Float[Tensor, "rows units"]:
    """The outputs of ``layer`` with a row a position, as `rows_of` orders them."""
    return outputs.flatten(0, -2) if isinstance(layer, nn.Linear) else outputs.flatten(2).transpose(1, 2).flatten(0, 1)


def outputs_of(reading: Reading) -> list[Tensor]:
    """What the layer gives now, in chunks."""
    with torch.no_grad():
        return [forward(nn.Sequential(reading.layer), part, {}) for part in reading.inputs]


def add_to_bias(layer: Consumer, shift: Float[Tensor, " units"]) -> None:
    """In place; a layer without a bias gets one."""
    shift = shift.to(layer.weight.dtype)
    if layer.bias is None:
        layer.bias = nn.Parameter(torch.zeros_like(shift), layer.weight.requires_grad)
    with torch.no_grad():
        layer.bias += shift


def scale_units(layer: Consumer, factor: Float[Tensor, " units"], centre: Float[Tensor, " units"]) -> None:
    """In place: each output z becomes centre + factor * (z - centre), by weights and bias alone."""
    factor, centre = (value.to(layer.weight.dtype) for value in (factor, centre))
    with torch.no_grad():
        layer.weight *= factor.view(-1, *[1] * (layer.weight.ndim - 1))
        if layer.bias is not None:
            layer.bias *= factor
        if isinstance(layer, MapBiasConv2d):
            layer.bias_map *= factor[:, None, None]
    add_to_bias(layer, (1 - factor) * centre)
