"""A reader's own copy of PDEBench's diffusion-sorption file, `1D_diff-sorp_NA_NA.h5`."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float32, Float64

from prunebook.errors import DataError, InputError

SHAPES = {"data": (101, 1024, 1), "grid/x": (1024,), "grid/t": (101,)}
END_TIME = 500.0


@dataclass(frozen=True)
class Trajectories:
    """What is read from the file: u of shape (trajectories, 101, 1024), cell centres x, times t."""

    u: Float32[np.ndarray, "n 101 1024"]
    x: Float64[np.ndarray, " 1024"]
    t: Float64[np.ndarray, " 101"]


def load_pdebench(path: str | Path, trajectories: int = 100) -> Trajectories:
    """Read groups "0000", "0001", ... and from each only "data", "grid/x" and "grid/t".

    Raises DataError, naming the file and what was expected, if it is missing, truncated or not an HDF5 file,
    if a group or array is missing or of another shape, if a value is not finite, if the groups do not share
    one grid, or if that grid is not 0 < x < 1 and 0 <= t <= 500.
    """
    path = Path(path)
    if not 1 <= trajectories <= 10_000:
        raise InputError(f"trajectories={trajectories}: the published file holds 10,000; ask for 1 to 10,000")
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected PDEBench's 1D_diff-sorp_NA_NA.h5")
    u = np.empty((trajectories, *SHAPES["data"][:2]), dtype=np.float32)
    x = t = None
    try:
        with h5py.File(path, "r") as file:
            for i in range(trajectories):
                arrays = {name: _array(file, path, f"{i:04d}/{name}") for name in SHAPES}
                if x is None:
                    x, t = arrays["grid/x"].astype(np.float64), arrays["grid/t"].astype(np.float64)
                    _check_grid(path, x, t)
                elif not (np.array_equal(x, arrays["grid/x"]) and np.array_equal(t, arrays["grid/t"])):
                    raise DataError(f"{path}: group {i:04d} has another grid than group 0000; expected one")
                u[i] = arrays["data"][..., 0]
    except (OSError, RuntimeError) as error:  # h5py's words for a damaged file
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: cannot be read as an HDF5 file, perhaps truncated ({error})") from error
    return Trajectories(u, x, t)


def _array(file: h5py.File, path: Path, name: str) -> np.ndarray:
    item, shape = file.get(name), SHAPES[name.partition("/")[2]]
    if not isinstance(item, h5py.Dataset):
        raise DataError(f"{path}: no array {name!r}; expected groups '0000', '0001', ... with {list(SHAPES)}")
    if item.shape != shape:
        raise DataError(f"{path}: {name!r} has shape {item.shape}; expected {shape}")
    if item.dtype.kind != "f":
        raise DataError(f"{path}: {name!r} has type {item.dtype}; expected 32-bit floating point")
    values = item[()]
    if not np.isfinite(values).all():
        raise DataError(f"{path}: {name!r} contains values that are not finite")
    return values


def _check_grid(path: Path, x: np.ndarray, t: np.ndarray) -> None:
    if (np.diff(x) <= 0).any() or x[0] <= 0 or x[-1] >= 1:
        raise DataError(f"{path}: 'grid/x' is {x[0]}..{x[-1]}; expected increasing cell centres in (0, 1)")
    if (np.diff(t) <= 0).any() or abs(t[0]) > 1e-6 or abs(t[-1] - END_TIME) > 1e-3 * END_TIME:
        raise DataError(f"{path}: 'grid/t' is {t[0]}..{t[-1]}; expected increasing times from 0 to 500")
