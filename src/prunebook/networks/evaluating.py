"""Looking at a model without leaving a trace: on a copy of one's own, or with everything put back."""

import copy
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from prunebook.errors import InputError


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, no inference mode, and a fixed private random state inside; all as before outside.

    A shuffling DataLoader thus gives the same order at every pass.
    """
    devices = {p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"}
    modes = [(module, module.training) for module in model.modules()]
    gradients = torch.is_grad_enabled()
    with torch.random.fork_rng(devices=sorted(devices)), torch.inference_mode(False):
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
    their graph, which torch cannot copy. Wrappers of `torch.compile` are taken off: compiled code passes
    over hooks, and masks are hooks. Tensors made under `torch.inference_mode` become ordinary ones. Raises
    InputError for what is no module or cannot be copied.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"the model is a {type(model).__name__}: give a torch.nn.Module")
    model = _unwrapped(model)
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
                module._modules[name] = _unwrapped(child)
    return made


def _unwrapped(model: nn.Module) -> nn.Module:
    while "_orig_mod" in model._modules:
        model = model._modules["_orig_mod"]
    return model


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
