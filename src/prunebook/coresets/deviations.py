"""Exact bias, variance and range of sampled sums, and the tails that follow from them."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from prunebook.coresets.arguments import Activations, Number, Real, Weight, layer_inputs
from prunebook.coresets.sampling import neuron_variance, per_sign, variance
from prunebook.coresets.sensitivity import Sensitivity, parts

ELEMENTS = 2**22  # of terms held at a time, 32 MiB


@dataclass(frozen=True)
class Deviation:
    """Of a sampled sum from the true one. bias: signed mean; variance; span: largest deviation that one of the
    draws can contribute; scale: what errors are relative to."""

    bias: Float64[Tensor, "*events"]
    variance: Float64[Tensor, "*events"]
    span: Float64[Tensor, "*events"]
    scale: Float64[Tensor, "*events"]

    def bernstein(self, failure: Real) -> Float64[Tensor, "*events"]:
        """Error exceeded with at most this probability: a + sqrt(a^2 + 2 variance L), a = span L / 3,
        L = ln(2 / failure), after |bias|; over the scale.
        """
        log = math.log(2 / failure)
        a = self.span * log / 3
        return self._relative(a + (a.square() + 2 * self.variance * log).sqrt())

    def gaussian(self, failure: Real) -> Float64[Tensor, "*events"]:
        """The same with the two-sided quantile of a normal distribution, which is an approximation."""
        quantile = math.sqrt(2) * torch.erfinv(torch.tensor(1 - failure, dtype=torch.float64)).item()
        return self._relative(quantile * self.variance.sqrt())

    def _relative(self, noise: Tensor) -> Tensor:
        return (self.bias.abs() + noise) / torch.where(self.scale > 0, self.scale, torch.inf)


def of_weights(weight: Weight, sensitivity: Sensitivity, activations: Activations, samples: Number) -> Deviation:
    """Of z+ and z- (2, points, n_out) at m draws each, relative to the masses themselves."""
    weight, activations = layer_inputs(weight, activations)
    w, m = parts(weight), torch.where(sensitivity.total > 0, per_sign(samples, sensitivity), torch.inf)[:, None]
    bias, span = _bias_and_span(w, activations, sensitivity.probabilities)
    return Deviation(bias, variance(weight, sensitivity, activations, samples), span / m, activations @ w.mT)


def together(signs: Deviation) -> Deviation:
    """Of z = z+ - z- from that of the two signs, relative to A = z+ + z-."""
    return Deviation(signs.bias[0] - signs.bias[1], signs.variance.sum(0), signs.span.amax(0), signs.scale.sum(0))


def of_neurons(w_out: Weight, hidden: Activations, probabilities: Float64[Tensor, " n_in"], samples: Real) -> Deviation:
    """Of the outputs (points, n_out) at m draws of units, in absolute terms."""
    w_out, hidden = w_out.detach().double(), hidden.detach().double()
    (bias,), (span,) = _bias_and_span(w_out[None], hidden, probabilities.expand_as(w_out)[None])
    spread = neuron_variance(w_out, hidden, probabilities, samples)
    return Deviation(bias, spread, span / samples, torch.ones_like(bias))


def _bias_and_span(w: Tensor, activations: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """What is never drawn, and max over drawable j of |w_j h_j / q_j - mean| of one draw; (signs, points, n_out)."""
    bias = -(activations @ torch.where(q > 0, 0.0, w).mT)
    mean, span = activations @ w.mT + bias, torch.zeros_like(bias)
    per_draw = torch.where(q > 0, w / torch.where(q > 0, q, 1.0), 0.0)
    step = max(1, ELEMENTS // w.numel())
    for start in range(0, len(activations), step):
        part = slice(start, start + step)
        gap = (per_draw[:, None] * activations[part, None] - mean[:, part, :, None]).abs()
        span[:, part] = torch.where(q[:, None] > 0, gap, 0.0).amax(3)
    return bias, span
