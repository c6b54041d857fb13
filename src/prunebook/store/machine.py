"""Where a number comes from: the commit, the versions, and the kind of machine.

Nothing here identifies a computer or a person: no host names, no user names, no paths.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from prunebook import paths

PACKAGE = "prunebook"
ABSENT = "not installed"
_ROUNDING = ("device", "cpu", "instructions", "threads", "gpu")  # what decides in which order sums are rounded


def _git(*arguments: str) -> str:
    # Inside a git hook these variables would point git at another repository.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(paths.PACKAGE_DIR), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=30, check=True, encoding="utf-8"
    )
    return done.stdout.strip()


@lru_cache
def commit() -> tuple[str, bool]:
    """``(sha, dirty)`` of the checkout that this package lies in; ``("unknown", False)`` outside of one.

    ``dirty`` says that tracked files under ``src/`` differ from the commit. Never fails.
    """
    try:
        top = Path(_git("rev-parse", "--show-toplevel"))
        # An installed copy may lie in a virtual environment inside somebody else's repository.
        if not (top / "src" / PACKAGE).samefile(paths.PACKAGE_DIR):
            return "unknown", False
        sha = _git("rev-parse", "HEAD")
        return sha, bool(_git("status", "--porcelain", "--untracked-files=no", "--", str(top / "src")))
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return "unknown", False


def versions() -> dict[str, str]:
    """Versions of Python, this package, and the packages that compute."""
    found = {"python": platform.python_version()}
    for name in (PACKAGE, "torch", "torchvision", "numpy", "scipy", "pandas"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = ABSENT
    return found


def _cpu_model() -> str:
    try:
        if platform.system() == "Darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        return re.search(r"^model name\s*:\s*(.*\S)", told, re.MULTILINE)[1]
    except (OSError, subprocess.SubprocessError, TypeError):  # TypeError: no such line
        return platform.processor() or platform.machine() or "unknown"


def hardware(device: str = "cpu") -> dict:
    """The kind of machine: processor, the instructions torch uses of it, usable cores, memory (GiB), torch's threads,
    and the GPU if used."""
    import torch

    posix = "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ())
    facts = {
        "device": str(device),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        # In a container or a cluster job fewer than the machine has.
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1) if posix else None,
        "threads": torch.get_num_threads(),
    }
    if str(device).startswith("cuda") and torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(torch.device(device))
        size = round(gpu.total_memory / 2**30, 1)
        facts |= {"gpu": gpu.name, "gpu_memory_gib": size, "cuda": torch.version.cuda}
    return facts


def same_kind(one: Mapping, other: Mapping) -> bool:
    """Whether two machines, as of :func:`hardware`, may be expected to round alike.

    Records from before the instructions were noted lack them; what one of the two does not say is not compared.
    """
    return all(one[fact] == other[fact] for fact in _ROUNDING if fact in one and fact in other)


def kind(facts: Mapping) -> str:
    """A machine, as of :func:`hardware`, in words: processor, instructions if noted, threads, and the GPU if used."""
    threads = f"{facts['threads']} thread{'s' * (facts['threads'] > 1)}"
    words = [facts["cpu"], facts.get("instructions"), threads, facts.get("gpu")]
    return ", ".join(word for word in words if word)
