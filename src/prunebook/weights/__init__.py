"""Pruning of single weights: rankings, compensations, masks, and the methods made of them."""

from prunebook.data.batches import Batches, class_labels
from prunebook.weights.calibration import Calibration
from prunebook.weights.compensations import COMPENSATIONS, Change, compensation
from prunebook.weights.criteria import CRITERIA, criterion
from prunebook.weights.joint import linearised_change, normal_equations, true_change
from prunebook.weights.masks import PrunedLayer, apply, number_to_prune, pruned_layers, select, sparsity
from prunebook.weights.pruning import METHODS, Method, Pruned, prune, register
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
    "apply",
    "class_labels",
    "compensation",
    "criterion",
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
