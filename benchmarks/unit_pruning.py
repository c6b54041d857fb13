"""Units of ResNet-18 and of the MLPs of ViT-B/16 pruned: here, and by torch-pruning without compensation.

Both score by first-order terms of the same loss (Taylor), from the same samples, and remove as many units of the same
layers. Times are of a whole call: tracing, scoring, choosing, folding, removing. Each is measured in a process of its
own, for its peak memory.
"""

import multiprocessing
import resource
import sys
import time
import warnings

SAMPLES, RATIO = 8, 0.4


def setting(name):
    import torch
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model(name).eval()
    torch.nn.init.normal_(list(model.parameters())[-2], std=0.01)  # the head of a fresh ViT is zero
    return model, torch.randn(SAMPLES, 3, 224, 224), torch.arange(SAMPLES)


def ours(name):
    from prunebook.units.graph import prune_graph

    model, x, y = setting(name)
    start = memory(), time.perf_counter()
    found = prune_graph(model, [(x, y)], RATIO)
    return start, found.model


def rival(name):
    import torch
    import torch_pruning
    from torch import nn

    model, x, y = setting(name)
    start = memory(), time.perf_counter()
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    fixed = [m for n, m in layers if "vit" in name and "mlp.0" not in n]
    pruner = torch_pruning.pruner.BasePruner(
        model,
        x[:1],
        importance=torch_pruning.importance.TaylorImportance(),
        pruning_ratio=RATIO,
        ignored_layers=fixed or [model.fc],
    )
    nn.functional.cross_entropy(model(x), y).backward()
    pruner.step()
    with torch.no_grad():
        model(x[:1])
    return start, model


def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def once(way, name):
    warnings.simplefilter("ignore")
    (before, start), model = {"ours": ours, "torch-pruning": rival}[way](name)
    seconds = time.perf_counter() - start
    return seconds, memory() - before, sum(p.numel() for p in model.parameters())


def main(rounds=2):
    rows = []
    for name in ("resnet18", "vit_b_16"):
        for way in ("ours", "torch-pruning"):
            results = []
            for _ in range(rounds):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    results.append(pool.apply(once, (way, name)))
            seconds, mib, parameters = min(results)
            rows.append({"network": name, "way": way, "seconds": seconds, "added_mib": mib, "parameters": parameters})
            print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
