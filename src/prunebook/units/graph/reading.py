"""What layers read and make, looked at or changed while a network runs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from prunebook.errors import InputError
from prunebook.units.graph.dependencies import Group

Edit = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Substitute:
    """What a layer reads in place of the channels ``cut``: ``constant``, at kept channels 0, and with ``mix`` (cut
    channels, kept channels) as many times each kept channel."""

    cut: Bool[Tensor, " channels"]
    constant: Float[Tensor, " channels"]
    mix: Float[Tensor, "cut kept"] | None = None

    def __call__(self, a: Tensor, axis: int) -> Tensor:
        """The input ``a`` with its channels, along ``axis``, replaced."""
        shape = [1] * a.ndim
        shape[axis] = -1
        put = self.constant.to(a.dtype).view(shape).expand_as(a)
        if self.mix is not None:
            kept = a.movedim(axis, -1)[..., ~self.cut]
            put = put.clone()
            put.movedim(axis, -1)[..., self.cut] += kept @ self.mix.to(a.dtype).T
        return torch.where(self.cut.view(shape), put, a)


@contextmanager
def editing(model: nn.Module, read: Mapping[str, Edit], made: Mapping[str, Edit] | None = None) -> Iterator[None]:
    """Inside, each layer named in ``read`` reads what the function makes of its input, and each one in ``made`` gives
    what the function makes of its output."""
    layers, hooks = dict(model.named_modules()), []

    def before(function: Edit) -> Callable:
        def hook(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
            if args:
                return (function(args[0]), *args[1:]), kwargs
            return args, {**kwargs, "input": function(kwargs["input"])}

        return hook

    try:
        for name, function in read.items():
            hooks.append(layers[name].register_forward_pre_hook(before(function), with_kwargs=True))
        for name, function in (made or {}).items():
            hooks.append(layers[name].register_forward_hook(lambda m, a, out, f=function: f(out)))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def overwriting(model: nn.Module, substitutes: Mapping[str, Substitute]) -> dict[str, Edit]:
    """For `editing`: what each layer reads instead."""
    layers = dict(model.named_modules())
    return {name: lambda a, n=name, s=put: s(a, axis_of(layers[n])) for name, put in substitutes.items()}


def axis_of(layer: nn.Module) -> int:
    """Where the channels of its inputs and outputs are."""
    return -1 if isinstance(layer, nn.Linear) else 1


def width_of(layer: nn.Module) -> int:
    """How many channels it reads."""
    return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


def by_channel(name: str, layer: nn.Module, a: Tensor) -> Float[Tensor, "rows channels positions"]:
    """An input of a layer, whatever its form."""
    if isinstance(layer, nn.Linear):
        return a.flatten(1, -2).transpose(1, 2) if a.ndim > 2 else a[..., None]
    if a.ndim != len(layer.kernel_size) + 2:
        raise InputError(f"layer {name} reads a tensor of shape {tuple(a.shape)}: give inputs in batches")
    return a.flatten(2)


def cuts(model: nn.Module, groups: list[Group], masks: Mapping[str, Tensor]) -> dict[str, Bool[Tensor, " channels"]]:
    """Which input channels each layer loses that reads units that go."""
    layers, found = dict(model.named_modules()), {}
    for group in groups:
        for part in group.of("reads") if group.name in masks else []:
            layer, dropped = layers[part.layer], part.dropped(masks[group.name])
            if len(dropped):
                none = torch.zeros(width_of(layer), dtype=torch.bool, device=layer.weight.device)
                found.setdefault(part.layer, none)[dropped] = True
    return found
