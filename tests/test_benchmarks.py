"""What keeps the table of benchmarks, and how the book says where it comes from."""

import importlib
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "book"))
generated = importlib.import_module("generated")
measured = generated.measured


def facts(date: str) -> dict:
    machine = {"cpu": "abacus", "cores": 2, "threads": 1}
    return {"date": date, "commit": "0" * 40, "dirty": False, "versions": {"torch": "2"}, "hardware": machine}


def test_one_benchmark_run_again_leaves_the_others_under_their_own_run():
    merged = runpy.run_path(str(ROOT / "benchmarks" / "run.py"), run_name="benchmark")["merged"]
    scripts = ["criterion", "measurement"]
    old = {
        "runs": {name: facts("2026-01-01") for name in ("criterion", "gone", "measurement")},
        "rows": [{"script": name, "seconds": 1.0} for name in ("criterion", "gone", "measurement")],
    }
    new = merged(old, {"measurement": facts("2026-01-02")}, [{"script": "measurement", "seconds": 2.0}], scripts)
    assert {name: run["date"] for name, run in new["runs"].items()} == {
        "criterion": "2026-01-01",
        "measurement": "2026-01-02",
    }
    assert [(row["script"], row["seconds"]) for row in new["rows"]] == [("criterion", 1.0), ("measurement", 2.0)]
    assert merged({}, {}, [], scripts) == {"runs": {}, "rows": []}


def test_the_book_says_of_each_benchmark_when_it_was_run():
    runs = {"a_thing": facts("2026-01-01"), "b": facts("2026-01-01")}
    assert measured(runs) == [
        "Measured on 2026-01-01 at commit `000000000000`, on abacus, 2 cores, 1 threads, torch 2."
    ]
    lines = measured({**runs, "c": facts("2026-01-02")})
    assert [line.split(", torch 2")[1] for line in lines] == [": a thing, b.", ": c."]


@pytest.mark.parametrize(("whole", "shown"), [(None, ("2", "4")), (200.0, ("200 *", "400")), (5000.0, ("> 2", "> 4"))])
def test_a_rival_is_extrapolated_only_so_far(whole, shown):
    row = {"seconds": 0.5, "rival_seconds": 2.0, "ratio": (whole or 2.0) / 0.5, "note": ""}
    assert generated.compared(row | ({"rival_extrapolated": whole} if whole else {})) == shown
