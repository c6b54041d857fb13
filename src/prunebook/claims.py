"""From committed tables to verdicts, by the rules in ``data/claims.yaml``.

A condition is a statistic with one value a seed for each cell (architecture, noise level, rival), a threshold and a
side. It holds where the whole 95 % Student interval over seeds lies on that side, fails where the interval lies
wholly on the other side, and is open otherwise. A claim is supported if every condition holds, not supported if any
fails, inconclusive otherwise, and not tested without paper-scale results of at least two seeds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd
import yaml
from scipy import stats

from prunebook.errors import InputError
from prunebook.statistics import STATISTICS

SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE, NOT_TESTED = (
    "supported",
    "not supported",
    "inconclusive",
    "not tested",
)
CLAIMS_FILE = Path(__file__).parents[2] / "data" / "claims.yaml"


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
    more_seeds: int | None

    @property
    def margin(self) -> float:
        """How far the effect is on the right side of the threshold; negative on the wrong side."""
        signed = self.threshold - self.effect if self.side == "below" else self.effect - self.threshold
        return signed / max(abs(self.threshold), 1e-12)


def read(path: Path = CLAIMS_FILE) -> dict[str, dict]:
    """The claims by id. Raises InputError for a claim that lacks a part or names an unknown statistic."""
    claims = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, claim in claims.items():
        if missing := {"paper", "short", "where", "claim", "study", "rule", "change", "conditions"} - set(
            claim
        ):
            raise InputError(f"claim {name} in {path.name} lacks {', '.join(sorted(missing))}")
        for condition in claim["conditions"]:
            if condition["statistic"] not in STATISTICS:
                raise InputError(f"claim {name} names an unknown statistic {condition['statistic']!r}")
            if len({"above", "below"} & set(condition)) != 1:
                raise InputError(f"claim {name}: a condition needs one of above and below")
    return claims


def judge_condition(values: pd.DataFrame, side: str, threshold: float, log: bool) -> list[Condition]:
    """Judge each cell of a statistic.

    Args:
        values: columns ``cell`` (a label), ``seed`` and ``value``; one value a cell and seed.
        side: "below" or "above" the ``threshold``.
        log: values are logarithms of ratios; effect, interval and threshold are ratios.
    """
    judged = []
    for label, group in values.groupby("cell", sort=False):
        sample, n = group["value"].to_numpy(), len(group)
        if group["seed"].nunique() != n:
            raise InputError(f"{label}: more than one value a seed; seeds are the only independent unit")
        mean, limit = sample.mean(), math.log(threshold) if log else threshold
        if n < 2:
            low, high, outcome, more = -math.inf, math.inf, NOT_TESTED, None
        else:
            spread = sample.std(ddof=1)
            half = stats.t.ppf(0.975, n - 1) * spread / math.sqrt(n)
            low, high = mean - half, mean + half
            good, bad = (high < limit, low > limit) if side == "below" else (low > limit, high < limit)
            outcome = SUPPORTED if good else NOT_SUPPORTED if bad else INCONCLUSIVE
            more = _seeds_needed(abs(mean - limit), spread, n) if outcome == INCONCLUSIVE else None
        show: Callable = math.exp if log else float
        effect, low, high = (_safe(show, v) for v in (mean, low, high))
        judged.append(Condition(label, effect, low, high, n, side, threshold, outcome, more))
    return judged


def _safe(function: Callable, value: float) -> float:
    try:
        return function(value)
    except OverflowError:
        return math.inf


def _seeds_needed(distance: float, spread: float, n: int, most: int = 1000) -> int | None:
    """Further seeds after which the interval would clear the threshold, if mean and spread stay; None: too many."""
    for total in range(n + 1, most):
        if stats.t.ppf(0.975, total - 1) * spread / math.sqrt(total) < distance:
            return total - n
    return None


def judge(claim: dict, tables: dict[str, pd.DataFrame] | None) -> tuple[str, list[Condition]]:
    """Verdict and judged conditions of one claim from its study's tables (None or empty: not tested)."""
    if not tables:
        return NOT_TESTED, []
    conditions: list[Condition] = []
    for spec in claim["conditions"]:
        arguments = {k: v for k, v in spec.items() if k not in ("statistic", "above", "below")}
        statistic = STATISTICS[spec["statistic"]]
        chosen = {name: _restrict(table, claim.get("only", {})) for name, table in tables.items()}
        side = "below" if "below" in spec else "above"
        values = statistic.function(chosen, **arguments)
        conditions += judge_condition(values, side, float(spec[side]), statistic.log)
    outcomes = {condition.outcome for condition in conditions}
    if not conditions or NOT_TESTED in outcomes:
        return NOT_TESTED, conditions
    if NOT_SUPPORTED in outcomes:
        return NOT_SUPPORTED, conditions
    return (INCONCLUSIVE if INCONCLUSIVE in outcomes else SUPPORTED), conditions


