"""Elimination-compensation on diffusion–sorption: Figures 2 to 4 of Ballini et al. (2026).

Two networks, three levels of noise on the targets, five seeds. Plain supervised regression, no physics in the loss.
"""

from dataclasses import dataclass
from typing import ClassVar

from prunebook.studies.elimination_compensation.config import SHORT_RATIOS, Compensation, presets
from prunebook.studies.study import Study


@dataclass(frozen=True)
class OnPde(Compensation):
    """On diffusion–sorption; ``limit`` counts trajectories."""

    study: ClassVar[str] = "ec-pde"


STUDY = Study(
    name="ec-pde",
    title="Elimination-compensation on diffusion–sorption",
    config_type=OnPde,
    presets=presets(
        tuple(
            OnPde(dataset="diffusion-sorption", widths=widths, noise=noise, nonlinear_samples=2000, profile_ratio=0.7)
            for widths in ((68, 32, 32, 32, 1), (68, 64, 32, 32, 16, 16, 1))
            for noise in (0.0, 0.005, 0.01)
        ),
        laptop={"ratios": SHORT_RATIOS, "extra_ratios": (0.5, 0.7), "epochs": 3, "nonlinear_samples": 200},
        smoke={"ratios": (0.5, 0.7), "extra_ratios": (0.7,), "epochs": 1, "limit": 5, "nonlinear_samples": 20},
    ),
    seeds={"smoke": 1, "laptop": 1, "paper": 5},
    module="prunebook.studies.elimination_compensation.run",
)
