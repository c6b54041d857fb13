"""Pruning whole units: scores, mean replacement, folding, removal, and losses of many variants at once."""

from prunebook.units.ablation.measure import Measurement, Variant, measure
from prunebook.units.folding import BORDERS, constant_response, fold
from prunebook.units.forward import MapBiasConv2d, as_chain, forward
from prunebook.units.gain import gain, variance_kept
from prunebook.units.layers import LAYER_SETS, UnitLayer, layer_set, unit_layers
from prunebook.units.pruning import prune_units
from prunebook.units.refit import refit
from prunebook.units.removal import PrunedUnits, remove
from prunebook.units.replacement import masked_outputs
from prunebook.units.scores import CONVENTIONS, SCORES, mask_lowest, number_to_prune, random_score, register
from prunebook.units.statistics import UnitStatistics, unit_statistics

__all__ = [
    "BORDERS",
    "CONVENTIONS",
    "LAYER_SETS",
    "SCORES",
    "MapBiasConv2d",
    "Measurement",
    "PrunedUnits",
    "UnitLayer",
    "UnitStatistics",
    "Variant",
    "as_chain",
    "constant_response",
    "fold",
    "forward",
    "gain",
    "layer_set",
    "mask_lowest",
    "masked_outputs",
    "measure",
    "number_to_prune",
    "prune_units",
    "random_score",
    "refit",
    "register",
    "remove",
    "unit_layers",
    "unit_statistics",
    "variance_kept",
]
