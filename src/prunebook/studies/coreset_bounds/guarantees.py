"""Coresets of the last layer: from the labels to keep to the draws, and from the draws to the guarantee.

Kinds: "neurons" draws hidden units (Mussay et al.); "weights" draws weights by sensitivity with errors relative to
the mass of each sign (SiPP, what its guarantee really says); "weights, ratio" reads the error as relative to the
logit; "weights, CoreNet" goes by way of CoreNet's cancellation factor.
"""

import math
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from prunebook import coresets
from prunebook.coresets import corenet
from prunebook.coresets.labels import deterministic_consistent, epsilon_to_keep, ratio_epsilon, sign_split_epsilon
from prunebook.coresets.neuron_bounds import neuron_epsilon, neuron_samples
from prunebook.coresets.sampling import LIMIT, hybrid, keep_largest
from prunebook.coresets.sensitivity import parts
from prunebook.coresets.tightness import neuron_waterfall, weight_waterfall
from prunebook.coresets.weight_bounds import dropped
from prunebook.studies.coreset_bounds.config import LastLayer
from prunebook.studies.coreset_bounds.network import Anatomy

KINDS = ("neurons", "weights", "weights, ratio", "weights, CoreNet")
CUT = 1_000_000  # draws above which the paper stopped computing


@dataclass(frozen=True)
class Prepared:
    """Sensitivities and error tolerances of one network, made once."""

    net: Anatomy
    config: LastLayer
    weights: coresets.Sensitivity
    neurons: coresets.NeuronSensitivity
    epsilons: dict[str, Float64[Tensor, " m"]]
    cancellation: float

    @property
    def failure(self) -> float:
        """Its probability for one class and sign."""
        return self.config.delta / self.weights.total.numel()

    @property
    def dimension(self) -> int:
        """Assumed VC dimension: length of a query with a 1 appended."""
        return self.net.w_in.shape[1] + 1

    def tolerance(self, kind: str, share: float) -> float:
        """The error that leaves a share of the correct labels alone."""
        name = {"neurons": "additive", "weights": "sign split"}.get(kind, "ratio")
        return epsilon_to_keep(self.epsilons[name][self.net.correct], share)

    def samples(self, kind: str, epsilon: float) -> Float64[Tensor, "..."]:
        """Draws that the theorem asks for: of units in all, or of weights for each sign and class."""
        if kind == "neurons":
            return neuron_samples(epsilon, self.neurons.total, self.dimension, self.config.delta)
        if kind == "weights, CoreNet":
            inside = corenet.corenet_layer_epsilons(min(epsilon, 0.999), [self.cancellation])[0]
            constants = corenet.corenet_constants(self.config.widths, self.config.delta)
            return corenet.corenet_samples(inside, self.weights.total, constants)
        return coresets.samples_for(epsilon, self.weights.total, failure=self.failure)


def make_ready(net: Anatomy, config: LastLayer) -> Prepared:
    """Sensitivities from the training sample, tolerances on the held-out points."""
    weights = coresets.sensitivities(net.w_out, net.sample)
    neurons = coresets.neuron_sensitivities(net.w_out, net.w_in, net.b_in, net.radius)
    epsilons = {
        "additive": net.tolerance,
        "ratio": ratio_epsilon(net.logits, net.labels),
        "sign split": sign_split_epsilon(net.logits, net.mass, net.labels),
    }
    kappa = corenet.corenet_constants(config.widths, config.delta).kappa
    return Prepared(net, config, weights, neurons, epsilons, corenet.corenet_delta(net.w_out, net.sample, kappa))


