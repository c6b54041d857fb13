"""The network under study: inputs and labels, its training, and its last layers taken apart."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn

from prunebook import coresets
from prunebook.coresets.labels import additive_epsilon, correct
from prunebook.studies.coreset_bounds.config import LastLayer
from prunebook.training.sgd import Recipe, Trainer, outputs


@dataclass(frozen=True)
class Task:
    """Inputs as rows and class numbers: for training, and held out. ``test`` serves for the accuracies alone."""

    x_train: Float[Tensor, "n d"]
    y_train: Int[Tensor, " n"]
    x_dev: Float[Tensor, "m d"]
    y_dev: Int[Tensor, " m"]
    x_test: Float[Tensor, "t d"]
    y_test: Int[Tensor, " t"]


def build(config: LastLayer, seed: int) -> nn.Sequential:
    """Linear and ReLU in turn, with PyTorch's own initialisation; dropout before the last layer if asked for."""
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for n_in, n_out in zip(config.widths, config.widths[1:], strict=False):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    layers.pop()
    if config.dropout:
        layers.insert(-1, nn.Dropout(config.dropout))
    return nn.Sequential(*layers)


def train(config: LastLayer, seed: int, task: Task) -> nn.Sequential:
    """The trained network, in evaluation mode."""
    model = build(config, seed).to(task.x_train.device)
    recipe = Recipe(
        steps=config.epochs * -(-len(task.x_train) // config.batch_size),
        learning_rate=config.learning_rate,
        momentum=config.momentum,
        batch_size=config.batch_size,
        proximal=config.proximal,
        weight_decay=config.weight_decay,
        label_noise=config.label_noise,
    )
    Trainer(model, task.x_train, task.y_train, recipe, seed=seed).advance()
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


def take_apart(model: nn.Sequential, task: Task, config: LastLayer, seed: int) -> Anatomy:
    """What pruning the last layer needs to know. The training points of the sample are drawn by ``seed``."""
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    inner, last = (layer.to(torch.float64) for layer in (_copy(layers[-2]), _copy(layers[-1])))
    below = model[: list(model).index(layers[-2])]

    def queries(x: Tensor) -> Tensor:
        return (outputs(below, x) if len(below) else x).double()

    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(task.x_train), generator=generator)[: config.points]
    with torch.no_grad():
        q_dev, q_train = queries(task.x_dev), queries(task.x_train)
        hidden = inner(q_dev).relu()
        return Anatomy(
            w_in=inner.weight.detach(),
            b_in=inner.bias.detach(),
            w_out=last.weight.detach(),
            b_out=last.bias.detach(),
            queries=q_dev,
            hidden=hidden,
            logits=last(hidden),
            labels=task.y_dev,
            sample=inner(q_train[chosen.to(q_train.device)]).relu(),
            radius=coresets.query_radius(q_train),
        )


def _copy(layer: nn.Linear) -> nn.Linear:
    twin = nn.Linear(layer.in_features, layer.out_features, device=layer.weight.device)
    twin.load_state_dict(layer.state_dict())
    return twin
