"""The grid as jobs, for a workflow manager: which runs are missing, and what each of them needs.

The store of results is the only memory. A run that is stored is no job, whatever the time stamps of files are.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from prunebook.errors import InputError
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.studies.configuration import SCALES, check_threads, config_columns, config_hash, seed_list
from prunebook.studies.study import DEVICES, Study
from prunebook.workflow.costs import Job, plan

# Limits leave room for a slower machine than the one that was measured on, and for another allocator.
MARGIN = 3
ROOM = 1.25
# For runs of which no cost is known yet.
MINUTES = {"smoke": 30, "laptop": 60, "paper": 1440}
MEGABYTES = 4000
_SETTINGS = ("scale", "studies", "seeds", "device", "threads", "data", "finished", "output")
_YES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Run:
    """One configuration, by its hash, and one seed."""

    study: str
    config: str
    seed: int


@dataclass(frozen=True)
class Request:
    """What is asked of the workflow.

    Attributes:
        scale: "smoke", "laptop" or "paper".
        studies: their names.
        seeds: in place of the number that each study wants at this scale.
        device, threads, data: as for ``prunebook run``.
        finished: make pages from what is stored, and run nothing.
        output: where pages, book and logs are written.
    """

    scale: str = "laptop"
    studies: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None
    device: str = "auto"
    threads: int = 1
    data: str = ""
    finished: bool = False
    output: str = "_build"


def request(settings: Mapping) -> Request:
    """A request from KEY=VALUE settings; InputError for one that is unknown or unusable."""
    if unknown := sorted(set(settings) - set(_SETTINGS)):
        raise InputError(f"setting {', '.join(unknown)} is unknown: use {', '.join(_SETTINGS)}")
    asked = dict(settings)
    scale = str(asked.get("scale", "laptop"))
    if scale not in SCALES:
        raise InputError(f"scale={scale}: use {', '.join(SCALES)}")
    if (device := str(asked.get("device", "auto"))) not in DEVICES:
        raise InputError(f"device={device}: use {', '.join(DEVICES)}")
    threads = check_threads(_number(asked.get("threads", 1)))
    finished = _YES.get(str(asked.get("finished", False)).lower())
    if finished is None:
        raise InputError(f"finished={asked['finished']}: use yes or no")
    known = [name for name, study in STUDIES.items() if scale in study.presets]
    given = asked.get("studies") or known
    names = re.split(r"[,\s]+", given.strip()) if isinstance(given, str) else list(given)
    if wrong := [name for name in names if name not in known]:
        raise InputError(f"studies={','.join(wrong)}: use {', '.join(known)}")
    seeds = asked.get("seeds")
    if seeds is not None:
        seeds = seed_list([*map(_number, seeds)] if isinstance(seeds, list | tuple) else seeds)
    data = str(Path(str(asked["data"])).expanduser().absolute()) if asked.get("data") else ""
    output = str(asked.get("output") or "_build")
    return Request(scale, tuple(names), seeds, device, threads, data, finished, output)


def _number(value: object) -> object:
    # Snakemake hands the members of a list on as text.
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]+", value) else value


def missing(asked: Request, studies: Sequence[str] | None = None, store: Store | None = None) -> list[Run]:
    """The runs that are wanted and not stored, in the order of studies, configurations and seeds."""
    store, known = store or Store(), STUDIES
    if asked.finished:
        return []
    absent = []
    for name in asked.studies:
        if studies is not None and name not in studies:
            continue
        wanted = asked.seeds or seed_list(known[name].seeds[asked.scale])
        for config in known[name].presets[asked.scale]:
            there = store.seeds(asked.scale, config)
            absent += [Run(name, config_hash(config), seed) for seed in wanted if seed not in there]
    return absent


def configuration(study: Study, scale: str, address: str) -> object:
    """The preset configuration of this hash, or of the only one that begins with it."""
    found = [config for config in study.presets[scale] if config_hash(config).startswith(address)]
    if len(found) != 1 or not address:
        there = ", ".join(map(config_hash, study.presets[scale]))
        raise InputError(f"configuration {address!r} of {study.name} at {scale}: use one of {there}")
    return found[0]


@cache
def _costs(study: str, scale: str, device: str) -> dict[str, Job]:
    jobs = plan(STUDIES[study], scale, device="cpu" if device == "auto" else device)
    return {job.address: job for job in jobs}


def needs(asked: Request, run: Run, attempt: int = 1) -> dict[str, int]:
    """Time limit in minutes (``runtime``) and memory in MB (``mem_mb``) of a run; more at every attempt.

    The limit has room for the training that is shared with other runs: what they left may not be on this machine.
    """
    job = _costs(run.study, asked.scale, asked.device)[run.config]
    seconds = [job.seconds, *(_costs(*other)[address].seconds for other, address in _shares(asked, job))]
    known = None not in seconds
    limit = max(10, math.ceil(MARGIN * sum(seconds) / 600) * 10) if known else MINUTES[asked.scale]
    memory = MEGABYTES if job.memory is None else ROOM * job.memory
    return {"runtime": limit * attempt, "mem_mb": math.ceil(memory * (1 + attempt) / 2)}


def before(asked: Request, run: Run, among: Sequence[Run]) -> list[Run]:
    """The runs of ``among`` to wait for, since they make a training that this one needs too."""
    job = _costs(run.study, asked.scale, asked.device)[run.config]
    shared = {(study, address) for (study, *_), address in _shares(asked, job)}
    return [other for other in among if other.seed == run.seed and (other.study, other.config) in shared]


def _shares(asked: Request, job: Job) -> list[tuple[tuple[str, str, str], str]]:
    """(study, scale, device) and the hash of each configuration that makes a training which ``job`` needs too."""
    return [
        ((study, asked.scale, asked.device), config_hash(config))
        for study, where in job.after.items()
        for config in STUDIES[study].presets[asked.scale]
        if where.items() <= config_columns(config).items() and config_hash(config) != job.address
    ]


def shown(page: Path) -> tuple[str, ...]:
    """The studies that a page (its .py) names in quotes."""
    text = page.read_text(encoding="utf-8")
    return tuple(name for name in STUDIES if re.search(rf"""["']{re.escape(name)}["']""", text))
