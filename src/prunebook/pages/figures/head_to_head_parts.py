"""Looks of a ranking with a compensation, as the head-to-head shows them.

A pair that is a method with a name looks as that method does everywhere. Scores of units look as in the figures of
mean replacement: solid with means, dashed with zeros.
"""

from dataclasses import replace

from prunebook.pages.figures.style import LOOKS, SHORT, Look
from prunebook.pages.vocabulary import PAIRS, pair_name

_OWN = {
    ("sensitivity", "none"): Look("#cc3311", "8", (), ""),
    ("coreset-drawn", "none"): Look("#80522d", "H", (4, 1.5), ""),
    ("narrow", "none"): LOOKS["fully-connected"],
}
_PLAIN = Look("#999999", ".", (), "")
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


def pair_look(ranking: str, compensation: str, kind: str = "weights") -> Look:
    """The look of a pair; grey dots where it has none of its own."""
    name = pair_name(ranking, compensation, kind)
    if kind == "units":
        look = LOOKS.get(ranking, _PLAIN) if ranking != "random" else _PLAIN
        return replace(look, dash=() if compensation == "mean" else SHORT[1], label=name)
    look = _OWN.get((ranking, compensation)) or LOOKS.get(PAIRS.get((ranking, compensation)), _PLAIN)
    return replace(look, label=name)
