"""Does a committed result come out again? A sample of them is measured anew and compared.

The tolerances are declared per metric in ``data/tolerances.yaml``; the last outcome of each result and kind of machine
is kept in ``data/drift.json``.
"""

import json
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.networks.device import resolve_device
from prunebook.paths import DATA, environment, replacing
from prunebook.store import machine
from prunebook.store.comparison import TOLERANCES_FILE, compare, read_tolerances
from prunebook.store.results import Result, Store
from prunebook.studies.configuration import config_hash, describe
from prunebook.studies.study import Study
from prunebook.workflow.costs import from_nothing

OUTCOME_FILE = DATA / "drift.json"
_RESULT = ("study", "scale", "address", "seed")


def there(study: Study, scale: str, at_most: float | None = None, store: Store | None = None) -> list[tuple]:
    """The stored (configuration, seed, result) of a study that take at most so many seconds from nothing."""
    store, found = store or Store(), []
    for config in study.presets.get(scale, ()):
        for seed in store.seeds(scale, config):
            result = store.load(scale, config, seed)
            taken = from_nothing(study.name, config, result.record["wall_time"])
            if at_most is None or taken <= at_most:
                found.append((config, seed, result))
    return found


def within_reach(known: Mapping[str, Study], declared: Mapping, scale: str, minutes: float | None = None) -> list[str]:
    """Names of the studies with a tolerance that have a stored result which took at most so many minutes.

    Raises InputError where there is none, and says what there is to do.
    """
    seconds = None if minutes is None else 60 * minutes
    names = [name for name in known if name in declared and there(known[name], scale, seconds)]
    if names:
        return names
    if minutes is not None and any(there(known[name], scale) for name in known if name in declared):
        raise InputError(
            f"--at-most {minutes:g}: no stored result of scale {scale} took so few minutes; give more, or none"
        )
    raise InputError(
        f"--scale {scale}: no result of a study with a tolerance is stored at this scale; "
        "'prunebook list' shows what is, and 'prunebook run' makes one"
    )


def sample(study: Study, scale: str, runs: int, pick: int, store: Store, at_most: float | None = None) -> list[tuple]:
    """``runs`` of the stored results that took at most so many seconds, drawn by ``pick``."""
    found = there(study, scale, at_most, store)
    return random.Random(pick).sample(found, min(runs, len(found)))


def again(
    study: Study, config: object, seed: int, *, device: str, data, report: Callable[[str], None]
) -> dict[str, pd.DataFrame]:
    """The tables of one run, measured anew: nothing of an earlier training is used."""
    loaded, dataset = study.prepare(config, data, device)
    if dataset.stand_in:
        raise InputError(f"{study.name}: the data are not there, only a stand-in ({dataset.name}): give --data FOLDER")
    with _no_cache():
        return study.run(loaded, seed, dataset, device, report)


@contextmanager
def _no_cache() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="prunebook-drift-") as folder, environment(PRUNEBOOK_CACHE=folder):
        yield


def outcome(
    study: Study,
    config: object,
    seed: int,
    scale: str,
    result: Result,
    tables: Mapping,
    device: str,
    tolerances: Mapping,
) -> dict:
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


def between_seeds(study: Study, scale: str, tolerances: Mapping, store: Store | None = None) -> pd.Series:
    """What tolerance each (table, metric) would need for a result to pass as that of the next seed: the median over all
    such pairs of a configuration. A tolerance as wide as that cannot tell another machine from another seed."""
    store, found = store or Store(), []
    for config in study.presets[scale]:
        tables = [store.load(scale, config, seed).tables for seed in store.seeds(scale, config)]
        found += [compare(one, other, tolerances) for one, other in pairwise(tables)]
    return pd.concat(found).groupby(["table", "metric"])["needed"].median() if found else pd.Series(dtype=float)


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
    """Re-run a sample of the stored results of one study and compare.

    Args:
        runs, pick, at_most: see :func:`sample`.
        device, data: for the new run.

    Raises InputError where nothing is stored that fits, or no tolerance is declared for the study.
    """
    tolerances, device = read_tolerances().get(study.name), resolve_device(device)
    if not tolerances:
        raise InputError(f"{TOLERANCES_FILE.name} declares no tolerance for {study.name}: add one first")
    if runs < 1:
        raise InputError(f"runs {runs} must be at least 1")
    if scale not in study.presets:
        raise InputError(f"study {study.name} has no scale {scale!r}: use {', '.join(study.presets)}")
    drawn = sample(study, scale, runs, pick, store or Store(), at_most)
    if not drawn:
        limit = "" if at_most is None else f" that took at most {at_most / 60:g} minutes: give more, or no limit"
        raise InputError(f"there is no stored result of {study.name} at {scale}{limit}")
    found = []
    for config, seed, result in drawn:
        words = describe(config, study.presets[scale])
        report(f"{study.name} {words} seed {seed}: took {result.record['wall_time']:.0f} s then")
        tables = again(study, config, seed, device=device, data=data, report=report)
        found.append(outcome(study, config, seed, scale, result, tables, device, tolerances))
    return found