def _restrict(table: pd.DataFrame, only: dict) -> pd.DataFrame:
    for column, value in only.items():
        if column in table:
            table = table[table[column] == value]
    return table


def deciding(conditions: list[Condition]) -> Condition | None:
    """The condition a verdict rests on: the one furthest on the wrong side, or the tightest if all hold."""
    order = {NOT_SUPPORTED: 0, INCONCLUSIVE: 1, NOT_TESTED: 2, SUPPORTED: 3}
    return min(conditions, key=lambda c: (order[c.outcome], c.margin), default=None)


def _paper_results(study: str, store):
    """A study and its stored results of the paper scale (None: none)."""
    from prunebook.results import Store  # the studies bring everything with them

    return _load(study, (Store() if store is None else store).root)


@lru_cache(maxsize=8)  # a page asks many times, and each result is checked when it is read
def _load(study: str, root: Path):
    from prunebook.results import Store
    from prunebook.studies import registered, stored

    found = registered()[study]
    return found, stored(found, "paper", store=Store(root))


def _more_seeds(conditions: list[Condition]) -> int | None:
    """Further seeds that would settle every open condition; None if there is none, or no number in reach."""
    wanted = [condition.more_seeds for condition in conditions if condition.outcome == INCONCLUSIVE]
    return max(wanted) if wanted and None not in wanted else None


def verdicts(store=None, path: Path = CLAIMS_FILE) -> pd.DataFrame:
    """One row a claim from the stored paper-scale results; results on stand-in data carry no verdict.

    Columns: claim, paper, where, short, statement, study, verdict, held, conditions, label, effect, low, high, side,
    threshold, seeds, planned, more_seeds, stale (whether code that the results depend on has changed).
    """
    rows = []
    for name, claim in read(path).items():
        study, results = _paper_results(claim["study"], store)
        real = results is not None and not results.stand_in
        verdict, conditions = judge(claim, _complete(study, results, claim.get("only", {})) if real else None)
        key = deciding(conditions)
        rows.append(
            {
                "claim": name,
                "paper": claim["paper"],
                "where": claim["where"],
                "short": claim["short"],
                "statement": claim["claim"],
                "study": study.name,
                "verdict": verdict,
                "held": sum(c.outcome == SUPPORTED for c in conditions),
                "conditions": len(conditions),
                "label": key.label if key else "",
                "effect": key.effect if key else math.nan,
                "low": key.low if key else math.nan,
                "high": key.high if key else math.nan,
                "side": key.side if key else "",
                "threshold": key.threshold if key else math.nan,
                "seeds": key.seeds if key else 0,
                "planned": study.seeds["paper"],
                "more_seeds": _more_seeds(conditions),
                "stale": bool(real and results.stale),
            }
        )
    return pd.DataFrame(rows)


def _complete(study, results, only: dict) -> dict[str, pd.DataFrame] | None:
    """The tables of the seeds that were run on all configurations that a claim is about; None if there are none.

    A verdict on some of the networks or noise levels would be a verdict on another claim.
    """
    from prunebook.studies import config_columns  # the studies bring everything with them

    planned = sum(_fits(config_columns(config), only) for config in study.presets["paper"])
    runs: dict[int, int] = {}
    for record in results.records:
        runs[record["seed"]] = runs.get(record["seed"], 0) + _fits(record["config"], only)
    seeds = [seed for seed, count in runs.items() if count == planned]
    tables = {name: table[table["seed"].isin(seeds)] for name, table in results.tables.items()}
    return tables if seeds else None


def _fits(config: dict, only: dict) -> bool:
    return all(config.get(name, value) == value for name, value in only.items())


