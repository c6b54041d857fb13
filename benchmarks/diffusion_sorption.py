"""Our diffusion-sorption solver against the generator's way: explicit RK45, one trajectory at a time.

Both are timed in this run and compared with a solution on 4,096 cells and tight tolerances. The rival is the
right-hand side written straight down in NumPy (boundary values in ghost cells) under `solve_ivp`'s default
method and tolerances, which is how the published data were made.

    python benchmarks/diffusion_sorption.py [--trajectories 100] [--rival-trajectories 1]
"""

import argparse
import time

import numpy as np
import pandas as pd
from _floor import fastest
from scipy.integrate import solve_ivp

from prunebook.data.diffusion_sorption import Equation, Solution, initial_states, solve, stored_times

CELLS, TIMES = 1024, stored_times()
COMPARED = slice(10, None, 10)  # the ten steps of the regression data


def explicit(u0: float, rtol: float = 1e-3, atol: float = 1e-6) -> np.ndarray:
    """One trajectory, (times, cells), by RK45 on the ghost-cell scheme."""
    equation, h = Equation(), 1 / CELLS
    d = equation.diffusion

    def rate(_, u):
        padded = np.concatenate([[1.0], u, [d * (u[-2] - u[-1]) / h]])
        return d * (padded[2:] - 2 * u + padded[:-2]) / h**2 / equation.retardation(u)

    return solve_ivp(rate, (0, 500), np.full(CELLS, u0), t_eval=TIMES, rtol=rtol, atol=atol).y.T


def rate_alone(cells: int, together: int) -> float:
    """Seconds of the arithmetic of one right-hand side for some trajectories together, and of nothing else."""
    equation, h = Equation(), 1 / cells
    u, out = np.full((together, cells + 2), 0.5), np.empty((together, cells))

    def work() -> None:
        np.subtract(u[:, 2:], u[:, 1:-1], out=out)
        np.subtract(out, u[:, 1:-1] - u[:, :-2], out=out)
        np.multiply(out, equation.diffusion / h**2, out=out)
        np.divide(out, equation.retardation(u[:, 1:-1]), out=out)

    return fastest(work, rounds=50)


def timed(work, *args, **settings):
    start = time.perf_counter()
    return work(*args, **settings), time.perf_counter() - start


def row(name: str, ours: Solution, seconds: float, rival: float, note: str) -> dict:
    """The floor is the arithmetic of the right-hand sides that the integrator asked for, all groups alike."""
    count, groups = len(ours.u), ours.stats["groups"]
    floor = ours.stats["rate_evaluations"] * rate_alone(CELLS, -(-count // groups))
    return {
        "name": name,
        "size": f"{count}x{len(TIMES)}x{CELLS}",
        "seconds": seconds,
        "rival": "ghost scheme, RK45, rtol 1e-3",
        "rival_seconds": rival,
        "ratio": rival / seconds,
        "floor": floor,
        "scaling": [f"the PDE, {name.split(',')[0]}", "trajectories", count],
        "note": note,
    }


def main(trajectories: int = 100, rival_trajectories: int = 1) -> list[dict]:
    """Print the table of speed and error, and return its rows."""
    states = initial_states(trajectories)
    few = states[:rival_trajectories]
    results = [timed(explicit, u0) for u0 in few]
    rival, each = np.stack([u for u, _ in results]), np.mean([seconds for _, seconds in results])
    fine = solve(few, cells=4 * CELLS, times=TIMES[COMPARED], rtol=1e-10, atol=1e-12)
    rows = []
    for count in sorted({max(1, trajectories // 10), max(1, trajectories // 3)} - {trajectories}):
        ours, seconds = timed(solve, states[:count], times=TIMES)
        rows.append(row("face scheme, LSODA", ours, seconds, each * count, "rival: 1 measured, the rest extrapolated"))
    for scheme in ("face", "ghost"):
        ours, seconds = timed(solve, states, times=TIMES, scheme=scheme)
        truth = fine.at(ours.x)
        error, other = (np.abs(u[:, COMPARED] - truth).max() for u in (ours.u[: len(few)], rival))
        measured = "measured" if len(few) == trajectories else f"{len(few)} measured, the rest extrapolated"
        note = f"largest error {error:.1e}, rival {other:.1e}; rival: {measured}"
        rows.append(row(f"{scheme} scheme, LSODA", ours, seconds, each * trajectories, note))
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3g"))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trajectories", type=int, default=100)
    parser.add_argument("--rival-trajectories", type=int, default=1)
    main(**vars(parser.parse_args()))
