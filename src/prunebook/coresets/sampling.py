"""Pruning by sensitivity: random with reweighting, deterministic, and the better of the two; weights and units.

Draws are counts of a multinomial, not lists of indices, so that their number is limited by int64 alone. Number of
draws and number of weights kept are two things: an entry may be drawn many times, and one of probability 0 never is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from prunebook.coresets.arguments import Activations, Number, Real, Weight, aligned, layer_inputs, require
from prunebook.coresets.sensitivity import Sensitivity, parts
from prunebook.coresets.weight_bounds import dropped, epsilon_for

LIMIT = 2**60  # draws in one multinomial; counts are int64, and numpy's variances are off by 8% at 2^62

HALVINGS = 60

Seed = int | Sequence[int]
Rows, PerRow = Float64[Tensor, "*rows n"], Float64[Tensor, "*rows"]


def draw_counts(probabilities: Rows, samples: PerRow, draws: int, seed: Seed) -> Int64[Tensor, "draws *rows n"]:
    """Counts of `draws` independent multinomials for each row of probabilities; rows of zeros give zeros.

    The seed decides them alone, on any device; more draws with the same seed continue the same sequence. A sequence
    of numbers is a seed too, such as (seed, layer). Raises InputError for draws or samples that cannot be made.
    """
    require(draws >= 1, f"draws is {draws}: ask for at least one")
    alive = probabilities.sum(-1) > 0
    whole = (samples >= 1) & (samples == samples.floor())
    require(~alive | whole, "samples must be whole numbers >= 1 wherever there is something to draw")
    most = float(torch.where(alive, samples, 0.0).max())
    remedy = "report the number of draws without drawing, or ask for a larger error"
    require(most <= LIMIT, f"{most:.3g} draws do not fit into counts of 64 bits (at most {LIMIT:.3g}): {remedy}")
    p = probabilities.detach().cpu().numpy().reshape(-1, probabilities.shape[-1]).copy()
    m = torch.where(alive, samples, 0.0).cpu().numpy().reshape(-1).astype(np.int64)
    # The last entry takes what rounding leaves over, so the most probable one goes there: at many draws a
    # last entry of probability 0 would be drawn.
    top, row = p.argmax(-1), np.arange(len(p))
    p[row, top], p[:, -1] = p[:, -1], p[row, top].copy()
    p[m == 0, -1] = 1
    p /= p.sum(-1, keepdims=True)
    counts = np.random.default_rng(np.random.SeedSequence(seed)).multinomial(m, p, size=(draws, len(p)))
    last = counts[..., -1].copy()
    counts[..., -1] = counts[:, row, top]
    counts[:, row, top] = last
    return torch.from_numpy(counts).to(probabilities.device).view(draws, *probabilities.shape)


def sample_weights(
    weight: Weight, sensitivity: Sensitivity, samples: Number, draws: int, seed: Seed
) -> Float64[Tensor, "draws n_out n_in"]:
    """`draws` sampled weights W_kj count_j / (m q_j), m draws for each output and sign; unbiased.

    `samples` is a number or (2, n_out); ignored where the total is 0, whose weights become 0. So do all weights
    of sensitivity 0: the mean is the weight only where the sensitivity is positive. Raises InputError for
    samples below 1, not whole, or above 2^60. SparsifyWeights of Baykal et al. 2019.
    """
    return _sampled(weight, sensitivity.probabilities, per_sign(samples, sensitivity), draws, seed)


def _sampled(weight: Tensor, probabilities: Tensor, samples: Tensor, draws: int, seed: Seed) -> Tensor:
    counts = draw_counts(probabilities, samples, draws, seed).sum(1)  # an entry has one sign only
    expected = torch.where(probabilities > 0, samples[..., None] * probabilities, 0.0).sum(0)
    scale = weight.detach().double() / torch.where(expected > 0, expected, torch.inf)
    return counts * scale


def per_sign(samples: Number, sensitivity: Sensitivity) -> Float64[Tensor, "2 n_out"]:
    """Draws of each output and sign from one number or all of them. Raises InputError for another shape."""
    total, samples = aligned(sensitivity.total, samples)
    fits = samples.ndim == 0 or samples.shape == total.shape
    require(fits, f"samples has shape {tuple(samples.shape)}: give a number or {tuple(total.shape)}")
    return samples.expand_as(total)


def expected_kept(probabilities: Rows, samples: Number) -> PerRow:
    """Mean number of different weights, or units, among m draws: sum of 1 - (1 - q_j)^m. m is one, or one a row."""
    q, m = aligned(probabilities, samples)
    m = m[..., None]
    missed = torch.where((q > 0) & (m > 0), m * torch.log1p(-q), 0.0)
    return -torch.expm1(missed).sum(-1)


def draws_for(expected: Callable[[Tensor], PerRow], kept: Number, low: Real, high: Real) -> tuple[PerRow, PerRow]:
    """Draws between `low` and `high` with which an expected number is next to `kept`: just too few, just enough.

    `expected` grows with the draws. Halves the interval, on a scale of logarithms, as often as float64 can tell.
    Where it does not get there, both ends are `high`.
    """
    kept = torch.as_tensor(kept, dtype=torch.float64)
    low, high = torch.full_like(kept, low), torch.full_like(kept, high)
    for _ in range(HALVINGS):
        middle = (low * high).sqrt()
        enough = expected(middle) >= kept
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return low, high


def variance(
    weight: Weight, sensitivity: Sensitivity, activations: Activations, samples: Number
) -> Float64[Tensor, "2 points n_out"]:
    """Exact variance (sum of (w_j h_j)^2 / q_j - z^2) / m of the sampled masses; sums over q_j > 0.

    The signs are drawn independently, so the variance of the output is the sum of the two.
    """
    weight, activations = layer_inputs(weight, activations)
    m = per_sign(samples, sensitivity)[:, None]
    single = _variance(parts(weight), activations, sensitivity.probabilities)
    return torch.where(sensitivity.total[:, None] > 0, single / m, 0.0)


def _variance(weight: Tensor, activations: Tensor, q: Tensor) -> Tensor:
    """Of one draw."""
    drawable = torch.where(q > 0, weight, 0.0)
    second = activations.square() @ (drawable.square() / torch.where(q > 0, q, 1.0)).mT
    return (second - (activations @ drawable.mT).square()).clamp(min=0)


def keep_largest(weight: Weight, sensitivity: Sensitivity, kept: Number) -> Bool[Tensor, "n_out n_in"]:
    """Mask of the `kept` most sensitive weights of each output and sign; ties go to the lower index.

    Exactly that many are kept, or all of that sign where there are no more. Kept weights are not changed; the
    error is `dropped`. Raises InputError for negative or fractional numbers.
    """
    kept = per_sign(kept, sensitivity)
    require((kept >= 0) & (kept == kept.floor()), "kept must be whole numbers >= 0")
    member = parts(weight) > 0
    order = torch.where(member, sensitivity.values, -1.0).argsort(dim=2, descending=True, stable=True)
    places = torch.arange(order.shape[2], dtype=torch.float64, device=order.device)
    chosen = torch.zeros_like(member).scatter_(2, order, places < kept[..., None])
    return (chosen & member).any(0)


@dataclass(frozen=True)
class Hybrid:
    """weights: one for each draw; bound: the smaller error; deterministic: where that is the deterministic one."""

    weights: Float64[Tensor, "draws n_out n_in"]
    bound: Float64[Tensor, "2 n_out"]
    deterministic: Bool[Tensor, "2 n_out"]


def hybrid(
    weight: Weight, sensitivity: Sensitivity, samples: Number, draws: int, seed: Seed, *, failure: Real
) -> Hybrid:
    """For each output and sign, m draws or the m most sensitive weights, whichever has the smaller bound at m.

    Both bounds have C = 1. Ties go to the deterministic one, whose bound is then certain.
    """
    m = per_sign(samples, sensitivity)
    mask = keep_largest(weight, sensitivity, m)
    certain, likely = dropped(sensitivity, mask), epsilon_for(m, sensitivity.total, failure=failure)
    deterministic = certain <= likely
    random = _sampled(weight, torch.where(deterministic[..., None], 0.0, sensitivity.probabilities), m, draws, seed)
    fixed = ((parts(weight) > 0) & deterministic[..., None]).any(0) & mask
    return Hybrid(torch.where(fixed, weight.detach().double(), random), torch.minimum(certain, likely), deterministic)


def sample_neurons(
    probabilities: Float64[Tensor, " n"], samples: Real, draws: int, seed: Seed
) -> Float64[Tensor, "draws n"]:
    """Factors count_j / (m pr_j) for the outgoing weights of each unit; mean 1, and 0 for probability 0."""
    counts = draw_counts(probabilities, probabilities.new_tensor(float(samples)), draws, seed)
    return counts / torch.where(probabilities > 0, samples * probabilities, torch.inf)


def neuron_variance(
    w_out: Weight, hidden: Activations, probabilities: Float64[Tensor, " n_in"], samples: Real
) -> Float64[Tensor, "points n_out"]:
    """Exact variance (sum of v_j^2 / pr_j - (sum of v_j)^2) / m of the outputs, v_j = w_out_kj h_j; pr_j > 0."""
    return _variance(w_out.detach().double(), hidden.detach().double(), probabilities) / samples
