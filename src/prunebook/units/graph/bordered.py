"""Convolutions that read one more channel, which is 1 everywhere: what constants do where the input is padded."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Bordered:
    """Adds what the kernels ``constant`` (out_channels, 1, ...) make of an image of ones, padded as the input is.

    Zeros around the input cut a constant off at the border, which no bias can follow. Such a kernel does, for inputs of
    any size, and is as small as one input channel.
    """

    constant: nn.Parameter

    def forward(self, x: Tensor) -> Tensor:
        convolve = (F.conv1d, F.conv2d, F.conv3d)[len(self.kernel_size) - 1]
        ones = x.new_ones(1, 1, *x.shape[2:])
        response = convolve(ones, self.constant, None, self.stride, self.padding, self.dilation)
        return super().forward(x) + response


class BorderedConv1d(_Bordered, nn.Conv1d):
    pass


class BorderedConv2d(_Bordered, nn.Conv2d):
    pass


class BorderedConv3d(_Bordered, nn.Conv3d):
    pass


BORDERED = {nn.Conv1d: BorderedConv1d, nn.Conv2d: BorderedConv2d, nn.Conv3d: BorderedConv3d}


def add_constant(layer: nn.Module, kernel: Tensor) -> None:
    """Lets a layer add what ``kernel`` (outputs, ...) makes of an input channel of ones: by its bias if that is the
    same everywhere, else as one of the classes here."""
    if isinstance(layer, nn.Linear) or not _sees_border(layer):
        change = kernel.flatten(1).sum(1) if kernel.ndim > 1 else kernel
        if layer.bias is None:
            layer.bias = nn.Parameter(torch.zeros_like(change), layer.weight.requires_grad)
        layer.bias += change
        return
    if not isinstance(layer, _Bordered):
        layer.__class__ = next(made for kind, made in BORDERED.items() if isinstance(layer, kind))
        layer.constant = nn.Parameter(torch.zeros_like(kernel[:, None]), layer.weight.requires_grad)
    layer.constant += kernel[:, None]


def _sees_border(layer: nn.Module) -> bool:
    """Whether a constant image meets zeros at its border; the other ways of padding repeat the constant."""
    if layer.padding_mode != "zeros" or layer.padding == "valid":
        return False
    if layer.padding == "same":
        return any(kernel > 1 for kernel in layer.kernel_size)
    return any(pad > 0 for pad in layer.padding)
