"""The solver against independent answers: reference values, a similarity solution, mass balance, RK45."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import solve_bvp, solve_ivp

from prunebook.data.diffusion_sorption import SCHEMES, Equation, Solution, initial_states, solve, stored_times
from prunebook.data.diffusion_sorption.solver import Walls, semi_discrete
from prunebook.errors import InputError

REFERENCE = Path(__file__).parents[1] / "data" / "reported" / "diffusion_sorption_reference.csv"
TIMES = np.array([50.0, 100.0, 250.0, 500.0])
STATES = np.array([0.05, 0.1, 0.2])


@pytest.fixture(scope="module")
def reference():
    """Values of shape (states, times, x), and x."""
    table = pd.read_csv(REFERENCE).sort_values(["u0", "t", "x"])
    values = table["u_reference"].to_numpy().reshape(len(STATES), len(TIMES), -1)
    assert np.array_equal(table["u0"].unique(), STATES)
    assert np.array_equal(table["t"].unique(), TIMES)
    return values, table["x"].unique()


def worst(cells, scheme, reference, **settings):
    values, x = reference
    solution = solve(STATES, cells=cells, times=TIMES, scheme=scheme, **settings)
    return np.abs(solution.at(x) - values).max()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_right_boundary_value_meets_the_outflow_condition(scheme):
    h, d, u = 0.1, 0.03, np.array([[0.6, 0.5, 0.4]])
    (wall,) = Walls.of(scheme, h, d).right(u)
    slope = (wall - 0.4) / (h / 2) if scheme == "face" else (0.4 - 0.5) / h
    assert wall == pytest.approx(-d * slope, rel=1e-12)
    assert wall > 0


@pytest.mark.parametrize(("cells", "tolerance"), [(1024, 5e-6), (2048, 2e-6)])
def test_reference_values(cells, tolerance, reference):
    assert worst(cells, "face", reference) < tolerance


def test_ghost_scheme_is_close_but_not_the_continuous_solution(reference):
    values, x = reference
    away = x >= 0.1  # at the inlet the error is larger still
    error = worst(1024, "ghost", (values[..., away], x[away]))
    assert 1.5e-3 < error < 2.5e-3


@pytest.mark.parametrize(("scheme", "order"), [("face", 2), ("ghost", 1)])
def test_order_in_the_grid(scheme, order, reference):
    errors = np.array([worst(cells, scheme, reference) for cells in (64, 128, 256, 512)])
    observed = np.log2(errors[:-1] / errors[1:])
    assert (np.abs(observed - order) < 0.1).all(), observed


def test_error_in_time_is_far_below_the_error_of_the_grid():
    rough = solve(STATES, cells=512, times=TIMES)
    tight = solve(STATES, cells=512, times=TIMES, rtol=1e-11, atol=1e-13)
    assert np.abs(rough.u - tight.u).max() < 3e-8


@pytest.mark.parametrize("u0", [0.02, 0.19])
def test_similarity_solution(u0):
    """Until the right end is felt, u depends on xi = x / sqrt(D t) alone: f'' = -xi/2 R(f) f'."""
    equation = Equation()
    xi = np.linspace(0, 9, 400)
    guess = np.stack([u0 + (1 - u0) * np.exp(-xi), -(1 - u0) * np.exp(-xi)])
    bvp = solve_bvp(
        lambda s, y: np.stack([y[1], -s / 2 * equation.retardation(y[0]) * y[1]]),
        lambda left, right: np.array([left[0] - 1, right[0] - u0]),
        xi,
        guess,
        tol=1e-10,
        max_nodes=100_000,
    )
    assert bvp.success
    times = np.array([10.0, 25.0, 50.0])
    solution = solve(np.array([u0]), cells=2048, times=times)
    for t, u in zip(times, solution.u[0], strict=True):
        reach = solution.x / np.sqrt(equation.diffusion * t)
        early = (reach < 9) & (solution.x < 0.4)
        assert np.abs(u - bvp.sol(reach)[0])[early].max() < 4e-6 * 50 / t


def content(equation: Equation, u):
    """Dissolved and sorbed solute, u + c (u + epsilon)^n; its derivative with respect to u is R(u)."""
    return u + equation.capacity * (np.maximum(u, 0) + equation.epsilon) ** equation.n_f


def inflow(solution: Solution):
    """Flux -D du/dx through the left end."""
    return solution.equation.diffusion * (1 - solution.u[..., 0]) / solution.walls.distance


