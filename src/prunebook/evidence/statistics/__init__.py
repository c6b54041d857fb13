"""The statistics that claims are judged by. Each gives one value a seed for every cell it looks at.

A statistic is a function of a study's tables, and of the arguments that a condition in ``data/claims.yaml`` gives it,
to a frame with columns ``cell``, ``seed`` and ``value``. Losses are compared as logarithms of ratios.
"""

from prunebook.evidence.statistics import (
    coreset_bounds,
    elimination_compensation,
    general,
    head_to_head,
    mean_replacement,
    moments,
)
from prunebook.evidence.statistics.registry import STATISTICS, Statistic, statistic

__all__ = [
    "STATISTICS",
    "Statistic",
    "coreset_bounds",
    "elimination_compensation",
    "general",
    "head_to_head",
    "mean_replacement",
    "moments",
    "statistic",
]
