"""The least time that a piece of work could take: its arithmetic alone, at the rate that this machine reaches."""

import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode


def fastest(work: Callable[[], object], rounds: int = 5, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the best of a few calls."""
    times = []
    for _ in range(rounds):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def product_rate(dtype: torch.dtype = torch.float32, clock: Callable[[], float] = time.perf_counter) -> float:
    """Floating-point operations a second of one large matrix product."""
    a = torch.randn(2048, 2048, dtype=dtype)
    return 2 * 2048**3 / fastest(lambda: a @ a, clock=clock)


def products(work: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products and convolutions that a call makes."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()
