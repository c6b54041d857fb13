"""What follows from the stored results is worked out once for each state of them, and kept in the cache folder.

The name of what is kept is a digest of everything that it rests on, so it cannot be out of date: where anything has
changed, there is no file of that name yet.
"""

import hashlib
import json
import platform
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import filelock

from prunebook.paths import PACKAGE_DIR, cache_folder, replacing, sweep

MOST = 8  # files of one kind: other checkouts and folders of results share the cache
COMPUTING = ("numpy", "pandas", "pyarrow", "scipy")


def state(root: Path, files: Iterable[Path], package: Path = PACKAGE_DIR) -> str:
    """A digest of every stored result of the paper scale, of ``files``, and of all code and packages that compute.

    The code is that of the whole package: the statistics, the rules, and the studies with their presets.
    """
    total = hashlib.sha256()
    stored = sorted(root.glob("paper/*/*/seed-*/*"))
    for base, paths in ((root, stored), (None, files), (package, sorted(package.rglob("*.py")))):
        for path in paths:
            name = path.relative_to(base).as_posix() if base else ""
            total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    versions = [platform.python_version(), *(version(name) for name in COMPUTING)]
    total.update(" ".join(versions).encode())
    return total.hexdigest()


def kept(kind: str, key: str, make: Callable[[], dict]) -> dict:
    """The plain values that ``make`` gives, from the cache where they are there and whole."""
    path = cache_folder() / "evidence" / f"{kind}-{key}.json"
    if (found := _read(path)) is not None:
        return found
    text = json.dumps(make())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.parent / "lock"):
            sweep(path.parent)
            with replacing(path) as file:
                file.write(f"{_checksum(text)}\n{text}".encode())
        for old in sorted(path.parent.glob(f"{kind}-*.json"), key=lambda file: -file.stat().st_mtime)[MOST:]:
            old.unlink(missing_ok=True)
    except OSError:  # a cache that cannot be written costs seconds, and no answer
        pass
    return json.loads(text)


def _read(path: Path) -> dict | None:
    try:
        checksum, _, text = path.read_text(encoding="utf-8").partition("\n")
        return json.loads(text) if checksum == _checksum(text) else None
    except (OSError, ValueError):  # none yet, or torn
        return None


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
