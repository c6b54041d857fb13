"""Tiny configurations of every study, which together reach every line that measures.

A fingerprint of behaviour is taken from them: see ``fingerprints``. They learn from embedded digits, from solved
trajectories, and from a folder of generated pictures, and need no download. They reach what the smallest
presets do not: convolutions that pad, batch norm, every circumstance of training, and every method, score and
compensation. Ratios and widths are such that rounding and cutting off counts differ.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from prunebook.networks.convnets import POOL, Plan
from prunebook.studies.coreset_bounds.config import OnLenet, OnVgg
from prunebook.studies.elimination_compensation.mnist import OnImages
from prunebook.studies.elimination_compensation.pde import OnPde
from prunebook.studies.head_to_head.config import OnUnits, OnWeights
from prunebook.studies.mean_replacement.config import SETS, AfterTuning, AlongTraining, OnPictures

# The first pads, the second steps over the image and pools with an overlap, as AlexNet does.
PLANS = {
    "probe-padded": Plan((5, POOL, 6, 7, POOL), (9,)),
    "probe-strided": Plan((6, POOL, 5), (7, 6), kernels=(5, 3), pool=(3, 2), first_stride=2),
}

IMAGES = OnImages(
    dataset="digits",
    widths=(784, 9, 8, 10),
    ratios=(0.3, 0.6, 0.9),
    extra_ratios=(0.6,),
    epochs=6,
    learning_rate=0.004,
    limit=400,
    nonlinear_samples=10,
)
PDE = OnPde(
    dataset="diffusion-sorption",
    widths=(68, 9, 8, 1),
    noise=0.01,
    ratios=(0.55, 0.7),
    extra_ratios=(0.55,),
    epochs=1,
    learning_rate=0.004,
    limit=5,
    nonlinear_samples=10,
    profile_ratio=0.7,
)
CORESET = {
    "epochs": 2,
    "limit": 300,
    "dev": 150,
    "draws": 3,
    "shares": (0.1, 0.95),
    "ratios": (0.35, 0.57, 0.75),
    "tune_ratios": (0.75,),
    "tune_epochs": 1,
    "gate_strengths": (1e-3, 0.03),
    "alphas": (1.0, 1e12),
}
LENET = OnLenet(dataset="digits", widths=(784, 15, 13, 10), **CORESET)
# Few steps and small rates: rounding grows with both, fastest through batch norm.
VGG = OnVgg(dataset="digits", trunk_epochs=1, trunk_rate=5e-4, widths=(64, 13, 10), **CORESET)
# Noisy pictures, as digits have a frame of equal pixels, where rounding decides which of them a pooling takes.
ALONG = AlongTraining(
    dataset="imagefolder",
    size=20,
    net="tiny",
    steps=4,
    learning_rate=0.005,
    snapshot_every=2,
    every=4,
    probe_steps=(4,),
    batch_size=16,
    samples=50,
    sets=("all", "lastconv"),
    amounts=(0.3, 1),
    followed=("lastconv", 0.3),
)
TUNING = AfterTuning(
    dataset="imagefolder",
    size=20,
    net="probe-padded",
    steps=4,
    learning_rate=0.005,
    snapshot_every=2,
    start=2,
    tune_steps=(0, 3),
    batch_size=16,
    samples=50,
    amounts=(0.3,),
)
WEIGHTS = OnWeights(
    dataset="digits",
    widths=(784, 9, 8, 10),
    ratios=(0.6, 0.85),
    cost_ratio=0.6,
    epochs=6,
    learning_rate=0.004,
    limit=400,
    calibration=200,
    points=50,
    nonlinear_samples=10,
    costly=("joint", "obs"),
    partners=("magnitude", "elimination-compensation", "layerwise-obs"),
    tuned_rankings=("magnitude", "elimination-compensation"),
)
UNITS = OnUnits(
    dataset="digits",
    net="tiny",
    steps=4,
    learning_rate=0.005,
    start=4,
    snapshot_every=2,
    ratios=(0.3, 0.5),
    samples=50,
    tune_steps=3,
    limit=200,
    test_limit=100,
)
PICTURES = OnPictures(
    net="probe-padded",
    size=16,
    steps=4,
    learning_rate=0.005,
    snapshot_every=2,
    every=4,
    batch_size=16,
    samples=20,
    limit=15,
    amounts=(0.3, 1),
    sets=("all", "midconv"),
    followed=("midconv", 0.3),
)

PROBES: Mapping[str, Mapping[str, object]] = {
    "ec-mnist": {
        "standardised": IMAGES,
        "pixels": replace(IMAGES, standardise=False, methods=("elimination-compensation", "gradient-magnitude")),
        # Inputs that never change have scores of exactly zero, of which only some go.
        "ties": replace(
            IMAGES,
            ratios=(0.2, 0.3),
            extra_ratios=(0.2, 0.3),
            methods=("elimination-compensation", "ec-ranking-only", "mean-replacement"),
        ),
    },
    "ec-pde": {"noise": PDE},
    "cb-lenet": {
        "proximal": replace(LENET, proximal=2e-2),
        "weight decay": replace(LENET, weight_decay=3e-2),
        "label noise": replace(LENET, label_noise=0.4),
        "dropout": replace(LENET, dropout=0.5),
    },
    "cb-vgg": {
        "tiny": replace(VGG, net="tiny"),
        # Finds convolutions trained and their outputs kept, as every second circumstance of a seed does.
        "decay": replace(VGG, net="tiny", weight_decay=3e-2, tune_ratios=()),
        "padded": replace(VGG, net="probe-padded", label_noise=0.2),
    },
    "mr-training": {
        "tiny": replace(ALONG, sets=SETS, amounts=(0.3, 1.0), init="he"),
        "padded": replace(ALONG, net="probe-padded"),
        "batch norm": replace(ALONG, net="probe-padded", batch_norm=True),
        "strided": replace(ALONG, net="probe-strided", sets=("all", "midconv"), followed=("midconv", 0.4)),
    },
    "mr-tuning": {
        "padded": TUNING,
        "batch norm": replace(TUNING, batch_norm=True, scores=("abs_mrs",)),
        # The training of "padded" goes on, and then starts anew, as snapshots are asked for that it has passed.
        "later": replace(TUNING, start=4, scores=("norm",), tune_steps=(0,)),
        "finer": replace(TUNING, start=3, snapshot_every=1, scores=("norm",), tune_steps=(0,)),
    },
    "mr-pictures": {
        "generated": PICTURES,
        "digits": replace(PICTURES, dataset="digits", limit=None, net="tiny", scores=("norm", "abs_mrs")),
    },
    "head-to-head": {
        "lenet": WEIGHTS,
        "pde": replace(
            WEIGHTS,
            net="pde",
            dataset="diffusion-sorption",
            widths=(68, 9, 8, 1),
            epochs=1,
            limit=5,
            rankings=("magnitude", "elimination-compensation", "random", "sensitivity"),
        ),
        "units": UNITS,
    },
}


def write_pictures(folder: Path, classes: int = 3, count: int = 18, side: int = 20) -> Path:
    """A folder of noisy stripes, <folder>/{train,val}/<class>/<number>.png, the same on every machine."""
    from PIL import Image

    random = np.random.default_rng(1)
    wave = np.add.outer(np.arange(side), np.arange(side + 4))
    for part in ("train", "val"):
        for kind in range(classes):
            home = folder / part / f"stripes-{kind}"
            home.mkdir(parents=True)
            for number in range(count):
                stripes = (wave * (kind + 1) + random.integers(8)) % 8 * 20
                pixels = stripes[..., None] + random.integers(0, 100, (*wave.shape, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(home / f"{number}.png")
    return folder
