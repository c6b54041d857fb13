"""Training many masked multilayer perceptrons of one shape side by side.

Fine-tuning every (method, ratio) pair of one seed means a hundred and more small networks that see the same
minibatches. Stacked, each layer of all of them is one batched matrix product, and one pass over the data trains
them all. The arithmetic is that of the single network: variants do not mix, so stacked and separate training
agree up to rounding.

Activations are stored as (variants, units, samples). In this layout the first layer of all variants is a single
matrix product, and PReLU and its derivative run over contiguous memory. The backward pass is written out, and works
in buffers that are allocated once, because allocating them anew costs as much as the arithmetic.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from prunebook.errors import InputError

LOSSES = ("cross_entropy", "mse")
SCHEDULES = ("constant", "cosine")
Part = tuple[Tensor, Tensor, Tensor]  # mask, weight and bias of a layer: (n_out, n_in) twice, (n_out,)


@dataclass
class StackedMLP:
    """Networks Linear-PReLU-...-Linear of equal widths: V variants of L layers, and lists with one entry a layer."""

    weights: list[Float[Tensor, "..."]]  # (V, n_out, n_in); masked entries are exactly zero and stay so
    biases: list[Float[Tensor, "..."]]  # (V, n_out, 1)
    slopes: list[Float[Tensor, "..."]]  # (V, 1, 1), of hidden layers: the PReLU slope on the negative side
    masks: list[
        Float[Tensor, "..."]
    ]  # (V, n_out, n_in), 1 where a weight exists and 0 where it was pruned or never was

    @classmethod
    def from_models(cls, models: Sequence[nn.Sequential], masks: Sequence[Sequence[Tensor]] | None = None):
        """Stack plain networks, ``nn.Sequential`` of Linear and single-slope PReLU in turn, all of one depth.

        Narrower ones are padded with masked weights, which changes nothing they compute. ``masks`` are given per model
        and layer, (n_out, n_in), true where a weight is kept; without them all are.
        """
        if not models:
            raise InputError("no models to stack")
        linears = [_linears(model) for model in models]
        if len({len(layers) for layers in linears}) != 1:
            raise InputError("only networks of equal depth can be stacked")
        widest = [torch.tensor([layer.weight.shape for layer in place]).amax(0) for place in zip(*linears, strict=True)]
        given = masks or [[None] * len(widest)] * len(models)
        networks = [
            [_padded(*part) for part in zip(layers, kept, widest, strict=True)]
            for layers, kept in zip(linears, given, strict=True)
        ]
        slopes = [[prelu.weight.detach().view(1, 1) for prelu in model[1::2]] for model in models]
        return cls.from_parts(networks, [torch.stack(place) for place in zip(*slopes, strict=True)])

    @classmethod
    def from_parts(cls, networks: Sequence[Sequence[Part]], slopes: Sequence[Float[Tensor, "..."]]):
        """Stack networks of one shape, given layer by layer. Slopes are (V, 1, 1), or (1, 1, 1) if all share them."""
        layers = [[torch.stack(p) for p in zip(*parts, strict=True)] for parts in zip(*networks, strict=True)]
        return cls(
            weights=[weight for _, weight, _ in layers],
            biases=[bias.unsqueeze(-1) for _, _, bias in layers],
            slopes=[slope.repeat(len(networks) // len(slope), 1, 1) for slope in slopes],
            masks=[mask.to(weight.dtype) for mask, weight, _ in layers],
        )

    @classmethod
    def concat(cls, stacks: Sequence["StackedMLP"]):
        """All variants of some stacks of one shape, in their order."""
        columns = zip(*(vars(stack).values() for stack in stacks), strict=True)
        return cls(*([torch.cat(parts) for parts in zip(*column, strict=True)] for column in columns))

    def __len__(self) -> int:
        return self.weights[0].shape[0]

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.weights, *self.biases, *self.slopes]

    def kept(self) -> Int[Tensor, " variants"]:
        """How many weights each variant has."""
        return sum(mask.sum(dim=(1, 2)) for mask in self.masks).long().cpu()

    def faults(self, before: Sequence[Float[Tensor, "..."]]) -> dict[str, int]:
        """What training must leave at zero, by the masks before it."""
        pairs = list(zip(self.weights, self.masks, before, strict=True))
        return {
            "mask entries changed by fine-tuning": sum(int((m != old).sum()) for _, m, old in pairs),
            "pruned weights that came back": sum(int((w[old == 0] != 0).sum()) for w, _, old in pairs),
        }

    def select(self, variants: Sequence[int]) -> "StackedMLP":
        """A copy of the given variants."""
        index = torch.as_tensor(variants, device=self.weights[0].device)
        return StackedMLP(*([tensor[index] for tensor in field] for field in vars(self).values()))

    def write_to(self, variant: int, model: nn.Sequential) -> nn.Sequential:
        """Copy one variant's numbers into a plain network of its own widths, and return that."""
        layers = _linears(model)
        with torch.no_grad():
            for i, layer in enumerate(layers):
                n_out, n_in = layer.weight.shape
                layer.weight.copy_(self.weights[i][variant, :n_out, :n_in])
                if layer.bias is not None:
                    layer.bias.copy_(self.biases[i][variant, :n_out, 0])
            for i, prelu in enumerate(m for m in model if isinstance(m, nn.PReLU)):
                prelu.weight.copy_(self.slopes[i][variant].flatten())
        return model

    def outputs(self, x: Float[Tensor, "n n_in"]) -> Float[Tensor, "variants n n_out"]:
        """Network outputs of every variant; nothing is kept for a backward pass."""
        hidden = x.t()
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if i == 0:
                count, units, _ = weight.shape
                hidden = torch.addmm(bias.view(-1, 1), weight.view(count * units, -1), hidden)
                hidden = hidden.view(count, units, -1)
            else:
                hidden = torch.addcmul(hidden, hidden.clamp(max=0), self.slopes[i - 1] - 1)
                hidden = torch.baddbmm(bias, weight, hidden)
        return hidden.transpose(1, 2)


