"""Carrying out a study: for each configuration and seed, a stored result or a new run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pandas as pd
import pyarrow as pa

from prunebook.errors import DataError, InputError, ResultError
from prunebook.networks.device import check_precision, resolve_device
from prunebook.store import machine
from prunebook.store.reading import Tables
from prunebook.store.results import Result, ResultMissing, Store, outdated, version_of
from prunebook.studies.configuration import canonical, config_columns, describe, seed_list
from prunebook.studies.study import Study

Report = Callable[[str], None]


@dataclass(frozen=True)
class Collected:
    """The results of a study, put together."""

    tables: Mapping  # with the configuration's columns, then ``seed``, then what was measured
    results: tuple[Result, ...]  # in the order of configurations and seeds
    study: str
    scale: str
    stand_in: bool
    notices: tuple[str, ...]  # sentences for the reader, on stand-ins above all
    stale: dict[str, tuple[str, ...]]  # place of an outdated result in the store → what has changed since, in sentences
    measured: int  # the results that this call made; the others were in the store

    @property
    def changes(self) -> tuple[str, ...]:
        """What has changed in the protocol since any of the results was measured, each sentence once."""
        return tuple(dict.fromkeys(text for texts in self.stale.values() for text in texts))

    @property
    def versions(self) -> dict[int, tuple[int, ...]]:
        """The seeds by the version of the protocol that they were measured by, versions and seeds in order."""
        found: dict[int, set[int]] = {}
        for result in self.results:
            found.setdefault(version_of(result), set()).add(result.record["seed"])
        return {version: tuple(sorted(found[version])) for version in sorted(found)}

    @property
    def records(self) -> list[dict]:
        """The record of each result."""
        return [result.record for result in self.results]


def _labels(study: Study, config: object, seed: int, name: str, columns: Iterable[str]) -> dict[str, object]:
    """What stands before the ``columns`` of a table in each row. Raises InputError where they have it already."""
    labels = {**config_columns(config), "seed": seed}
    if double := sorted(labels.keys() & set(columns)):
        raise InputError(
            f"study {study.name}: table {name!r} has the columns {', '.join(double)}, which come from the "
            "configuration and the seed: rename or drop them"
        )
    return labels


def _other_data(result: Result, dataset: object) -> list[str]:
    """Which checksums show that a stored result was measured on other data than ``dataset``."""
    then, now = result.record["data"]["checksums"], json.loads(json.dumps(dict(dataset.checksums)))
    # Only what both name is compared: the same data set may come packed or unpacked.
    differing = sorted(key for key in then.keys() & now.keys() if then[key] != now[key])
    return differing + ["stand_in"] * (result.record["data"]["stand_in"] != bool(dataset.stand_in))


@dataclass
class _Collection:
    """One call of :func:`collect`: what it was asked and what it has found so far."""

    study: Study
    scale: str
    configs: tuple
    seeds: tuple[int, ...]
    device: str
    data: str | Path | None
    fresh: bool
    store: Store
    report: Report
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)
    prepared: dict[int, tuple] = field(default_factory=dict)
    found: dict[tuple[int, int], tuple[object, Result]] = field(default_factory=dict)
    measured: int = 0

    def say(self, index: int, seed: int, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.clock), 60)
        parts = [f"{self.study.name} {self.scale}"]
        if len(self.configs) > 1:
            words = describe(self.configs[index], self.configs)
            parts.append(f"config {index + 1}/{len(self.configs)} {words}".rstrip())
        parts += [f"seed {self.seeds.index(seed) + 1}/{len(self.seeds)}", f"{minutes}:{seconds:02d}", text]
        self.report(" | ".join(parts))

    def look(self, config: object, seed: int) -> Result | None:
        """The stored result; with ``fresh`` only one that another process made since this call began."""
        self.store.sweep(self.scale, config, seed)
        try:
            result = self.store.load(self.scale, config, seed)
        except ResultMissing:
            return None
        except ResultError:
            if self.fresh:
                return None
            raise
        finished = datetime.fromisoformat(result.record["finished"])
        old = finished < self.began or version_of(result) != self.study.version
        return None if self.fresh and old else result

    def prepare(self, index: int, seed: int) -> tuple:
        if index in self.prepared:
            return self.prepared[index]
        self.say(index, seed, "loading the data")
        preset = self.configs[index]
        config, dataset = self.study.prepare(preset, self.data, self.device)
        canonical(config)  # an address that cannot be made is told before any training
        asked = getattr(preset, "dataset", None)
        same = (r for (i, _), (_, r) in self.found.items() if getattr(self.configs[i], "dataset", None) == asked)
        real = sum(not result.record["data"]["stand_in"] for result in same)
        if dataset.stand_in and real:
            raise DataError(
                f"{real} results of {self.study.name} at {self.scale} were measured on {asked}, but the "
                f"others would be on its stand-in {dataset.name}; the two do not mix: name the folder that "
                f"holds {asked} (--data FOLDER; see 'prunebook doctor'), or measure all anew (--fresh)"
            )
        if any(config == other for other, _ in self.prepared.values()):
            raise DataError(
                f"two configurations of {self.study.name} at {self.scale} become the same on {dataset.name}: "
                "name the folder that holds the data (--data FOLDER), or choose one (--only KEY=VALUE)"
            )
        self.prepared[index] = (config, dataset)
        return config, dataset

    def settle(self, index: int, seed: int, wait: bool) -> bool:
        """Load or make one result; False if another process is at it and we do not ``wait``."""
        config, dataset = self.prepare(index, seed)
        result = self.look(config, seed)
        if result is None:
            try:
                with self.store.lock(self.scale, config, seed, timeout=-1 if wait else 0):
                    result = self.look(config, seed) or self.make(index, config, seed, dataset)
            except filelock.Timeout:
                self.say(index, seed, "in work in another process: left for later")
                return False
        differing = _other_data(result, dataset)
        # Who names a folder wants the numbers of what is in it. Computed data, on the other hand, may differ
        # in their last digits from one machine to the next: that is told in a notice.
        if "stand_in" in differing or (differing and self.data is not None):
            raise ResultError(
                f"{result.path} was measured on other data than there is now ({', '.join(differing)} "
                f"differ): delete the folder {result.path}, or run with fresh (--fresh)"
            )
        self.found[index, seed] = (config, result)
        return True

    def make(self, index: int, config: object, seed: int, dataset: object) -> Result:
        self.say(index, seed, f"start on {dataset.name}, {self.device}")
        started, clock = datetime.now(UTC), time.monotonic()
        tables = self.study.run(config, seed, dataset, self.device, lambda text: self.say(index, seed, text))
        seconds = time.monotonic() - clock
        for name, table in tables.items():
            _labels(self.study, config, seed, name, table.columns)
        data = {"name": dataset.name, "origin": str(dataset.origin), "checksums": dict(dataset.checksums)}
        data |= {"stand_in": bool(dataset.stand_in), "notice": dataset.notice}
        facts = {
            "module": self.study.module,
            "protocol": self.study.version,
            "device": self.device,
            "started": started.isoformat(timespec="seconds"),
            "wall_time": round(seconds, 3),
            "data": data,
        }
        result = self.store.save(self.scale, config, seed, tables, facts)
        self.measured += 1
        self.say(index, seed, f"done in {seconds:.1f} s")
        return result

    def carry_out(self) -> list[tuple[int, int]]:
        """All pairs of a configuration and a seed, once ``found`` has their results."""
        pairs = [(index, seed) for index in range(len(self.configs)) for seed in self.seeds]
        if not self.fresh and self.data is None:
            # Stored results of the presets serve without the data being there at all.
            for index, seed in pairs:
                if result := self.look(self.configs[index], seed):
                    self.found[index, seed] = (self.configs[index], result)
        pending = [pair for pair in pairs if pair not in self.found]
        for wait in (False, True):
            pending = [pair for pair in pending if not self.settle(*pair, wait=wait)]
        return pairs


def collect(
    study: Study,
    scale: str,
    *,
    seeds: Any = None,
    configs: Sequence | None = None,
    device: str = "auto",
    data: str | Path | None = None,
    fresh: bool = False,
    store: Store | None = None,
    report: Report = lambda text: print(text, flush=True),
) -> Collected:
    """The results of ``study`` at ``scale``: from the store where they are there, measured where not.

    ``seeds`` are how many (1..n) or a list of them, ``configs`` which configurations; left out, as many as the study
    wants at this scale, and its presets. With ``data``, a folder, stored results are used only if they are of the data
    in it. ``fresh`` measures everything anew, in the place of what is stored. ``device`` is "auto", "cpu" or "cuda".
    ``report`` is told the progress, a line at a time.

    An interrupted call loses at most the seed it was at. Several processes may work on one study: each takes
    the seeds that no other has begun. An outdated result is used, and named in ``stale``.

    Raises InputError for an unusable argument before any work, DataError for data, ResultError for a stored
    result that is broken.
    """
    _check_scale(study, scale)
    chosen = seed_list(study.seeds[scale] if seeds is None else seeds)
    configs = study.check(study.presets[scale] if configs is None else configs, "configs")
    device = resolve_device(device)
    for config in configs:
        check_precision(getattr(config, "precision", "single"), device)
    machine.commit()  # read now: the code that runs is the code as it is at the start
    store = Store() if store is None else store
    work = _Collection(study, scale, configs, chosen, device, data or None, fresh, store, report)
    found = [(*work.found[pair], work.prepared.get(pair[0], (None, None))[1]) for pair in work.carry_out()]
    return _assemble(study, scale, found, work.measured)


def stored(study: Study, scale: str, *, store: Store | None = None) -> Collected | None:
    """What the store holds of the presets of ``study`` at ``scale``, whatever the seed; None if nothing.

    Nothing is measured, and no data are looked at. Results on a stand-in have other addresses, so they are not among
    them. A table is read, and checked, when it is first asked for. Raises as :func:`collect`.
    """
    _check_scale(study, scale)
    store = Store() if store is None else store
    found = [
        (config, store.peek(store.path(scale, config, seed)), None)
        for config in study.presets[scale]
        for seed in store.seeds(scale, config)
    ]
    return _assemble(study, scale, found, 0) if found else None


def _check_scale(study: Study, scale: str) -> None:
    if scale not in study.presets:
        raise InputError(f"study {study.name} has no scale {scale!r}: use {', '.join(study.presets)}")


def _assemble(study: Study, scale: str, found: list[tuple], measured: int) -> Collected:
    """Put (configuration, result, dataset or None) together."""
    old, notices = {}, []
    for _, result, dataset in found:
        place = "/".join(result.path.parts[-4:])
        notices.append(result.record["data"]["notice"])
        if changed := outdated(result, study):
            old[place] = changed
        if dataset is not None and (differing := _other_data(result, dataset)):
            told = f"was measured on other data than there is now ({', '.join(differing)} differ)"
            notices.append(f"The result {place} {told}.")
    results = tuple(result for _, result, _ in found)
    names = [name for result in results for name in result.record["tables"]]
    tables = Tables(names, lambda name: _together(study, found, name))
    stand_in = any(result.record["data"]["stand_in"] for result in results)
    notices = tuple(dict.fromkeys(filter(None, notices)))
    return Collected(tables, results, study.name, scale, stand_in, notices, old, measured)


def _together(study: Study, found: list[tuple], name: str) -> pd.DataFrame:
    """One table of all results, with the columns of the configuration and the seed before its own."""
    parts, labels = [], []
    for config, result, _ in found:
        if name in result.record["tables"]:
            parts.append(result.arrow(name))
            labels.append(_labels(study, config, result.record["seed"], name, parts[-1].column_names))
    # A column without a fraction is stored as whole numbers by some runs and as floats by others.
    table = pa.concat_tables(parts, promote_options="permissive").combine_chunks().to_pandas()
    rows = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    before = pd.DataFrame(labels).take(rows).reset_index(drop=True)
    before["seed"] = before.pop("seed")  # last, where configurations have columns of their own
    return pd.concat([before, table], axis=1)
