"""The committed verdicts, and how they are kept: judged once for each state of what they rest on."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from prunebook import evidence
from prunebook.evidence import kept, verdict_table
from prunebook.store.results import Store

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = Store(ROOT / "data" / "results")
NUMBERS = ["threshold", "effect", "low", "high"]


def test_verdicts_and_effects_are_those_of_the_committed_table():
    now, then = evidence.all_conditions(COMMITTED), pd.read_csv(ROOT / "data" / "verdicts.csv")
    assert list(now) == list(then)
    words = ["claim", "verdict", "label", "side", "outcome"]
    pd.testing.assert_frame_equal(now[words], then[words], check_dtype=False)
    pd.testing.assert_series_equal(now["seeds"], then["seeds"].astype("Int64"))
    scale = then[NUMBERS].abs().max(axis=1)  # an end of an interval may be zero but for rounding
    off = now[NUMBERS].sub(then[NUMBERS]).abs().div(scale, axis=0).max(axis=1)
    assert off.max() < 1e-10, now.assign(off=off)[off >= 1e-10].to_string()
    assert evidence.verdicts(COMMITTED).set_index("claim")["verdict"].to_dict() == dict(
        zip(then["claim"], then["verdict"], strict=True)
    )


@pytest.fixture
def resting(tmp_path):
    """A folder of results, a ledger and a package: what a verdict rests on, in small."""
    files = {
        "results/paper/s/0123456789ab/seed-1/record.json": "{}",
        "results/paper/s/0123456789ab/seed-1/losses.parquet": "numbers",
        "claims.yaml": "A: {}",
        "package/statistics/general.py": "mean = sum",
        "package/experiments/presets.py": "SEEDS = 5",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    state = lambda: kept.state(tmp_path / "results", [tmp_path / "claims.yaml"], tmp_path / "package")  # noqa: E731
    return tmp_path, state, files


def test_whatever_a_verdict_rests_on_changes_its_key(resting, monkeypatch):
    folder, state, files = resting
    first = state()
    assert state() == first
    for name, text in files.items():
        (folder / name).write_text(text + " ")
        assert state() != first, name
        (folder / name).write_text(text)
    seeds = folder / "results/paper/s/0123456789ab"
    shutil.copytree(seeds / "seed-1", seeds / "seed-2")
    assert state() != first, "another seed"
    (seeds / "seed-1").rename(seeds / "seed-3")
    shutil.copytree(seeds / "seed-3", seeds / "seed-1")
    shutil.rmtree(seeds / "seed-2")
    assert state() != first, "the same tables as another seed"
    shutil.rmtree(seeds / "seed-3")
    assert state() == first
    for package in kept.COMPUTING:
        with monkeypatch.context() as patch:
            patch.setattr(kept, "version", lambda name, changed=package: "9" if name == changed else "1")
            one = state()
            patch.setattr(kept, "version", lambda name: "1")
            assert state() != one, package


@pytest.mark.parametrize("damage", ["", "torn", "changed"])
def test_what_is_kept_is_made_once_and_again_where_it_is_damaged(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path))
    calls = []

    def make():
        calls.append(1)
        return {"low": float("-inf"), "effect": 0.1234567890123456}

    first = kept.kept("verdicts", "key", make)
    (path,) = (tmp_path / "evidence").glob("*.json")
    text = path.read_text()
    path.write_text({"": text, "torn": text[:-9], "changed": text.replace("0.12", "0.13")}[damage])
    assert kept.kept("verdicts", "key", make) == first == make()
    assert len(calls) == 2 + bool(damage)
    kept.kept("verdicts", "another key", make)
    assert len(calls) == 3 + bool(damage)


def test_a_cache_that_cannot_be_written_costs_no_answer(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path / "file"))
    assert kept.kept("verdicts", "key", lambda: {"a": 1}) == {"a": 1}


def test_verdicts_are_judged_once_for_each_store(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path / "cache"))
    judged = []
    judge_all = verdict_table._judge_all
    monkeypatch.setattr(verdict_table, "_judge_all", lambda store, path: judged.append(path) or judge_all(store, path))
    for _ in range(2):
        evidence.verdicts(Store(tmp_path / "results"))
        evidence.conditions_table("EC-1", Store(tmp_path / "results"))
    assert len(judged) == 1


def test_a_stored_table_that_was_edited_is_not_judged(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path / "cache"))
    shutil.copytree(COMMITTED.root / "paper" / "ec-mnist", tmp_path / "paper" / "ec-mnist")
    store = Store(tmp_path)
    assert (evidence.verdicts(store).set_index("claim").loc["EC-1", "verdict"]) == evidence.SUPPORTED
    table = next(tmp_path.glob("paper/ec-mnist/*/seed-1/losses.parquet"))
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    with pytest.raises(Exception, match="does not have the checksum"):
        evidence.verdicts(store)


# Imports as a machine without PyTorch has them: none of torch, and none of what needs it.
BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
"""


@pytest.mark.parametrize(
    "code",
    [
        "import prunebook.store.reading, prunebook.store.results, prunebook.evidence.statistics",
        "from prunebook.evidence import claims, intervals, judging, kept",
        "from prunebook.cli import app; app(['verdicts', '--json'])",
        "from prunebook.pages.findings import findings_text; print(findings_text())",
        "from prunebook.evidence.invariants import invariants; assert not invariants()['broken'].any()",
    ],
)
def test_evidence_is_read_without_torch(code, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path))
    monkeypatch.setenv("PRUNEBOOK_RESULTS", str(COMMITTED.root))
    done = subprocess.run([sys.executable, "-c", BLOCKED + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
