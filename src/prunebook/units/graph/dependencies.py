"""Which channels of which layers go together, in a network of any form; the one module that knows torch-pruning.

A group holds units that can be taken out one by one. Unit u is a channel of each layer that makes it (several where
they are added), of the layers that pass it on channel by channel (batch norm, depthwise convolutions), and of each
layer that reads it. torch-pruning finds groups by autograd's record of one forward pass. What it cannot know is checked
by `prunebook.units.graph.probing`.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from prunebook.errors import InputError
from prunebook.networks.evaluating import evaluating
from prunebook.units.graph.bordered import BORDERED

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
MAKERS = (*CONVS, *TRANSPOSED, nn.Linear)
VISITS = 50  # of each operation while a group is found, on average; DenseNet-121 needs 3
PLAIN = (*MAKERS, *NORMS, nn.PReLU)
FORWARDS = {kind.forward for kind in (*PLAIN, *BORDERED.values())}


@dataclass(frozen=True)
class Part:
    """What a group has of one layer: channel ``channels[i]`` of its outputs (makes), inputs (reads) or both (passes)
    is unit ``units[i]``. Behind flattening a unit has several channels."""

    layer: str
    role: Literal["makes", "passes", "reads"]
    channels: Tensor
    units: Tensor

    def dropped(self, mask: Tensor) -> Tensor:
        """The channels of the units that ``mask`` names."""
        return self.channels[mask.cpu()[self.units]]


@dataclass(frozen=True)
class Group:
    """Units that can go one by one. ``name`` is the first layer that makes them. Grouped convolutions let as many go
    from each of ``blocks`` equal blocks. Groups of the same ``kind`` are of layers of the same kinds."""

    name: str
    units: int
    blocks: int
    kind: tuple[str, ...]
    parts: tuple[Part, ...]

    def of(self, role: str) -> list[Part]:
        return [part for part in self.parts if part.role == role]


def find_groups(model: nn.Module, run: Callable[[nn.Module], Any]) -> tuple[list[Group], dict[str, str]]:
    """All groups of a network, in the order of its layers, and why the other layers are left alone.

    ``run`` makes one forward pass of a sample or two. The model is looked at in evaluation mode.
    Raises InputError where torch-pruning is missing, or cannot follow the forward pass.
    """
    layers = dict(model.named_modules(remove_duplicate=True))
    names = {module: name for name, module in layers.items()}
    raw, is_input, calls = _traced(model, run)
    why_not = _unfit(layers, calls)
    groups, refused, seen = [], {}, set()
    for members in raw:
        parts, reason = [], ""
        for module, handler, channels, units in members:
            if isinstance(module, nn.Module) and module not in names:
                continue  # an operation: addition, concatenation, activation
            name = names.get(module) or next((n for n, p in model.named_parameters() if p is module), "a parameter")
            if isinstance(module, nn.Parameter) or not isinstance(module, PLAIN):
                reason = reason or f"its units meet in {name} ({type(module).__name__})"
                continue
            role = _role(module, is_input(handler))
            reason = reason or _problem(name, module, role, channels, units)
            if not reason and name in why_not:
                reason = f"{name} {why_not[name]}"
            if not (isinstance(module, nn.PReLU) and module.num_parameters == 1):
                parts.append(Part(name, role, torch.tensor(channels), torch.tensor(units)))
        made = [part.layer for part in parts if part.role == "makes"]
        first = min(made, key=list(layers).index)
        seen.update(made)
        if not reason and not any(part.role == "reads" for part in parts):
            reason = "no layer reads its units: they are the outputs"
        if reason:
            others = [name for name in made if name != first]
            refused[first] = reason + (f"; so with {', '.join(others)}" if others else "")
            continue
        grouped = [layers[part.layer].groups for part in parts if _is_grouped(layers[part.layer])]
        kind = tuple(sorted(f"{type(layers[p.layer]).__name__} {p.role} {_window(layers[p.layer])}" for p in parts))
        groups.append(Group(first, len(members[0][3]), math.lcm(*grouped), kind, tuple(parts)))
    groups.sort(key=lambda group: list(layers).index(group.name))
    for name, module in layers.items():
        if isinstance(module, MAKERS) and name not in seen and _role(module, False) == "makes":
            refused[name] = why_not.get(name, "autograd does not see its outputs in those of the network")
    return groups, refused


def _traced(model: nn.Module, run: Callable[[nn.Module], Any]) -> tuple[list[list[tuple]], Callable, Counter]:
    """Groups as lists of (module, handler, channels, units); which handlers cut inputs; how often layers are called."""
    try:
        from torch_pruning import DependencyGraph
    except ImportError as error:
        raise InputError("networks that are no chain need torch-pruning: pip install 'prunebook[graph]'") from error
    calls: Counter = Counter()

    def once(model: nn.Module, _: None) -> Any:
        hooks = [m.register_forward_pre_hook(lambda m, _, n=n: calls.update([n])) for n, m in model.named_modules()]
        try:
            return run(model)
        finally:
            for hook in hooks:
                hook.remove()

    flags = {p: p.requires_grad for p in model.parameters()}
    with evaluating(model), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for parameter in flags:
                parameter.requires_grad_(parameter.is_floating_point())
            graph = DependencyGraph()
            graph.build_dependency(model, None, forward_fn=once, output_transform=_differentiable, verbose=False)
            left, found = [0], []
            for node in graph.module2node.values():
                node.dependencies = _Counted(node.dependencies, left)
            every = graph.get_all_groups(root_module_types=MAKERS)
            while True:
                left[0] = VISITS * len(graph.module2node)
                if (group := next(every, None)) is None:
                    break
                found.append([(i.dep.target.module, i.dep.handler, i.idxs, i.root_idxs) for i in group.items])
        except InputError:
            raise
        except Exception as error:
            cause = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"torch-pruning cannot follow the forward pass of this network: {cause}") from error
        finally:
            for parameter, flag in flags.items():
                parameter.requires_grad_(flag)
    return found, graph.is_in_channel_pruning_fn, calls


class _Counted(list):
    """A list that can be gone through so many times, together with others: torch-pruning goes round in circles where
    it takes a reshape for another one."""

    def __init__(self, items: list, left: list[int]) -> None:
        super().__init__(items)
        self.left = left

    def __iter__(self) -> Iterator:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise InputError("torch-pruning finds no end in this network: replace circular padding or reshapes")
        return super().__iter__()


def tensors(outputs: Any) -> list[Tensor]:
    """All tensors in what a network gives."""
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    return [t for part in outputs for t in tensors(part)] if isinstance(outputs, tuple | list) else []


def _differentiable(outputs: Any) -> list[Tensor]:
    found = [t for t in tensors(outputs) if t.grad_fn is not None]
    if not found:
        raise InputError("no output of the network depends on its parameters in a differentiable way")
    return found


def _unfit(layers: Mapping[str, nn.Module], calls: Counter) -> dict[str, str]:
    """Layers that cannot be taken apart, with the reason."""
    owners = Counter(id(p) for module in layers.values() for p in module.parameters(recurse=False))
    found = {}
    for name, module in layers.items():
        own = list(module.parameters(recurse=False))
        if not own:
            continue
        if calls[name] > 1:
            found[name] = f"is called {calls[name]} times"
        elif calls[name] == 0:
            found[name] = "is not called as a layer"
        elif any(owners[id(p)] > 1 for p in own):
            found[name] = "shares a parameter with another layer"
        elif parametrize.is_parametrized(module) or any(n in vars(module) for n in ("weight", "bias")):
            found[name] = "is masked or parametrised: remove that first, keeping its values"
        elif isinstance(module, PLAIN) and (type(module).forward not in FORWARDS or "forward" in vars(module)):
            found[name] = f"({type(module).__name__}) has a forward pass of its own"
    return found


def _role(module: nn.Module, to_input: bool) -> Literal["makes", "passes", "reads"]:
    depthwise = isinstance(module, (*CONVS, *TRANSPOSED)) and 1 < module.groups == module.in_channels == (
        module.out_channels
    )
    if depthwise or not isinstance(module, MAKERS):
        return "passes"
    return "reads" if to_input else "makes"


def _is_grouped(module: nn.Module) -> bool:
    return isinstance(module, (*CONVS, *TRANSPOSED)) and module.groups > 1 and _role(module, True) != "passes"


def _problem(name: str, module: nn.Module, role: str, channels: list, units: list) -> str:
    """Why this layer keeps its group from being pruned; empty if it does not."""
    if None in units:
        return f"torch-pruning loses track of the units in {name}"
    if isinstance(module, TRANSPOSED) and (role == "reads" or module.groups > 1):
        return f"they go through {name} ({type(module).__name__})"
    if isinstance(module, NORMS) and module.running_mean is None:
        return f"{name} always uses batch statistics"
    if _is_grouped(module):
        whole = module.in_channels if role == "reads" else module.out_channels
        if channels != units or channels != list(range(whole)):
            return f"the grouped convolution {name} has other channels too"
    return ""


def _window(module: nn.Module) -> tuple[int, ...]:
    return getattr(module, "kernel_size", ())
