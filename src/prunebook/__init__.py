"""Prune a network of your own, and study what three papers claim about pruning.

>>> import torch
>>> import prunebook as pb
>>> chain = torch.nn.Sequential(torch.nn.Linear(4, 10), torch.nn.ReLU(), torch.nn.Linear(10, 3))
>>> x = torch.randn(100, 4)
>>> data = torch.utils.data.TensorDataset(x, chain(x).argmax(1))
>>> pb.prune(chain, data, ratio=0.8).reached
0.8
>>> pb.prune_units(chain, data, ratio=0.4).model[0]
Linear(in_features=4, out_features=6, bias=True)
>>> pb.certify(chain, data, keep=0.9).points
50

The packages ``weights``, ``units`` and ``coresets`` hold the pieces of these three. ``report`` compares a network
before and after; ``save``, ``load`` and ``verify`` keep it in a file.
"""

import importlib

__version__ = "0.1.0"
__all__ = ["__version__", "certify", "load", "prune", "prune_units", "report", "save", "verify"]

# Looked up when asked for: whoever only reads results need not have PyTorch.
_HOMES = {"prune": "weights", "prune_units": "units", "certify": "coresets"}
_HOMES |= dict.fromkeys(("load", "report", "save", "verify"), "delivery")


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
