"""Elimination-compensation on diffusion–sorption: Figures 2 to 4 of Ballini et al. (2026).

Two networks, three levels of noise on the targets, five seeds. Plain supervised regression, no physics in the loss.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from prunebook.data import diffusion_sorption
from prunebook.data.tasks import Problem
from prunebook.studies.elimination_compensation.run import SHORT_RATIOS, Compensation, presets, run
from prunebook.studies.study import Study

PUBLISHED = "1D_diff-sorp_NA_NA.h5"  # PDEBench's own name for its file


@dataclass(frozen=True)
class OnPde(Compensation):
    """On diffusion–sorption; ``limit`` counts trajectories."""

    study: ClassVar[str] = "ec-pde"


def pde(noise: float, *, data=None, device="cpu", trajectories: int | None = None) -> Problem:
    """Diffusion–sorption as regression: (constants, t, x, u0 on 64 cells) -> u, split by trajectory.

    ``data`` may name the published HDF5 file, or a folder that holds it under its published name; otherwise the
    trajectories are solved here. Train and test targets carry the same kind of noise; the clean test targets are
    kept beside them.
    """
    if data is not None and Path(data).is_dir():
        published = Path(data) / PUBLISHED
        data = published if published.exists() else None
    made = diffusion_sorption.regression_data(
        trajectories=trajectories or 100, noise=noise, source=data, device=device
    )
    test = made.test
    return Problem(
        name=made.name,
        origin=made.origin,
        notice="",
        stand_in=False,
        checksums=made.checksums,
        loss="mse",
        x_train=made.train.x,
        y_train=made.train.y,
        x_test=test.x,
        y_test=test.y,
        y_clean=test.y_clean,
        coordinates={"u0": test.x[:, 4], "t": test.x[:, 2] * 500, "x": test.x[:, 3]},
        floor=made.floor,
        groups={"t": [2], "x": [3], "u0": list(range(4, test.x.shape[1]))},
    )


def prepare(config: OnPde, data, device) -> tuple[OnPde, Problem]:
    """The regression problem, and the configuration under the name of what was really loaded."""
    problem = pde(config.noise, data=data, device=device, trajectories=config.limit)
    return replace(config, dataset=problem.name), problem


STUDY = Study(
    name="ec-pde",
    title="Elimination-compensation on diffusion–sorption",
    config_type=OnPde,
    presets=presets(
        tuple(
            OnPde(
                dataset="diffusion-sorption",
                widths=widths,
                noise=noise,
                nonlinear_samples=2000,
                profile_ratio=0.7,
            )
            for widths in ((68, 32, 32, 32, 1), (68, 64, 32, 32, 16, 16, 1))
            for noise in (0.0, 0.005, 0.01)
        ),
        laptop={"ratios": SHORT_RATIOS, "extra_ratios": (0.5, 0.7), "epochs": 3, "nonlinear_samples": 200},
        smoke={
            "ratios": (0.5, 0.7),
            "extra_ratios": (0.7,),
            "epochs": 1,
            "limit": 5,
            "nonlinear_samples": 20,
        },
    ),
    seeds={"smoke": 1, "laptop": 1, "paper": 5},
    prepare=prepare,
    run=run,
    module=__name__,
)
