"""The head-to-head at its three scales: one configuration a network.

Re-fitting the kept weights of each row ("obs") takes seconds for each mask of LeNet-300-100, and solving for all shifts
together ("joint") a second, so there they meet three rankings only.
"""

from dataclasses import replace

from prunebook.studies.head_to_head.config import HeadToHead, OnUnits, OnWeights
from prunebook.studies.study import Study

LENET = OnWeights(
    costly=("joint", "obs"),
    partners=("magnitude", "elimination-compensation", "layerwise-obs"),
    tuned_rankings=("magnitude", "elimination-compensation"),
    nonlinear_samples=100,
)
PDE = OnWeights(net="pde", dataset="diffusion-sorption", widths=(68, 32, 32, 32, 1))
SMALL = OnUnits()
SHORT = {"ratios": (0.5, 0.9, 0.98), "epochs": 2, "calibration": 1000, "points": 200, "nonlinear_samples": 10}
LEAST = {"ratios": (0.5, 0.9), "epochs": 1, "calibration": 200, "points": 50, "nonlinear_samples": 5}
SHORT_UNITS = {"steps": 2000, "start": 2000, "samples": 500, "tune_steps": 50, "test_limit": 2000}
LEAST_UNITS = {"net": "tiny", "steps": 12, "start": 8, "snapshot_every": 4, "samples": 60, "tune_steps": 4}

STUDY = Study(
    name="head-to-head",
    title="Head to head",
    config_type=HeadToHead,
    presets={
        "paper": (LENET, PDE, SMALL),
        "laptop": (
            replace(LENET, **SHORT, partners=(), limit=15_000),
            replace(PDE, **SHORT),
            replace(SMALL, **SHORT_UNITS, ratios=(0.1, 0.5), scores=("norm", "rand", "abs_rs", "abs_mrs")),
        ),
        "smoke": (
            replace(LENET, **LEAST, widths=(784, 16, 12, 10), limit=1000),
            replace(PDE, **LEAST, limit=5, rankings=("magnitude", "elimination-compensation", "random", "sensitivity")),
            replace(
                SMALL, **LEAST_UNITS, ratios=(0.2, 0.5), scores=("norm", "rand", "abs_mrs"), limit=400, test_limit=200
            ),
        ),
    },
    seeds={"smoke": 1, "laptop": 1, "paper": 8},
    module="prunebook.studies.head_to_head.run",
    version=2,
    changes={
        2: "5,000 training images, or a tenth of the training trajectories, are held out; beside every loss of a "
        "classifier stand the share of test images misclassified and the loss after temperature scaling, fitted on the "
        "held-out images; fine-tuning is measured at its end and at the look with the lowest held-out loss"
    },
    kept=(1,),
)
