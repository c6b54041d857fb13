"""Elimination-compensation on MNIST: Figure 1 of Ballini et al. (2026), its two networks and five seeds."""

from dataclasses import dataclass
from typing import ClassVar

from prunebook.studies.elimination_compensation.config import SHORT_RATIOS, Compensation, presets
from prunebook.studies.study import Study


@dataclass(frozen=True)
class OnImages(Compensation):
    """On MNIST, or what stands in for it; ``limit`` counts training images."""

    study: ClassVar[str] = "ec-mnist"


STUDY = Study(
    name="ec-mnist",
    title="Elimination-compensation on MNIST",
    config_type=OnImages,
    presets=presets(
        tuple(OnImages(widths=(784, width, width, 10)) for width in (32, 64)),
        laptop={"ratios": SHORT_RATIOS, "extra_ratios": (0.5, 0.9), "epochs": 3, "nonlinear_samples": 200},
        smoke={"ratios": (0.5, 0.9), "extra_ratios": (0.5,), "epochs": 1, "limit": 1000, "nonlinear_samples": 20},
    ),
    seeds={"smoke": 1, "laptop": 1, "paper": 5},
    module="prunebook.studies.elimination_compensation.run",
    version=2,
    changes={
        2: "5,000 training images are held out; beside every loss stand the share of test images misclassified and the "
        "loss after temperature scaling, fitted on the held-out images; fine-tuning is measured at its end and at the "
        "epoch with the lowest held-out loss"
    },
    kept=(1,),
)
