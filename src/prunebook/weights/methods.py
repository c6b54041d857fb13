"""Methods by name: a ranking, a compensation and a scope each. A new one is one function and one line."""

from dataclasses import dataclass
from typing import Any

from prunebook.errors import InputError
from prunebook.weights import joint  # noqa: F401  files the joint compensation
from prunebook.weights.compensations import COMPENSATIONS
from prunebook.weights.criteria import CRITERIA
from prunebook.weights.masks import Scope, check_scope


@dataclass(frozen=True)
class Method:
    """One way of pruning weights.

    Parameters
    ----------
    name
        What `prune` takes.
    label
        The name in figures.
    ranking, compensation
        Names in CRITERIA and COMPENSATIONS.
    scope
        What is compared with what: all weights of the "network", of a "layer", or of a "row".
    needs_loss
        Whether the ranking uses the loss, so that `prune` can ask for it before any work.
    from_paper
        Compared in Ballini et al., arXiv 2602.20467, not added by this study.
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

    Raises
    ------
    InputError
        Where the name is taken, or the ranking, compensation or scope is unknown.

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
