"""Train, prune and compensate, train again: the protocol of Ballini et al. (2026) for one seed.

The dense network and the narrow ones of equal size are trained side by side. Every method then prunes the same dense
network at every ratio. All pruned networks, the narrow ones and the dense one itself go through the second
training phase as one stack, on the same minibatches.

Tables, one row per entry:

losses          method, ratio, stage, reached, weights, loss, accuracy, clean_loss, train_loss
layers          method, ratio, layer, kept, weights: where the weights that were kept lie
linearisation   compensation, ratio, predicted, true: mean square output change to first order, and in truth
stability       ranking, spearman, overlap: agreement between rankings from two halves of the training set
cost            what, seconds, samples, weights
history         stage, epoch, train_loss: of the dense network
reliance        (PDE only) method, ratio, stage, group, rms: output change when a group of inputs is set to its mean
floors          (PDE only) name, value: mean squared errors that tell what a loss means
predictions     (PDE only) test outputs beside coordinates, for the profile figures

Stages: "trained" (the dense network before pruning), "pruned" (right after pruning), "fine-tuned" (after the second
phase). In the last stage the method "dense" is the control that was trained on without being pruned. The method
"fully-connected" is a narrower dense network: "pruned" is then its state after phase one.
"""

import time
from dataclasses import dataclass, replace

import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import nn

from prunebook.data.tasks import Problem
from prunebook.errors import RunError
from prunebook.networks.mlp import mlp, narrowed, weight_count
from prunebook.training.stacked import StackedMLP, evaluate, train
from prunebook.weights import (
    COMPENSATIONS,
    CRITERIA,
    METHODS,
    Calibration,
    linearised_change,
    select,
    true_change,
)

RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
LOSSES = {"cross_entropy": nn.functional.cross_entropy, "mse": nn.functional.mse_loss}
CHUNK = 5000  # samples in one batch of the passes that train nothing


@dataclass(frozen=True)
class Compensation:
    """What one seed of the study depends on, apart from the seed.

    Assumptions where the paper is silent: the batch size, a fresh Adam for the second phase, standardised pixels, no
    held-out validation data, and, for the PDE, as many epochs as the paper gives for MNIST.

    Attributes:
        dataset: what is learnt; a stand-in puts its own name here, so its results have an address of their own.
        widths: layer widths, input first.
        noise: half-width of the uniform noise on the targets (PDE only).
        ratios: pruning ratios.
        methods: names in ``prunebook.weights.METHODS``.
        extra_ratios: ratios at which methods that the paper lacks are fine-tuned; the paper's, at all ratios.
        epochs: of each of the two training phases.
        limit: number of training images used (of trajectories, on the PDE); None takes all of them.
        standardise: images only; False keeps pixels in [0, 1], where the background is zero.
        nonlinear_samples: training inputs that the brute-force criterion looks at.
        profile_ratio: ratio at which test outputs of elimination-compensation are kept; None keeps none.
    """

    dataset: str = "mnist"
    widths: tuple[int, ...] = (784, 32, 32, 10)
    noise: float = 0.0
    ratios: tuple[float, ...] = RATIOS
    methods: tuple[str, ...] = tuple(METHODS)
    extra_ratios: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)
    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 1e-3
    limit: int | None = None
    standardise: bool = True
    nonlinear_samples: int = 1000
    profile_ratio: float | None = None


def run(config: Compensation, seed: int, problem: Problem, device, report) -> dict[str, pd.DataFrame]:
    """All tables of one seed. The seed decides initial weights, batch order and every random draw."""
    fit = {
        "loss": problem.loss,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "learning_rate": config.learning_rate,
        "report": report,
    }
    shapes = [config.widths, *(narrowed(config.widths, ratio) for ratio in config.ratios)]
    first = StackedMLP.from_models([mlp(shape, seed=seed).to(device) for shape in shapes])
    report(f"phase 1: the dense network and {len(shapes) - 1} narrow ones")
    history_1 = train(first, problem.x_train, problem.y_train, seed=2 * seed, **fit)
    dense = first.write_to(0, mlp(config.widths).to(device))

    report(f"rankings and compensations of {len(config.methods)} methods")
    evidence = _evidence(dense, problem, config, seed)
    scores, cost = _rank(evidence, problem, config)
    candidates = _prune(evidence, scores, config)
    pruned = _stack(first, candidates)
    diagnostics = {
        "linearisation": _linearisation(dense, problem, config, seed, evidence, scores),
        "stability": _stability(dense, problem, config, seed),
        "layers": _layers(candidates, config),
    }

    names = [(c.method, c.ratio) for c in candidates]
    narrow_names = [("fully-connected", ratio) for ratio in config.ratios]
    before = pd.concat(
        [
            _measure(first.select([0]), problem, [("dense", 0.0)], "trained"),
            _measure(first.select(range(1, len(first))), problem, narrow_names, "pruned"),
            _measure(pruned, problem, names, "pruned"),
        ]
    )
    tuned = [i for i, c in enumerate(candidates) if _is_tuned(c, config)]
    second = first.join(pruned.select(tuned))
    masks = [mask.clone() for mask in second.masks]
    report(f"phase 2: {len(second)} networks side by side")
    history_2 = train(second, problem.x_train, problem.y_train, seed=2 * seed + 1, **fit)
    _check_masks(second, masks)
    after = _measure(
        second, problem, [("dense", 0.0), *narrow_names, *(names[i] for i in tuned)], "fine-tuned"
    )
    losses = pd.concat([before, after], ignore_index=True)
    losses["reached"] = 1 - losses["weights"] / weight_count(config.widths)
    tables = {
        "losses": losses,
        "cost": cost,
        "history": _history({"trained": history_1, "fine-tuned": history_2}),
        **diagnostics,
    }
    if problem.groups is not None:
        tables["reliance"] = pd.concat(
            [
                _reliance(first.select([0]), problem, [("dense", 0.0)], "trained"),
                _reliance(pruned, problem, names, "pruned"),
            ],
            ignore_index=True,
        )
    if problem.floor is not None:
        tables["floors"] = pd.DataFrame({"name": problem.floor.keys(), "value": problem.floor.values()})
    if config.profile_ratio is not None and problem.coordinates is not None:
        chosen = names.index(("elimination-compensation", config.profile_ratio))
        last = len(first) + tuned.index(chosen)
        nets = {
            "dense": first.select([0]),
            "pruned": pruned.select([chosen]),
            "fine_tuned": second.select([last]),
        }
        tables["predictions"] = _predictions(nets, problem)
    return tables


