"""The one pass over the data, against Jacobians of each parameter for each sample."""

import pytest
import torch
from test_weights_oracles import Tokens, Twice, inputs, jacobians, moments, network, statistics
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from prunebook.errors import InputError
from prunebook.weights import Calibration

close = torch.testing.assert_close


def check(model, x, found, rtol=1e-9):
    for name, pair in jacobians(model, x).items():
        d, cross, second = moments(*pair)
        layer = found[name]
        close(layer.d, d, rtol=rtol, atol=1e-13)
        close(layer.cross, cross, rtol=rtol, atol=1e-13)
        close(layer.second, second, rtol=rtol, atol=1e-13)
        alive = torch.where(d > 0, d, 1)[:, None]
        close(layer.spread, second - cross.square() / alive, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("activation", [nn.PReLU, nn.Tanh, nn.ReLU])
@pytest.mark.parametrize("outputs", [1, 3])
def test_closed_form_is_brute_force(activation, outputs):
    model, x = network((6, 5, 4, outputs), activation), inputs(30, 6)
    check(model, x, statistics(model, x))


def test_input_moments():
    model, x = network((6, 5, 2)), inputs(40, 6)
    known = Calibration(model, [x[:7], x[7:]])
    first = known.statistics["0"]
    close(first.mean, x.mean(0))
    close(first.square, x.square().mean(0))
    close(first.variance, x.var(0, correction=0))
    close(known.covariances["0"][0], torch.cov(x.T, correction=0))
    assert first.count == 40
    assert first.covariance is None


def test_batches_of_any_size_and_form_give_the_same():
    model, x = network((6, 5, 4, 3), nn.PReLU), inputs(50, 6)
    y = torch.zeros(50)
    whole = statistics(model, [x])
    others = (
        x,
        TensorDataset(x, y),
        [(x[:1], y[:1]), (x[1:20], y[1:20]), [x[20:], y[20:]]],
        DataLoader(TensorDataset(x, y), batch_size=8),
        DataLoader(TensorDataset(x), batch_size=7, shuffle=True),
    )
    for data in others:
        for name, layer in statistics(model, data).items():
            for field in ("d", "cross", "second", "spread", "mean", "square", "variance"):
                close(getattr(layer, field), getattr(whole[name], field), rtol=1e-10, atol=1e-12)


def test_tokens_mixed_between_layers():
    torch.manual_seed(3)
    model = Tokens().double()
    x = inputs(9 * 6, 3).view(9, 6, 3)
    found = statistics(model, [x[:4], x[4:]])
    check(model, x, found)
    # the square of the sum over positions is not the sum of the squares
    each = torch.stack([m.sum() for m in (found["embed"].d, found["mixed"].d)])
    assert (each > 0).all()
    close(found["embed"].mean, x.mean((0, 1)))
    close(found["embed"].variance, x.reshape(-1, 3).var(0, correction=0))


def test_module_called_twice_with_an_activation_in_place():
    torch.manual_seed(4)
    model, x = Twice().double(), inputs(12, 4)
    check(model, x, statistics(model, x))


def test_chunks_over_positions_change_nothing(monkeypatch):
    from prunebook.weights import statistics as module

    torch.manual_seed(3)
    model, x = Tokens().double(), inputs(9 * 6, 3).view(9, 6, 3)
    monkeypatch.setattr(module, "BYTES", 1)
    check(model, x, statistics(model, x))


def test_inplace_activations_do_not_reach_the_record():
    model = network((5, 6, 2), nn.ReLU)
    inplace = nn.Sequential(model[0], nn.ReLU(inplace=True), model[2])
    check(model, inputs(20, 5), statistics(inplace, inputs(20, 5)))


def test_layers_without_bias_and_nested_modules():
    model, x = network((6, 5, 3), bias=False), inputs(20, 6)
    nested = nn.ModuleDict({"body": nn.Sequential(model[0], nn.Sequential(model[1]))})

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts, self.head = nested, model[2]

        def forward(self, x):
            return self.head(self.parts["body"](x))

    found = statistics(Net(), x)
    assert list(found) == ["parts.body.0", "head"]
    with_bias = network((6, 5, 3), bias=True)
    for part in (0, 2):
        with_bias[part].weight.data = model[part].weight.data.clone()
        nn.init.zeros_(with_bias[part].bias)
    for name, pair in zip(found, jacobians(with_bias, x).values(), strict=True):
        close(found[name].second, moments(*pair)[2])


def test_frozen_networks_and_no_trace():
    model, x = network((4, 5, 2), nn.PReLU), inputs(20, 4)
    expected = statistics(model, x)
    frozen = network((4, 5, 2), nn.PReLU).requires_grad_(False)
    model[0].weight.requires_grad_(False)
    model.train()
    model[1].eval()
    model[2].weight.grad = torch.full_like(model[2].weight, 7.0)
    before = torch.random.get_rng_state()
    loader = DataLoader(TensorDataset(x), batch_size=8, shuffle=True)
    for net in (model, frozen):
        with torch.no_grad():
            found = statistics(net, loader, probes=2)
            found = statistics(net, loader)
        close(found["0"].second, expected["0"].second)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert model.training
    assert not model[1].training
    assert [p.requires_grad for p in model.parameters()] == [False, True, True, True, True]
    assert not any(p.requires_grad for p in frozen.parameters())
    assert (model[2].weight.grad == 7).all()
    assert all(p.grad is None for p in (model[0].weight, model[0].bias, model[1].weight))
    assert not any(m._forward_hooks for m in model.modules())


def test_hooks_are_removed_after_an_error():
    model = network((4, 5, 2)).train()
    with pytest.raises(InputError, match="not finite"):
        statistics(model, [inputs(5, 4), torch.full((2, 4), torch.nan).double()])
    with pytest.raises(InputError, match=r"cannot take a batch .*5, 3.*cannot be multiplied"):
        statistics(model, [inputs(5, 3)])
    assert not any(m._forward_hooks for m in model.modules())
    assert model.training
    assert all(p.requires_grad for p in model.parameters())


def test_dropout_is_off():
    model = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.Linear(5, 2)).double()
    x = inputs(20, 4)
    found = statistics(model, x)
    assert model.training
    check(model.eval(), x, found)


