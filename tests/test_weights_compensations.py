"""Compensations against brute-force least squares."""

import pytest
import torch
from test_weights_oracles import Tokens, Twice, inputs, jacobians, network
from torch import nn

from prunebook.errors import InputError
from prunebook.weights import (
    COMPENSATIONS,
    Calibration,
    Change,
    linearised_change,
    normal_equations,
    prune,
    select,
    true_change,
)
from prunebook.weights.compensations import obs
from prunebook.weights.criteria import CRITERIA, DAMPING, ridge
from prunebook.weights.joint import joint

close = torch.testing.assert_close


def setup(widths=(6, 5, 4, 3), activation=nn.Tanh, ratio=0.5, n=70):
    model, x = network(widths, activation), inputs(n, widths[0])
    calibration = Calibration(model, [x[:30], x[30:]])
    return model, x, calibration, select(CRITERIA["random"](calibration), ratio)


def residual_matrix(model, x, calibration, masks):
    """Over samples and outputs: dy/db of all units, and minus the linearised change by the removal."""
    found = jacobians(model, x)
    columns = torch.cat([found[name][1].flatten(0, 1) for name in masks], 1)
    removed = sum(
        (found[name][0].flatten(0, 1) * torch.where(mask, 0, calibration.weights[name])).sum((1, 2))
        for name, mask in masks.items()
    )
    return columns, removed


@pytest.mark.parametrize("kind", ["chain", "tokens", "twice"])
def test_joint_is_brute_force_least_squares(kind):
    torch.manual_seed(0)
    if kind == "chain":
        model, x = network((6, 5, 4, 3)), inputs(70, 6)
    elif kind == "tokens":
        model, x = Tokens().double(), inputs(40 * 5, 3).view(40, 5, 3)
    else:
        model, x = Twice().double(), inputs(50, 4)
    calibration = Calibration(model, [x[:30], x[30:]])
    masks = select(CRITERIA["random"](calibration), 0.5)
    columns, removed = residual_matrix(model, x, calibration, masks)
    best = torch.linalg.lstsq(columns, removed[:, None], driver="gelsd").solution[:, 0]
    least = ((columns @ best - removed).square().sum() / len(x)).item()
    changes = joint(calibration, masks, cutoff=1e-12)
    assert linearised_change(calibration, masks, changes) == pytest.approx(least, rel=1e-7)
    shifts = torch.cat([change.bias for change in changes.values()])
    mine = ((columns @ shifts - removed).square().sum() / len(x)).item()
    assert mine == pytest.approx(least, rel=1e-7)
    # the normal equations predict the same
    normal, right, constant = normal_equations(calibration, masks)
    predicted = shifts @ normal @ shifts - 2 * right @ shifts + constant
    assert predicted.item() == pytest.approx(least, rel=1e-6)
    close(normal, columns.T @ columns / len(x))
    # and the default cutoff costs next to nothing here
    assert linearised_change(calibration, masks, joint(calibration, masks)) <= least * 1.001
    for other in ("none", "elimination", "mean"):
        assert linearised_change(calibration, masks, COMPENSATIONS[other](calibration, masks)) > least


def test_joint_with_units_that_act_alike_or_not_at_all():
    model, x = network((5, 4, 2), nn.ReLU), inputs(60, 5)
    with torch.no_grad():
        model[0].bias += 1
        model[0].weight[1], model[0].bias[1] = model[0].weight[0], model[0].bias[0]
        model[2].weight[:, 1] = model[2].weight[:, 0]
        model[0].bias[2] = -1e3
    calibration = Calibration(model, x)
    masks = select(CRITERIA["random"](calibration), 0.5)
    changes = joint(calibration, masks)
    dead = torch.where(masks["0"][2], 0, calibration.weights["0"][2]) @ x.mean(0)
    close(changes["0"].bias[2], dead)
    close(changes["0"].bias[0], changes["0"].bias[1])  # least norm: units that act alike share the shift
    assert all(change.bias.isfinite().all() for change in changes.values())
    columns, removed = residual_matrix(model, x, calibration, masks)
    best = torch.linalg.lstsq(columns, removed[:, None], driver="gelsd").solution[:, 0]
    least = (columns @ best - removed).square().sum().item() / len(x)
    assert linearised_change(calibration, masks, changes) == pytest.approx(least, rel=1e-5)


