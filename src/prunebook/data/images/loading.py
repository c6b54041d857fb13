"""A data set, wherever it comes from: to load it, or to say where it is."""

import logging
import os

import torch
from torch import Tensor

from prunebook.data.images.digits import read_digits
from prunebook.data.images.download import NoDownload, fetch
from prunebook.data.images.kinds import DataSet, Raw, Split, Standardisation
from prunebook.data.images.picture_folders import list_pictures, picture_root, read_pictures
from prunebook.data.images.published import NAME_A_FOLDER, TITLES, TRAIN_SIZE, checked, look, read
from prunebook.data.images.splits import fingerprint, stratified
from prunebook.errors import DataError, InputError
from prunebook.paths import cache_folder, named_folder

NAMES = ("mnist", "cifar10", "digits", "imagefolder")
SHAPES = {"mnist": (1, 28), "cifar10": (3, 32)}  # channels, side

log = logging.getLogger("prunebook.data.images")


def load(
    name: str,
    *,
    data: str | os.PathLike | None = None,
    device: str | torch.device = "cpu",
    dev: int | None = None,
    download: bool = True,
    standardise: bool = True,
    size: int = 224,
    limit: int | None = None,
) -> DataSet:
    """A data set as float32 images (n, c, h, w) and int64 labels on ``device``.

    ``name`` is "mnist", "cifar10", "digits" (small, embedded) or "imagefolder". The files are looked for in the
    folder named by ``data`` or the environment variable ``PRUNEBOOK_DATA`` (never written to), else in the cache
    (``PRUNEBOOK_CACHE``), else downloaded into the cache if ``download``. Where that fails, the embedded digits stand
    in and say so (in the log, in ``notice``, ``stand_in`` and ``name``); ``dev`` is then reduced in proportion, and
    ``limit`` to what there is. A folder that was named gets no stand-in. "imagefolder" needs a named folder.

    ``dev`` images are held out of the training part, each class in proportion; None means 5,000 for MNIST and
    CIFAR-10 and a tenth of the training part otherwise. ``limit`` keeps so many training images, with the same
    held-out set whatever the limit; for "imagefolder" it is the number of images of each class, in both parts, before
    anything is held out. Training images keep the order of the files: shuffle them. ``size`` is the side of the
    square that an image folder's pictures are brought to.

    Raises InputError for an unusable argument and DataError for missing or damaged files.
    """
    _known(name)
    for what, value, least in (("dev", dev, 0), ("limit", limit, 1), ("size", size, 1)):
        if value is not None and (not isinstance(value, int) or value < least):
            raise InputError(f"{what}={value!r} must be a whole number of at least {least}")
    target = _device(device)
    requested, notice = name, ""
    if name == "imagefolder":
        named = named_folder(data)
        if named is None:
            raise InputError(f"imagefolder needs a folder: {NAME_A_FOLDER}")
        raw, origin, limit = read_pictures(picture_root(*named), size, limit), "named folder", None
    elif name == "digits":
        raw, origin = read_digits(), "scikit-learn"
    else:
        dev = 5_000 if dev is None else dev
        raw, origin, reason = _published(name, data, download)
        if reason:
            n = len(raw.train_y)
            dev = round(dev * n / TRAIN_SIZE[name])
            limit = None if limit is None else max(1, min(limit, n - dev))
            notice = (
                f"{TITLES[name]} was asked for but is not here ({reason}), so scikit-learn's small digits, "
                f"{n:,} for training and {len(raw.test_y)} for testing, stand in for it: "
                f"no number from it is a measurement on {TITLES[name]}."
            )
            name = "digits"
            log.warning(notice)
    labels = raw.train_y.numpy()
    dev = len(labels) // 10 if dev is None else dev
    if dev + (limit or 1) > len(labels):
        kept = "at least 1" if limit is None else f"limit={limit:,}"
        raise InputError(
            f"dev={dev:,} held out and {kept} kept is more than the {len(labels):,} training images "
            f"of {name}; give a smaller dev or limit"
        )
    held, train = stratified(labels, [dev, len(labels) - dev if limit is None else limit])
    channels = raw.train_x.shape[1]
    used = raw.standardisation if standardise else Standardisation((0.0,) * channels, (1.0,) * channels)
    mean, std = (torch.tensor(value, device=target).view(1, -1, 1, 1) for value in used)

    def split(x: Tensor, y: Tensor) -> Split:
        # Pixels may come with channels last; users may want to .view() them as rows.
        return Split(x.to(target).contiguous().float().div_(255).sub_(mean).div_(std), y.to(target))

    parts = [split(raw.train_x[chosen], raw.train_y[chosen]) for chosen in map(torch.from_numpy, (train, held))]
    parts.append(split(raw.test_x, raw.test_y))
    checksums = {**raw.checksums, "split": fingerprint(train, held)}
    return DataSet(name, requested, origin, raw.classes, *parts, checksums, used, notice)


def _known(name: str) -> None:
    if name not in NAMES:
        raise InputError(f"unknown data set {name!r}; one of {', '.join(NAMES)}")


def _device(device: str | torch.device) -> torch.device:
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"device {device} cannot be used here ({str(error).splitlines()[0]})") from error


def _published(name: str, data: str | os.PathLike | None, download: bool) -> tuple[Raw, str, str]:
    """The data set or its stand-in, where it is from, and the reason for the stand-in ("" if it is real)."""
    if named := named_folder(data):
        return read(name, *named), "named folder", ""
    cache = cache_folder()
    reason = "no folder named, none in the cache, and downloads are switched off"
    if look(name, cache)[1] and download:
        try:
            fetch(name, cache)
        except NoDownload as error:
            reason = f"no folder named, and {error}"
    if look(name, cache)[1]:
        return read_digits(*SHAPES[name]), "scikit-learn", reason
    return read(name, cache, "the cache"), "cache", ""


def where(name: str, data: str | os.PathLike | None = None) -> str:
    """Where ``load(name, data=data)`` would take the data set from; md5s are checked, nothing is loaded or written.

    Raises InputError for an unknown name, DataError where ``load`` would refuse, download, or take a stand-in.
    """
    _known(name)
    if name == "digits":
        return "scikit-learn"
    named = named_folder(data)
    if name == "imagefolder":
        if named is None:
            raise DataError(f"no folder is named: {NAME_A_FOLDER}")
        list_pictures(root := picture_root(*named))
        return f"named folder: {root}"
    folder, said = named or (cache_folder(), "the cache")
    checked(name, folder, said)
    return f"{'named folder' if named else 'cache'}: {folder}"
