"""One form for the data that a method looks at: batches (x, y) that can be gone through more than once."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from prunebook.errors import InputError

CHUNK = 4096  # samples; of 256 to 8192 about the fastest for 784-32-32-10 on two CPU cores


class Batches:
    """Checked batches (x, y or None), on the device of the model, from any of the usual containers.

    `data`: a tensor of inputs, a TensorDataset, an object with tensors `x` and `y`, or any re-iterable
    (DataLoader, list) of tensors x, or of tuples or lists (x, y). The first dimension is the sample.
    Raises InputError for anything else, for an iterator that could be consumed only once, for data
    without a sample, for inputs that are not finite, and for inputs of another float type than the model's.
    """

    def __init__(self, data: Any, model: nn.Module) -> None:
        if isinstance(data, Batches):
            data = data.data
        if isinstance(data, Iterator):
            raise InputError(
                f"{type(data).__name__} can be gone through only once: give a list, a DataLoader or tensors"
            )
        if isinstance(data, tuple) and not hasattr(data, "x") and all(isinstance(t, Tensor) for t in data):
            raise InputError(
                "a tuple of tensors may be (x, y) or several batches: give TensorDataset(x, y) or a list"
            )
        if not hasattr(data, "x") and not hasattr(data, "__iter__") and not isinstance(data, TensorDataset):
            raise InputError(
                f"batches are a tensor, a TensorDataset or an iterable, not {type(data).__name__}"
            )
        self.data = data
        reference = next((t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()), None)
        self._like = reference

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        seen = 0
        for x, y in self._raw():
            if not isinstance(x, Tensor) or x.ndim == 0:
                raise InputError(f"a batch is a tensor x or a pair (x, y) of tensors, not {type(x).__name__}")
            if y is not None and (not isinstance(y, Tensor) or y.ndim == 0 or len(y) != len(x)):
                raise InputError(
                    f"targets do not go with {len(x)} inputs: need a tensor with one entry a sample"
                )
            if len(x) == 0:
                continue
            if x.is_floating_point():
                if self._like is not None and x.dtype != self._like.dtype:
                    raise InputError(
                        f"inputs are {x.dtype}, the model is {self._like.dtype}: convert one of them"
                    )
                if not x.isfinite().all():
                    raise InputError("inputs are not finite (NaN or infinity): clean the data first")
            if self._like is not None:
                x = x.to(self._like.device)
                y = y if y is None else y.to(self._like.device)
            seen += len(x)
            yield x.detach(), y
        if seen == 0:
            raise InputError("the data is empty: need at least one sample")

    def _raw(self) -> Iterator[tuple[Any, Any]]:
        data = self.data
        if isinstance(data, TensorDataset):
            yield from _chunks(*data.tensors[:2])
        elif isinstance(data, Tensor):
            yield from _chunks(data)
        elif hasattr(data, "x"):
            yield from _chunks(data.x, getattr(data, "y", None))
        else:
            for batch in data:
                if isinstance(batch, tuple | list):
                    yield (batch[0] if batch else None), (batch[1] if len(batch) > 1 else None)
                else:
                    yield batch, None


def _chunks(x: Tensor, y: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor | None]]:
    for part in torch.arange(0, len(x), CHUNK).tolist():
        yield x[part : part + CHUNK], None if y is None else y[part : part + CHUNK]