def test_joint_equals_independent_for_removals_at_one_unit_alone():
    _, _, calibration, masks = setup((6, 3, 1), activation=nn.Identity)
    only = {name: torch.ones_like(mask) for name, mask in masks.items()}
    only["2"][0, :2] = False  # the last layer, one output: one bias does it all
    changes = COMPENSATIONS["elimination"](calibration, only)
    close(
        torch.tensor(linearised_change(calibration, only, joint(calibration, only))),
        torch.tensor(linearised_change(calibration, only, changes)),
    )


def test_independent_shifts_may_be_worse_than_none():
    """Removed signals of two units that cancel each other: the shifts, each right by itself, break it."""

    class Cancels(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(2, 1, bias=True), nn.Linear(2, 1, bias=True)

        def forward(self, x):  # dy/dz is 1 and -x_0; the removed signals are x_0 and 1
            return self.first(x) - x[:, :1] * self.second(x)

    model = Cancels().double()
    with torch.no_grad():
        for layer in (model.first, model.second):
            nn.init.zeros_(layer.bias)
        model.first.weight.copy_(torch.tensor([[1.0, 0.5]]))
        model.second.weight.copy_(torch.tensor([[0.5, 1.0]]))
    x = torch.stack([inputs(50, 1)[:, 0] + 3, torch.ones(50).double()], 1)
    calibration = Calibration(model, x)
    masks = {"first": torch.tensor([[False, True]]), "second": torch.tensor([[True, False]])}
    error = {k: linearised_change(calibration, masks, COMPENSATIONS[k](calibration, masks)) for k in COMPENSATIONS}
    assert error["none"] < 1e-20
    assert error["elimination"] > 0.01
    assert error["joint"] < 1e-12


def test_mean_and_none_and_elimination_by_hand():
    _, x, calibration, masks = setup()
    removed = torch.where(masks["0"], 0, calibration.weights["0"])
    close(COMPENSATIONS["mean"](calibration, masks)["0"].bias, (removed * x.mean(0)).sum(1))
    assert not COMPENSATIONS["none"](calibration, masks)["0"].bias.any()
    layer = calibration.statistics["0"]
    by_hand = (removed * layer.cross / layer.d[:, None]).sum(1)
    close(COMPENSATIONS["elimination"](calibration, masks)["0"].bias, by_hand)


def row_fit(x, keep, old, lam):
    """Least squares for [weights kept, bias] with a ridge on the change of the weights, by augmented rows."""
    n, kept = len(x), int(keep.sum())
    design = torch.cat([x[:, keep], torch.ones(n, 1)], 1) / n**0.5
    extra = torch.cat([torch.eye(kept), torch.zeros(kept, 1)], 1) * lam**0.5
    target = torch.cat([x @ old / n**0.5, old[keep] * lam**0.5])
    return torch.linalg.lstsq(torch.cat([design, extra]), target[:, None], driver="gelsd").solution[:, 0]


@pytest.mark.parametrize("damping", [0.0, DAMPING, 0.1])
def test_obs_is_least_squares_for_each_row(damping, monkeypatch):
    from prunebook.weights import compensations

    monkeypatch.setattr(compensations, "BYTES", 8 * 6 * 6 * 2)  # two rows at a time
    _, x, calibration, masks = setup()
    change = obs(calibration, masks, damping)["0"]
    lam = damping * x.var(0, correction=0).mean().item()
    for row, keep in enumerate(masks["0"]):
        fit = row_fit(x, keep, calibration.weights["0"][row], lam)
        close(calibration.weights["0"][row, keep] + change.weight[row, keep], fit[:-1], rtol=1e-7, atol=1e-9)
        close(change.bias[row], fit[-1], rtol=1e-7, atol=1e-9)
        assert (change.weight[row, ~keep] == 0).all()


def test_obs_beats_bias_shifts_within_each_layer():
    model, x, calibration, masks = setup()
    old = model[0](x)
    errors = {}
    for name in ("none", "mean", "obs"):
        pruned = prune(model, None, 0.5, "random", calibration=calibration).model  # same masks
        change = COMPENSATIONS[name](calibration, masks)["0"]
        weight = calibration.weights["0"] + (0 if change.weight is None else change.weight)
        with torch.no_grad():
            z = x @ torch.where(masks["0"], weight, 0).T + model[0].bias + change.bias
        errors[name] = (z - old).square().mean().item()
        assert torch.equal(pruned[0].weight != 0, masks["0"])
    assert errors["obs"] < errors["mean"] < errors["none"]


def test_layerwise_obs_score_is_what_the_fit_leaves():
    _, x, calibration, _ = setup()
    scores = CRITERIA["layerwise-obs"](calibration)["0"]
    lam = ridge(calibration.covariances["0"][0]).item()
    assert lam == pytest.approx(DAMPING * x.var(0, correction=0).mean().item())
    for row, column in ((0, 0), (3, 4)):
        old = calibration.weights["0"][row]
        keep = torch.arange(6) != column
        fit = row_fit(x, keep, old, lam)
        left = (x[:, keep] @ fit[:-1] + fit[-1] - x @ old).square().mean()
        left = left + lam * (fit[:-1] - old[keep]).square().sum()
        assert scores[row, column].item() == pytest.approx(left.item(), rel=1e-7)


def test_obs_with_constant_and_repeated_inputs():
    model, x = network((5, 4, 2)), inputs(50, 5)
    x[:, 0], x[:, 3] = 0.7, x[:, 2]
    calibration = Calibration(model, x)
    masks = {name: torch.ones_like(m, dtype=torch.bool) for name, m in calibration.weights.items()}
    masks["0"][:, [0, 3]] = False
    changes = obs(calibration, masks)
    # the copy takes over, up to the damping, and the constant goes to the bias
    assert true_change(calibration, masks, changes) < 1e-6
    assert true_change(calibration, masks, COMPENSATIONS["mean"](calibration, masks)) > 1e-3
    masks["0"][:, 3] = True
    with pytest.raises(InputError, match="damping"):
        obs(calibration, masks, damping=0.0)
    constant = Calibration(model, torch.ones(4, 5).double())
    assert true_change(constant, masks, obs(constant, masks)) < 1e-25
    assert CRITERIA["layerwise-obs"](constant)["0"].abs().max() == 0


def test_linearised_change_of_weights_and_biases():
    model, x, calibration, masks = setup(n=20)
    changes = {
        name: Change(0.1 * torch.randn_like(w), 0.1 * torch.randn_like(w[:, 0]))
        for name, w in calibration.weights.items()
    }
    total = 0
    for name, (w, b) in jacobians(model, x).items():
        step = torch.where(masks[name], changes[name].weight, -calibration.weights[name])
        total = total + (w * step).sum((-1, -2)) + b @ changes[name].bias
    assert linearised_change(calibration, masks, changes) == pytest.approx(total.square().sum(1).mean().item())


def test_true_change_is_the_mean_over_samples():
    model, x, calibration, masks = setup()
    changes = COMPENSATIONS["none"](calibration, masks)
    with torch.no_grad():
        h = x
        for step in model:
            name = next((k for k in calibration.layers if model.get_submodule(k) is step), None)
            h = step(h) if name is None else nn.functional.linear(h, step.weight * masks[name], step.bias)
        expected = (h - model(x)).square().sum(1).mean().item()
    assert true_change(calibration, masks, changes) == pytest.approx(expected, rel=1e-12)


def test_probes_for_one_output_are_exact():
    model, x = network((5, 4, 1)), inputs(30, 5)
    exact, probed = Calibration(model, x), Calibration(model, x, probes=2)
    masks = select(CRITERIA["magnitude"](exact), 0.5)
    for name in ("elimination", "joint"):
        close(COMPENSATIONS[name](exact, masks)["0"].bias, COMPENSATIONS[name](probed, masks)["0"].bias)
    changes = COMPENSATIONS["none"](exact, masks)
    assert linearised_change(probed, masks, changes) == pytest.approx(linearised_change(exact, masks, changes))
