"""Conditions and claims judged from tables.

A condition is a statistic with one value a seed for each cell (architecture, noise level, rival), a threshold and a
side. It holds where the whole 95 % Student interval over seeds lies on that side, fails where the interval lies
wholly on the other side, and is open otherwise. A claim is supported if every condition holds, not supported if any
fails, inconclusive otherwise, and not tested without paper-scale results of at least two seeds.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.evidence.claims import INCONCLUSIVE, NOT_SUPPORTED, NOT_TESTED, SUPPORTED, fresh
from prunebook.evidence.intervals import half_width
from prunebook.evidence.statistics import STATISTICS
from prunebook.store.reading import Tables

# The rest of a condition is the statistic's arguments.
NO_ARGUMENTS = ("statistic", "above", "below", "says", "margin", "band", "scale")


@dataclass(frozen=True)
class Condition:
    """One judged condition. ``effect``, ``low`` and ``high`` are in the statistic's own unit (ratios as ratios)."""

    label: str
    effect: float
    low: float
    high: float
    seeds: int
    side: str
    threshold: float
    outcome: str

    @property
    def margin(self) -> float:
        """How far the effect is on the right side of the threshold; negative on the wrong side."""
        signed = self.threshold - self.effect if self.side == "below" else self.effect - self.threshold
        return signed / max(abs(self.threshold), 1e-12)


def judge_condition(values: pd.DataFrame, side: str, threshold: float, log: bool) -> list[Condition]:
    """Judge each cell of a statistic.

    Args:
        values: columns ``cell`` (a label), ``seed`` and ``value``; one value a cell and seed.
        side: "below" or "above" the ``threshold``.
        log: values are logarithms of ratios; effect, interval and threshold are ratios.
    """
    groups, judged = checked(values).groupby("cell", sort=False), []
    limit = math.log(threshold) if log else threshold
    means, spreads = (getattr(groups["value"], name)(skipna=False) for name in ("mean", "std"))
    for label, mean, spread, n in zip(means.index, means, spreads, groups.size(), strict=True):
        if n < 2:
            low, high, outcome = -math.inf, math.inf, NOT_TESTED
        else:
            half = float(half_width(spread, n))
            low, high = mean - half, mean + half
            good, bad = (high < limit, low > limit) if side == "below" else (low > limit, high < limit)
            outcome = SUPPORTED if good else NOT_SUPPORTED if bad else INCONCLUSIVE
        show: Callable = math.exp if log else float
        effect, low, high = (_safe(show, v) for v in (mean, low, high))
        judged.append(Condition(label, effect, low, high, n, side, threshold, outcome))
    return judged


def _safe(function: Callable, value: float) -> float:
    try:
        return function(value)
    except OverflowError:
        return math.inf


def checked(values: pd.DataFrame) -> pd.DataFrame:
    """The values of a statistic. Raises InputError where a cell has more than one of a seed."""
    if (double := values.duplicated(["cell", "seed"])).any():
        label = values["cell"][double].iloc[0]
        raise InputError(f"{label}: more than one value a seed; seeds are the only independent unit")
    return values


def judge(claim: dict, tables: Mapping | None) -> tuple[str, list[Condition]]:
    """Verdict and judged conditions of one claim from its study's tables (None or empty: not tested).

    ``after_seed`` of a claim names the last of the seeds that its question came from; they do not count. ``says`` of a
    condition stands behind the label of each of its cells.
    """
    seeds = None if "after_seed" not in claim else lambda seed: fresh(claim, seed)
    tables = narrowed(tables or {}, claim.get("only", {}), seeds)
    if all(table.empty for table in tables.values()):
        return NOT_TESTED, []
    conditions: list[Condition] = []
    for spec in claim["conditions"]:
        arguments = {k: v for k, v in spec.items() if k not in NO_ARGUMENTS}
        statistic = STATISTICS[spec["statistic"]]
        side = "below" if "below" in spec else "above"
        values = statistic.function(tables, **arguments)
        found = judge_condition(values, side, float(spec[side]), statistic.log)
        if says := spec.get("says"):
            found = [replace(c, label=f"{c.label}, {says}") for c in found]
        conditions += found
    outcomes = {condition.outcome for condition in conditions}
    if not conditions or NOT_TESTED in outcomes:
        return NOT_TESTED, conditions
    if NOT_SUPPORTED in outcomes:
        return NOT_SUPPORTED, conditions
    return (INCONCLUSIVE if INCONCLUSIVE in outcomes else SUPPORTED), conditions


def narrowed(tables: Mapping, only: Mapping, seeds: Callable[[int], bool] | None = None) -> Tables:
    """The rows of each table that are as ``only`` asks, where they have such columns, of the ``seeds`` that count."""

    def cut(name: str) -> pd.DataFrame:
        table, keep = tables[name], True
        tests = {column: partial(meets, wanted=only[column]) for column in only.keys() & set(table.columns)}
        for column, test in (tests | ({"seed": seeds} if seeds else {})).items():
            keep &= table[column].isin([value for value in table[column].unique().tolist() if test(value)])
        return table if np.all(keep) else table[keep]

    return Tables(tables, cut)


def meets(value: object, wanted: object) -> bool:
    """Whether a value is the one wanted, or lies between {above, below}."""
    if isinstance(wanted, Mapping):
        return wanted.get("above", -math.inf) < value < wanted.get("below", math.inf)
    return value == wanted


def deciding(conditions: list[Condition]) -> Condition | None:
    """The condition a verdict rests on: the one furthest on the wrong side, or the tightest if all hold."""
    order = {NOT_SUPPORTED: 0, INCONCLUSIVE: 1, NOT_TESTED: 2, SUPPORTED: 3}
    return min(conditions, key=lambda c: (order[c.outcome], c.margin), default=None)
