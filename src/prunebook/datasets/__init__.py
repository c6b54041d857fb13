"""MNIST, CIFAR-10 and image folders as tensors on the device, with verified checksums and fixed splits."""

from prunebook.datasets.kinds import DataSet, Found, Split, Standardisation
from prunebook.datasets.loading import NAMES, load
from prunebook.datasets.survey import where

__all__ = ["NAMES", "DataSet", "Found", "Split", "Standardisation", "load", "where"]
