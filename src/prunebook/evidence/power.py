"""How many more seeds would decide a claim."""

from collections.abc import Mapping

import numpy as np
from scipy.special import stdtrit

from prunebook.errors import InputError
from prunebook.evidence.second_edition import Group

CHANCE, MOST, DRAWS = 0.8, 64, 200


def seeds_to_decide(claim: Mapping, tables: Mapping, level: float = 0.95) -> int | None:
    """The fewest further seeds that give an 80 % chance of a decision on a claim; None: more than 64, or unknown.

    All conditions are simulated together, with the correlations that they have over seeds. The estimates are not taken
    for the truth: each simulated world draws its means and spreads from what the seeds so far leave open.
    """
    again = claim.get("edition", 1) > 1
    try:
        groups = [Group.of(spec, tables, scaled=again) for spec in claim["conditions"]]
    except InputError:
        return None
    counts = np.concatenate([group.values.count() for group in groups])
    if counts.min() < 3:
        return None
    sides = np.concatenate([np.full(g.values.shape[1], 1 if g.side == "above" else -1) for g in groups])
    limits, margins = (
        np.concatenate([np.full(g.values.shape[1], getattr(g, part)) for g in groups]) for part in ("limit", "margin")
    )
    wider = np.concatenate([g.critical(level) for g in groups]) / stdtrit(counts - 1, (1 + level) / 2)  # of bands
    seeds = sorted({seed for group in groups for seed in group.values.index}, key=str)
    values = np.concatenate([group.values.reindex(seeds) for group in groups], axis=1)
    means = np.nanmean(values, axis=0)
    left = np.nan_to_num(values - means) / np.sqrt(counts - 1)  # times independent normal numbers: a further seed

    rng, cells = np.random.default_rng(0), len(means)
    scale = np.sqrt((counts - 1) / rng.chisquare(counts - 1, (DRAWS, cells)))
    true = means + scale * (rng.standard_normal((DRAWS, len(seeds))) @ left) / np.sqrt(counts)
    further = true[:, None] + scale[:, None] * (rng.standard_normal((DRAWS, MOST, len(seeds))) @ left)
    totals = counts + np.arange(1, MOST + 1)[:, None]
    mean = (counts * means + further.cumsum(axis=1)) / totals
    squares = np.nansum(values**2, axis=0) + (further**2).cumsum(axis=1)
    errors = np.sqrt(np.maximum(squares - totals * mean**2, 0) / (totals - 1) / totals)
    reach = wider * stdtrit(totals - 1, (1 + level) / 2) * errors
    failing = stdtrit(totals - 1, 1 - (1 - level) / 2 / (cells if again else 1)) * errors  # Holm's first step
    away = sides * (mean - limits)
    settled = (away > reach) | ((mean - reach > -margins) & (mean + reach < margins))
    decided = (settled.all(axis=2) | (away < -failing).any(axis=2)).mean(axis=0)
    enough = np.flatnonzero(decided >= CHANCE)
    return int(enough[0]) + 1 if len(enough) else None
