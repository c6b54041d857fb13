"""Re-runs of stored results: what is compared, what counts as drift, and that a run comes out again."""

import math
from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest

from prunebook.errors import InputError
from prunebook.store import comparison, machine
from prunebook.store.collect import collect, stored
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.workflow import drift

TABLE = pd.DataFrame({"method": ["a", "b", "c", "d"], "loss": [1.0, 2.0, 4.0, math.nan], "seconds": [1.0] * 4})


def compared(now, **allowed):
    entry = {"t": {"rows": ["method"], "loss": allowed}}
    return comparison.compare({"t": TABLE}, {"t": now}, entry).iloc[0]


def test_equal_tables_do_not_differ_in_any_order():
    found = compared(TABLE.sample(frac=1, random_state=1).assign(seconds=9), absolute=0)
    assert (found["largest"], found["within"], found["ok"], found["rows"]) == (0, 1, True, 4)


def test_a_difference_is_measured_in_the_unit_of_its_tolerance():
    moved = TABLE.assign(loss=[1.0, 2.0, 5.0, math.nan])
    assert compared(moved, absolute=1.0)["ok"]
    assert not compared(moved, absolute=0.99)["ok"]
    found = compared(moved, relative=0.24)
    assert found["largest"] == 0.25
    assert not found["ok"]
    assert found["within"] == 0.75
    assert compared(TABLE.assign(loss=[1.0, 1.0, 4.0, math.nan]), relative=0.5)["ok"]
    for other in ([1.0, 1.0, 4.0, math.nan], [1.0, 4.0, 4.0, math.nan]):
        assert compared(TABLE.assign(loss=other), excess=1.0)["ok"], "twice as large, or half"
        assert not compared(TABLE.assign(loss=other), excess=0.99)["ok"]
    assert compared(TABLE.assign(loss=[0.0, 2.0, 4.0, math.nan]), excess=9)["largest"] == math.inf
    found = compared(moved, relative=0.24, share=0.75)
    assert (found["ok"], found["needed"], found["largest"]) == (True, 0, 0.25)


def test_the_tolerance_that_was_needed_is_the_least_that_is_kept_to():
    moved = TABLE.assign(loss=[1.1, 2.2, 4.4, math.nan])
    for share in (0.25, 0.26, 0.5, 0.75, 0.76, 1.0):
        needed = compared(moved, absolute=9, share=share)["needed"]
        assert compared(moved, absolute=needed, share=share)["ok"]
        assert needed == 0 or not compared(moved, absolute=needed * (1 - 1e-9), share=share)["ok"]
    rows = pd.DataFrame({"row": range(20), "loss": 0.0})
    now = rows.assign(loss=[0.0] * 19 + [1.0])
    entry = {"t": {"rows": ["row"], "loss": {"absolute": 0, "share": 0.95}}}
    assert comparison.compare({"t": rows}, {"t": now}, entry)["needed"].item() == 0


@pytest.mark.parametrize("now", [TABLE.iloc[:3], TABLE.fillna(1.0), TABLE.replace("a", "z")])
def test_a_row_that_is_lost_or_new_drifts(now):
    found = compared(now, absolute=100)
    assert found["largest"] == math.inf
    assert not found["ok"]


def test_rows_that_are_named_twice_are_refused():
    with pytest.raises(InputError, match="more than one row"):
        compared(pd.concat([TABLE, TABLE]), absolute=0)


def test_only_the_rows_that_are_asked_for_count():
    entry = {"t": {"rows": ["method"], "where": {"method": ["a", "b"]}, "loss": {"absolute": 0}}}
    moved = TABLE.assign(loss=[1.0, 2.0, 9.0, 9.0])
    assert comparison.compare({"t": TABLE}, {"t": moved}, entry)["ok"].all()


def test_declared_tolerances_fit_the_committed_results():
    for name, tolerances in comparison.read_tolerances().items():
        if results := stored(STUDIES[name], "paper"):
            # One of each configuration: their tables need not have the same rows.
            for result in {result.record["config_hash"]: result for result in results.results}.values():
                found = comparison.compare(result.tables, result.tables, tolerances)
                assert found["largest"].max() == 0, result.path


def rounded_up(value):
    """``value`` rounded up to 1, 1.5, 2, 3, 5 or 7 times a power of ten."""
    size = 10.0 ** math.floor(math.log10(value))
    steps = [float(f"{factor * size:.3g}") for factor in (1, 1.5, 2, 3, 5, 7, 10)]
    return min(step for step in steps if step >= value - 1e-9)


def declared():
    for study, tables in comparison.read_tolerances().items():
        for table, entry in tables.items():
            for metric, allowed in comparison.metrics_of(entry).items():
                yield (study, table, metric), allowed


