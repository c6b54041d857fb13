"""What elimination-compensation claims and what follows from it, on small networks in float64."""

import pytest
import torch
from scipy.optimize import minimize, minimize_scalar
from test_weights_oracles import inputs, jacobians, moments, network, remove
from torch import nn

from prunebook.weights import COMPENSATIONS, CRITERIA, Calibration, linearised_change, prune, select, true_change

close = torch.testing.assert_close


def setup(widths=(5, 4, 3, 2), activation=nn.Tanh, n=60, seed=0):
    model = network(widths, activation, seed=seed)
    x = inputs(n, widths[0])
    calibration = Calibration(model, [x])
    masks = {name: torch.ones_like(layer.weight, dtype=torch.bool) for name, layer in calibration.layers.items()}
    return model, x, calibration, masks


def linear_error(by_weight, by_bias, weight, shift):
    """E|sum over k of (W dy/dW - shift dy/db)|^2."""
    return (weight * by_weight - shift * by_bias).square().sum(1).mean()


@pytest.mark.parametrize("outputs", [1, 3])
def test_shift_is_the_numerical_minimiser(outputs):
    model, x, calibration, _ = setup((5, 4, outputs))
    for name, (w, b) in jacobians(model, x).items():
        weight, layer = calibration.weights[name], calibration.statistics[name]
        for i, j in ((0, 0), (outputs - 1, 3)):
            error = lambda s: float(linear_error(w[..., i, j], b[..., i], weight[i, j], s))  # noqa: B023, E731
            best = minimize_scalar(error, tol=1e-14)
            assert layer.shift[i, j].item() == pytest.approx(best.x, abs=1e-7)
            assert layer.residual[i, j].item() == pytest.approx(best.fun, rel=1e-9, abs=1e-15)


def test_denominator_is_the_mean_of_the_square():
    """With E[dy/db]^2, as one formula is printed, some weights end up worse than without any compensation."""
    model, x, calibration, _ = setup((6, 6, 5, 1), n=200)
    worse = 0
    for name, (w, b) in jacobians(model, x).items():
        weight = calibration.weights[name]
        d, cross, second = moments(w, b)
        literal = weight * cross / b[:, 0].mean(0).square()[:, None]
        left = weight.square() * second - 2 * literal * weight * cross + literal.square() * d[:, None]
        assert (left >= calibration.statistics[name].residual * (1 - 1e-9) - 1e-15).all()
        worse += int((left > weight.square() * second * (1 + 1e-9)).sum())
        close(calibration.statistics[name].d, b.square().sum(1).mean(0))
    assert worse > 0


def test_constant_inputs_are_exactly_free():
    model, x, _, masks = setup(activation=nn.PReLU)
    x[:, [1, 4]] = torch.tensor([-0.4242, 3.0]).double()
    calibration = Calibration(model, [x])
    masks = remove(masks, "0", *((i, j) for i in range(4) for j in (1, 4)))
    exact = COMPENSATIONS["elimination"](calibration, masks)
    assert true_change(calibration, masks, exact) < 1e-28
    assert true_change(calibration, masks, COMPENSATIONS["none"](calibration, masks)) > 1e-4
    assert true_change(calibration, masks, COMPENSATIONS["mean"](calibration, masks)) < 1e-28
    # they score zero and go first
    for name in ("elimination-compensation", "mean-replacement", "layerwise-obs", "non-linear"):
        scores = CRITERIA[name](calibration)
        assert scores["0"][:, [1, 4]].abs().max() < 1e-25
        chosen = select(scores, 8 / sum(m.numel() for m in masks.values()))
        assert all(torch.equal(chosen[key], masks[key]) for key in masks)
    assert CRITERIA["obd"](calibration)["0"][:, [1, 4]].min() > 1e-6


def test_constant_zero_is_free_without_compensation():
    model, x, _, masks = setup()
    x[:, 1] = 0
    masks = remove(masks, "0", *((i, 1) for i in range(4)))
    calibration = Calibration(model, [x])
    assert true_change(calibration, masks, COMPENSATIONS["none"](calibration, masks)) == 0


