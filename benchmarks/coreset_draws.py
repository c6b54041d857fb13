"""What sensitivities and sampling cost, against one Python loop for each output and for each draw.

    python benchmarks/coreset_draws.py [--points 5000] [--threads 2]

Inputs are random numbers: the times do not depend on the values. Times are wall times of one run, after a small
warm-up: run it on a quiet machine. A rival that would take too long is timed on a part; `rival_extrapolated` then
holds that time scaled to the whole, and is not a measurement.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from _floor import fastest

from prunebook.coresets import sample_weights, sensitivities
from prunebook.coresets.sampling import draw_counts
from prunebook.coresets.sensitivity import parts


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def problem(n_out: int, n_in: int, points: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(n_out, n_in, dtype=torch.float64), torch.randn(points, n_in, dtype=torch.float64).relu()


def looped(weight: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Sensitivities point by point, which is the definition read aloud."""
    found = torch.zeros(2, *weight.shape, dtype=torch.float64)
    for sign, w in enumerate(parts(weight)):
        for x in h:
            terms = w * x
            z = terms.sum(1, keepdim=True)
            found[sign] = torch.maximum(found[sign], torch.where(z > 0, terms / z, 0.0))
    return found


def against_points(n_out: int, n_in: int, points: int, timed: int = 500) -> dict:
    weight, h = problem(n_out, n_in, points)
    timed = min(timed, points)
    torch.testing.assert_close(sensitivities(weight, h[:timed]).values, looped(weight, h[:timed]))
    rival = seconds(lambda: looped(weight, h[:timed]))
    block, result = torch.rand(64, 512, dtype=torch.float64), torch.empty(64, 512, dtype=torch.float64)
    divisor = torch.rand(64, 1, dtype=torch.float64)

    def one_block() -> None:
        torch.div(block, divisor, out=result)
        torch.maximum(block, result, out=result)

    shares = 2 * n_out * n_in * points
    return {
        "floor": fastest(one_block, 50) * shares / block.numel() / torch.get_num_threads(),
        "scaling": [f"sensitivities, {n_in} to {n_out}", "points", points],
        "name": f"sensitivities, {n_in} to {n_out}",
        "size": points,
        "seconds": seconds(lambda: sensitivities(weight, h)),
        "rival": f"loop over {timed} points",
        "rival_seconds": rival,
        "rival_extrapolated": rival * points / timed,
        "note": f"extrapolated from {timed} to {points} points" if timed < points else "measured in full",
    }


def against_index_lists(n_out: int, n_in: int, samples: int, draws: int = 10, timed: int | None = None) -> dict:
    """Counts of multinomials, against drawing every index and counting, of which ``timed`` draws are measured."""
    timed = timed or samples
    weight, h = problem(n_out, n_in, 200)
    found = sensitivities(weight, h)
    sample_weights(weight, found, samples, 1, 0)
    m = torch.full((2, n_out), float(samples), dtype=torch.float64)

    def lists() -> None:
        for _ in range(draws):
            for q in found.probabilities.flatten(0, 1):
                torch.bincount(torch.multinomial(q, timed, replacement=True), minlength=n_in)

    rival = seconds(lists)
    weights = draws * found.probabilities.numel()
    q, generator = np.full(100_000, 1 / n_in), np.random.default_rng(0)
    return {
        "floor": fastest(lambda: generator.binomial(samples, q)) * weights / len(q),
        "scaling": [f"coreset draws, {n_in} to {n_out}", "draws an output and sign", samples],
        "name": f"{draws} coreset{'s' * (draws > 1)}, {n_in} to {n_out}",
        "size": f"{samples:,} draws an output and sign",
        "seconds": seconds(lambda: draw_counts(found.probabilities, m, draws, 0)),
        "rival": "lists of indices",
        "rival_seconds": rival,
        "rival_extrapolated": rival * samples / timed,
        "note": "measured in full"
        if timed == samples
        else f"{timed:,} of the rival's {samples:,} draws measured, the rest extrapolated",
    }


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=5000, help="points of the largest sample")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    few = max(1, options.points // 25)
    rows = [
        against_points(10, 100, few),
        against_points(10, 100, options.points),
        against_points(10, 512, few),
        against_points(10, 512, options.points),
        against_points(300, 784, few),
        against_index_lists(10, 100, 1000),
        against_index_lists(10, 100, 100_000),
        against_index_lists(10, 512, 10_000, draws=1),
        against_index_lists(10, 512, 1_000_000, draws=1),
        against_index_lists(10, 512, 10**9, draws=1, timed=1_000_000),
        against_index_lists(10, 512, 10**12, draws=1, timed=1_000_000),
        against_index_lists(512, 512, 10**12, draws=1, timed=10_000),
    ]
    for row in rows:
        row["ratio"] = row["rival_extrapolated"] / row["seconds"]
    print(f"{options.threads} threads, torch {torch.__version__}")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    return rows


if __name__ == "__main__":
    main()
