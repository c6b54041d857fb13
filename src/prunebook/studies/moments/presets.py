"""The study at its three scales: Small and Medium of Evci et al. (2019), and Small with batch norm, one training each.

Fine-tuning all cells would take longer than all else. Two scores and amounts are fine-tuned, with zeros, means and
re-fits; this was chosen for its cost before there was a result. With batch norm the first 5,000 steps are looked at, as
after them nothing is known of this network, and nothing is fine-tuned.
"""

from dataclasses import replace

from prunebook.studies.moments.config import Moments
from prunebook.studies.study import Study

SMALL = Moments()
WITH_NORM = Moments(net="small-bn", train_steps=5_000, snapshots=(5_000,), start=0)
LEAST = {
    "train_steps": 12,
    "snapshots": (4, 8),
    "scores": ("rand", "abs_mrs", "variance"),
    "amounts": (0.2, 0.5),
    "samples": 60,
    "held": 40,
    "tune_steps": 3,
    "before": 4,
    "tuned_amounts": (0.5,),
    "limit": 400,
}

STUDY = Study(
    name="mr-moments",
    title="When means help",
    config_type=Moments,
    presets={
        "paper": (SMALL, replace(SMALL, net="medium"), WITH_NORM),
        "laptop": (
            replace(SMALL, train_steps=2000, snapshots=(500, 1500), start=1500, tune_steps=100, tuned_scores=("rand",)),
        ),
        "smoke": (replace(SMALL, net="tiny", start=8, **LEAST), replace(WITH_NORM, net="tiny-bn", **LEAST)),
    },
    seeds={"smoke": 1, "laptop": 1, "paper": 4},
    module="prunebook.studies.moments.run",
)
