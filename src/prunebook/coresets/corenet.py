"""Constants and error budget of the multi-layer guarantee of CoreNet (Baykal et al., ICLR 2019).

The constants are as remembered from the paper and agree with an independent re-implementation. Layers are
counted from the input as layer 1; there is one weight matrix for each layer from 2 to L.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from prunebook.coresets.arguments import Activations, Number, Real, Values, Weight, amounts, probability, require


@dataclass(frozen=True)
class CoreNetConstants:
    """eta: units of all layers but the input; widest: eta*, units of the widest hidden layer; points: size |S| of the
    sample; kappa: added to the measured cancellation; delta: probability of failure of the whole network."""

    eta: int
    widest: int
    delta: float
    points: int
    kappa: float


def corenet_constants(widths: Sequence[int], delta: Real) -> CoreNetConstants:
    """|S| = ceil(ln(8 eta eta*/delta) ln(eta eta*)); kappa = r (1 + r ln(8 eta eta*/delta)), r^2 = ln(eta eta*).

    Whether the paper's eta* is taken over the hidden layers, as here, or over all layers is not known. Raises
    InputError for delta outside (0, 1) or fewer than 3 layers.
    """
    probability(delta, "delta")
    good = len(widths) >= 3 and min(widths) >= 1
    require(good, f"widths {tuple(widths)} have no hidden layer: give at least three positive numbers")
    eta, star = sum(widths[1:]), max(widths[1:-1])
    log, square = math.log(8 * eta * star / delta), math.log(eta * star)
    root = math.sqrt(square)
    return CoreNetConstants(eta, star, delta, math.ceil(log * square), root * (1 + root * log))


def corenet_samples(epsilon: Number, total: Number, constants: CoreNetConstants) -> Values:
    """Draws for one unit and sign: ceil(8 total ln(eta eta*) ln(8 eta/delta) / epsilon^2), in float64.

    `epsilon` is the layer's, from `corenet_layer_epsilons`. Raises InputError unless 0 < epsilon < 1.
    """
    epsilon, total = amounts("epsilon", epsilon, total)
    inside = (epsilon > 0) & (epsilon < 1)
    require(inside, lambda: f"epsilon is {epsilon.tolist()}: the theorem is for errors inside (0, 1)")
    logs = math.log(constants.eta * constants.widest) * math.log(8 * constants.eta / constants.delta)
    return (8 * total * logs / epsilon.square()).ceil()


def corenet_delta(weight: Weight, activations: Activations, kappa: Real) -> float:
    """Cancellation of a layer: the largest over units of the mean over points of sum|w a| / |sum w a|, + kappa.

    A point at which all terms of a unit are 0 counts as 1, no cancellation; one at which they cancel exactly
    makes the result infinite. For a bias, append it to the weight and a 1 to the activations.
    """
    weight, activations = weight.detach().double(), activations.detach().double()
    require(len(activations) > 0, "there are no activations: give at least one point")
    absolute, signed = activations.abs() @ weight.abs().T, (activations @ weight.T).abs()
    ratio = torch.where(absolute > 0, absolute / signed, 1.0)
    return float(ratio.mean(0).max()) + kappa


def corenet_layer_epsilons(epsilon: Real, deltas: Sequence[Real]) -> list[float]:
    """Error that each layer may make: epsilon / (2 (L - 1)) / (product of `deltas` from that layer to the last).

    `deltas` has the cancellation of layers 2 to L in this order. Raises InputError unless 0 < epsilon < 1 and
    every cancellation is at least 1.
    """
    require(0 < epsilon < 1, f"epsilon is {epsilon}: the theorem is for errors inside (0, 1)")
    require(len(deltas) > 0 and min(deltas) >= 1, f"cancellations {list(deltas)} must be at least 1 each")
    share = epsilon / (2 * len(deltas))
    return [share / math.prod(deltas[layer:]) for layer in range(len(deltas))]
