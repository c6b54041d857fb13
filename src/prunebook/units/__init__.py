"""Pruning whole units: scores, mean replacement, folding, removal, and losses of many variants at once."""

from prunebook.units.folding import BORDERS, MapBiasConv2d, constant_response, fold
from prunebook.units.layers import forward
from prunebook.units.measurement import Measurement, Variant, measure
from prunebook.units.observation import Observation, observe
from prunebook.units.removal import remove
from prunebook.units.replacement import masked_outputs
from prunebook.units.scores import CONVENTIONS, SCORES, random_generator, register
from prunebook.units.selection import count, lowest
from prunebook.units.sites import LAYER_SETS, Site, layer_set, sites

__all__ = [
    "BORDERS",
    "CONVENTIONS",
    "LAYER_SETS",
    "SCORES",
    "MapBiasConv2d",
    "Measurement",
    "Observation",
    "Site",
    "Variant",
    "constant_response",
    "count",
    "fold",
    "forward",
    "layer_set",
    "lowest",
    "masked_outputs",
    "measure",
    "observe",
    "random_generator",
    "register",
    "remove",
    "sites",
]
