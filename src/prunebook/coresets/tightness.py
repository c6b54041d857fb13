"""Which factor of a bound is loose: its error at a number of draws, with one factor after the other measured.

Each waterfall starts from the bound and ends at what a typical input sees, at the same draws throughout. Every
step replaces one thing and keeps what was replaced before. Values need not fall: a bound that is too small shows
as a step upwards.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from prunebook.coresets import deviations
from prunebook.coresets.arguments import Activations, Number, Real, Weight, layer_inputs, probability, rank, require
from prunebook.coresets.neuron_bounds import NeuronSensitivity, neuron_epsilon, neuron_epsilon_hoeffding
from prunebook.coresets.sampling import Seed, sample_neurons, sample_weights
from prunebook.coresets.sensitivity import Sensitivity
from prunebook.coresets.weight_bounds import epsilon_for


class Step(NamedTuple):
    """name; epsilon: the error at this step; replaced: what was put in place of what, for the reader."""

    name: str
    epsilon: float
    replaced: str


def weight_waterfall(
    weight: Weight,
    sensitivity: Sensitivity,
    activations: Activations,
    samples: Number,
    *,
    delta: Real,
    draws: int = 1000,
    seed: Seed = 0,
) -> list[Step]:
    """Relative error of sampled weights, from the bound for all outputs, signs and points to a typical point.

    `activations` are the points where errors are measured, others than those of the sensitivities. Errors are
    relative to z+ and z- where signs are apart, and to A = z+ + z- where they are together. Weights that cannot
    be drawn but matter at a point enter the exact steps as bias. `draws` are those of the Monte-Carlo steps.
    """
    _check(delta, draws)
    weight, activations = layer_inputs(weight, activations)
    signs = deviations.of_weights(weight, sensitivity, activations, samples)
    both = deviations.together(signs)
    events = signs.scale.numel()

    def stated(failure: Real) -> float:
        return float(epsilon_for(samples, sensitivity.total, failure=failure).max())

    sampled = sample_weights(weight, sensitivity, samples, draws, seed)
    error = quantiles(sampled - weight, activations, delta) / torch.where(both.scale > 0, both.scale, torch.inf)
    return [
        Step("bound, all at once", stated(delta / events), f"nothing: holds at all {events} events together"),
        Step("one event", stated(delta), "the union over points, outputs and signs, by one of them"),
        Step("exact variance", float(signs.bernstein(delta).max()), "C * total, by variance and range at each point"),
        Step("Gaussian", float(signs.gaussian(delta).max()), "Bernstein's tail, by a normal one"),
        Step("both signs", float(both.gaussian(delta).max()), "the worse sign, by their sum relative to A"),
        Step("Monte Carlo", float(error.max()), f"the normal quantile, by that of {draws} draws"),
        Step("typical point", typical(error), "the worst point, by the median one"),
    ]


def neuron_waterfall(
    w_out: Weight,
    sensitivity: NeuronSensitivity,
    hidden: Activations,
    samples: Real,
    *,
    dimension: Real,
    delta: Real,
    c: Real = 1.0,
    draws: int = 1000,
    seed: Seed = 0,
) -> list[Step]:
    """Absolute error of sampled units, from the stated bound for the whole ball to a typical point.

    `hidden` are the units' activations at the points where errors are measured.
    """
    _check(delta, draws)
    w_out, hidden = w_out.detach().double(), hidden.detach().double()
    pairs = hidden.shape[0] * w_out.shape[0]
    exact = deviations.of_neurons(w_out, hidden, sensitivity.probabilities, samples)
    factors = sample_neurons(sensitivity.probabilities, samples, draws, seed)
    error = quantiles((factors[:, None] - 1) * w_out, hidden, delta)
    total = sensitivity.total

    def hoeffding(failure: Real) -> float:
        return float(neuron_epsilon_hoeffding(samples, total, failure=failure))

    return [
        Step("bound as stated", float(neuron_epsilon(samples, total, dimension, delta, c)), "nothing: the ball"),
        Step("all points", hoeffding(delta / pairs), f"the ball, by the {pairs} pairs of point and output"),
        Step("one pair", hoeffding(delta), "the union over pairs, by one of them"),
        Step("exact variance", float(exact.bernstein(delta).max()), "the range t, by variance and range at each point"),
        Step("Gaussian", float(exact.gaussian(delta).max()), "Bernstein's tail, by a normal one"),
        Step("Monte Carlo", float(error.max()), f"the normal quantile, by that of {draws} draws"),
        Step("typical point", typical(error), "the worst point, by the median one"),
    ]


def quantiles(
    changes: Float64[Tensor, "draws n_out n_in"], activations: Activations, delta: Real
) -> Float64[Tensor, "points n_out"]:
    """The (1 - delta) quantile over draws of |change of the output|: the smallest error that enough draws obey."""
    place = rank(1 - delta, len(changes))
    step = max(1, deviations.ELEMENTS // (changes.shape[0] * changes.shape[1]))
    return torch.cat([(changes @ part.T).abs().kthvalue(place, dim=0).values.T for part in activations.split(step)])


def typical(errors: Float64[Tensor, "points n_out"]) -> float:
    """The median over points of the largest over outputs."""
    return float(errors.amax(1).quantile(0.5))


def _check(delta: Real, draws: int) -> None:
    probability(delta, "delta")
    require(draws >= math.ceil(1 / delta), f"{draws} draws have no {1 - delta:g} quantile: ask for {1 / delta:.0f}")
