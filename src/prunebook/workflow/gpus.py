"""One GPU for one process: each takes a device that no other has taken, and sees no other.

A scheduler that counts GPUs does not say which one a job may use. Here a lock file stands for each device of a machine;
the operating system frees it when the process that holds it ends, however it ends.
"""

import getpass
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from unittest.mock import patch

import filelock

VISIBLE = "CUDA_VISIBLE_DEVICES"


def listed() -> dict[str, str]:
    """Index → UUID of the GPUs that the driver shows to this process; empty without a GPU or a working driver."""
    command = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(re.findall(r"^\s*(\w+)\s*,\s*(\S+)\s*$", shown, re.MULTILINE))


def visible(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What ``CUDA_VISIBLE_DEVICES`` may name here → what tells the device from all others of the machine.

    Where the variable is set, a scheduler or the user has chosen already, and only the devices in it count. A device is
    known by its UUID: the same index may mean different devices to two jobs of a cluster.
    """
    known = listed()
    if VISIBLE not in environment:
        return {uuid: uuid for uuid in known.values()}
    names = takewhile(lambda name: name not in ("", "-1"), map(str.strip, environment[VISIBLE].split(",")))  # as CUDA
    return {name: known.get(name, name) for name in names}


@contextmanager
def claimed(
    report: Callable[[str], None],
    *,
    devices: Mapping[str, str] | None = None,
    folder: Path | None = None,
    pause: float = 2.0,
) -> Iterator[str | None]:
    """Wait for a device that no other such process has, and make it the only one that CUDA shows to this one.

    To be entered before CUDA is used. Yields the device's name; None where there is no GPU, and CUDA then shows none.
    ``report`` is told once if all are taken; ``devices`` stand in place of :func:`visible`, ``folder`` in place of one
    on the machine itself, as devices are the machine's own; ``pause`` is in seconds, between two looks.
    """
    devices = visible() if devices is None else devices
    folder = folder or Path(tempfile.gettempdir()) / f"prunebook-gpus-{getpass.getuser()}"
    name, lock = _taken(devices, folder, pause, report) if devices else (None, None)
    try:
        # In this order CUDA counts devices as nvidia-smi does.
        with patch.dict(os.environ, CUDA_VISIBLE_DEVICES=name or "", CUDA_DEVICE_ORDER="PCI_BUS_ID"):
            yield name
    finally:
        if lock is not None:
            lock.release()


def _taken(devices, folder, pause, report) -> tuple[str, filelock.BaseFileLock]:
    folder.mkdir(parents=True, exist_ok=True)
    told = False
    while True:
        for name, identity in devices.items():
            lock = filelock.FileLock(folder / f"{re.sub(r'[^A-Za-z0-9-]', '_', identity)}.lock")
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                continue
            return name, lock
        if not told:
            report(f"waiting for a GPU: {len(devices)} of {len(devices)} are taken")
            told = True
        time.sleep(pause)
