"""All tables of one training.

models        what, value: accuracies, zeros and totals of the trained network
margins       unit, share, epsilon: error that each share of the correct labels tolerates
example       class, logit, label, epsilon: one held-out point
epsilon_first kind, share, epsilon, samples, size, kept, sparsity, observed errors, accuracy, beyond_cut
sparsity_first way, ratio, sparsity, samples, epsilon, implied_accuracy, observed errors, accuracy
waterfall     kind, order, name, epsilon, replaced
scaling       bound, alpha, total, epsilon, samples, kept, largest_over_epsilon, failed, labels_changed
inputs        inputs, epsilon, error, logit, exceeded
layers        ratio, layer, own_error, at_output, bound, observed
assumptions   C, obeyed
identities    name, value
recovery      method, ratio, sparsity, tuned, accuracy, error, centred_error
"""

from dataclasses import replace

import pandas as pd
import torch
from torch import nn

from prunebook.data.images import DataSet
from prunebook.data.tasks import load
from prunebook.studies.coreset_bounds import guarantees, network, recovery, stress
from prunebook.studies.coreset_bounds.config import LastLayer, OnVgg
from prunebook.studies.coreset_bounds.vgg import features
from prunebook.training.sgd import outputs, score


def prepare(config: LastLayer, data, device) -> tuple[LastLayer, DataSet]:
    """The images, and the configuration under the name of what was really loaded."""
    return load(config, data, device, dev=config.dev)


def run(config: LastLayer, seed: int, dataset: DataSet, device, report) -> dict[str, pd.DataFrame]:
    """All tables of one seed: of the last layers of a network on the pixels, or on the outputs of convolutions."""
    if isinstance(config, OnVgg):
        inputs = features(config, seed, dataset, report)
        config = replace(config, widths=(inputs["train"].shape[1], *config.widths[1:]))
    else:
        inputs = {name: getattr(dataset, name).x.flatten(1) for name in ("train", "dev", "test")}
    parts = {name: replace(getattr(dataset, name), x=x) for name, x in inputs.items()}
    return measure(config, seed, replace(dataset, **parts), report)


def measure(config: LastLayer, seed: int, task: DataSet, report) -> dict[str, pd.DataFrame]:
    """Train, take apart, prune in every way, and put into tables. The seed decides weights, batches and draws.

    Inputs of the task are rows. Errors and labels are looked at on the held-out part ``dev``; the test part serves for
    the accuracies alone.
    """
    report(f"training, {config.case}")
    model = network.train(config, seed, task)
    net = network.take_apart(model, task, config, seed)
    ready = guarantees.make_ready(net, config)
    report("guarantees")
    tables = {
        "models": _models(model, task, ready),
        "margins": guarantees.margins(ready),
        "example": guarantees.example(ready),
        "epsilon_first": guarantees.epsilon_first(ready, seed),
        "sparsity_first": guarantees.sparsity_first(ready, seed),
        "waterfall": guarantees.waterfall(ready, seed),
        "scaling": stress.scaling(ready, seed),
        "inputs": stress.other_inputs(ready, seed),
        "layers": stress.layer_by_layer(model, task, config.ratios),
        "assumptions": stress.assumptions(ready),
        "identities": stress.identities(ready),
    }
    report("heuristics")
    found = recovery.candidates(ready, task, model, seed)
    rows = [recovery.after_pruning(ready, found)]
    if config.tune_ratios:
        chosen = recovery.chosen_for_tuning(found, config.tune_ratios)
        report(f"fine-tuning {len(chosen)} pruned networks")
        rows.append(recovery.fine_tuned(ready, task, model, chosen, seed))
    tables["recovery"] = pd.concat(rows, ignore_index=True)
    return tables


def _models(model: nn.Sequential, task: DataSet, ready: guarantees.Prepared) -> pd.DataFrame:
    net, p, rows = ready.net, ready.neurons.probabilities, {}
    for name, most in (("train", 10_000), ("dev", None), ("test", None)):  # of the training set, enough to compare with
        part = getattr(task, name)
        rows[f"{name} loss"], rows[f"{name} accuracy"] = score(outputs(model, part.x[:most]), part.y[:most])
    signed = (net.mass[0] - net.mass[1]).abs().clamp(min=torch.finfo(torch.float64).tiny)
    rows |= {
        "weights exactly zero": int((net.w_out == 0).sum()),
        "weights of probability zero": int(((ready.weights.probabilities.sum(dim=0)) == 0).sum()),
        "units of probability zero": int((p == 0).sum()),
        "units below a millionth": int((p < 1e-6).sum()),
        "units silent on the held-out points": int((net.hidden == 0).all(dim=0).sum()),
        "largest sum of sensitivities": float(ready.weights.total.max()),
        "mean sum of sensitivities": float(ready.weights.total.mean()),
        "neuron total": float(ready.neurons.total),
        "radius": net.radius,
        "mean absolute logit": float(net.logits.abs().mean()),
        "mean mass": float(net.mass.sum(dim=0).mean()),
        "cancellation without kappa": float((net.mass.sum(dim=0) / signed).median()),
    }
    return pd.DataFrame({"what": rows.keys(), "value": [float(value) for value in rows.values()]})
