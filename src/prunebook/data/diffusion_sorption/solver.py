"""Method of lines for the diffusion-sorption equation: finite volumes in x, SciPy's implicit LSODA in t.

Two treatments of the boundary:

- "face" puts the boundary values where they belong, on the outer faces of the outer cells: second order.
- "ghost" puts them in the centres of cells outside the grid, as PDEBench's generator does: first order.

The outflow condition is u = -D du/dx at the right end: what leaves is the solute that arrives, so the
column empties there. With the other sign the problem is unstable.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline

from prunebook.data.diffusion_sorption.equation import Equation, stored_times
from prunebook.errors import InputError

SCHEME = "face"
SCHEMES = (SCHEME, "ghost")
RTOL, ATOL = 1e-8, 1e-10  # leave an error of about 1e-8 in time, far below that of the grid
UNKNOWNS = 4096  # unknowns solved together: enough to hide Python's overhead, few enough to stay in the cache
PATIENCE = 50_000  # evaluations of du/dt after which a system counts as unsolvable; 2,000 are usual


@dataclass(frozen=True)
class Walls:
    """Where a scheme puts the two boundary values, and how the right one follows from the last two cells."""

    distance: float  # from the centre of an outer cell to the place of its boundary value
    second_last: float  # right boundary value = second_last * u[-2] + last * u[-1]
    last: float

    @classmethod
    def of(cls, scheme: str, h: float, diffusion: float) -> "Walls":
        if scheme == "ghost":
            return cls(h, diffusion / h, -diffusion / h)
        a = 2 * diffusion / h  # u_f = a (u[-1] - u_f), the outflow condition on the face
        return cls(h / 2, 0.0, a / (1 + a))

    def right(self, u: Float[np.ndarray, "*batch cells"]) -> Float[np.ndarray, "*batch"]:
        return self.second_last * u[..., -2] + self.last * u[..., -1]


@dataclass(frozen=True)
class Solution:
    """Trajectories at the cell centres: u of shape (trajectories, times, cells), with x, t and u0."""

    u: Float[np.ndarray, "n times cells"]
    x: Float[np.ndarray, " cells"]
    t: Float[np.ndarray, " times"]
    u0: Float[np.ndarray, " n"]
    equation: Equation
    scheme: str
    stats: dict = field(default_factory=dict)

    @property
    def h(self) -> float:
        return self.equation.length / len(self.x)

    @property
    def walls(self) -> Walls:
        return Walls.of(self.scheme, self.h, self.equation.diffusion)

    def at(self, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, "n times points"]:
        """The solution between the cell centres: a cubic spline through them and the two boundary values."""
        outside = self.walls.distance - self.h / 2
        left = np.ones_like(self.u[..., :1])
        values = np.concatenate([left, self.u, self.walls.right(self.u)[..., None]], axis=-1)
        return CubicSpline(np.r_[-outside, self.x, self.equation.length + outside], values, axis=-1)(x)


def semi_discrete(equation: Equation, cells: int, copies: int, scheme: str) -> tuple[Callable, Callable]:
    """du/dt and its packed tridiagonal Jacobian for `copies` columns one after another in one long vector.

    The Jacobian has the rows upper, diagonal, lower diagonal, as `solve_ivp(..., lband=1, uband=1)` wants it.
    """
    h, d = equation.length / cells, equation.diffusion
    walls = Walls.of(scheme, h, d)
    across, outer = d / h**2, d / (walls.distance * h)
    lower, diagonal, upper, source = (np.full(cells, v) for v in (across, -2 * across, across, 0.0))
    lower[0], upper[-1] = 0, 0  # so that neighbouring columns in the long vector do not touch
    diagonal[0], source[0] = -across - outer, outer  # the left boundary value is 1
    diagonal[-1] = -across - outer * (1 - walls.last)
    lower[-1] += outer * walls.second_last
    lower, diagonal, upper, source = (np.tile(v, copies) for v in (lower, diagonal, upper, source))

    def divergence(u):
        g = diagonal * u
        g += source
        g[1:] += lower[1:] * u[:-1]
        g[:-1] += upper[:-1] * u[1:]
        return g

    evaluations = 0

    def rate(t, u):
        nonlocal evaluations
        evaluations += 1
        if evaluations > PATIENCE:
            raise RuntimeError(f"the integration makes no headway at t={t:.3g}, after {PATIENCE} evaluations")
        return divergence(u) / equation.retardation(u)

    def jacobian(_, u):
        r = equation.retardation(u)
        packed = np.zeros((3, u.size))
        packed[0, 1:] = (upper / r)[:-1]
        packed[1] = (diagonal - divergence(u) / r * equation.retardation_slope(u)) / r
        packed[2, :-1] = (lower / r)[1:]
        return packed

    return rate, jacobian


def _solve_together(u0, cells, times, equation, scheme, rtol, atol):
    rate, jacobian = semi_discrete(equation, cells, len(u0), scheme)
    settings = {"t_eval": times, "rtol": rtol, "atol": atol, "jac": jacobian, "lband": 1, "uband": 1}
    result = solve_ivp(rate, (0.0, times[-1]), np.repeat(u0, cells), method="LSODA", **settings)
    if not result.success or not np.isfinite(result.y).all():
        done = f"{len(result.t)} of {len(times)} times"
        raise RuntimeError(f"the integration failed after {done}: {result.message}")
    u = result.y.T.reshape(len(times), len(u0), cells).transpose(1, 0, 2)
    if times[0] == 0:
        u[:, 0] = u0[:, None]  # SciPy interpolates there, which may cost the last bit
    return u, int(result.nfev)


def solve(
    u0: Float[np.ndarray, " n"],
    *,
    cells: int = 1024,
    times: Float[np.ndarray, " times"] | None = None,
    equation: Equation | None = None,
    scheme: str = SCHEME,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> Solution:
    """Solve for all initial states and return the trajectories at `times` (default: 101 from 0 to the end).

    A few trajectories are integrated together as one long tridiagonal system with common steps. Raises InputError for
    an unusable argument, RuntimeError when integration fails.
    """
    equation = equation or Equation()
    u0 = np.asarray(u0, dtype=np.float64)
    times = stored_times(equation) if times is None else np.asarray(times, dtype=np.float64)
    _check(u0, cells, times, equation, scheme, rtol, atol)
    start, size = time.perf_counter(), max(1, UNKNOWNS // cells)
    groups = [u0[i : i + size] for i in range(0, len(u0), size)]
    solved = [_solve_together(group, cells, times, equation, scheme, rtol, atol) for group in groups]
    u = np.concatenate([part for part, _ in solved])
    stats = {"seconds": time.perf_counter() - start, "groups": len(groups), "cached": False}
    stats["rate_evaluations"] = sum(evaluations for _, evaluations in solved)
    x = (np.arange(cells) + 0.5) * (equation.length / cells)
    return Solution(u, x, times, u0, equation, scheme, stats)


def _check(u0, cells, times, equation, scheme, rtol, atol):
    if u0.ndim != 1 or not len(u0):
        raise InputError(f"u0 has shape {u0.shape}; give a vector with one initial state a trajectory")
    if not np.isfinite(u0).all() or (u0 < 0).any() or (u0 > 1).any():
        bad = u0[~((u0 >= 0) & (u0 <= 1))][0]
        raise InputError(f"u0 contains {bad}; an initial state is a concentration between 0 and 1")
    if cells < 4:
        raise InputError(f"cells={cells} is too few; use at least 4, and about 1,024 for accurate values")
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all():
        raise InputError("times must be a vector of finite numbers")
    if (np.diff(times) <= 0).any():
        raise InputError("times must be strictly increasing; sort them and drop repeated ones")
    if times[0] < 0 or not 0 < times[-1] <= equation.end_time:
        raise InputError(
            f"times run from {times[0]} to {times[-1]}; keep them from 0 to end_time={equation.end_time}, "
            "with one after 0 at least"
        )
    if scheme not in SCHEMES:
        raise InputError(f"scheme={scheme!r} is not known; choose one of {SCHEMES}")
    if not (1e-13 <= rtol < 1 and 0 < atol < 1):
        raise InputError(f"rtol={rtol}, atol={atol}: use tolerances below 1, rtol from 1e-13, atol positive")
