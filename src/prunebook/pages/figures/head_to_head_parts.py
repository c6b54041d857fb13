"""Names and looks of a ranking with a compensation, as the head-to-head shows them.

A pair that is a registered method looks as that method does everywhere. Scores of units look as in the figures of mean
replacement: solid with means, dashed with zeros.
"""

from dataclasses import replace

from prunebook.pages.figures.coreset_parts import SHORT
from prunebook.pages.figures.mr_parts import LOOKS
from prunebook.pages.figures.style import Look, look
from prunebook.weights import METHODS

CONTROLS = ("dense", "narrow")
NETS = {"lenet": "LeNet-300-100", "pde": "PDE network", "small": "Small"}
STAGES = {"pruned": "Right after pruning", "fine-tuned": "After fine-tuning"}
_RANKINGS = {
    "elimination-compensation": "EC",
    "obd": "OBD",
    "mean-replacement": "mean replacement",
    "wanda": "Wanda",
    "layerwise-obs": "layer-wise OBS",
    "non-linear": "brute force",
    "coreset-drawn": "drawn coreset",
    "narrow": "narrower network",
}
_SHIFTS = {
    "none": "no shift",
    "mean": "mean shift",
    "elimination": "EC shift",
    "joint": "joint shifts",
    "obs": "re-fit",
}
_OWN = {
    ("sensitivity", "none"): Look("#cc3311", "1", (), "sensitivity, no shift"),
    ("coreset-drawn", "none"): Look("#80522d", ">", (4, 1.5), "drawn coreset"),
    ("narrow", "none"): replace(look("fully-connected"), label="narrower network"),
}
_PLAIN = Look("#999999", ".", (), "")
COMPENSATIONS = {
    "none": "none",
    "mean": "mean",
    "elimination": "EC",
    "joint": "joint",
    "obs": "re-fit",
}  # in order
SHOWN = (
    ("magnitude", "none"),
    ("magnitude", "elimination"),
    ("elimination-compensation", "elimination"),
    ("layerwise-obs", "obs"),
    ("non-linear", "mean"),
    ("gradient-magnitude", "none"),
    ("random", "none"),
    ("sensitivity", "none"),
    ("coreset-drawn", "none"),
    ("narrow", "none"),
)


def net_name(net: str) -> str:
    """A network for the reader; one that is not of the study's own is called by its name."""
    return NETS.get(net, net)


def ranking_name(ranking: str) -> str:
    return _RANKINGS.get(ranking, ranking)


def compensation_name(compensation: str, kind: str = "weights") -> str:
    """Of weights, what is shifted; of units, what stands in their place."""
    if kind == "units":
        return {"none": "zeros", "mean": "means"}[compensation]
    return _SHIFTS.get(compensation, compensation)


def pair_name(ranking: str, compensation: str, kind: str = "weights") -> str:
    """EC, mean shift; norm, zeros; drawn coreset."""
    if ranking in (*CONTROLS, "coreset-drawn"):
        return ranking_name(ranking)
    return f"{ranking_name(ranking)}, {compensation_name(compensation, kind)}"


def pair_look(ranking: str, compensation: str, kind: str = "weights") -> Look:
    """The look of a pair; grey dots where it has none of its own."""
    name = pair_name(ranking, compensation, kind)
    if kind == "units":
        base = LOOKS.get(ranking, _PLAIN)
        return replace(base, dash=() if compensation == "mean" else SHORT[1], label=name)
    if (ranking, compensation) in _OWN:
        return _OWN[ranking, compensation]
    for method in METHODS.values():
        if (method.ranking, method.compensation) == (ranking, compensation):
            return replace(look(method.name), label=name)
    return replace(_PLAIN, label=name)
