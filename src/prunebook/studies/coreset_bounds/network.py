"""The network under study: inputs and labels, its training, and its last layers taken apart."""

import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn

from prunebook import coresets
from prunebook.coresets.labels import additive_epsilon, correct
from prunebook.data.images import DataSet
from prunebook.networks.mlp import mlp
from prunebook.studies.coreset_bounds.config import LastLayer
from prunebook.training.on_images import recipe_of
from prunebook.training.sgd import Trainer, outputs


def train(config: LastLayer, seed: int, task: DataSet) -> nn.Sequential:
    """A trained network of Linear and ReLU in turn, dropout before the last layer if asked for; in evaluation mode."""
    layers = list(mlp(config.widths, "relu", seed=seed))
    if config.dropout:
        layers.insert(-1, nn.Dropout(config.dropout))
    model = nn.Sequential(*layers).to(task.train.x.device)
    penalties = {name: getattr(config, name) for name in ("proximal", "weight_decay", "label_noise")}
    recipe = recipe_of(config, config.epochs * -(-len(task.train) // config.batch_size), **penalties)
    Trainer(model, task.train.x, task.train.y, recipe, seed=seed).advance()
    return model.eval()


@dataclass(frozen=True)
class Anatomy:
    """The last two layers of a network and what flows through them on the held-out points.

    ``w_in``, ``b_in`` make the last hidden layer, ``w_out``, ``b_out`` the logits. ``queries`` are inputs of the
    former, ``hidden`` its outputs after ReLU, ``logits`` those of the whole network in float64. ``sample`` are
    hidden outputs on training points, which the sensitivities are taken from, and ``radius`` bounds the training
    queries with a 1 appended.
    """

    w_in: Float64[Tensor, "n d"]
    b_in: Float64[Tensor, " n"]
    w_out: Float64[Tensor, "classes n"]
    b_out: Float64[Tensor, " classes"]
    queries: Float64[Tensor, "m d"]
    hidden: Float64[Tensor, "m n"]
    logits: Float64[Tensor, "m classes"]
    labels: Int[Tensor, " m"]
    sample: Float64[Tensor, "points n"]
    radius: float

    @cached_property
    def mass(self) -> Float64[Tensor, "2 m classes"]:
        return coresets.mass(self.w_out, self.hidden)

    @cached_property
    def correct(self) -> Bool[Tensor, " m"]:
        return correct(self.logits, self.labels)

    @cached_property
    def tolerance(self) -> Float64[Tensor, " m"]:
        """Additive error that each point's label survives."""
        return additive_epsilon(self.logits, self.labels)


def take_apart(model: nn.Sequential, task: DataSet, config: LastLayer, seed: int) -> Anatomy:
    """What pruning the last layer needs to know. The training points of the sample are drawn by ``seed``."""
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    inner, last = (copy.deepcopy(layer).double() for layer in layers[-2:])
    below = model[: list(model).index(layers[-2])]

    def queries(x: Tensor) -> Tensor:
        return (outputs(below, x) if len(below) else x).double()

    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(task.train.x), generator=generator)[: config.points]
    with torch.no_grad():
        q_dev, q_train = queries(task.dev.x), queries(task.train.x)
        hidden = inner(q_dev).relu()
        return Anatomy(
            w_in=inner.weight.detach(),
            b_in=inner.bias.detach(),
            w_out=last.weight.detach(),
            b_out=last.bias.detach(),
            queries=q_dev,
            hidden=hidden,
            logits=last(hidden),
            labels=task.dev.y,
            sample=inner(q_train[chosen.to(q_train.device)]).relu(),
            radius=coresets.query_radius(q_train),
        )


def without_lowest(weight: Float[Tensor, "n_out n_in"], score: Tensor, count: int) -> Float[Tensor, "n_out n_in"]:
    """The weight with ``count`` zeros, where the flat score is lowest."""
    gone = score.argsort(stable=True)[:count]
    return weight.flatten().index_fill(0, gone, 0.0).view_as(weight)
