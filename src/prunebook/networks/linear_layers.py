"""Which layers of a network can be pruned, how each is W a + b at its positions, and what makes one unfit.

A new type of layer is a function that says what each position reads, and a line in `KINDS`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize, prune

from prunebook.errors import InputError
from prunebook.networks.evaluating import require_values, why_unfit


class Kind(NamedTuple):
    """A type of layer. axis: of the units in what it gives; reads: from the layer and its input to what each position
    reads, (samples, positions, groups, n_in)."""

    axis: int
    reads: Callable[[nn.Module, Tensor], Tensor]


def _all(layer: nn.Linear, a: Tensor) -> Tensor:
    return a.reshape(len(a), -1, 1, a.shape[-1])


def _patches(layer: nn.Module, a: Tensor) -> Tensor:
    """Padding is part of what a position of a convolution reads."""
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    a = F.pad(a, layer._reversed_padding_repeated_twice, mode).unflatten(1, (layer.groups, -1))
    dims = len(layer.kernel_size)
    sizes = zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    for axis, (kernel, stride, dilation) in enumerate(sizes, 3):
        a = a.unfold(axis, dilation * (kernel - 1) + 1, stride)[..., ::dilation]
    return a.movedim(tuple(range(3, 3 + dims)), tuple(range(1, 1 + dims))).flatten(1, dims).flatten(3)


KINDS: dict[type[nn.Module], Kind] = {
    nn.Linear: Kind(-1, _all),
    nn.Conv1d: Kind(1, _patches),
    nn.Conv2d: Kind(1, _patches),
    nn.Conv3d: Kind(1, _patches),
}


def type_of(layer: nn.Module) -> type[nn.Module]:
    """The type in `KINDS` of which a layer is one; ``type_of(layer).forward`` is what it computes without hooks."""
    return next(kind for kind in KINDS if isinstance(layer, kind))


def inputs(layer: nn.Module, a: Tensor) -> Float[Tensor, "samples positions groups n_in"]:
    """What each position of a layer reads of its input; the weights are ``layer.weight.flatten(1)``, group by group."""
    return KINDS[type_of(layer)].reads(layer, a)


def outputs(layer: nn.Module, z: Tensor) -> Float[Tensor, "samples positions groups units"]:
    """What a layer gives, in the same order."""
    units = z.movedim(KINDS[type_of(layer)].axis, -1)
    return units.reshape(len(z), -1, getattr(layer, "groups", 1), units.shape[-1] // getattr(layer, "groups", 1))


def prunable_layers(
    model: nn.Module, names: Sequence[str] | None = None, kinds: Collection[type[nn.Module]] = (nn.Linear,)
) -> dict[str, nn.Module]:
    """Every layer of these kinds by its dotted name, in the order of `named_modules`.

    `names` picks some of them. Raises InputError where there is none, a name is of another kind, or a weight is masked
    already, parametrised, shared with another module, without values yet, or not finite. Of convolutions only those
    that are named are refused for a mask or a parametrisation.
    """
    found = {name: module for name, module in model.named_modules() if isinstance(module, tuple(kinds))}
    what = " or ".join(f"nn.{kind.__name__}" for kind in kinds)
    require_values(model)
    if names is None:
        held = [n for n, m in found.items() if prune.is_pruned(m) or parametrize.is_parametrized(m)]
        passed = [n for n in held if not isinstance(found[n], nn.Linear)]
        found = {name: layer for name, layer in found.items() if name not in passed and layer.weight.numel()}
    else:
        if isinstance(names, str) or not isinstance(names, Iterable) or not (names := list(names)):
            raise InputError(f"layers is {names!r}: give a list of names out of {sorted(found)}")
        unknown = [name for name in names if name not in found]
        if unknown:
            raise InputError(f"no {what} called {unknown[0]!r}; the model has {sorted(found)}")
        found = {name: module for name, module in found.items() if name in names}
    if not found:
        raise InputError(f"{type(model).__name__} has no {what} layer to prune{why_unfit(model)}")
    owners = Counter(id(p) for m in model.modules() for p in m._parameters.values() if p is not None)
    for name, layer in found.items():
        weight = layer._parameters.get("weight")
        if prune.is_pruned(layer):
            raise InputError(f"layer {name!r} is masked already: call torch.nn.utils.prune.remove on it first")
        if weight is None or parametrize.is_parametrized(layer):
            raise InputError(f"layer {name!r} has a parametrised weight or bias: remove the parametrisation first")
        if not weight.numel():
            raise InputError(f"layer {name!r} has no weights ({layer}): leave it out of layers=")
        if not weight.is_floating_point():
            raise InputError(f"layer {name!r} has {weight.dtype} weights: they must be real floating-point numbers")
        if max(owners[id(p)] for p in (weight, layer.bias) if p is not None) > 1:
            raise InputError(
                f"layer {name!r} shares its weight or bias with another module: untie them first, or leave it out and "
                "name the others with layers="
            )
        if not weight.isfinite().all() or not (layer.bias is None or layer.bias.isfinite().all()):
            raise InputError(f"layer {name!r} has weights or biases that are not finite")
    return found


def left_alone(model: nn.Module, layers: Collection[str]) -> str:
    """What has weights but is not pruned, counted by kind ("20 Conv2d"), linear layers by name."""
    others = {
        name: module
        for name, module in model.named_modules()
        if name not in layers and any(p.ndim > 1 for p in module.parameters(recurse=False))
    }
    linear = [name for name, module in others.items() if isinstance(module, nn.Linear)]
    counts = Counter(type(module).__name__ for name, module in others.items() if name not in linear)
    parts = [f"{count} {kind}" for kind, count in counts.items()]
    return ", ".join(parts + [f"{type(others[name]).__name__} {name!r}" for name in linear])
