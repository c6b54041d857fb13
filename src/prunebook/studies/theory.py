"""One error for three ways of pruning: what a removal takes from a layer, and what gives some of it back.

A layer computes z = W a + b, and the outputs are y = f(z). A removal takes the lost contribution c(x) from the
pre-activations: W_ij a_j for a weight, the column W_j a_j for a unit. A bias shift s leaves c(x) - s. To first order
the outputs change by J (c - s) with J = dy/dz, and the error is the mean over samples of |J (c - s)|^2. Taking the
identity for J is the flat metric, in which all pre-activations of all samples count alike.
"""

import itertools
import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from prunebook.errors import InputError

OUTCOMES = 200_000  # the most that are enumerated

Lost = Float[Tensor, "samples units"]
Jacobian = Float[Tensor, "_ outputs _"]
Terms = Float64[Tensor, "samples units n"]


def jacobian(tail: Callable[[Tensor], Tensor], z: Lost) -> Float[Tensor, "samples outputs units"]:
    """J = d tail(z) / dz for each sample. ``tail`` must not mix samples."""
    return torch.func.jacrev(lambda z: tail(z).sum(0))(z.detach()).movedim(1, 0).detach()


def best_shift(lost: Lost, jacobian: Jacobian | None = None) -> Float[Tensor, " units"]:
    """The bias shift with the least error, all units together: the s that solves E[J'J] s = E[J'J c].

    Without a Jacobian the metric is flat and this is the mean of the lost contribution: mean replacement (Evci et al.
    2018). With one and a single unit it is the shift of elimination-compensation (Ballini et al. 2026, section 2).
    Where the outputs do not fix the shift it is the smallest of the best. Raises InputError for shapes that do not fit.
    """
    if jacobian is None:
        return lost.mean(0)
    _fits(lost, jacobian)
    matrix = torch.einsum("noi,noj->ij", jacobian, jacobian) / len(lost)
    right = torch.einsum("noi,no->i", jacobian, (jacobian @ lost[..., None])[..., 0]) / len(lost)
    return torch.linalg.pinv(matrix, hermitian=True) @ right


def left_over(lost: Lost, shift: Float[Tensor, " units"], jacobian: Jacobian | None = None) -> Float[Tensor, ""]:
    """E|J (c - s)|^2: the mean square change of the outputs to first order; of the pre-activations without J."""
    change = lost - shift
    if jacobian is not None:
        _fits(lost, jacobian)
        change = (jacobian @ change[..., None])[..., 0]
    return change.square().sum(1).mean()


def surgeon(
    hessian: Float[Tensor, "_ _"], values: Float[Tensor, " p"], removed: int
) -> tuple[Float[Tensor, " p"], Float[Tensor, ""]]:
    """Optimal brain surgeon: the change of all parameters that sets one to zero, and the least loss it costs.

    The loss is 1/2 d'Hd for a change d. Hassibi and Stork (1993); for an invertible H these are
    -w H^-1 e / [H^-1]_qq and w^2 / (2 [H^-1]_qq). Directions that cost nothing are used, with the least change.
    Raises InputError for an index out of range or shapes that do not fit.
    """
    if hessian.shape != (len(values), len(values)) or not 0 <= removed < len(values):
        raise InputError(
            f"parameter {removed} of {len(values)} and a Hessian of shape {tuple(hessian.shape)}: "
            "give one row and column for each parameter, and the index of one of them"
        )
    others = torch.arange(len(values), device=values.device) != removed
    change = torch.zeros_like(values)
    change[removed] = -values[removed]
    block, column = hessian[others][:, others], hessian[others][:, removed]
    change[others] = torch.linalg.pinv(block, hermitian=True) @ column * values[removed]
    return change, change @ hessian @ change / 2


def enumerated(
    probabilities: Float64[Tensor, " n"], samples: int
) -> tuple[Int64[Tensor, "outcomes n"], Float64[Tensor, " outcomes"]]:
    """All counts that ``samples`` draws with replacement can give, and their probabilities: no Monte Carlo.

    Raises InputError where there are more than 200,000 of them.
    """
    n = len(probabilities)
    outcomes = math.comb(samples + n - 1, samples)
    if samples < 1 or outcomes > OUTCOMES:
        limit = f"give 1 draw or more, and few enough for {OUTCOMES:,} outcomes"
        raise InputError(f"{samples} draws from {n} have {outcomes:,} outcomes: {limit}")
    picks = torch.tensor(list(itertools.combinations_with_replacement(range(n), samples)))
    counts = torch.zeros(outcomes, n, dtype=torch.int64).scatter_add(1, picks, torch.ones_like(picks))
    counts = counts.to(probabilities.device)
    ways = math.lgamma(samples + 1) - torch.lgamma(counts.double() + 1).sum(1)
    return counts, (ways + torch.xlogy(counts.double(), probabilities).sum(1)).exp()


def reweighting_error(
    terms: Terms, probabilities: Float64[Tensor, " n"], draws: int | float, *, shifted: bool = False
) -> Float64[Tensor, ""]:
    """Exact mean over samples and draws of |sum_j (1 - r_j) v_j(x)|^2, with r_j = count_j / (m p_j).

    ``terms`` are the contributions v_j(x) of the n units to a layer. The variance over draws is (sum of |v_j|^2 / p_j -
    |sum of v_j|^2) / m at each sample (Mussay et al. 2020 sample so). With ``shifted`` the bias moves, after each
    draw, by the mean of what that draw has lost; the same formula then holds for v_j - E[v_j].
    """
    v = terms - terms.mean(0) if shifted else terms
    second = torch.where(probabilities > 0, v.square().sum(1).mean(0) / probabilities, 0.0)
    if ((probabilities == 0) & v.ne(0).any(0).any(0)).any():
        raise InputError("a unit that contributes has probability 0: it is never drawn, and the error is no variance")
    return (second.sum() - v.sum(2).square().sum(1).mean()).clamp(min=0) / draws


def best_probabilities(terms: Terms, *, shifted: bool = False) -> Float64[Tensor, " n"]:
    """The probabilities with the least `reweighting_error` at any number of draws: in proportion to the root mean
    square of each unit's contribution, or to its standard deviation where the bias is ``shifted`` afterwards.
    """
    v = terms - terms.mean(0) if shifted else terms
    sizes = v.square().sum(1).mean(0).sqrt()
    return sizes / sizes.sum()


def residual(found: Tensor | float, expected: Tensor | float) -> float:
    """Largest difference between two sides of an equation, relative to the largest entry of the expected side."""
    found, expected = (torch.as_tensor(side, dtype=torch.float64).detach() for side in (found, expected))
    if found.shape != expected.shape:
        raise InputError(f"the two sides have shapes {tuple(found.shape)} and {tuple(expected.shape)}")
    scale = float(expected.abs().max())
    difference = float((found - expected).abs().max())
    return difference / scale if scale > 0 else difference


def _fits(lost: Tensor, jacobian: Tensor) -> None:
    if jacobian.shape[::2] != lost.shape:
        raise InputError(
            f"lost contributions of shape {tuple(lost.shape)} do not go with a Jacobian of shape "
            f"{tuple(jacobian.shape)}: need (samples, units) and (samples, outputs, units)"
        )
