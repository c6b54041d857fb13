"""Elimination-compensation on MNIST: Figure 1 of Ballini et al. (2026), its two networks and five seeds."""

from dataclasses import dataclass, replace
from typing import ClassVar

from prunebook.data import images as datasets
from prunebook.data.tasks import Problem
from prunebook.studies.elimination_compensation.run import SHORT_RATIOS, Compensation, presets, run
from prunebook.studies.study import Study


@dataclass(frozen=True)
class OnImages(Compensation):
    """On MNIST, or what stands in for it; ``limit`` counts training images."""

    study: ClassVar[str] = "ec-mnist"


def images(
    name: str, *, data=None, device="cpu", limit: int | None = None, standardise: bool = True
) -> Problem:
    """A set of images flattened to rows: all training images, none held out, and the test images.

    Pixels are standardised with the usual mean and deviation of the set, so that a black pixel is not zero;
    without ``standardise`` they lie in [0, 1].
    """
    found = datasets.load(name, data=data, device=device, dev=0, limit=limit, standardise=standardise)
    return Problem(
        name=found.name,
        origin=found.origin,
        notice=found.notice,
        stand_in=found.stand_in,
        checksums=found.checksums,
        loss="cross_entropy",
        x_train=found.train.x.flatten(1),
        y_train=found.train.y,
        x_test=found.test.x.flatten(1),
        y_test=found.test.y,
    )


def prepare(config: OnImages, data, device) -> tuple[OnImages, Problem]:
    """The images, and the configuration under the name of what was really loaded."""
    problem = images(
        config.dataset, data=data, device=device, limit=config.limit, standardise=config.standardise
    )
    return replace(config, dataset=problem.name), problem


STUDY = Study(
    name="ec-mnist",
    title="Elimination-compensation on MNIST",
    config_type=OnImages,
    presets=presets(
        tuple(OnImages(widths=(784, width, width, 10)) for width in (32, 64)),
        laptop={"ratios": SHORT_RATIOS, "extra_ratios": (0.5, 0.9), "epochs": 3, "nonlinear_samples": 200},
        smoke={
            "ratios": (0.5, 0.9),
            "extra_ratios": (0.5,),
            "epochs": 1,
            "limit": 1000,
            "nonlinear_samples": 20,
        },
    ),
    seeds={"smoke": 1, "laptop": 1, "paper": 5},
    prepare=prepare,
    run=run,
    module=__name__,
)
