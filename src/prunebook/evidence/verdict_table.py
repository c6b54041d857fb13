"""From stored results to verdicts, by the rules in the ledger."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

import pandas as pd

from prunebook.evidence.claims import CLAIMS_FILE, INCONCLUSIVE, SUPPORTED, fresh, read, replacing
from prunebook.evidence.judging import deciding, judge, meets, narrowed
from prunebook.evidence.kept import kept, state
from prunebook.evidence.power import seeds_to_decide
from prunebook.evidence.second_edition import Judgement, judge_again
from prunebook.store.collect import stored
from prunebook.store.reading import Tables
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.studies.configuration import config_columns

CONDITION = ["label", "effect", "low", "high", "side", "threshold", "seeds", "outcome"]


def verdicts(store: Store | None = None, path: Path = CLAIMS_FILE) -> pd.DataFrame:
    """One row a claim and edition from the stored paper-scale results; results on stand-in data carry no verdict.

    Columns: claim, paper, where, short, statement, study, edition, replaces (a claim of the first edition, or ""),
    kind, verdict, held, conditions, label, effect, low, high, side, threshold, seeds, planned, after_seed, more_seeds
    (that give an 80 % chance of a decision), reason (why nothing was tested), beside (the verdict at the second level
    of the intervals, in words, or ""), stale (whether the protocol has changed since).

    In the first edition the effect is that of the condition that decides, and ``label`` says which; in later ones it is
    the pooled estimate, ``label`` puts it into words, and there is no side or threshold.
    """
    return pd.DataFrame(_judged(store, path)["verdicts"])


def conditions_table(name: str, store: Store | None = None, path: Path = CLAIMS_FILE) -> pd.DataFrame:
    """Every condition of one claim as a row: label, effect, low, high, side, threshold, seeds, outcome."""
    return pd.DataFrame(_judged(store, path)["conditions"][name], columns=CONDITION)


def all_conditions(store: Store | None = None, path: Path = CLAIMS_FILE) -> pd.DataFrame:
    """Every condition of every claim as a row, as ``data/verdicts.csv`` keeps them: claim, verdict, label, side,
    threshold, effect, low, high, seeds, outcome."""
    judged = _judged(store, path)
    rows = [
        {"claim": row["claim"], "verdict": row["verdict"]} | condition
        for row in judged["verdicts"]
        for condition in judged["conditions"][row["claim"]] or [{}]
    ]
    numbers = ["side", "threshold", "effect", "low", "high", "seeds"]
    columns = ["claim", "verdict", "label", *numbers, "outcome"]
    return pd.DataFrame(rows, columns=columns).astype({"seeds": "Int64"})


def _judged(store: Store | None, path: Path) -> dict:
    root = (Store() if store is None else store).root
    return kept("verdicts", state(root, [path]), lambda: _judge_all(Store(root), path))


def _judge_all(store: Store, path: Path) -> dict:
    """Every claim's row in the table of verdicts, and its conditions."""
    measured, rows, conditions, claims = Measured(store), [], {}, read(path)
    for name, claim in claims.items():
        study, found = STUDIES.get(claim["study"]), measured.results(claim["study"])
        tables = measured.judging(claim, replacing(claims, name))
        judgement = judged(claim, tables)
        conditions[name] = [asdict(condition) for condition in judgement.conditions]
        rows.append(
            {"claim": name, "paper": claim["paper"], "where": claim["where"], "short": claim["short"]}
            | {"statement": claim["claim"], "study": claim["study"], "edition": claim.get("edition", 1)}
            | {"replaces": claim.get("replaces", ""), "kind": claim.get("kind", "claim"), "verdict": judgement.verdict}
            | {"held": sum(c.outcome == SUPPORTED for c in judgement.conditions)}
            | {"conditions": len(judgement.conditions)}
            | _shown(claim, judgement)
            | {"planned": planned(claim, study) if study else 0, "after_seed": claim.get("after_seed", 0)}
            | {"more_seeds": seeds_to_decide(claim, tables) if judgement.verdict == INCONCLUSIVE else None}
            | {"reason": judgement.reason, "beside": _beside(claim, tables)}
            | {"stale": bool(found and not found.stand_in and found.stale)}
        )
    return {"verdicts": rows, "conditions": conditions}


def judged(claim: Mapping, tables: Mapping | None, level: float | None = None) -> Judgement:
    """Verdict and conditions of a claim, by the rule of its edition; at the first of its levels if none is given."""
    if claim.get("edition", 1) > 1:
        return judge_again(claim, tables, level or claim.get("levels", [0.95])[0])
    return Judgement(*judge(claim, tables))


def _shown(claim: Mapping, judgement: Judgement) -> dict:
    """The number that stands for all conditions."""
    empty = {"label": "", "effect": math.nan, "low": math.nan, "high": math.nan, "side": "", "threshold": math.nan}
    key, seeds = deciding(judgement.conditions), min((c.seeds for c in judgement.conditions), default=0)
    if judgement.pooled:
        numbers = dict(zip(("effect", "low", "high"), judgement.pooled, strict=True))
        return empty | numbers | {"label": claim["effect"], "seeds": seeds}
    return {column: getattr(key, column) if key else nothing for column, nothing in (empty | {"seeds": 0}).items()}


