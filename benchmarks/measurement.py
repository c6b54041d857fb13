"""What the losses of 360 unit-pruned variants of a network cost, against the straightforward ways to the same numbers.

    python benchmarks/measurement.py [--samples 1000] [--threads 2] [--rounds 2] [--clock wall]

The variants are those of one measurement of the mean replacement study: 6 scores, 6 amounts, 5 layer sets, zeros and
constants in place of the units. Scores are random numbers here, so that those of one unit have nothing in common, and
images are: neither makes our way faster. Trials alternate and the best of each counts. The rivals are timed on a part
of the variants, as many of each score; `rival_extrapolated` is scaled to all and is not a measurement. A masked copy is
handed its units, as our way is. A library scores for each variant, so our way's one scoring counts against it.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence

import pandas as pd
import torch
import torch.nn.functional as F
from _floor import product_rate
from torch import Tensor, nn
from torch.nn.utils import prune

from prunebook.networks.convnets import convnet
from prunebook.units import (
    LAYER_SETS,
    SCORES,
    Variant,
    count,
    fold,
    layer_set,
    mask_lowest,
    measure,
    unit_layers,
    unit_statistics,
)

GRADIENT = (True, True, True, True, False, False)  # which of the six scores need one: not the norm, not random ones
AMOUNTS = (0.01, 0.05, 0.1, 0.2, 0.5, 1)
BATCH = 100  # suits the rivals best, as does channels-last: the maps of a larger batch leave the cache
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def grid(model: nn.Sequential) -> list[tuple[Variant, bool]]:
    """Variants, those of one score together, and whether their score needs a gradient."""
    constants = {site.name: torch.rand(site.units) for site in unit_layers(model)}
    variants = []
    for gradient in GRADIENT:
        scores = {site.name: torch.rand(site.units) for site in unit_layers(model)}
        for amount in AMOUNTS:
            for name in LAYER_SETS:
                chosen = layer_set(model, name)
                pruned = {s.name: mask_lowest(scores[s.name], count(s.units, amount)) for s in chosen}
                variants += [(Variant(pruned), gradient), (Variant(pruned, constants), gradient)]
    return variants


@torch.inference_mode()
def loss(model: nn.Sequential, x: Tensor, y: Tensor) -> float:
    parts = zip(x.split(BATCH), y.split(BATCH), strict=True)
    return sum(F.cross_entropy(model(a), b, reduction="sum").item() for a, b in parts) / len(x)


def masked_copy(model: nn.Sequential, variant: Variant, gradient: bool, x: Tensor, y: Tensor) -> float:
    """Scores are given: a copy in which the units are zero and the constants folded into biases, and its loss."""
    return loss(fold(model, variant.pruned, variant.constants), x, y)


def afresh(model: nn.Sequential, variant: Variant, gradient: bool, x: Tensor, y: Tensor) -> float:
    """As one would with a pruning library, for one variant at a time: first-order scores of the units from one pass
    forward and back, if the score needs it, a copy pruned by ``torch.nn.utils.prune``, and its loss. The scores are
    thrown away and the variant's own masks taken, so that the numbers can be compared."""
    if gradient:
        score(model, x, y)
    pruned = fold(model, variant.pruned, variant.constants)
    for site in unit_layers(pruned):
        if site.name in variant.pruned:
            layer, kept = pruned[site.producer], (~variant.pruned[site.name]).float()
            shape = (-1, *[1] * (layer.weight.dim() - 1))
            prune.custom_from_mask(layer, "weight", kept.view(shape).expand_as(layer.weight))
            prune.custom_from_mask(layer, "bias", kept)
    return loss(pruned, x, y)


