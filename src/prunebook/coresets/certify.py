"""What is guaranteed after pruning, by theorems on coresets and by held-out data, next to what is seen."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float64
from torch import Tensor, nn

from prunebook.coresets import neuron_bounds
from prunebook.coresets.arguments import Real, probability, real, require, whole
from prunebook.coresets.held_out import KeptLabels, counted, labels_kept
from prunebook.coresets.labels import additive_epsilon, correct, epsilon_to_keep, sign_split_epsilon
from prunebook.coresets.last_layer import Head, find_head
from prunebook.coresets.sampling import LIMIT, expected_kept, sample_neurons, sample_weights
from prunebook.coresets.sensitivity import mass, obeyed, sensitivities
from prunebook.coresets.weight_bounds import samples_for

Kind = Literal["weights", "neurons"]


@dataclass(frozen=True)
class Certificate:
    """Guarantees of a theorem and of statistics, and what was observed.

    The theorem is for one point at a time, with probability 1 - delta over the draws. held_out is for the network of
    the first draw, whatever the theorem says.


    epsilon: error that leaves the share `keep` of the correct labels as they are; relative to A = z+ + z- for
    weights, absolute for neurons. samples: draws for it, (2, classes) for each sign and class, or one number
    for neurons; stated: draws by the published neuron bound, None for weights. size: weights other than 0, or
    units; kept: mean number left. covered: share of evaluation points at which the guarantee's premise can be
    checked and holds: shares at most C s_j, or inputs inside the ball. Observed errors are of the same kind
    as epsilon, over draws, points and classes; they, `after` and `held_out` are None where the draws exceed 2^60.
    split: whether inputs of either sign were split in two, so that weights are counted twice (see `Head`).
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
    split: bool
    held_out: KeptLabels | None

    def __str__(self) -> str:
        low, high = float(self.samples.min()), float(self.samples.max())
        draws = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g} for each class and sign"
        unit = "of |z+| + |z-|" if self.kind == "weights" else "in the logits"
        lines = [
            f"layer {self.layer!r}, {self.kind}: {self.size} of them, {self.points} held-out points",
            f"guaranteed by the theorem: with probability {1 - self.delta:g} at each point where its premise holds, an "
            f"error below {self.epsilon:.4g} {unit}, as {self.keep:.0%} of the correct labels need",
            f"draws for it: {draws}",
        ]
        if self.split:
            lines.append("inputs of either sign are read as two, x = x+ - x-, and each weight counts twice")
        if self.stated is not None:
            lines.append(f"draws by the published bound: {self.stated:.4g}")
        lines.append(f"kept on average: {self.kept:.1f} ({self.kept / self.size if self.size else 0:.1%})")
        lines.append(f"the premise of the theorem holds at {self.covered:.1%} of the points")
        if self.held_out is not None:
            lines.append(f"guaranteed by statistics, for the first draw: {self.held_out.statistical}")
        if self.after is None:
            lines.append(f"not sampled: more than {LIMIT:.3g} draws")
        else:
            error = f"{self.observed_mean:.4g} on average, {self.observed_largest:.4g} at most"
            low, mean, high = min(self.after), sum(self.after) / len(self.after), max(self.after)
            span = f"{low:.4f} to {high:.4f} over {len(self.after)} draws"
            lines.append(f"seen: observed error {error}; correct labels kept {self.labels_kept:.1%}")
            lines.append(f"seen: accuracy {self.before:.4f} before, {mean:.4f} after ({span})")
        return "\n".join(lines)


