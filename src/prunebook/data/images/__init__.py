"""MNIST, CIFAR-10 and image folders as tensors on the device, with verified checksums and fixed splits."""

from prunebook.data.images.kinds import DataSet, Split, Standardisation
from prunebook.data.images.loading import NAMES, load, where

__all__ = ["NAMES", "DataSet", "Split", "Standardisation", "load", "where"]