def outflow(solution: Solution):
    """Flux -D du/dx through the right end."""
    fall = solution.u[..., -1] - solution.walls.right(solution.u)
    return solution.equation.diffusion * fall / solution.walls.distance


@pytest.mark.parametrize("scheme", SCHEMES)
def test_mass_balance(scheme):
    """What flows in minus what flows out is what the column holds more, with the solution's own fluxes."""
    times = np.linspace(20, 500, 2401)
    solution = solve(STATES, cells=256, times=times, scheme=scheme)
    mass = solution.h * content(solution.equation, solution.u).sum(-1)
    change = np.gradient(mass, times, axis=1, edge_order=2)[:, 2:-2]
    net = (inflow(solution) - outflow(solution))[:, 2:-2]
    assert np.abs(change / net - 1).max() < 1e-4  # limited by the differences in time
    gained = mass[:, -1] - mass[:, 0]
    width = times[1] - times[0]
    weights = np.r_[1, np.tile([4, 2], (len(times) - 2) // 2), 4, 1] * width / 3  # Simpson
    assert np.abs((inflow(solution) - outflow(solution)) @ weights / gained - 1).max() < 1e-6


def test_outflow_is_the_concentration_at_the_right_end():
    solution = solve(np.array([0.2]), cells=512, times=TIMES)
    assert outflow(solution) == pytest.approx(solution.at(np.array([1.0]))[..., 0], rel=1e-9)
    # The slope at the wall of the parabola through the wall's and the last two cells' values.
    fall = (3 * solution.u[..., -1] - solution.u[..., -2] / 3 - 8 / 3 * outflow(solution)) / solution.h
    assert 5e-4 * fall == pytest.approx(outflow(solution), rel=0.05)


def test_bounds_and_monotony():
    solution = solve(initial_states(4))
    assert solution.u.shape == (4, 101, 1024)
    assert solution.u.min() > 0
    assert solution.u.max() < 1
    assert np.diff(solution.u, axis=2).max() < 1e-9  # falls with x
    assert np.diff(solution.u[..., :512], axis=1).min() > -1e-9  # rises with t in the left half
    assert np.array_equal(solution.u[:, 0], np.repeat(initial_states(4)[:, None], 1024, axis=1))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_explicit_integration_agrees(scheme):
    """RK45 on the equation written out anew, with loops and without the solver's stencil."""
    cells, d, times = 24, 5e-4, np.array([10.0, 200.0, 500.0])
    h = 1 / cells

    def rate(_, u):
        out = np.empty(cells)
        for i in range(cells):
            west = d * (u[i] - u[i - 1]) / h if i else d * (u[0] - 1) / (h / 2 if scheme == "face" else h)
            if i < cells - 1:
                east = d * (u[i + 1] - u[i]) / h
            elif scheme == "face":
                east = -u[i] * (2 * d / h) / (1 + 2 * d / h)  # D du/dx = -u on the face
            else:
                east = d * (d * (u[i - 1] - u[i]) / h - u[i]) / h
            retardation = 1 + (1 - 0.29) / 0.29 * 2880 * 3.5e-4 * 0.874 * (max(u[i], 0) + 1e-6) ** (0.874 - 1)
            out[i] = (east - west) / h / retardation
        return out

    explicit = solve_ivp(rate, (0, 500), np.full(cells, 0.1), t_eval=times, rtol=1e-9, atol=1e-11).y.T
    implicit = solve(np.array([0.1]), cells=cells, times=times, scheme=scheme, rtol=1e-10, atol=1e-12)
    assert np.abs(implicit.u[0] - explicit).max() < 1e-7


@pytest.mark.parametrize("scheme", SCHEMES)
def test_jacobian_is_the_derivative(scheme):
    equation, cells, copies = Equation(), 7, 3
    rate, jacobian = semi_discrete(equation, cells, copies, scheme)
    u = np.random.default_rng(0).uniform(0.01, 1, cells * copies)
    packed, step = jacobian(0.0, u), 1e-6
    dense = np.diag(packed[1]) + np.diag(packed[0, 1:], 1) + np.diag(packed[2, :-1], -1)
    columns = [(rate(0.0, u + step * e) - rate(0.0, u - step * e)) / (2 * step) for e in np.eye(u.size)]
    assert np.allclose(dense, np.stack(columns, axis=1), atol=1e-8)


def test_trajectories_do_not_depend_on_their_neighbours():
    together = solve(initial_states(9), cells=512, times=TIMES)
    for i in (0, 5, 8):
        alone = solve(initial_states(i + 1)[i:], cells=512, times=TIMES)
        assert np.abs(together.u[i] - alone.u[0]).max() < 5e-8
    assert together.stats["groups"] == 2


def test_constants_and_retardation():
    equation = Equation()
    assert equation.capacity == pytest.approx(2.467862, abs=5e-7)
    assert equation.retardation(np.array([1.0, 0.1, 0.0, -1.0])) == pytest.approx(
        [3.156909, 3.8829, 13.298, 13.298], abs=5e-4
    )
    step, u = 1e-6, np.array([0.01, 0.3, 0.9])
    slope = (equation.retardation(u + step) - equation.retardation(u - step)) / (2 * step)
    assert equation.retardation_slope(u) == pytest.approx(slope, rel=1e-5)
    slope = (content(equation, u + step) - content(equation, u - step)) / (2 * step)
    assert equation.retardation(u) == pytest.approx(slope, rel=1e-8)


def test_initial_states():
    assert initial_states(1)[0] == pytest.approx(0.109763, abs=5e-7)
    assert np.array_equal(initial_states(3), initial_states(5)[:3])
    hundred = initial_states(100)
    assert (round(hundred.min(), 4), round(hundred.max(), 3)) == (0.0021, 0.198)


def test_a_hopeless_integration_ends(monkeypatch):
    monkeypatch.setattr("prunebook.data.diffusion_sorption.solver.PATIENCE", 20)
    with pytest.raises(RuntimeError, match="no headway at t="):
        solve(np.array([0.1]), cells=8, times=TIMES)


def test_default_times():
    solution = solve(initial_states(2), cells=64)
    assert np.array_equal(solution.t, np.arange(0, 501, 5))
    assert isinstance(solution, Solution)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"porosity": 0.0}, "porosity=0.0"),
        ({"porosity": 1.0}, "porosity=1.0"),
        ({"diffusion": 0.0}, "diffusion=0.0"),
        ({"diffusion": -5e-4}, "diffusion=-0.0005"),
        ({"diffusion": float("nan")}, "diffusion=nan"),
        ({"end_time": float("inf")}, "end_time=inf"),
        ({"k_f": -1.0}, "k_f=-1.0"),
        ({"epsilon": 0.0}, "epsilon=0.0"),
    ],
)
def test_unphysical_constants_are_refused(changes, named):
    with pytest.raises(InputError, match=named):
        Equation(**changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"u0": np.array([0.1, 1.5])}, "1.5"),
        ({"u0": np.array([-0.1])}, "-0.1"),
        ({"u0": np.array([np.nan])}, "nan"),
        ({"u0": np.array([])}, r"\(0,\)"),
        ({"cells": 3}, "cells=3"),
        ({"times": np.array([0.0, 10.0, 10.0])}, "increasing"),
        ({"times": np.array([10.0, 5.0])}, "increasing"),
        ({"times": np.array([0.0, 501.0])}, "501"),
        ({"times": np.array([-1.0, 5.0])}, "-1"),
        ({"times": np.array([0.0])}, "one after 0"),
        ({"times": np.array([1.0, np.inf])}, "finite"),
        ({"times": np.array([])}, "times"),
        ({"scheme": "upwind"}, "upwind"),
        ({"rtol": 0.0}, "rtol=0.0"),
        ({"atol": -1.0}, "atol=-1.0"),
    ],
)
def test_unusable_arguments_are_refused(changes, named):
    arguments = {"u0": np.array([0.1]), "cells": 8, "times": np.array([1.0])} | changes
    with pytest.raises(InputError, match=named):
        solve(**arguments)


def test_initial_states_refuses():
    with pytest.raises(InputError, match="n=0"):
        initial_states(0)


def test_other_lengths_and_end_times():
    """Scaling x, D and t by L leaves the problem the same; u = -D du/dx has no other length in it."""
    plain = solve(np.array([0.1]), cells=64, times=np.array([100.0, 400.0]))
    scaled = Equation(length=2.0, diffusion=1e-3, end_time=1000.0)
    long = solve(np.array([0.1]), cells=64, times=np.array([200.0, 800.0]), equation=scaled)
    assert np.abs(long.u - plain.u).max() < 1e-7
    assert np.array_equal(long.x, 2 * plain.x)
    assert stored_times(scaled)[-1] == 1000
