"""VGG-16 on CIFAR-10: the last hidden layer, 512 units, pruned with guarantees.

The convolutions are trained once a seed, together with a head of one hidden layer. Each training circumstance then
trains a head of its own on their outputs. Circumstances of one seed share everything below the layers that are
pruned, so that what differs between them is due to these layers.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor, nn

from prunebook.data import images
from prunebook.studies.configuration import setting
from prunebook.studies.coreset_bounds.config import LastLayer
from prunebook.studies.coreset_bounds.network import Task
from prunebook.studies.coreset_bounds.run import measure
from prunebook.training.on_images import milestones, train_on_images
from prunebook.training.sgd import Recipe, outputs, read_checked, write_atomically
from prunebook.training.snapshots import Trajectory


@dataclass(frozen=True)
class OnVgg(LastLayer):
    """The fields of ``LastLayer`` are of the head. ``net`` is the network whose convolutions are used.

    ``trunk_epochs``, ``trunk_batch``, ``trunk_rate`` and ``trunk_decay`` train it: one cycle of the learning rate,
    batch norm, weight decay on all weights, computed in ``precision``. The heads are trained in single precision.
    """

    study: ClassVar[str] = "cb-vgg"
    dataset: str = "cifar10"
    net: str = "vgg16"
    widths: tuple[int, ...] = (512, 512, 10)
    trunk_epochs: int = 5
    trunk_batch: int = 128
    trunk_rate: float = 0.05
    trunk_decay: float = 5e-4
    precision: str = setting("single", absent="single")


def prepare(config: OnVgg, data, device):
    """The images, and the configuration under the name of what was really loaded."""
    found = images.load(config.dataset, data=data, device=device, dev=config.dev, limit=config.limit)
    return replace(config, dataset=found.name), found


def run(config: OnVgg, seed: int, found, device, report):
    """All tables of one seed."""
    steps = config.trunk_epochs * -(-len(found.train) // config.trunk_batch)
    recipe = Recipe(
        steps,
        learning_rate=config.trunk_rate,
        batch_size=config.trunk_batch,
        schedule="one-cycle",
        weight_decay=config.trunk_decay,
    )
    marks = milestones(steps, max(1, steps // 20))
    model, trajectory = train_on_images(
        config.net, found, recipe, seed, marks, batch_norm=True, precision=config.precision, report=report
    )
    parts = {"train": found.train, "dev": found.dev, "test": found.test}
    features = _features(trajectory, steps, model, parts, report)
    labels = {f"y_{name}": part.y for name, part in parts.items()}
    task = Task(**{f"x_{name}": value for name, value in features.items()}, **labels)
    config = replace(config, widths=(task.x_train.shape[1], *config.widths[1:]))
    return measure(config, seed, task, report)


def _features(
    trajectory: Trajectory, step: int, model: nn.Sequential, parts: dict, report
) -> dict[str, Tensor]:
    """Outputs of the convolutions for each part, kept beside the weights: all circumstances of a seed need the same."""
    device, kept = next(model.parameters()).device, trajectory.folder / f"features-{step:06d}.pt"
    if kept.exists():
        return read_checked(kept, device)
    report("outputs of the convolutions")
    model = trajectory.load(step, model)
    flat = next(place for place, layer in enumerate(model) if isinstance(layer, nn.Flatten))
    features = {name: outputs(model[: flat + 1], part.x) for name, part in parts.items()}
    write_atomically(kept, features)
    return features
