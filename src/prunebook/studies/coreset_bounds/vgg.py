"""VGG-16 on CIFAR-10: the last hidden layer, 512 units, pruned with guarantees.

The convolutions are trained once a seed, together with a head of one hidden layer. Each training circumstance then
trains a head of its own on their outputs. Circumstances of one seed share everything below the layers that are
pruned, so that what differs between them is due to these layers.
"""

from torch import Tensor, nn

from prunebook.data.images import DataSet
from prunebook.studies.coreset_bounds.config import OnVgg
from prunebook.training.on_images import milestones, train_on_images
from prunebook.training.sgd import Recipe, outputs, read_checked, write_atomically


def features(config: OnVgg, seed: int, dataset: DataSet, report) -> dict[str, Tensor]:
    """Outputs of the convolutions for each part, kept beside the weights: all circumstances of a seed need the same."""
    steps = config.trunk_epochs * -(-len(dataset.train) // config.trunk_batch)
    own = {"learning_rate": config.trunk_rate, "batch_size": config.trunk_batch, "weight_decay": config.trunk_decay}
    recipe = Recipe(steps, schedule="one-cycle", **own)
    marks = milestones(steps, max(1, steps // 20))
    model, trajectory = train_on_images(
        config.net, dataset, recipe, seed, marks, batch_norm=True, precision=config.precision, report=report
    )
    kept = trajectory.folder / f"features-{steps:06d}.pt"
    if kept.exists():
        return read_checked(kept, dataset.train.x.device)
    report("outputs of the convolutions")
    trajectory.load(steps, model)
    flat = next(place for place, layer in enumerate(model) if isinstance(layer, nn.Flatten))
    found = {name: outputs(model[: flat + 1], getattr(dataset, name).x) for name in ("train", "dev", "test")}
    write_atomically(kept, found)
    return found
