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
    """The runs of one configuration."""

    config: str  # in words
    address: str  # its hash
    wanted: int  # runs in all
    missing: int  # those not stored yet
    device: str
    seconds: float | None  # of one run on ``device``; None where nothing is known
    megabytes: float  # what one run leaves on the disk
    source: str  # "measured" (the median of stored runs) or "table"
    note: str = ""  # how the number of the table was got
    memory: float | None = None  # the most that one run holds at a time, in MB; None where it has not been measured
    # Study → columns of those of its runs, with the same seed, that make a training which this one needs too.
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
        listed = _entry(table.get(study.name, []), config)
        entry = listed if scale == "paper" else {}
        seconds, source = (float(entry[device]), "table") if device in entry else (None, "")
        if seconds is None:
            records = (_record(store, path) for path in known)
            times = [r["wall_time"] for r in records if ("gpu" in r["hardware"]) == (device == "cuda")]
            seconds, source = (median(times), "measured") if times else (None, "")
        sizes = [sum(file.stat().st_size for file in path.iterdir()) / 1e6 for path in known]
        jobs.append(
            Job(
                config=describe(config, study.presets[scale]) or study.name,
                address=config_hash(config),
                wanted=len(chosen),
                missing=len(set(chosen) - set(there)),
                device=device,
                seconds=seconds,
                megabytes=(median(sizes) if sizes else 0.0) + entry.get("megabytes", 0.0),
                source=source,
                note=entry.get("note", "") if source == "table" else "",
                memory=float(entry["memory"]) if "memory" in entry else None,
                after=listed.get("after", {}),
            )
        )
    return jobs


def held_out(study: Study, scale: str, store: Store | None = None) -> list[tuple[float, float]]:
    """(planned, measured) seconds of each stored run, foretold from the other seeds of its configuration.

    Configurations that the table of costs knows are left out: what they share with others, such as a training, is in
    the table but not in the time of a run that found it in the cache.
    """
    store, listed, pairs = store or Store(), _table(COSTS_FILE), []
    for config in study.presets[scale]:
        if "cpu" not in _entry(listed.get(study.name, []), config):
            paths = [store.path(scale, config, seed) for seed in store.seeds(scale, config)]
            times = [_record(store, path)["wall_time"] for path in paths]
            others = (times[:place] + times[place + 1 :] for place in range(len(times)))
            pairs += [(median(rest), time) for rest, time in zip(others, times, strict=True) if rest]
    return pairs


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


def summary(jobs: Sequence[Job]) -> str:
    """Runs missing, hours and disk of all jobs, in one line."""
    missing = sum(job.missing for job in jobs)
    unknown = sum(job.missing for job in jobs if job.seconds is None)
    hours = sum(job.missing * job.seconds for job in jobs if job.seconds is not None) / 3600
    disk = sum(job.missing * job.megabytes for job in jobs) / 1000
    wanted = sum(job.wanted for job in jobs)
    line = f"{missing} of {wanted} runs are missing: {hours:.1f} hours of one process on {jobs[0].device}"
    return line + f", {disk:.1f} GB" + (f"; {unknown} runs of unknown cost not counted" if unknown else "")
