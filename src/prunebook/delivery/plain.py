"""The network in a result of pruning, on a copy of its own and without hooks that multiply masks in."""

from typing import Any

from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from prunebook.errors import InputError
from prunebook.networks.evaluating import private_copy, require_values
from prunebook.units import MapBiasConv2d, PrunedUnits
from prunebook.units.graph.bordered import BORDERED
from prunebook.weights import Pruned

Result = Pruned | PrunedUnits
# Layers that folding turns into classes of the library; a file names them, and nothing else is made by name.
OURS: dict[str, type[nn.Module]] = {kind.__name__: kind for kind in (MapBiasConv2d, *BORDERED.values())}


def plain(model: nn.Module | Result) -> nn.Module:
    """A copy in which masks of `torch.nn.utils.prune` are permanent: zeros in plain weights."""
    copied = private_copy(model.model if isinstance(model, Result) else model)
    require_values(copied)
    for module in copied.modules():
        hooks = list(module._forward_pre_hooks.values())
        for name in {hook._tensor_name for hook in hooks if isinstance(hook, torch_prune.BasePruningMethod)}:
            torch_prune.remove(module, name)
    return copied


def results(pruned: Any) -> list[Result]:
    """One result of pruning, or several in the order in which they came about."""
    steps = list(pruned) if isinstance(pruned, list | tuple) else [pruned]
    for step in steps or [None]:
        if not isinstance(step, Result):
            raise InputError(
                f"{type(step).__name__} is no result of pruning: give what prune or prune_units returned, or a list "
                "of such in order"
            )
    return steps


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name, on the CPU; what two modules share under its first name."""
    found: dict[int, tuple[str, Tensor]] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if not isinstance(value, Tensor):
            raise InputError(f"{name!r} of the state is a {type(value).__name__}: a file of tensors cannot hold it")
        found.setdefault(id(value), (name, value.detach().cpu().contiguous().clone()))
    return dict(found.values())
