"""The published MNIST and CIFAR-10 themselves, where PRUNEBOOK_DATA holds them."""

import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from prunebook.data.images import load

DATA = Path(os.environ.get("PRUNEBOOK_DATA") or "no folder named")
MNIST_TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]

needs_mnist = pytest.mark.skipif(
    not (DATA / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").is_file(),
    reason="PRUNEBOOK_DATA names no folder with the packed MNIST: the real files are not tested",
)
needs_cifar10 = pytest.mark.skipif(
    not (DATA / "cifar-10-batches-py").is_dir(),
    reason="PRUNEBOOK_DATA names no folder with CIFAR-10: the real files are not tested",
)


def within_one_of_share(part, whole_counts):
    share = whole_counts * len(part) / whole_counts.sum()
    return bool(((torch.bincount(part.y) - share).abs() < 1).all())


@needs_mnist
def test_mnist_is_the_published_one():
    dataset = load("mnist")
    assert (dataset.name, dataset.origin, dataset.notice) == ("mnist", "named folder", "")
    assert (len(dataset.train), len(dataset.dev), len(dataset.test)) == (55_000, 5_000, 10_000)
    assert torch.bincount(dataset.test.y).tolist() == MNIST_TEST_COUNTS
    counts = torch.bincount(dataset.train.y) + torch.bincount(dataset.dev.y)
    assert within_one_of_share(dataset.dev, counts)
    # Parsed a second time, without torchvision.
    raw = DATA / "MNIST" / "raw"
    pixels = np.frombuffer(gzip.decompress((raw / "t10k-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
    labels = np.frombuffer(gzip.decompress((raw / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
    expected = (pixels.reshape(-1, 1, 28, 28) / 255.0 - 0.1307) / 0.3081
    np.testing.assert_allclose(dataset.test.x.numpy(), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(dataset.test.y.numpy(), labels)
    both = torch.cat([dataset.train.x, dataset.dev.x])
    assert abs(both.mean()) < 1e-3
    assert abs(both.std() - 1) < 1e-3


@needs_cifar10
def test_cifar10_is_the_published_one():
    dataset = load("cifar10", limit=10_000)
    assert (len(dataset.train), len(dataset.dev), len(dataset.test)) == (10_000, 5_000, 10_000)
    assert dataset.classes[0] == "airplane"
    assert dataset.classes[9] == "truck"
    assert torch.bincount(dataset.test.y).tolist() == [1000] * 10
    assert torch.bincount(dataset.dev.y).tolist() == [500] * 10
    assert torch.bincount(dataset.train.y).tolist() == [1000] * 10
    batch = pickle.loads((DATA / "cifar-10-batches-py" / "test_batch").read_bytes(), encoding="bytes")
    assert dataset.test.y.tolist() == batch[b"labels"]
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in dataset.standardisation)
    restored = (dataset.test.x * std + mean).mul(255).round().to(torch.uint8)
    np.testing.assert_array_equal(restored.reshape(10_000, -1).numpy(), batch[b"data"])
    # A fifth of the training images: the mean is that of all of them to within sampling.
    assert dataset.train.x.mean((0, 2, 3)).abs().max() < 0.02
    assert (dataset.train.x.std((0, 2, 3)) - 1).abs().max() < 0.02
