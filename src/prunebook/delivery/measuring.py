"""What a network costs: parameters, zeros, multiply-adds, bytes and seconds."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import save as as_bytes
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from prunebook.delivery.plain import tensors_of

Call = Callable[[nn.Module, Any], Any]
TURNS = 5


class Times(NamedTuple):
    """Median and quartiles of the time of a pass, in milliseconds."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """What one network costs.

    parameters: numbers in all parameters, shared ones once; zeros: of these; multiply_adds: of one pass over one sample
    (or the first batch, where batches cannot be cut), in matrix products and convolutions as PyTorch's
    `FlopCounterMode` counts them, those with zeros included; file_bytes: of a safetensors file with all parameters and
    buffers; milliseconds: of a pass, by the name of the batch, on ``threads`` threads of a CPU or on a GPU; points,
    correct: samples with a label, and those whose label has strictly the largest output; interval: the exact one of
    Clopper and Pearson for the share of these. The last three are None without class labels.
    """

    parameters: int
    zeros: int
    multiply_adds: int
    file_bytes: int
    milliseconds: Mapping[str, Times]
    threads: int
    points: int | None = None
    correct: int | None = None
    interval: tuple[float, float] | None = None


def costs(models: Sequence[nn.Module], batches: Mapping[str, Any], call: Call, seconds: float) -> list[Measured]:
    """Costs of plain networks in evaluation mode; `batches` are inputs by name, the first is used for counting."""
    times = latencies(models, batches, call, seconds)
    return [
        Measured(
            parameters=sum(p.numel() for p in model.parameters()),
            zeros=sum(int((p == 0).sum()) for p in model.parameters()),
            multiply_adds=multiply_adds(model, next(iter(batches.values())), call),
            file_bytes=len(as_bytes(tensors_of(model))),
            milliseconds=found,
            threads=torch.get_num_threads(),
        )
        for model, found in zip(models, times, strict=True)
    ]


def multiply_adds(model: nn.Module, x: Any, call: Call) -> int:
    """Multiply-adds of one pass. Fused kernels, which the counter does not know, are switched off for it."""
    counter, fast = FlopCounterMode(display=False), torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        warnings.simplefilter("ignore")  # of switching off oneDNN
        with torch.backends.mkldnn.flags(enabled=False), torch.backends.cudnn.flags(enabled=False), counter:
            torch.backends.mha.set_fastpath_enabled(False)
            try:
                call(model, x)
            finally:
                torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops() // 2


def latencies(
    models: Sequence[nn.Module], batches: Mapping[str, Any], call: Call, seconds: float
) -> list[dict[str, Times]]:
    """Times of a pass. The networks take turns, as other work comes and goes."""
    found: list[dict[str, Times]] = [{} for _ in models]
    with torch.inference_mode():
        for name, x in batches.items():
            parts = [{"call": call, "model": model, "x": x} for model in models]
            timers = [Timer("call(model, x)", globals=part, num_threads=torch.get_num_threads()) for part in parts]
            turns = [[t.blocked_autorange(min_run_time=seconds / TURNS).times for t in timers] for _ in range(TURNS)]
            for place, times in zip(found, zip(*turns, strict=True), strict=True):
                place[name] = Times(*(1000 * np.quantile(np.concatenate(times), (0.5, 0.25, 0.75))).tolist())
    return found
