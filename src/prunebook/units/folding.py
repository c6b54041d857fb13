"""Pruned units as a plain network: their weights are zero, and what replaces them sits in the next layer's bias.

A constant at a site passes max-pooling and flattening as it is, and meets the next layer as b' = b + W c. Where a
convolution pads its input with zeros, part of its kernel sees no constant near the border, and there are three ways:

- "exact": a bias for each position, the same as overwriting the unit's output;
- "response-mean": the spatial mean of the layer's response to the constant image, as the authors' released code does;
- "all-taps": the whole kernel times the constant, as in the text, as if there were no border.
"""

import copy
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize, prune

from prunebook.errors import InputError
from prunebook.networks.evaluating import evaluating
from prunebook.units.forward import NORMS
from prunebook.units.layers import PRODUCERS, UnitLayer, sites
from prunebook.units.replacement import checked

BORDERS = ("exact", "response-mean", "all-taps")


class MapBiasConv2d(nn.Conv2d):
    """A convolution with one more bias for each position, ``bias_map`` (out_channels, height, width)."""

    bias_map: nn.Parameter

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.bias_map


def fold(
    model: nn.Sequential,
    pruned: Mapping[str, Bool[Tensor, " _"]],
    means: Mapping[str, Float[Tensor, " _"]] | None = None,
    *,
    border: str = "exact",
    shape: Sequence[int] | None = None,
) -> nn.Sequential:
    """A copy of the network in which pruned units (True in the mask of their site) are zero, their means folded in.

    The incoming weights and the bias of a pruned unit are zero, and so are scale and shift of its batch norm: in
    evaluation mode it outputs zero. With ``means`` the constant goes into the bias of the layer that reads the unit, in
    front of that layer's batch norm. Layers are taken input first, so the bias of a unit that is pruned itself becomes
    zero with all that was folded into it. ``means`` None is pruning to zero. All units of a layer may go. A convolution
    that needs a bias for each position becomes a `MapBiasConv2d`; ``shape`` (channels, height, width) of the inputs is
    needed where one pads with zeros, unless ``border`` is "all-taps".

    The outputs in evaluation mode are those of `masked_outputs`, but for the borders that are not "exact". With the
    statistics of the batch, batch norm takes off whatever was folded into the bias before it.

    Raises InputError for an unknown site or border, masks or means of the wrong length, a missing shape, and layers
    that are shared, masked or parametrised already, or that a constant cannot be folded into.
    """
    if border not in BORDERS:
        raise InputError(f"unknown border {border!r}: choose from {', '.join(BORDERS)}")
    check_plain(model)
    work = checked(model, pruned, means)
    sizes: dict[str, tuple[int, int]] = {}
    if means is not None:
        for site, mask, _ in work:
            _check_path(model, site)
            if border != "all-taps" and mask.any() and _padded(model[site.consumer]):
                sizes = sizes or _sizes(model, shape)
    folded = copy.deepcopy(model)
    with torch.no_grad():
        for site, mask, constant in work:
            _zero(folded, site, mask)
            if means is not None and mask.any():
                _absorb(folded, site, constant, border, sizes.get(site.name))
    return folded


def constant_response(
    layer: nn.Conv2d | nn.Linear,
    values: Float[Tensor, "variants channels"],
    *,
    size: tuple[int, int] | None = None,
    border: str = "exact",
) -> Float[Tensor, "variants outputs"] | Float[Tensor, "variants outputs height width"]:
    """What ``layer`` makes, without its bias, of constant channels: one number for each output, or a map of them.

    ``size`` (height, width) of the layer's input is needed for a convolution that pads with zeros, unless ``border`` is
    "all-taps"; only then, and only with "exact", is the answer a map. A dense layer reads each channel as often as it
    has inputs for it, which is what flattening makes of a map.
    """
    if isinstance(layer, nn.Linear):
        return values @ layer.weight.unflatten(1, (values.shape[1], -1)).sum(2).T
    if border == "all-taps" or not _padded(layer):
        return values @ layer.weight.sum((2, 3)).T
    if size is None:
        raise InputError("the response of a padded convolution depends on the size of its input: give size")
    images = values[..., None, None].expand(*values.shape, *size)
    response = F.conv2d(images, layer.weight, None, layer.stride, layer.padding, layer.dilation)
    return response if border == "exact" else response.mean((2, 3))


