"""Small tables that show how far the diffusion–sorption solver can be trusted, for the page."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from prunebook.data.diffusion_sorption import SCHEMES, solve

TIMES = (50.0, 250.0, 500.0)


def grid_convergence(
    cells: Sequence[int] = (64, 128, 256, 512), *, u0: float = 0.1, times: Sequence[float] = TIMES
) -> pd.DataFrame:
    """Largest error at cells of the coarsest grid's spacing, by scheme and grid: columns scheme, cells, error.

    The reference is the face scheme on four times the finest grid, with tight tolerances. Solutions are compared at
    0.05 <= x <= 0.95: near the inlet the early profile is steep and every grid errs more.
    """
    states, times = np.array([u0]), np.asarray(times, dtype=float)
    fine = solve(states, cells=4 * max(cells), times=times, rtol=1e-10, atol=1e-12)
    rows = []
    for scheme in SCHEMES:
        for count in cells:
            coarse = solve(states, cells=count, times=times, scheme=scheme, rtol=1e-10, atol=1e-12)
            inner = (coarse.x > 0.05) & (coarse.x < 0.95)
            error = np.abs(coarse.u - fine.at(coarse.x))[..., inner].max()
            rows.append({"scheme": scheme, "cells": count, "error": float(error)})
    return pd.DataFrame(rows)


def scheme_difference(cells: int = 1024, *, u0: float = 0.1, times: Sequence[float] = TIMES) -> pd.DataFrame:
    """Solutions of both schemes on one grid: columns t, x, u_face, u_ghost."""
    states, times = np.array([u0]), np.asarray(times, dtype=float)
    face, ghost = (solve(states, cells=cells, times=times, scheme=scheme) for scheme in ("face", "ghost"))
    t, x = np.meshgrid(face.t, face.x, indexing="ij")
    columns = {"t": t, "x": x, "u_face": face.u[0], "u_ghost": ghost.u[0]}
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()})
