"""Elimination-compensation on diffusion–sorption: Figures 2 to 4 of Ballini et al. (2026).

Two networks, three levels of noise on the targets, five seeds. Plain supervised regression, no physics in the loss.

The loss after 15 epochs at a constant rate moves by a factor of ten and more from one epoch to the next, and with it
the order of the methods. The second study has a rate that falls to zero over more epochs, so that the loss at the end
is flat. It has fewer ratios and methods, and 80 epochs of each phase and not 100, so that a seed takes 25 minutes of
one core; this was chosen before it had a result.
"""

from dataclasses import dataclass
from typing import ClassVar

from prunebook.studies.elimination_compensation.config import SHORT_RATIOS, Compensation, presets
from prunebook.studies.study import Study


@dataclass(frozen=True)
class OnPde(Compensation):
    """On diffusion–sorption; ``limit`` counts trajectories."""

    study: ClassVar[str] = "ec-pde"


@dataclass(frozen=True)
class OnPdeConverged(OnPde):
    """The same with a learning rate that falls to zero, and with trajectories held out."""

    study: ClassVar[str] = "ec-pde-converged"


NETWORKS = ((68, 32, 32, 32, 1), (68, 64, 32, 32, 16, 16, 1))
NOISES = (0.0, 0.005, 0.01)
CHANGES = {
    "ratios": SHORT_RATIOS,
    "methods": (
        "elimination-compensation",
        "non-linear",
        "magnitude",
        "gradient-magnitude",
        "random",
        "mean-replacement",
        "joint-compensation",
    ),
    "extra_ratios": (0.5, 0.7, 0.9),
    "epochs": 80,
    "batch_size": 256,
    "schedule": "cosine",
    "held_out": 0.1,
}


def _grid(config_type: type, **changes) -> tuple:
    common = {"dataset": "diffusion-sorption", "nonlinear_samples": 2000, "profile_ratio": 0.7, **changes}
    return tuple(config_type(widths=widths, noise=noise, **common) for widths in NETWORKS for noise in NOISES)


STUDY = Study(
    name="ec-pde",
    title="Elimination-compensation on diffusion–sorption",
    config_type=OnPde,
    presets=presets(
        _grid(OnPde),
        laptop={"ratios": SHORT_RATIOS, "extra_ratios": (0.5, 0.7), "epochs": 3, "limit": 40, "nonlinear_samples": 100},
        smoke={"ratios": (0.5, 0.7), "extra_ratios": (0.7,), "epochs": 1, "limit": 5, "nonlinear_samples": 20},
    ),
    seeds={"smoke": 1, "laptop": 1, "paper": 5},
    module="prunebook.studies.elimination_compensation.run",
)

CONVERGED = Study(
    name="ec-pde-converged",
    title="Elimination-compensation on diffusion–sorption, trained until flat",
    config_type=OnPdeConverged,
    presets=presets(
        _grid(OnPdeConverged, **CHANGES),
        laptop={"extra_ratios": (0.5, 0.7), "epochs": 5, "nonlinear_samples": 200},
        smoke={"ratios": (0.5, 0.7), "extra_ratios": (0.7,), "epochs": 1, "limit": 5, "nonlinear_samples": 20},
    ),
    seeds={"smoke": 1, "laptop": 1, "paper": 4},
    module="prunebook.studies.elimination_compensation.run",
)
