"""Pruning of single weights: rankings, compensations, masks, and the methods made of them."""

from prunebook.data.batches import Batches
from prunebook.weights.apply import apply
from prunebook.weights.calibration import Calibration
from prunebook.weights.compensations import COMPENSATIONS, Change, compensation
from prunebook.weights.criteria import CRITERIA, ranking
from prunebook.weights.joint import linearised_change, normal_equations, true_change
from prunebook.weights.masks import Sparsity, effective_sparsity, select, sparsity
from prunebook.weights.methods import METHODS, Method, register
from prunebook.weights.pruning import Pruned, prune
from prunebook.weights.statistics import LayerStatistics, layer_statistics

__all__ = [
    "COMPENSATIONS",
    "CRITERIA",
    "METHODS",
    "Batches",
    "Calibration",
    "Change",
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
