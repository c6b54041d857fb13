"""The mean loss of one batch, with the targets in the form that it needs."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from prunebook.data.batches import class_labels
from prunebook.errors import InputError


def mean_loss(
    loss: Callable[[Tensor, Tensor], Tensor], outputs: Float[Tensor, "samples ..."], y: Any
) -> Float[Tensor, ""]:
    """`loss(outputs, y)`. Integers of any kind become int64, and for torch's losses of classes are checked.

    Raises InputError for no targets, targets that do not fit the outputs or the loss, and a loss that is no mean.
    """
    if y is None:
        raise InputError("this method needs targets: give batches (x, y)")
    classes = loss in (F.cross_entropy, F.nll_loss) or isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss)
    y = _prepared(y, outputs, classes)
    try:
        value = loss(outputs, y)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        form = f"{y.dtype} of shape {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
        raise InputError(
            f"the loss cannot take targets ({form}) for outputs {tuple(outputs.shape)}: {error}"
        ) from error
    if not isinstance(value, Tensor) or value.ndim > 0:
        found = f"has shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"is a {type(value).__name__}"
        raise InputError(f"the loss {found}: it must return the mean over the batch")
    if isinstance(y, Tensor) and len(y) == len(outputs) > 1 and _adds_up(loss, outputs.detach(), y, value.item()):
        raise InputError("the loss is a sum over the samples: it must return the mean over the batch")
    return value


def _adds_up(loss: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, y: Tensor, whole: float) -> bool:
    half = len(y) // 2
    try:
        one, two = (loss(outputs[part], y[part]).item() for part in (slice(half), slice(half, None)))
    except (RuntimeError, ValueError):  # it takes batches of one size only
        return False
    mean = (one * half + two * (len(y) - half)) / len(y)
    return abs(whole - one - two) < 1e-3 * abs(whole) < 0.1 * abs(whole - mean)


def _prepared(y: Any, outputs: Tensor, classes: bool) -> Any:
    soft = isinstance(y, Tensor) and y.is_floating_point()
    if classes and outputs.ndim == 2 and not (soft and y.shape == outputs.shape):
        return class_labels(y, *outputs.shape).to(outputs.device)
    if soft:
        if y.shape != outputs.shape and y.numel() == outputs.numel():
            raise InputError(
                f"targets have shape {tuple(y.shape)}, outputs {tuple(outputs.shape)}: make them equal, or the loss "
                "compares each with all others"
            )
        return y
    if isinstance(y, Tensor):
        if classes and outputs.ndim > 2:
            class_labels(y.flatten(), y.numel(), outputs.shape[1])
        return y if y.dtype == torch.bool else y.long()
    return y
