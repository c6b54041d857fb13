"""The layers behind each site as matrix products on maps whose samples lie innermost.

A map is a tensor (height, channels, width, samples). In this layout the rows of a convolution's result are products of
one weight matrix with windows that overlap in memory, so nothing but the kernel's width is ever copied; a choice of
input or output channels is a smaller matrix; and a flattened map is a matrix without any copy. A dense layer's
output is a map of height and width one.
"""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prunebook.errors import InputError
from prunebook.units.folding import constant_response
from prunebook.units.forward import forward
from prunebook.units.layers import AVERAGES, UnitLayer, unit_layers


@dataclass(frozen=True)
class Stage:
    """A site with all that lies between it and the next one: pooling, and the consumer with its batch norm.

    ``weight`` is (kernel height, kernel width, inputs, outputs) for a convolution, and (map height, inputs, map width,
    outputs) for a dense layer: whole rows make up a choice of inputs. ``consumer`` is that layer in float64. ``size``
    is the map's after pooling, ``result`` the consumer's.
    """

    site: UnitLayer
    pools: tuple[nn.Module, ...]
    consumer: nn.Module
    weight: Tensor
    bias: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    size: tuple[int, int]
    result: tuple[int, int]

    @property
    def conv(self) -> bool:
        return isinstance(self.consumer, nn.Conv2d)

    @property
    def averages(self) -> bool:
        return any(isinstance(layer, AVERAGES) for layer in self.pools)

    @property
    def padded(self) -> bool:
        return self.padding != (0, 0)

    @property
    def outputs(self) -> int:
        return self.weight.shape[3]

    def select(self, ins: Tensor | None, signs: Tensor | None, outs: Tensor | None) -> Tensor:
        """(outputs, inputs): weights that read channels ``ins``, each times its sign, into ``outs``.

        None for channels: all of them; for signs: all positive."""
        channel = 2 if self.conv else 1
        part = self.weight if ins is None else self.weight.index_select(channel, ins)
        if signs is not None:
            part = part * signs.view(-1, *[1] * (3 - channel))
        part = part.flatten(0, 2)
        return (part if outs is None else part.index_select(1, outs)).T

    def product(self, h: Tensor, weight: Tensor, base: Tensor, *, inplace: bool = False) -> Tensor:
        """``base`` plus the product of ``weight``, a result of ``select``, with the same channels' map ``h``."""
        width, samples = self.result[1], h.shape[3]
        if not weight.shape[1]:
            return base.expand(self.result[0], -1, width, samples).clone()
        columns = self._columns(h) if self.conv else h.reshape(1, -1, samples)
        weight = weight.expand(len(columns), -1, -1)
        base = base.flatten(2)
        total = base.baddbmm_(weight, columns) if inplace else torch.baddbmm(base, weight, columns)
        return total.view(len(columns), -1, width, samples)

    def _columns(self, h: Tensor) -> Tensor:
        """(result height, kernel height * kernel width * channels, result width * samples), rows sharing memory."""
        (tall, wide), (high, broad) = self.weight.shape[:2], self.result
        if self.padded:
            h = F.pad(h, (0, 0, *[self.padding[1]] * 2, 0, 0, *[self.padding[0]] * 2))
        _, channels, _, samples = h.shape
        step = self.stride[1]
        shifted = torch.stack([h[:, :, j : j + step * (broad - 1) + 1 : step] for j in range(wide)], 1)
        row = wide * channels * broad * samples
        shape = (high, tall * wide * channels, broad * samples)
        return shifted.as_strided(shape, (self.stride[0] * row, broad * samples, 1))

    def pool(self, z: Tensor) -> Tensor:
        """Max-pooling, which commutes with ReLU and with adding a constant to a channel; averages are of the ReLU."""
        for layer in self.pools:
            if isinstance(layer, nn.MaxPool2d):
                images = z.permute(1, 3, 0, 2).contiguous(memory_format=torch.channels_last)  # samples as channels
                z = layer.forward(images).permute(2, 0, 3, 1).contiguous()
            else:
                z = layer.forward(z.clamp_min(0).permute(3, 1, 0, 2)).permute(2, 1, 3, 0).contiguous()
        return z

    def shift(self, constants: Tensor, border: str) -> Tensor:
        """What ``constants`` in each input channel add to the consumer: (height or 1, outputs, width or 1, 1)."""
        added = constant_response(self.consumer, constants.double()[None], size=self.size, border=border)[0]
        added = added[:, None, None] if added.ndim == 1 else added
        return added.to(self.weight.dtype).transpose(0, 1).unsqueeze(3)


