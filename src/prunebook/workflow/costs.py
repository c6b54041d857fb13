"""What a grid costs before it is started: from measured runs, and from ``data/costs.yaml`` where there are none."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import yaml

from prunebook.paths import DATA
from prunebook.store.results import Store
from prunebook.studies.configuration import config_columns, config_hash, describe
from prunebook.studies.study import Study

COSTS_FILE = DATA / "costs.yaml"


@dataclass(frozen=True)
class Job:
    """The runs of one configuration.

    Attributes:
        config: in words.
        address: the configuration's hash.
        wanted, missing: runs in all, and those not stored yet.
        seconds: of one run on ``device``; None where nothing is known.
        megabytes: what one run leaves on the disk.
        source: "measured" (the median of stored runs) or "table".
        note: how the number of the table was got.
        memory: the most that one run holds at a time, in MB; None where it has not been measured.
        after: study → columns of those of its runs, with the same seed, that make a training which this one needs too.
    """

    config: str
    address: str
    wanted: int
    missing: int
    device: str
    seconds: float | None
    megabytes: float
    source: str
    note: str = ""
    memory: float | None = None
    after: dict[str, dict] = field(default_factory=dict)


def plan(
    study: Study,
    scale: str,
    *,
    device: str = "cpu",
    seeds: Sequence[int] | None = None,
    store: Store | None = None,
    costs: Path = COSTS_FILE,
) -> list[Job]:
    """One job a configuration of a preset. The table goes before measured runs, since a run may have found its
    training in the cache."""
    store = store or Store()
    table = _table(costs)
    chosen = tuple(seeds or range(1, study.seeds[scale] + 1))
    jobs = []
    for config in study.presets[scale]:
        there = store.seeds(scale, config)
        known = [store.path(scale, config, seed) for seed in there]
        records = [_record(store, path) for path in known]
        alike = (record for record in records if ("gpu" in record["hardware"]) == (device == "cuda"))
        times = [record["wall_time"] for record in alike]
        size = median(map(_megabytes, known)) if known else 0.0
        listed = _entry(table.get(study.name, []), config)
        entry = listed if scale == "paper" else {}
        seconds, source = (float(entry[device]), "table") if device in entry else (None, "")
        if seconds is None and times:
            seconds, source = median(times), "measured"
        jobs.append(
            Job(
                describe(config, study.presets[scale]) or study.name,
                config_hash(config),
                len(chosen),
                len(set(chosen) - set(there)),
                device,
                seconds,
                size + entry.get("megabytes", 0.0),
                source,
                entry.get("note", "") if source == "table" else "",
                float(entry["memory"]) if "memory" in entry else None,
                listed.get("after", {}),
            )
        )
    return jobs


@dataclass(frozen=True)
class HeldOut:
    """How far plans of a study's configurations were off.

    Attributes:
        study: its name.
        runs: how many were foretold, each from the other stored seeds of its configuration.
        planned, measured: hours of these runs.
        lowest, highest: of single runs, the measured time over the planned one.
    """

    study: str
    runs: int
    planned: float
    measured: float
    mask_lowest: float
    highest: float

    @property
    def factor(self) -> float:
        """Measured over planned, all runs together."""
        return self.measured / self.planned


def held_out(study: Study, scale: str, store: Store | None = None) -> HeldOut | None:
    """Plans of each stored run from the other seeds of its configuration, as if it were still missing.

    Configurations that the table of costs knows are left out: what they share with others, such as a training, is in
    the table but not in the time of a run that found it in the cache. None where no configuration has two seeds.
    """
    store, listed, pairs = store or Store(), _table(COSTS_FILE), []
    for config in study.presets[scale]:
        if "cpu" in _entry(listed.get(study.name, []), config):
            continue
        paths = [store.path(scale, config, seed) for seed in sorted(store.seeds(scale, config))]
        times = [_record(store, path)["wall_time"] for path in paths]
        if len(times) > 1:
            pairs += [(median(times[:place] + times[place + 1 :]), time) for place, time in enumerate(times)]
    if not pairs:
        return None
    factors = [measured / planned for planned, measured in pairs]
    planned, measured = (sum(times) / 3600 for times in zip(*pairs, strict=True))
    return HeldOut(study.name, len(pairs), planned, measured, min(factors), max(factors))


def from_nothing(study: str, config: object, taken: float, costs: Path = COSTS_FILE) -> float:
    """Seconds of a run on a CPU that finds nothing in the cache, from the ``taken`` ones of a run that may have.

    The table of costs knows the trainings that runs share; what it does not know counts as nothing.
    """
    table = _table(costs)
    entry = _entry(table.get(study, []), config)
    shared = (_fitting(table.get(name, []), where) for name, where in entry.get("after", {}).items())
    trainings = sum(other.get("cpu", 0.0) for other in shared)
    return float(max(taken, entry.get("cpu", 0.0)) + trainings)


def _table(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _entry(entries: list[dict], config: object) -> dict:
    return _fitting(entries, config_columns(config))


def _fitting(entries: list[dict], columns: dict) -> dict:
    fits = (e for e in entries if all(columns.get(key) == value for key, value in e["where"].items()))
    return next(fits, {})


def _record(store: Store, path: Path) -> dict:
    """The record alone, as plans are made often; whoever uses the tables has them checked."""
    try:
        return json.loads((path / "record.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return store.open(path).record  # says what is wrong with it


def _megabytes(path: Path) -> float:
    return sum(file.stat().st_size for file in path.iterdir()) / 1e6


def summary(jobs: Sequence[Job]) -> str:
    """Runs missing, hours and disk of all jobs, in one line."""
    missing = sum(job.missing for job in jobs)
    unknown = sum(job.missing for job in jobs if job.seconds is None)
    hours = sum(job.missing * job.seconds for job in jobs if job.seconds is not None) / 3600
    disk = sum(job.missing * job.megabytes for job in jobs) / 1000
    wanted = sum(job.wanted for job in jobs)
    line = f"{missing} of {wanted} runs are missing: {hours:.1f} hours of one process on {jobs[0].device}"
    return line + f", {disk:.1f} GB" + (f"; {unknown} runs of unknown cost not counted" if unknown else "")
