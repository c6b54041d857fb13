"""The fingerprints on trial: faults put into the code by hand must be seen and named, harmless changes must not.

Each change is tried on the one probe that it concerns.
"""

import ast
import inspect
import textwrap
import types

import pandas as pd
import pytest
import torch

from prunebook import coresets, units
from prunebook.coresets import network
from prunebook.data.diffusion_sorption import equation
from prunebook.store import fingerprints
from prunebook.studies import STUDIES
from prunebook.studies.coreset_bounds import recovery
from prunebook.training import sgd, stacked
from prunebook.units import folding, scores
from prunebook.units.ablation import measure, stages
from prunebook.weights import brute_force, compensations, criteria, masks, statistics

# --- what is done to the code ----------------------------------------------------------------------------------------


def cut_off(patch):
    """``int`` where counts of weights are rounded."""
    patch.setattr(masks, "round", int, raising=False)


def ties_of_weights(patch):
    """Of weights with equal scores the last one goes first."""

    def keep(scores, ratio):
        count = round(ratio * scores.shape[1])
        order = scores.shape[1] - 1 - scores.flip(1).argsort(dim=1, stable=True)[:, :count]
        return torch.ones_like(scores, dtype=torch.bool).scatter_(1, order, False)

    patch.setattr(masks, "_keep", keep)


def ties_of_units(patch):
    """Of units with equal scores the first one goes first."""

    def mask_lowest(score, k):
        order = score.argsort(dim=-1, stable=True)[..., :k]
        return torch.zeros_like(score, dtype=torch.bool).scatter_(-1, order, True)

    patch.setattr(units, "mask_lowest", mask_lowest)


def border_tap(patch):
    """What a mean adds to a padded convolution, with one corner as if no tap met the border."""
    proper = stages.Stage.shift

    def shift(self, constants, border):
        found = proper(self, constants, border).clone()
        if len(found) > 2:
            found[0, :, 0] = found[1, :, 1]
        return found

    patch.setattr(stages.Stage, "shift", shift)


def border_axis(patch):
    """A folded mean averaged over the rows of the map alone, at its left border."""
    proper = folding.constant_response

    def response(layer, values, *, size, border):
        found = proper(layer, values, size=size, border="exact" if border == "response-mean" else border)
        return found.mean(2)[..., 0] if found.ndim == 4 and border == "response-mean" else found

    patch.setattr(folding, "constant_response", response)


def running_statistics(patch):
    """Batch norm keeps its running statistics where those of the batch are meant."""
    proper = measure.forward

    def forward(model, x, edits, batch_statistics):
        return proper(model, x, edits, batch_statistics=False)

    patch.setattr(measure, "forward", forward)


def running_variance(patch):
    """Batch norm folded into weights with the variance where its root is meant."""
    proper = stages._affine

    def affine(layer, norm):
        weight, bias = proper(layer, norm)
        if norm is not None:
            scale = (norm.running_var + norm.eps).rsqrt()
            weight = weight * scale.view(-1, *[1] * (weight.ndim - 1))
        return weight, bias

    patch.setattr(stages, "_affine", affine)


def damping(patch):
    """Ten times the ridge of the layer-wise least squares."""
    proper = criteria.ridge
    for module in (criteria, compensations):
        patch.setattr(module, "ridge", lambda covariance, *given: 10 * proper(covariance, *given))


def shift(patch):
    """Elimination's bias shift, one in a hundred too large."""
    proper = statistics.LayerStatistics.shift.fget
    patch.setattr(statistics.LayerStatistics, "shift", property(lambda self: 1.01 * proper(self)))


def batch_order(patch):
    """Another order of the minibatches of dense networks."""
    proper = stacked.minibatches
    patch.setattr(
        stacked, "minibatches", lambda n, size, epochs, seed, device: proper(n, size, epochs, seed + 1, device)
    )


def batch_order_of_images(patch):
    """Another order of the minibatches of stochastic gradient descent."""
    patch.setattr(sgd, "_mixed", lambda seed, number: (seed * 1_000_003 + number + 1) % 2**63)


