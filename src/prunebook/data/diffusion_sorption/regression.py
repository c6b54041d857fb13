"""Regression data from diffusion-sorption trajectories: (constants, time, place, initial state) -> u.

Each pair is one cell of one stored step of one trajectory. The inputs, in this order:

    0            D, the diffusion coefficient           (constant)
    1            porosity                               (constant)
    2            t / 500, so that it runs from 0.1 to 1
    3            x, the centre of the cell
    4, 5, ...    u0 on the cells, 64 numbers

68 numbers by default, the width that Ballini et al. (2026) give for their networks. They name the inputs
(mu, t, x, u0), which leaves two numbers for mu. PDEBench varies no constant in these data, so mu is taken to
be the two constants above; never standardise them, since their standard deviation is zero. As u0 is constant
in x, the 64 numbers of a trajectory are equal.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from prunebook.data.diffusion_sorption.cache import cached_solve
from prunebook.data.diffusion_sorption.equation import Equation, initial_states, stored_times
from prunebook.data.diffusion_sorption.pdebench import load_pdebench
from prunebook.data.problem import Problem
from prunebook.errors import InputError

GRID, STORED = 1024, 101  # cells and stored steps of the published data; no coarser grid is ever solved on
CELLS, STEPS = 64, 10  # of these, the ones that are used
SPLIT_SEED, TEST_SHARE = 20, 0.2
NOISE_SEED = 2026


def regression_data(
    *, trajectories: int = 100, noise: float = 0.0, source: str | Path | None = None, device: str | torch.device = "cpu"
) -> Problem:
    """64,000 pairs: 100 trajectories, 10 steps (10, 20, ..., 100) and 64 cells (8, 24, ..., 1016).

    The trajectories are solved on 1,024 cells and then thinned out; with `source`, a path, they are read from a
    PDEBench file instead. A fixed permutation gives 20 % of the trajectories, whole, to the test split, so that no
    trajectory is in both. Noise, uniform on (-noise, noise), is added to the targets of both splits and drawn once, so
    that it is the same for all repeats of a training; a larger `noise` scales the same draw. The inputs stay clean.
    All tensors are float32 on `device`, trajectory by trajectory, then step by step, then cell by cell.

    `floor` holds mean squared errors on the test targets that tell what a loss means: "noise" is d²/3, what a perfect
    network has left on noisy targets; "blind_train" and "blind_test" are what the best network that cannot see u0 has
    left on clean targets, i.e. the error of the training trajectories' mean at each (t, x). `checksums` are SHA-256 of
    the arrays: they tell whether two runs used the same numbers. Solutions of two machines agree to about 1e-8, not to
    the last bit, so theirs may differ. Raises InputError for an unusable argument, DataError for an unusable file.
    """
    if trajectories < 2:
        raise InputError(f"trajectories={trajectories}: use at least 2, one to train on and one to test on")
    if not (np.isfinite(noise) and noise >= 0):
        raise InputError(f"noise={noise} must be a finite half-width, zero or larger")
    equation = Equation()
    step = np.arange(1, STEPS + 1) * ((STORED - 1) // STEPS)
    cell = np.arange(CELLS) * (GRID // CELLS) + GRID // CELLS // 2
    if source is None:
        name, origin = "diffusion-sorption", f"solved on {GRID} cells, initial states seeded by legacy"
        states, times = initial_states(trajectories), stored_times(equation, STORED)[step]
        solution = cached_solve(states, times, cells=GRID)
        u, x = solution.u[..., cell], solution.x[cell]
        u0 = np.repeat(states[:, None], CELLS, axis=1)
    else:
        name, origin = "pdebench-diffusion-sorption", f"read from {Path(source).name}"
        read = load_pdebench(source, trajectories)
        u, x, times = read.u[:, step][..., cell].astype(np.float64), read.x[cell], read.t[step]
        u0 = read.u[:, 0, cell].astype(np.float64)
    noisy = u + noise * np.random.default_rng(NOISE_SEED).uniform(-1, 1, u.shape)
    inputs = np.empty((trajectories, STEPS, CELLS, 4 + CELLS))
    inputs[..., 0], inputs[..., 1] = equation.diffusion, equation.porosity
    inputs[..., 2] = (times / equation.end_time)[:, None]
    inputs[..., 3] = x
    inputs[..., 4:] = u0[:, None, None, :]
    train, test = split(trajectories)

    def tensor(array: np.ndarray, rows: np.ndarray) -> Tensor:
        width = array.shape[-1] if array.ndim == 4 else 1
        return torch.tensor(array[rows].reshape(-1, width), dtype=torch.float32, device=device)

    mean, parts = u[train].mean(0), {"train": train, "test": test}
    blind = {f"blind_{part}": float(((u[rows] - mean) ** 2).mean()) for part, rows in parts.items()}
    x_test = tensor(inputs, test)
    return Problem(
        name=name,
        origin=origin,
        notice="",
        stand_in=False,
        checksums={"inputs": _sha256(inputs), "u": _sha256(u), "targets": _sha256(noisy)},
        loss="mse",
        x_train=tensor(inputs, train),
        y_train=tensor(noisy, train),
        x_test=x_test,
        y_test=tensor(noisy, test),
        y_clean=tensor(u, test),
        coordinates={"u0": x_test[:, 4], "t": x_test[:, 2] * 500, "x": x_test[:, 3]},
        floor={"noise": noise**2 / 3, **blind},
        groups={"t": [2], "x": [3], "u0": list(range(4, x_test.shape[1]))},
    )


def split(trajectories: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of those to train on and of those to test on, in order: a fixed choice."""
    order = np.random.default_rng(SPLIT_SEED).permutation(trajectories)
    held_out = max(1, round(TEST_SHARE * trajectories))
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def _sha256(array: np.ndarray) -> str:
    # Of the float32 values, since that is what a network sees.
    return hashlib.sha256(np.ascontiguousarray(array, dtype="<f4").tobytes()).hexdigest()