def _padded(layer: nn.Module) -> bool:
    """Whether a constant image meets zeros at its border; the other ways of padding repeat the constant."""
    if not isinstance(layer, nn.Conv2d) or layer.padding_mode != "zeros" or layer.padding == "valid":
        return False
    if layer.padding == "same":
        return any(kernel > 1 for kernel in layer.kernel_size)
    return any(pad > 0 for pad in layer.padding)


def check_plain(model: nn.Sequential) -> None:
    """Raises InputError for layers that are shared, or whose weights are made anew from others at each pass."""
    sites(model)
    seen: set[int] = set()
    for index, layer in enumerate(model):
        if isinstance(layer, PRODUCERS + NORMS):
            if prune.is_pruned(layer) or parametrize.is_parametrized(layer):
                raise InputError(
                    f"layer {index} is masked or parametrised already: remove that first, keeping its values"
                )
            if id(layer) in seen:
                raise InputError(f"layer {index} is used twice in the network: give each place its own copy")
            seen.add(id(layer))


def _check_path(model: nn.Sequential, site: UnitLayer) -> None:
    """That a constant at the site arrives at its consumer as one."""
    between, consumer = list(model)[site.index + 1 : site.consumer], model[site.consumer]
    for layer in between:
        if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1):
            raise InputError(f"{layer} after site {site.name} does not flatten whole maps: use nn.Flatten()")
    flat = site.dense or any(isinstance(layer, nn.Flatten) for layer in between)
    if isinstance(consumer, nn.Linear) and (not flat or consumer.in_features % site.units):
        raise InputError(f"layer {site.consumer} does not read the flattened maps of site {site.name}")
    norm = model[site.consumer + 1] if site.consumer + 1 < len(model) else None
    if isinstance(norm, NORMS) and norm.running_mean is None:
        raise InputError(
            f"layer {site.consumer + 1} always uses batch statistics, which take off any constant folded before it"
        )


def _sizes(model: nn.Sequential, shape: Sequence[int] | None) -> dict[str, tuple[int, int]]:
    """Height and width of the map that the consumer of each site reads, where it reads one."""
    if shape is None:
        raise InputError(
            "a padded convolution is folded into: give the shape (channels, height, width) of the inputs"
        )
    weight = next(model.parameters())
    x = torch.zeros(1, *shape, dtype=weight.dtype, device=weight.device)
    names = {site.consumer: site.name for site in sites(model)}
    found: dict[str, tuple[int, int]] = {}
    with evaluating(model), torch.no_grad():
        for index, layer in enumerate(model):
            if index in names and x.ndim == 4:
                found[names[index]] = (x.shape[2], x.shape[3])
            x = layer(x)
    return found


def _zero(model: nn.Sequential, site: UnitLayer, mask: Tensor) -> None:
    producer = model[site.producer]
    norm = None if site.norm is None else model[site.norm]
    parts = [producer.weight, producer.bias, getattr(producer, "bias_map", None)]
    if norm is not None:
        # A norm without scale and shift outputs (0 - running mean) / deviation.
        parts += [norm.weight, norm.bias] if norm.affine else [norm.running_mean]
    for part in parts:
        if part is not None:
            part[mask] = 0


def _absorb(
    model: nn.Sequential, site: UnitLayer, constant: Tensor, border: str, size: tuple[int, int] | None
) -> None:
    consumer = model[site.consumer]
    response = constant_response(consumer, constant[None], size=size, border=border)[0]
    if response.ndim == 3 and bool((response == response[:, :1, :1]).all()):
        response = response[:, 0, 0]
    if response.ndim == 1:
        if consumer.bias is None:
            consumer.bias = nn.Parameter(torch.zeros_like(response))
        consumer.bias += response
    elif isinstance(consumer, MapBiasConv2d):
        consumer.bias_map += response
    else:
        consumer.__class__ = MapBiasConv2d
        consumer.bias_map = nn.Parameter(response.clone())
