"""Solutions kept on disk, so that the same trajectories are computed once on a machine."""

import hashlib
import json
import logging
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import scipy
from jaxtyping import Float

from prunebook.data.diffusion_sorption import equation as equation_module
from prunebook.data.diffusion_sorption import solver as solver_module
from prunebook.data.diffusion_sorption.equation import Equation, stored_times
from prunebook.data.diffusion_sorption.solver import Solution, solve

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """`PRUNEBOOK_CACHE` if set, else "prunebook" in the user's cache folder of the platform."""
    if chosen := os.environ.get("PRUNEBOOK_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "prunebook"


def solution_key(u0, *, cells, times, equation, scheme, rtol, atol) -> str:
    """Hash of everything that the numbers depend on, the solver's own source and SciPy's version included."""
    sources = [Path(module.__file__).read_bytes() for module in (equation_module, solver_module)]
    numbers = [np.asarray(array, dtype=np.float64).tobytes() for array in (u0, times)]
    settings = [asdict(equation), cells, scheme, rtol, atol, len(u0), len(times), scipy.__version__]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for part in (*numbers, *sources):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def cached_solve(
    u0: Float[np.ndarray, " n"],
    *,
    cells: int = 1024,
    times: Float[np.ndarray, " times"] | None = None,
    equation: Equation | None = None,
    scheme: str = "face",
    rtol: float = 1e-8,
    atol: float = 1e-10,
    folder: Path | None = None,
) -> Solution:
    """`solve`, or its stored result. A damaged file is computed again; an unusable folder is no error.

    `stats["cached"]` says which; a stored result keeps the seconds of the run that made it.
    """
    equation = equation or Equation()
    times = stored_times(equation) if times is None else times
    settings = {
        "cells": cells,
        "times": times,
        "equation": equation,
        "scheme": scheme,
        "rtol": rtol,
        "atol": atol,
    }
    key = solution_key(u0, **settings)
    path = (folder or cache_folder()) / f"diffusion-sorption-{key[:24]}.npz"
    if (stored := _read(path, key)) is not None:
        u, x, stats = stored
        return Solution(u, x, np.asarray(times), np.asarray(u0), equation, scheme, stats | {"cached": True})
    solution = solve(u0, **settings)
    _write(path, key, solution)
    return solution


def _read(path: Path, key: str) -> tuple[np.ndarray, np.ndarray, dict] | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if str(arrays["key"]) != key:
                raise ValueError("it belongs to other settings")
            return arrays["u"], arrays["x"], json.loads(str(arrays["stats"]))  # each read against its CRC-32
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged file can fail in any way, and none of them is worth stopping for
        log.warning("cannot use the stored solution %s (%s); computing it again", path, error)
        return None


def _write(path: Path, key: str, solution: Solution) -> None:
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            np.savez(file, u=solution.u, x=solution.x, key=key, stats=json.dumps(solution.stats))
        temporary.replace(path)  # atomic: a reader sees the whole file or none
    except OSError as error:
        log.warning("cannot store the solution in %s (%s); going on without", path.parent, error)
        if temporary is not None:
            temporary.unlink(missing_ok=True)
