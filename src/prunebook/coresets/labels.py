"""How much error the logits can take before a correct label may change, and what that says about accuracy.

Every epsilon* here is 0 at points that are not classified correctly. Correct means that the label's logit is strictly
the largest: a tie would be broken by chance. Labels cannot change while the error stays strictly below epsilon*.
"""

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from prunebook.coresets.arguments import Real, rank, require

Logits = Float[Tensor, "points classes"]
Labels = Int[Tensor, " points"]


def correct(logits: Logits, labels: Labels) -> Bool[Tensor, " points"]:
    """Points whose label has strictly the largest logit."""
    own, others = _split(logits, labels)
    return own > others.amax(1)


def additive_epsilon(logits: Logits, labels: Labels) -> Float64[Tensor, " points"]:
    """(z_c - z_r) / 2 with r the runner-up: for errors |z'_k - z_k| <= epsilon."""
    own, others = _split(logits, labels)
    return ((own - others.amax(1)) / 2).clamp(min=0)


def ratio_epsilon(logits: Logits, labels: Labels) -> Float64[Tensor, " points"]:
    """(z_c - z_r) / (|z_c| + |z_r|): for errors |z'_k - z_k| <= epsilon |z_k|. At most 1."""
    own, others = _split(logits, labels)
    second = others.amax(1)
    gap, scale = (own - second).clamp(min=0), own.abs() + second.abs()
    return torch.where(gap > 0, gap / scale, 0.0)


def sign_split_epsilon(
    logits: Logits, mass: Float[Tensor, "2 points classes"], labels: Labels
) -> Float64[Tensor, " points"]:
    """min over k of (z_c - z_k) / (A_c + A_k): for errors |z'_k - z_k| <= epsilon A_k, A = z+ + z-.

    The logits include the bias, `mass` does not. The binding class need not be the runner-up. Infinite where
    all inputs of the layer are 0, as nothing can then change.
    """
    own, others = _split(logits, labels)
    absolute = mass.double().sum(0)
    scale = absolute + absolute.gather(1, labels.long()[:, None])
    gap = (own[:, None] - others).clamp(min=0)  # infinite at the label itself
    return torch.where(gap > 0, gap / scale, 0.0).amin(1)


def deterministic_consistent(
    logits: Logits, mass: Float[Tensor, "2 points classes"], errors: Float[Tensor, "2 classes"], labels: Labels
) -> Bool[Tensor, " points"]:
    """Points whose correct label survives dropping weights, whatever the error within its one-sided bounds.

    `errors` are those of `dropped`, for each sign, and count as 1 where larger. Dropping positive weights only
    lowers a logit, by at most e+ z+, and dropping negative ones only raises it, by at most e- z-.
    """
    errors, mass = errors.double().clamp(max=1)[:, None], mass.double()
    own, _ = _split(logits.double() - errors[0] * mass[0], labels)
    _, others = _split(logits.double() + errors[1] * mass[1], labels)
    return own > others.amax(1)


def epsilon_to_keep(epsilons: Float[Tensor, " correct"], share: Real) -> float:
    """The ceil(share * n)-th largest of the epsilon* of the n correct points: share = 0.5 is the median.

    An error strictly below it leaves at least that share of the correct labels as they are. Raises InputError
    for a share outside (0, 1], or no correct point.
    """
    require(0 < share <= 1, f"share is {share}: the share of correct labels to keep lies in (0, 1]")
    require(len(epsilons) > 0, "no point is classified correctly: there are no labels to keep")
    return float(epsilons.sort(descending=True).values[rank(share, len(epsilons)) - 1])


def _split(values: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The label's own value, and all values with minus infinity at the label."""
    classes = values.shape[1]
    require(classes >= 2, f"{classes} class: labels need at least two")
    require((labels >= 0) & (labels < classes), f"labels must lie in 0 to {classes - 1}: give class indices")
    values, index = values.detach().double(), labels.long()[:, None]
    require(values.isfinite(), "the logits are not finite (NaN or infinity): repair the network first")
    return values.gather(1, index)[:, 0], values.scatter(1, index, -torch.inf)
