"""Methods by name: a ranking, a compensation and a scope each."""

from dataclasses import dataclass
from typing import get_args

from prunebook.errors import InputError
from prunebook.weights import joint  # noqa: F401  files the joint compensation
from prunebook.weights.compensations import COMPENSATIONS
from prunebook.weights.criteria import CRITERIA
from prunebook.weights.masks import Scope


@dataclass(frozen=True)
class Method:
    """One way of pruning weights.

    `ranking` and `compensation` are names in RANKINGS and COMPENSATIONS, `scope` says what is compared with
    what. `from_paper`: compared in Ballini et al., arXiv 2602.20467, not added by this study. `note`: one
    sentence for the reader.
    """

    name: str
    label: str
    ranking: str
    compensation: str = "none"
    scope: Scope = "network"
    needs_loss: bool = False
    from_paper: bool = False
    note: str = ""


METHODS: dict[str, Method] = {}


def register(method: Method) -> Method:
    """Add a method. Raises InputError where the name is taken, or its ranking, compensation or scope is
    unknown.
    """
    if method.name in METHODS:
        raise InputError(f"there is a method {method.name!r} already: choose another name")
    if method.ranking not in CRITERIA:
        raise InputError(f"no ranking {method.ranking!r}: choose one of {sorted(CRITERIA)}")
    if method.compensation not in COMPENSATIONS:
        raise InputError(f"no compensation {method.compensation!r}: choose one of {sorted(COMPENSATIONS)}")
    if method.scope not in get_args(Scope):
        raise InputError(f"scope is {method.scope!r}: choose one of {get_args(Scope)}")
    METHODS[method.name] = method
    return method


for _method in (
    Method(
        "elimination-compensation",
        "Elimination-compensation",
        "elimination-compensation",
        "elimination",
        from_paper=True,
        note="Output change to first order after the best shift of the unit's bias, and that shift.",
    ),
    Method(
        "non-linear",
        "Non-linear (brute force)",
        "non-linear",
        "mean",
        from_paper=True,
        note="True output change after mean replacement, weight by weight, on a random subset of the inputs.",
    ),
    Method("magnitude", "Magnitude", "magnitude", from_paper=True, note="Smallest absolute weights first."),
    Method(
        "gradient-magnitude",
        "Gradient-magnitude",
        "gradient-magnitude",
        needs_loss=True,
        from_paper=True,
        note="Absolute weight times absolute mean gradient of the training loss.",
    ),
    Method("random", "Random", "random", from_paper=True, note="Weights drawn at random."),
    Method(
        "obd",
        "OBD (Gauss-Newton)",
        "obd",
        note="Elimination-compensation's output change without any bias shift.",
    ),
    Method(
        "wanda",
        "Wanda",
        "wanda",
        scope="row",
        note="Absolute weight times input norm, compared within each output row.",
    ),
    Method(
        "layerwise-obs",
        "Layer-wise OBS",
        "layerwise-obs",
        "obs",
        note="Change of the layer's own output after the row is re-fitted; compared over the network.",
    ),
    Method(
        "mean-replacement",
        "Mean replacement",
        "mean-replacement",
        "mean",
        note="Elimination-compensation with the output Jacobian set to one: each layer looks at itself only.",
    ),
    Method(
        "joint-compensation",
        "EC, joint shifts",
        "elimination-compensation",
        "joint",
        note="Elimination-compensation's ranking; the biases of all units solved for together.",
    ),
    Method(
        "ec-ranking-only",
        "EC ranking, no shift",
        "elimination-compensation",
        note="Elimination-compensation's ranking with plain zeroing.",
    ),
    Method(
        "magnitude-compensated",
        "Magnitude, EC shift",
        "magnitude",
        "elimination",
        note="Magnitude's ranking with elimination-compensation's bias shifts.",
    ),
):
    register(_method)
