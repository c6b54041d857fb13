"""Where things are: the checkout, the cache, the folder of data; and how a file is put in its place."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from prunebook.errors import DataError

PACKAGE_DIR = Path(__file__).resolve().parent
ROOT = PACKAGE_DIR.parents[1]  # of a checkout; an installed copy has nothing of ours there
DATA = ROOT / "data"  # claims, costs, tolerances, committed results


def checkout() -> Path | None:
    """The checkout that this package lies in; None for an installed copy."""
    root = PACKAGE_DIR.parents[1]
    marked = (root / "pyproject.toml").is_file() or (root / "data" / "claims.yaml").is_file()
    return root if PACKAGE_DIR.parent.name == "src" and marked else None


def cache_folder() -> Path:
    """``PRUNEBOOK_CACHE`` if set, else "prunebook" in the platform's cache folder of this user."""
    if own := os.environ.get("PRUNEBOOK_CACHE"):
        return Path(own).expanduser()
    import pooch

    return pooch.os_cache("prunebook")


def tidy(path: Path) -> str:
    """The path with the home folder as "~": notices are shown on published pages."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return str(path)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` once it is whole: a reader sees the old one or the new one.

    A writer that is killed leaves its half file behind, until ``sweep``.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False) as file:
        try:
            yield file
            file.close()
            Path(file.name).replace(path)
        except BaseException:
            with suppress(OSError):  # to close is to write what is still held back, and the disk may be full
                file.close()
            Path(file.name).unlink(missing_ok=True)
            raise


def sweep(folder: Path, name: str = "") -> None:
    """Remove what killed writers left in a folder, of all files or of one. The caller holds the lock of all writers."""
    for left in folder.glob(f".{name}.*.part" if name else "*.part"):
        left.unlink(missing_ok=True)


def named_folder(data: str | os.PathLike | None) -> tuple[Path, str] | None:
    """The folder the user named and how ("data=..." or the environment variable); None if none was.

    An empty string names nothing, so that a notebook's or a shell's empty parameter is harmless.
    Raises DataError if the name is not that of a folder.
    """
    for value, said in ((data, "data"), (os.environ.get("PRUNEBOOK_DATA"), "PRUNEBOOK_DATA")):
        if value is None or not os.fspath(value):
            continue
        folder, said = Path(value).expanduser(), f"{said}={os.fspath(value)}"
        if not is_folder(folder):
            raise DataError(f"{said} is not a readable folder; name the folder that holds the data, or none")
        return folder, said
    return None


def is_folder(path: Path) -> bool:
    """Whether this is a folder that can be listed."""
    try:
        next(path.iterdir(), None)
    except OSError:
        return False
    return True
