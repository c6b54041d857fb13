"""Seconds of a criterion, and time and size of what pruning leaves. One thread, so that numbers compare."""

import copy
import math
import random
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

BATCHES = (1, 256)
ROUNDS, LEAST, BUDGET = 300, 5, 0.2  # rounds at most and at least, and seconds a function in between
T = TypeVar("T")


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes with one thread inside."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def seconds_of(
    function: Callable[[], T], device: torch.device | str, clock: Callable[[], float] = time.perf_counter
) -> tuple[T, float]:
    """What a function returns, and the seconds it took, all that a GPU was given to do included."""
    wait = torch.cuda.synchronize if torch.device(device).type == "cuda" else lambda: None
    wait()
    begin = clock()
    value = function()
    wait()
    return value, clock() - begin


def timed(function: Callable[[], T], device: torch.device | str = "cpu") -> tuple[T, float]:
    """What a function returns, and the seconds it took, with one thread.

    On a CPU these are seconds of the processor, to which other work on the machine adds nothing; on a GPU, of a clock.
    """
    with one_thread():
        cuda = torch.device(device).type == "cuda"
        return seconds_of(function, device, time.perf_counter if cuda else time.process_time)


def shortest(
    functions: Sequence[Callable[[], object]], device: torch.device | str = "cpu", least: int = LEAST
) -> list[float]:
    """The shortest time of each function over some rounds, ``least`` or more, in which they take turns.

    Other work on the machine only adds, and turns share it out. Their order changes, as each finds the caches as the
    one before has left them. The first call of each is not counted.
    """
    turns = random.Random(0)
    for function in functions:
        function()
    best, begin = [math.inf] * len(functions), time.perf_counter()
    for number in range(ROUNDS):
        if number >= least and time.perf_counter() - begin > BUDGET * len(functions):
            break
        for place in turns.sample(range(len(functions)), len(functions)):
            best[place] = min(best[place], seconds_of(functions[place], device)[1])
    return best


@torch.inference_mode()
def masked_latency(
    model: nn.Sequential, masks: Mapping[str, Bool[Tensor, "_ _"]], x: Float[Tensor, "n n_in"]
) -> list[dict]:
    """Time of a forward pass on the CPU, and bytes, of a dense network as it is, masked, and in sparse rows.

    The masked one has zeros where weights were; the one in sparse rows keeps only the others (PyTorch's CSR with
    32-bit indices). All three go through the same lines of code. ``difference`` is the largest between outputs of the
    last two. ``x`` must have as many samples as the largest of ``BATCHES``.
    """
    named = [(name, layer) for name, layer in model.named_children() if isinstance(layer, nn.Linear)]
    dense = [(layer.weight.detach().cpu(), layer.bias.detach().cpu()[:, None]) for _, layer in named]
    masked = [(weight * masks[name].cpu(), bias) for (name, _), (weight, bias) in zip(named, dense, strict=True)]
    with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants(True):
        warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)
        rows = [(_rows(weight), bias) for weight, bias in masked]
    activations = [copy.deepcopy(step).cpu() for step in model if not isinstance(step, nn.Linear)]
    forms = {"dense": dense, "masked": masked, "sparse rows": rows}
    sizes = [sum(_bytes(weight) + _bytes(bias) for weight, bias in layers) for layers in forms.values()]
    found = []
    with one_thread():
        for batch in BATCHES:
            columns = x[:batch].cpu().t().contiguous()
            jobs = {form: partial(_through, layers, activations, columns) for form, layers in forms.items()}
            difference = float((jobs["masked"]() - jobs["sparse rows"]()).abs().max())
            found += _latencies(batch, jobs, sizes, difference=difference)
    return found


def _latencies(batch: int, jobs: Mapping[str, Callable], sizes: Sequence[int], **more: float) -> list[dict]:
    """A row for each form of a network, timed in turns."""
    return [
        {"form": form, "batch": batch, "milliseconds": 1000 * seconds, "bytes": size, **more, "threads": 1}
        for form, size, seconds in zip(jobs, sizes, shortest(list(jobs.values())), strict=True)
    ]


def _rows(weight: Tensor) -> Tensor:
    csr = weight.to_sparse_csr()
    crow, column = csr.crow_indices().int(), csr.col_indices().int()
    return torch.sparse_csr_tensor(crow, column, csr.values(), size=csr.shape)


def _through(layers: list[tuple[Tensor, Tensor]], activations: list[nn.Module], h: Tensor) -> Tensor:
    """Outputs (n_out, samples) for inputs (n_in, samples)."""
    for place, (weight, bias) in enumerate(layers):
        h = torch.addmm(bias.expand(-1, h.shape[1]), weight, h)
        if place < len(activations):
            h = activations[place](h)
    return h


def _bytes(tensor: Tensor) -> int:
    parts = [tensor]
    if tensor.layout == torch.sparse_csr:
        parts = [tensor.values(), tensor.crow_indices(), tensor.col_indices()]
    return sum(part.numel() * part.element_size() for part in parts)


@torch.inference_mode()
def removed_latency(model: nn.Sequential, small: nn.Sequential, x: Float[Tensor, "n ..."]) -> list[dict]:
    """Time of a forward pass on the CPU, and bytes, of a network and of the one without its pruned units."""
    rows, x = [], x.cpu()
    networks = {form: copy.deepcopy(net).cpu().eval() for form, net in {"dense": model, "removed": small}.items()}
    sizes = [sum(map(_bytes, network.parameters())) for network in networks.values()]
    with one_thread():
        for batch in BATCHES:
            part = x[:batch].contiguous(memory_format=torch.channels_last)
            jobs = {form: partial(net, part) for form, net in networks.items()}
            rows += _latencies(batch, jobs, sizes)
    return rows
