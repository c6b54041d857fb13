"""Pruning of single weights: rankings, compensations, masks, and the methods made of them."""

from prunebook.weights.applying import apply
from prunebook.weights.batches import Batches
from prunebook.weights.compensations import COMPENSATIONS, Change, compensation
from prunebook.weights.evidence import Evidence
from prunebook.weights.joint import linearised_change, normal_equations, true_change
from prunebook.weights.masks import Sparsity, effective_sparsity, select, sparsity
from prunebook.weights.methods import METHODS, Method, register
from prunebook.weights.pruning import Pruned, prune
from prunebook.weights.rankings import RANKINGS, ranking
from prunebook.weights.statistics import LayerStatistics, layer_statistics

__all__ = [
    "COMPENSATIONS",
    "METHODS",
    "RANKINGS",
    "Batches",
    "Change",
    "Evidence",
    "LayerStatistics",
    "Method",
    "Pruned",
    "Sparsity",
    "apply",
    "compensation",
    "effective_sparsity",
    "layer_statistics",
    "linearised_change",
    "normal_equations",
    "prune",
    "ranking",
    "register",
    "select",
    "sparsity",
    "true_change",
]