def test_dead_units_are_finite_and_free():
    model, x = network((4, 5, 2), nn.ReLU), inputs(30, 4)
    with torch.no_grad():
        model[0].bias += 1
        model[0].bias[1] = -1e3
    layer = statistics(model, x)["0"]
    assert layer.dead.tolist() == [False, True, False, False, False]
    assert (layer.residual[1] == 0).all()
    assert (layer.residual[[0, 2, 3, 4]] > 0).all()
    close(layer.shift[1], model[0].weight.detach()[1] * x.mean(0))
    assert layer.shift.isfinite().all()


def test_constant_inputs_give_exact_zeros():
    model, x = network((4, 5, 2), nn.PReLU), inputs(30, 4)
    x[:, 2] = -0.4242
    known = Calibration(model, [x[:11], x[11:]])
    layer = known.statistics["0"]
    assert (layer.spread[:, 2] == 0).all()
    assert layer.variance[2] == 0
    assert (known.covariances["0"][0, 2] == 0).all()
    close(layer.shift[:, 2], -0.4242 * model[0].weight.detach()[:, 2])


def test_float32_does_not_cancel():
    model = network((4, 8, 3), dtype=torch.float32)
    x = 100 + 0.05 * torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model[0].bias -= model[0].weight.sum(1) * 100
    found = statistics(model, [x[:100], x[100:]])["0"]
    double = network((4, 8, 3))
    double.load_state_dict(model.state_dict())
    exact = statistics(double, x.double())["0"]
    close(found.spread, exact.spread, rtol=1e-3, atol=0)
    single = found.second.float() - found.cross.float().square() / found.d.float()[:, None]
    assert ((single - exact.spread).abs() / exact.spread).max() > 0.1


