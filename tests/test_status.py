"""The page on the state of the evidence: its tables, and the invariants that it shows."""

import importlib
import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from prunebook.evidence import invariants
from prunebook.store.collect import stored
from prunebook.store.results import Store
from prunebook.studies import STUDIES

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
status = importlib.import_module("status")


def losses(**changes):
    table = pd.DataFrame(
        {
            "widths": "4-5",
            "noise": 0.0,
            "seed": 1,
            "method": "magnitude",
            "ratio": [0.5, 0.5],
            "stage": ["pruned", "fine-tuned"],
            "weights": [10, 10],
            "reached": [0.5, 0.5],
        }
    )
    return {"losses": table.assign(**changes)}


def test_one_weight_too_many_is_seen():
    assert invariants.ratio_reached(losses()).all()
    assert not invariants.ratio_reached(losses(weights=9, reached=0.55)).any()
    assert invariants.ratio_reached(losses(weights=9, reached=0.55, method="wanda")).all()  # rounds in each row
    assert invariants.ratio_reached(losses(weights=9, reached=0.55, method="dense")).empty


def test_a_weight_that_comes_back_is_seen():
    assert invariants.weights_kept(losses()).all()
    assert not invariants.weights_kept(losses(weights=[10, 11])).any()


def test_last_layers_keep_their_sparsity_and_draws_bound_what_is_kept():
    rows = pd.DataFrame(
        {"reading": "r", "case": "easy", "seed": 1, "method": "m", "ratio": 0.5, "sparsity": [0.5, 0.5]}
    )
    assert invariants.sparsity_kept({"recovery": rows}).all()
    assert not invariants.sparsity_kept({"recovery": rows.assign(sparsity=[0.5, 0.4])}).any()
    rows = pd.DataFrame({"kept": [3.0, 5.0, float("nan")], "samples": [4.0, 4.0, 4.0]})
    assert invariants.kept_within_draws({"epsilon_first": rows}).tolist() == [True, False]


def test_units_that_were_not_removed_cost_nothing():
    keys = {"net": "small", "batch_norm": False, "seed": 1, "step": 0, "set": "all", "amount": 0.01}
    rows = pd.DataFrame([keys | {"units": 0, "penalty": p} for p in (0.0, 0.1)])
    assert invariants.nothing_removed({"penalties": rows}).tolist() == [True, False]
    assert invariants.same_units({"penalties": rows}).all()
    assert not invariants.same_units({"penalties": rows.assign(units=[0, 1])}).any()


def test_a_training_loss_that_is_missing_is_seen():
    keys = {"net": "small", "batch_norm": False, "steps": 20, "seed": 1}
    network = pd.DataFrame([keys | {"step": step} for step in (0, 10, 20)])
    history = pd.DataFrame([keys | {"step": step, "train_loss": 1.0} for step in (5, 10, 15, 20)])
    assert invariants.history_whole({"network": network, "history": history}).tolist() == [True, True]
    assert invariants.history_whole({"network": network, "history": history[:3]}).tolist() == [True, False]


def test_faults_that_the_head_to_head_counts_are_seen():
    names = [*invariants.FAULTS, "largest change of a logit by removal", "networks fine-tuned"]
    rows = pd.DataFrame({"name": names, "value": [0.0] * len(invariants.FAULTS) + [1e-5, 49.0]})
    assert invariants.no_fault_counted({"checks": rows}).tolist() == [True] * len(invariants.FAULTS)
    assert invariants.removal_is_exact({"checks": rows}).tolist() == [True]
    for place in range(len(invariants.FAULTS)):
        one = {"checks": rows.assign(value=rows["value"].where(rows.index != place, 1.0))}
        assert (~invariants.no_fault_counted(one)).sum() == 1
    assert not invariants.removal_is_exact({"checks": rows.assign(value=0.01)}).any()
    keys = {"net": "lenet", "seed": 1, "ranking": "magnitude", "compensation": "none", "ratio": 0.5}
    left = pd.DataFrame([keys | {"stage": stage, "left": 10} for stage in ("pruned", "fine-tuned")])
    assert invariants.left_kept({"losses": left}).tolist() == [True]
    assert not invariants.left_kept({"losses": left.assign(left=[10, 11])}).any()


