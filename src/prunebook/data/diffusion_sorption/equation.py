"""The diffusion-sorption equation: its constants, its retardation factor and its initial states.

A solute diffuses through a porous column and sticks to the solid on its way (Freundlich sorption):

    R(u) du/dt = D d²u/dx²,   R(u) = 1 + c n u^(n-1),   c = (1 - porosity) / porosity * rho_s * k_f,

on 0 < x < 1 and 0 < t <= 500, with u(0, t) = 1, u(1, t) = -D du/dx(1, t) and u(x, 0) = u0, a constant.
Source: PDEBench (Takamoto et al. 2022), the generator of its one-dimensional diffusion-sorption data.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from prunebook.errors import InputError

LARGEST_STATE = 0.2  # the initial states are uniform on (0, 0.2)


@dataclass(frozen=True)
class Equation:
    """The constants of the problem; the defaults are PDEBench's.

    `epsilon` keeps the retardation factor finite at u = 0: R(0) is 13.3 instead of infinite.
    Raises InputError for a constant that has no physical meaning.
    """

    diffusion: float = 5e-4
    porosity: float = 0.29
    rho_s: float = 2880.0
    k_f: float = 3.5e-4
    n_f: float = 0.874
    epsilon: float = 1e-6
    length: float = 1.0
    end_time: float = 500.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            below = 1 if name == "porosity" else np.inf  # a fraction
            if not 0 <= value < below or (value == 0 and name not in ("rho_s", "k_f")):
                raise InputError(f"{name}={value} has no physical meaning: give a positive number below {below}")

    @property
    def capacity(self) -> float:
        """c = (1 - porosity) / porosity * rho_s * k_f; 2.467862 for the default constants."""
        return (1 - self.porosity) / self.porosity * self.rho_s * self.k_f

    def retardation(self, u: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """R(u) = 1 + c n (max(u, 0) + epsilon)^(n - 1); clipped because trial steps may undershoot 0."""
        return 1 + self.capacity * self.n_f * (np.maximum(u, 0) + self.epsilon) ** (self.n_f - 1)

    def retardation_slope(self, u: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """dR/du, zero where u is clipped."""
        slope = (np.maximum(u, 0) + self.epsilon) ** (self.n_f - 2)
        return self.capacity * self.n_f * (self.n_f - 1) * slope * (u > 0)


def initial_states(n: int) -> Float[np.ndarray, " n"]:
    """The initial states u0 of trajectories 0 to n - 1, each from its own seed.

    The seeds are those of NumPy's old generator, as in PDEBench's code of 2022 when its data were published, so that
    trajectory i is the published trajectory i.
    """
    if n < 1:
        raise InputError(f"n={n}: ask for at least one trajectory")
    return np.array([np.random.RandomState(i).uniform(0, LARGEST_STATE) for i in range(n)])


def stored_times(equation: Equation | None = None, number: int = 101) -> Float[np.ndarray, " number"]:
    """Equally spaced times from 0 to the end; 101 of them (every 5 time units) as in the published data."""
    return np.linspace(0, (equation or Equation()).end_time, number)
