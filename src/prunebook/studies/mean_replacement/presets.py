"""The studies of mean replacement at their three scales: along training, on pictures, and after fine-tuning.

The paper's networks come in this order, small first, so that a machine without a GPU finishes what it can.
Penalties are measured every 1,000 steps, and on Medium every 2,500, where the paper measured every 250. Scores and the
choice of units are taken every 250, and every 1,000 on VGG11 and with batch norm, whose snapshots are that far apart.
The thinning saves time on a CPU, and was chosen before Medium had a result.

VGG11, at 0.8 s a step, and Medium with batch norm are also followed for the beginning of their training alone, VGG11
with fewer scores and amounts. This is what a CPU can finish, and was chosen before either had a result.

Fine-tuning has a run for each step of pruning: one late, the first that the paper calls so, and one early. Three more
(15,000, 35,000, 45,000) were planned and given up for their cost on a CPU, when Small's first seed had been measured at
step 25,000 and nothing else.
"""

from dataclasses import replace

from prunebook.studies.mean_replacement.config import AfterTuning, AlongTraining, OnPictures
from prunebook.studies.study import Study

LARGE = {"snapshot_every": 1000}  # a snapshot of VGG11 has 39 MB
FEWER = {"scores": ("norm", "rand", "abs_rs", "abs_mrs"), "amounts": (0.1, 0.2, 0.5)}
PAPER = (
    AlongTraining(net="small"),
    AlongTraining(net="medium", every=2500),
    AlongTraining(net="medium", batch_norm=True, **LARGE),
    AlongTraining(net="vgg11", **LARGE),
    AlongTraining(net="medium", batch_norm=True, steps=5000, snapshot_every=500, every=2500, probe_steps=(5000,)),
    AlongTraining(net="vgg11", steps=2000, snapshot_every=500, every=500, probe_steps=(2000,), **FEWER),
)
SHORT = {"steps": 2000, "snapshot_every": 250, "samples": 500}
LEAST = {"net": "tiny", "steps": 12, "snapshot_every": 4, "limit": 400, "samples": 60}
PRUNED_LEAST = {"scores": ("norm", "abs_mrs"), "sets": ("all", "lastconv"), "amounts": (0.1, 0.5)}

TRAINING = Study(
    name="mr-training",
    title="Mean replacement along training",
    config_type=AlongTraining,
    presets={
        "paper": PAPER,
        "laptop": (replace(PAPER[0], **SHORT, every=500, probe_steps=(1500,)),),
        "smoke": (replace(PAPER[0], **LEAST, every=4, probe_steps=(8,), followed=("lastconv", 0.2)),),
    },
    seeds={"smoke": 1, "laptop": 1, "paper": 8},
    module="prunebook.studies.mean_replacement.run",
)

STARTS = (25_000, 5_000)
TUNING = Study(
    name="mr-tuning",
    title="Mean replacement and fine-tuning",
    config_type=AfterTuning,
    presets={
        "paper": tuple(AfterTuning(net=net, start=step) for net in ("medium", "small") for step in STARTS),
        "laptop": tuple(
            AfterTuning(**SHORT, start=step, tune_steps=(0, 10, 100), scores=("abs_mrs",), amounts=(0.1, 0.5))
            for step in (500, 1500)
        ),
        "smoke": tuple(AfterTuning(**LEAST, **PRUNED_LEAST, start=step, tune_steps=(0, 2, 4)) for step in (4, 8)),
    },
    seeds={"smoke": 1, "laptop": 1, "paper": 4},
    module="prunebook.studies.mean_replacement.tuning",
)

PICTURED = OnPictures(scores=("norm", "abs_mrs"))
FEW = {"net": "tiny", "steps": 4, "snapshot_every": 2, "every": 4, "limit": 12, "samples": 20, "amounts": (0.1, 1)}
PICTURES = Study(
    name="mr-pictures",
    title="Mean replacement on pictures",
    config_type=OnPictures,
    presets={
        "paper": (OnPictures(),),
        "laptop": (replace(PICTURED, steps=60, snapshot_every=30, every=30, limit=60, samples=50, amounts=(0.1, 0.3)),),
        "smoke": (replace(PICTURED, **FEW, followed=("lastconv", 0.2)),),
    },
    seeds={"smoke": 1, "laptop": 1, "paper": 2},
    module="prunebook.studies.mean_replacement.picture_folders",
)
