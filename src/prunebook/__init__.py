"""Prune a network of your own, and study what three papers claim about pruning.

>>> import prunebook as pb
>>> pruned = pb.prune(model, loader, ratio=0.8)  # doctest: +SKIP
>>> smaller = pb.prune_units(chain, loader, ratio=0.4)  # doctest: +SKIP
>>> print(pb.certify(model, loader, keep=0.9))  # doctest: +SKIP

The packages ``weights``, ``units`` and ``coresets`` hold the pieces of these three.
"""

import importlib

__version__ = "0.1.0"
__all__ = ["__version__", "certify", "prune", "prune_units"]

# Looked up when asked for: whoever only reads results need not have PyTorch.
_HOMES = {"prune": "weights", "prune_units": "units", "certify": "coresets"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
