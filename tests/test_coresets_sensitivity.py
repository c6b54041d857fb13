"""Sensitivities and masses, against loops over every weight, sign and point."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prunebook import coresets
from prunebook.coresets import mass, sensitivities
from prunebook.coresets.sensitivity import obeyed, parts
from prunebook.errors import InputError

close = torch.testing.assert_close


def layer(n_out=3, n_in=7, points=20, seed=0):
    g = torch.Generator().manual_seed(seed)
    weight = torch.randn(n_out, n_in, generator=g, dtype=torch.float64)
    return weight, torch.randn(points, n_in, generator=g, dtype=torch.float64).relu()


def brute(weight, activations):
    values = torch.zeros(2, *weight.shape, dtype=torch.float64)
    for k, row in enumerate(weight.double()):
        for sign, factor in enumerate((1, -1)):
            chosen = [j for j in range(len(row)) if factor * row[j] > 0]
            for h in activations.double():
                z = sum(abs(row[j]) * h[j] for j in chosen)
                for j in chosen:
                    share = abs(row[j]) * h[j] / z if z > 0 else 0.0
                    values[sign, k, j] = max(values[sign, k, j], share)
    return values


@pytest.mark.parametrize("elements", [1, 50, 2**22])
def test_is_brute_force_whatever_the_chunks(monkeypatch, elements):
    monkeypatch.setattr(coresets.sensitivity, "ELEMENTS", elements)
    weight, h = layer()
    weight[0, 3], h[:, 2], h[4] = 0, 0, 0
    found = sensitivities(weight, h)
    close(found.values, brute(weight, h), rtol=1e-13, atol=0)
    close(found.total, found.values.sum(2))
    close(found.probabilities.sum(2), torch.ones(2, 3, dtype=torch.float64))
    assert (found.values[:, :, 2] == 0).all()


magnitudes = st.floats(0, 1e6, width=32)


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays("float32", (2, 4), elements=st.floats(-1e6, 1e6, width=32)),
    hnp.arrays("float32", (3, 4), elements=magnitudes),
)
def test_any_layer(weight, activations):
    weight, h = torch.from_numpy(weight), torch.from_numpy(activations)
    found = sensitivities(weight, h)
    close(found.values, brute(weight, h), rtol=1e-12, atol=0)
    counts = (parts(weight) > 0).sum(2).clamp(max=3)
    alive = found.total > 0
    assert (found.total[alive] >= 1 - 1e-12).all()
    assert (found.total <= counts * (1 + 1e-12)).all()
    assert obeyed(weight, h, found.values).all()
    close(found.probabilities.sum(2), alive.double())


def test_masses():
    weight, h = layer()
    plus, minus = mass(weight, h)
    close(plus - minus, h @ weight.T)
    close(plus + minus, h @ weight.abs().T)
    assert (plus >= 0).all()


def test_edges():
    weight, h = layer()
    dead = sensitivities(weight, torch.zeros_like(h))
    assert (dead.values == 0).all()
    assert (dead.probabilities == 0).all()
    positive = sensitivities(weight.abs(), h)
    assert (positive.total[0] > 0).all()
    assert (positive.total[1] == 0).all()
    single = sensitivities(weight[:, :1].abs(), h[:, :1])
    assert (single.values[0] == 1).all()  # the only weight has the whole mass


def test_obeyed_finds_the_points_that_break_a_bound():
    weight, h = layer(points=60)
    bounds = sensitivities(weight, h[:30]).values
    shares = parts(weight)[:, None] * h[:, None] / mass(weight, h)[..., None]
    expected = (shares.nan_to_num(0) <= bounds[:, None] * (1 + 1e-12)).all(3).all(2).all(0)
    assert expected[:30].all()
    assert not expected[30:].all()
    assert torch.equal(obeyed(weight, h, bounds), expected)


def test_float32_is_computed_in_double():
    weight, h = layer()
    found = sensitivities(weight.float(), h.float())
    close(found.values, sensitivities(weight.float().double(), h.float().double()).values, rtol=0, atol=0)


@pytest.mark.parametrize("function", [sensitivities, mass])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda w, h: h[3].fill_(-0.5), "-0.5.*ReLU"),
        (lambda w, h: h[0].fill_(torch.nan), "activations are not finite"),
        (lambda w, h: w[0].fill_(torch.inf), "weight is not finite"),
    ],
)
def test_bad_input(function, spoil, message):
    weight, h = layer()
    spoil(weight, h)
    with pytest.raises(InputError, match=message):
        function(weight, h)


def test_no_points():
    weight, h = layer()
    with pytest.raises(InputError, match="no activations"):
        sensitivities(weight, h[:0])
