"""Solutions kept on disk, so that the same trajectories are computed once on a machine."""

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path

import filelock
import numpy as np
import scipy
from jaxtyping import Float

from prunebook.data.diffusion_sorption.equation import Equation
from prunebook.data.diffusion_sorption.solver import ATOL, RTOL, SCHEME, Solution, solve
from prunebook.paths import cache_folder, replacing, sweep

# Part of every file's name. Change it when the solver comes to other numbers than before; what is in the cache is then
# solved anew. The first value is what earlier releases computed, so that their files are still found.
VERSION = (
    "3609d411a358ecf51c70308f629a9f5321eb51e258f51cd000d3f77d38ed37c4",
    "f4ea75636874c965634c4b8837f8526605464f6bf9fb764e0decfffe2a758277",
)
log = logging.getLogger(__name__)


def solution_key(u0, *, cells, times) -> str:
    """Hash of everything that the numbers depend on, ``VERSION`` and SciPy's version included."""
    arrays = (np.asarray(array, dtype=np.float64).tobytes() for array in (u0, times))
    settings = [asdict(Equation()), cells, SCHEME, RTOL, ATOL, len(u0), len(times), scipy.__version__]
    parts = [*(hashlib.sha256(array).digest() for array in arrays), *map(bytes.fromhex, VERSION)]
    return hashlib.sha256(b"".join([json.dumps(settings, sort_keys=True).encode(), *parts])).hexdigest()


def cached_solve(
    u0: Float[np.ndarray, " n"], times: Float[np.ndarray, " times"], *, cells: int = 1024, folder: Path | None = None
) -> Solution:
    """`solve`, or its stored result. A damaged file is computed again; an unusable folder is no error.

    `stats["cached"]` says which; a stored result keeps the seconds of the run that made it.
    """
    settings = {"cells": cells, "times": times}
    key = solution_key(u0, **settings)
    path = (folder or cache_folder()) / f"diffusion-sorption-{key[:24]}.npz"
    there, solution = path.exists(), None
    if there and (found := _stored(path, key, u0, times)):
        return found
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.with_suffix(".lock")):  # several processes would all solve the same
            sweep(path.parent, path.name)
            if not there and path.exists() and (found := _stored(path, key, u0, times)):
                return found
            solution = solve(u0, **settings)
            with replacing(path) as file:
                np.savez(file, u=solution.u, x=solution.x, key=key, stats=json.dumps(solution.stats))
    except OSError as error:
        log.warning("cannot store the solution in %s (%s); going on without", path.parent, error)
    return solution or solve(u0, **settings)


def _stored(path: Path, key: str, u0: np.ndarray, times: np.ndarray) -> Solution | None:
    """The solution in a file; None, and a line in the log, where it cannot be used."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:  # compares checksums
            if str(arrays["key"]) != key:
                raise ValueError("it belongs to other settings")
            u, x, stats = arrays["u"], arrays["x"], json.loads(str(arrays["stats"])) | {"cached": True}
    except Exception as error:  # a damaged file can fail in any way, and none of them is worth stopping for
        log.warning("cannot use the stored solution %s (%s); computing it again", path, error)
        return None
    return Solution(u, x, np.asarray(times), np.asarray(u0), Equation(), SCHEME, stats)
