"""Convolutional networks of the papers, as plain ``nn.Sequential`` chains that end in logits.

A chain is a list of layers that each feed the next alone, which is all that the pruning of units relies on. Weights
are Glorot-uniform and biases zero, the default of the framework the unit-pruning study was written in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import torch
from torch import nn

from prunebook.errors import InputError

POOL = "pool"


@dataclass(frozen=True)
class Plan:
    """Layers of a network."""

    convs: tuple[int | str, ...]  # output channels, and POOL
    dense: tuple[int, ...]  # hidden dense widths
    kernels: tuple[int, ...] = (3,)  # size for each convolution in turn; the last is that of all others
    same: bool = True  # pads so that maps keep their size
    pool: tuple[int, int] = (2, 2)  # size and stride
    first_stride: int = 1  # of the first convolution


PLANS = {
    # Evci et al. (2019), section 6.3: valid convolutions, 5x5 first.
    "small": Plan((32, POOL, 64, POOL, 128, POOL), (512, 128), kernels=(5, 3), same=False),
    "medium": Plan((64, POOL, 128, POOL, 256, POOL), (1024, 256), kernels=(5, 3), same=False),
    "vgg11": Plan((64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL), (512, 512)),
    "alexnet": Plan(
        (64, POOL, 192, POOL, 384, 256, 256, POOL), (4096, 4096), kernels=(11, 5, 3), pool=(3, 2), first_stride=4
    ),
    # Simonyan and Zisserman (2015), configuration D, with one hidden dense layer of 512 units before the classes.
    "vgg16": Plan(
        (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512, POOL), (512,)
    ),
    "tiny": Plan((8, POOL, 16, POOL), (16,), kernels=(5, 3), same=False),
}


def convnet(
    name: str,
    *,
    shape: Sequence[int] = (3, 32, 32),
    classes: int = 10,
    batch_norm: bool = False,
    init: str = "glorot",
    seed: int | None = None,
) -> nn.Sequential:
    """The network of that name for images of ``shape`` (channels, height, width).

    Order inside a block: convolution, batch norm if asked for, ReLU; pooling is a layer of its own. With ``seed`` the
    weights depend on that number alone, and the caller's random state is left as it was.

    Raises InputError for an unknown name or initialisation, or images too small for the network.
    """
    if name not in PLANS:
        raise InputError(f"unknown network {name!r}: choose from {', '.join(PLANS)}")
    if init not in ("glorot", "he"):
        raise InputError(f"unknown initialisation {init!r}: choose glorot or he")
    plan, (channels, *size) = PLANS[name], tuple(shape)
    layers: list[nn.Module] = []
    kernels, stride = chain(plan.kernels, repeat(plan.kernels[-1])), plan.first_stride
    for item in plan.convs:
        if item == POOL:
            window, step = plan.pool
            layers.append(nn.MaxPool2d(window, step))
            size = [(side - window) // step + 1 for side in size]
        else:
            kernel = next(kernels)
            padding = kernel // 2 if plan.same else 0
            layers.append(nn.Conv2d(channels, item, kernel, stride, padding))
            layers += [*([nn.BatchNorm2d(item)] if batch_norm else []), nn.ReLU()]
            size = [(side + 2 * padding - kernel) // stride + 1 for side in size]
            channels, stride = item, 1
        if min(size) < 1:
            raise InputError(f"images of {tuple(shape)} are too small for {name}: give larger ones")
    layers.append(nn.Flatten())
    width = channels * size[0] * size[1]
    for item in plan.dense:
        layers += [nn.Linear(width, item), *([nn.BatchNorm1d(item)] if batch_norm else []), nn.ReLU()]
        width = item
    layers.append(nn.Linear(width, classes))
    model = nn.Sequential(*layers)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                if init == "glorot":
                    nn.init.xavier_uniform_(layer.weight)
                else:
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
    return model