def test_reduces_to_mean_replacement_where_the_jacobian_is_constant():
    _, _, calibration, _ = setup()
    last = calibration.statistics["4"]
    close(last.shift, last.weight * last.mean)
    close(last.residual, last.d[:, None] * last.weight.square() * last.variance)
    close(last.d, torch.ones_like(last.d))
    hidden = calibration.statistics["0"]
    assert (hidden.shift - hidden.weight * hidden.mean).abs().max() > 1e-3
    _, _, linear, _ = setup(activation=nn.Identity)
    for layer in linear.statistics.values():
        close(layer.shift, layer.weight * layer.mean)
        close(layer.residual, layer.d[:, None] * layer.weight.square() * layer.variance)
        close(
            CRITERIA["mean-replacement"](linear)["0"],
            linear.statistics["0"].residual / linear.statistics["0"].d[:, None],
        )


def test_is_optimal_brain_surgeon_on_weight_and_bias():
    _, _, calibration, _ = setup((5, 4, 3, 2))
    obd = CRITERIA["obd"](calibration)
    for name, layer in calibration.statistics.items():
        pairs = torch.stack([layer.second, layer.cross, layer.cross, layer.d[:, None].expand_as(layer.cross)], -1)
        hessians = pairs.view(*layer.weight.shape, 2, 2)
        close(layer.residual, layer.weight.square() / torch.linalg.inv(hessians)[..., 0, 0], rtol=1e-8, atol=0)
        gain = obd[name] - layer.residual
        close(gain, layer.weight.square() * layer.cross.square() / layer.d[:, None])
        assert (gain >= 0).all()
        # removing w with the shift b <- b + db is the step of the quadratic model
        close(layer.shift, layer.weight * hessians[..., 0, 1] / hessians[..., 1, 1])


def test_first_order_is_reached_as_the_weight_vanishes():
    model, x, _, masks = setup()
    errors = []
    for scale in (1.0, 0.1, 0.01):
        with torch.no_grad():
            model[0].weight[1, 2] = scale * 0.9
        calibration = Calibration(model, [x])
        single = remove(masks, "0", (1, 2))
        changes = COMPENSATIONS["elimination"](calibration, single)
        predicted = calibration.statistics["0"].residual[1, 2].item()
        assert linearised_change(calibration, single, changes) == pytest.approx(predicted, rel=1e-9)
        errors.append(abs(true_change(calibration, single, changes) / predicted - 1))
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert errors[2] < 0.02


def test_at_one_unit_the_shifts_add_but_the_importances_do_not():
    model, x, _, masks = setup((6, 4, 3), n=80)
    x[:, 2] = x[:, 0] + 0.5 * x[:, 1]
    calibration = Calibration(model, x)
    chosen = [(1, 0), (1, 2), (1, 5)]
    columns = [j for _, j in chosen]
    masks = remove(masks, "0", *chosen)
    w, b = jacobians(model, x)["0"]
    layer = calibration.statistics["0"]
    weight = layer.weight[1, columns]
    error = lambda s: float(linear_error(w[..., 1, columns] @ weight, b[..., 1], 1.0, float(s[0])))  # noqa: E731
    best = minimize(error, [0.0], tol=1e-12)
    shift = COMPENSATIONS["elimination"](calibration, masks)
    assert shift["0"].bias[1].item() == pytest.approx(best.x[0], abs=1e-6)
    assert (shift["0"].bias[[0, 2, 3]] == 0).all()
    # the residual is the quadratic form of the weighted covariance, of which the importances are the diagonal
    deviation = x[:, columns] - layer.cross[1, columns] / layer.d[1]
    weighted = deviation * b[..., 1].square().sum(1)[:, None]
    quadratic = weight @ (weighted.T @ deviation / len(x)) @ weight
    left = linearised_change(calibration, masks, shift)
    assert left == pytest.approx(quadratic.item(), rel=1e-9)
    assert left == pytest.approx(best.fun, rel=1e-9)
    assert abs(left / layer.residual[1, columns].sum().item() - 1) > 0.1


def test_dead_units_go_first():
    model = network((5, 6, 2), nn.ReLU)
    with torch.no_grad():
        model[0].bias += 2
        model[0].bias[3] = -1e3
    x = inputs(40, 5)
    pruned = prune(model, x, 5 / 42)
    assert not pruned.masks["0"][3].any()
    assert pruned.masks["0"][[0, 1, 2, 4, 5]].all()
    torch.testing.assert_close(pruned.model(x), model(x), rtol=0, atol=1e-12)
