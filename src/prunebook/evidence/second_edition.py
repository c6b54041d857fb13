"""How claims of the second edition are judged, as ``data/claims.yaml`` tells it above them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit, logit, stdtr, stdtrit

from prunebook.errors import InputError
from prunebook.evidence.claims import INCONCLUSIVE, NO_DIFFERENCE, NOT_SUPPORTED, NOT_TESTED, SUPPORTED
from prunebook.evidence.judging import NO_ARGUMENTS, Condition, checked
from prunebook.evidence.statistics import STATISTICS

LEAST_SEEDS = 4
EDGE = 0.0005  # a share of 0 or 1 has no logit, and a correlation of 1 no z
DRAWS = 4000  # of a band; its width is then off by about 1 %
SCALES = {
    "plain": (lambda value: value, lambda value: value),
    "log": (np.log, np.exp),
    "share": (lambda share: logit(np.clip(share, EDGE, 1 - EDGE)), expit),
    "correlation": (lambda rank: np.arctanh(np.clip(rank, EDGE - 1, 1 - EDGE)), np.tanh),
}


@dataclass(frozen=True)
class Judgement:
    """``reason`` says why nothing was tested; ``pooled`` is the mean over all cells of the first condition, and its
    interval."""

    verdict: str
    conditions: list[Condition]
    reason: str = ""
    pooled: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Group:
    """The cells of one condition of a claim: ``values`` has a row a seed and a column a cell, on the scale ``scale``,
    as have ``limit`` and ``margin``, the threshold and half the width of what is no difference (0: there is none)."""

    values: pd.DataFrame
    scale: str
    side: str
    limit: float
    margin: float
    band: bool
    threshold: float

    @classmethod
    def of(cls, spec: Mapping, tables: Mapping, *, scaled: bool = True) -> "Group":
        """Raises InputError where a table or a column is not there, or a value is not finite."""
        statistic = STATISTICS[spec["statistic"]]
        try:
            found = statistic.function(tables, **{k: v for k, v in spec.items() if k not in NO_ARGUMENTS})
        except KeyError as missing:
            raise InputError(f"the tables have no {missing}") from missing
        if not np.isfinite(checked(found)["value"]).all():
            raise InputError(f"not every {spec['statistic']} is a finite number")
        scale = spec.get("scale", statistic.scale) if scaled or statistic.log else "plain"
        to, side = SCALES[scale][0], "below" if "below" in spec else "above"
        wide = found.pivot_table(index="seed", columns="cell", values="value", sort=False)
        wide = wide if scale == "log" else to(wide)  # what a statistic of ratios gives are logarithms already
        margin = float(np.log(spec.get("margin", 1)) if scale == "log" else spec.get("margin", 0))
        says = f", {spec['says']}" if "says" in spec else ""
        wide = wide.rename(columns=lambda cell: f"{cell}{says}")
        return cls(wide, scale, side, float(to(spec[side])), margin, spec.get("band", False), float(spec[side]))

    @property
    def seeds(self) -> int:
        """How many seeds the cell with the fewest has; of a band, how many all cells share."""
        values = self.values.dropna() if self.band else self.values
        return int(values.count().min()) if values.size else 0

    def critical(self, level: float) -> np.ndarray:
        """How many standard errors an interval reaches to either side, for each cell."""
        values = self.values
        plain = stdtrit(values.count() - 1, (1 + level) / 2)
        if not self.band:
            return plain.to_numpy()
        curves = [label.split(", ratio ")[0] for label in values]  # the cells of a curve differ in the ratio alone
        wide = {curve: simultaneous(values.loc[:, np.equal(curves, curve)], level) for curve in dict.fromkeys(curves)}
        return np.array([wide[curve] for curve in curves])


def simultaneous(values: pd.DataFrame, level: float) -> float:
    """The critical value at which intervals hold for all columns at once, the quantile of the largest t of them.

    It is simulated: samples of as many seeds, normal, and correlated as the columns are.
    """
    rows = values.dropna()
    count = len(rows)
    left = (rows - rows.mean()).to_numpy()
    drawn = np.random.default_rng(0).standard_normal((DRAWS, count, count)) @ left
    errors = drawn.std(axis=1, ddof=1) / np.sqrt(count)
    largest = np.abs(drawn.mean(axis=1) / np.maximum(errors, 1e-300)).max(axis=1)
    return float(np.quantile(largest, level))


def holm(chances: np.ndarray, level: float) -> np.ndarray:
    """Which of several hypotheses are rejected, at a chance of ``level`` that any true one is (Holm, 1979)."""
    order = np.argsort(chances)
    steps = np.maximum.accumulate(chances[order] * np.arange(len(chances), 0, -1))
    rejected = np.empty(len(chances), bool)
    rejected[order] = steps <= level
    return rejected


def judge_again(claim: Mapping, tables: Mapping | None, level: float = 0.95) -> Judgement:
    """Judge a claim of the second edition from its study's tables, which hold its fresh seeds alone.

    ``level`` is that of the intervals; a condition fails in a test at half of what is left of 1.
    """
    if not tables or all(table.empty for table in tables.values()):
        return Judgement(NOT_TESTED, [], "no fresh seeds yet")
    try:
        groups = [Group.of(spec, tables) for spec in claim["conditions"]]
    except InputError as problem:
        return Judgement(NOT_TESTED, [], str(problem))
    least = min(group.seeds for group in groups)
    check = claim.get("kind") == "check"
    if least < (1 if check else LEAST_SEEDS):
        return Judgement(NOT_TESTED, [], f"{least} fresh seeds; a verdict takes {LEAST_SEEDS}")
    found = [_judged(group, level, check) for group in groups]
    rejected = holm(np.concatenate([chances for _, chances in found]), (1 - level) / 2)
    conditions = [condition for group, _ in found for condition in group]
    conditions = [
        replace(condition, outcome=NOT_SUPPORTED) if fails and condition.outcome == INCONCLUSIVE else condition
        for condition, fails in zip(conditions, rejected, strict=True)
    ]
    outcomes = {condition.outcome for condition in conditions}
    order = (NOT_SUPPORTED, INCONCLUSIVE, NO_DIFFERENCE, SUPPORTED)
    return Judgement(next(o for o in order if o in outcomes), conditions, pooled=_pooled(groups[0], level))


def _judged(group: Group, level: float, check: bool) -> tuple[list[Condition], np.ndarray]:
    """The conditions of a group, and for each the chance of lying so far on the wrong side if it were not there."""
    values, back = group.values, SCALES[group.scale][1]
    means, counts = values.mean().to_numpy(), values.count().to_numpy()
    errors = (values.std() / np.sqrt(counts)).fillna(0).to_numpy()
    reach = group.critical(level) * errors if len(values) > 1 else np.full(len(means), np.inf)
    low, high, sign = means - reach, means + reach, 1 if group.side == "above" else -1
    away = sign * (means - group.limit)  # on the right side
    with np.errstate(divide="ignore", invalid="ignore"):
        chances = np.where(errors > 0, stdtr(counts - 1, away / errors), np.where(away < 0, 0.0, 1.0))
    holds = away > reach
    if check:  # what is proven holds in every seed
        holds = (sign * (values - group.limit) > 0).where(values.notna(), True).all().to_numpy()
        chances = np.where(holds, 1.0, 0.0)
    same = (low > -group.margin) & (high < group.margin)
    outcomes = np.where(same, NO_DIFFERENCE, np.where(holds, SUPPORTED, INCONCLUSIVE))
    shown = zip(values, back(means), back(low), back(high), counts, outcomes, strict=True)
    conditions = [
        Condition(label, float(mean), float(lower), float(upper), int(count), group.side, group.threshold, str(outcome))
        for label, mean, lower, upper, count, outcome in shown
    ]
    return conditions, chances


def _pooled(group: Group, level: float) -> tuple[float, float, float]:
    """Mean over all cells, one number a seed, with its interval."""
    seeds, back = group.values.mean(axis="columns"), SCALES[group.scale][1]
    reach = stdtrit(len(seeds) - 1, (1 + level) / 2) * seeds.std() / np.sqrt(len(seeds)) if len(seeds) > 1 else np.inf
    return tuple(float(back(seeds.mean() + off)) for off in (0, -reach, reach))
