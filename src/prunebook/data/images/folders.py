"""The folder of data that the user names."""

import os
from pathlib import Path

from prunebook.errors import DataError


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
