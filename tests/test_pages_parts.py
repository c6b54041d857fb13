"""The parts of pages that are made from data or by code: drawings, the slider's numbers, the table of all claims."""

import importlib
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from torch import nn

from prunebook import prune
from prunebook.evidence import latest, read, verdicts
from prunebook.weights import Method

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
drawings, slider, claims_page, front, generated = map(
    importlib.import_module, ("drawings", "slider", "claims_page", "front", "generated")
)


@pytest.mark.parametrize("name", drawings.DRAWINGS)
def test_drawings_are_small_have_words_and_take_the_colours_of_the_theme(name):
    text = drawings.svg(name)
    assert len(text) < 15_000
    root = ET.fromstring(text)
    assert len(root.get("aria-label").split()) > 8
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', text))
    assert {colour for colour in colours if not colour.startswith("var(--pb-")} <= {"currentColor", "none"}
    for word in root.iter("text"):
        assert 0 < float(word.get("x")) < drawings.WIDTH
        assert 10 < float(word.get("y")) < 222


@pytest.fixture(scope="module")
def data():
    return slider.payload()


@pytest.mark.parametrize("compensation", ["none", "elimination"])
@pytest.mark.parametrize("ratio", [0.3, 0.7, 0.9])
def test_the_slider_has_the_numbers_of_the_library(data, ratio, compensation):
    """What the page's script does with them, in numpy, against the library's own pruning of that network."""
    first, last = data["layers"]
    model = nn.Sequential(nn.Linear(64, slider.HIDDEN), nn.ReLU(), nn.Linear(slider.HIDDEN, 10))
    for layer, arrays in ((model[0], first), (model[2], last)):
        layer.weight.data, layer.bias.data = torch.tensor(arrays["weights"]), torch.tensor(arrays["bias"])
    digits = slider.load_digits().images.reshape(-1, 64)[: slider.TRAINED] / 16
    method = Method("mine", "Mine", "elimination-compensation", compensation)
    pruned = prune(model.eval(), torch.tensor(digits, dtype=torch.float32), ratio, method).model
    images = np.array(data["images"]) / 16
    with torch.no_grad():
        wanted = pruned(torch.tensor(images, dtype=torch.float32)).numpy()
    values, count = images, sum(np.size(arrays["weights"]) for arrays in data["layers"])
    for depth, arrays in enumerate(data["layers"]):
        gone = np.array(arrays["rank"]) < round(ratio * count)
        bias = np.array(arrays["bias"]) + (np.array(arrays["shift"]) * gone).sum(1) * (compensation != "none")
        values = values @ np.where(gone, 0, arrays["weights"]).T + bias
        values = np.maximum(values, 0) if depth == 0 else values
    assert np.abs(values - wanted).max() < 2e-2
    assert (values.argmax(1) == wanted.argmax(1)).mean() > 0.98


def test_the_network_of_the_slider_reads_digits_and_pruning_flips_some(data):
    assert len(data["labels"]) == slider.SHOWN
    assert len(set(data["labels"])) == 10
    ranks = np.concatenate([np.ravel(layer["rank"]) for layer in data["layers"]])
    assert sorted(ranks) == list(range(len(ranks)))


def test_the_page_of_claims_has_every_claim_once_with_what_it_can_be_chosen_by():
    soup, table = BeautifulSoup(claims_page.claims(), "html.parser"), latest(verdicts())
    rows = soup.select("tbody tr")
    assert [row.th.get_text() for row in rows] == [
        name for _, part in table.groupby("paper", sort=False) for name in part["claim"]
    ]
    shown = {row.th.get_text(): row["data-verdict"] for row in rows}
    assert shown == dict(zip(table["claim"], table["verdict"], strict=True))
    for choice in soup.select("select"):
        offered = {option["value"] for option in choice.select("option")} - {""}
        assert offered == {row[f"data-{choice['data-by']}"] for row in rows}
    assert soup.select_one(".pb-filter").has_attr("hidden"), "without a script there is nothing to choose with"


def test_a_row_of_the_second_edition_has_its_effect_in_words_and_the_verdict_before():
    row = {"claim": "EC-2.2", "study": "of no page", "paper": "p", "short": "a < b", "kind": "inference", "edition": 2}
    row |= {"verdict": "supported", "first": "inconclusive", "effect": 0.83, "low": 0.75, "high": 0.92, "side": ""}
    row |= {"label": "times the rival's loss", "threshold": np.nan, "held": 5, "conditions": 6, "seeds": 7}
    soup = BeautifulSoup(claims_page._row(row), "html.parser")
    cells = {cell["data-label"]: cell.get_text() for cell in soup.select("td")}
    assert (soup.th.get_text(), soup.a, cells[""]) == ("EC-2.2", None, "a < b (our reading)")
    assert (cells["Before"], cells["Holds in"], cells["Must be"]) == ("inconclusive", "5 of 6", "")
    assert cells["Effect, 95 % interval"] == "0.83 (0.75 to 0.92) times the rival's loss"


def test_without_any_result_every_claim_is_there_and_not_tested(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEBOOK_RESULTS", str(tmp_path))
    rows = BeautifulSoup(claims_page.claims(), "html.parser").select("tbody tr")
    assert {row.th.get_text() for row in rows} == set(read()) - {claim.get("replaces") for claim in read().values()}
    assert {row["data-verdict"] for row in rows} == {"not tested"}


def test_the_front_page_says_who_and_how_much(monkeypatch):
    cards = front.cards()
    for title in ("Elimination-compensation pruning", "Mean Replacement Pruning", "When Are Neural Pruning"):
        assert title in cards
    assert cards.count("<svg") == 3
    assert cards.count("aria-label") == 3
    assert "No answer yet" not in cards
    assert front.which().count("| `prune") == 3
    assert "1.7 million" in front.scope()
    assert 'pip install "git+https://example.org/a"' in generated.install("https://example.org/a")
    assert "pip install ." in generated.install("")
    assert "The prunebook authors" in front.cite()
    monkeypatch.setattr(front, "stored", lambda *arguments: None)
    assert "<svg" not in front.cards(), "nothing is drawn of nothing"
    assert front.which() == ""
