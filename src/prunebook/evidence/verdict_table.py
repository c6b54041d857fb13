"""From stored results to verdicts, by the rules in the ledger."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pandas as pd

from prunebook.evidence.claims import CLAIMS_FILE, SUPPORTED, read
from prunebook.evidence.judging import deciding, judge, more_seeds, narrowed
from prunebook.evidence.kept import kept, state
from prunebook.store.collect import stored
from prunebook.store.reading import Tables
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.studies.configuration import config_columns

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
    measured, rows, conditions = Measured(store), [], {}
    for name, claim in read(path).items():
        study, found = STUDIES[claim["study"]], measured.results(claim["study"])
        verdict, judged = judge(claim, measured.tables(study.name, claim.get("only", {})))
        key = deciding(judged)
        empty = {"label": "", "effect": float("nan"), "low": float("nan"), "high": float("nan")}
        empty |= {"side": "", "threshold": float("nan"), "seeds": 0}
        conditions[name] = [asdict(condition) for condition in judged]
        rows.append(
            {"claim": name, "paper": claim["paper"], "where": claim["where"], "short": claim["short"]}
            | {"statement": claim["claim"], "study": study.name, "verdict": verdict}
            | {"held": sum(c.outcome == SUPPORTED for c in judged), "conditions": len(judged)}
            | {column: getattr(key, column) if key else nothing for column, nothing in empty.items()}
            | {"planned": study.seeds["paper"] - claim.get("after_seed", 0)}
            | {"after_seed": claim.get("after_seed", 0), "more_seeds": more_seeds(judged)}
            | {"stale": bool(found and not found.stand_in and found.stale)}
        )
    return {"verdicts": rows, "conditions": conditions}


class Measured:
    """The paper-scale results in a store, each study looked up once."""

    def __init__(self, store: Store) -> None:
        self.results = cache(lambda name: stored(STUDIES[name], "paper", store=store))
        self._complete = cache(
            lambda name, only: complete(STUDIES[name], self.results(name), dict(only))  # hold what is cut out
        )

    def tables(self, name: str, only: Mapping) -> Tables | None:
        """The tables of the study ``name`` that a verdict may use; None if there are none.

        They are of real data, and of seeds that were run on all configurations that ``only`` asks for.
        """
        results = self.results(name)
        if results is None or results.stand_in:
            return None
        return self._complete(name, tuple(only.items()))


def complete(study, results, only: Mapping) -> Tables | None:
    """The rows that a claim is about, of the seeds that were run on all its configurations; None if there are none.

    A verdict on some of the networks or noise levels would be a verdict on another claim.
    """
    planned = sum(_fits(config_columns(config), only) for config in study.presets["paper"])
    fitting = pd.Series([r["seed"] for r in results.records if _fits(r["config"], only)]).value_counts()
    seeds = fitting.index[fitting == planned]
    return narrowed(results.tables, only, seeds) if len(seeds) else None


def _fits(config: Mapping, only: Mapping) -> bool:
    """Whether a configuration, from a preset or from a record, is one that ``only`` asks for."""
    return all(_as_column(config.get(name, value)) == value for name, value in only.items())


def _as_column(value):
    """A record keeps widths as a list, and a table's column as 784-32-32-10."""
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else value
