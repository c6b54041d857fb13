"""Convolutional networks trained on images, for the studies that measure along or after a training."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from prunebook.data.images import DataSet
from prunebook.networks.convnets import convnet
from prunebook.training.sgd import Recipe
from prunebook.training.snapshots import LAYOUT, Trajectory, follow


def recipe_of(config, steps: int, **changes) -> Recipe:
    """So many steps of SGD as a configuration says, with ``changes``."""
    own = {name: getattr(config, name) for name in ("learning_rate", "momentum", "batch_size")}
    return Recipe(steps, **{**own, **changes})


def train_on_images(
    name: str,
    dataset: DataSet,
    recipe: Recipe,
    seed: int,
    steps: Sequence[int],
    *,
    batch_norm: bool = False,
    init: str = "glorot",
    precision: str = "single",
    report: Callable[[str], None] = lambda line: None,
) -> tuple[nn.Sequential, Trajectory]:
    """The trajectory of a network on the training images, and a network of its shape to load snapshots into.

    The seed decides initial weights and batch order.
    """
    x, y = dataset.train.x, dataset.train.y
    shape, options = tuple(x.shape[1:]), {"batch_norm": batch_norm, "init": init}
    build = partial(convnet, name, shape=shape, classes=len(dataset.classes), seed=seed, **options)
    key = {"net": name, **options, "data": dataset.name, "split": dataset.checksums["split"], "images": list(x.shape)}
    trajectory = follow(build, x, y, recipe, seed=seed, steps=steps, key=key, precision=precision, report=report)
    return build().to(x.device, memory_format=LAYOUT), trajectory


def train_along(config, dataset: DataSet, seed: int, last: int, report, **options) -> tuple[nn.Sequential, Trajectory]:
    """The training that a configuration names, up to a step, with its snapshots."""
    steps = milestones(last, config.snapshot_every)
    recipe = recipe_of(config, config.steps)
    return train_on_images(
        config.net, dataset, recipe, seed, steps, precision=config.precision, report=report, **options
    )


def milestones(steps: int, every: int) -> tuple[int, ...]:
    """0, every, 2 every, ... and the last step."""
    return (*range(0, steps, every), steps)
