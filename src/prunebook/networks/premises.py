"""What the methods presume of a model, tried on one batch: what fails is one clear error."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from prunebook.errors import InputError
from prunebook.networks.linear_layers import type_of


def is_linear(layer: nn.Module, a: Tensor, z: Tensor) -> bool:
    """Whether a layer made z = W a + b of its input: it does not where a forward of its own or a hook changes it.

    A class of one's own may add what is the same for all samples, such as a bias for each position.
    """
    expected = type_of(layer).forward(layer, a.to(layer.weight.dtype))
    if type(layer).forward is not type_of(layer).forward and z.shape == expected.shape and len(z) > 1:
        expected = expected + (z - expected)[:1]
    return z.shape == expected.shape and close(z, expected, size(expected), tolerance(z))


def require_same_again(call: Callable[[Any], Tensor], x: Any, y: Tensor) -> None:
    """Raises InputError unless a second pass over the batch x gives y (samples, outputs) again."""
    again = call(x).reshape(y.shape)
    if not close(again, y, size(y), tolerance(y)):
        raise InputError(
            "two passes over one batch differ: the model draws random numbers or remembers in evaluation mode"
        )


def require_alone(call: Callable[[Any], Tensor], x: Any, y: Tensor) -> None:
    """Raises InputError where half of the batch x gives other outputs than in the whole one, y (samples, outputs)."""
    if not isinstance(x, Tensor) or len(x) < 2:
        return
    part = slice(len(x) // 2)
    try:
        half = call(x[part])
    except (RuntimeError, ValueError):
        return  # the model takes batches of one size only
    half = half.reshape(len(half), -1)
    if half.shape != y[part].shape or not close(half, y[part], size(y), tolerance(y)):
        raise InputError(
            "half a batch gives other outputs than the same samples in the whole batch: each must stand alone"
        )


def size(t: Tensor) -> float:
    """The largest modulus, 0 where there is none."""
    return float(t.detach().abs().max()) if t.numel() else 0.0


def tolerance(t: Tensor) -> float:
    """What rounding may change, relative to the largest value: half of the digits."""
    return torch.finfo(t.dtype).eps ** 0.5


def close(one: Tensor, other: Tensor, size_: float, tolerance_: float) -> bool:
    """Whether two tensors differ nowhere by more than the tolerance times the size."""
    return size(one.double() - other.double()) <= tolerance_ * size_
