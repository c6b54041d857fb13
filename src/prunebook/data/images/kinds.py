"""The data classes of a loaded data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor


class Standardisation(NamedTuple):
    """Per channel: pixels in [0, 1] have had ``mean`` subtracted and were then divided by ``std``."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Split:
    """Inputs ``x``, images (n, c, h, w) as they are loaded, and their class numbers ``y``, on one device. May be
    empty."""

    x: Float32[Tensor, "n ..."]
    y: Int64[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class DataSet:
    """A data set split in three.

    ``requested`` is the name that was asked for and ``name`` what this really is; they differ for a
    stand-in. ``origin`` is "named folder", "cache" or "scikit-learn". ``checksums`` maps each file read
    (and the choice of images in the split) to "md5:..." or "sha256:...". ``standardisation`` is what was
    applied (mean 0 and std 1 when nothing was). ``notice`` is one sentence to show to the reader; it is
    empty when there is nothing to announce.
    """

    name: str
    requested: str
    origin: str
    classes: tuple[str, ...]
    train: Split
    dev: Split
    test: Split
    checksums: dict[str, str]
    standardisation: Standardisation
    notice: str = ""

    @property
    def stand_in(self) -> bool:
        """Whether this is another data set than the one asked for."""
        return self.name != self.requested


@dataclass(frozen=True)
class Raw:
    """Whole published parts as bytes, on the CPU, before any split."""

    train_x: UInt8[Tensor, "n_train c h w"]
    train_y: Int64[Tensor, " n_train"]
    test_x: UInt8[Tensor, "n_test c h w"]
    test_y: Int64[Tensor, " n_test"]
    classes: tuple[str, ...]
    checksums: dict[str, str]
    standardisation: Standardisation


@dataclass(frozen=True)
class Found:
    """What there is of one data set, without loading it.

    ``origin`` is where ``load`` would take it from: "named folder", "cache", "scikit-learn", or "nowhere".
    ``missing`` and ``damaged`` name files; ``advice`` says what to do and is empty when all is well.
    """

    name: str
    origin: str
    folder: Path | None
    files: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    advice: str = ""

    @property
    def ready(self) -> bool:
        """Whether the data set itself (not a stand-in) is complete and undamaged."""
        return bool(self.files) and not (self.missing or self.damaged)


def to_split(
    x: UInt8[Tensor, "n c h w"], y: Int64[Tensor, " n"], standardisation: Standardisation, device: torch.device
) -> Split:
    """Bytes to float32 on ``device``: (x / 255 - mean) / std."""
    mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in standardisation)
    # Pixels may come with channels last; users may want to .view() them as rows.
    return Split(x.to(device).contiguous().float().div_(255).sub_(mean).div_(std), y.to(device))
