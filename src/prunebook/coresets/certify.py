"""What coreset pruning of the last layer guarantees for a network of one's own, next to what it does."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from prunebook.coresets.arguments import Real, probability, require
from prunebook.coresets.labels import additive_epsilon, correct, epsilon_to_keep, sign_split_epsilon
from prunebook.coresets.last_layer import Head, find_head
from prunebook.coresets.neuron_bounds import (
    neuron_samples,
    neuron_samples_hoeffding,
    neuron_sensitivities,
    query_radius,
)
from prunebook.coresets.sampling import LIMIT, expected_kept, sample_neurons, sample_weights
from prunebook.coresets.sensitivity import mass, obeyed, sensitivities
from prunebook.coresets.weight_bounds import samples_for

Kind = Literal["weights", "neurons"]


@dataclass(frozen=True)
class Certificate:
    """A guarantee for one point at a time, with probability 1 - delta over the draws, and what was observed.

    epsilon: error that leaves the share `keep` of the correct labels as they are; relative to A = z+ + z- for
    weights, absolute for neurons. samples: draws for it, (2, classes) for each sign and class, or one number
    for neurons; stated: draws by the published neuron bound, None for weights. size: weights other than 0, or
    units; kept: mean number left. covered: share of evaluation points at which the guarantee's premise can be
    checked and holds: shares at most C s_j, or inputs inside the ball. Observed errors are of the same kind
    as epsilon, over draws, points and classes; they and `after` are None where the draws exceed 2^60.
    """

    kind: str
    layer: str
    points: int
    keep: Real
    delta: float
    epsilon: float
    samples: Float64[Tensor, "..."]
    stated: float | None
    size: int
    kept: float
    covered: float
    before: float
    after: tuple[float, ...] | None
    observed_mean: float | None
    observed_largest: float | None
    labels_kept: float | None

    def __str__(self) -> str:
        low, high = float(self.samples.min()), float(self.samples.max())
        draws = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g} for each class and sign"
        unit = "of |z+| + |z-|" if self.kind == "weights" else "in the logits"
        lines = [
            f"layer {self.layer!r}, {self.kind}: {self.size} of them, {self.points} held-out points",
            f"to keep {self.keep:.0%} of the correct labels: error below {self.epsilon:.4g} {unit}",
            f"draws for it, at each point with probability {1 - self.delta:g}: {draws}",
        ]
        if self.stated is not None:
            lines.append(f"draws by the published bound: {self.stated:.4g}")
        lines.append(f"kept on average: {self.kept:.1f} ({self.kept / self.size if self.size else 0:.1%})")
        lines.append(f"the premise of the guarantee holds at {self.covered:.1%} of the points")
        if self.after is None:
            lines.append(f"not sampled: more than {LIMIT:.3g} draws")
        else:
            lines.append(
                f"observed error: {self.observed_mean:.4g} on average, {self.observed_largest:.4g} at most"
            )
            lines.append(f"correct labels kept: {self.labels_kept:.1%}")
            mean = sum(self.after) / len(self.after)
            lines.append(
                f"accuracy: {self.before:.4f} before, {mean:.4f} after ({min(self.after):.4f} to "
                f"{max(self.after):.4f} over {len(self.after)} draws)"
            )
        return "\n".join(lines)


def certify(
    model: nn.Module,
    loader: Any,
    *,
    keep: Real = 0.5,
    delta: Real = 0.1,
    layer: str | None = None,
    kind: Kind = "weights",
    points: int = 200,
    draws: int = 10,
    C: Real = 1.0,
    seed: int = 0,
) -> Certificate:
    """Prunes the last linear layer by sampling and says what was guaranteed, and what happened.

    `loader` has the forms that `Batches` takes, with class labels, at least two points. A random half gives
    the sample for sensitivities (`points` of it at most) or, for neurons, the radius of the ball; the other
    half is evaluated. delta is shared by the classes, and for weights by the signs, of one point. Weights
    follow SiPP, with the constant C; neurons are drawn as often as Hoeffding's inequality asks. The model is
    not changed. Raises InputError where there is no such layer (see `find_head`), for neurons where the layer
    before is not an nn.Linear with a ReLU, and where no evaluated point is classified correctly.
    """
    require(kind in get_args(Kind), f"kind is {kind!r}: choose one of {get_args(Kind)}")
    require(0 < keep <= 1, f"keep is {keep}: the share of correct labels to keep lies in (0, 1]")
    require(points >= 1 and draws >= 1, f"points {points} and draws {draws} must be at least 1")
    probability(delta, "delta")
    head = find_head(model, loader, layer)
    require(len(head.inputs) >= 2, "one sample: give at least two, as half of them are held out")
    order = torch.randperm(len(head.inputs), generator=torch.Generator().manual_seed(seed)).to(
        head.inputs.device
    )
    first, held = order[: len(order) // 2], order[len(order) // 2 :]
    certified = _weights if kind == "weights" else _neurons
    return certified(head, first[:points] if kind == "weights" else first, held, keep, delta, draws, C, seed)


def _weights(
    head: Head, sample: Tensor, held: Tensor, keep: Real, delta: Real, draws: int, C: Real, seed: int
) -> Certificate:
    weight, h, y = head.layer.weight.detach().double(), head.inputs[held].double(), head.labels[held]
    logits, masses = _logits(head, h), mass(weight, h)
    sensitivity = sensitivities(weight, head.inputs[sample])
    right = correct(logits, y)
    epsilon = epsilon_to_keep(sign_split_epsilon(logits, masses, y)[right], keep)
    samples = samples_for(epsilon, sensitivity.total, failure=delta / (2 * len(weight)), C=C)
    premise = obeyed(weight, h, C * sensitivity.values)
    changes = None
    if float(samples.max()) <= LIMIT:
        pruned = sample_weights(weight, sensitivity, samples, draws, seed)
        changes = h @ (pruned - weight).mT
    return Certificate(
        kind="weights",
        layer=head.name,
        points=len(held),
        keep=keep,
        delta=delta,
        epsilon=epsilon,
        samples=samples,
        stated=None,
        size=int((weight != 0).sum()),
        kept=float(expected_kept(sensitivity.probabilities, samples).sum()),
        covered=float(premise.double().mean()),
        before=float(right.double().mean()),
        **_observed(logits, y, changes, masses.sum(0)),
    )


def _neurons(
    head: Head, sample: Tensor, held: Tensor, keep: Real, delta: Real, draws: int, C: Real, seed: int
) -> Certificate:
    require(
        head.hidden is not None,
        f"the inputs of layer {head.name!r} are not the ReLU of an nn.Linear just before: neurons need both",
    )
    weight, h, y = head.layer.weight.detach().double(), head.inputs[held].double(), head.labels[held]
    logits = _logits(head, h)
    radius = query_radius(head.queries[sample])
    w_in, b_in = head.hidden.weight.detach(), head.hidden.bias
    b_in = w_in.new_zeros(len(w_in)) if b_in is None else b_in.detach()
    sensitivity = neuron_sensitivities(weight, w_in, b_in, radius)
    right = correct(logits, y)
    epsilon = epsilon_to_keep(additive_epsilon(logits, y)[right], keep)
    samples = neuron_samples_hoeffding(epsilon, sensitivity.total, failure=delta / len(weight))
    stated = neuron_samples(epsilon, sensitivity.total, w_in.shape[1] + 1, delta)
    inside = head.queries[held].double().square().sum(1) + 1 <= radius**2
    changes = None
    if float(samples) <= LIMIT:
        factors = sample_neurons(sensitivity.probabilities, float(samples), draws, seed)
        changes = h @ ((factors[:, None] - 1) * weight).mT
    return Certificate(
        kind="neurons",
        layer=head.name,
        points=len(held),
        keep=keep,
        delta=delta,
        epsilon=epsilon,
        samples=samples,
        stated=float(stated),
        size=weight.shape[1],
        kept=float(expected_kept(sensitivity.probabilities, samples)),
        covered=float(inside.double().mean()),
        before=float(right.double().mean()),
        **_observed(logits, y, changes, torch.ones_like(logits)),
    )


def _logits(head: Head, h: Tensor) -> Tensor:
    bias = head.layer.bias
    return h @ head.layer.weight.detach().double().T + (0 if bias is None else bias.detach().double())


def _observed(logits: Tensor, labels: Tensor, changes: Tensor | None, scale: Tensor) -> dict[str, Any]:
    """Accuracy for each draw, errors relative to the scale, and the share of correct labels that stayed."""
    if changes is None:
        return dict.fromkeys(("after", "observed_mean", "observed_largest", "labels_kept"))
    errors = changes.abs() / torch.where(scale > 0, scale, torch.inf)
    flat = (logits + changes).flatten(0, 1)
    right = correct(flat, labels.repeat(len(changes))).view(len(changes), -1)
    return {
        "after": tuple(right.double().mean(1).tolist()),
        "observed_mean": float(errors.mean()),
        "observed_largest": float(errors.max()),
        "labels_kept": float(right[:, correct(logits, labels)].double().mean()),
    }
