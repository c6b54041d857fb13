"""Scores of units of any network: those of chains that look at no single position, and two more."""

from collections.abc import Callable

from torch import Tensor

from prunebook.units.graph.statistics import GroupStatistics
from prunebook.units.scores import SCORES

GraphScore = Callable[[GroupStatistics], Tensor]

# These need neither labels nor a backward pass.
FORWARD_ONLY = ("norm", "rand", "variance", "fluctuation")

GRAPH_SCORES: dict[str, GraphScore] = {
    # Of what is read, after the activation: VBP (arXiv 2507.12988).
    "variance": lambda seen: seen.variance,
    # The variance times the squared norm of the weights that read the unit: FLAP (arXiv 2312.11983).
    "fluctuation": lambda seen: seen.fluctuation,
}


def graph_scores() -> dict[str, GraphScore]:
    """All scores by name, with those that were registered."""
    return {**SCORES, **GRAPH_SCORES}
