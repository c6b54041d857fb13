"""Methods by name, a criterion, a compensation and a scope each, and pruning by one of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from prunebook.errors import InputError
from prunebook.networks.evaluating import as_written, evaluating, private_copy
from prunebook.weights import joint  # noqa: F401  files the joint compensation
from prunebook.weights.calibration import Calibration
from prunebook.weights.compensations import COMPENSATIONS, Change
from prunebook.weights.criteria import CRITERIA
from prunebook.weights.masks import Scope, apply, check_ratio, check_scope, select, sparsity


@dataclass(frozen=True)
class Method:
    """One way of pruning weights.

    name: what `prune` takes; label: the name in figures; criterion, compensation: names in CRITERIA and COMPENSATIONS;
    scope: whether all weights of the "network" are compared, of a "layer", or of a "row"; needs_loss: whether the
    criterion uses the loss, so that `prune` can ask for it before any work; from_paper: compared in Ballini et al.,
    arXiv 2602.20467, not added by this study.
    """

    name: str
    label: str
    criterion: str
    compensation: str = "none"
    scope: Scope = "network"
    needs_loss: bool = False
    from_paper: bool = False


METHODS: dict[str, Method] = {}


def register(method: Method) -> Method:
    """Add a method to METHODS, for `prune` to take by its name.

    Raises InputError where the name is taken, or the criterion, compensation or scope is unknown.

    Examples
    --------
    >>> import torch
    >>> from prunebook.weights import CRITERIA, METHODS, Method, criterion, prune, register
    >>> @criterion("largest")
    ... def largest(calibration):
    ...     return {name: -weight.abs() for name, weight in calibration.weights.items()}
    >>> method = register(Method("largest-first", "Largest first", "largest", "mean"))
    >>> pruned = prune(torch.nn.Linear(3, 2), torch.eye(3), 0.5, "largest-first")
    >>> del METHODS["largest-first"], CRITERIA["largest"]
    """
    check_method(method)
    if method.name in METHODS:
        raise InputError(f"there is a method {method.name!r} already: choose another name")
    METHODS[method.name] = method
    return method


def check_method(method: Any) -> None:
    """Raises InputError for an unknown method, or one with an unknown part."""
    if not isinstance(method, Method):
        raise InputError(f"no method {method!r}: choose one of {list(METHODS)}")
    if method.criterion not in CRITERIA:
        raise InputError(f"no criterion {method.criterion!r}: choose one of {sorted(CRITERIA)}")
    if method.compensation not in COMPENSATIONS:
        raise InputError(f"no compensation {method.compensation!r}: choose one of {sorted(COMPENSATIONS)}")
    check_scope(method.scope)


_EC = "elimination-compensation"
register(Method(_EC, "Elimination-compensation", _EC, "elimination", from_paper=True))
register(Method("non-linear", "Non-linear (brute force)", "non-linear", "mean", from_paper=True))
register(Method("magnitude", "Magnitude", "magnitude", from_paper=True))
register(Method("gradient-magnitude", "Gradient-magnitude", "gradient-magnitude", needs_loss=True, from_paper=True))
register(Method("random", "Random", "random", from_paper=True))
register(Method("obd", "OBD (Gauss-Newton)", "obd"))
register(Method("wanda", "Wanda", "wanda", scope="row"))
register(Method("layerwise-obs", "Layer-wise OBS", "layerwise-obs", "obs"))
register(Method("mean-replacement", "Mean replacement", "mean-replacement", "mean"))
register(Method("joint-compensation", "EC, joint shifts", _EC, "joint"))
register(Method("ec-ranking-only", "EC ranking, no shift", _EC))
register(Method("magnitude-compensated", "Magnitude, EC shift", "magnitude", "elimination"))
# The pairs that won the head-to-head: a ranking, and then least squares on what is left.
register(Method("ec-refit", "EC, re-fit", _EC, "obs"))
register(Method("magnitude-refit", "Magnitude, re-fit", "magnitude", "obs"))
register(Method("mean-replacement-refit", "Mean replacement, re-fit", "mean-replacement", "obs"))
register(Method("non-linear-refit", "Non-linear (brute force), re-fit", "non-linear", "obs"))


@dataclass(frozen=True)
class Pruned:
    """A pruned copy of a network and how it came about; masks and scores, shaped as the weights, and changes by layer.

    `ratio` is what was asked for, `reached` the fraction of the weights of these layers that the masks remove. `notes`:
    what to know about the result, a sentence each, among them what was left alone. Printing shows them.
    """

    model: nn.Module
    masks: dict[str, Bool[Tensor, "..."]]
    scores: dict[str, Float[Tensor, "..."]]
    changes: dict[str, Change]
    method: Method
    ratio: float
    reached: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = [f"  {name or '(model)'}: {sparsity({name: m}):.1%} of {m.numel()}" for name, m in self.masks.items()]
        head = f"{self.method.name}: {self.reached:.1%} of the weights of {len(self.masks)} layers removed"
        return "\n".join([head, *rows, *self.notes])


@as_written()
def prune(
    model: nn.Module,
    data: Any,
    ratio: float,
    method: str | Method = "elimination-compensation",
    *,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    scope: Scope | None = None,
    layers: Sequence[str] | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    targets: Callable[[Any], Any] | None = None,
    calibration: Calibration | None = None,
    seed: int | None = None,
    probes: int | None = None,
) -> Pruned:
    """A copy of `model` without the fraction `ratio` of its weights, compensated; `model` stays as it is.

    Weights are those of `nn.Linear` and of convolutions. What else has some is left alone and named in `notes`, such as
    attention that does not call its projections: masks would have no effect there.

    The masks are torch's (see `apply`), so fine-tuning with any optimiser keeps the removed weights at zero. Weights
    that are zero already go first: pruning in steps never brings one back, as long as the ratio is not below the share
    of zeros there are (`notes` says so where it is).

    Parameters
    ----------
    model
        Any module with linear layers or convolutions.
    data
        Inputs, or inputs and targets, in any form that `Batches` takes; a few hundred samples will do.
    ratio
        Fraction of the weights to remove, in [0, 1).
    method
        A name in METHODS or a Method of one's own.
    scope
        "network", "layer" or "row": which weights are compared with each other. Default: the method's.
    layers, loss, forward, targets, probes, seed
        As in `Calibration` (seed: 0).
    calibration
        To prune many times, make one `Calibration(model, data)` and pass it, with None for these: the pass over the
        data and the scores are then computed once.

    Returns
    -------
    Pruned
        The copy, with masks, scores and changes.

    Raises
    ------
    InputError
        For arguments, data or models that do not fit, with the value and the remedy.

    References
    ----------
    Ballini et al., arXiv 2602.20467, for the default method; METHODS names the others.

    Examples
    --------
    >>> import torch
    >>> from prunebook.weights import prune
    >>> model = torch.nn.Linear(4, 1)
    >>> x = torch.tensor([[1.0, 0, 0, 3], [0, 1, 0, 3], [0, 0, 1, 3], [1, 1, 1, 3]])
    >>> pruned = prune(model, x, ratio=0.25)  # the constant input goes, and into the bias
    >>> pruned.masks[""]
    tensor([[ True,  True,  True, False]])
    >>> torch.allclose(pruned.model(x), model(x), atol=1e-6)
    True
    """
    method = METHODS.get(method, method) if isinstance(method, str) else method
    check_method(method)
    check_ratio(ratio)
    check_scope(scope or method.scope)
    options = {"loss": loss, "seed": seed, "probes": probes, "layers": layers, "forward": forward, "targets": targets}
    given = {name: value for name, value in options.items() if value is not None}
    if calibration is None:
        calibration = Calibration(model, data, **given)
    elif not isinstance(calibration, Calibration):
        raise InputError(f"calibration is a {type(calibration).__name__}: give a Calibration(model, data), or None")
    else:
        calibration.require_unchanged(model)
        if given or data is not None:
            raise InputError(f"data, {', '.join(options)} are part of the calibration: leave them None")
    if method.needs_loss and calibration.loss is None:
        raise InputError(f"method {method.name!r} needs a training loss: pass loss=")
    rank = CRITERIA[method.criterion]
    scores = calibration.cached(("ranking", rank), lambda: rank(calibration))
    zeros = {name: weight == 0 for name, weight in calibration.weights.items()}
    first = {name: score.masked_fill(zeros[name], -torch.inf) for name, score in scores.items()}
    masks = select(first, ratio, scope or method.scope)
    changes = COMPENSATIONS[method.compensation](calibration, masks)
    pruned = apply(model, masks, changes)
    notes = _notes(calibration, pruned, masks, zeros, ratio)
    masks, scores = (
        {name: values.view_as(calibration.layers[name].weight) for name, values in found.items()}
        for found in (masks, scores)
    )
    return Pruned(pruned, masks, scores, changes, method, ratio, sparsity(masks), notes)


def _notes(calibration: Calibration, pruned: nn.Module, masks: dict, zeros: dict, ratio: float) -> tuple[str, ...]:
    notes = [f"left alone: {calibration.left_alone}"] if calibration.left_alone else []
    notes += [calibration.cost] if calibration.cost else []
    reached, total = sparsity(masks), sum(mask.numel() for mask in masks.values())
    notes += [f"layer {name!r} is emptied: all its weights are removed" for name, m in masks.items() if not m.any()]
    if abs(reached - ratio) * total > 0.5 + 1e-6:
        notes.append(f"the ratio was not reached: {reached:.4f} in place of {ratio:.4f}, by the rounding of each part")
    left = sum(int((masks[name] & zero).sum()) for name, zero in zeros.items())
    if left:
        notes.append(
            f"{left} more weights are zero already and not masked, so training may bring them back: a ratio of "
            f"{sum(int(zero.sum()) for zero in zeros.values()) / total:.4f} masks all zeros"
        )
    model = private_copy(pruned)
    with evaluating(model), torch.no_grad():
        x, _ = calibration.batches.first()
        y = calibration.batches.call(model, x)
    if isinstance(y, Tensor) and y.ndim and len(y) > 1 and bool((y == y[:1]).all()):
        notes.append("the outputs have become constant: they are the same for all samples")
    return tuple(notes)