def stages(model: nn.Sequential, x: Tensor, *, fold: bool = True) -> list[Stage]:
    """One stage for each site of the chain, input first, for images of the shape of ``x`` (samples, ...).

    With ``fold`` a consumer's batch norm, in evaluation mode, is part of its weights and biases.
    Raises InputError for convolutions with dilation or a padding other than zeros, dense layers that read maps
    which were not flattened, and a chain whose last layer is a convolution.
    """
    chain, found = unit_layers(model), []
    producer = model[chain[0].producer]
    z = forward(model[: chain[0].start], x[:1], {})
    if z.dim() != (4 if isinstance(producer, nn.Conv2d) else 2):
        raise InputError(f"inputs {tuple(x.shape)} do not fit {producer}: its output has {z.dim()} dimensions")
    height, width = z.shape[2:] if z.dim() == 4 else (1, 1)
    for site in chain:
        layer = model[site.consumer]
        between = model[site.start : site.consumer]
        pools = tuple(m for m in between if isinstance(m, (nn.MaxPool2d, *AVERAGES)))
        probe = torch.zeros(1, 1, height, width)
        for pool in pools:
            probe = pool.forward(probe)
        size = height, width = probe.shape[2:]
        norm = next((s.norm for s in chain if s.producer == site.consumer), None)
        weight, bias = _affine(layer, model[norm] if fold and norm is not None else None)
        consumer = copy.deepcopy(layer).double()
        consumer.weight = nn.Parameter(weight.double(), requires_grad=False)
        stride, padding = (1, 1), (0, 0)
        if isinstance(layer, nn.Conv2d):
            stride, padding, kernel = layer.stride, _padding(layer), layer.kernel_size
            height, width = ((n + 2 * p - k) // s + 1 for n, p, k, s in zip(size, padding, kernel, stride, strict=True))
            weight = weight.permute(2, 3, 1, 0)
        else:
            flat = any(isinstance(m, nn.Flatten) for m in between)
            if layer.in_features != site.units * height * width or (not site.dense and not flat):
                raise InputError(f"layer {site.consumer} reads {site.units} maps of {size} unflattened: flatten first")
            weight, height, width = weight.unflatten(1, (site.units, *size)).permute(2, 1, 3, 0), 1, 1
        result = (height, width)
        found.append(Stage(site, pools, consumer, weight.contiguous(), bias, stride, padding, size, result))
    if found[-1].conv:
        raise InputError("the last layer is a convolution: end the chain in a dense layer")
    return found


def _affine(layer: nn.Module, norm: nn.Module | None) -> tuple[Tensor, Tensor]:
    weight = layer.weight.detach()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach()
    if norm is not None:
        scale = (norm.running_var.double() + norm.eps).rsqrt()
        scale = scale if norm.weight is None else scale * norm.weight.detach().double()
        offset = 0 if norm.bias is None else norm.bias.detach().double()
        bias = ((bias.double() - norm.running_mean.double()) * scale + offset).to(weight.dtype)
        weight = (weight.double() * scale.view(-1, *[1] * (weight.dim() - 1))).to(weight.dtype)
    return weight, bias


def _padding(layer: nn.Conv2d) -> tuple[int, int]:
    if layer.padding_mode != "zeros" or tuple(layer.dilation) != (1, 1):
        raise InputError(f"{layer}: only zero padding and no dilation are supported")
    left, right, top, bottom = layer._reversed_padding_repeated_twice
    if (left, top) != (right, bottom):
        raise InputError(f"{layer}: padding 'same' needs a kernel of odd size")
    return top, left
