"""The list of studies: light to load, and at addresses that no registry moves."""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import pytest

from prunebook import units, weights
from prunebook.studies import STUDIES
from prunebook.studies.configuration import config_hash
from prunebook.studies.elimination_compensation import config as compensation_config
from prunebook.studies.head_to_head import config as settings
from prunebook.studies.head_to_head.config import OnUnits, OnWeights, is_tuned, scope_of
from prunebook.studies.mean_replacement.config import AlongTraining
from prunebook.weights import COMPENSATIONS, CRITERIA, METHODS

ADDRESSES = """
from prunebook.studies import STUDIES
from prunebook.studies.configuration import config_hash
for name, study in STUDIES.items():
    for scale, configs in study.presets.items():
        print(name, scale, *map(config_hash, configs))
"""


def printed(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_list_of_studies_loads_neither_torch_nor_what_draws():
    names = ("torch", "matplotlib", "pandas", "numpy", "prunebook.weights", "prunebook.units")
    code = f"import sys, prunebook.studies; print(*[name for name in {names} if name in sys.modules])"
    assert printed(code).strip() == ""


def test_what_a_registry_gains_moves_no_address():
    more = """
from prunebook import units, weights
from prunebook.weights import criteria, compensations
criteria.CRITERIA["new"] = criteria.CRITERIA["magnitude"]
compensations.COMPENSATIONS["new"] = compensations.COMPENSATIONS["mean"]
weights.register(weights.Method("new", "New", "new", "new", scope="row", from_paper=True))
units.SCORES["new"] = units.SCORES["norm"]
assert all("new" in names for names in (weights.METHODS, weights.CRITERIA, weights.COMPENSATIONS, units.SCORES))
"""
    plain = printed(ADDRESSES)
    assert len(plain.splitlines()) == 3 * len(STUDIES)
    assert printed(more + ADDRESSES) == plain


def test_what_a_registry_gains_tunes_nothing_else(monkeypatch):
    config = next(c for c in STUDIES["head-to-head"].presets["paper"] if c.net == "lenet")
    pair = ("obd", "mean")
    assert not is_tuned(config, *pair)
    method = weights.Method("new", "New", *pair, scope="row")
    monkeypatch.setitem(METHODS, "new", method)
    monkeypatch.setitem(METHODS, "obd", replace(method, name="obd"))
    assert not is_tuned(config, *pair)
    assert scope_of("obd") == "network"


def test_the_names_written_down_are_those_of_the_registries():
    methods = {name: METHODS[name] for name in compensation_config.METHODS}
    pairs = {(method.criterion, method.compensation) for method in methods.values()}
    assert {pair for pair in pairs if pair[1] != "none"} == set(settings.METHOD_PAIRS)
    for name in set(OnWeights().rankings) - {settings.SENSITIVITY}:
        assert name in CRITERIA
        assert scope_of(name) == (methods[name].scope if name in methods else "network")
    assert set(OnWeights().compensations) <= set(COMPENSATIONS)
    assert set(OnUnits().scores) | set(AlongTraining().scores) <= set(units.SCORES)
    assert set(AlongTraining().sets) <= set(units.LAYER_SETS)


@pytest.mark.parametrize("name", STUDIES)
def test_what_measures_is_found_at_the_first_call(name, monkeypatch):
    study = STUDIES[name]
    module = import_module(study.module)
    monkeypatch.setattr(module, "prepare", lambda *given: given)
    monkeypatch.setattr(module, "run", lambda *given: given)
    assert study.prepare(1, 2, 3) == (1, 2, 3)
    assert study.run(1, 2, 3, 4, 5) == (1, 2, 3, 4, 5)
    assert len(set(map(config_hash, study.presets["paper"]))) == len(study.presets["paper"])
