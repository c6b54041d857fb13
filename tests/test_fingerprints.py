"""Behaviour against the committed fingerprints: one test a study, which fails where a number has changed."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from prunebook.cli import app
from prunebook.errors import InputError
from prunebook.store import fingerprints
from prunebook.store.probes import PROBES
from prunebook.studies import STUDIES


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(f"fingerprint-{name}")) for name in STUDIES]
)
def test_a_study_does_what_it_did(name):
    study = STUDIES[name]
    then = fingerprints.read(name)
    wrong = fingerprints.told(
        name, fingerprints.differences(then, fingerprints.take(study), fingerprints.tolerances(name))
    )
    assert not wrong, wrong
    taken, now = fingerprints.versions()[name]["protocol"], study.version
    assert taken == now, f"the fingerprint of {name} is of version {taken}, the study of version {now}: write it anew"


def test_every_study_has_probes_of_its_own_kind():
    assert sorted(PROBES) == sorted(STUDIES) == sorted(fingerprints.versions())
    for name, probes in PROBES.items():
        STUDIES[name].check(probes.values(), "probes")


TABLE = pd.DataFrame(
    {
        "probe": ["one"] * 6,
        "method": list("aaabbb"),
        "ratio": [0.1, 0.2, 0.3] * 2,
        "loss": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "kept": [9, 8, 7, 9, 8, 7],
    }
)
ALLOWED = {
    "t": {
        "rows": ["method", "ratio"],
        "by": ["method"],
        "loss": {"relative": 1e-3, "share": 0.6},
        "kept": {"absolute": 0},
    }
}


def wrong(now: pd.DataFrame, then: pd.DataFrame = TABLE) -> set[tuple[str, str]]:
    found = fingerprints.differences({"t": then}, {"t": now}, ALLOWED)
    bad = found[~found["ok"].astype(bool)]
    return {(row.metric, row.group) for row in bad.itertuples()}


def test_equal_tables_do_not_differ():
    assert wrong(TABLE) == set()
    assert fingerprints.told("s", fingerprints.differences({"t": TABLE}, {"t": TABLE}, ALLOWED)) == ""


def test_a_fault_of_one_method_is_not_diluted():
    one, two = TABLE.copy(), TABLE.copy()
    one.loc[3, "loss"] = 9.0  # a third of b's rows, which is forgiven
    two.loc[3:4, "loss"] = 9.0  # two thirds of them, but a third of all
    assert wrong(one) == set()
    assert wrong(two) == {("loss", "one/b")}


def test_an_exact_count_forgives_nothing():
    now = TABLE.copy()
    now.loc[0, "kept"] += 1
    assert wrong(now) == {("kept", "one/a")}


def test_a_column_or_row_that_is_lost_or_new_differs():
    assert wrong(TABLE.drop(columns="kept")) == {("kept", "")}
    assert wrong(TABLE.assign(more=1)) == {("more", "")}
    assert wrong(TABLE.iloc[1:]) == {("kept", "one/a")}


def test_a_table_that_is_lost_or_new_differs():
    found = fingerprints.differences({"t": TABLE}, {"t": TABLE, "u": TABLE}, ALLOWED)
    assert fingerprints.told("s", found).startswith("1 of 3 columns of s differ, first u")


def test_a_number_without_tolerance_is_refused():
    both = TABLE.assign(more=1)
    with pytest.raises(InputError, match="no tolerance for t, more"):
        wrong(both, both)


def test_rows_may_have_tolerances_of_their_own_but_none_may_be_left_out():
    entry = ALLOWED["t"]
    tight = {**entry, "where": {"method": ["a"]}, "loss": {"relative": 1e-3}}
    wide = {**entry, "where": {"method": ["b"]}, "loss": {"relative": 10}}
    now = TABLE.assign(loss=TABLE["loss"] + 1)
    found = fingerprints.differences({"t": TABLE}, {"t": now}, {"t": [tight, wide]})
    assert list(found.loc[~found["ok"].astype(bool), "group"]) == ["one/a"]
    with pytest.raises(InputError, match="for 3 of its 6 rows"):
        fingerprints.differences({"t": TABLE}, {"t": now}, {"t": [tight]})


def test_only_probes_that_were_taken_are_looked_at():
    then = pd.concat([TABLE, TABLE.assign(probe="two", loss=0.0)])
    assert wrong(TABLE, then) == set()


def test_the_message_names_study_table_column_and_group():
    now = TABLE.assign(loss=0.0)
    found = fingerprints.differences({"t": TABLE}, {"t": now}, ALLOWED)
    assert fingerprints.told("s", found).startswith(
        "1 of 2 columns of s differ, first t.loss of one/a: a mistake, or raise the version"
    )


def test_what_is_written_is_read_again(tmp_path):
    study = STUDIES["mr-pictures"]
    tables = fingerprints.take(study, ["digits"])
    fingerprints.write(study, tables, tmp_path)
    again = fingerprints.read(study.name, tmp_path)
    assert again.keys() == tables.keys()
    for name, table in tables.items():
        pd.testing.assert_frame_equal(again[name], table)
    assert fingerprints.versions(tmp_path)[study.name]["protocol"] == study.version


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="has no fingerprint"):
        fingerprints.read("ec-pde", tmp_path)
    with pytest.raises(InputError, match="has no probe x: choose from noise"):
        fingerprints.take(STUDIES["ec-pde"], ["x"])


def test_the_command_refuses_an_unknown_study():
    found = CliRunner().invoke(app, ["fingerprint", "nothing"])
    assert found.exit_code == 2
    assert "there is no study 'nothing'" in found.output
