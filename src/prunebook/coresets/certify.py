"""What coreset pruning of the last layer guarantees for a network of one's own, next to what it does."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float64
from torch import Tensor, nn

from prunebook.coresets import neuron_bounds
from prunebook.coresets.arguments import Real, probability, real, require, whole
from prunebook.coresets.labels import additive_epsilon, correct, epsilon_to_keep, sign_split_epsilon
from prunebook.coresets.last_layer import Head, find_head
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
            lines.append(f"observed error: {self.observed_mean:.4g} on average, {self.observed_largest:.4g} at most")
            lines.append(f"correct labels kept: {self.labels_kept:.1%}")
            low, mean, high = min(self.after), sum(self.after) / len(self.after), max(self.after)
            span = f"{low:.4f} to {high:.4f} over {len(self.after)} draws"
            lines.append(f"accuracy: {self.before:.4f} before, {mean:.4f} after ({span})")
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

    A random half of the points gives the sensitivities or, for neurons, the radius of the ball; the other half is
    evaluated. Weights follow SiPP (Baykal et al., 2019); neurons (Mussay et al., 2020) are drawn as often as
    Hoeffding's inequality asks. The model stays as it is.

    Parameters
    ----------
    model : nn.Module
        A classifier that ends in an nn.Linear whose inputs are vectors and not negative, as after a ReLU.
    loader : DataLoader, TensorDataset or list of batches (x, y)
        All forms that `Batches` takes, with class labels; at least two points.
    keep : float
        Share of the correct labels that must stay, in (0, 1].
    delta : float
        Probability of failure at one point, shared by the classes and, for weights, by the signs.
    layer : str, optional
        Name of the layer; by default the nn.Linear that is called last.
    kind : {"weights", "neurons"}
        What is drawn. Neurons need an nn.Linear with a ReLU just before the layer.
    points : int
        Points that the sensitivities of weights are taken from, at most half of all.
    draws : int
        How often the layer is sampled.
    C : float
        Shares of other points are taken to be at most C times those of the sample; at least 1.
    seed : int
        Of the split and of the draws.

    Returns
    -------
    Certificate
        Printed, a report of a few lines.

    Raises
    ------
    InputError
        For arguments out of range, a model without such a layer, data without labels, and where no evaluated point is
        classified correctly.

    Examples
    --------
    >>> import torch
    >>> from prunebook.coresets import certify
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> x = torch.randn(100, 4)
    >>> found = certify(model, torch.utils.data.TensorDataset(x, model(x).argmax(1)), keep=0.9)
    >>> found.layer, found.points, found.before
    ('2', 50, 1.0)
    """
    require(kind in get_args(Kind), f"kind is {kind!r}: choose one of {get_args(Kind)}")
    for name, value in (("keep", keep), ("delta", delta), ("C", C)):
        real(value, name)
    for name, value, least in (("points", points, 1), ("draws", draws, 1), ("seed", seed, 0)):
        whole(value, name, least)
    require(0 < keep <= 1, f"keep is {keep}: the share of correct labels to keep lies in (0, 1]")
    require(1 <= C < math.inf, f"C is {C}: give a number >= 1")
    probability(delta, "delta")
    head = find_head(model, loader, layer)
    require(len(head.inputs) >= 2, "one sample: give at least two, as half of them are held out")
    order = torch.randperm(len(head.inputs), generator=torch.Generator().manual_seed(seed))
    first, held = order.to(head.inputs.device).tensor_split([len(order) // 2])
    logits, right = _logits(head, held), correct(_logits(head, held), head.labels[held])
    if kind == "weights":
        promise = _weights(head, first[:points], held, logits, keep, delta, C)
    else:
        promise = _neurons(head, first, held, logits, keep, delta)
    seen = dict.fromkeys(("after", "observed_mean", "observed_largest", "labels_kept"))
    if float(promise.samples.max()) <= LIMIT:
        changes = head.inputs[held].double() @ promise.change(draws, seed).mT
        seen = _observed(logits, head.labels[held], changes, promise.scale)
    return Certificate(
        kind=kind,
        layer=head.name,
        points=len(held),
        keep=keep,
        delta=delta,
        epsilon=promise.epsilon,
        samples=promise.samples,
        stated=promise.stated,
        size=promise.size,
        kept=float(expected_kept(promise.probabilities, promise.samples).sum()),
        covered=float(promise.premise.double().mean()),
        before=float(right.double().mean()),
        **seen,
    )


@dataclass(frozen=True)
class _Promise:
    """What the theorem says of one kind. premise: points where it applies; scale: what errors are relative to; change:
    from draws and seed to the change of the layer's weights (draws, classes, n)."""

    epsilon: float
    samples: Float64[Tensor, "..."]
    stated: float | None
    size: int
    probabilities: Float64[Tensor, "..."]
    premise: Bool[Tensor, " points"]
    scale: Float64[Tensor, "points classes"]
    change: Callable[[int, int], Float64[Tensor, "draws classes n"]]


def _weights(head: Head, sample: Tensor, held: Tensor, logits: Tensor, keep: Real, delta: Real, C: Real) -> _Promise:
    weight, h, y = head.layer.weight.detach().double(), head.inputs[held].double(), head.labels[held]
    masses, sensitivity = mass(weight, h), sensitivities(weight, head.inputs[sample])
    epsilon = epsilon_to_keep(sign_split_epsilon(logits, masses, y)[correct(logits, y)], keep)
    samples = samples_for(epsilon, sensitivity.total, failure=delta / (2 * len(weight)), C=C)
    return _Promise(
        epsilon=epsilon,
        samples=samples,
        stated=None,
        size=int((weight != 0).sum()),
        probabilities=sensitivity.probabilities,
        premise=obeyed(weight, h, C * sensitivity.values),
        scale=masses.sum(0),
        change=lambda draws, seed: sample_weights(weight, sensitivity, samples, draws, seed) - weight,
    )


def _neurons(head: Head, sample: Tensor, held: Tensor, logits: Tensor, keep: Real, delta: Real) -> _Promise:
    lacking = f"the inputs of layer {head.name!r} are not the ReLU of an nn.Linear just before: neurons need both"
    require(head.hidden is not None, lacking)
    weight, y = head.layer.weight.detach().double(), head.labels[held]
    radius = neuron_bounds.query_radius(head.queries[sample])
    w_in, b_in = head.hidden.weight.detach(), head.hidden.bias
    b_in = w_in.new_zeros(len(w_in)) if b_in is None else b_in.detach()
    sensitivity = neuron_bounds.neuron_sensitivities(weight, w_in, b_in, radius)
    chance = sensitivity.probabilities
    epsilon = epsilon_to_keep(additive_epsilon(logits, y)[correct(logits, y)], keep)
    samples = neuron_bounds.neuron_samples_hoeffding(epsilon, sensitivity.total, failure=delta / len(weight))
    return _Promise(
        epsilon=epsilon,
        samples=samples,
        stated=float(neuron_bounds.neuron_samples(epsilon, sensitivity.total, w_in.shape[1] + 1, delta)),
        size=weight.shape[1],
        probabilities=chance,
        premise=head.queries[held].double().square().sum(1) + 1 <= radius**2,
        scale=torch.ones_like(logits),
        change=lambda draws, seed: (sample_neurons(chance, float(samples), draws, seed)[:, None] - 1) * weight,
    )


def _logits(head: Head, points: Tensor) -> Tensor:
    h, bias = head.inputs[points].double(), head.layer.bias
    return h @ head.layer.weight.detach().double().T + (0 if bias is None else bias.detach().double())


def _observed(logits: Tensor, labels: Tensor, changes: Tensor, scale: Tensor) -> dict[str, Any]:
    """Accuracy for each draw, errors relative to the scale, and the share of correct labels that stayed."""
    errors = changes.abs() / torch.where(scale > 0, scale, torch.inf)
    flat = (logits + changes).flatten(0, 1)
    right = correct(flat, labels.repeat(len(changes))).view(len(changes), -1)
    return {
        "after": tuple(right.double().mean(1).tolist()),
        "observed_mean": float(errors.mean()),
        "observed_largest": float(errors.max()),
        "labels_kept": float(right[:, correct(logits, labels)].double().mean()),
    }
