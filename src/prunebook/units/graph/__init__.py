"""Units of networks of any form: which of them belong together, what reads them, and how they are taken out."""

from prunebook.units.graph.dependencies import Group, Part, find_groups
from prunebook.units.graph.pruning import prune_graph, prune_in_steps
from prunebook.units.graph.recalibration import recalibrate
from prunebook.units.graph.scores import GRAPH_SCORES
from prunebook.units.graph.statistics import GroupStatistics

__all__ = [
    "GRAPH_SCORES",
    "Group",
    "GroupStatistics",
    "Part",
    "find_groups",
    "prune_graph",
    "prune_in_steps",
    "recalibrate",
]
