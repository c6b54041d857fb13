"""What sampling by sensitivity guarantees for one output and sign: draws from error, and error from draws.

The error epsilon is relative to the mass z of that sign: |z' - z| <= epsilon z, with probability at least
1 - failure, at one input. Bernstein's inequality gives it for terms whose shares obey g_j <= C s_j: the mean
of m draws of g_j/q_j has variance and range at most C * total. C = 1 holds on the sample that the
sensitivities come from, and is an assumption elsewhere.

Values of epsilon >= 1 are returned and accepted. They are true statements that say nothing: the sampled mass
may be 0. Where the total is 0 there is nothing to sample: 0 draws, and error 0.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from prunebook.coresets.arguments import Number, Real, Values, amounts, probability, require, smallest
from prunebook.coresets.sensitivity import Sensitivity


def samples_for(epsilon: Number, total: Number, *, failure: Real, C: Real = 1.0) -> Values:
    """Fewest draws that give error epsilon: ceil((6 + 2 epsilon) C total L / (3 epsilon^2)).

    L = ln(2 / failure), where failure belongs to one output, sign and input. SiPP prints ln(4 / delta), delta
    being shared by the two signs. For many events at once, divide the failure by their number. Whole numbers in
    float64, which may exceed int64; infinite for epsilon = 0, and 0 for an infinite epsilon. Raises InputError for
    a negative or undefined epsilon or total, a failure outside (0, 1), or C below 1, which the sample contradicts.
    """
    epsilon, total = amounts("epsilon", epsilon, total)
    load = _load(total, failure, C)
    guess = torch.where(epsilon.isinf(), 0.0, (6 + 2 * epsilon) * load / (3 * epsilon.square())).ceil()
    return torch.where(total == 0, 0.0, smallest(guess, epsilon, lambda m: _epsilon(m, load)))


def epsilon_for(samples: Number, total: Number, *, failure: Real, C: Real = 1.0) -> Values:
    """Error that m draws guarantee: a + sqrt(a^2 + 6 a), a = C total L / (3 m); infinite for 0 draws.

    The exact inverse of `samples_for`, which says what the arguments mean.
    """
    samples, total = amounts("samples", samples, total)
    return torch.where(total == 0, 0.0, _epsilon(samples, _load(total, failure, C)))


def _epsilon(samples: Tensor, load: Tensor) -> Tensor:
    a = load / (3 * samples)
    return a + (a * (a + 6)).sqrt()


def _load(total: Tensor, failure: Real, C: Real) -> Tensor:
    require(1 <= C < math.inf, f"C is {C}: give a number >= 1, as shares reach the sensitivities on the sample")
    return C * total * math.log(2 / probability(failure, "failure"))


def dropped(sensitivity: Sensitivity, kept: Bool[Tensor, "n_out n_in"]) -> Float64[Tensor, "2 n_out"]:
    """One-sided error of dropping weights for good: 0 <= z - z' <= error * z with error = sum of their s.

    It is certain on the sample; elsewhere, multiply it by C. Values >= 1 say nothing, as z' >= 0 anyway.
    """
    return torch.where(kept, 0.0, sensitivity.values).sum(2)


def accumulated(epsilons: Sequence[Real], weights: Sequence[Float[Tensor, "_ _"]]) -> float:
    """Bound on the outputs' absolute error from bounds on each layer's: sum of epsilon_l prod_{k>l} |W^k|.

    |W| is the largest sum of moduli in a row. Errors are the largest over units; activations in between must
    be 1-Lipschitz, as ReLU is. Either take errors at the pruned network's inputs and the original weights, or
    errors at the original inputs and the pruned weights; mixing the two is not a bound.
    """
    require(len(epsilons) == len(weights) > 0, "give one error for each weight, input layer first")
    bound = 0.0
    for epsilon, weight in zip(epsilons, weights, strict=True):
        bound = float(epsilon) + bound * float(weight.detach().double().abs().sum(1).max())
    return bound
