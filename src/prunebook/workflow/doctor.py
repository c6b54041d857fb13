"""A check-up: what is there, what is missing, and what to do about it. Nothing is loaded or changed."""

from __future__ import annotations

import os
import platform
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from prunebook import paths
from prunebook.errors import ResultError
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
    """What the store holds of a study at one scale.

    ``wanted`` results are those of the presets and their seeds, ``stored`` of them are there and whole, and
    ``stale`` of these are outdated (by ``changes`` in the protocol). ``broken`` tells what is
    wrong with damaged ones. ``others`` are whole results of other seeds or configurations, stand-ins among
    them.
    """

    wanted: int
    stored: int
    stale: int
    changes: tuple[str, ...]
    broken: tuple[str, ...]
    others: int


def survey(study: Study, scale: str, store: Store) -> Survey:
    """Read all that ``store`` holds of ``study`` at ``scale``, and compare it with the presets."""
    seeds = range(1, study.seeds[scale] + 1)
    wanted = {store.path(scale, config, seed) for config in study.presets[scale] for seed in seeds}
    stored = stale = others = 0
    changes, broken = {}, []
    for path in store.paths(scale, study.name):
        try:
            result = store.open(path)
        except ResultError as error:
            broken.append(str(error))
            continue
        if path not in wanted:
            others += 1
            continue
        changed = outdated(result, study)
        stored, stale = stored + 1, stale + bool(changed)
        changes |= dict.fromkeys(changed)
    return Survey(len(wanted), stored, stale, tuple(changes), tuple(broken), others)


def _requirements() -> tuple[str, list[str]]:
    """The Python that the package needs, and its requirements (without those of extras)."""
    home = paths.checkout()
    if home and (pyproject := home / "pyproject.toml").is_file():
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
        return project["requires-python"], project["dependencies"]
    facts = metadata.metadata(machine.PACKAGE)
    listed = [text for text in facts.get_all("Requires-Dist") or [] if "extra ==" not in text]
    return facts["Requires-Python"] or "", listed


def _environment() -> Iterator[Check]:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    python, listed = _requirements()
    version = platform.python_version()
    good = SpecifierSet(python).contains(version, prereleases=True)
    advice = "" if good else f"use Python {python}"
    yield Check("environment", "python", "ok" if good else "wrong", version, advice, fatal=not good)
    install = "install the pinned environment: pip install -r requirements.lock"
    for requirement in map(Requirement, listed):
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Check("environment", requirement.name, "missing", "not installed", install, fatal=True)
            continue
        good = requirement.specifier.contains(version, prereleases=True)
        found = version if good else f"{version}, but {requirement.specifier} is needed"
        status, advice = ("ok", "") if good else ("wrong", install)
        yield Check("environment", requirement.name, status, found, advice)
    home = paths.checkout()
    if home and (lock := home / "requirements.lock").is_file():
        yield _against_lock(lock)


def _against_lock(lock: Path) -> Check:
    from packaging.requirements import Requirement

    pinned = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            requirement = Requirement(line.split("#")[0].rstrip("\\ "))
            if requirement.marker is None or requirement.marker.evaluate():
                pinned[requirement.name.lower()] = str(requirement.specifier).removeprefix("==")
    differing = [
        f"{name} {version} (pinned {pinned[name]})"
        for name, version in machine.versions().items()
        if name in pinned and version != pinned[name]
    ]
    if not differing:
        return Check("environment", "lock", "ok", "the packages that compute are those of requirements.lock")
    advice = "numbers may differ in their last digits; pip install -r requirements.lock gives the pinned ones"
    return Check("environment", "lock", "differs", ", ".join(differing), advice)


def _device() -> Iterator[Check]:
    import torch

    facts = machine.hardware("cpu")
    found = f"{facts['cpu']}, {facts['cores']} cores, torch uses {facts['threads']} threads"
    yield Check("device", "cpu", "ok", found)
    memory = facts["memory_gib"]
    yield Check("device", "memory", "ok" if memory else "unknown", f"{memory} GiB" if memory else "not told")
    if torch.cuda.is_available():
        facts = machine.hardware("cuda")
        found = f"{facts['gpu']}, {facts['gpu_memory_gib']} GiB, CUDA {facts['cuda']}"
        yield Check("device", "cuda", "ok", found)
    else:
        advice = "smoke and laptop scale need none; paper scale takes long on the CPU"
        yield Check("device", "cuda", "missing", "torch.cuda.is_available() is False", advice)


def _data(data: str | Path | None) -> Iterator[Check]:
    from prunebook.data import images

    for name in images.NAMES:
        found = images.where(name, data)
        place = found.origin if found.folder is None else f"{found.origin}: {found.folder}"
        status = "ok" if found.ready else "damaged" if found.damaged else "missing"
        absent = [f"{len(found.missing)} files missing, {found.missing[0]} first"] if found.missing else []
        trouble = "; ".join([*found.damaged, *absent])
        yield Check("data", name, status, f"{place} ({trouble})" if trouble else place, found.advice)


def _writable(folder: Path) -> str:
    """Why nothing can be written below ``folder``, which need not exist yet; "" if it can."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{folder}: {error.strerror or error}"


def _folders(store: Store) -> Iterator[Check]:
    for what, folder, variable, fatal in (
        ("data cache", paths.cache_folder(), "PRUNEBOOK_CACHE", False),
        ("results", store.root, "PRUNEBOOK_RESULTS", True),
    ):
        if trouble := _writable(folder):
            advice = f"set {variable} to a folder that can be written to"
            yield Check("folders", what, "read-only", trouble, advice, fatal=fatal)
        else:
            yield Check("folders", what, "ok", f"{folder} can be written to")


def _results(store: Store, scale: str = "paper") -> Iterator[Check]:
    for study in STUDIES.values():
        if scale not in study.presets:
            continue
        seen = survey(study, scale, store)
        run = f"prunebook run {study.name} --scale {scale}"
        found = f"{seen.stored} of {seen.wanted} at scale {scale}"
        if seen.broken:
            found += f"; {len(seen.broken)} broken"
            yield Check("results", study.name, "corrupt", found, seen.broken[0])
        elif seen.stored < seen.wanted:
            yield Check("results", study.name, "missing", found, run)
        elif seen.stale:
            found += f"; {seen.stale} outdated: {'; '.join(seen.changes)}"
            yield Check("results", study.name, "outdated", found, f"{run} --fresh")
        else:
            yield Check("results", study.name, "ok", found)


def _guarded(part: str, make: Callable[[], Iterator[Check]], fatal: bool) -> list[Check]:
    # A check-up is for installations in a bad state: whatever one part stumbles over, the others go on.
    checks = []
    try:
        for check in make():
            checks.append(check)  # one by one, to keep what came before the stumble
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
        advice = "see the lines above; else reinstall"
        checks.append(Check(part, part, "failed", trouble, advice, fatal=fatal))
    return checks


def checkup(data: str | os.PathLike | None = None, store: Store | None = None) -> list[Check]:
    """All checks, in the order in which they are worth putting right. ``data``: a folder with the data."""
    store = Store() if store is None else store
    return [
        *_guarded("environment", _environment, fatal=False),
        *_guarded("device", _device, fatal=True),
        *_guarded("folders", lambda: _folders(store), fatal=False),
        *_guarded("data", lambda: _data(data), fatal=False),
        *_guarded("results", lambda: _results(store), fatal=True),
    ]
