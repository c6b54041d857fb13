"""Pruned units as a plain network: their weights are zero, and what replaces them sits in the next layer's bias.

A constant at a site passes max-pooling and flattening as it is, and meets the next layer as b' = b + W c. Where a
convolution pads its input with zeros, part of its kernel sees no constant near the border, and there are three ways:

- "exact": a bias for each position, the same as overwriting the unit's output;
- "response-mean": the spatial mean of the layer's response to the constant image, as the authors' released code does;
- "all-taps": the whole kernel times the constant, as in the text, as if there were no border.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize, prune

from prunebook.errors import InputError
from prunebook.networks.evaluating import as_written, private_copy
from prunebook.units.forward import NORMS, MapBiasConv2d, as_chain, check_chain, forward
from prunebook.units.layers import PRODUCERS, UnitLayer, unit_layers
from prunebook.units.replacement import checked

BORDERS = ("exact", "response-mean", "all-taps")


@as_written()
def fold(
    model: nn.Module,
    pruned: Mapping[str, Any],
    means: Mapping[str, Any] | None = None,
    *,
    border: str = "exact",
    shape: Sequence[int] | None = None,
) -> nn.Sequential:
    """A copy of the network in which pruned units are zero, and constants in their place are folded in.

    The incoming weights and the bias of a pruned unit are zero, and so are scale and shift of its batch norm: in
    evaluation mode it outputs zero. With ``means`` the constant goes into the bias of the layer that reads the unit, in
    front of that layer's batch norm: b' = b + W c (Evci et al., 2019). Layers are taken input first, so the bias of a
    unit that is pruned itself becomes zero with all that was folded into it.

    The outputs in evaluation mode are those of `masked_outputs`, but for the borders that are not "exact". With the
    statistics of the batch, batch norm takes off whatever was folded into the bias before it.

    Parameters
    ----------
    model : nn.Sequential
        A chain, as `unit_layers` describes it. It stays as it is.
    pruned : mapping of str to bool (units,)
        For each site by name, True where a unit goes. All units of a layer may go.
    means : mapping of str to float (units,), optional
        What takes the place of pruned units, after the ReLU. None prunes to zero.
    border : {"exact", "response-mean", "all-taps"}
        What a constant does where a convolution pads with zeros; see the module. With "exact" such a convolution
        becomes a `MapBiasConv2d`, which has a bias for each position.
    shape : sequence of int, optional
        Channels, height and width of an input. Needed where a padded convolution reads a constant, unless ``border``
        is "all-taps".

    Returns
    -------
    nn.Sequential
        Of the same class and size. What is added requires a gradient where the weight beside it does.

    Raises
    ------
    InputError
        For an unknown site or border, masks or means of the wrong length, a missing or impossible shape, and layers
        that are shared, masked or parametrised already, or that a constant cannot be folded into.

    Examples
    --------
    >>> import torch
    >>> from prunebook.units import fold
    >>> chain = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    >>> folded = fold(chain, {"dense1": [True, False, False]}, {"dense1": [2.0, 0.0, 0.0]})
    >>> bool(folded[2].bias == chain[2].bias + 2 * chain[2].weight[:, 0])
    True
    """
    if border not in BORDERS:
        raise InputError(f"unknown border {border!r}: choose from {', '.join(BORDERS)}")
    check_plain(model)
    work, chain = checked(unit_layers(model), pruned, means, next(model.parameters())), as_chain(model)
    sizes: dict[str, tuple[int, int]] = {}
    for site, mask, _ in work if means is not None else []:
        check_path(model, site)
        _check_norm(model, site)
        if border != "all-taps" and mask.any() and _padded(chain[site.consumer]):
            sizes = sizes or _sizes(model, shape)
    with torch.no_grad():
        folded = private_copy(model)
        chain = as_chain(folded)
        for site, mask, constant in work:
            _zero(chain, site, mask)
            if means is not None and mask.any():
                _absorb(chain, site, constant, border, sizes.get(site.name))
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
    zeros = isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros"
    return zeros and any(layer._reversed_padding_repeated_twice)


def check_plain(model: nn.Module) -> None:
    """Raises InputError for layers that are shared, or whose weights are made anew from others at each pass."""
    unit_layers(model)
    seen: set[int] = set()
    for index, layer in enumerate(as_chain(model)):
        if isinstance(layer, PRODUCERS + NORMS):
            made = any(name in ("weight", "bias") for name in vars(layer))  # by a hook, as weight_norm does
            if made or prune.is_pruned(layer) or parametrize.is_parametrized(layer):
                raise InputError(f"layer {index} is masked or parametrised already: remove that first, keeping values")
            mine = {id(layer), *(id(parameter) for parameter in layer.parameters())}
            if mine & seen:
                raise InputError(f"layer {index} is used twice in the network, or a parameter of it: give each its own")
            seen |= mine


def check_path(model: nn.Module, site: UnitLayer) -> None:
    """Raises InputError where a constant at the site does not arrive at its consumer as one."""
    chain = as_chain(model)
    between, consumer = list(chain)[site.index + 1 : site.consumer], chain[site.consumer]
    for layer in between:
        if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1):
            raise InputError(f"{layer} after site {site.name} does not flatten whole maps: use nn.Flatten()")
    flat = site.dense or any(isinstance(layer, nn.Flatten) for layer in between)
    if isinstance(consumer, nn.Linear) and (not flat or consumer.in_features % site.units):
        raise InputError(f"layer {site.consumer} does not read the flattened maps of site {site.name}")


def _check_norm(model: nn.Module, site: UnitLayer) -> None:
    index = next((s.norm for s in unit_layers(model) if s.producer == site.consumer), None)
    if index is not None and as_chain(model)[index].running_mean is None:
        raise InputError(f"layer {index} always uses batch statistics, which take off any constant folded before it")


def _sizes(model: nn.Module, shape: Sequence[int] | None) -> dict[str, tuple[int, int]]:
    """Height and width of the map that the consumer of each site reads, where it reads one."""
    if shape is None:
        raise InputError("a padded convolution is folded into: give the shape (channels, height, width) of the inputs")
    if len(shape) != 3:
        raise InputError(f"shape is {tuple(shape)}: give (channels, height, width) of one input, not of a batch")
    weight = next(model.parameters())
    x = torch.zeros(1, *shape, dtype=weight.dtype, device=weight.device)
    check_chain(model, x)
    seen: dict[str, Tensor] = {}
    looks = {site.consumer - 1: lambda a, name=site.name: seen.setdefault(name, a) for site in unit_layers(model)}
    with torch.no_grad():
        forward(model, x, looks)
    return {name: (a.shape[2], a.shape[3]) for name, a in seen.items() if a.ndim == 4}


def _zero(model: nn.Sequential, site: UnitLayer, mask: Tensor) -> None:
    producer = model[site.producer]
    parts = [producer.weight, producer.bias, getattr(producer, "bias_map", None)]
    if site.norm is not None:
        norm = model[site.norm]
        # A norm without scale and shift outputs (0 - running mean) / deviation.
        parts += [norm.weight, norm.bias] if norm.affine else [norm.running_mean]
    for part in parts:
        if part is not None:
            part[mask] = 0


def _absorb(model: nn.Sequential, site: UnitLayer, constant: Tensor, border: str, size: tuple[int, int] | None) -> None:
    consumer = model[site.consumer]
    response = constant_response(consumer, constant[None], size=size, border=border)[0]
    if response.ndim == 3 and bool((response == response[:, :1, :1]).all()):
        response = response[:, 0, 0]
    if response.ndim == 1:
        if consumer.bias is None:
            consumer.bias = nn.Parameter(torch.zeros_like(response), consumer.weight.requires_grad)
        consumer.bias += response
    elif isinstance(consumer, MapBiasConv2d):
        consumer.bias_map += response
    else:
        consumer.__class__ = MapBiasConv2d
        consumer.bias_map = nn.Parameter(response.clone(), consumer.weight.requires_grad)
