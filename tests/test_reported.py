"""Numbers from the papers beside ours: the file, and where our side comes from."""

import re

import pandas as pd
import pytest

from prunebook import evidence
from prunebook.errors import InputError
from prunebook.evidence.statistics import STATISTICS
from prunebook.evidence.statistics.elimination_compensation import ratio_kept
from prunebook.networks.mlp import mlp
from prunebook.store.results import Store

ENTRY = "- {id: X, paper: p, quantity: q, reported: r, where: w, reading: printed, error: 0"


def test_every_entry_belongs_to_a_claim_or_says_what_it_is():
    known = evidence.read()
    entries = evidence.read_reported()
    assert len({entry["id"] for entry in entries}) == len(entries)
    for entry in entries:
        named = re.fullmatch(r"[A-Z]{2}-\w+", entry["id"])
        assert not named or known[entry["id"]]["paper"] == entry["paper"], entry["id"]
        study = entry["ours"].get("study")
        assert not (named and study) or study == known[entry["id"]]["study"], entry["id"]


def test_without_results_nothing_is_measured_but_what_can_be_counted(tmp_path):
    table = evidence.reported(store=Store(tmp_path))
    counted = [bool({"widths", "product"} & set(e["ours"])) for e in evidence.read_reported()]
    assert ((table["ours"] != evidence.NOT_YET) == counted).all()


def test_weights_are_those_of_the_networks():
    rows = evidence.reported().set_index("id")
    for entry in evidence.read_reported():
        if widths := entry["ours"].get("widths"):
            held = sum(p.numel() for p in mlp(tuple(widths)).parameters() if p.ndim == 2)
            assert rows.loc[entry["id"], "ours"] == str(held) == entry["reported"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {id: X, paper: p}", "lacks error, quantity"),
        (ENTRY.replace("printed", "guessed") + "}", "guessed"),
        (ENTRY.replace("printed", "axis") + "}", "read off has an error"),
        (ENTRY.replace("error: 0", "error: 0.1") + "}", "printed has none"),
        (ENTRY + ", ours: {study: ec-mnist, statistic: odd}}", "odd"),
        (ENTRY + ", ours: {study: ec-mnist, claim: EC-99}}", "EC-99"),
    ],
)
def test_a_broken_file_is_refused(tmp_path, text, message):
    path = tmp_path / "values.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        evidence.reported(path=path)


def losses(*rows):
    columns = ["widths", "noise", "seed", "method", "stage", "ratio", "loss"]
    return {"losses": pd.DataFrame([("4-2", 0.0, *row) for row in rows], columns=columns)}


def test_ratio_kept_ends_at_the_first_loss_that_is_too_high():
    level = [(seed, "dense", "trained", float("nan"), 1.0) for seed in (1, 2)]
    one = [(1, "m", "pruned", r, v) for r, v in ((0.1, 1.0), (0.5, 1.1), (0.7, 1.3), (0.9, 1.0))]
    two = [(2, "m", "pruned", r, v) for r, v in ((0.1, 1.3), (0.5, 1.4), (0.7, 1.5), (0.9, 1.7))]
    found = ratio_kept(losses(*level, *one, *two), method="m", stage="pruned", factor=1.15)
    assert found["value"].tolist() == [0.5, 0.0]
    found = ratio_kept(losses(*level, *one, *two), method="m", stage="pruned", factor=1.25, against="first")
    assert found["value"].tolist() == [0.5, 0.7]
    assert not STATISTICS["ratio_kept"].log