def test_probes():
    model, x = network((5, 4, 1), nn.PReLU), inputs(20, 5)
    exact, one = statistics(model, x), statistics(model, x, probes=1)
    for name in exact:  # one output: a sign squared is 1
        close(one[name].second, exact[name].second)
    model, x = network((5, 4, 6), nn.Tanh), inputs(60, 5)
    exact = statistics(model, x)
    few = [statistics(model, x, probes=1, seed=s) for s in range(60)]
    for name in exact:
        for field in ("d", "cross", "second"):
            draws = torch.stack([getattr(layer[name], field) for layer in few])
            error = draws.mean(0) - getattr(exact[name], field)
            assert (error.abs() < 5 * draws.std(0) / 60**0.5 + 1e-12).all()
    many = statistics(model, x, probes=200)
    close(many["0"].d, exact["0"].d, rtol=0.05, atol=0)
    close(many["0"].residual, exact["0"].residual, rtol=0.1, atol=0)
    torch.manual_seed(3)
    tokens, x = Tokens().double(), inputs(40 * 6, 3).view(40, 6, 3)
    many, exact = statistics(tokens, x, probes=200), statistics(tokens, x)
    close(many["embed"].second, exact["embed"].second, rtol=0.1, atol=1e-4)
    with pytest.raises(InputError, match="probes"):
        statistics(model, x, probes=0)


class Returns(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.layer, self.other, self.function = nn.Linear(3, 2), nn.Linear(3, 2), function

    def forward(self, x):
        return self.function(self, x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: (m.layer(x), m.other(x)), "must return a tensor"),
        (lambda m, x: (m.layer(x) + m.other(x)).sum(), "must return a tensor"),
        (lambda m, x: m.layer(x).detach() + m.other(x).detach(), "differentiable"),
        (lambda m, x: m.layer(x) + m.other(x).log(), "not finite"),
        (lambda m, x: m.other(m.layer(x.reshape(1, -1, 3)).mT.reshape(-1, 3)).sum() + x, "first dimension"),
    ],
)
def test_models_that_do_not_fit(function, message):
    torch.manual_seed(0)
    with pytest.raises(InputError, match=message):
        statistics(Returns(function), torch.randn(6, 3))


def test_layers_by_name_leave_the_others_out():
    torch.manual_seed(0)
    model = Returns(lambda m, x: m.layer(x))
    assert list(statistics(model, torch.randn(6, 3), layers=["layer"])) == ["layer"]
    with pytest.raises(InputError, match="'other' is never called"):
        statistics(model, torch.randn(6, 3), layers=["layer", "other"])
    for function in (lambda m, x: m.layer(x), lambda m, x: m.layer(x) + x @ m.other.weight.T):
        found = Calibration(Returns(function), torch.randn(6, 3))
        assert (list(found.layers), found.left_alone) == (["layer"], "Linear 'other'")
    with pytest.raises(InputError, match="head"):
        statistics(model, torch.randn(6, 3), layers=["head"])


def test_input_overwritten_in_place():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            h = self.first(x)
            with torch.no_grad():
                z = self.second(h)
            h.add_(z)
            return h

    with pytest.raises(InputError, match="overwritten in place"):
        statistics(Residual(), torch.randn(6, 3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu():
    model, x = network((6, 5, 3), nn.PReLU), inputs(40, 6)
    expected = Calibration(model, x)
    found = Calibration(model.cuda(), DataLoader(TensorDataset(x), batch_size=9))
    for name, layer in found.statistics.items():
        assert layer.second.is_cuda
        close(layer.residual.cpu(), expected.statistics[name].residual)
        close(found.covariances[name].cpu(), expected.covariances[name])


def test_evidence_shares_one_pass():
    model, x = network((4, 5, 2)), inputs(30, 4)
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    calibration = Calibration(model, [x[:14], x[14:]])
    assert calibration.outputs
    passes.clear()
    first = calibration.statistics
    assert calibration.statistics is first
    assert len(passes) == 2
    assert set(calibration.covariances) == {"0", "2"}
    assert len(passes) == 4
    close(calibration.moments["0"].mean, first["0"].mean, rtol=0, atol=0)
    close(calibration.moments["0"].variance, first["0"].variance, rtol=0, atol=0)
    assert len(passes) == 4
