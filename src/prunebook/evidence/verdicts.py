"""From committed tables to verdicts, by the rules in the ledger."""

import math
from functools import lru_cache
from pathlib import Path

import pandas as pd

from prunebook.evidence.claims import CLAIMS_FILE, SUPPORTED, read
from prunebook.evidence.judging import deciding, judge, more_seeds


def _paper_results(study: str, store):
    """A study and its stored results of the paper scale (None: none)."""
    from prunebook.store.results import Store  # the studies bring everything with them

    return _load(study, (Store() if store is None else store).root)


@lru_cache(maxsize=32)  # a page asks many times, and each result is checked when it is read
def _load(study: str, root: Path):
    from prunebook.store.collect import stored
    from prunebook.store.results import Store
    from prunebook.studies import STUDIES

    found = STUDIES[study]
    return found, stored(found, "paper", store=Store(root))


def verdicts(store=None, path: Path = CLAIMS_FILE) -> pd.DataFrame:
    """One row a claim from the stored paper-scale results; results on stand-in data carry no verdict.

    Columns: claim, paper, where, short, statement, study, verdict, held, conditions, label, effect, low, high, side,
    threshold, seeds, planned, after_seed, more_seeds, stale (whether code that the results depend on has changed).
    """
    rows = []
    for name, claim in read(path).items():
        study, results = _paper_results(claim["study"], store)
        real = results is not None and not results.stand_in
        verdict, conditions = judge(claim, tables_for(study.name, claim.get("only", {}), store))
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
                "planned": study.seeds["paper"] - claim.get("after_seed", 0),
                "after_seed": claim.get("after_seed", 0),
                "more_seeds": more_seeds(conditions),
                "stale": bool(real and results.stale),
            }
        )
    return pd.DataFrame(rows)


def complete(study, results, only: dict) -> dict[str, pd.DataFrame] | None:
    """The tables of the seeds that were run on all configurations that a claim is about; None if there are none.

    A verdict on some of the networks or noise levels would be a verdict on another claim.
    """
    from prunebook.studies.configuration import config_columns  # the studies bring everything with them

    planned = sum(_fits(config_columns(config), only) for config in study.presets["paper"])
    runs: dict[int, int] = {}
    for record in results.records:
        runs[record["seed"]] = runs.get(record["seed"], 0) + _fits(record["config"], only)
    seeds = [seed for seed, count in runs.items() if count == planned]
    tables = {name: table[table["seed"].isin(seeds)] for name, table in results.tables.items()}
    return tables if seeds else None


def _fits(config: dict, only: dict) -> bool:
    """Whether a configuration, from a preset or from a record, is one that ``only`` asks for."""
    return all(_as_column(config.get(name, value)) == value for name, value in only.items())


def _as_column(value):
    """A record keeps widths as a list, and a table's column as 784-32-32-10."""
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else value


def tables_for(name: str, only: dict, store=None) -> dict[str, pd.DataFrame] | None:
    """The paper-scale tables of the study ``name`` that a verdict may use; None if there are none.

    They are of real data, and of seeds that were run on all configurations that ``only`` asks for.
    """
    study, results = _paper_results(name, store)
    real = results is not None and not results.stand_in
    return complete(study, results, only) if real else None


def conditions_table(name: str, store=None, path: Path = CLAIMS_FILE) -> pd.DataFrame:
    """Every condition of one claim as a row: label, effect, low, high, side, threshold, seeds, outcome."""
    claim = read(path)[name]
    _, conditions = judge(claim, tables_for(claim["study"], claim.get("only", {}), store))
    columns = ["label", "effect", "low", "high", "side", "threshold", "seeds", "outcome"]
    return pd.DataFrame(
        [{column: getattr(c, column) for column in columns} for c in conditions], columns=columns
    )