def test_every_study_has_tolerances():
    assert set(comparison.read_tolerances()) == set(STUDIES)


def test_what_a_tolerance_says_was_seen_is_what_the_kept_outcomes_say():
    kept = [entry for entry in drift.last() if entry["scale"] == "paper"]
    there = {name: float(f"{seen['needed']:.2g}") for name, seen in drift.seen_elsewhere(kept).items()}
    assert there, "no outcome of another kind of machine is kept"
    assert there == {name: allowed["seen"] for name, allowed in declared() if "seen" in allowed}


def test_a_tolerance_was_widened_by_the_rule_or_not_at_all():
    for name, allowed in declared():
        if "was" in allowed:
            twice = rounded_up(2 * allowed["seen"])
            cap = allowed.get("seeds", math.inf)
            wanted = min(twice, cap) if cap >= allowed["seen"] else twice
            assert allowed[comparison.unit_of(allowed)] == wanted > float(allowed["was"].split()[0]), name


def test_kept_outcomes_were_judged_by_the_declared_tolerances():
    tolerances = dict(declared())
    for entry in drift.last():
        for row in entry["metrics"]:
            allowed = tolerances[entry["study"], row["table"], row["metric"]]
            unit = comparison.unit_of(allowed)
            assert (row["unit"], row["allowed"], row["share"]) == (unit, allowed[unit], allowed.get("share", 1))
            assert row["ok"] == (row["needed"] is not None and row["needed"] <= row["allowed"])


@pytest.mark.parametrize("name", STUDIES)
def test_what_another_seed_needs_is_declared(name):
    """The tolerance with which a result would pass as that of the next seed: the median over all such pairs of a
    configuration. A tolerance as wide as that cannot tell another machine from another seed."""
    store, tolerances, gaps = Store(), comparison.read_tolerances()[name], []
    for config in STUDIES[name].presets["paper"]:
        tables = [store.load("paper", config, seed).tables for seed in store.seeds("paper", config)]
        gaps += [comparison.compare(one, other, tolerances) for one, other in pairwise(tables)]
    between = pd.concat(gaps).groupby(["table", "metric"])["needed"].median() if gaps else pd.Series(dtype=float)
    found = {(name, *metric): float(f"{needed:.2g}") for metric, needed in between.items()}
    assert found == {at: allowed["seeds"] for at, allowed in declared() if at[0] == name and "seeds" in allowed}


def test_studies_within_reach_have_a_tolerance_and_a_result_that_took_so_few_minutes(monkeypatch):
    seconds = {"ec-mnist": [50.0, 900.0], "ec-pde": [600.0], "cb-vgg": [1.0], "cb-lenet": []}

    def there(study, scale, at_most=None):
        assert scale == "paper"
        return [(None, 1, value) for value in seconds[study.name] if value <= 60 * (at_most or math.inf)]

    monkeypatch.setattr(drift, "there", there)
    known, declared = ({name: STUDIES[name] for name in seconds}, {"ec-mnist": {}, "ec-pde": {}, "cb-lenet": {}})
    assert drift.within_reach(known, declared, "paper") == ["ec-mnist", "ec-pde"]
    assert drift.within_reach(known, declared, "paper", 1.0) == ["ec-mnist"]
    assert drift.within_reach(known, declared, "paper", 10.0) == ["ec-mnist", "ec-pde"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s: {t: {loss: {absolute: 1}}}", "which columns"),
        ("s: {t: {rows: [a], loss: {share: 1}}}", "needs one of"),
        ("s: {t: {rows: [a], loss: {absolute: 1, relative: 1}}}", "needs one of"),
        ("s: {t: {rows: [a], by: [b], loss: {absolute: 1}}}", "groups by b"),
    ],
)
def test_broken_tolerances_are_refused(tmp_path, text, message):
    path = tmp_path / "tolerances.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        comparison.read_tolerances(path)


@pytest.mark.parametrize(("name", "place"), [("ec-pde", 0), ("head-to-head", 1)])
def test_a_run_comes_out_again_and_its_outcome_is_kept(tmp_path, name, place):
    study, store, told = STUDIES[name], Store(tmp_path / "results"), []
    study = replace(study, presets={"smoke": study.presets["smoke"][place : place + 1]}, seeds={"smoke": 1})
    collect(study, "smoke", seeds=[3], device="cpu", store=store, report=told.append)
    (found,) = drift.drift(study, "smoke", device="cpu", store=store, report=told.append)
    assert (found["seed"], found["ok"]) == (3, True)
    assert all(row["largest"] == 0 for row in found["metrics"])
    path = tmp_path / "drift.json"
    assert drift.keep([found], path) == path
    assert drift.last(path) == [found]


MACHINE = {"device": "cpu", "cpu": "X", "instructions": "AVX512", "threads": 1}


