"""Seconds of a criterion, and time and size of what pruning leaves. One thread, so that numbers compare."""

import copy
import math
import random
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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


def timed(function: Callable[[], T], device: torch.device | str = "cpu") -> tuple[T, float]:
    """What a function returns, and the seconds it took, with one thread.

    On a CPU these are seconds of the processor, to which other work on the machine adds nothing; on a GPU, of a clock.
    """
    cuda = torch.device(device).type == "cuda"
    clock = time.perf_counter if cuda else time.process_time
    with one_thread():
        if cuda:
            torch.cuda.synchronize()
        begin = clock()
        value = function()
        if cuda:
            torch.cuda.synchronize()
        return value, clock() - begin


def shortest(functions: Sequence[Callable[[], object]]) -> list[float]:
    """The shortest time of each function over some rounds, in which they take turns.

    Other work on the machine only adds, and turns share it out. Their order changes, as each finds the caches as the
    one before has left them. The first call of each is not counted.
    """
    turns = random.Random(0)
    for function in functions:
        function()
    best, begin = [math.inf] * len(functions), time.perf_counter()
    for number in range(ROUNDS):
        if number >= LEAST and time.perf_counter() - begin > BUDGET * len(functions):
            break
        for place in turns.sample(range(len(functions)), len(functions)):
            start = time.perf_counter()
            functions[place]()
            best[place] = min(best[place], time.perf_counter() - start)
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
    masked = [
        (weight * masks[name].cpu(), bias) for (name, _), (weight, bias) in zip(named, dense, strict=True)
    ]
    with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants(True):
        warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)
        rows = [(_rows(weight), bias) for weight, bias in masked]
    activations = [copy.deepcopy(step).cpu() for step in model if not isinstance(step, nn.Linear)]
    forms = {"dense": dense, "masked": masked, "sparse rows": rows}
    found = []
    with one_thread():
        for batch in BATCHES:
            columns = x[:batch].cpu().t().contiguous()
            difference = (
                (_through(masked, activations, columns) - _through(rows, activations, columns)).abs().max()
            )
            jobs = [
                lambda layers=layers, h=columns: _through(layers, activations, h) for layers in forms.values()
            ]
            found += [
                {
                    "form": form,
                    "batch": batch,
                    "milliseconds": 1000 * seconds,
                    "bytes": sum(_bytes(weight) + _bytes(bias) for weight, bias in layers),
                    "difference": float(difference),
                    "threads": 1,
                }
                for (form, layers), seconds in zip(forms.items(), shortest(jobs), strict=True)
            ]
    return found


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
    networks = {"dense": copy.deepcopy(model).to("cpu"), "removed": copy.deepcopy(small).to("cpu")}
    for network in networks.values():
        network.eval()
    with one_thread():
        for batch in BATCHES:
            part = x[:batch].contiguous(memory_format=torch.channels_last)
            jobs = [lambda network=n, part=part: network(part) for n in networks.values()]
            rows += [
                {
                    "form": form,
                    "batch": batch,
                    "milliseconds": 1000 * seconds,
                    "bytes": sum(p.numel() * p.element_size() for p in network.parameters()),
                    "threads": 1,
                }
                for (form, network), seconds in zip(networks.items(), shortest(jobs), strict=True)
            ]
    return rows
