"""Fine-tuning all pruned variants of a seed as one stack, against one network after the other.

The rival is what a user would write: the plain PyTorch network, autograd, Adam, the mask applied to gradient and weight
in every step. It is timed for a few variants, and the rest is extrapolated.

    python benchmarks/stacked_training.py [--variants 100] [--steps 30] [--threads 1]
"""

import argparse
import time

import pandas as pd
import torch
from _floor import product_rate, products
from torch import nn

from prunebook.networks.mlp import mlp
from prunebook.training.stacked import StackedMLP, minibatches, train

CASES = (
    ((784, 32, 32, 10), "cross_entropy"),
    ((784, 64, 64, 10), "cross_entropy"),
    ((68, 32, 32, 32, 1), "mse"),
    ((68, 64, 32, 32, 16, 16, 1), "mse"),
)
BATCH, RIVALS = 128, 3


def alone(model, masks, x, y, loss, seed):
    """Train one masked network for one pass over the data."""
    function = nn.MSELoss() if loss == "mse" else nn.CrossEntropyLoss()
    optimiser = torch.optim.Adam(model.parameters(), fused=True)
    layers = model[::2]
    for _, index in minibatches(len(x), BATCH, 1, seed, x.device):
        optimiser.zero_grad()
        function(model(x[index]), y[index]).backward()
        for layer, mask in zip(layers, masks, strict=True):
            layer.weight.grad.mul_(mask)
        optimiser.step()
        with torch.no_grad():
            for layer, mask in zip(layers, masks, strict=True):
                layer.weight.mul_(mask)


def timed(work, *args, **settings) -> float:
    start = time.perf_counter()
    work(*args, **settings)
    return time.perf_counter() - start


def compare(widths: tuple[int, ...], loss: str, variants: int, steps: int) -> dict:
    """One row: a stack of so many variants, against one after the other."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(steps * BATCH, widths[0], generator=generator)
    y = (
        torch.randn(len(x), 1, generator=generator)
        if loss == "mse"
        else torch.randint(0, 10, (len(x),), generator=generator)
    )
    models = [mlp(widths, seed=seed) for seed in range(variants)]
    masks = [[torch.rand(layer.weight.shape, generator=generator) > 0.5 for layer in model[::2]] for model in models]
    net = StackedMLP.from_models(models, masks)
    ready = StackedMLP.from_models(models, masks)
    # One step of each, so that neither pays for loading.
    few = {"loss": loss, "epochs": 1, "batch_size": BATCH}
    work = products(lambda: train(ready, x[:BATCH], y[:BATCH], **few)) * steps
    alone(mlp(widths), masks[0], x[:BATCH], y[:BATCH], loss, 0)
    stacked = timed(train, net, x, y, seed=1, **few)
    each = sum(timed(alone, model, mask, x, y, loss, 1) for model, mask in zip(models[:RIVALS], masks, strict=False))
    return {
        "name": f"stacked fine-tuning, {'-'.join(map(str, widths))}",
        "size": f"{variants} variants, {steps} steps of {BATCH}",
        "seconds": stacked,
        "rival": "one network after the other",
        "rival_seconds": each / RIVALS * variants,
        "ratio": each / RIVALS * variants / stacked,
        "floor": work / product_rate(),
        "scaling": [f"stacked fine-tuning, {'-'.join(map(str, widths))}", "variants", variants],
        "note": f"{RIVALS} of the rival's variants measured, the rest extrapolated",
    }


def main(variants: int = 100, steps: int = 30) -> list[dict]:
    """Print the table, and return its rows."""
    rows = []
    for number, (widths, loss) in enumerate(CASES):
        # How it grows with the number of variants is shown for the first case.
        sizes = (max(RIVALS, variants // 10), max(RIVALS, variants // 3), variants) if number == 0 else (variants,)
        rows += [compare(widths, loss, size, steps) for size in sizes]
    print(pd.DataFrame(rows).to_string(index=False))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=100)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    main(options.variants, options.steps)