def unit_statistics(net: Anatomy, sampled: Float64[Tensor, "draws classes n"], epsilon: float, kind: str) -> dict:
    """Errors and labels of pruned last layers. ``observed`` is in the unit of the kind's epsilon.

    ``exceeded`` is the share of (draw, point, class) beyond epsilon, ``failed`` the share of draws with any such.
    ``below`` and ``broken`` count the (draw, point) pairs with all errors strictly inside the point's own additive
    tolerance, and those of them whose label changed all the same: there must be none.
    """
    change = ((sampled - net.w_out) @ net.hidden.T).transpose(1, 2)  # (draws, m, classes)
    error, mass = change.abs(), net.mass.sum(0)
    relative = {"neurons": torch.ones_like(mass), "weights": mass}.get(kind, net.logits.abs())
    unit = error / torch.where(relative > 0, relative, torch.inf)
    labels = (net.logits + change).argmax(dim=2)
    same = labels == net.labels
    inside = (error.amax(dim=2) < net.tolerance) & net.correct
    return {
        "observed": float(unit.mean()),
        "observed_sd": float(unit.std()),
        "observed_median": float(unit.median()),
        "observed_max": float(unit.amax()),
        "error": float(error.mean()),
        "error_sd": float(error.std()),
        "l1": float(error.sum(dim=2).mean()),
        "over_mass": float((error / torch.where(mass > 0, mass, torch.inf)).mean()),
        "over_logit": float((error / net.logits.abs()).median()),
        "accuracy": float(same.double().mean()),
        "labels_kept": float(same[:, net.correct].double().mean()),
        "exceeded": float((unit > epsilon).double().mean()),
        "failed": float((unit > epsilon).flatten(1).any(dim=1).double().mean()),
        "below": int(inside.sum()),
        "broken": int((inside & ~same).sum()),
    }


def draw(ready: Prepared, kind: str, samples: Tensor, seed) -> Float64[Tensor, "draws classes n"]:
    """Sampled last layers."""
    net, draws = ready.net, ready.config.draws
    if kind == "neurons":
        factors = coresets.sample_neurons(ready.neurons.probabilities, float(samples), draws, seed)
        return net.w_out * factors[:, None]
    return coresets.sample_weights(net.w_out, ready.weights, samples, draws, seed)


def kept(sampled: Tensor, kind: str) -> Float64[Tensor, " draws"]:
    """Number of units, or of weights, left in each draw."""
    alive = sampled != 0
    return (alive.any(dim=1).sum(dim=1) if kind == "neurons" else alive.sum(dim=(1, 2))).double()


def size(net: Anatomy, kind: str) -> int:
    """Units of the last hidden layer, or weights of the last layer."""
    return net.w_out.shape[1] if kind == "neurons" else net.w_out.numel()


def epsilon_first(ready: Prepared, seed: int) -> pd.DataFrame:
    """From the share of labels to keep to the error allowed, the draws needed, what they leave and what is seen."""
    rows = []
    for kind_number, kind in enumerate(KINDS):
        units = size(ready.net, kind)
        for number, share in enumerate(ready.config.shares):
            epsilon = ready.tolerance(kind, share)
            samples = ready.samples(kind, epsilon)
            row = {"kind": kind, "share": share, "epsilon": epsilon, "samples": float(samples.sum()), "size": units}
            if float(samples.max()) <= LIMIT:
                sampled = draw(ready, kind, samples, (seed, kind_number, number))
                row |= unit_statistics(ready.net, sampled, epsilon, kind)
                row["kept"] = float(kept(sampled, kind).mean())
                row["sparsity"] = 1 - row["kept"] / units
            rows.append({**row, "beyond_cut": row["samples"] > CUT})
    return pd.DataFrame(rows)


def draws_for(probabilities: Float64[Tensor, "*rows n"], kept: Float64[Tensor, "*rows"]) -> Float64[Tensor, "*rows"]:
    """Fewest draws that are expected to keep so many items; ten million where zero probabilities forbid it."""
    return coresets.draws_for(lambda m: coresets.expected_kept(probabilities, m), kept, 1, 1e7)[1].ceil()


