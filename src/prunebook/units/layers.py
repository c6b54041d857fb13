"""Where units live in a chain of layers, and which layer reads them.

A site is the output of a ReLU: after the convolution or dense layer that makes the units, and its batch norm if it has
one, and before pooling, unless the network pools first. Removing unit u of a site sets channel u to zero there; mean
replacement sets it to its mean.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from prunebook.errors import InputError
from prunebook.networks.evaluating import require_values
from prunebook.units.forward import IDLE, NORMS, MapBiasConv2d, leaves

PRODUCERS = (nn.Conv2d, nn.Linear)
AVERAGES = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)
PASSING = (nn.MaxPool2d, nn.Flatten, *AVERAGES)
KINDS = (*PRODUCERS, *NORMS, nn.ReLU, *PASSING, *IDLE)
LAYER_SETS = ("all", "firstconv", "midconv", "lastconv", "firstdense")


@dataclass(frozen=True)
class UnitLayer:
    """Indices into the chain: ``index`` of the ReLU, of the ``producer`` and its ``norm`` (None: has none), and of the
    ``consumer``, the next convolution or dense layer. ``name`` is conv1, conv2, ..., dense1, ... in order. Layers of
    nested chains are counted one by one, as in `as_chain`."""

    name: str
    index: int
    producer: int
    norm: int | None
    consumer: int
    units: int

    @property
    def start(self) -> int:
        """Index of what follows the producer and its batch norm: max-pooling or the ReLU."""
        return 1 + (self.producer if self.norm is None else self.norm)

    @property
    def dense(self) -> bool:
        return self.name.startswith("dense")


def unit_layers(model: nn.Module) -> list[UnitLayer]:
    """All unit layers of a chain, input first; the output layer has none.

    Raises InputError for a model that is not a chain of convolutions, dense layers, batch norm, ReLU, pooling, flatten
    and dropout in which each hidden layer ends in a ReLU. It names the layer, and what was expected in its place.
    """
    chain = leaves(model)
    require_values(model, shapes=True)
    names, layers = list(chain), list(chain.values())
    found: list[UnitLayer] = []
    counts = {"conv": 0, "dense": 0}
    producer = norm = relu = last = None
    for index, (name, layer) in enumerate(chain.items()):
        kind = _kind(name, layer)
        if kind in IDLE:
            continue
        open_end = producer is not None and relu is None  # there is no ReLU yet
        if kind in PRODUCERS and not open_end:
            if producer is not None:
                before = layers[producer]
                conv = isinstance(before, nn.Conv2d)
                group, units = ("conv", before.out_channels) if conv else ("dense", before.out_features)
                counts[group] += 1
                found.append(UnitLayer(f"{group}{counts[group]}", relu, producer, norm, index, units))
            producer, norm, relu = index, None, None
        elif kind in NORMS and open_end and last == producer:
            norm = index
        elif kind is nn.ReLU and open_end:
            relu = index
        elif not (kind is nn.MaxPool2d if open_end else kind in PASSING):
            place = producer if open_end else relu
            expected = "a convolution or dense layer, pooling or flattening"
            if open_end:
                expected = "batch norm, max-pooling and a ReLU in this order, or nothing if it gives the outputs"
            raise InputError(
                f"layer {name} ({type(layer).__name__}) does not belong in a chain of this kind: "
                f"{'at the start' if place is None else f'after layer {names[place]}'} comes {expected}"
            )
        last = index
    if producer is None or last != producer:
        raise InputError("the chain must end in a convolution or dense layer that gives the outputs")
    return found


def _kind(name: str, layer: nn.Module) -> type[nn.Module] | None:
    """Which of `KINDS` a layer is. Raises InputError for those that would not be taken for what they do."""
    kind = next((kind for kind in KINDS if isinstance(layer, kind)), None)
    if kind is not None and type(layer).forward not in (kind.forward, MapBiasConv2d.forward):
        raise InputError(f"layer {name} has a forward pass of its own: replace it by nn.{kind.__name__}")
    if kind in PRODUCERS and not layer.weight.numel():
        raise InputError(f"layer {name} ({layer}) has no weights: there are no units to prune, or nothing to read")
    if kind is nn.MaxPool2d and layer.return_indices:
        raise InputError(f"layer {name} ({layer}) gives its indices too: set return_indices=False")
    if kind is nn.Conv2d and layer.groups != 1:
        raise InputError(f"layer {name} is a grouped convolution, which this code does not take apart")
    padded = kind is nn.AvgPool2d and layer.count_include_pad and layer.padding not in (0, (0, 0))
    if padded or (kind is nn.AvgPool2d and layer.divisor_override is not None):
        raise InputError(f"layer {name} ({layer}) does not pass a constant on: use count_include_pad=False, no divisor")
    return kind


def check_map(site: UnitLayer, a: Tensor) -> None:
    """Raises InputError unless ``a`` is (samples, units) for a dense site, else (samples, units, height, width)."""
    if a.ndim != (2 if site.dense else 4) or a.shape[1] != site.units:
        expected = "(samples, units)" if site.dense else "(samples, units, height, width)"
        raise InputError(
            f"the output of site {site.name} has shape {tuple(a.shape)}, not {expected}: give inputs with a first "
            "dimension of samples, and flatten maps before a dense layer"
        )


def layer_set(model: nn.Module, name: str) -> list[UnitLayer]:
    """The layers of a layer set of Evci et al. (2019): "all", or one of the first, middle and last convolution and the
    first dense layer. The middle one of n convolutions is number (n + 1) // 2."""
    if name not in LAYER_SETS:
        raise InputError(f"unknown layer set {name!r}: choose from {', '.join(LAYER_SETS)}")
    if name == "all":
        return unit_layers(model)
    pool = [site for site in unit_layers(model) if site.dense == (name == "firstdense")]
    if not pool:
        raise InputError(f"layer set {name!r} is empty: the network has no such layers")
    return [pool[{"midconv": (len(pool) + 1) // 2 - 1, "lastconv": -1}.get(name, 0)]]
