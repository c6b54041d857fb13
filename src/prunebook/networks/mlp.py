"""Network builders. Each returns a plain ``nn.Module`` with PyTorch's own initialisation."""

from collections.abc import Sequence

import torch
from torch import nn

from prunebook.errors import InputError

ACTIVATIONS = {"prelu": nn.PReLU, "relu": nn.ReLU, "tanh": nn.Tanh}


def mlp(widths: Sequence[int], activation: str = "prelu", *, seed: int | None = None) -> nn.Sequential:
    """A fully connected network ``widths[0] -> ... -> widths[-1]``; the last layer is linear.

    Every hidden layer has its own activation; PReLU has one slope a layer, 0.25 at the start. With ``seed`` the
    initial weights depend on that number alone, and the caller's random state is left as it was.
    """
    if len(widths) < 2 or any(int(w) < 1 for w in widths):
        raise InputError(f"widths {tuple(widths)} are not a network: give at least two positive numbers")
    if activation not in ACTIVATIONS:
        raise InputError(f"unknown activation {activation!r}: choose from {', '.join(ACTIVATIONS)}")
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for n_in, n_out in zip(widths, widths[1:], strict=False):
            layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def weight_count(widths: Sequence[int]) -> int:
    """Number of weights, biases not counted: the size that pruning ratios refer to."""
    return sum(a * b for a, b in zip(widths, widths[1:], strict=False))


def narrowed(widths: Sequence[int], ratio: float) -> tuple[int, ...]:
    """Hidden widths scaled by one factor so that the weight count is nearest to ``(1 - ratio)`` of it.

    Widths are rounded half up and stay at least 1, so the size is met only approximately; callers plot the
    network at its true ratio. The factor is found among all that change at least one width.
    """
    target = (1 - ratio) * weight_count(widths)
    hidden = widths[1:-1]
    # Between these factors no rounded width changes, so trying each once tries every possible network.
    factors = sorted({(k + 0.5) / w for w in hidden for k in range(w)} | {1.0})
    candidates = {(widths[0], *(max(1, int(factor * w + 0.5)) for w in hidden), widths[-1]) for factor in factors}
    return min(candidates, key=lambda c: (abs(weight_count(c) - target), c))
