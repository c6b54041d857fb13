"""The two studies of pruning with guarantees, at their three scales.

How hard a trained network is to prune is set by its training circumstance. The paper names an easy, a moderate and
a difficult one without saying what they are. First reading, "regularisation": an L1 penalty that gives exact zeros,
weight decay, nothing. Second reading, "label noise": a fifth or two fifths of the labels drawn anew; its easy case,
no noise, is the difficult case of the first. Dropout is a circumstance of its own. Strengths were chosen on how
well magnitude pruning works, before any bound was computed.
"""

from dataclasses import replace

from prunebook.studies.coreset_bounds.config import OnLenet, OnVgg
from prunebook.studies.study import Study

CASES = ({"case": "easy", "proximal": 3e-4}, {"case": "moderate", "weight_decay": 3e-3}, {"case": "difficult"})
ONCE = {"tune_ratios": (0.9,)}
NOISY = (
    {"case": "moderate", "reading": "label noise", "label_noise": 0.2, **ONCE},
    {"case": "difficult", "reading": "label noise", "label_noise": 0.4, **ONCE},
)
DROPOUT = {"case": "dropout", "reading": "dropout", "dropout": 0.5, **ONCE}
LEAST = {"epochs": 1, "limit": 500, "dev": 300, "draws": 2, "ratios": (0.5, 0.9), "shares": (0.1, 0.5, 0.95, 1.0)}
LEAST |= {"tune_ratios": (0.9,), "tune_epochs": 1, "gate_strengths": (1e-3, 0.03), "alphas": (1.0, 100.0, 1e12)}
SHORT = {"epochs": 4, "limit": 15_000, "tune_ratios": (0.5, 0.9), "tune_epochs": 1, "draws": 5}


def _each(config, cases, **changes) -> tuple:
    return tuple(replace(config, **{**case, **changes}) for case in cases)


LENET = Study(
    name="cb-lenet",
    title="Coreset bounds on LeNet-300-100",
    config_type=OnLenet,
    presets={
        "paper": _each(OnLenet(), (*CASES, DROPOUT, *NOISY)),
        "laptop": _each(OnLenet(), (*CASES, DROPOUT), **SHORT),
        "smoke": _each(OnLenet(), (*CASES, DROPOUT), **LEAST),
    },
    seeds={"smoke": 1, "laptop": 1, "paper": 5},
    module="prunebook.studies.coreset_bounds.run",
)

VGG = Study(
    name="cb-vgg",
    title="Coreset bounds on VGG-16",
    config_type=OnVgg,
    presets={
        "paper": _each(OnVgg(), CASES),
        "laptop": _each(OnVgg(), CASES, **SHORT, net="small", trunk_epochs=2),
        "smoke": _each(OnVgg(), CASES, **LEAST, net="tiny", trunk_epochs=1),
    },
    seeds={"smoke": 1, "laptop": 1, "paper": 5},
    module="prunebook.studies.coreset_bounds.run",
)
