"""What the studies learn, as tensors: sets of images, and problems that a stacked network can train on."""

from dataclasses import replace
from pathlib import Path

from prunebook.data import images as datasets
from prunebook.data.diffusion_sorption import regression_data
from prunebook.data.diffusion_sorption.regression import CELLS, STEPS
from prunebook.data.problem import CHUNK, Problem
from prunebook.errors import InputError

__all__ = ["CHUNK", "Problem", "images", "load", "pde"]

PUBLISHED = "1D_diff-sorp_NA_NA.h5"  # PDEBench's own name for its file


def images(name: str, *, data=None, device="cpu", limit: int | None = None, standardise: bool = True) -> Problem:
    """A set of images flattened to rows: training images without those held out, these, and the test images.

    5,000 are held out of MNIST and of CIFAR-10, a tenth of any other set.
    Pixels are standardised with the usual mean and deviation of the set, so that a black pixel is not zero;
    without ``standardise`` they lie in [0, 1].
    """
    found = datasets.load(name, data=data, device=device, limit=limit, standardise=standardise)
    return Problem(
        **{name: getattr(found, name) for name in ("name", "origin", "notice", "stand_in", "checksums")},
        loss="cross_entropy",
        x_train=found.train.x.flatten(1),
        y_train=found.train.y,
        x_held=found.dev.x.flatten(1),
        y_held=found.dev.y,
        x_test=found.test.x.flatten(1),
        y_test=found.test.y,
    )


def pde(noise: float, *, data=None, device="cpu", trajectories: int | None = None, held_out: float = 0.0) -> Problem:
    """Diffusion–sorption as regression: (constants, t, x, u0 on 64 cells) -> u, split by trajectory.

    ``data`` may name the published HDF5 file, or a folder that holds it under its published name; otherwise the
    trajectories are solved here. ``held_out`` is the share of the training trajectories, the last ones, that are held
    out whole; at least one, unless it is zero.
    """
    if data is not None and Path(data).is_dir():
        published = Path(data) / PUBLISHED
        data = published if published.exists() else None
    found = regression_data(trajectories=trajectories or 100, noise=noise, source=data, device=device)
    if not held_out:
        return found
    x, y, pairs = found.x_train, found.y_train, STEPS * CELLS
    kept = len(x) - pairs * max(1, round(held_out * len(x) / pairs))
    if not kept:
        raise InputError(f"{trajectories} trajectories: use more, to train on some and hold out some")
    return replace(found, x_train=x[:kept], y_train=y[:kept], x_held=x[kept:], y_held=y[kept:])


def load(config, data, device, **options):
    """The images that a configuration names, and the configuration under the name of what was really loaded."""
    found = datasets.load(config.dataset, data=data, device=device, limit=config.limit, **options)
    return replace(config, dataset=found.name), found