def _linears(model: nn.Sequential) -> list[nn.Linear]:
    """The linear layers, once the network is known to be one that the stack can stand for."""
    kinds = [nn.Linear if i % 2 == 0 else nn.PReLU for i in range(len(model))]
    if len(model) % 2 == 0 or not all(isinstance(m, k) for m, k in zip(model, kinds, strict=True)):
        raise InputError(f"cannot stack {model}: expected Linear, PReLU, Linear, ..., Linear")
    if any(isinstance(m, nn.PReLU) and m.num_parameters != 1 for m in model):
        raise InputError("cannot stack a PReLU with a slope per unit: use nn.PReLU()")
    return list(model[::2])


def _padded(layer: nn.Linear, mask: Tensor | None, shape: Tensor) -> Part:
    weight = layer.weight.detach()
    mask = torch.ones_like(weight) if mask is None else mask.to(weight)
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach()
    rows, columns = (shape - torch.tensor(weight.shape)).tolist()
    kept, weight = (nn.functional.pad(part, (0, columns, 0, rows)) for part in (mask, weight * mask))
    return kept, weight, nn.functional.pad(bias, (0, rows))


class _Gradient:
    """Loss and gradients of a stack, in buffers made once for a batch size."""

    def __init__(self, net: StackedMLP, loss: str, batch: int):
        self.net, self.loss, self.batch = net, loss, batch
        self.hidden = [weight.new_empty(*weight.shape[:2], batch) for weight in net.weights]
        self.negative, self.signal, self.scratch = ([torch.empty_like(h) for h in self.hidden[:-1]] for _ in range(3))

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Write the gradient of each variant's mean loss to ``.grad``; return the losses, (variants,)."""
        net, hidden, x = self.net, self.hidden, x.t()
        last = len(net.weights) - 1
        for i, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
            if i == 0:
                flat = hidden[0].view(-1, self.batch)
                torch.addmm(bias.view(-1, 1), weight.view(flat.shape[0], -1), x, out=flat)
            else:
                torch.baddbmm(bias, weight, hidden[i - 1], out=hidden[i])
            if i < last:
                torch.clamp(hidden[i], max=0, out=self.negative[i])
                hidden[i].addcmul_(self.negative[i], net.slopes[i] - 1)
        losses, signal = _loss_and_signal(self.loss, hidden[last], y)
        for i in range(last, -1, -1):
            weight = net.weights[i]
            torch.sum(signal, dim=-1, keepdim=True, out=net.biases[i].grad)
            if i == 0:
                flat = signal.view(-1, self.batch)
                torch.mm(flat, x.t(), out=weight.grad.view(flat.shape[0], -1))
            else:
                torch.bmm(signal, hidden[i - 1].transpose(1, 2), out=weight.grad)
                below, negative, slope = self.signal[i - 1], self.negative[i - 1], net.slopes[i - 1]
                torch.bmm(weight.transpose(1, 2), signal, out=below)
                product = torch.mul(below, negative, out=self.scratch[i - 1])
                torch.sum(product, dim=(1, 2), keepdim=True, out=slope.grad)
                # below * (slope where the unit was negative, else 1), without a further buffer
                below.addcmul_(negative.sign_().mul_(below), 1 - slope)
                signal = below
            # A masked weight has no gradient, hence no momentum, hence never moves from zero.
            weight.grad.mul_(net.masks[i])
        return losses


def _check_loss(loss: str) -> None:
    if loss not in LOSSES:
        raise InputError(f"unknown loss {loss!r}: choose from {', '.join(LOSSES)}")


