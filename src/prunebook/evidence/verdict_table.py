"""From stored results to verdicts, by the rules in the ledger."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

import pandas as pd

from prunebook.evidence.claims import CLAIMS_FILE, SUPPORTED, fresh, read, replacing
from prunebook.evidence.judging import deciding, judge, meets, more_seeds, narrowed
from prunebook.evidence.kept import kept, state
from prunebook.store.collect import stored
from prunebook.store.reading import Tables
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.studies.configuration import config_columns
from prunebook.studies.study import Study

CONDITION = ["label", "effect", "low", "high", "side", "threshold", "seeds", "outcome"]


def verdicts(store: Store | None = None, path: Path = CLAIMS_FILE) -> pd.DataFrame:
    """One row a claim from the stored paper-scale results; results on stand-in data carry no verdict.

    Columns: claim, paper, where, short, statement, study, verdict, held, conditions, label, effect, low, high, side,
    threshold, seeds, planned, after_seed, more_seeds, stale (whether the protocol of the study has changed since).
    """
    return pd.DataFrame(_judged(store, path)["verdicts"])


def conditions_table(name: str, store: Store | None = None, path: Path = CLAIMS_FILE) -> pd.DataFrame:
    """Every condition of one claim as a row: label, effect, low, high, side, threshold, seeds, outcome."""
    return pd.DataFrame(_judged(store, path)["conditions"][name], columns=CONDITION)


def all_conditions(store: Store | None = None, path: Path = CLAIMS_FILE) -> pd.DataFrame:
    """Every condition of every claim as a row, as ``data/verdicts.csv`` keeps them: claim, verdict, label, side,
    threshold, effect, low, high, seeds, outcome, more_seeds."""
    judged = _judged(store, path)
    rows = [
        {"claim": row["claim"], "verdict": row["verdict"]} | condition
        for row in judged["verdicts"]
        for condition in judged["conditions"][row["claim"]] or [{}]
    ]
    numbers = ["side", "threshold", "effect", "low", "high", "seeds"]
    columns = ["claim", "verdict", "label", *numbers, "outcome", "more_seeds"]
    return pd.DataFrame(rows, columns=columns).astype({"seeds": "Int64", "more_seeds": "Int64"})


def _judged(store: Store | None, path: Path) -> dict:
    root = (Store() if store is None else store).root
    return kept("verdicts", state(root, [path]), lambda: _judge_all(Store(root), path))


def _judge_all(store: Store, path: Path) -> dict:
    """Every claim's row in the table of verdicts, and its conditions."""
    measured, rows, conditions, claims = Measured(store), [], {}, read(path)
    for name, claim in claims.items():
        study, found = STUDIES.get(claim["study"]), measured.results(claim["study"])
        verdict, judged = judge(claim, measured.judging(claim, replacing(claims, name)))
        key = deciding(judged)
        empty = {"label": "", "effect": float("nan"), "low": float("nan"), "high": float("nan")}
        empty |= {"side": "", "threshold": float("nan"), "seeds": 0}
        conditions[name] = [asdict(condition) for condition in judged]
        rows.append(
            {"claim": name, "paper": claim["paper"], "where": claim["where"], "short": claim["short"]}
            | {"statement": claim["claim"], "study": claim["study"], "verdict": verdict}
            | {"held": sum(c.outcome == SUPPORTED for c in judged), "conditions": len(judged)}
            | {column: getattr(key, column) if key else nothing for column, nothing in empty.items()}
            | {"planned": planned(claim, study) if study else 0}
            | {"after_seed": claim.get("after_seed", 0), "more_seeds": more_seeds(judged)}
            | {"stale": bool(found and not found.stand_in and found.stale)}
        )
    return {"verdicts": rows, "conditions": conditions}


def planned(claim: Mapping, study: Study) -> int:
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

        def counts(record: dict) -> bool:
            judges = partial(fresh, seed=record["seed"], net=record["config"].get("net"))
            later = any(judges(after) and fits(record["config"], after.get("only", {})) for after in successors)
            return judges(claim) and not later

        if not isinstance(claim.get("after_seed"), Mapping):
            return self.tables(name, only, counts)
        nets = dict.fromkeys(config.net for config in STUDIES[name].presets["paper"]) if name in STUDIES else ()
        runs = {net: self.tables(name, {**only, "net": net}, counts) for net in nets}
        return joined({net: tables for net, tables in runs.items() if tables is not None})


def joined(runs: Mapping[str, Tables]) -> Tables | None:
    """The tables of several networks in one, in which each run has a seed of its own, such as "small 9"."""
    parts = [dict.fromkeys(tables, (net, tables)) for net, tables in runs.items()]
    if not parts:
        return None

    def make(name: str) -> pd.DataFrame:
        found = [part[name] for part in parts if name in part]
        return pd.concat(
            [tables[name].assign(seed=net + " " + tables[name]["seed"].astype(str)) for net, tables in found],
            ignore_index=True,
        )

    return Tables(dict.fromkeys(name for part in parts for name in part), make)


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
