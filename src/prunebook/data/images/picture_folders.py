"""Folders of pictures: <folder>/{train,val}/<class>/<picture>, decoded once to tensors of one size."""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch

from prunebook.data.images.kinds import Raw, Standardisation
from prunebook.data.images.splits import first_of_each_class
from prunebook.errors import DataError
from prunebook.paths import is_folder

IMAGENET = Standardisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SHOWN = 5  # unreadable pictures named in full in an error


def picture_root(folder: Path, said: str) -> Path:
    """``folder`` if it holds train/ and val/, else the one folder in it that does. Raises DataError."""

    def fits(path: Path) -> bool:
        return is_folder(path / "train") and is_folder(path / "val")

    if fits(folder):
        return folder
    inside = sorted(path for path in folder.iterdir() if fits(path))
    if len(inside) == 1:
        return inside[0]
    if inside:
        names = ", ".join(path.name for path in inside)
        raise DataError(f"{said} holds several image folders ({names}): name one of them with data=...")
    raise DataError(f"{said} holds no image folder: expected train/<class>/ and val/<class>/ in {folder}")


def list_pictures(root: Path) -> tuple[dict[str, list[tuple[str, int]]], tuple[str, ...]]:
    """{"train": [(path, class number), ...], "val": ...} and the classes. Raises DataError if a class is
    empty or the two parts have different classes."""
    from torchvision.datasets import ImageFolder

    try:
        train, val = (ImageFolder(root / part) for part in ("train", "val"))
    except OSError as error:
        raise DataError(f"image folder {root}: {error}") from error
    if train.classes != val.classes:
        odd = ", ".join(sorted(set(train.classes) ^ set(val.classes)))
        raise DataError(f"image folder {root}: classes only in train/ or only in val/: {odd}")
    return {"train": train.samples, "val": val.samples}, tuple(train.classes)


def read_pictures(root: Path, size: int, limit: int | None) -> Raw:
    """All pictures as RGB bytes: the shorter side resized to ``size`` (bilinear), the centre cut out.

    ``limit`` keeps at most so many pictures of each class, in train/ and in val/. The checksum of a part
    covers names and contents of the files read. Raises DataError naming the pictures that cannot be read.
    """
    from PIL import Image
    from torchvision.transforms.functional import center_crop, resize

    listed, classes = list_pictures(root)
    tensors, checksums, unreadable = [], {}, []
    for part, samples in listed.items():
        labels = np.array([label for _, label in samples], dtype=np.int64)
        keep = np.arange(len(labels)) if limit is None else first_of_each_class(labels, limit)
        pixels = np.zeros((len(keep), size, size, 3), dtype=np.uint8)
        digest = hashlib.sha256()
        for row, path in enumerate(Path(samples[index][0]) for index in keep):
            try:
                content = path.read_bytes()
                with Image.open(io.BytesIO(content)) as picture:
                    pixels[row] = np.asarray(center_crop(resize(picture.convert("RGB"), [size]), [size]))
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                unreadable.append(f"{path.relative_to(root)} ({error})".replace(f"{path}", path.name))
                continue
            name = path.relative_to(root).as_posix().encode()
            digest.update(b"%d:%s%d:" % (len(name), name, len(content)) + content)
        tensors += [torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.from_numpy(labels[keep])]
        checksums[f"{root.resolve().name}/{part}"] = f"sha256:{digest.hexdigest()}"
    if unreadable:
        more = f" and {len(unreadable) - SHOWN} more" if len(unreadable) > SHOWN else ""
        raise DataError(
            f"image folder {root}: {len(unreadable)} unreadable: {'; '.join(unreadable[:SHOWN])}{more}. "
            "Replace or delete them"
        )
    return Raw(*tensors, classes, checksums, IMAGENET)
