"""What there is of each data set, for a check-up: nothing is loaded or downloaded."""

import os
from collections import Counter
from pathlib import Path

from prunebook.data.images.folders import named_folder
from prunebook.data.images.kinds import Found
from prunebook.data.images.loading import NAMES
from prunebook.data.images.picture_folders import list_pictures, picture_root
from prunebook.data.images.published import damage, instead, look
from prunebook.errors import DataError, InputError
from prunebook.paths import cache_folder

NAME_A_FOLDER = "name the folder that holds it with data=FOLDER or the variable PRUNEBOOK_DATA"


def where(name: str, data: str | os.PathLike | None = None) -> Found:
    """What ``load(name, data=data)`` would find and where; md5s are checked, nothing is loaded or written.

    Raises InputError for an unknown name only: a bad folder is reported, not raised.
    """
    if name not in NAMES:
        raise InputError(f"unknown data set {name!r}; one of {', '.join(NAMES)}")
    if name == "digits":
        return Found(name, "scikit-learn", None, files=("scikit-learn digits",))
    try:
        named = named_folder(data)
        if name == "imagefolder":
            return _pictures(named)
    except DataError as error:
        return Found(name, "nowhere", None, advice=str(error))
    if named:
        return _files(name, "named folder", named[0])
    found = _files(name, "cache", cache_folder())
    if not found.missing:
        return found
    advice = f"load tries to download it, else small digits stand in; or {NAME_A_FOLDER}"
    return Found(name, "nowhere", found.folder, found.files, found.missing, found.damaged, advice)


def _files(name: str, origin: str, folder: Path) -> Found:
    present, missing = look(name, folder)
    damaged = tuple(filter(None, (damage(folder, file, md5) for file, md5 in present.items())))
    advice = []
    if missing:
        advice.append(instead(name, folder))
    if damaged:
        again = "delete the damaged files and they are downloaded again"
        advice.append(again if origin == "cache" else "replace the damaged files")
    return Found(name, origin, folder, tuple(present), missing, damaged, "; ".join(advice))


def _pictures(named: tuple[Path, str] | None) -> Found:
    if named is None:
        return Found("imagefolder", "nowhere", None, advice=NAME_A_FOLDER)
    root = picture_root(*named)
    listed, classes = list_pictures(root)
    files = []
    for part, samples in listed.items():
        least = min(Counter(label for _, label in samples).values())
        files.append(f"{part}: {len(samples):,} pictures, {len(classes)} classes, at least {least} in each")
    return Found("imagefolder", "named folder", root, tuple(files))
