"""The grid as jobs, for a workflow manager: which runs are missing, and what each of them needs.

The store of results is the only memory. A run that is stored is no job, whatever the time stamps of files are.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from prunebook.errors import InputError
from prunebook.networks.device import DEVICES
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.studies.configuration import SCALES, check_threads, config_columns, config_hash, seed_list
from prunebook.studies.study import Study
from prunebook.workflow.costs import Job, plan

# Limits leave room for a slower machine than the one that was measured on, and for another allocator.
MARGIN = 3
ROOM = 1.25
# For runs of which no cost is known yet.
MINUTES = {"smoke": 30, "laptop": 60, "paper": 1440}
MEGABYTES = 4000
_YES = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True)
class Run:
    """One configuration, by its hash, and one seed."""

    study: str
    config: str
    seed: int


@dataclass(frozen=True)
class Request:
    """What is asked of the workflow."""

    scale: str = "laptop"
    studies: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None  # in place of the number that each study wants at this scale
    device: str = "auto"  # this and the next two as for ``prunebook run``
    threads: int = 1
    data: str = ""
    finished: bool = False  # make pages from what is stored, and run nothing
    output: str = "_build"  # where pages, book and logs are written


def request(settings: Mapping) -> Request:
    """A request from KEY=VALUE settings; InputError for one that is unknown or unusable."""
    usual = asdict(Request())
    if unknown := sorted(set(settings) - set(usual)):
        raise InputError(f"setting {', '.join(unknown)} is unknown: use {', '.join(usual)}")
    asked = usual | dict(settings)
    words = {"scale": SCALES, "device": DEVICES, "finished": tuple(_YES)}
    scale, device, finished = (_one_of(name, str(asked[name]), allowed) for name, allowed in words.items())
    threads = check_threads(_number(asked["threads"]))
    known = [name for name, study in STUDIES.items() if scale in study.presets]
    given = asked["studies"] or known
    names = re.split(r"[,\s]+", given.strip()) if isinstance(given, str) else list(given)
    if wrong := [name for name in names if name not in known]:
        raise InputError(f"studies={','.join(wrong)}: use {', '.join(known)}")
    seeds = asked["seeds"]
    if seeds is not None:
        seeds = seed_list([*map(_number, seeds)] if isinstance(seeds, list | tuple) else seeds)
    data = str(Path(str(asked["data"])).expanduser().absolute()) if asked["data"] else ""
    output = str(asked["output"] or usual["output"])
    return Request(scale, tuple(names), seeds, device, threads, data, _YES[finished], output)


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    found = next((word for word in allowed if word == value.lower()), None)
    if found is None:
        raise InputError(f"{name}={value}: use {', '.join(allowed)}")
    return found


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
