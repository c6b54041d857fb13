"""The one door for data and labels: batches (x, y) that can be gone through more than once. Nothing is guessed."""

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from prunebook.errors import InputError

CHUNK = 4096  # samples; of 256 to 8192 about the fastest for 784-32-32-10 on two CPU cores
BYTES = 256 * 2**20  # of inputs in one chunk
FROM_DATASET = 256  # samples of a Dataset put into one batch

FORWARD = "pass forward=, a function (model, batch) -> outputs, which may take batches of any form"


class Batches:
    """Checked batches (x, y or None), on the device of the model, from any of the usual containers.

    Without `forward`, `data` is a tensor of inputs, a TensorDataset, a plain object with tensors `x` and
    `y`, a torch Dataset (or whatever has `__len__` and `__getitem__`, which is then used), or a re-iterable
    (DataLoader, list) of tensors x, or of (x,) or (x, y). The first dimension is the sample. With
    `forward(model, batch) -> outputs`, batches may be dictionaries, several inputs or anything else, and are
    handed on as they come; `targets(batch)` then says what their targets are. y is not looked at here.

    Raises InputError for anything else; for an iterator, which could be consumed only once; for a pass
    without samples or of another length than the one before; for inputs that are not finite, or of another
    float type than the model's.
    """

    def __init__(
        self,
        data: Any,
        model: nn.Module,
        *,
        forward: Callable[[nn.Module, Any], Any] | None = None,
        targets: Callable[[Any], Any] | None = None,
    ) -> None:
        for name, function in (("forward", forward), ("targets", targets)):
            if function is not None and not callable(function):
                raise InputError(f"{name} is {function!r}: give a function")
        if targets is not None and forward is None:
            raise InputError("targets= goes with forward=: without it a batch is (x, y), and y the targets")
        self.data, self.forward, self.targets = _accepted(data), forward, targets
        numbers = (t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point())
        self._like = next(numbers, torch.empty(0))
        self._length: int | None = None  # batches in a complete pass
        self._first: tuple[Any, Any] | None = None
        self._begun: tuple | None = None  # a pass of which the first batch is known, and the random state then

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        begun, self._begun = self._begun, None
        if begun is not None:
            rest, random = begun
            yield self._first
            torch.set_rng_state(random)
        yield from rest if begun else self._pass()

    def first(self) -> tuple[Any, Any]:
        """The first batch. The next pass goes on from it, so that looking costs a stream nothing."""
        if self._first is None:
            rest = self._pass()
            self._first = next(rest)
            self._begun = (rest, torch.get_rng_state())
        return self._first

    def call(self, model: nn.Module, x: Any) -> Any:
        """The outputs of the model for one batch. Whatever stops it becomes an InputError with the cause."""
        try:
            return model(x) if self.forward is None else self.forward(model, x)
        except InputError:
            raise
        except Exception as error:
            form = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            cause = str(error).strip().splitlines()[:1] or [type(error).__name__]
            raise InputError(
                f"the model cannot take a batch ({form}): {cause[0]}. Number, type and shape of its inputs must fit; "
                f"for other forms of batches {FORWARD}"
            ) from error

    def _pass(self) -> Iterator[tuple[Any, Any]]:
        count = 0
        for batch in self._raw():
            if self.forward is not None:
                x, y = moved(batch, self._like.device), self.targets and self.targets(batch)
            else:
                x, y = self._pair(batch)
                if len(x) == 0:
                    continue
                x = self._checked(x)
            count += 1
            yield x, moved(y, self._like.device)
        if count == 0 and not self._length:
            raise InputError("the data is empty: need at least one sample")
        if self._length not in (None, count):
            raise InputError(
                f"the data came once only: {self._length} batches in the first pass, then {count}. Give a list or a "
                "DataLoader, which yields the same each time"
            )
        self._length = count

    def _pair(self, batch: Any) -> tuple[Tensor, Any]:
        items = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
        if len(items) not in (1, 2):
            raise InputError(f"a batch has {len(items)} items: give x or (x, y), or for several inputs {FORWARD}")
        x, y = (*items, None)[:2]
        if not isinstance(x, Tensor) or x.ndim == 0:
            kind = type(x).__name__
            raise InputError(f"a batch is a tensor x or a pair (x, y) of tensors, not {kind}: {FORWARD}")
        if isinstance(y, Tensor) and y.is_meta:
            raise InputError("targets are on the meta device and have no values: load them first")
        if isinstance(y, Tensor) and (y.ndim == 0 or len(y) != len(x)):
            raise InputError(f"targets do not go with {len(x)} inputs: need a tensor with one entry a sample")
        return x, y

    def _checked(self, x: Tensor) -> Tensor:
        if x.layout is not torch.strided or x.is_nested or x.is_meta:
            kind = "on the meta device" if x.is_meta else "nested" if x.is_nested else str(x.layout)
            raise InputError(f"inputs are {kind}: give ordinary tensors with values, x.to_dense() of sparse ones")
        if x.is_floating_point():
            if self._like.numel() and x.dtype != self._like.dtype:
                raise InputError(f"inputs are {x.dtype}, the model is {self._like.dtype}: convert one of them")
            if not x.isfinite().all():
                raise InputError("inputs are not finite (NaN or infinity): clean the data first")
        return moved(x, self._like.device)

    def _raw(self) -> Iterator[Any]:
        if type(self.data) is TensorDataset:
            tensors = self.data.tensors
        elif isinstance(self.data, Tensor):
            tensors = (self.data,)
        elif _is_pair(self.data):
            tensors = tuple(t for t in (self.data.x, getattr(self.data, "y", None)) if t is not None)
        else:
            yield from self.data
            return
        x = tensors[0]
        step = max(1, min(CHUNK, BYTES // max(1, x[:1].numel() * x.element_size())))
        for part in range(0, len(x), step):
            yield tuple(t[part : part + step] for t in tensors)


def class_labels(y: Any, count: int, classes: int) -> Int64[Tensor, " count"]:
    """Class labels as int64, one for each of `count` samples; any kind of integers is taken.

    Raises InputError, with the remedy, for no labels, numbers that are no integers, one-hot rows or columns,
    and labels outside 0 ... classes - 1, such as the -100 of samples to be ignored.
    """
    if y is None:
        raise InputError("the data has no labels: give batches (x, y) or a TensorDataset(x, y)")
    try:
        y = torch.as_tensor(y)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"labels are {type(y).__name__}: give one class index for each sample") from error
    kind = f"labels are {y.dtype} of shape {tuple(y.shape)}"
    if y.shape == (count, 1):
        raise InputError(f"{kind}: take the column out, y[:, 0]")
    if y.shape == (count, classes):
        raise InputError(f"{kind}: give class indices, y.argmax(1) for one-hot rows")
    if y.shape != (count,):
        raise InputError(f"{kind}: give one class index for each of the {count} samples")
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise InputError(f"{kind}: give class indices as integers, for whole numbers y.long()")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        raise InputError(
            f"labels reach from {low} to {high}: give class indices from 0 to {classes - 1}, and leave out "
            "samples without a label"
        )
    return y.long()


def moved(value: Any, device: torch.device) -> Any:
    """The same with all tensors in it detached and on a device; dictionaries, lists and tuples are followed."""
    if isinstance(value, Tensor):
        value = value.detach().to(device)
        return value.clone() if value.is_inference() else value
    if isinstance(value, tuple | list):
        parts = [moved(part, device) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if not isinstance(value, MutableMapping):
        return value
    value = copy.copy(value)
    for key, part in value.items():
        value[key] = moved(part, device)
    return value


def _accepted(data: Any) -> Any:
    kind = type(data).__name__
    if isinstance(data, Iterator):
        raise InputError(f"{kind} can be gone through only once: give a list, a DataLoader or tensors")
    plain = isinstance(data, tuple | list) and not _is_pair(data)
    if plain and data and all(isinstance(t, Tensor) for t in data):
        alike = len(data) == 2 and data[0].shape[:1] == data[1].shape[:1]
        if isinstance(data, tuple) or alike or len({t.dtype for t in data}) > 1:
            raise InputError(
                f"a {kind} of tensors may be (x, y) or several batches: give TensorDataset(x, y), or "
                "batches as a list [(x,), (x,)]"
            )
    indexed = hasattr(data, "__getitem__") and hasattr(data, "__len__") and not hasattr(data, "__iter__")
    if isinstance(data, Dataset) or (indexed and not isinstance(data, Mapping)):
        return data if type(data) is TensorDataset else DataLoader(data, batch_size=FROM_DATASET)
    several = hasattr(data, "__iter__") and not isinstance(data, str | bytes | Mapping | np.ndarray)
    if not (several or _is_pair(data)):
        raise InputError(f"batches are a tensor, a TensorDataset or an iterable, not {kind}")
    return data


def _is_pair(data: Any) -> bool:
    """A plain object, or a named tuple, of x and y."""
    named = isinstance(data, tuple) and hasattr(data, "_fields")
    return hasattr(data, "x") and (named or not (hasattr(data, "__iter__") or hasattr(data, "__getitem__")))
