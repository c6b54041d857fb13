"""A whole network pruned by drawing its weights, at a given share of weights that are expected to stay.

Each layer's weights are drawn with replacement, for each output and sign apart, in proportion to their sensitivities,
and reweighted so that the mean is the weight (Baykal et al. 2019). Sensitivities are defined for inputs that are not
negative. Where inputs have both signs, their positive and their negative parts are two such inputs to the same weights,
and the larger of a weight's two sensitivities bounds its share in both.

The theorem asks for draws in proportion to the total sensitivity if every output is to have the same error, so one
number, draws for a total of 1, sets them all. Its value for a wanted share has no closed form, and is found by
bisection on the expected number of kept weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from prunebook.coresets import Sensitivity, draws_for, expected_kept, sample_weights, sensitivities
from prunebook.networks.linear_layers import prunable_layers


@dataclass(frozen=True)
class Draw:
    """weights: by layer, zero where never drawn; draws: in all; expected, kept: weights that stay, in the mean and
    in this draw; target: what was wanted. ``reached`` is whether the expectation is within one in a hundred of it."""

    weights: dict[str, Float64[Tensor, "n_out n_in"]]
    draws: float
    expected: float
    kept: int
    target: float

    @property
    def reached(self) -> bool:
        return abs(self.expected / self.target - 1) <= 0.01


def signed_sensitivities(weight: Float[Tensor, "n_out n_in"], x: Float[Tensor, "points n_in"]) -> Sensitivity:
    """Sensitivities for inputs of both signs; those of ``prunebook.coresets`` where no input is negative."""
    values = sensitivities(weight, x.clamp(min=0)).values
    if (x < 0).any():
        values = torch.maximum(values, sensitivities(weight, (-x).clamp(min=0)).values)
    total = values.sum(2)
    return Sensitivity(values, total, values / torch.where(total > 0, total, 1.0)[..., None])


@torch.no_grad()
def network_sensitivities(model: nn.Sequential, x: Float[Tensor, "points n_in"]) -> dict[str, Sensitivity]:
    """Sensitivities of each linear layer on the inputs that it gets for ``x``."""
    linear, found = {id(layer): name for name, layer in prunable_layers(model).items()}, {}
    for module in model:
        if id(module) in linear:
            found[linear[id(module)]] = signed_sensitivities(module.weight, x)
        x = module(x)
    return found


def scores(found: Mapping[str, Sensitivity]) -> dict[str, Float64[Tensor, "n_out n_in"]]:
    """The sensitivity of each weight; it has one sign only."""
    return {name: sensitivity.values.sum(0) for name, sensitivity in found.items()}


def draw(
    weights: Mapping[str, Float[Tensor, "_ _"]], found: Mapping[str, Sensitivity], ratio: float, seed: tuple[int, ...]
) -> Draw:
    """The weights drawn once, with the number of draws whose expected share of kept weights is next to 1 - ratio.

    Every output and sign is drawn at least once, which sets an upper end to the ratio: see ``Draw.reached``.
    """
    target = (1 - ratio) * sum(weight.numel() for weight in weights.values())
    # Draws for a total sensitivity of 1: from one draw each to about all weights that can be drawn.
    ends = draws_for(lambda scale: torch.tensor(_expected(found, float(scale))), target, 1e-3, 1e15)
    scale = min((float(end) for end in ends), key=lambda value: abs(_expected(found, value) - target))
    made = {
        name: sample_weights(weight, found[name], _samples(found[name], scale), 1, (*seed, place))[0]
        for place, (name, weight) in enumerate(weights.items())
    }
    draws = float(sum(_samples(sensitivity, scale).sum() for sensitivity in found.values()))
    kept = int(sum((weight != 0).sum() for weight in made.values()))
    return Draw(made, draws, _expected(found, scale), kept, target)


def _samples(sensitivity: Sensitivity, scale: float) -> Float64[Tensor, "2 n_out"]:
    return (scale * sensitivity.total).ceil()


def _expected(found: Mapping[str, Sensitivity], scale: float) -> float:
    return float(sum(expected_kept(s.probabilities, _samples(s, scale)).sum() for s in found.values()))
