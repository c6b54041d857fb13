"""Forward and backward passes that stop at the pre-activations of the linear layers."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from prunebook.errors import InputError
from prunebook.networks.evaluating import evaluating


@dataclass(frozen=True)
class Recorded:
    """One batch: outputs y (B, K) and, for each layer and call, its input a (B, T, i) and pre-activation z.

    A layer that no sample of the batch has reached has no calls.
    """

    y: Tensor
    calls: dict[str, list[tuple[Tensor, Tensor]]]

    def inputs(self, name: str) -> Tensor:
        """Inputs of a layer at all positions and calls of each sample, (B, T, i)."""
        parts = [_positions(a) for a, _ in self.calls[name]]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def rows(
        self, probes: int | None = None, generator: Generator | None = None
    ) -> Iterator[dict[str, Tensor]]:
        """Rows of the output Jacobian: for each output (or probe), d y_k / d z as (B, T, o) for each layer.

        With `probes`, each row is v^T J for a random vector v of +1 and -1 for each sample, over
        sqrt(probes), so that sums over the rows of products of two entries estimate the sums over the
        outputs without bias.
        """
        targets = [z for parts in self.calls.values() for _, z in parts]
        count = self.y.shape[1] if probes is None else probes
        for k in range(count):
            if probes is None:
                seed = torch.zeros_like(self.y)
                seed[:, k] = 1
            else:
                # drawn on the CPU, so that every device sees the same probes
                signs = torch.randint(0, 2, self.y.shape, generator=generator)
                seed = signs.to(self.y).mul_(2).sub_(1).div_(probes**0.5)
            gradients = iter(
                torch.autograd.grad(
                    self.y,
                    targets,
                    seed,
                    retain_graph=k < count - 1,
                    allow_unused=True,
                    materialize_grads=True,
                )
            )
            row = {}
            for name, parts in self.calls.items():
                found = [_positions(next(gradients)) for _ in parts]
                if found:
                    row[name] = found[0] if len(found) == 1 else torch.cat(found, 1)
            yield row


class Recorder:
    """Context in which `recorder(x)` runs the model and records its linear layers.

    Inside, the model is in evaluation mode, its parameters do not ask for gradients (so the backward passes
    go to the pre-activations only, and frozen networks work), and the random state is private. Everything
    is put back at the end, also after an error. Samples must not influence each other, and the first
    dimension of every layer's input must be the sample.
    """

    def __init__(self, model: nn.Module, layers: dict[str, nn.Linear]) -> None:
        self.model, self.layers = model, layers
        self._calls: dict[str, list[tuple[Tensor, Tensor, int]]] = {}
        self._reached: set[str] = set()

    def __enter__(self) -> "Recorder":
        self._restore = ExitStack()
        self._restore.enter_context(evaluating(self.model))
        for parameter in self.model.parameters():
            self._restore.callback(parameter.requires_grad_, parameter.requires_grad)
            parameter.requires_grad_(False)
        for name, layer in self.layers.items():
            hook = layer.register_forward_hook(self._hook(name), with_kwargs=True)
            self._restore.callback(hook.remove)
        return self

    def __exit__(self, *error: Any) -> None:
        self._calls = {}
        self._restore.close()

    def __call__(self, x: Tensor) -> Recorded:
        """Run one batch. Raises InputError where outputs or layers do not fit what the methods assume."""
        self._calls = {name: [] for name in self.layers}
        with torch.enable_grad():
            y = self.model(x)
            flat = y.reshape(len(x), -1) if isinstance(y, Tensor) and y.ndim and len(y) == len(x) else None
        if flat is None:
            raise InputError(f"the model must return a tensor with one row for each of the {len(x)} samples")
        if not y.isfinite().all():
            raise InputError("the model's outputs are not finite (NaN or infinity)")
        if not y.requires_grad:
            raise InputError("the model's outputs do not depend on any linear layer in a differentiable way")
        for name, parts in self._calls.items():
            for a, z, version in parts:
                if a._version != version:
                    raise InputError(f"the input of layer {name!r} is overwritten in place after its use")
                if a.ndim < 2 or len(a) != len(x) or len(z) != len(x):
                    raise InputError(
                        f"layer {name!r} sees an input of shape {tuple(a.shape)} for {len(x)} samples: "
                        "the first dimension must be the sample"
                    )
        self._reached.update(name for name, parts in self._calls.items() if parts)
        calls = {name: [(a, z) for a, z, _ in parts] for name, parts in self._calls.items()}
        self._calls = {}
        return Recorded(flat, calls)

    def require_all_reached(self) -> None:
        """Raises InputError for a layer that no batch has gone through (for example one read by its weight
        only).
        """
        missing = [name for name in self.layers if name not in self._reached]
        if missing:
            raise InputError(
                f"layer {missing[0]!r} is never called by the model: name the others with `layers`"
            )

    def _hook(self, name: str):
        def record(module: nn.Module, args: tuple, kwargs: dict, z: Tensor) -> Tensor:
            a = args[0] if args else kwargs["input"]
            if not z.requires_grad:
                z = z.detach().requires_grad_()
            self._calls[name].append((a.detach(), z, a._version))
            return z.clone()  # an activation that works in place must not reach the recorded tensor

        return record


def _positions(values: Tensor) -> Tensor:
    return values.reshape(len(values), -1, values.shape[-1])