def _loss_and_signal(loss: str, out: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean loss of each variant, and its derivative by the outputs (variants, n_out, batch)."""
    batch = out.shape[-1]
    if loss == "mse":
        error = out - y.t()
        return error.square().mean(dim=(1, 2)), error * (2 / (batch * out.shape[1]))
    logs = out.log_softmax(dim=1)
    index = y.expand(len(out), 1, batch)
    losses = -logs.gather(1, index).mean(dim=(1, 2))
    signal = logs.exp_().scatter_add_(1, index, torch.full_like(out[:, :1], -1.0))
    return losses, signal.div_(batch)


def minibatches(n: int, batch_size: int, epochs: int, seed: int, device) -> Iterator[tuple[int, Tensor]]:
    """Pairs (epoch, indices). The order depends on the seed alone, so it is the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        order = torch.randperm(n, generator=generator).to(device)
        for index in order.split(batch_size):
            yield epoch, index


def train(
    net: StackedMLP,
    x: Float[Tensor, "n n_in"],
    y: Float[Tensor, "_ n_out"] | Int[Tensor, " _"],
    *,
    loss: str,
    epochs: int,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
    schedule: str = "constant",
    looks: int = 1,
    look: Callable[[StackedMLP, int], None] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Float[Tensor, "epochs variants"]:
    """Train all variants in place with Adam (default betas, fresh state).

    Every variant sees the same minibatches. Pruned weights stay exactly zero; biases and slopes are free. ``loss`` is
    "cross_entropy" with class indices ``y``, or "mse" with targets ``y``. ``report`` is told ten times how far it is.
    Returned is the loss of each variant over the samples of each epoch, while it was running.

    ``schedule`` of the learning rate is "constant", or "cosine", from its full value down to zero at the last step.
    ``look`` is called with the stack and the number of steps done, ``looks`` times an epoch, at its end the last time.

    Raises InputError for an unknown loss or schedule, a non-positive batch size, or data of unequal length.
    """
    _check_loss(loss)
    if batch_size < 1 or epochs < 0:
        raise InputError(f"batch_size {batch_size} and epochs {epochs} must be positive")
    if len(x) != len(y):
        raise InputError(f"{len(x)} inputs but {len(y)} targets")
    if schedule not in SCHEDULES:
        raise InputError(f"unknown schedule {schedule!r}: choose from {', '.join(SCHEDULES)}")
    for tensor in net.parameters:
        tensor.grad = torch.zeros_like(tensor)
    optimiser = torch.optim.Adam(net.parameters, lr=learning_rate, fused=True)
    gradient = functools.cache(lambda batch: _Gradient(net, loss, batch))
    history = torch.zeros(epochs, len(net), dtype=x.dtype, device=x.device)
    every, batches = max(1, epochs // 10), -(-len(x) // batch_size)
    watched = {batches * place // looks for place in range(1, looks + 1)}
    for step, (epoch, index) in enumerate(minibatches(len(x), batch_size, epochs, seed, x.device), 1):
        if schedule == "cosine":
            share = (step - 1) / (batches * epochs)
            optimiser.param_groups[0]["lr"] = learning_rate * (1 + math.cos(math.pi * share)) / 2
        history[epoch] += gradient(len(index))(x[index], y[index]) * (len(index) / len(x))
        optimiser.step()
        if look is not None and step - epoch * batches in watched:
            look(net, step)
        if step % batches == 0 and (epoch + 1) % every == 0:
            report(f"epoch {epoch + 1}/{epochs}, median training loss {history[epoch].median():.3g}")
    return history


@torch.no_grad()
def evaluate(
    net: StackedMLP,
    x: Float[Tensor, "n n_in"],
    y: Float[Tensor, "n n_out"] | Int[Tensor, " n"],
    *,
    loss: str,
    chunk: int = 2000,
) -> tuple[Float[Tensor, " variants"], Float[Tensor, " variants"]]:
    """Mean loss and accuracy of each variant over all samples, in float64; accuracy is NaN for "mse".

    Sums over samples, not over batches, so a short last chunk has its true weight.
    """
    _check_loss(loss)
    total = torch.zeros(len(net), dtype=torch.float64, device=x.device)
    correct = torch.zeros_like(total)
    for xs, ys in zip(x.split(chunk), y.split(chunk), strict=True):
        out = net.outputs(xs).transpose(1, 2).contiguous()
        losses, _ = _loss_and_signal(loss, out, ys)
        total += losses.double() * len(xs)
        if loss == "cross_entropy":
            correct += (out.argmax(dim=1) == ys).sum(dim=1)
    accuracy = correct / len(x) if loss == "cross_entropy" else torch.full_like(total, float("nan"))
    return total / len(x), accuracy
