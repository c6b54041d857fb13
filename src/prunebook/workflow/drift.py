"""Does a committed result come out again? A sample of them is measured anew and compared.

The tolerances are declared per metric in ``data/tolerances.yaml``; the last outcome of each result and kind of machine
is kept in ``data/drift.json``.
"""

import json
import os
import random
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.networks.device import resolve_device
from prunebook.paths import DATA, replacing
from prunebook.store import machine
from prunebook.store.comparison import TOLERANCES_FILE, compare, read_tolerances
from prunebook.store.results import Result, Store, version_of
from prunebook.studies.configuration import config_hash, describe
from prunebook.studies.study import Study
from prunebook.workflow.costs import from_nothing

OUTCOME_FILE = DATA / "drift.json"
_RESULT = ("study", "scale", "address", "seed")


def there(study: Study, scale: str, at_most: float | None = None, store: Store | None = None) -> list[tuple]:
    """The stored (configuration, seed, result) of a study that take at most so many minutes from nothing.

    Those of another version of the protocol are none: the code of today measures something else.
    """
    store, found = store or Store(), []
    for config in study.presets.get(scale, ()):
        for seed in store.seeds(scale, config):
            result = store.load(scale, config, seed)
            seconds = from_nothing(study.name, config, result.record["wall_time"])
            if version_of(result) == study.version and (at_most is None or seconds <= 60 * at_most):
                found.append((config, seed, result))
    return found


def within_reach(known: Mapping[str, Study], declared: Mapping, scale: str, at_most: float | None = None) -> list[str]:
    """Names of the studies with a tolerance that have such a result; InputError where there is none."""
    names = [name for name in known if name in declared and there(known[name], scale, at_most)]
    return names or _nothing("a study with a tolerance", scale, at_most)


def _nothing(of: str, scale: str, at_most: float | None) -> NoReturn:
    limit = "" if at_most is None else f" that took at most {at_most:g} minutes (--at-most): give more, or no limit"
    raise InputError(
        f"--scale {scale}: there is no stored result of {of}{limit}; 'prunebook list' shows what is stored, and "
        "'prunebook run' makes one"
    )


def again(
    study: Study, config: object, seed: int, *, device: str, data, report: Callable[[str], None]
) -> dict[str, pd.DataFrame]:
    """The tables of one run, measured anew: nothing of an earlier training is used."""
    loaded, dataset = study.prepare(config, data, device)
    if dataset.stand_in:
        raise InputError(f"{study.name}: the data are not there, only a stand-in ({dataset.name}): give --data FOLDER")
    with (
        tempfile.TemporaryDirectory(prefix="prunebook-drift-") as folder,
        patch.dict(os.environ, PRUNEBOOK_CACHE=folder),
    ):
        return study.run(loaded, seed, dataset, device, report)


def outcome(study, config, seed, scale, result: Result, tables: Mapping, device: str, tolerances: Mapping) -> dict:
    """What came of one re-run, ready for JSON."""
    rows = compare(result.tables, tables, tolerances).to_dict("records")
    for row in rows:  # JSON has no infinity
        row |= {name: None if np.isinf(row[name]) else row[name] for name in ("largest", "needed")}
    return {
        "study": study.name,
        "scale": scale,
        "config": describe(config, study.presets[scale]) or study.name,
        "address": config_hash(config),
        "seed": seed,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": machine.commit()[0],
        "hardware": machine.hardware(device),
        "then": {key: result.record[key] for key in ("commit", "hardware")},
        "metrics": rows,
        "ok": all(row["ok"] for row in rows),
    }


def keep(outcomes: list[dict], path: Path | None = None) -> Path:
    """Write outcomes into ``path`` (left out: ``OUTCOME_FILE``), which is returned.

    An outcome takes the place of an earlier one of the same result on the same kind of machine. All others stay, so
    that a result that drifted is not forgotten when another one is drawn.
    """
    path = OUTCOME_FILE if path is None else path
    before = [entry for entry in last(path) if not any(_same(entry, fresh) for fresh in outcomes)]
    order = sorted([*before, *outcomes], key=lambda e: (*(e[key] for key in _RESULT), machine.kind(e["hardware"])))
    with replacing(path) as file:
        file.write(f"{json.dumps(order, indent=1)}\n".encode())
    return path


def _same(one: Mapping, other: Mapping) -> bool:
    return all(one[key] == other[key] for key in _RESULT) and machine.same_kind(one["hardware"], other["hardware"])


def last(path: Path = OUTCOME_FILE) -> list[dict]:
    """The outcomes of the last re-runs; empty if there are none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def seen_elsewhere(outcomes: list[dict]) -> dict[tuple[str, str, str], dict]:
    """For each (study, table, metric) the re-runs on another kind of machine than the one that made the result:
    ``runs``, ``kinds`` of machines, and the most that any of them ``needed`` and its ``largest`` difference; infinite
    where a row was missing."""
    found: dict[tuple[str, str, str], dict] = {}
    for entry in outcomes:
        if machine.same_kind(entry["hardware"], entry["then"]["hardware"]):
            continue
        for row in entry["metrics"]:
            nothing = {"runs": 0, "kinds": set(), "needed": 0.0, "largest": 0.0}
            most = found.setdefault((entry["study"], row["table"], row["metric"]), nothing)
            most["runs"] += 1
            most["kinds"].add(machine.kind(entry["hardware"]))
            for name in ("needed", "largest"):
                most[name] = max(most[name], np.inf if row[name] is None else row[name])
    return found


def drift(
    study: Study,
    scale: str = "paper",
    *,
    runs: int = 1,
    pick: int = 0,
    at_most: float | None = None,
    device: str = "auto",
    data: str | Path | None = None,
    store: Store | None = None,
    report: Callable[[str], None] = print,
) -> list[dict]:
    """Measure ``runs`` stored results of one study again, drawn by ``pick``; ``at_most`` is in minutes.

    Raises InputError where nothing is stored that fits, or no tolerance is declared for the study.
    """
    tolerances, device = read_tolerances().get(study.name), resolve_device(device)
    if not tolerances:
        raise InputError(f"{TOLERANCES_FILE.name} declares no tolerance for {study.name}: add one first")
    if runs < 1:
        raise InputError(f"runs {runs} must be at least 1")
    if scale not in study.presets:
        raise InputError(f"study {study.name} has no scale {scale!r}: use {', '.join(study.presets)}")
    stored = there(study, scale, at_most, store) or _nothing(study.name, scale, at_most)
    found = []
    for config, seed, result in random.Random(pick).sample(stored, min(runs, len(stored))):
        words = describe(config, study.presets[scale])
        report(f"{study.name} {words} seed {seed}: took {result.record['wall_time']:.0f} s then")
        tables = again(study, config, seed, device=device, data=data, report=report)
        found.append(outcome(study, config, seed, scale, result, tables, device, tolerances))
    return found
