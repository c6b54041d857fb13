"""LeNet-300-100 on MNIST: the last layer pruned with guarantees."""

from dataclasses import dataclass, replace
from typing import ClassVar

from prunebook.data import images
from prunebook.studies.coreset_bounds.config import LastLayer
from prunebook.studies.coreset_bounds.network import Task
from prunebook.studies.coreset_bounds.run import measure


@dataclass(frozen=True)
class OnLenet(LastLayer):
    """All layers are trained here; ``limit`` counts training images."""

    study: ClassVar[str] = "cb-lenet"


def prepare(config: OnLenet, data, device):
    """The images, and the configuration under the name of what was really loaded."""
    found = images.load(config.dataset, data=data, device=device, dev=config.dev, limit=config.limit)
    return replace(config, dataset=found.name), found


def run(config: OnLenet, seed: int, found, device, report):
    """All tables of one seed."""
    task = Task(
        x_train=found.train.x.flatten(1),
        y_train=found.train.y,
        x_dev=found.dev.x.flatten(1),
        y_dev=found.dev.y,
        x_test=found.test.x.flatten(1),
        y_test=found.test.y,
    )
    return measure(config, seed, task, report)
