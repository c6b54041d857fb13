"""Every plot of the book. A figure takes tables and gives back a Matplotlib figure; it trains and reads nothing."""

from prunebook.figures.compensation import effect, losses_by_ratio, ours_by_ratio, ranking_by_compensation
from prunebook.figures.diagnostics import layers_kept, linearisation, stability
from prunebook.figures.guarantees import draws_by_share, guaranteed_accuracy, label_bands, layer_errors
from prunebook.figures.pde import error_map, profiles, solver_check
from prunebook.figures.recovery import error_and_accuracy, fine_tuning, heuristics
from prunebook.figures.style import COLOURS, DASHES, MARKERS, house_style, in_house_style, look
from prunebook.figures.tightness import other_inputs, scaling, waterfall
from prunebook.figures.unit_choices import performance_profiles, single_layer, unit_coverage
from prunebook.figures.unit_probes import multiples_of_mean, signed_signal, single_units
from prunebook.figures.unit_scatter import zero_against_mean
from prunebook.figures.unit_tuning import after_tuning
from prunebook.figures.units import (
    penalties_by_network,
    penalties_by_set,
    penalties_through_training,
    train_against_test,
)

__all__ = [
    "COLOURS",
    "DASHES",
    "MARKERS",
    "after_tuning",
    "draws_by_share",
    "effect",
    "error_and_accuracy",
    "error_map",
    "fine_tuning",
    "guaranteed_accuracy",
    "heuristics",
    "house_style",
    "in_house_style",
    "label_bands",
    "layer_errors",
    "layers_kept",
    "linearisation",
    "look",
    "losses_by_ratio",
    "multiples_of_mean",
    "other_inputs",
    "ours_by_ratio",
    "penalties_by_network",
    "penalties_by_set",
    "penalties_through_training",
    "performance_profiles",
    "profiles",
    "ranking_by_compensation",
    "scaling",
    "signed_signal",
    "single_layer",
    "single_units",
    "solver_check",
    "stability",
    "train_against_test",
    "unit_coverage",
    "waterfall",
    "zero_against_mean",
]