def _beside(claim: Mapping, tables: Mapping | None) -> str:
    """The verdict at the second of a claim's levels, where it has two."""
    if not (further := claim.get("levels", [])[1:]):
        return ""
    found = judged(claim, tables, further[0])
    held = sum(condition.outcome == SUPPORTED for condition in found.conditions)
    return f"{found.verdict} at {further[0]:.0%} intervals, where {held} of {len(found.conditions)} conditions hold"


def latest(found: pd.DataFrame) -> pd.DataFrame:
    """Of the table of verdicts, one row a claim, at the place of its first edition: the latest, with ``first``, the
    verdict on the one before."""
    before = found.set_index("claim")["verdict"]
    rows = found.assign(place=found["replaces"].where(found["replaces"] != "", found["claim"]))
    order = rows["place"].map({name: place for place, name in enumerate(found["claim"])}).sort_values(kind="stable")
    rows = rows.loc[order.index].drop(columns="place")
    rows = rows[~rows["claim"].isin(rows["replaces"])].reset_index(drop=True)
    return rows.assign(first=rows["replaces"].map(before).fillna(""))


def changes(store: Store | None = None, path: Path = CLAIMS_FILE) -> pd.DataFrame:
    """What changed from the first edition: a row a new claim, with the claim, rule and verdict of before, and why.

    Columns: claim, before, rule_before, verdict_before, after, rule, verdict, why; a claim that is new has no before.
    """
    claims, verdict = read(path), verdicts(store, path).set_index("claim")["verdict"]
    rows = []
    for name, claim in claims.items():
        if claim.get("edition", 1) > 1:
            old = claim.get("replaces", "")
            first = claims.get(old, {"claim": "", "rule": ""})
            rows.append(
                {"claim": old or name, "before": first["claim"], "rule_before": first["rule"]}
                | {"verdict_before": verdict.get(old, ""), "after": name, "statement": claim["claim"]}
                | {"rule": claim["rule"], "verdict": verdict[name], "why": claim.get("why", "A new question.")}
            )
    return pd.DataFrame(rows)


def planned(claim: Mapping, study) -> int:
    """How many seeds, or runs of the networks that it names, are planned that may judge a claim."""
    after = claim.get("after_seed", 0)
    nets = {config.net for config in study.presets["paper"]} if isinstance(after, Mapping) else {None}
    return sum(fresh(claim, seed, net) for net in nets for seed in range(1, study.seeds["paper"] + 1))


class Measured:
    """The paper-scale results in a store, each study looked up once."""

    def __init__(self, store: Store) -> None:
        self.results = cache(lambda name: stored(STUDIES[name], "paper", store=store) if name in STUDIES else None)
        self._cut = cache(  # hold what is cut out
            lambda name, only, seeds: narrowed(self.results(name).tables, json.loads(only), seeds.__contains__)
        )

    def tables(self, name: str, only: Mapping, counts: Callable[[dict], bool] = bool) -> Tables | None:
        """The tables of the study ``name`` that a verdict may use; None if there are none.

        They are of real data, and of seeds that were run on all configurations that ``only`` asks for, and whose
        records count.
        """
        results = self.results(name)
        if results is None or results.stand_in:
            return None
        seeds = complete(STUDIES[name], results, only, counts)
        return self._cut(name, json.dumps(only), seeds) if seeds else None

    def judging(self, claim: Mapping, successors: Sequence[Mapping] = ()) -> Tables | None:
        """The tables that judge a claim: its fresh seeds, without the runs that judge nothing but its successors.

        Where the claim tells networks apart, all runs of those that it names, each as a seed of its own.
        """
        name, only = claim["study"], claim.get("only", {})
        same = [after for after in successors if after["study"] == name]

        def counts(record: dict) -> bool:
            judges = partial(fresh, seed=record["seed"], net=record["config"].get("net"))
            later = any(judges(after) and fits(record["config"], after.get("only", {})) for after in same)
            return judges(claim) and not later

        if not isinstance(claim.get("after_seed"), Mapping):
            return self.tables(name, only, counts)
        nets = dict.fromkeys(config.net for config in STUDIES[name].presets["paper"]) if name in STUDIES else ()
        runs = {net: self.tables(name, {**only, "net": net}, counts) for net in nets}
        return joined({net: tables for net, tables in runs.items() if tables is not None})


def joined(runs: Mapping[str, Tables]) -> Tables | None:
    """The tables of several networks in one, in which each run has a seed of its own, such as "small 9"."""

    def make(name: str) -> pd.DataFrame:
        parts = {net: tables[name] for net, tables in runs.items() if name in tables}
        return pd.concat([t.assign(seed=f"{net} " + t["seed"].astype(str)) for net, t in parts.items()])

    return Tables((name for tables in runs.values() for name in tables), make) if runs else None


def complete(study, results, only: Mapping, counts: Callable[[dict], bool] = bool) -> tuple[int, ...]:
    """The seeds that were run on all configurations that a claim is about, of the records that count.

    A verdict on some of the networks or noise levels would be a verdict on another claim.
    """
    planned = sum(fits(config_columns(config), only) for config in study.presets["paper"])
    records = [record for record in results.records if fits(record["config"], only) and counts(record)]
    found = Counter(record["seed"] for record in records)
    return tuple(sorted(seed for seed, count in found.items() if count == planned))


def fits(config: Mapping, only: Mapping) -> bool:
    """Whether a configuration, from a preset or from a record, is one that ``only`` asks for."""
    return all(meets(_as_column(config[name]), value) for name, value in only.items() if name in config)


def _as_column(value):
    """A record keeps widths as a list, and a table's column as 784-32-32-10."""
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else value