@dataclass(frozen=True)
class _Candidate:
    """One (method, ratio): masks and new weights and biases per layer, before the second phase."""

    method: str
    ratio: float
    masks: list[torch.Tensor]
    weights: list[torch.Tensor]
    biases: list[torch.Tensor]


def _evidence(dense, problem: Problem, config: Compensation, seed: int, rows=slice(None)) -> Calibration:
    x, y = problem.x_train[rows], problem.y_train[rows]
    batches = list(zip(x.split(CHUNK), y.split(CHUNK), strict=True))
    loss = LOSSES[problem.loss]
    return Calibration(dense, batches, loss=loss, seed=seed, nonlinear_samples=config.nonlinear_samples)


def _rank(evidence: Calibration, problem: Problem, config: Compensation):
    """Scores of every ranking in use, and what the three kinds of criterion cost."""
    rows, weights, samples = [], weight_count(config.widths), len(problem.x_train)

    def timed(what: str, count: int, function):
        _wait(problem.x_train.device)
        start = time.perf_counter()
        value = function()
        _wait(problem.x_train.device)
        rows.append(
            {"what": what, "seconds": time.perf_counter() - start, "samples": count, "weights": weights}
        )
        return value

    with torch.no_grad():
        timed("forward pass", samples, lambda: [evidence.model(x) for x in problem.x_train.split(CHUNK)])
    timed("loss backpropagation", samples, lambda: evidence.loss_gradients)
    scores = {}
    for name in dict.fromkeys(METHODS[method].ranking for method in config.methods):
        count = config.nonlinear_samples if name == "non-linear" else samples
        scores[name] = timed(name, count, lambda name=name: CRITERIA[name](evidence))
    return scores, pd.DataFrame(rows)


