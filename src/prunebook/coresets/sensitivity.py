"""Sensitivities of single weights: the largest share that each has in its output's positive or negative mass.

For output k and one sign, J holds the inputs whose weight has that sign and w_j = |W_kj|. On inputs h >= 0
the share of j at x is g_j(x) = w_j h_j(x) / sum over J of w_i h_i(x), and 0 where that sum is 0. The
sensitivity is the maximum of g_j over the sample. Definition of CoreNet and SiPP (Baykal et al., 2019).
The bias takes no part. The first axis of length 2 is the sign everywhere: 0 positive, 1 negative.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from prunebook.coresets.arguments import Activations, Weight, layer_inputs

ELEMENTS = 2**18  # of shares held at a time, 2 MiB: larger blocks leave the cache and are slower
BLOCK = 64  # points at a time, where there are enough


@dataclass(frozen=True)
class Sensitivity:
    """values: s_j, 0 at entries of the other sign; total: their sums; probabilities: s_j / total, or all 0."""

    values: Float64[Tensor, "2 n_out n_in"]
    total: Float64[Tensor, "2 n_out"]
    probabilities: Float64[Tensor, "2 n_out n_in"]


def parts(weight: Weight) -> Float64[Tensor, "2 n_out n_in"]:
    """max(W, 0) and max(-W, 0)."""
    weight = weight.detach().double()
    return torch.stack([weight.clamp(min=0), (-weight).clamp(min=0)])


def mass(weight: Weight, activations: Activations) -> Float64[Tensor, "2 points n_out"]:
    """z+ and z-, the sums of positive and of negative terms: z = z+ - z- + bias and A = z+ + z-.

    Raises InputError for negative activations.
    """
    weight, activations = layer_inputs(weight, activations)
    return activations @ parts(weight).mT


def sensitivities(weight: Weight, activations: Activations) -> Sensitivity:
    """Sensitivities of every weight over a sample of the layer's inputs, for both signs.

    The total of an output and sign is 0 or lies between 1 and the smaller of the numbers of weights and of
    points. Raises InputError for negative activations.
    """
    weight, activations = layer_inputs(weight, activations)
    masses = mass(weight, activations)
    divisors = torch.where(masses > 0, masses, torch.inf).transpose(1, 2).flatten(0, 1)  # (2 n_out, points)
    n_in = weight.shape[1]
    rows = max(1, min(len(divisors), ELEMENTS // (n_in * min(BLOCK, len(activations)))))
    points = max(1, ELEMENTS // (rows * n_in))
    largest = weight.new_zeros(len(divisors), n_in)
    for first in range(0, len(divisors), rows):
        block = largest[first : first + rows]
        for start in range(0, len(activations), points):
            h, z = activations[start : start + points], divisors[first : first + rows, start : start + points]
            torch.maximum(block, (h / z[..., None]).amax(1), out=block)
    values = (parts(weight) * largest.view(2, *weight.shape)).clamp(max=1)  # rounding can give 1 + 2e-16
    total = values.sum(2)
    probabilities = values / torch.where(total > 0, total, 1.0)[..., None]
    return Sensitivity(values, total, probabilities)


def obeyed(
    weight: Weight, activations: Activations, bounds: Float64[Tensor, "2 n_out n_in"]
) -> Bool[Tensor, " points"]:
    """Points at which every share is at most its bound, such as C s_j: what the guarantees presuppose.

    Points of the sample obey their sensitivities; a relative 1e-12 is left for rounding.
    """
    weight, activations = layer_inputs(weight, activations)
    step = max(1, ELEMENTS // bounds.numel())
    found = []
    for h in activations.split(step):
        allowed = (h @ parts(weight).mT)[..., None] * bounds[:, None] * (1 + 1e-12)
        found.append((parts(weight)[:, None] * h[:, None] <= allowed).all(3).all(2).all(0))
    return torch.cat(found)
