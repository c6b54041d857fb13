"""Diffusion with sorption in one dimension: an accurate solver, and the regression data made from it."""

from prunebook.data.diffusion_sorption.cache import cache_folder, cached_solve
from prunebook.data.diffusion_sorption.equation import Equation, initial_states, stored_times
from prunebook.data.diffusion_sorption.pdebench import Trajectories, load_pdebench
from prunebook.data.diffusion_sorption.regression import regression_data
from prunebook.data.diffusion_sorption.solver import SCHEMES, Solution, solve

__all__ = [
    "SCHEMES",
    "Equation",
    "Solution",
    "Trajectories",
    "cache_folder",
    "cached_solve",
    "initial_states",
    "load_pdebench",
    "regression_data",
    "solve",
    "stored_times",
]