def _wait(device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _prune(evidence: Calibration, scores, config: Compensation) -> list[_Candidate]:
    layers = dict(evidence.model.named_modules())
    found = []
    for name in config.methods:
        method = METHODS[name]
        for ratio in config.ratios:
            masks = select(scores[method.ranking], ratio, scope=method.scope)
            changes = COMPENSATIONS[method.compensation](evidence, masks)
            weights, biases = [], []
            for layer, mask in masks.items():
                weight, bias = layers[layer].weight.detach(), layers[layer].bias.detach()
                change = changes[layer]
                moved = weight if change.weight is None else weight + change.weight
                weights.append((moved * mask).to(weight.dtype))
                biases.append((bias + change.bias).to(bias.dtype))
            found.append(_Candidate(name, ratio, list(masks.values()), weights, biases))
    return found


def _stack(first: StackedMLP, candidates: list[_Candidate]) -> StackedMLP:
    """The pruned networks: slopes of the dense one, everything else from the candidates."""
    stack = first.select([0] * len(candidates))
    for layer in range(len(stack.weights)):
        stack.weights[layer] = torch.stack([c.weights[layer] for c in candidates])
        stack.biases[layer] = torch.stack([c.biases[layer] for c in candidates]).unsqueeze(-1)
        stack.masks[layer] = torch.stack([c.masks[layer] for c in candidates]).to(stack.weights[layer].dtype)
    return stack


def _is_tuned(candidate: _Candidate, config: Compensation) -> bool:
    return METHODS[candidate.method].from_paper or candidate.ratio in config.extra_ratios


def _measure(net: StackedMLP, problem: Problem, names, stage: str) -> pd.DataFrame:
    loss, accuracy = evaluate(net, problem.x_test, problem.y_test, loss=problem.loss)
    clean = loss
    if problem.y_clean is not None:
        clean, _ = evaluate(net, problem.x_test, problem.y_clean, loss=problem.loss)
    probe = slice(10_000)  # of the training set: enough to compare with the test set
    train_loss, _ = evaluate(net, problem.x_train[probe], problem.y_train[probe], loss=problem.loss)
    return pd.DataFrame(
        {
            "method": [method for method, _ in names],
            "ratio": [ratio for _, ratio in names],
            "stage": stage,
            "weights": sum(mask.sum(dim=(1, 2)) for mask in net.masks).cpu().numpy().astype(int),
            "loss": loss.cpu().numpy(),
            "accuracy": accuracy.cpu().numpy(),
            "clean_loss": clean.cpu().numpy(),
            "train_loss": train_loss.cpu().numpy(),
        }
    )


def _reliance(net: StackedMLP, problem: Problem, names, stage: str) -> pd.DataFrame:
    """Root mean square change of the outputs when all inputs of a group are held at their mean.

    Zero means that the network cannot see the group at all.
    """
    outputs, tables = net.outputs(problem.x_test), []
    for group, columns in problem.groups.items():
        x = problem.x_test.clone()
        x[:, columns] = problem.x_train[:, columns].mean(dim=0)
        rms = (net.outputs(x) - outputs).double().square().mean(dim=(1, 2)).sqrt()
        table = pd.DataFrame(names, columns=["method", "ratio"])
        tables.append(table.assign(stage=stage, group=group, rms=rms.cpu().numpy()))
    return pd.concat(tables, ignore_index=True)


def _check_masks(net: StackedMLP, masks) -> None:
    """What every run must satisfy: training changed no mask and revived no weight."""
    for weight, mask, before in zip(net.weights, net.masks, masks, strict=True):
        if not torch.equal(mask, before) or (weight[mask == 0] != 0).any():
            raise RunError("a pruned weight came back during fine-tuning")


def _linearisation(dense, problem, config, seed, evidence, scores) -> pd.DataFrame:
    """First-order and true output change of one mask, elimination-compensation's, under three compensations."""
    probe = _evidence(dense, problem, config, seed, slice(10_000))
    rows = []
    for ratio in config.ratios:
        masks = select(scores["elimination-compensation"], ratio)
        for name in ("none", "elimination", "joint"):
            changes = COMPENSATIONS[name](evidence, masks)
            predicted = float(linearised_change(probe, masks, changes))
            true = float(true_change(probe, masks, changes))
            rows.append({"compensation": name, "ratio": ratio, "predicted": predicted, "true": true})
    return pd.DataFrame(rows)


def _stability(dense, problem, config, seed) -> pd.DataFrame:
    """Rank correlation, and overlap of the lower half, between rankings from two halves of the training set."""
    order = torch.randperm(len(problem.x_train), generator=torch.Generator().manual_seed(seed))
    halves = [
        _evidence(dense, problem, config, seed, half.to(problem.x_train.device))
        for half in order.tensor_split(2)
    ]
    rows = []
    for name in ("elimination-compensation", "gradient-magnitude"):
        one, two = (
            torch.cat([score.flatten() for score in CRITERIA[name](half).values()]).cpu() for half in halves
        )
        lower = [score.argsort(stable=True)[: len(score) // 2] for score in (one, two)]
        overlap = torch.isin(*lower).double().mean().item()
        rows.append({"ranking": name, "spearman": float(spearmanr(one, two)[0]), "overlap": overlap})
    return pd.DataFrame(rows)


def _layers(candidates: list[_Candidate], config: Compensation) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": candidate.method,
            "ratio": candidate.ratio,
            "layer": number + 1,
            "kept": int(mask.sum()),
            "weights": mask.numel(),
        }
        for candidate in candidates
        for number, mask in enumerate(candidate.masks)
    )


def _history(stages: dict[str, torch.Tensor]) -> pd.DataFrame:
    return pd.DataFrame(
        {"stage": stage, "epoch": epoch + 1, "train_loss": loss}
        for stage, history in stages.items()
        for epoch, loss in enumerate(history[:, 0].tolist())
    )


def _predictions(nets: dict[str, StackedMLP], problem: Problem) -> pd.DataFrame:
    columns = {
        **problem.coordinates,
        "noisy": problem.y_test[:, 0],
        "clean": problem.y_clean[:, 0],
        **{name: net.outputs(problem.x_test)[0, :, 0] for name, net in nets.items()},
    }
    return pd.DataFrame({name: column.cpu().numpy() for name, column in columns.items()})


SHORT_RATIOS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)


def presets(paper: tuple, laptop: dict, smoke: dict) -> dict[str, tuple]:
    """The three scales: the paper's own, the same shortened, and the least that runs every line."""
    return {
        "paper": paper,
        "laptop": tuple(replace(config, **laptop) for config in paper),
        "smoke": tuple(replace(config, **smoke) for config in paper[:1]),
    }
