"""Every plot of the book. A figure takes tables and gives back a Matplotlib figure; it trains and reads nothing."""

from prunebook.figures.compensation import effect, losses_by_ratio, ours_by_ratio, ranking_by_compensation
from prunebook.figures.diagnostics import layers_kept, linearisation, stability
from prunebook.figures.pde import error_map, profiles, solver_check
from prunebook.figures.style import COLOURS, DASHES, MARKERS, house_style, in_house_style, look

__all__ = [
    "COLOURS",
    "DASHES",
    "MARKERS",
    "effect",
    "error_map",
    "house_style",
    "in_house_style",
    "layers_kept",
    "linearisation",
    "look",
    "losses_by_ratio",
    "ours_by_ratio",
    "profiles",
    "ranking_by_compensation",
    "solver_check",
    "stability",
]
