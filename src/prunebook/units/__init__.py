"""Pruning whole units: scores, mean replacement, folding, removal, and losses of many variants at once."""

from prunebook.units.ablation.measure import Measurement, Variant, measure
from prunebook.units.folding import BORDERS, MapBiasConv2d, constant_response, fold
from prunebook.units.forward import forward
from prunebook.units.layers import LAYER_SETS, UnitLayer, layer_set, sites
from prunebook.units.removal import remove
from prunebook.units.replacement import masked_outputs
from prunebook.units.scores import CONVENTIONS, SCORES, random_generator, register
from prunebook.units.selection import count, mask_lowest
from prunebook.units.statistics import UnitStatistics, unit_statistics

__all__ = [
    "BORDERS",
    "CONVENTIONS",
    "LAYER_SETS",
    "SCORES",
    "MapBiasConv2d",
    "Measurement",
    "UnitLayer",
    "UnitStatistics",
    "Variant",
    "constant_response",
    "count",
    "fold",
    "forward",
    "layer_set",
    "mask_lowest",
    "masked_outputs",
    "measure",
    "random_generator",
    "register",
    "remove",
    "sites",
    "unit_statistics",
]
