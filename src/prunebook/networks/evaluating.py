"""Looking at a model without leaving a trace: on a copy of one's own, or with everything put back."""

import copy
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from prunebook.errors import InputError


@contextmanager
def as_written() -> Iterator[None]:
    """No inference mode and no autocast, whatever is set outside; a decorator too."""
    with torch.inference_mode(False), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, no inference mode or autocast, and a fixed private random state inside; all as before outside.

    A shuffling DataLoader thus gives the same order at every pass.
    """
    devices = {p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"}
    modes = [(module, module.training) for module in model.modules()]
    gradients = torch.is_grad_enabled()
    with torch.random.fork_rng(devices=sorted(devices)), as_written():
        torch.default_generator.manual_seed(0)
        model.eval()
        try:
            with torch.set_grad_enabled(gradients):
                yield
        finally:
            for module, mode in modes:
                module.training = mode


def private_copy(model: nn.Module) -> nn.Module:
    """A deep copy that can be run, hooked and changed, whatever state the model is in.

    Tensors of an earlier pass that modules keep (attention maps, weights under a mask) are copied without
    their graph, which torch cannot copy. Wrappers of `torch.compile` and `nn.DataParallel` are taken off:
    compiled code passes over hooks, and masks are hooks. Tensors made under `torch.inference_mode` become
    ordinary ones. Raises InputError for what is no module or cannot be copied.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"the model is a {type(model).__name__}: give a torch.nn.Module")
    model = unwrapped(model)
    with torch.inference_mode(False), torch.no_grad():
        memo: dict[int, Any] = {}
        for module in model.modules():
            _without_graph(vars(module), memo)
        try:
            made = copy.deepcopy(model, memo)
        except Exception as error:
            raise InputError(
                f"the model cannot be copied ({error}): remove what it keeps besides tensors, or give it a __deepcopy__"
            ) from error
    for module in made.modules():
        for name, child in module._modules.items():
            if child is not None:
                module._modules[name] = unwrapped(child)
    return made


def unwrapped(model: nn.Module) -> nn.Module:
    """The module that `torch.compile` or one of torch's parallel wrappers was given, where it was."""
    while True:
        if "_orig_mod" in model._modules:
            model = model._modules["_orig_mod"]
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def trainable(model: nn.Module) -> nn.Module:
    """The model itself, or a copy of ordinary tensors where it was made under `torch.inference_mode`."""
    made_there = any(t.is_inference() for t in (*model.parameters(), *model.buffers()))
    return private_copy(model) if made_there else model


def require_values(model: nn.Module, *, shapes: bool = False) -> None:
    """Raises InputError for parameters without values: of lazy layers that never ran, or, unless ``shapes`` are all
    that is asked for, on the meta device."""
    for name, parameter in model.named_parameters():
        if isinstance(parameter, UninitializedParameter) or (parameter.is_meta and not shapes):
            raise InputError(f"parameter {name!r} has no values yet: run the model once, or load its weights, first")


def why_unfit(model: nn.Module) -> str:
    """What to do about a model whose layers cannot be seen any more, as the end of a sentence; mostly nothing."""
    if isinstance(model, torch.jit.ScriptModule):
        return " (it is scripted or traced: give the module that it was made from)"
    if isinstance(model, torch.fx.GraphModule):
        return " (it is a torch.fx graph: give the module that it was traced from)"
    if any(".quantized" in type(module).__module__ for module in model.modules()):
        return " (it is quantised: prune first, then quantise)"
    return ""


def _without_graph(value: Any, memo: dict[int, Any], depth: int = 6) -> None:
    """Tells `copy.deepcopy` what to put in place of each tensor that carries a graph."""
    if isinstance(value, Tensor):
        if value.grad_fn is not None:
            memo[id(value)] = value.detach().clone()
    elif depth and not isinstance(value, nn.Module | type):
        if isinstance(value, Mapping):
            parts = value.values()
        elif isinstance(value, list | tuple | set | deque):
            parts = value
        else:
            parts = getattr(value, "__dict__", {}).values()
        for part in list(parts):
            _without_graph(part, memo, depth - 1)