def wanda(patch):
    """Wanda with the mean square of the inputs in place of its root."""

    def rank(calibration):
        return {name: s.weight.abs() * s.square for name, s in calibration.statistics.items()}

    patch.setitem(criteria.CRITERIA, "wanda", rank)


def sign(patch):
    """The sign of a signed score."""
    patch.setitem(scores.SCORES, "rs", lambda seen: seen.product.mean(0))


def axis(patch):
    """Errors centred over points and not over classes."""

    def errors(logits, reference):
        raw = logits.double() - reference.double()
        centred = raw - raw.mean(dim=0, keepdim=True)
        return {"error": float(raw.abs().mean()), "centred_error": float(centred.abs().mean())}

    patch.setattr(recovery, "errors", errors)


def half_the_points(patch):
    """Sensitivities from the first half of the points."""
    proper = coresets.sensitivities
    for module in (coresets, network):
        patch.setattr(module, "sensitivities", lambda weight, x: proper(weight, x[: len(x) // 2]))


def clean_labels(patch):
    """No label noise."""
    patch.setattr(sgd, "noisy_labels", lambda y, share, seed: y)


def threshold(patch):
    """Soft thresholds nine tenths as large."""
    proper = sgd._soft_threshold
    patch.setattr(sgd, "_soft_threshold", lambda parameters, amount: proper(parameters, 0.9 * amount))


def decay(patch):
    """Weight decay on biases too."""
    patch.setattr(sgd, "_penalised", lambda name, parts: True)


def retardation(patch):
    """One in a hundred more sorption."""
    proper = equation.Equation.retardation
    patch.setattr(equation.Equation, "retardation", lambda self, u: 1.01 * proper(self, u))


# (fault, study, probe): a table, column and group that must be named
WRONG = {
    (cut_off, "ec-mnist", "standardised"): ("losses", "weights", "magnitude"),
    (ties_of_weights, "ec-mnist", "ties"): ("losses", "loss", "ec-ranking-only"),
    (ties_of_units, "mr-pictures", "digits"): ("penalties", "penalty", "abs_mrs"),
    (border_tap, "mr-training", "padded"): ("penalties", "penalty", "mean"),
    (border_axis, "mr-tuning", "padded"): ("tuning", "penalty", "mean"),
    (running_statistics, "mr-training", "batch norm"): ("batch_norm", "difference", "batch norm"),
    (running_variance, "mr-training", "batch norm"): ("penalties", "penalty", "batch norm"),
    (damping, "head-to-head", "lenet"): ("losses", "loss", "layerwise-obs/none"),
    (shift, "ec-pde", "noise"): ("losses", "clean_loss", "elimination-compensation"),
    (batch_order, "ec-mnist", "pixels"): ("history", "train_loss", "trained"),
    (batch_order_of_images, "mr-tuning", "padded"): ("tuning", "penalty", "norm"),
    (wanda, "ec-mnist", "standardised"): ("losses", "loss", "wanda"),
    (sign, "mr-training", "strided"): ("penalties", "penalty", "/rs/"),
    (axis, "cb-lenet", "dropout"): ("recovery", "centred_error", "magnitude"),
    (half_the_points, "cb-vgg", "tiny"): ("models", "value", "sum of sensitivities"),
    (clean_labels, "cb-lenet", "label noise"): ("models", "value", "train loss"),
    (threshold, "cb-lenet", "proximal"): ("models", "value", "mean mass"),
    (decay, "cb-lenet", "weight decay"): ("models", "value", "radius"),
    (retardation, "ec-pde", "noise"): ("predictions", "clean", "noise"),
}


def replaced_code(patch, function, change) -> None:
    """Write a function anew from its source, changed, wherever it is already in use."""
    function = inspect.unwrap(function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    tree.body[0].decorator_list = []
    space = dict(function.__globals__)
    exec(compile(ast.fix_missing_locations(change(tree)), "<changed>", "exec"), space)
    patch.setattr(function, "__code__", space[function.__name__].__code__)


class Renamed(ast.NodeTransformer):
    """Local variables under other names."""

    def __init__(self, function):
        code = inspect.unwrap(function).__code__
        count = code.co_argcount + code.co_kwonlyargcount
        self.names = {*code.co_varnames[count:], *code.co_cellvars} - set(code.co_varnames[:count])

    def visit_Name(self, node):
        return ast.Name(f"other_{node.id}", node.ctx) if node.id in self.names else node


def renamed(patch):
    """Other names for local variables."""
    for function in (masks.select, masks._keep, criteria.layerwise_obs, stacked.evaluate, stacked.train):
        assert Renamed(function).names, f"{function} has no local variable"
        replaced_code(patch, function, Renamed(function).visit)


def moved(patch):
    """Functions that live in another module, of which a new one calls the old."""
    other = types.ModuleType("prunebook.other")
    for module, name in ((masks, "_keep"), (compensations, "_row_updates"), (stages, "_affine")):
        function = getattr(module, name)
        vars(other).update({**vars(module), name: function})
        patch.setattr(module, name, lambda *given, name=name: vars(other)[name](*given))


def chunks_of_evaluation(patch):
    """Losses and outputs from fewer samples at a time."""
    patch.setitem(inspect.unwrap(stacked.evaluate).__kwdefaults__, "chunk", 77)
    patch.setattr(inspect.unwrap(sgd.outputs), "__defaults__", (33,))


def chunks_of_brute_force(patch):
    """Less memory for the brute-force ranking, and for the least squares."""
    patch.setitem(brute_force.BYTES, "cpu", 2**14)
    patch.setattr(compensations, "BYTES", 2**18)


def pool_order(patch):
    """Pooling after the ReLU, and not before it."""
    patch.setattr(sgd, "pool_first", lambda chain: chain)


def threads(patch):
    """Two threads."""
    proper = torch.set_num_threads
    patch.setattr(torch, "set_num_threads", lambda count: proper(2 if count == 1 else count))


HARMLESS = [
    (renamed, "ec-mnist", "standardised"),
    (renamed, "ec-pde", "noise"),
    (moved, "ec-pde", "noise"),
    (moved, "mr-training", "batch norm"),
    (chunks_of_evaluation, "ec-mnist", "standardised"),
    (chunks_of_evaluation, "mr-tuning", "padded"),
    (chunks_of_brute_force, "ec-mnist", "standardised"),
    (pool_order, "mr-training", "tiny"),
    (threads, "ec-pde", "noise"),
    (threads, "mr-pictures", "generated"),
]

# --- what is seen of it ----------------------------------------------------------------------------------------------


def seen(study: str, probe: str) -> pd.DataFrame:
    now = fingerprints.take(STUDIES[study], [probe])
    found = fingerprints.differences(fingerprints.read(study), now, fingerprints.tolerances(study))
    return found[~found["ok"].astype(bool)]


def named(values) -> list[str]:
    return [getattr(value, "__name__", value) for value in values]


def marked(cases):
    return [pytest.param(*case, id="-".join(named(case[:3]))) for case in cases]


@pytest.mark.parametrize(
    ("fault", "study", "probe", "expected"), marked((*case, found) for case, found in WRONG.items())
)
def test_a_fault_is_seen_and_named(monkeypatch, fault, study, probe, expected):
    fault(monkeypatch)
    wrong = seen(study, probe)
    table, column, group = expected
    those = wrong[(wrong["table"] == table) & (wrong["metric"] == column)]
    assert those["group"].str.contains(group, regex=False).any(), wrong.to_string()
    assert " differ, first " in fingerprints.told(study, wrong)


@pytest.mark.parametrize(("change", "study", "probe"), marked(HARMLESS))
def test_a_harmless_change_is_not_seen(monkeypatch, change, study, probe):
    count = torch.get_num_threads()
    change(monkeypatch)
    wrong = seen(study, probe)
    monkeypatch.undo()
    torch.set_num_threads(count)
    assert wrong.empty, wrong.to_string()


def test_a_fault_of_one_score_is_named_alone(monkeypatch):
    sign(monkeypatch)
    wrong = seen("mr-training", "strided")
    groups = wrong.loc[wrong["table"] == "penalties", "group"]
    assert set(groups) == {"strided/rs/zero", "strided/rs/mean"}
