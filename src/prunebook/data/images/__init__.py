"""MNIST, CIFAR-10 and image folders as tensors on the device, with verified checksums and fixed splits."""

from prunebook.data.images.kinds import DataSet, Found, Split, Standardisation
from prunebook.data.images.loading import NAMES, load
from prunebook.data.images.survey import where

__all__ = ["NAMES", "DataSet", "Found", "Split", "Standardisation", "load", "where"]