def certify(
    model: nn.Module,
    loader: Any,
    *,
    after: nn.Module | None = None,
    confidence: Real = 0.95,
    keep: Real = 0.5,
    delta: Real = 0.1,
    layer: str | None = None,
    kind: Kind = "weights",
    points: int = 200,
    draws: int = 10,
    C: Real = 1.0,
    seed: int = 0,
) -> Certificate | KeptLabels:
    """What is guaranteed of the labels after pruning, by a theorem and by statistics, and what happened.

    With ``after``, a network pruned in any way, statistics alone: the share of the correct labels that it keeps on
    these held-out data, with the exact binomial bound of Clopper and Pearson (1934). That presumes that the data come
    from the distribution of the points to come, and served no choice, neither in training nor in pruning.

    Without it the last linear layer is pruned by sampling. A random half of the points gives the sensitivities or, for
    neurons, the radius of the ball, and the error allowed; the other half is held out. Weights follow SiPP (Baykal et
    al., 2019); neurons (Mussay et al., 2020) are drawn as often as Hoeffding's inequality asks. The model stays as it
    is.

    Parameters
    ----------
    model : nn.Module
        A classifier, one logit a class. Without ``after`` it ends in an nn.Linear whose inputs are vectors; inputs of
        either sign are split in two, which doubles the weights (see `Head`).
    loader : DataLoader, TensorDataset or list of batches (x, y)
        All forms that `Batches` takes, with class labels; at least two points.
    after : nn.Module, optional
        The same classifier after pruning.
    confidence : float
        With what probability the statistical bound is right, over the draw of the held-out points.
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
    Certificate, or KeptLabels with ``after``
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
    >>> kept = certify(model, torch.utils.data.TensorDataset(x, model(x).argmax(1)), after=model)
    >>> kept.kept, round(kept.at_least, 3)
    (100, 0.97)
    """
    require(kind in get_args(Kind), f"kind is {kind!r}: choose one of {get_args(Kind)}")
    for name, value in {"keep": keep, "delta": delta, "C": C, "confidence": confidence}.items():
        real(value, name)
    for name, value, least in (("points", points, 1), ("draws", draws, 1), ("seed", seed, 0)):
        whole(value, name, least)
    require(0 < keep <= 1, f"keep is {keep}: the share of correct labels to keep lies in (0, 1]")
    require(1 <= C < math.inf, f"C is {C}: give a number >= 1")
    for name, chance in (("delta", delta), ("1 - confidence", 1 - confidence)):
        probability(chance, name)
    if after is not None:
        return labels_kept(model, after, loader, confidence)
    head = find_head(model, loader, layer)
    require(len(head.inputs) >= 2, "one sample: give at least two, as half of them are held out")
    order = torch.randperm(len(head.inputs), generator=torch.Generator().manual_seed(seed))
    first, held = order.to(head.inputs.device).tensor_split([len(order) // 2])
    logits, right = _logits(head, held), correct(_logits(head, held), head.labels[held])
    if kind == "weights":
        promise = _weights(head, first, points, held, keep, delta, C)
    else:
        promise = _neurons(head, first, held, keep, delta)
    seen = dict.fromkeys(("after", "observed_mean", "observed_largest", "labels_kept", "held_out"))
    if float(promise.samples.max()) <= LIMIT:
        changes = head.inputs[held].double() @ promise.change(draws, seed).mT
        seen = _observed(logits, head.labels[held], changes, promise.scale, confidence)
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
        split=head.split,
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


def _weights(head: Head, first: Tensor, points: int, held: Tensor, keep: Real, delta: Real, C: Real) -> _Promise:
    weight, h, y = head.weight, head.inputs.double(), head.labels[first]
    sensitivity, logits = sensitivities(weight, head.inputs[first[:points]]), _logits(head, first)
    epsilon = epsilon_to_keep(sign_split_epsilon(logits, mass(weight, h[first]), y)[correct(logits, y)], keep)
    samples = samples_for(epsilon, sensitivity.total, failure=delta / (2 * len(weight)), C=C)
    return _Promise(
        epsilon=epsilon,
        samples=samples,
        stated=None,
        size=int((weight != 0).sum()),
        probabilities=sensitivity.probabilities,
        premise=obeyed(weight, h[held], C * sensitivity.values),
        scale=mass(weight, h[held]).sum(0),
        change=lambda draws, seed: sample_weights(weight, sensitivity, samples, draws, seed) - weight,
    )


def _neurons(head: Head, first: Tensor, held: Tensor, keep: Real, delta: Real) -> _Promise:
    lacking = f"the inputs of layer {head.name!r} are not the ReLU of an nn.Linear just before: neurons need both"
    require(head.hidden is not None, lacking)
    weight, y, logits = head.weight, head.labels[first], _logits(head, first)
    radius = neuron_bounds.query_radius(head.queries[first])
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
        scale=torch.ones_like(_logits(head, held)),
        change=lambda draws, seed: (sample_neurons(chance, float(samples), draws, seed)[:, None] - 1) * weight,
    )


def _logits(head: Head, points: Tensor) -> Tensor:
    return head.inputs[points].double() @ head.weight.T + head.bias


def _observed(logits: Tensor, labels: Tensor, changes: Tensor, scale: Tensor, confidence: Real) -> dict[str, Any]:
    """Accuracy for each draw, errors relative to the scale, and what became of the correct labels."""
    errors = changes.abs() / torch.where(scale > 0, scale, torch.inf)
    flat = (logits + changes).flatten(0, 1)
    right, was = correct(flat, labels.repeat(len(changes))).view(len(changes), -1), correct(logits, labels)
    counts = (len(was), int(was.sum()), int((was & right[0]).sum()), int((~was & right[0]).sum()))
    return {
        "after": tuple(right.double().mean(1).tolist()),
        "observed_mean": float(errors.mean()),
        "observed_largest": float(errors.max()),
        "labels_kept": float(right[:, was].double().mean()),
        "held_out": counted(*counts, confidence),
    }
