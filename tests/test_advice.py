"""What the book advises can be called: the text of the call runs as it stands."""

import ast
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from prunebook import prune, prune_units
from prunebook.pages.tables import advice, best
from prunebook.pages.vocabulary import PAIRS
from prunebook.store.collect import stored
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.weights import METHODS, Method

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tables():
    return stored(STUDIES["head-to-head"], "paper", store=Store(ROOT / "data" / "results")).tables


@pytest.fixture(scope="module")
def given():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)).eval()
    loader = DataLoader(TensorDataset(torch.randn(60, 1, 4, 4), torch.arange(60) % 3), batch_size=30)
    names = {"prune": prune, "prune_units": prune_units, "Method": Method}
    return names | {"torch": torch, "model": model, "loader": loader, "ratio": 0.5}


def test_names_of_pairs_are_those_of_the_library():
    for pair, name in PAIRS.items():
        assert (METHODS[name].criterion, METHODS[name].compensation) == pair


def test_every_pair_that_the_advice_names_is_registered(tables):
    losses, cost = tables["losses"], tables["cost"]
    found, values, price = best.best(losses), best.valued(losses), advice.price_of(cost)
    named = set(advice.choices(losses, cost, tables["latency"]).query("kind == 'weights'")["pair"])
    for (net, stage), part in found[found["kind"] == "weights"].groupby(["net", "stage"]):
        named |= set(advice._winners(part, price)[0][:3])
        named.add(advice._regrets(values[(values["net"] == net) & (values["stage"] == stage)]).index[0])
    assert len(named) >= 4
    assert named <= set(PAIRS)


def test_every_call_of_the_advice_runs(tables, given):
    found = advice.choices(tables["losses"], tables["cost"], tables["latency"])
    assert len(found) == 3
    for call in found["call"]:
        pruned = eval(call, dict(given))
        assert pruned.model(torch.zeros(2, 1, 4, 4)).shape == (2, 3)
    assert "nan" not in " ".join(found["why"])


def test_a_pair_without_a_name_is_spelt_out(given):
    text = advice.call("obd", "mean", "weights")
    assert isinstance(ast.parse(text, mode="eval").body, ast.Call)
    assert eval(text, dict(given)).reached == pytest.approx(0.5, abs=0.01)