def kept(date, seed=1, scale="paper", address="0", **facts):
    entry = {"study": "b", "scale": scale, "address": address, "seed": seed, "date": date}
    return entry | {"hardware": MACHINE | facts}


def test_an_outcome_takes_the_place_of_the_same_result_on_the_same_kind_of_machine(tmp_path):
    path = tmp_path / "drift.json"
    others = {"seed": {"seed": 2}, "scale": {"scale": "laptop"}, "address": {"address": "1"}}
    others |= {name: {name: "other"} for name in ("cpu", "instructions")} | {"threads": {"threads": 2}}
    drift.keep([kept("old")], path)
    for name, other in others.items():
        drift.keep([kept(name, **other)], path)
    assert len(drift.last(path)) == 1 + len(others), "machines stand side by side, and no other result is forgotten"
    drift.keep([kept("new", memory_gib=3.0)], path)
    assert {entry["date"] for entry in drift.last(path)} == {"new", *others}


def test_a_machine_whose_instructions_were_not_noted_is_told_apart_by_the_rest():
    before = {key: value for key, value in MACHINE.items() if key != "instructions"}
    assert machine.same_kind(before, MACHINE)
    assert not machine.same_kind(before | {"cpu": "Y"}, MACHINE)
    assert not machine.same_kind(MACHINE | {"instructions": "AVX2"}, MACHINE)
    assert machine.kind(before) == "X, 1 thread"
    assert machine.kind(MACHINE | {"threads": 2, "gpu": "G"}) == "X, AVX512, 2 threads, G"


def outcomes(*needed, cpu="Y"):
    rows = [{"table": "t", "metric": "loss", "needed": value, "largest": value} for value in needed]
    return [kept("d", cpu=cpu) | {"metrics": [row], "then": {"hardware": MACHINE}} for row in rows]


def test_what_other_machines_needed_is_the_most_of_their_re_runs():
    ((name, seen),) = drift.seen_elsewhere([*outcomes(0.1, 0.3, 0.2), *outcomes(9.0, cpu="X")]).items()
    assert name == ("b", "t", "loss")
    assert seen == {"runs": 3, "kinds": {"Y, AVX512, 1 thread"}, "needed": 0.3, "largest": 0.3}
    assert drift.seen_elsewhere(outcomes(0.1, None))[name]["needed"] == math.inf
    assert drift.seen_elsewhere(outcomes(9.0, cpu="X")) == {}


def test_a_changed_result_drifts(tmp_path):
    study, store = STUDIES["ec-pde"], Store(tmp_path)
    collect(study, "smoke", seeds=1, device="cpu", store=store, report=lambda line: None)

    def worse(*given):
        tables = study.run(*given)
        return tables | {"losses": tables["losses"].assign(loss=tables["losses"]["loss"] * 3)}

    changed = replace(study, run=worse)
    (found,) = drift.drift(changed, "smoke", device="cpu", store=store, report=lambda line: None)
    assert not found["ok"]
    assert {row["metric"] for row in found["metrics"] if not row["ok"]} == {"loss"}


def test_what_cannot_be_drawn_is_told_before_any_work(tmp_path, monkeypatch):
    store, study = Store(tmp_path), STUDIES["ec-pde"]
    with pytest.raises(InputError, match="--scale smoke: there is no stored result of ec-pde"):
        drift.drift(study, "smoke", store=store)
    with pytest.raises(InputError, match="at least 1"):
        drift.drift(study, "smoke", runs=0, store=store)
    with pytest.raises(InputError, match=r"that took at most 2\.5 minutes \(--at-most\): give more"):
        drift.drift(study, "smoke", at_most=2.5, store=store)
    with pytest.raises(InputError, match="no scale 'papr': use"):
        drift.drift(study, "papr", store=store)
    monkeypatch.setattr(drift, "read_tolerances", dict)
    with pytest.raises(InputError, match="no tolerance for ec-pde"):
        drift.drift(study, "smoke", store=store)


def test_groups_are_counted_apart():
    entry = {"t": {"rows": ["method", "kind"], "by": ["kind"], "loss": {"absolute": 0, "share": 0.5}}}
    table = TABLE.assign(kind=["x", "x", "y", "y"])
    found = comparison.compare({"t": table}, {"t": table.assign(loss=[1.0, 2.0, 9.0, 9.0])}, entry)
    assert list(found["group"]) == ["x", "y"]
    assert list(found["ok"]) == [True, False]
    one, other = ({**entry["t"], "where": {"kind": [kind]}} for kind in "xy")
    assert list(comparison.compare({"t": table}, {"t": table}, {"t": [one, other]})["group"]) == ["x", "y"]
    assert "group" not in comparison.compare(
        {"t": table}, {"t": table}, {"t": {"rows": ["method"], "loss": {"absolute": 0}}}
    )
