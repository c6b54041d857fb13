"""Which layers of a network can be pruned, and what makes one unfit."""

from collections import Counter
from collections.abc import Sequence

from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize, prune

from prunebook.errors import InputError


def prunable_layers(model: nn.Module, names: Sequence[str] | None = None) -> dict[str, nn.Linear]:
    """Every `nn.Linear` of the model by its dotted name, in the order of `named_modules`.

    `names` picks some of them. Raises InputError where there is none, a name is not a Linear, or a weight is
    masked already, parametrised, shared with another module, without values yet, or not finite.
    """
    found = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if names is not None:
        unknown = [name for name in names if name not in found]
        if unknown:
            raise InputError(f"no nn.Linear called {unknown[0]!r}; the model has {sorted(found)}")
        found = {name: module for name, module in found.items() if name in names}
    if not found:
        raise InputError(f"{type(model).__name__} has no nn.Linear layer to prune")
    owners = Counter(id(p) for m in model.modules() for p in m._parameters.values() if p is not None)
    for name, layer in found.items():
        weight = layer._parameters.get("weight")
        if prune.is_pruned(layer):
            raise InputError(
                f"layer {name!r} is masked already: call torch.nn.utils.prune.remove on it first"
            )
        if weight is None or parametrize.is_parametrized(layer):
            raise InputError(
                f"layer {name!r} has a parametrised weight or bias: remove the parametrisation first"
            )
        if isinstance(weight, UninitializedParameter):
            raise InputError(f"layer {name!r} has no values yet: run the model once first")
        if owners[id(weight)] > 1:
            raise InputError(f"layer {name!r} shares its weight with another module: untie them first")
        if not weight.isfinite().all() or not (layer.bias is None or layer.bias.isfinite().all()):
            raise InputError(f"layer {name!r} has weights or biases that are not finite")
    return found
