"""What the elimination-compensation criterion costs, against the straightforward ways to the same numbers.

    python benchmarks/criterion.py [--samples 60000] [--threads 2]

Inputs are random numbers of MNIST's shape: the times do not depend on the values. Times are wall times of
one run, after a small warm-up: run it on a quiet machine. A rival that would take too long is timed on a
part; `rival_extrapolated` then holds that time scaled to the whole, and is not a measurement.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import pandas as pd
import torch
from _floor import fastest, product_rate, products
from torch import nn
from torch.func import functional_call, grad, vmap

from prunebook.weights import Calibration
from prunebook.weights.brute_force import output_changes, single_changes


def network(widths: Sequence[int], activation: Callable[[], nn.Module] = nn.PReLU) -> nn.Sequential:
    parts = [step for pair in pairwise(widths) for step in (nn.Linear(*pair), activation())]
    return nn.Sequential(*parts[:-1])


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def weights(model: nn.Module) -> int:
    return sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear))


def against_forward_passes(samples: int, timed: int = 30) -> dict:
    """All importances at once, against one forward pass of the whole data for each weight."""
    model, x = network((784, 32, 32, 10)), torch.randn(samples, 784)
    _ = Calibration(model, x[:1000]).statistics
    mine = seconds(lambda: Calibration(model, x).statistics)
    means = x.mean(0).double()
    entries = [(k % 32, 7 * k) for k in range(timed)]
    rival = seconds(lambda: single_changes(model, x, "0", means, entries))
    work = products(lambda: Calibration(model, x[:1000]).statistics) * samples / 1000
    return {
        "name": "statistics, 784-32-32-10",
        "floor": work / product_rate(),
        "scaling": ["the criterion's statistics", "samples", samples],
        "size": samples,
        "seconds": mine,
        "rival": f"a forward pass for each of {timed} weights",
        "rival_seconds": rival,
        "rival_extrapolated": rival * weights(model) / timed,
        "note": f"extrapolated from {timed} to {weights(model)} weights",
    }


def against_sample_gradients(samples: int) -> list[dict]:
    """Against gradients of each parameter for each sample: all at once (vmap), and one by one (loop).

    tanh, because the backward pass of PReLU cannot be batched by vmap.
    """
    model, x = network((784, 32, 32, 10), nn.Tanh), torch.randn(samples, 784)
    model.requires_grad_(False)
    _ = Calibration(model, x[:100]).statistics
    mine = seconds(lambda: Calibration(model, x).statistics)
    parameters = dict(model.named_parameters())

    def batched() -> None:
        for part in x.split(32):
            for k in range(10):
                output = lambda p, a, k=k: functional_call(model, p, (a,))[k]  # noqa: E731
                gradients = vmap(grad(output), (None, 0))(parameters, part)
                for name in ("0", "2", "4"):
                    w, b = gradients[f"{name}.weight"], gradients[f"{name}.bias"]
                    _ = b.square().sum(0), torch.einsum("noi,no->oi", w, b), w.square().sum(0)

    looped = min(samples, 100)

    def loop() -> None:
        leaves = {name: p.clone().requires_grad_() for name, p in parameters.items()}
        for a in x[:looped]:
            y = functional_call(model, leaves, (a,))
            for k in range(10):
                gradients = torch.autograd.grad(y[k], list(leaves.values()), retain_graph=k < 9)
                for w, b in zip(gradients[::2], gradients[1::2], strict=True):
                    _ = b.square(), w * b[:, None], w.square()

    work = products(lambda: Calibration(model, x).statistics)
    row = {"name": "statistics, 784-32-32-10, tanh", "size": samples, "seconds": mine}
    row |= {"floor": work / product_rate()}
    all_at_once, one_by_one = seconds(batched), seconds(loop)
    return [
        row
        | {
            "rival": "per-sample parameter gradients, vmap",
            "rival_seconds": all_at_once,
            "rival_extrapolated": all_at_once,
            "note": "measured in full",
        },
        row
        | {
            "rival": f"per-sample parameter gradients, loop over {looped} samples",
            "rival_seconds": one_by_one,
            "rival_extrapolated": one_by_one * samples / looped,
            "note": f"extrapolated from {looped} to {samples} samples",
        },
    ]


def each() -> float:
    """Seconds a value of one rank-one update and one PReLU, in the cache and on all threads."""
    columns, row = torch.randn(64, 1), torch.randn(512)
    block, slope, out = torch.randn(64, 512), torch.tensor([0.25]), torch.empty(64, 512)

    def work() -> None:
        torch.addcmul(block, columns, row, out=out)
        torch.prelu(out, slope)

    return fastest(work, 50) / block.numel() / torch.get_num_threads()


def elements(widths: Sequence[int]) -> int:
    """Activations that change, for each of the weights in turn."""
    later = [sum(widths[at + 2 : -1]) + 1 for at in range(len(widths) - 1)]
    return sum(a * b * count for (a, b), count in zip(pairwise(widths), later, strict=True))


def nonlinear(widths: Sequence[int], samples: int, timed: int = 30) -> dict:
    """The brute-force ranking unit by unit, against one forward pass for each weight; same numbers."""
    model, x = network(widths), torch.randn(samples, widths[0])
    calibration = Calibration(model, x, nonlinear_samples=samples)
    statistics = calibration.statistics  # the means are not part of the comparison
    scores: dict[str, torch.Tensor] = {}
    mine = seconds(lambda: scores.update(output_changes(calibration)))
    entries = [(k % widths[1], (7 * k) % widths[0]) for k in range(timed)]
    found = []
    data = calibration.sample
    rival = seconds(lambda: found.append(single_changes(model, data, "0", statistics["0"].mean, entries)))
    expected = torch.stack([scores["0"][entry] for entry in entries])
    torch.testing.assert_close(found[0], expected, rtol=1e-2, atol=1e-9)
    return {
        "name": "non-linear, " + "-".join(map(str, widths)),
        "floor": products(lambda: output_changes(calibration)) / product_rate() + elements(widths) * samples * each(),
        "scaling": ["the brute-force criterion", "weights", weights(model)],
        "size": samples,
        "seconds": mine,
        "rival": f"a forward pass for each of {timed} weights",
        "rival_seconds": rival,
        "rival_extrapolated": rival * weights(model) / timed,
        "note": f"extrapolated from {timed} to {weights(model)} weights",
    }


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=60_000, help="rows of the largest data set")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    sizes = sorted({max(1, options.samples // 12), max(1, options.samples // 3), options.samples})
    few = min(1000, options.samples)
    rows = [against_forward_passes(size) for size in sizes]
    rows += against_sample_gradients(few)
    rows += [
        nonlinear((784, 32, 32, 10), few),
        nonlinear((784, 64, 64, 10), few),
        nonlinear((68, 64, 32, 32, 16, 16, 1), min(2000, options.samples)),
    ]
    for row in rows:
        row["ratio"] = row["rival_extrapolated"] / row["seconds"]
    print(f"{options.threads} threads, torch {torch.__version__}")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    return rows


if __name__ == "__main__":
    main()
