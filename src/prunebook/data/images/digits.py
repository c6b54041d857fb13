"""The embedded data: 1,797 real handwritten digits of 8x8 pixels that come with scikit-learn."""

import hashlib

import numpy as np
import torch
from torch.nn.functional import interpolate, pad

from prunebook.data.images.kinds import Raw, Standardisation
from prunebook.data.images.splits import stratified

TEST_SIZE = 360  # a fifth
BORDER = 4  # MNIST, too, has its digits in a frame of four empty pixels


def read_digits(channels: int = 1, side: int = 28) -> Raw:
    """The digits enlarged (bilinear) to ``side`` pixels with an empty border, the same in every channel.

    A fixed stratified fifth is the test set. Mean and standard deviation are those of the training part.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    images = torch.from_numpy(source.images).float()[:, None] / 16  # (1797, 1, 8, 8), 16 is full ink
    inner = side - 2 * BORDER
    x = pad(interpolate(images, size=(inner, inner), mode="bilinear"), [BORDER] * 4)
    x = x.mul(255).round().to(torch.uint8).repeat(1, channels, 1, 1)
    labels = source.target.astype(np.int64)
    (test,) = stratified(labels, [TEST_SIZE])
    train = np.setdiff1d(np.arange(len(labels)), test)
    y = torch.from_numpy(labels)
    ink = x[train].double() / 255
    digest = hashlib.sha256(source.images.astype(np.uint8).tobytes() + labels.astype(np.uint8).tobytes())
    mean, std = (value.item() for value in (ink.mean(), ink.std(correction=0)))
    usual = Standardisation((mean,) * channels, (std,) * channels)
    checksums = {"scikit-learn digits": f"sha256:{digest.hexdigest()}"}
    return Raw(x[train], y[train], x[test], y[test], tuple(map(str, range(10))), checksums, usual)
