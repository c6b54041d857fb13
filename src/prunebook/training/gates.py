"""Hard-concrete gates for L0 regularisation (Louizos et al., ICLR 2018): functions of log alpha, any shape.

A gate is a stretched and clipped binary concrete variable, so that it is exactly 0 or 1 with positive
probability. Everything is differentiable by log alpha, and keeps its float type.
"""

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from prunebook.errors import InputError

TEMPERATURE = 2 / 3  # beta
LOW, HIGH = (-0.1, 1.1)  # gamma and zeta: what the concrete variable is stretched to before it is clipped to [0, 1]
MARGIN = 1e-6  # uniform noise keeps this distance from 0 and 1
SPREAD = 0.01  # standard deviation of log alpha at the start
CLAMP = (math.log(0.01), math.log(100))  # what the authors' code confines log alpha to after each step

Gates = Float[Tensor, "*shape"]


def uniform_noise(like: Gates, generator: Generator | None = None) -> Gates:
    """Noise for `sample_gate`: uniform on [MARGIN, 1 - MARGIN], of the shape, type and device of `like`.

    The generator must belong to that device.
    """
    u = torch.rand(like.shape, generator=generator, dtype=like.dtype, device=like.device)
    return MARGIN + (1 - 2 * MARGIN) * u


def sample_gate(log_alpha: Gates, noise: Gates) -> Gates:
    """Gate while training: clip(s (HIGH - LOW) + LOW, 0, 1), s = sigmoid((logit(u) + log alpha) / TEMPERATURE)."""
    return _stretch(torch.sigmoid((torch.logit(noise) + log_alpha) / TEMPERATURE))


def fixed_gate(log_alpha: Gates) -> Gates:
    """Gate at test time: clip(sigmoid(log alpha) (HIGH - LOW) + LOW, 0, 1), without noise or temperature.

    0 for log alpha <= -ln 11 = -2.398, and 1 for >= ln 11.
    """
    return _stretch(torch.sigmoid(log_alpha))


def active_probability(log_alpha: Gates) -> Gates:
    """Probability that the sampled gate is above 0: sigmoid(log alpha - TEMPERATURE ln(-LOW / HIGH))."""
    return torch.sigmoid(log_alpha - TEMPERATURE * math.log(-LOW / HIGH))


def initial_log_alpha(like: Gates, rate: float = 0.5, generator: Generator | None = None) -> Gates:
    """Normal around ln((1 - rate) / rate) with deviation SPREAD; `rate` is the share of gates shut at the start."""
    if not 0 < rate < 1:
        raise InputError(f"rate is {rate}: the share of gates shut at the start lies strictly between 0 and 1")
    noise = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
    return math.log((1 - rate) / rate) + SPREAD * noise


def _stretch(s: Tensor) -> Tensor:
    return (s * (HIGH - LOW) + LOW).clamp(0, 1)
