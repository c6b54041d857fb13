"""Pruning of single weights: rankings, compensations, masks, and the methods made of them."""

from prunebook.data.batches import Batches, class_labels
from prunebook.weights.apply import PrunedLayer, apply, pruned_layers
from prunebook.weights.calibration import Calibration, layer_statistics
from prunebook.weights.compensations import COMPENSATIONS, Change, compensation
from prunebook.weights.criteria import CRITERIA, criterion
from prunebook.weights.joint import linearised_change, normal_equations, true_change
from prunebook.weights.masks import Sparsity, number_to_prune, select, sparsity
from prunebook.weights.methods import METHODS, Method, register
from prunebook.weights.pruning import Pruned, prune
from prunebook.weights.statistics import InputMoments, LayerStatistics

__all__ = [
    "COMPENSATIONS",
    "CRITERIA",
    "METHODS",
    "Batches",
    "Calibration",
    "Change",
    "InputMoments",
    "LayerStatistics",
    "Method",
    "Pruned",
    "PrunedLayer",
    "Sparsity",
    "apply",
    "class_labels",
    "compensation",
    "criterion",
    "layer_statistics",
    "linearised_change",
    "normal_equations",
    "number_to_prune",
    "prune",
    "pruned_layers",
    "register",
    "select",
    "sparsity",
    "true_change",
]
