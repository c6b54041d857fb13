"""Hidden units as a coreset: sensitivities, the bound of Mussay et al. (2020), and one that survives scaling.

Unit j computes relu(p_j . x') from p_j = [w_in_j, b_in_j] and x' = [inputs, 1] with |x'| <= radius, and reaches
output k by w_out_kj. Units are drawn with replacement with probabilities s_j / t; unit j then counts for
count_j / (m pr_j) of itself. Errors are absolute. Where t = 0 nothing reaches the outputs: 0 draws, error 0.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from prunebook.coresets.arguments import Number, Real, Values, amounts, probability, require, smallest


@dataclass(frozen=True)
class NeuronSensitivity:
    """values: s_j; total: their sum t; probabilities: s_j / t, or all 0."""

    values: Float64[Tensor, " n"]
    total: Float64[Tensor, ""]
    probabilities: Float64[Tensor, " n"]


def query_radius(activations: Float[Tensor, "points d"]) -> float:
    """sqrt(max |h|^2 + 1): the smallest ball that holds all the inputs with a 1 appended."""
    require(len(activations) > 0, "there are no activations: give at least one point")
    return math.sqrt(float(activations.detach().double().square().sum(1).max()) + 1)


def neuron_sensitivities(
    w_out: Float[Tensor, "outputs n"], w_in: Float[Tensor, "n d"], b_in: Float[Tensor, " n"], radius: Real
) -> NeuronSensitivity:
    """s_j = max_k |w_out_kj| relu(radius |p_j|): the most that unit j can do to any output, inside the ball."""
    require(0 <= radius < math.inf, f"radius is {radius}: give the largest norm of the inputs with 1 appended")
    w_out, w_in, b_in = (t.detach().double() for t in (w_out, w_in, b_in))
    norms = torch.cat([w_in, b_in[:, None]], 1).norm(dim=1)
    values = w_out.abs().amax(0) * (radius * norms)
    require(values.isfinite(), "the weights are not finite (NaN or infinity): repair them first")
    total = values.sum()
    return NeuronSensitivity(values, total, values / torch.where(total > 0, total, 1.0))


def neuron_samples(epsilon: Number, total: Number, dimension: Real, delta: Real, c: Real = 1.0) -> Values:
    """Draws that the theorem asks for: ceil(c t / epsilon^2 (D max(ln t, 0) + ln(1/delta))), in float64.

    It promises error epsilon on every output and at every input in the ball at once, with probability 1 - delta.
    Mussay et al. 2020 as restated in slides on it; `c` >= 1 is not given there, and `dimension` is the VC
    dimension D, of the order of the inputs. ln t is clipped at 0. The theorem is for epsilon < 1, but larger
    values are accepted, because errors here are absolute and scale with the weights, unlike this bound: for any
    c there is a scale from which it asks for too few draws. Infinite for epsilon = 0.
    """
    epsilon, total = amounts("epsilon", epsilon, total)
    return _draws(epsilon, _load(total, dimension, delta, c))


def neuron_epsilon(samples: Number, total: Number, dimension: Real, delta: Real, c: Real = 1.0) -> Values:
    """Error sqrt(c t (D max(ln t, 0) + ln(1/delta)) / m): the inverse of `neuron_samples`; may exceed 1."""
    samples, total = amounts("samples", samples, total)
    return _error(samples, _load(total, dimension, delta, c))


def neuron_samples_hoeffding(epsilon: Number, total: Number, *, failure: Real) -> Values:
    """Draws ceil(2 t^2 / epsilon^2 ln(2/failure)) for error epsilon at one input and one output.

    Hoeffding's inequality: each drawn term w_out_kj h_j / pr_j lies within -t and t. Scaling the outgoing
    weights and epsilon alike leaves it as it is. For many inputs and outputs, divide the failure by their number.
    """
    epsilon, total = amounts("epsilon", epsilon, total)
    return _draws(epsilon, _hoeffding(total, failure))


def neuron_epsilon_hoeffding(samples: Number, total: Number, *, failure: Real) -> Values:
    """Error t sqrt(2 ln(2/failure) / m): the inverse of `neuron_samples_hoeffding`."""
    samples, total = amounts("samples", samples, total)
    return _error(samples, _hoeffding(total, failure))


def _load(total: Tensor, dimension: Real, delta: Real, c: Real) -> Tensor:
    require(dimension > 0 and c > 0, f"dimension {dimension} and c {c} must be positive")
    logarithm = torch.where(total > 1, total, 1.0).log()
    return c * total * (dimension * logarithm + math.log(1 / probability(delta, "delta")))


def _hoeffding(total: Tensor, failure: Real) -> Tensor:
    return 2 * total.square() * math.log(2 / probability(failure, "failure"))


def _draws(epsilon: Tensor, load: Tensor) -> Tensor:
    found = smallest((load / epsilon.square()).ceil(), epsilon, lambda m: _error(m, load))
    return torch.where(load == 0, 0.0, found)


def _error(samples: Tensor, load: Tensor) -> Tensor:
    return torch.where(load == 0, 0.0, (load / samples).sqrt())