def score(model: nn.Sequential, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Mean over samples of |mean over positions of a * da|, for the output a of each unit."""
    seen: dict[str, Tensor] = {}
    total: dict[str, Tensor] = {}
    hooks = [
        model[site.index].register_forward_hook(lambda _, __, out, name=site.name: seen.update({name: out}))
        for site in unit_layers(model)
    ]
    for a, b in zip(x.split(BATCH), y.split(BATCH), strict=True):
        value = F.cross_entropy(model(a), b, reduction="sum")
        slopes = torch.autograd.grad(value, list(seen.values()))
        for (name, out), slope in zip(seen.items(), slopes, strict=True):
            part = (out.detach() * slope).flatten(2).mean(2) if out.dim() == 4 else out.detach() * slope
            total[name] = total.get(name, 0) + part.abs().sum(0) / len(x)
    for hook in hooks:
        hook.remove()
    return total


def all_scores(model: nn.Sequential, x: Tensor, y: Tensor) -> dict[str, dict[str, Tensor]]:
    """Every score of every unit, and the means, from one pass forward and back: what our way does once a step."""
    seen = unit_statistics(model, x, y)
    return {name: {site: function(found) for site, found in seen.items()} for name, function in SCORES.items()}


def network(name: str) -> nn.Sequential:
    model = convnet(name, seed=0).to(memory_format=torch.channels_last)
    with torch.no_grad():
        for site in unit_layers(model):
            model[site.producer].bias.normal_(0, 0.1)
    return model


def compare(name: str, samples: int, rounds: int, timed: int, clock: Callable[[], float]) -> list[dict]:
    model, variants = network(name), grid(network(name))
    x = torch.randn(samples, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (samples,))
    each = len(variants) // len(GRADIENT)
    chosen = [k * each + i for k in range(len(GRADIENT)) for i in torch.randperm(each)[:timed].tolist()]
    rivals = {"a masked copy": masked_copy, "a library, scored afresh": afresh}
    for rival in rivals.values():
        rival(model, *variants[-1], x[:BATCH], y[:BATCH])
    mine, scoring, peak, memory = float("inf"), float("inf"), 0.0, 0.0
    theirs = {rival: [float("inf")] * len(chosen) for rival in rivals}
    for _ in range(rounds):
        peak = max(peak, product_rate(clock=clock))
        start = clock()
        found = measure(model, [variant for variant, _ in variants], [(x, y)])
        mine = min(mine, clock() - start)
        start = clock()
        all_scores(model, x, y)
        scoring = min(scoring, clock() - start)
        memory = memory or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # before the rivals' own
        for rival, function in rivals.items():
            for place, index in enumerate(chosen):
                start = clock()
                value = function(model, *variants[index], x, y)
                theirs[rival][place] = min(theirs[rival][place], clock() - start)
                torch.testing.assert_close(found.loss[index, 0].item(), value, rtol=3e-6, atol=0)
    memory /= 2**20 if sys.platform == "darwin" else 2**10
    first = model[0].weight.numel() * model[0](x[:1])[0, 0].numel()
    work = 2 * samples * (found.macs + first)
    notes = {
        "a masked copy": f"{found.distinct} distinct networks; {work / 1e9:.0f} GFLOP remain after sharing, which at "
        f"the {peak / 1e9:.0f} GFLOP/s of a large product take {work / peak:.2f} s; the process takes at most "
        f"{memory:.0f} MiB",
        "a library, scored afresh": "4 of the 6 scores need a backward pass; our way's one scoring of all units is "
        "in its time",
    }
    ours = {"a masked copy": mine, "a library, scored afresh": mine + scoring}
    return [
        {
            "name": f"losses of {len(variants)} pruned variants, {name}",
            "size": samples,
            "seconds": ours[rival],
            "rival": f"{rival} for each of {len(chosen)} variants",
            "rival_seconds": sum(seconds),
            "rival_extrapolated": sum(seconds) * len(variants) / len(chosen),
            "floor": work / peak,
            "scaling": [f"losses of {len(variants)} variants, {name.capitalize()}", "images", samples],
            "note": f"extrapolated from {len(chosen)} to {len(variants)} variants; {notes[rival]}",
        }
        for rival, seconds in theirs.items()
    ]


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000, help="images")
    parser.add_argument("--networks", nargs="+", default=["small", "medium"])
    parser.add_argument("--timed", type=int, default=1, help="variants of each score the rivals are timed on")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="processor time: for a busy machine")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    rows = []
    sizes = sorted({max(BATCH, options.samples // 4 // BATCH * BATCH), options.samples})
    for name in options.networks:
        for size in sizes:
            rows += compare(name, size, options.rounds, options.timed, CLOCKS[options.clock])
    for row in rows:
        row["ratio"] = row["rival_extrapolated"] / row["seconds"]
    print(f"{options.threads} threads, torch {torch.__version__}, {options.clock} time")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    return rows


if __name__ == "__main__":
    main()