def conditions_table(name: str, store=None, path: Path = CLAIMS_FILE) -> pd.DataFrame:
    """Every condition of one claim as a row: label, effect, low, high, side, threshold, seeds, outcome."""
    claim = read(path)[name]
    study, results = _paper_results(claim["study"], store)
    real = results is not None and not results.stand_in
    _, conditions = judge(claim, _complete(study, results, claim.get("only", {})) if real else None)
    columns = ["label", "effect", "low", "high", "side", "threshold", "seeds", "outcome"]
    return pd.DataFrame(
        [{column: getattr(c, column) for column in columns} for c in conditions], columns=columns
    )


def chip(verdict: str) -> str:
    """The verdict as HTML; its word carries the meaning, its colour only helps to find it."""
    return f'<span class="pb-verdict-{verdict.replace(" ", "-")}">{verdict}</span>'


def coverage(row) -> str:
    """A remark on seeds and staleness, to stand behind the evidence; empty if nothing was tested."""
    if row["verdict"] == NOT_TESTED:
        return ""
    seeds = f". Seeds: {row['seeds']}" + (
        f" of {row['planned']} planned" if row["seeds"] < row["planned"] else ""
    )
    return seeds + ("; stale, the code has changed since." if row["stale"] else ".")


PAGES = {
    "ec-mnist": "notebooks/elimination_compensation_mnist",
    "ec-pde": "notebooks/elimination_compensation_pde",
    "cb-lenet": "notebooks/coreset_bounds_lenet",
    "cb-vgg": "notebooks/coreset_bounds_vgg",
    "mr-training": "notebooks/mean_replacement",
}


TITLES = {
    "ballini2026": "Elimination-compensation",
    "gordon2020": "Coreset bounds",
    "evci2018": "Mean replacement",
    "ours": "Questions of our own",
}


def markdown_table(store=None, path: Path = CLAIMS_FILE, link: str | None = "/{page}") -> str:
    """All verdicts as Markdown, a table a paper; each row in short, with the effect and interval it rests on.

    ``link`` makes the claim's id a link to its page, with {page} for the page's path without suffix; None: plain text.
    """
    blocks = []
    for paper, rows in verdicts(store, path).groupby("paper", sort=False):
        counts = rows["verdict"].value_counts()
        order = [v for v in (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE, NOT_TESTED) if v in counts]
        summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in order)
        lines = [f"**{TITLES.get(paper, paper)}**: {summary}.", ""]
        lines += ["| | Claim | Verdict | Effect | Rule |", "| :-- | :-- | :-- | :-- | :-- |"]
        for _, row in rows.iterrows():
            name = row["claim"]
            if link and row["study"] in PAGES:
                name = f"[{name}]({link.format(page=PAGES[row['study']])})"
            verdict = chip(row["verdict"]) if link else row["verdict"]
            effect = rule = ""
            if row["verdict"] != NOT_TESTED:
                effect = f"{_brief(row['effect'])} ({_brief(row['low'])} to {_brief(row['high'])})"
                rule = f"{row['side']} {_brief(row['threshold'])}"
            lines.append(f"| {name} | {row['short']} | {verdict} | {effect} | {rule} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _brief(value: float) -> str:
    return f"{value:.3g}" if 1e-4 <= abs(value) < 1e4 or value == 0 else f"{value:.1e}"


def evidence(row) -> str:
    """One phrase that says what a verdict rests on, e.g. "0.93 (0.90 to 0.97), must be below 1; 6 of 6 hold"."""
    if row["verdict"] == NOT_TESTED:
        return "no paper-scale results yet." if not row["seeds"] else "too few seeds for a verdict so far."
    number = (
        f"{_short(row['effect'])} ({_short(row['low'])} to {_short(row['high'])}), "
        f"must be {row['side']} {_short(row['threshold'])}"
    )
    held = f"; {row['held']} of {row['conditions']} conditions hold" if row["conditions"] > 1 else ""
    more = ""
    if row["verdict"] == INCONCLUSIVE:
        wanted = None if pd.isna(row["more_seeds"]) else int(row["more_seeds"])
        more = (
            "; no number of seeds in reach would settle it"
            if wanted is None
            else f"; about {wanted} more seed{'s' * (wanted > 1)} would settle it"
        )
    return f"{row['label']}: {number}{held}{more}"


def _short(value: float) -> str:
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.2e}"
