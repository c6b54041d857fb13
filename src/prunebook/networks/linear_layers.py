"""Which layers of a network can be pruned, and what makes one unfit."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from torch import nn
from torch.nn.utils import parametrize, prune

from prunebook.errors import InputError
from prunebook.networks.evaluating import require_values, why_unfit


def prunable_layers(model: nn.Module, names: Sequence[str] | None = None) -> dict[str, nn.Linear]:
    """Every `nn.Linear` of the model by its dotted name, in the order of `named_modules`.

    `names` picks some of them. Raises InputError where there is none, a name is not a Linear, or a weight is
    masked already, parametrised, shared with another module, without values yet, or not finite.
    """
    found = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    require_values(model)
    if names is None:
        found = {name: layer for name, layer in found.items() if layer.weight.numel()}
    else:
        if isinstance(names, str) or not isinstance(names, Iterable) or not (names := list(names)):
            raise InputError(f"layers is {names!r}: give a list of names out of {sorted(found)}")
        unknown = [name for name in names if name not in found]
        if unknown:
            raise InputError(f"no nn.Linear called {unknown[0]!r}; the model has {sorted(found)}")
        found = {name: module for name, module in found.items() if name in names}
    if not found:
        raise InputError(f"{type(model).__name__} has no nn.Linear layer to prune{why_unfit(model)}")
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
