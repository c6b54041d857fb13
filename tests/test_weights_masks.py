"""Selection and sparsity."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_weights_oracles import inputs, network
from torch.nn.utils import prune as torch_prune

from prunebook.errors import InputError
from prunebook.weights import CRITERIA, Calibration, select, sparsity

ratios = st.floats(0, 1, exclude_max=True)


@st.composite
def score_sets(draw):
    shapes = draw(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6)), min_size=1, max_size=3))
    values = st.sampled_from([0.0, -0.0, 1.0, 1.5, -2.0, math.inf, 1e-300, 1e300])  # few values: many ties
    scores = {}
    for k, (n_out, n_in) in enumerate(shapes):
        drawn = draw(st.lists(values, min_size=n_out * n_in, max_size=n_out * n_in))
        scores[str(k)] = torch.tensor(drawn, dtype=torch.float64).view(n_out, n_in)
    return scores


@settings(max_examples=60, deadline=None)
@given(score_sets(), ratios, ratios)
def test_select(scores, first, second):
    low, high = sorted((first, second))
    for scope in ("network", "layer", "row"):
        masks, more = select(scores, low, scope), select(scores, high, scope)
        for name in scores:
            assert not (more[name] & ~masks[name]).any()  # nested
        if scope == "network":
            groups = [(torch.cat([s.flatten() for s in scores.values()]),
                       torch.cat([m.flatten() for m in masks.values()]))]  # fmt: skip
        elif scope == "layer":
            groups = [(scores[k].flatten(), masks[k].flatten()) for k in scores]
        else:
            groups = [pair for k in scores for pair in zip(scores[k], masks[k], strict=True)]
        for values, keep in groups:
            count = round(low * len(values))
            assert int((~keep).sum()) == count
            # the plain way: sort by (score, index)
            order = sorted(range(len(values)), key=lambda at: (values[at].item(), at))[:count]
            assert (~keep).nonzero()[:, 0].tolist() == sorted(order)


def test_select_errors():
    scores = {"a": torch.ones(2, 2)}
    for ratio in (-0.1, 1.0, 1.5, math.nan):
        with pytest.raises(InputError, match="ratio"):
            select(scores, ratio)
    with pytest.raises(InputError, match="'a' contain NaN"):
        select({"a": torch.tensor([[1.0, math.nan]])}, 0.5)
    with pytest.raises(InputError, match="no scores"):
        select({}, 0.5)


def test_scope_is_checked():
    from prunebook.weights import masks

    plain = getattr(masks.select, "__wrapped__", masks.select)  # without the type checker of the tests
    with pytest.raises(InputError, match="scope"):
        plain({"a": torch.ones(2, 2)}, 0.5, "column")


@pytest.mark.parametrize("name", ["magnitude", "elimination-compensation"])
def test_network_scope_is_torch_global_unstructured(name):
    model = network((7, 6, 5, 3))
    calibration = Calibration(model, inputs(40, 7))
    scores = CRITERIA[name](calibration)
    masks = select(scores, 0.63)
    other = copy.deepcopy(model)
    layers = {key: other.get_submodule(key) for key in scores}
    torch_prune.global_unstructured(
        [(layer, "weight") for layer in layers.values()],
        torch_prune.L1Unstructured,
        {(layers[key], "weight"): scores[key] for key in scores},
        amount=0.63,
    )
    for key, layer in layers.items():
        assert torch.equal(layer.weight_mask.bool(), masks[key])


def test_wanda_compares_within_rows():
    model = network((8, 6, 3))
    calibration = Calibration(model, inputs(40, 8))
    masks = select(CRITERIA["wanda"](calibration), 0.5, "row")
    for row, weight in zip(masks["0"], model[0].weight.detach(), strict=True):
        metric = weight.abs() * inputs(40, 8).norm(dim=0)
        assert set((~row).nonzero()[:, 0].tolist()) == set(metric.argsort()[:4].tolist())


def test_sparsity():
    masks = {"a": torch.tensor([[True, False], [False, False]]), "b": torch.tensor([[True, True]])}
    assert sparsity(masks) == 0.5
    assert sparsity({"a": masks["a"]}) == 0.75
