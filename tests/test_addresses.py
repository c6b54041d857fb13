"""The list of all addresses of the paper scale, against the presets and against what is stored."""

from pathlib import Path

import pytest
import yaml

from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.studies.configuration import config_hash

RESULTS = Path(__file__).parents[1] / "data" / "results"
LISTED = yaml.safe_load((RESULTS / "addresses.yaml").read_text(encoding="utf-8"))
NOT_RUN = "not run"


def stored(study: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for path in Store(RESULTS).paths("paper", study):
        found.setdefault(path.parent.name, []).append(int(path.name.removeprefix("seed-")))
    return found


def test_every_study_is_listed():
    assert sorted(LISTED) == sorted(STUDIES)
    with_results = [name for name, entries in LISTED.items() if any(entry["seeds"] != NOT_RUN for entry in entries)]
    assert sorted(path.name for path in (RESULTS / "paper").iterdir()) == sorted(with_results)


@pytest.mark.parametrize("study", STUDIES)
def test_addresses_of_presets_have_not_moved(study):
    addresses = [config_hash(config) for config in STUDIES[study].presets["paper"]]
    assert [entry["address"] for entry in LISTED[study] if entry.get("preset", True)] == addresses


@pytest.mark.parametrize("study", STUDIES)
def test_what_is_listed_is_stored_and_what_is_stored_is_listed(study):
    assert stored(study) == {entry["address"]: entry["seeds"] for entry in LISTED[study] if entry["seeds"] != NOT_RUN}


@pytest.mark.parametrize("study", STUDIES)
def test_seeds_of_an_address_are_a_list_or_not_run(study):
    for entry in LISTED[study]:
        assert entry.keys() <= {"address", "seeds", "preset"}
        assert entry["seeds"] == NOT_RUN or (entry["seeds"] and all(seed > 0 for seed in entry["seeds"]))
