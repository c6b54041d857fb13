"""What is told of a classifier beside its loss: its error rate, and its loss once its confidence has been put right.

Cross-entropy punishes a network that is trained on for long for being too sure, even where it names more classes
rightly. One temperature T for all logits, fitted on images that are neither trained nor tested on, takes that part off
(Guo et al., 2017). Its inverse b = 1 / T is looked for, as the loss of b * logits is convex in b.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.nn.functional import one_hot

MOST = 1000.0  # inverse temperature of a network that is right about every held-out image: the best would be infinite
ROUNDS = 200  # a bound that is never met: Newton's steps end after ten or so


class Measured(NamedTuple):
    """Of each network, in float64: ``loss`` (mean cross-entropy in nats), ``error`` (share of samples whose largest
    logit is of another class) and ``scaled_nll`` (the loss after temperature scaling, in nats)."""

    loss: Float64[Tensor, "..."]
    error: Float64[Tensor, "..."]
    scaled_nll: Float64[Tensor, "..."]


def measured(
    logits: Float[Tensor, "... n classes"],
    labels: Int[Tensor, " n"],
    held_logits: Float[Tensor, "... m classes"],
    held_labels: Int[Tensor, " m"],
) -> Measured:
    """Loss, error and temperature-scaled loss over all samples, for one network or a stack of them.

    The temperature is fitted on the held-out logits, for each network by itself.

    Examples
    --------
    >>> import torch
    >>> logits, labels = torch.tensor([[4.0, 0.0], [4.0, 0.0]]), torch.tensor([0, 1])
    >>> measured(logits, labels, logits, labels).error
    tensor(0.5000, dtype=torch.float64)
    >>> round(float(measured(logits, labels, logits, labels).scaled_nll), 4)  # nothing is known: log 2
    0.6931
    """
    z = logits.double()
    scale = inverse_temperature(held_logits, held_labels)
    wrong = (z.argmax(-1) != labels).double().mean(-1)
    return Measured(_loss(z, labels), wrong, _loss(z * scale[..., None, None], labels))


def inverse_temperature(logits: Float[Tensor, "... n classes"], labels: Int[Tensor, " n"]) -> Float64[Tensor, "..."]:
    """The b from 0 to `MOST` for which b * logits have the least mean cross-entropy; 0 for logits worse than none.

    Newton's steps on the derivative, which rises with b, and the middle of what is left where a step leads out of it.
    NaN for logits that are not finite.
    """
    z = logits.double()
    z = z - z.amax(-1, keepdim=True)
    true = _true(z, labels).mean(-1)

    def slope(b: Tensor) -> tuple[Tensor, Tensor]:
        p = (b[..., None, None] * z).softmax(-1)
        mean = (p * z).sum(-1)
        return mean.mean(-1) - true, ((p * z.square()).sum(-1) - mean.square()).mean(-1)

    low, high = torch.zeros_like(true), torch.full_like(true, MOST)
    uninformed, separated = slope(low)[0] >= 0, slope(high)[0] <= 0
    b = torch.ones_like(true)
    for _ in range(ROUNDS):
        first, second = slope(b)
        low, high = torch.where(first < 0, b, low), torch.where(first > 0, b, high)
        step = b - first / second
        step = torch.where((step >= low) & (step <= high), step, (low + high) / 2)
        settled = ((step - b).abs() <= 1e-12 * b) | uninformed | separated | ~first.isfinite()
        b = step
        if settled.all():
            break
    b = torch.where(uninformed, 0.0, torch.where(separated, MOST, b))
    return torch.where(z.isfinite().all(-1).all(-1), b, torch.nan)


def _true(z: Tensor, labels: Tensor) -> Tensor:
    """The entry of each sample's own class."""
    return (z * one_hot(labels, z.shape[-1])).sum(-1)


def _loss(z: Tensor, labels: Tensor) -> Tensor:
    return -z.log_softmax(-1).gather(-1, labels.expand(z.shape[:-1])[..., None])[..., 0].mean(-1)
