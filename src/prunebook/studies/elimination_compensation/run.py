"""Train, prune and compensate, train again: the protocol of Ballini et al. (2026) for one seed.

The dense network and the narrow ones of equal size are trained side by side. Every method then prunes the same dense
network at every ratio. All pruned networks, the narrow ones and the dense one itself go through the second
training phase as one stack, on the same minibatches.

Tables, one row per entry:

losses          method, ratio, stage, step, reached, weights, loss, accuracy, error, scaled_nll, clean_loss, train_loss
layers          method, ratio, layer, kept, weights: where the weights that were kept lie
linearisation   compensation, ratio, predicted, true: mean square output change to first order, and in truth
stability       ranking, spearman, overlap: agreement between rankings from two halves of the training set
cost            what, seconds, samples, weights
history         stage, epoch, train_loss: of the dense network
reliance        (PDE only) method, ratio, stage, group, rms: output change when a group of inputs is set to its mean
floors          (PDE only) name, value: mean squared errors that tell what a loss means
predictions     (PDE only) test outputs beside coordinates, for the profile figures

Stages: "trained" (the dense network before pruning), "pruned" (right after pruning), "fine-tuned" (at the end of the
second phase) and, where samples are held out, "best" (at the end of that of its epochs, or before the first, at which
the held-out loss was lowest). In the last two the method "dense" is the control that was trained on without being
pruned. The method "fully-connected" is a narrower dense network: "pruned" is then its state after phase one. ``step``
of "best" counts the minibatches until then. ``error`` and ``scaled_nll`` are those of ``networks.likelihood``.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from prunebook.data.tasks import CHUNK, Problem, images, pde
from prunebook.networks.likelihood import measured
from prunebook.networks.mlp import mlp, narrowed, weight_count
from prunebook.studies.checks import require_none
from prunebook.studies.elimination_compensation.config import Compensation
from prunebook.studies.elimination_compensation.diagnostics import linearisation, stability
from prunebook.studies.elimination_compensation.pde import OnPde
from prunebook.training.choosing import BestOfStack
from prunebook.training.stacked import StackedMLP, evaluate, train
from prunebook.training.timing import seconds_of
from prunebook.weights import CRITERIA, METHODS, Calibration, PrunedLayer, pruned_layers, select

Name = tuple[str, float]  # method, ratio


def prepare(config: Compensation, data, device) -> tuple[Compensation, Problem]:
    """The problem, and the configuration under the name of what was really loaded."""
    if isinstance(config, OnPde):
        options = {"trajectories": config.limit, "held_out": config.held_out}
        problem = pde(config.noise, data=data, device=device, **options)
    else:
        problem = images(config.dataset, data=data, device=device, limit=config.limit, standardise=config.standardise)
    return replace(config, dataset=problem.name), problem


def run(config: Compensation, seed: int, problem: Problem, device, report) -> dict[str, pd.DataFrame]:
    """All tables of one seed. The seed decides initial weights, batch order and every random draw."""
    fit = {
        "loss": problem.loss,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "learning_rate": config.learning_rate,
        "schedule": config.schedule,
        "report": report,
    }
    shapes = [config.widths, *(narrowed(config.widths, ratio) for ratio in config.ratios)]
    first = StackedMLP.from_models([mlp(shape, seed=seed).to(device) for shape in shapes])
    report(f"phase 1: the dense network and {len(shapes) - 1} narrow ones")
    history_1 = train(first, problem.x_train, problem.y_train, seed=2 * seed, **fit)
    dense = first.write_to(0, mlp(config.widths).to(device))

    def calibration_of(rows=slice(None)) -> Calibration:
        """What criteria look at: the dense network and these training samples."""
        batches, loss = problem.batches(rows), problem.loss_function
        return Calibration(dense, batches, loss=loss, seed=seed, nonlinear_samples=config.nonlinear_samples)

    report(f"rankings and compensations of {len(config.methods)} methods")
    calibration = calibration_of()
    scores, cost = _rank(calibration, problem.x_train, config.methods, config.nonlinear_samples)
    candidates = _prune(calibration, scores, config.methods, config.ratios)
    pruned = StackedMLP.from_parts(list(candidates.values()), first.select([0]).slopes)
    tables = {
        "linearisation": linearisation(
            calibration, calibration_of(slice(10_000)), scores["elimination-compensation"], config.ratios
        ),
        "stability": stability(calibration_of, len(problem.x_train), seed),
        "layers": _layers(candidates),
        "cost": cost.assign(weights=weight_count(config.widths)),
    }

    names = list(candidates)
    narrow_names = [("fully-connected", ratio) for ratio in config.ratios]
    before = [
        _measure(first.select([0]), problem, [("dense", 0.0)], "trained"),
        _measure(first.select(range(1, len(first))), problem, narrow_names, "pruned"),
        _measure(pruned, problem, names, "pruned"),
    ]
    tuned = [i for i, name in enumerate(names) if _is_tuned(*name, config.extra_ratios)]
    second = StackedMLP.concat([first, pruned.select(tuned)])
    masks = [mask.clone() for mask in second.masks]
    report(f"phase 2: {len(second)} networks side by side")
    best = best_of(second, problem)
    history_2 = train(second, problem.x_train, problem.y_train, seed=2 * seed + 1, look=best and best.look, **fit)
    require_none(second.faults(masks))
    tuned_names = [("dense", 0.0), *narrow_names, *(names[i] for i in tuned)]
    after = [_measure(second, problem, tuned_names, "fine-tuned")]
    if best:
        require_none(best.net.faults(masks))
        after.append(_measure(best.net, problem, tuned_names, "best").assign(step=best.step.numpy()))
    losses = pd.concat([*before, *after], ignore_index=True)
    losses["reached"] = 1 - losses["weights"] / weight_count(config.widths)
    tables |= {"losses": losses, "history": _history({"trained": history_1, "fine-tuned": history_2})}
    if problem.groups is not None:
        parts = [
            _reliance(first.select([0]), problem, [("dense", 0.0)], "trained"),
            _reliance(pruned, problem, names, "pruned"),
        ]
        tables["reliance"] = pd.concat(parts, ignore_index=True)
    if problem.floor is not None:
        tables["floors"] = pd.DataFrame({"name": problem.floor.keys(), "value": problem.floor.values()})
    if config.profile_ratio is not None and problem.coordinates is not None:
        chosen = names.index(("elimination-compensation", config.profile_ratio))
        nets = {
            "dense": first.select([0]),
            "pruned": pruned.select([chosen]),
            "fine_tuned": second.select([len(first) + tuned.index(chosen)]),
        }
        tables["predictions"] = _predictions(nets, problem)
    return tables


def _rank(calibration: Calibration, x: Tensor, methods: tuple[str, ...], nonlinear_samples: int):
    """Scores of every ranking in use, and what the three kinds of criterion cost."""
    rows = []

    def timed(what: str, count: int, function):
        value, seconds = seconds_of(function, x.device)
        rows.append({"what": what, "seconds": seconds, "samples": count})
        return value

    with torch.no_grad():
        timed("forward pass", len(x), lambda: [calibration.model(part) for part in x.split(CHUNK)])
    timed("loss backpropagation", len(x), lambda: calibration.loss_gradients)
    scores = {}
    for name in dict.fromkeys(METHODS[method].criterion for method in methods):
        count = nonlinear_samples if name == "non-linear" else len(x)
        scores[name] = timed(name, count, lambda name=name: CRITERIA[name](calibration))
    return scores, pd.DataFrame(rows)


def _prune(calibration: Calibration, scores, methods, ratios) -> dict[Name, list[PrunedLayer]]:
    """The layers of the network pruned by every method at every ratio, before the second phase."""
    found = {}
    for name in methods:
        method = METHODS[name]
        for ratio in ratios:
            masks = select(scores[method.criterion], ratio, scope=method.scope)
            found[name, ratio] = list(pruned_layers(calibration, masks, method.compensation).values())
    return found


def _is_tuned(method: str, ratio: float, extra_ratios: tuple[float, ...]) -> bool:
    return METHODS[method].from_paper or ratio in extra_ratios


def _measure(net: StackedMLP, problem: Problem, names: list[Name], stage: str) -> pd.DataFrame:
    # Of the training set enough to compare with the test set.
    losses = losses_of(net, problem, slice(10_000))
    clean = losses["loss"]
    if problem.y_clean is not None:
        clean = evaluate(net, problem.x_test, problem.y_clean, loss=problem.loss)[0].cpu().numpy()
    table = pd.DataFrame(names, columns=["method", "ratio"])
    table = table.assign(stage=stage, weights=net.kept().numpy(), **losses)
    table.insert(table.columns.get_loc("train_loss"), "clean_loss", clean)
    return table


def best_of(net: StackedMLP, problem: Problem) -> BestOfStack | None:
    """Looks at a stack in training on the samples that are held out; None where none are."""
    if problem.x_held is None:
        return None
    return BestOfStack(net, problem.x_held, problem.y_held, problem.loss)


def losses_of(net: StackedMLP, problem: Problem, rows: slice | Tensor) -> dict[str, np.ndarray]:
    """What is measured of each network over all test samples, and its loss over these training samples.

    Error and temperature-scaled loss are NaN where there are no classes or nothing is held out.
    """
    loss, accuracy = evaluate(net, problem.x_test, problem.y_test, loss=problem.loss)
    train_loss, _ = evaluate(net, problem.x_train[rows], problem.y_train[rows], loss=problem.loss)
    error = scaled_nll = torch.full_like(loss, torch.nan)
    if problem.loss == "cross_entropy" and problem.x_held is not None:
        sides = ((problem.x_test, problem.y_test), (problem.x_held, problem.y_held))
        told = [part for x, y in sides for part in (_outputs(net, x), y)]
        loss, error, scaled_nll = measured(*told)
    found = {"loss": loss, "accuracy": accuracy, "error": error, "scaled_nll": scaled_nll, "train_loss": train_loss}
    return {name: values.cpu().numpy() for name, values in found.items()}


def _outputs(net: StackedMLP, x: Tensor) -> Tensor:
    return torch.cat([net.outputs(part) for part in x.split(CHUNK)], dim=1)


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


def _layers(candidates: dict[Name, list[PrunedLayer]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": method,
            "ratio": ratio,
            "layer": number,
            "kept": int(layer.mask.sum()),
            "weights": layer.mask.numel(),
        }
        for (method, ratio), layers in candidates.items()
        for number, layer in enumerate(layers, 1)
    )


def _history(stages: dict[str, Tensor]) -> pd.DataFrame:
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
