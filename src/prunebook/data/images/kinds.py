"""The data classes of a loaded data set."""

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float32, Int64, UInt8
from torch import Tensor


class Standardisation(NamedTuple):
    """Per channel: pixels in [0, 1] have had ``mean`` subtracted and were then divided by ``std``."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Split:
    """Images ``x`` (n, c, h, w) and their class numbers ``y``, on one device. May be empty."""

    x: Float32[Tensor, "n ..."]
    y: Int64[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class DataSet:
    """A data set split in three."""

    name: str  # what this really is
    requested: str  # what was asked for: another name for a stand-in
    origin: str  # "named folder", "cache" or "scikit-learn"
    classes: tuple[str, ...]
    train: Split
    dev: Split
    test: Split
    checksums: dict[str, str]  # of each file read, and of the choice of images in the split: "md5:..." or "sha256:..."
    standardisation: Standardisation  # what was applied; mean 0 and std 1 when nothing was
    notice: str = ""  # one sentence to show to the reader, where there is something to announce

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