def sparsity_first(ready: Prepared, seed: int) -> pd.DataFrame:
    """From a pruning ratio to what is guaranteed and what is seen, for three ways with weights and one with units."""
    net, config, rows = ready.net, ready.config, []
    for number, ratio in enumerate(config.ratios):
        fewer, m, m_units = wanted(ready, ratio)
        certain = keep_largest(net.w_out, ready.weights, fewer)
        mixed = hybrid(net.w_out, ready.weights, fewer, config.draws, (seed, 11, number), failure=ready.failure)
        likely = coresets.epsilon_for(m, ready.weights.total, failure=ready.failure)
        of_units = neuron_epsilon(m_units, ready.neurons.total, ready.dimension, config.delta)
        ways = {  # pruned layers, draws, error that is guaranteed
            "sampling": (draw(ready, "weights", m, (seed, 10, number)), m, likely),
            "deterministic": ((net.w_out * certain)[None], fewer, dropped(ready.weights, certain)),
            "hybrid": (mixed.weights, fewer, mixed.bound),
            "neurons": (draw(ready, "neurons", m_units, (seed, 12, number)), m_units, of_units),
        }
        for way, (sampled, draws, bound) in ways.items():
            kind = "neurons" if way == "neurons" else "weights"
            row = {
                "way": way,
                "ratio": ratio,
                "sparsity": 1 - float(kept(sampled, kind).mean()) / size(net, kind),
                "samples": float(draws.sum()),
                "epsilon": float(bound.max()),
                "epsilon_median": float(bound.median()),
                "implied_accuracy": float((_safe(ready, way, bound) & net.correct).double().mean()),
            }
            rows.append(row | unit_statistics(net, sampled, row["epsilon"], kind))
    return pd.DataFrame(rows)


def wanted(ready: Prepared, ratio: float) -> tuple[Tensor, Tensor, Tensor]:
    """Weights to keep of each sign and class, draws that are expected to, and draws of units for the same ratio."""
    members = (parts(ready.net.w_out) > 0).sum(dim=2).double()  # (2, classes)
    fewer = (members * (1 - ratio)).round().clamp(min=1).minimum(members)
    units = torch.tensor(max(1.0, round(size(ready.net, "neurons") * (1 - ratio)))).double()
    return fewer, draws_for(ready.weights.probabilities, fewer), draws_for(ready.neurons.probabilities, units)


def _safe(ready: Prepared, way: str, bound: Tensor) -> Bool[Tensor, " m"]:
    """Points that keep their label by the guarantee, if it is the right one."""
    if way == "neurons":
        return ready.epsilons["additive"] > bound
    sided = deterministic_consistent if way == "deterministic" else two_sided_consistent
    return sided(ready.net.logits, ready.net.mass, bound, ready.net.labels)


def two_sided_consistent(logits, mass, errors, labels):
    """Points whose correct label survives errors of both directions within ``errors`` (2, classes) of each sign's
    mass."""
    slack = (errors[:, None] * mass).sum(dim=0)
    own = (logits - slack).gather(1, labels[:, None])[:, 0]
    others = (logits + slack).scatter(1, labels[:, None], -math.inf)
    return own > others.amax(dim=1)


def margins(ready: Prepared) -> pd.DataFrame:
    """Error that each share of the correct labels tolerates, in the three units."""
    return pd.DataFrame(
        {"unit": unit, "share": share, "epsilon": epsilon_to_keep(values[ready.net.correct], share)}
        for unit, values in ready.epsilons.items()
        for share in [0.001, 0.01, *(i / 50 for i in range(1, 51))]
    )


def example(ready: Prepared) -> pd.DataFrame:
    """Logits of the correctly classified held-out point whose tolerance is the median one."""
    tolerance = torch.where(ready.net.correct, ready.epsilons["additive"], math.inf)
    point = int((tolerance - ready.tolerance("neurons", 0.5)).abs().argmin())
    logits, label = ready.net.logits[point].tolist(), int(ready.net.labels[point])
    table = pd.DataFrame({"class": range(len(logits)), "logit": logits})
    return table.assign(label=label, epsilon=float(tolerance[point]))


def waterfall(ready: Prepared, seed: int) -> pd.DataFrame:
    """The bound at the draws that half of the labels ask for, with one factor after the other measured."""
    net, config = ready.net, ready.config
    of_units, of_weights = (ready.samples(kind, ready.tolerance(kind, 0.5)) for kind in ("neurons", "weights"))
    by = {"delta": config.delta, "draws": max(20 * config.draws, math.ceil(1 / config.delta))}
    units = (net.w_out, ready.neurons, net.hidden, float(of_units))
    steps = {
        "neurons": neuron_waterfall(*units, dimension=ready.dimension, seed=(seed, 20), **by),
        "weights": weight_waterfall(net.w_out, ready.weights, net.hidden, of_weights, seed=(seed, 21), **by),
    }
    return pd.DataFrame(
        {"kind": kind, "order": order, **step._asdict()}
        for kind, found in steps.items()
        for order, step in enumerate(found)
    )
