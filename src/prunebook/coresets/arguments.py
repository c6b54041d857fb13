"""Checks and conversions that the functions of this package share."""

import math
import numbers
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Num
from torch import Tensor

from prunebook.errors import InputError

Real = int | float
Number = int | float | Num[Tensor, "..."]
Values = Float64[Tensor, "..."]
Weight = Float[Tensor, "n_out n_in"]
Activations = Float[Tensor, "points n_in"]


def aligned(*values: Number) -> list[Values]:
    """Float64 tensors on the device of the first tensor among the values; the CPU where there is none."""
    device = next((value.device for value in values if isinstance(value, Tensor)), None)
    return [torch.as_tensor(value, dtype=torch.float64, device=device) for value in values]


def require(good: Bool[Tensor, "..."] | bool, message: str | Callable[[], str]) -> None:
    """Raises InputError with the message, or what makes it, unless all entries are true."""
    if not (bool(good.all()) if isinstance(good, Tensor) else good):
        raise InputError(message() if callable(message) else message)


def amounts(name: str, value: Number, total: Number) -> list[Values]:
    """Both in float64. Raises InputError unless they are >= 0 everywhere, and the total is finite."""
    value, total = aligned(value, total)
    require(value >= 0, lambda: f"{name} is {value.tolist()}: give numbers >= 0")
    require((total >= 0) & total.isfinite(), lambda: f"total is {total.tolist()}: give finite sums >= 0")
    return [value, total]


def real(value: Any, name: str) -> None:
    """Raises InputError unless the value is a number."""
    good = isinstance(value, numbers.Real) and not isinstance(value, bool)
    require(good, f"{name} is {value!r}: give a number")


def whole(value: Any, name: str, least: int) -> None:
    """Raises InputError unless the value is a whole number, and not too small."""
    good = isinstance(value, numbers.Integral) and not isinstance(value, bool) and least <= value < 2**63
    require(good, f"{name} is {value!r}: give a whole number >= {least} and below 2^63")


def probability(value: Real, name: str) -> float:
    """The value, if it lies strictly between 0 and 1."""
    require(0 < value < 1, f"{name} is {value}: a probability of failure lies strictly between 0 and 1")
    return float(value)


def layer_inputs(weight: Weight, activations: Activations) -> tuple[Weight, Activations]:
    """Both in float64 without gradients. Raises InputError for no points, and values negative or not finite."""
    weight, activations = weight.detach().double(), activations.detach().double()
    require(activations.numel() > 0, "there are no activations: give at least one point with one input")
    require(weight.isfinite(), "the weight is not finite (NaN or infinity): repair it first")
    require(activations.isfinite(), "the activations are not finite (NaN or infinity): clean the data first")
    remedy = "sensitivities need inputs >= 0; take a layer that is fed by a ReLU"
    require(activations >= 0, lambda: f"activations go down to {activations.min():.3g}: {remedy}")
    return weight, activations


def smallest(guess: Values, epsilon: Values, epsilon_of: Callable[[Tensor], Tensor]) -> Values:
    """The smallest whole m with epsilon_of(m) <= epsilon, from a guess that rounding put off by one at most.

    With it, the draws asked for by the error of m draws are m again, and not m + 1.
    """
    below = (guess - 1).clamp(min=0)
    guess = torch.where(epsilon_of(below) <= epsilon, below, guess)
    return torch.where(epsilon_of(guess) > epsilon, guess + 1, guess)


def rank(share: Real, count: int) -> int:
    """ceil(share * count), from 1 on, and 7 rather than 8 for 0.07 of 100: floating point gives 7.000000000000001."""
    return max(1, math.ceil(round(share * count, 9)))
