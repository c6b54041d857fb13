"""What scores and replacements need to know of groups of units, measured where layers read them.

Notation: a(x, p) is what a layer reads of a unit for sample x at position p; g(x, p) is the derivative, by this one
reading, of the loss of the sample. A unit that several layers read has the positions of all of them: the sums below are
then first-order changes of the loss when all of them read something else.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from prunebook.data.batches import Batches, class_labels
from prunebook.errors import InputError
from prunebook.networks.evaluating import evaluating
from prunebook.units.graph.dependencies import TRANSPOSED, Group, Part, tensors
from prunebook.units.graph.reading import by_channel, editing, width_of

CHUNK = 64  # samples in one pass


@dataclass(frozen=True)
class GroupStatistics:
    """One group, C units, N samples, P positions; what a score is given.

    Attributes:
        site: the name of the group.
        mean: of a over samples and positions.
        variance: of a over samples and positions, within each channel that is read.
        fluctuation: sum over all channels that read the unit of their variance times their squared weights.
        weight: of the layers that make the units, side by side.
        positions: how many there are, P.
        product: mean of a * g over positions, for each sample; None without a backward pass, as the next two.
        gradient: mean of g over positions, for each sample.
        displacement: mean over positions of (mean of the channel - a) * g, for each sample.
    """

    site: str
    mean: Float[Tensor, " units"]
    variance: Float[Tensor, " units"]
    fluctuation: Float[Tensor, " units"]
    weight: Float[Tensor, "units weights"]
    positions: int
    product: Float[Tensor, "samples units"] | None = None
    gradient: Float[Tensor, "samples units"] | None = None
    displacement: Float[Tensor, "samples units"] | None = None


@dataclass
class Reading:
    """Sums over what one layer has read; float64, but for those of each sample."""

    count: int = 0
    mean: Tensor | float = 0.0
    squares: Tensor | float = 0.0  # of what is off the mean
    positions: int = 0
    product: list[Tensor] = field(default_factory=list)
    gradient: list[Tensor] = field(default_factory=list)

    def add(self, a: Float[Tensor, "rows channels positions"]) -> None:
        variance, mean = torch.var_mean(a, (0, 2), correction=0)
        number, off = a.shape[0] * a.shape[2], mean.double() - self.mean
        total = self.count + number
        self.squares = self.squares + variance.double() * number + off**2 * (self.count * number / total)
        self.mean = self.mean + off * (number / total)
        self.count, self.positions = total, a.shape[2]

    @property
    def variance(self) -> Tensor:
        return self.squares / self.count


Loss = Callable[[Tensor, Tensor], Tensor]


def measure(
    model: nn.Module, batches: Batches, groups: Sequence[Group], *, gradients: bool, loss: Loss | None = None
) -> tuple[dict[str, GroupStatistics], dict[str, Reading]]:
    """Statistics of all groups by name, and of all layers that read them; from one pass over the data.

    ``loss(outputs, targets)`` is a mean over the batch, cross-entropy by default; only for ``gradients``. The samples
    of a layer are those of the network: (samples * k, ...) counts as samples of k positions more.
    """
    layers = dict(model.named_modules())
    readings = {part.layer: Reading() for group in groups for part in group.of("reads")}
    flags = {p: p.requires_grad for p in model.parameters()}
    try:
        for parameter in flags:
            parameter.requires_grad_(False)  # gradients of weights are not asked for
        with evaluating(model), torch.set_grad_enabled(gradients):
            for x, y in _portions(batches):
                pass_ = _Pass(gradients)
                with editing(model, {name: pass_.look(name, layers[name], r) for name, r in readings.items()}):
                    outputs = batches.call(model, x)
                    pass_.forward = False
                    if gradients:
                        torch.autograd.grad(_summed(outputs, y, loss), pass_.starts, allow_unused=True)
                if gradients:
                    _check_rows(readings, len(tensors(outputs)[0]))
                del outputs
    finally:
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)
    return {group.name: _of_group(group, layers, readings, gradients) for group in groups}, readings


def _portions(batches: Batches) -> Iterator[tuple[Any, Any]]:
    """Batches of tensors in pieces whose activations fit into memory; others as they come."""
    for x, y in batches:
        if batches.forward is not None or len(x) <= CHUNK:
            yield x, y
            continue
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            yield x[part], None if y is None else y[part]


class _Pass:
    """One forward pass, and the backward pass after it."""

    def __init__(self, gradients: bool) -> None:
        self.gradients, self.forward, self.starts = gradients, True, []

    def look(self, name: str, layer: nn.Module, reading: Reading) -> Callable[[Tensor], Tensor]:
        """What records the input of a layer; for `editing`."""

        def look(a: Tensor) -> Tensor:
            if self.forward:  # checkpointed layers run again in the backward pass
                reading.add(by_channel(name, layer, a.detach()))
            if not self.gradients:
                return a
            if not a.requires_grad:
                a = a.detach().requires_grad_()
                self.starts.append(a)
            # A view of its own: the gradient by `a` itself would count what others read as well.
            a = a.view_as(a)
            if self.forward:
                seen, version = by_channel(name, layer, a.detach()), a._version
                a.register_hook(lambda gradient: back(gradient, seen, a._version == version))
            return a

        def back(gradient: Tensor, seen: Tensor, unchanged: bool) -> None:
            if not unchanged:
                raise InputError(f"what layer {name} reads is changed in place later: use an operation that is not")
            g = by_channel(name, layer, gradient.detach())
            reading.product.append(torch.einsum("rcp,rcp->rc", seen, g))
            reading.gradient.append(g.sum(2))

        return look


def _summed(outputs: object, y: object, loss: Loss | None) -> Tensor:
    """The loss summed over samples."""
    if loss is not None:
        value = loss(outputs, y)
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            raise InputError("loss must give one number that depends on the outputs, a mean over the batch")
        return value * len(tensors(outputs)[0])
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or outputs.shape[1] < 2:
        form = f"of shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else f"a {type(outputs).__name__}"
        raise InputError(
            f"the outputs are {form}, not one logit a class: give loss=, or a score without gradients such as variance"
        )
    labels = class_labels(y, len(outputs), outputs.shape[1]).to(outputs.device)
    return F.cross_entropy(outputs, labels, reduction="sum")


def _check_rows(readings: dict[str, Reading], samples: int) -> None:
    """Makes rows of samples of what was just added."""
    for name, reading in readings.items():
        if not reading.product or len({len(r.product) for r in readings.values()}) > 1:
            raise InputError(f"no gradient arrives at layer {name}: does it run under torch.no_grad()?")
        for kept in (reading.product, reading.gradient):
            if len(kept[-1]) % samples:
                raise InputError(f"the first dimension of what layer {name} reads is not that of samples")
            kept[-1] = kept[-1].unflatten(0, (samples, -1)).sum(1)


def _of_group(
    group: Group, layers: dict[str, nn.Module], readings: dict[str, Reading], gradients: bool
) -> GroupStatistics:
    read = [(part, readings[part.layer], layers[part.layer]) for part in group.of("reads")]
    device = read[0][2].weight.device

    def total(values: list[Tensor]) -> Tensor:
        """By unit, of one value for each channel and reader."""
        out = torch.zeros(*values[0].shape[:-1], group.units, dtype=values[0].dtype, device=device)
        for (part, _, _), value in zip(read, values, strict=True):
            out.index_add_(-1, part.units.to(device), value[..., part.channels.to(value.device)].to(out))
        return out

    dtype = read[0][2].weight.dtype
    counts = total([torch.full_like(r.mean, r.positions) for _, r, _ in read]).clamp(min=1)
    squared = [_squared_columns(layer) for _, _, layer in read]
    facts = {
        "site": group.name,
        "mean": (total([r.mean * r.positions for _, r, _ in read]) / counts).to(dtype),
        "variance": (total([r.variance * r.positions for _, r, _ in read]) / counts).to(dtype),
        "fluctuation": total([r.variance * s for (_, r, _), s in zip(read, squared, strict=True)]).to(dtype),
        "weight": torch.cat([_rows(part, layers[part.layer], group.units) for part in group.of("makes")], 1),
        "positions": int(counts.max()),
    }
    if gradients:
        product, slopes = [torch.cat(r.product) for _, r, _ in read], [torch.cat(r.gradient) for _, r, _ in read]
        moved = [r.mean.to(s.dtype) * s - p for (_, r, _), s, p in zip(read, slopes, product, strict=True)]
        for name, values in (("product", product), ("gradient", slopes), ("displacement", moved)):
            facts[name] = total(values) / counts.to(values[0].dtype)
    return GroupStatistics(**facts)


def _squared_columns(layer: nn.Module) -> Float[Tensor, " channels"]:
    """Sum of the squared weights that read each input channel."""
    weight = layer.weight.detach().double().square()
    if isinstance(layer, nn.Linear):
        return weight.sum(0)
    return weight.unflatten(0, (layer.groups, -1)).flatten(3).sum((1, 3)).reshape(width_of(layer))


def _rows(part: Part, layer: nn.Module, units: int) -> Float[Tensor, "units weights"]:
    weight = layer.weight.detach()
    weight = (weight.transpose(0, 1) if isinstance(layer, TRANSPOSED) else weight).flatten(1)
    if torch.equal(part.channels, part.units) and len(part.units) == units:
        return weight
    out = weight.new_zeros(units, weight.shape[1])
    return out.index_add_(0, part.units.to(weight.device), weight[part.channels.to(weight.device)])