def test_every_fault_is_one_that_a_stored_run_counts():
    results = stored(STUDIES["head-to-head"], "paper")
    if results is None:
        pytest.skip("no committed results of the head-to-head")
    assert set(invariants.FAULTS) <= set(results.tables["checks"]["name"])


def test_committed_results_break_no_invariant():
    rows = invariants.invariants()
    assert rows["broken"].sum() == 0, rows.to_string()
    assert (rows["cases"] > 0).all()


def test_every_study_has_a_row_and_what_is_missing_is_said(tmp_path):
    text = status.studies_table(Store(tmp_path))
    assert text.count("not measured yet") == len(STUDIES)
    assert all(study.title in text for study in STUDIES.values())
    assert status.invariants_table(Store(tmp_path)).count("\n") == 1


@pytest.mark.parametrize(("ok", "word"), [(True, "1 of 1 | ok, 1 of the tolerances widened |"), (False, "**drifted**")])
def test_outcomes_of_re_runs_are_told(tmp_path, ok, word):
    path = tmp_path / "drift.json"
    assert "No result" in status.drift_table(path)
    row = {"table": "t", "metric": "loss", "rows": 4, "largest": None, "needed": 0.03, "allowed": 0.1}
    row |= {"unit": "absolute", "within": 0.75, "share": 0.7, "ok": ok}
    entry = {"study": "s", "scale": "paper", "config": "c", "seed": 3, "date": "2020-01-01", "ok": ok}
    entry["metrics"] = [row]
    one, two = {"cpu": "A", "threads": 1}, {"cpu": "B", "threads": 2}
    entry |= {"hardware": one, "then": {"hardware": two}}
    path.write_text(json.dumps([entry | {"scale": "laptop"}]))
    assert "No result" in status.drift_table(path), "the page is about the paper scale"
    path.write_text(json.dumps([entry, entry | {"scale": "laptop", "seed": 4}]))
    tolerances = {
        "s": {
            "t": {
                "rows": ["a"],
                "loss": {"absolute": 0.1, "was": "0.05 relative", "seeds": 0.2},
                "kept": {"relative": 0.2},
            }
        }
    }
    text = status.drift_table(path, tolerances)
    assert "seed 4" not in text
    assert "| B, 2 threads | A, 1 thread (2020-01-01) |" in text
    assert word in text
    assert ("drifted**: t, loss: allowed 0.1 absolute in 70% of 4 rows, 75.0% are within" in text) != ok
    assert f"made them, 0 of 0 re-runs came out again within the tolerances; on another kind, {int(ok)} of 1" in text
    assert "| s | t: loss | 0.1 absolute, before 0.05 relative | 100% | 0.03 | a row is missing | 1, 1 | 0.2 |" in text
    assert "| s | t: kept | 0.2 relative | 100% | not measured yet | – | 0 | – |" in text


def test_the_same_digits_on_the_machine_that_made_them_are_told(tmp_path):
    row = {"table": "t", "metric": "loss", "largest": 0.0, "needed": 0.0, "ok": True}
    entry = {"study": "s", "scale": "paper", "config": "c", "seed": 3, "date": "2020-01-01", "ok": True}
    facts = {"hardware": {"cpu": "A", "threads": 1}}
    path = tmp_path / "drift.json"
    path.write_text(json.dumps([entry | facts | {"then": facts, "metrics": [row]}]))
    text = status.drift_table(path, {"s": {"t": {"rows": ["a"], "loss": {"absolute": 0.1, "was": "0 absolute"}}}})
    assert "| ok, the same digits |" in text
    assert "made them, 1 of 1 re-runs" in text
    path.write_text(json.dumps([entry | facts | {"then": facts, "metrics": [row | {"largest": 0.1}]}]))
    assert "| ok |" in status.drift_table(path, {"s": {"t": {"rows": ["a"], "loss": {"absolute": 0.1}}}})
