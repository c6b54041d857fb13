"""The faults of the soak: each function is one kind, disturbs one trial, and sees how it ends."""

import io
import os
import shutil
import signal
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

SEVERAL = 2  # seeds where there are several runners
ROOMY = 200_000  # kB


# --- steps on the disk ---


def _half(target: object) -> None:
    """Leave the file as if writing had stopped half-way."""
    if hasattr(target, "write"):
        target.write(b"half")
        target.flush()
    else:
        Path(target).write_bytes(b"half")


def _half_saved(state: object, file: object) -> None:
    whole = io.BytesIO()
    SAVE(state, whole)
    file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
    file.flush()


SAVE = torch.save
# Owner, name, and how the step looks that was cut short; without it the process dies just before the step.
STEPS = (
    (os, "rename", None),
    (os, "replace", None),
    (os, "fsync", None),
    (os, "mkdir", None),
    (os, "unlink", None),
    (os, "rmdir", None),
    (Path, "write_text", lambda path, *a, **k: _half(path)),
    (pq, "write_table", lambda table, path, **k: _half(path)),
    (torch, "save", _half_saved),
    (np, "savez", lambda file, **k: _half(file)),
)


def _at_each_step(act: Callable[[str, Callable[[], None]], None]) -> None:
    def counting(whole: Callable, step: str, cut: Callable | None) -> Callable:
        def counted(*arguments, **options):
            act(step, lambda: cut(*arguments, **options) if cut else None)
            return whole(*arguments, **options)

        return counted

    for owner, step, cut in STEPS:
        setattr(owner, step, counting(getattr(owner, step), step, cut))


def count(path: Path) -> None:
    """From now on, write a line into the file at every step of this process."""
    file = path.open("w", buffering=1)
    _at_each_step(lambda step, cut: file.write(f"{step}\n"))


def die(number: int) -> None:
    """This process will be killed inside its ``number``-th step."""
    left = [number]

    def act(step: str, cut: Callable[[], None]) -> None:
        left[0] -= 1
        if left[0] == 0:
            cut()
            os.kill(os.getpid(), signal.SIGKILL)

    _at_each_step(act)


def warm_up() -> None:
    """What is imported at the first use is imported now, and not in each process that is forked."""
    import pandas as pd
    import pyarrow as pa
    import torchvision.datasets  # noqa: F401
    from PIL import Image  # noqa: F401
    from sklearn.datasets import load_digits
    from typer.testing import CliRunner

    from prunebook.cli import app
    from prunebook.store import collect, machine  # noqa: F401
    from prunebook.studies import STUDIES

    CliRunner().invoke(app, ["run", "none"])
    machine.commit()
    machine.hardware("cpu")
    load_digits()
    for study in STUDIES.values():
        import_module(study.module)
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.zeros(2)
    torch.optim.SGD([parameter], lr=0.1).step()
    pq.write_table(pa.Table.from_pandas(pd.DataFrame({"x": [1.0]})), io.BytesIO())


# --- killed ---


def _kill_later(trial, pid: int) -> None:
    time.sleep(trial.random.uniform(0, 1.1) * trial.reference.seconds)
    os.kill(pid, signal.SIGKILL)


def at_a_step(trial) -> None:
    """Killed inside a file operation."""
    trial.end(trial.start(doom=lambda: die(trial.step)))
    trial.again()


def at_an_instant(trial) -> None:
    """Killed at random instants, once to three times."""
    for _ in range(trial.random.randint(1, 3)):
        pid = trial.start()
        _kill_later(trial, pid)
        trial.end(pid)
    trial.again()


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _stored(trial) -> dict[str, bytes]:
    return {name: content for name, content in _files(trial.results).items() if "/seed-1/" in name}


def beside_a_result(trial) -> None:
    """Killed while a second seed is measured beside a stored one."""
    from soak import Bad

    trial.take("results", seed=1)
    before, step = _stored(trial), trial.random.randint(1, trial.reference.steps)
    trial.end(trial.start(seeds=SEVERAL, doom=lambda: die(step)))
    if _stored(trial) != before:
        raise Bad("lost", "the stored seed is not as it was")
    trial.again(SEVERAL)
    if _stored(trial) != before:
        raise Bad("lost", "the stored seed was measured again")


def in_its_place(trial) -> None:
    """Killed while a stored result is measured anew (--fresh)."""
    from soak import Bad

    trial.take("results", seed=1)
    trial.take("cache")
    # The steps on the disk come last, and are a few more than at the first time.
    step = trial.reference.steps + 12 - int(trial.reference.steps * trial.random.random() ** 2)
    trial.end(trial.start("--fresh", doom=lambda: die(max(1, step))))
    said = trial.again()
    if ", 0 of them measured now" not in said:
        raise Bad("lost", f"neither the old result nor the new one was there (step {step})")


def _several(trial, runners: int) -> None:
    """Some of them are killed; what the others were asked they must do, or take over."""
    from soak import Bad

    pids, doomed = [], set()
    for runner in range(runners):
        step = trial.random.randint(1, 2 * trial.reference.steps) if trial.random.random() < 0.5 else 0
        pids.append(trial.start(seeds=SEVERAL, doom=(lambda step=step: die(step)) if step else lambda: None))
        doomed |= {runner} if step else set()
    if trial.random.random() < 0.7:
        victim = trial.random.randrange(runners)
        _kill_later(trial, pids[victim])
        doomed.add(victim)
    for runner, pid in enumerate(pids):
        code, said = trial.end(pid)
        if code and (runner not in doomed or code != -signal.SIGKILL):
            raise Bad("unclear", f"a runner beside those that were killed says {said[-600:]}")
    trial.again(SEVERAL)


