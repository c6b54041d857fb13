"""Forward and backward passes that stop at the pre-activations of the linear layers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from prunebook.errors import InputError
from prunebook.networks.evaluating import evaluating


@dataclass(frozen=True)
class Recorded:
    """One batch: outputs y (B, K), and input a and output z of each call of a layer, if there was one."""

    y: Tensor
    calls: dict[str, list[tuple[Tensor, Tensor]]]

    def rows(self, probes: int | None = None, generator: Generator | None = None) -> Iterator[dict[str, list[Tensor]]]:
        """Rows of the output Jacobian: for each output (or probe), d y_k / d z for each call of each layer.

        With `probes`, each row is v^T J for a random vector v of +1 and -1 for each sample, over sqrt(probes), so that
        sums over the rows of products of two entries estimate the sums over the outputs without bias.
        """
        count = self.y.shape[1] if probes is None else probes
        for k in range(count):
            if probes is None:
                seed = torch.zeros_like(self.y)
                seed[:, k] = 1
            else:
                # drawn on the CPU, so that every device sees the same probes
                signs = torch.randint(0, 2, self.y.shape, generator=generator)
                seed = signs.to(self.y).mul_(2).sub_(1).div_(probes**0.5)
            yield self.pulled(seed, retain=k < count - 1)

    def pulled(self, seed: Tensor, *, retain: bool = True) -> dict[str, list[Tensor]]:
        """Gradients of sum(seed y) by the pre-activations of each layer, zero where none arrives."""
        places = [z for parts in self.calls.values() for _, z in parts]
        options = {"retain_graph": retain, "allow_unused": True, "materialize_grads": True}
        found = iter(torch.autograd.grad(self.y, places, seed, **options))
        return {name: [next(found) for _ in parts] for name, parts in self.calls.items()}


class Recorder:
    """Context in which `recorder(x)` runs the model and records its linear layers.

    The model is a private copy without parameters that ask for gradients, so the backward passes go to the
    pre-activations only, and frozen networks work. `call(model, x)` runs it. Inside, the random state is private; hooks
    are taken off at the end, also after an error. Samples must not influence each other, and come first in every input.
    """

    def __init__(
        self, model: nn.Module, layers: dict[str, nn.Module], call: Callable[[nn.Module, Any], Any] = nn.Module.__call__
    ) -> None:
        self.model, self.layers, self.call = model, layers, call
        self.reached: set[str] = set()
        self.push: dict[str, list[Tensor]] = {}  # to be added to the pre-activations, one tensor a call
        self._calls: dict[str, list[tuple[Tensor, Tensor, int]]] | None = None

    def __enter__(self) -> "Recorder":
        self._restore = ExitStack()
        self._restore.enter_context(evaluating(self.model))
        for name, layer in self.layers.items():
            hook = layer.register_forward_hook(self._hook(name), with_kwargs=True)
            self._restore.callback(hook.remove)
        return self

    def __exit__(self, *error: Any) -> None:
        self._restore.close()

    def run(self, x: Any) -> tuple[Any, dict[str, list[tuple[Tensor, Tensor]]]]:
        """Run one batch, and give the outputs, and the input and the pre-activation of each call of each layer."""
        self._calls = {name: [] for name in self.layers}
        try:
            y = self.call(self.model, x)
            calls = self._calls
        finally:
            self._calls = None
        for name, parts in calls.items():
            if any(a._version != version for a, _, version in parts):
                raise InputError(f"the input of layer {name!r} is overwritten in place after its use")
        self.reached.update(name for name, parts in calls.items() if parts)
        return y, {name: [(a, z) for a, z, _ in parts] for name, parts in calls.items()}

    def __call__(self, x: Any) -> Recorded:
        """Run one batch. Raises InputError where outputs or layers do not fit what the methods assume."""
        with torch.enable_grad():
            y, calls = self.run(x)
            count = len(x) if isinstance(x, Tensor) else len(y) if isinstance(y, Tensor) and y.ndim else 0
            flat = y.reshape(count, -1) if isinstance(y, Tensor) and y.ndim and len(y) == count else None
        if flat is None:
            raise InputError(
                f"the model must return a tensor with one row for each of the samples ({count or 'unknown'} here), and "
                f"returns a {type(y).__name__}: pass forward=, a function (model, batch) -> outputs, which picks one"
            )
        if not y.isfinite().all():
            raise InputError("the model's outputs are not finite (NaN or infinity)")
        if not y.requires_grad:
            raise InputError("the model's outputs do not depend on any linear layer in a differentiable way")
        for name, parts in calls.items():
            for a, z in parts:
                if a.ndim < self.layers[name].weight.ndim or len(a) != count or len(z) != count:
                    raise InputError(
                        f"layer {name!r} sees an input of shape {tuple(a.shape)} for {count} samples: "
                        "the first dimension must be the sample"
                    )
        return Recorded(flat, calls)

    def require_all_reached(self) -> None:
        """Raises InputError for a layer that no batch has gone through."""
        missing = [name for name in self.layers if name not in self.reached]
        if missing:
            raise InputError(f"layer {missing[0]!r} is never called by the model: name the others with `layers`")

    def _hook(self, name: str):
        def record(module: nn.Module, args: tuple, kwargs: dict, z: Tensor) -> Tensor:
            a = args[0] if args else kwargs["input"]
            if not z.requires_grad:
                z = z.detach().requires_grad_(z.is_floating_point())
            if self._calls is not None:  # torch.utils.checkpoint calls again during the backward pass
                self._calls[name].append((a.detach(), z, a._version))
                if name in self.push:
                    return z + self.push[name][len(self._calls[name]) - 1]
            return z.clone()  # an activation that works in place must not reach the recorded tensor

        return record
