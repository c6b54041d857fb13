"""What a grid costs before it is started: from measured runs, and from ``data/costs.yaml`` where there are none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

from prunebook.results import Store
from prunebook.studies import Study, config_columns, describe

COSTS_FILE = Path(__file__).parents[2] / "data" / "costs.yaml"


@dataclass(frozen=True)
class Job:
    """The runs of one configuration.

    Attributes:
        config: in words.
        wanted, missing: runs in all, and those not stored yet.
        seconds: of one run on ``device``; None where nothing is known.
        megabytes: what one run leaves on the disk.
        source: "measured" (the median of stored runs) or "table".
        note: how the number of the table was got.
    """

    config: str
    wanted: int
    missing: int
    device: str
    seconds: float | None
    megabytes: float
    source: str
    note: str = ""


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
    table = yaml.safe_load(costs.read_text(encoding="utf-8")) or {}
    chosen = tuple(seeds or range(1, study.seeds[scale] + 1))
    jobs = []
    for config in study.presets[scale]:
        there = store.seeds(scale, config)
        known = [store.open(store.path(scale, config, seed)) for seed in there]
        times = [
            run.record["wall_time"]
            for run in known
            if ("gpu" in run.record["hardware"]) == (device == "cuda")
        ]
        size = median(map(_megabytes, known)) if known else 0.0
        entry = _entry(table.get(study.name, []), config) if scale == "paper" else {}
        seconds, source = (entry.get(device), "table") if device in entry else (None, "")
        seconds = None if seconds is None else float(seconds)
        if seconds is None and times:
            seconds, source = median(times), "measured"
        jobs.append(
            Job(
                describe(config, study.presets[scale]) or study.name,
                len(chosen),
                len(set(chosen) - set(there)),
                device,
                seconds,
                size + entry.get("megabytes", 0.0),
                source,
                entry.get("note", "") if source == "table" else "",
            )
        )
    return jobs


def _entry(entries: list[dict], config: object) -> dict:
    columns = config_columns(config)
    fits = (e for e in entries if all(columns.get(key) == value for key, value in e["where"].items()))
    return next(fits, {})


def _megabytes(run) -> float:
    return sum(file.stat().st_size for file in Path(run.path).iterdir()) / 1e6


def summary(jobs: Sequence[Job]) -> str:
    """Runs missing, hours and disk of all jobs, in one line."""
    missing = sum(job.missing for job in jobs)
    unknown = sum(job.missing for job in jobs if job.seconds is None)
    hours = sum(job.missing * job.seconds for job in jobs if job.seconds is not None) / 3600
    disk = sum(job.missing * job.megabytes for job in jobs) / 1000
    wanted = sum(job.wanted for job in jobs)
    line = f"{missing} of {wanted} runs are missing: {hours:.1f} hours of one process on {jobs[0].device}"
    return line + f", {disk:.1f} GB" + (f"; {unknown} runs of unknown cost not counted" if unknown else "")