def two_runners(trial) -> None:
    """Two runners on one study, some killed."""
    _several(trial, 2)


def four_runners(trial) -> None:
    """Four runners on one study, some killed."""
    _several(trial, 4)


# --- disks ---


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 1024 + 1


def _full(trial, what: str) -> None:
    place = trial.home / what
    room = max(8, int(_size(trial.reference.home / what) * trial.random.uniform(0, 1.2)))
    with trial.disk(place, room) as remount:
        code, said = trial.ask()
        if code:
            trial.refused(said, place)
        remount(f"size={ROOMY}k")
        trial.again()


def full_results(trial) -> None:
    """Disk full where results go."""
    _full(trial, "results")


def full_cache(trial) -> None:
    """Disk full where trainings and solutions are kept."""
    _full(trial, "cache")


def _read_only(trial, what: str) -> None:
    from soak import Bad

    place, filled = trial.home / what, trial.random.random() < 0.5
    with trial.disk(place, ROOMY) as remount:
        if filled:
            trial.take(what)
        remount("ro")
        code, said = trial.ask()
        if code and filled and what == "results":
            raise Bad("unclear", f"what is stored cannot be read: {said[-600:]}")
        if code:
            trial.refused(said, place)
        remount("rw")
        trial.again()


def read_only_results(trial) -> None:
    """Results in a folder that cannot be written to."""
    _read_only(trial, "results")


def read_only_cache(trial) -> None:
    """Trainings and solutions in a folder that cannot be written to."""
    _read_only(trial, "cache")


# --- damaged files ---


def damage(trial, path: Path, others: list[Path]) -> str:
    """Cut a file short, put another in its place, or flip a bit of one byte; says which."""
    content = path.read_bytes()
    others = [other for other in others if other != path and other.read_bytes() != content]
    how = trial.random.choice(["cut short", "emptied", "flipped", "flipped", "replaced"])
    if how == "replaced" and others:
        shutil.copyfile(trial.random.choice(others), path)
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "cut short":
        path.write_bytes(content[: trial.random.randrange(len(content))])
    else:
        place = trial.random.randrange(len(content))
        flipped = bytes([content[place] ^ (1 << trial.random.randrange(8))])
        path.write_bytes(content[:place] + flipped + content[place + 1 :])
    return how


def _damaged(trial, what: str, pattern: str, remove: Callable[[Path], Path]) -> None:
    """A damaged file is made good in silence, or refused by name; the remedy is to delete what ``remove`` says."""
    files = sorted(path for path in (trial.home / what).rglob(pattern))
    if not files:
        at_an_instant(trial)  # a study that keeps no such file
        return
    path = trial.random.choice([file for file in files if "seed-2" not in file.parts])
    damage(trial, path, files)
    code, said = trial.ask()
    if code:
        trial.refused(said, path, path.parent)
        gone = remove(path)
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink(missing_ok=True)
    trial.again()


def damaged_table(trial) -> None:
    """A stored table cut short, replaced, or with a flipped bit."""
    trial.take("results")
    _damaged(trial, "results", "*.parquet", lambda path: path.parent)


def damaged_record(trial) -> None:
    """A record cut short, replaced, or with a flipped bit."""
    trial.take("results")
    _damaged(trial, "results", "record.json", lambda path: path.parent)


def damaged_snapshot(trial) -> None:
    """A snapshot of a training cut short, replaced, or with a flipped bit."""
    trial.take("cache")
    _damaged(trial, "cache", "step-*.pt", lambda path: path)


def damaged_checkpoint(trial) -> None:
    """A checkpoint of a training cut short, replaced, or with a flipped bit."""
    trial.take("cache")
    _damaged(trial, "cache", "checkpoint.pt", lambda path: path)


def damaged_solution(trial) -> None:
    """A solution of the equation cut short, replaced, or with a flipped bit."""
    trial.take("cache")
    _damaged(trial, "cache", "*.npz", lambda path: path)


def damaged_data(trial) -> None:
    """A picture of the data cut short, replaced, or with a flipped bit."""
    whole = trial.pictures
    # The name of the folder is part of a checksum.
    trial.pictures = trial.home / "data" / whole.name
    shutil.copytree(whole, trial.pictures)
    if trial.random.random() < 0.5:
        trial.take("results")
    pictures = sorted(trial.pictures.rglob("*.png"))
    path = trial.random.choice(pictures)
    # Another picture is another data set: only a stored result tells that it was not there before.
    damage(trial, path, pictures if trial.results.exists() else [])
    code, said = trial.ask()
    if code:
        trial.refused(said, path, trial.pictures, trial.results)
    shutil.copyfile(whole / path.relative_to(trial.pictures), path)
    trial.again()


# Where a study must have kept something for a fault to mean anything.
NEEDS = {
    full_cache: ("cache", "*.*"),
    read_only_cache: ("cache", "*.*"),
    damaged_snapshot: ("cache", "step-*.pt"),
    damaged_checkpoint: ("cache", "checkpoint.pt"),
    damaged_solution: ("cache", "*.npz"),
}
MOUNTED = (full_results, full_cache, read_only_results, read_only_cache)
CYCLE = (
    *(at_a_step, damaged_table, two_runners, at_a_step, full_results, damaged_snapshot, at_a_step, at_an_instant),
    *(damaged_record, at_a_step, in_its_place, read_only_results, damaged_checkpoint, at_a_step, four_runners),
    *(damaged_data, at_a_step, full_cache, beside_a_result, damaged_solution, at_a_step, read_only_cache),
)
