"""MNIST and CIFAR-10 as published: which files, their md5, and how to read them.

torchvision is imported inside the functions: its import takes longer than reading the data.
"""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from prunebook.data.images.kinds import Raw, Standardisation
from prunebook.errors import DataError
from prunebook.paths import cache_folder, is_folder

# torchvision knows the md5 of the packed files only.
UNPACKED = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
# Where the files are looked for: as torchvision puts them, and as people have them.
PLACES = {
    "mnist": ("MNIST/raw/", "mnist/raw/", "MNIST/", "mnist/", "raw/", ""),
    "cifar10": ("cifar-10-batches-py/", ""),
}
NAME_A_FOLDER = "name the folder that holds it with data=FOLDER or the variable PRUNEBOOK_DATA"
ARCHIVE = "cifar-10-python.tar.gz"
SHOWN = 5
TITLES = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
TRAIN_SIZE = {"mnist": 60_000, "cifar10": 50_000}
STANDARDISATION = {
    "mnist": Standardisation((0.1307,), (0.3081,)),
    "cifar10": Standardisation((0.49139968, 0.48215841, 0.44653091), (0.24703223, 0.24348513, 0.26158784)),
}


def wanted(name: str) -> list[dict[str, str]]:
    """For each file of the data set, the forms in which it is accepted: {path in the folder: md5}."""
    if name == "mnist":
        from torchvision.datasets import MNIST

        files = [{gz: md5, gz[:-3]: UNPACKED[gz[:-3]]} for gz, md5 in MNIST.resources]
        # Some have a dot in their names, as the files of the first years had.
        files = [one | {file.replace("-idx", ".idx"): md5 for file, md5 in one.items()} for one in files]
    else:
        from torchvision.datasets import CIFAR10

        meta = (CIFAR10.meta["filename"], CIFAR10.meta["md5"])
        files = [{file: md5} for file, md5 in (*CIFAR10.train_list, *CIFAR10.test_list, meta)]
    return [{place + file: md5 for place in PLACES[name] for file, md5 in one.items()} for one in files]


def _instead(name: str, folder: Path) -> str:
    """What there is in a folder that lacks files of the data set, and what to do."""
    if name == "cifar10" and _is_file(folder / ARCHIVE):
        return f"there is {ARCHIVE}, still packed: unpack it there (tar -xzf {ARCHIVE})"
    there = sorted(path.name for path in folder.iterdir()) if is_folder(folder) else []
    more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
    found = ", ".join(there[:SHOWN]) or "nothing"
    return f"there is {found}{more}: put the missing files of {TITLES[name]} below {folder}"


def look(name: str, folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """The files that are there, with the md5 they should have, and the names of those that are not."""
    present: dict[str, str] = {}
    missing = []
    for forms in wanted(name):
        there = [file for file in forms if _is_file(folder / file)]
        if there:
            present[there[0]] = forms[there[0]]
        else:
            missing.append(next(iter(forms)))
    return present, tuple(missing)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder on the way that may not be entered
        return False


def checked(name: str, folder: Path, said: str) -> dict[str, str]:
    """The files of the data set below ``folder``, each compared with the published md5, which is returned with them.

    ``said`` tells in an error how this folder came to be read. Raises DataError if a file is missing, unreadable or
    differs from the published one.
    """
    present, missing = look(name, folder)
    cached = folder == cache_folder()
    if missing:
        here = f"; load tries to download it, else small digits stand in. Or {NAME_A_FOLDER}"
        other = here if cached else ", or name no folder to use the cache or a download"
        raise DataError(
            f"{said} does not hold {TITLES[name]}: expected {', '.join(missing)} below {folder}, but "
            f"{_instead(name, folder)}{other}"
        )
    for file, md5 in present.items():
        path = folder / file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror})") from error
        if (found := hashlib.md5(content).hexdigest()) != md5:
            remedy = "delete it and it is downloaded again" if cached else "replace it"
            raise DataError(
                f"{path} ({len(content):,} bytes) is not the published file: md5 expected {md5}, found {found}. "
                f"It is damaged or cut short: {remedy}"
            )
    return present


def read(name: str, folder: Path, said: str) -> Raw:
    """The whole data set from ``folder``, every file checked before any is parsed. Raises as :func:`checked`."""
    present = checked(name, folder, said)
    train_x, train_y, test_x, test_y, classes = READERS[name](folder, list(present))
    for part, x, y in (("training", train_x, train_y), ("test", test_x, test_y)):
        if len(x) != len(y):
            raise DataError(f"{TITLES[name]} in {folder}: {len(x)} {part} images but {len(y)} labels")
    checksums = {f"{PLACES[name][0]}{Path(file).name}": f"md5:{md5}" for file, md5 in present.items()}
    return Raw(train_x, train_y, test_x, test_y, classes, checksums, STANDARDISATION[name])


def _read_mnist(folder: Path, files: list[str]) -> tuple:
    def tensor(file: str) -> Tensor:
        content = (folder / file).read_bytes()
        content = gzip.decompress(content) if file.endswith(".gz") else content
        dimensions = content[3]  # of the idx format: type, number of dimensions, their sizes, values
        shape = np.frombuffer(content, ">i4", dimensions, offset=4)
        return torch.tensor(np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape))

    train_x, train_y, test_x, test_y = map(tensor, files)
    return train_x[:, None], train_y.long(), test_x[:, None], test_y.long(), tuple(map(str, range(10)))


def _read_cifar10(folder: Path, files: list[str]) -> tuple:
    from torchvision.datasets import CIFAR10

    class Placed(CIFAR10):
        base_folder = ""  # whatever the folder of the files is called

    try:
        place = (folder / files[0]).parent
        parts = [Placed(place, train=train, download=False) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        raise DataError(f"CIFAR-10 in {folder} changed while it was read: {error}") from error
    (train, test), classes = parts, tuple(parts[0].classes)
    train_x, test_x = (torch.from_numpy(part.data).permute(0, 3, 1, 2) for part in parts)
    return train_x, torch.tensor(train.targets), test_x, torch.tensor(test.targets), classes


READERS = {"mnist": _read_mnist, "cifar10": _read_cifar10}
