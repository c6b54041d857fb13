"""Every plot of the book. A figure takes tables and gives back a Matplotlib figure; it trains and reads nothing."""

from prunebook.pages.figures.coreset_bounds import draws_by_share, guaranteed_accuracy, label_bands, layer_errors
from prunebook.pages.figures.coreset_recovery import error_and_accuracy, fine_tuning, heuristics
from prunebook.pages.figures.coreset_tightness import other_inputs, scaling, waterfall
from prunebook.pages.figures.ec_diagnostics import layers_kept, linearisation, stability
from prunebook.pages.figures.elimination_compensation import (
    effect,
    losses_by_ratio,
    ours_by_ratio,
    ranking_by_compensation,
)
from prunebook.pages.figures.mean_replacement import (
    penalties_by_network,
    penalties_by_set,
    penalties_through_training,
    train_against_test,
)
from prunebook.pages.figures.mr_choices import performance_profiles, single_layer, unit_coverage
from prunebook.pages.figures.mr_probes import multiples_of_mean, signed_signal, single_units
from prunebook.pages.figures.mr_scatter import zero_against_mean
from prunebook.pages.figures.mr_tuning import after_tuning
from prunebook.pages.figures.pde import error_map, profiles, solver_check
from prunebook.pages.figures.style import LOOKS, house_style, in_house_style, look

__all__ = [
    "LOOKS",
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
