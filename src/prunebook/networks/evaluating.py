"""Looking at a model without leaving a trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and a fixed private random state inside; modes and the global random state as before
    outside.

    A shuffling DataLoader thus gives the same order at every pass.
    """
    devices = {p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"}
    modes = [(module, module.training) for module in model.modules()]
    with torch.random.fork_rng(devices=sorted(devices)):
        torch.default_generator.manual_seed(0)
        model.eval()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode
