"""Where units live in a chain of layers, and which layer reads them.

A site is the output of a ReLU: after the convolution or dense layer that makes the units, and its batch norm if it has
one, and before pooling. Removing unit u of a site sets channel u to zero there; mean replacement sets it to its mean.
"""

from dataclasses import dataclass

from torch import nn

from prunebook.errors import InputError

PRODUCERS = (nn.Conv2d, nn.Linear)
BETWEEN = (nn.MaxPool2d, nn.Flatten, nn.Dropout)
LAYER_SETS = ("all", "firstconv", "midconv", "lastconv", "firstdense")


@dataclass(frozen=True)
class UnitLayer:
    """Indices into the chain: ``index`` of the ReLU, of the ``producer`` and its ``norm`` (None: has none), and of the
    ``consumer``, the next convolution or dense layer. ``name`` is conv1, conv2, ..., dense1, ... in order."""

    name: str
    index: int
    producer: int
    norm: int | None
    consumer: int
    units: int

    @property
    def dense(self) -> bool:
        return self.name.startswith("dense")


def sites(model: nn.Sequential) -> list[UnitLayer]:
    """All sites of a chain, input first; the output layer has none.

    Raises InputError for a model that is not a chain of convolutions, dense layers, batch norm, ReLU, max-pooling,
    flatten and dropout in which each hidden layer ends in a ReLU.
    """
    if not isinstance(model, nn.Sequential):
        raise InputError(f"{type(model).__name__} is not a chain of layers: give an nn.Sequential")
    found: list[UnitLayer] = []
    producer = norm = relu = None
    counts = {"conv": 0, "dense": 0}
    for index, layer in enumerate(model):
        if isinstance(layer, PRODUCERS):
            if producer is not None:
                if relu is None:
                    raise InputError(
                        f"layer {producer} has no ReLU before layer {index}: its units are no site"
                    )
                kind = "conv" if isinstance(model[producer], nn.Conv2d) else "dense"
                counts[kind] += 1
                found.append(
                    UnitLayer(f"{kind}{counts[kind]}", relu, producer, norm, index, _width(model[producer]))
                )
            producer, norm, relu = index, None, None
            if isinstance(layer, nn.Conv2d) and layer.groups != 1:
                raise InputError(
                    f"layer {index} is a grouped convolution, which this code does not take apart"
                )
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d) and producer == index - 1:
            norm = index
        elif isinstance(layer, nn.ReLU) and producer is not None and index - 1 in (producer, norm):
            relu = index
        elif not isinstance(layer, BETWEEN):
            raise InputError(f"layer {index} ({layer}) does not belong in a chain of this kind")
    if producer is None or relu is not None or producer != len(model) - 1:
        raise InputError("the chain must end in a convolution or dense layer that gives the outputs")
    return found


def _width(layer: nn.Module) -> int:
    return layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features


def layer_set(model: nn.Sequential, name: str) -> list[UnitLayer]:
    """The sites of a layer set of Evci et al. (2019): "all", or one of the first, middle and last convolution and the
    first dense layer. The middle one of n convolutions is number (n + 1) // 2."""
    every = sites(model)
    convs, dense = [s for s in every if not s.dense], [s for s in every if s.dense]
    if name not in LAYER_SETS:
        raise InputError(f"unknown layer set {name!r}: choose from {', '.join(LAYER_SETS)}")
    if name == "all":
        return every
    pool = dense if name == "firstdense" else convs
    if not pool:
        raise InputError(f"layer set {name!r} is empty: the network has no such layers")
    place = {"firstconv": 0, "midconv": (len(convs) + 1) // 2 - 1, "lastconv": -1, "firstdense": 0}[name]
    return [pool[place]]
