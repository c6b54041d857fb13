"""A check-up: what is there, what is missing, and what to do about it. Nothing is loaded or changed."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prunebook import paths
from prunebook.errors import DataError, ResultError
from prunebook.store import machine
from prunebook.store.results import Store, outdated
from prunebook.studies import STUDIES
from prunebook.studies.study import Study


@dataclass(frozen=True)
class Check:
    """One line of the check-up. ``fatal``: no run at all is possible before this is put right."""

    part: str
    what: str
    status: str  # "ok", "missing", or what else is wrong, in a word
    found: str
    advice: str = ""
    fatal: bool = False


@dataclass(frozen=True)
class Survey:
    """What the store holds of a study at one scale: results of the presets and their seeds, and others."""

    wanted: int
    stored: int  # of those wanted, and whole
    stale: int  # of these, outdated by ``changes`` in the protocol
    changes: tuple[str, ...]
    broken: tuple[str, ...]  # what is wrong with damaged ones
    others: int  # whole ones of other seeds or configurations, stand-ins among them

    def __str__(self) -> str:
        parts = [
            f"{self.stored} of {self.wanted} stored",
            f"{self.stale} outdated ({'; '.join(self.changes)})" if self.stale else "",
            f"{len(self.broken)} broken" if self.broken else "",
            f"{self.others} of other seeds or data" if self.others else "",
        ]
        return ", ".join(filter(None, parts))


def survey(study: Study, scale: str, store: Store) -> Survey:
    """Read all that ``store`` holds of ``study`` at ``scale``, and compare it with the presets."""
    seeds = range(1, study.seeds[scale] + 1)
    wanted = {store.path(scale, config, seed) for config in study.presets[scale] for seed in seeds}
    whole, broken = {}, []
    for path in store.paths(scale, study.name):
        try:
            whole[path] = outdated(store.open(path), study)
        except ResultError as error:
            broken.append(str(error))
    stored = [changed for path, changed in whole.items() if path in wanted]
    changes = dict.fromkeys(change for changed in stored for change in changed)
    stale, others = sum(map(bool, stored)), len(whole) - len(stored)
    return Survey(len(wanted), len(stored), stale, tuple(changes), tuple(broken), others)


def _environment() -> Iterator[Check]:
    for name, version in machine.versions().items():
        missing = version == machine.ABSENT and name != machine.PACKAGE  # which may be run from its folder
        advice = "install the pinned environment: pip install -r requirements.lock" if missing else ""
        yield Check("environment", name, "missing" if missing else "ok", version, advice, fatal=missing)
    home = paths.checkout()
    if home and (lock := home / "requirements.lock").is_file():
        yield _against_lock(lock)


def _against_lock(lock: Path) -> Check:
    pins = set(re.findall(r"^([\w.-]+==[^\s;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))
    pinned = {pin.split("==")[0] for pin in pins}
    here = {name: version for name, version in machine.versions().items() if name in pinned}
    differing = [f"{name} {version}" for name, version in here.items() if f"{name}=={version}" not in pins]
    if not differing:
        return Check("environment", "lock", "ok", "the packages that compute are those of requirements.lock")
    advice = "numbers may differ in their last digits; pip install -r requirements.lock gives the pinned ones"
    return Check("environment", "lock", "differs", f"not as pinned: {', '.join(differing)}", advice)


def _device() -> Iterator[Check]:
    import torch

    facts = machine.hardware("cuda")
    found = f"{facts['cpu']}, {facts['cores']} cores, torch uses {facts['threads']} threads"
    yield Check("device", "cpu", "ok", found)
    memory = facts["memory_gib"]
    yield Check("device", "memory", "ok" if memory else "unknown", f"{memory} GiB" if memory else "not told")
    if torch.cuda.is_available():
        found = f"{facts['gpu']}, {facts['gpu_memory_gib']} GiB, CUDA {facts['cuda']}"
        yield Check("device", "cuda", "ok", found)
    else:
        advice = "smoke and laptop scale need none; paper scale takes long on the CPU"
        yield Check("device", "cuda", "missing", "torch.cuda.is_available() is False", advice)


def _data(data: str | Path | None) -> Iterator[Check]:
    from prunebook.data import images

    for name in images.NAMES:
        try:
            yield Check("data", name, "ok", images.where(name, data))
        except DataError as error:
            yield Check("data", name, "missing", "not found whole", str(error))


def _folders(store: Store) -> Iterator[Check]:
    for what, folder, variable in (
        ("data cache", paths.cache_folder(), "PRUNEBOOK_CACHE"),
        ("results", store.root, "PRUNEBOOK_RESULTS"),
    ):
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                yield Check("folders", what, "ok", f"{folder} can be written to")
        except OSError as error:
            advice = f"set {variable} to a folder that can be written to"
            trouble = f"{there}: {error.strerror or error}"
            yield Check("folders", what, "read-only", trouble, advice, fatal=what == "results")


def _results(store: Store, scale: str = "paper") -> Iterator[Check]:
    for study in STUDIES.values():
        if scale not in study.presets:
            continue
        seen = survey(study, scale, store)
        status, advice = "ok", f"prunebook run {study.name} --scale {scale}"
        if seen.broken:
            status, advice = "corrupt", seen.broken[0]
        elif seen.stored < seen.wanted:
            status = "missing"
        elif seen.stale:
            status, advice = "outdated", f"{advice} --fresh"
        yield Check("results", study.name, status, f"{scale}: {seen}", "" if status == "ok" else advice)


def checkup(data: str | os.PathLike | None = None) -> list[Check]:
    """All checks, in the order in which they are worth putting right. ``data``: a folder with the data."""
    store = Store()
    parts: dict[str, Callable[[], Iterator[Check]]] = {
        "environment": _environment,
        "device": _device,
        "folders": lambda: _folders(store),
        "data": lambda: _data(data),
        "results": lambda: _results(store),
    }
    checks = []
    for part, make in parts.items():
        # A check-up is for installations in a bad state: whatever one part stumbles over, the others go on.
        try:
            for check in make():
                checks.append(check)  # one by one, to keep what came before the stumble
        except Exception as error:
            trouble, advice = f"{type(error).__name__}: {error}", "see the lines above; else reinstall"
            checks.append(Check(part, part, "failed", trouble, advice, fatal=part in ("device", "results")))
    return checks
