"""What other programs read on the site keeps to its stated schema and says what the ledger says."""

import importlib
import json
import sys
from pathlib import Path

import jsonschema
import pytest

from prunebook.evidence import all_conditions, read

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))
site_data = importlib.import_module("site_data")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "root"
    site_data.write(folder)
    return folder


def loaded(site, name):
    content = json.loads((site / f"{name}.json").read_text(encoding="utf-8"))
    schema = json.loads((site / content["schema"]).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return content, jsonschema.Draft202012Validator(schema)


def test_claims_are_those_of_the_ledger_and_keep_to_their_schema(site):
    content, validator = loaded(site, "claims")
    validator.validate(content)
    assert [entry["claim"] for entry in content["claims"]] == list(read())
    content["claims"][0]["verdict"] = "supported"
    assert not validator.is_valid(content), "the schema says all there is"


def test_verdicts_are_those_of_the_ledger_and_keep_to_their_schema(site):
    content, validator = loaded(site, "verdicts")
    validator.validate(content)
    table = all_conditions()
    assert {entry["claim"]: entry["verdict"] for entry in content["verdicts"]} == dict(
        zip(table["claim"], table["verdict"], strict=True)
    )
    known = table[table["claim"] == "EC-1"]
    shown = next(entry for entry in content["verdicts"] if entry["claim"] == "EC-1")
    assert [condition["effect"] for condition in shown["conditions"]] == pytest.approx(known["effect"].tolist())
    shown["conditions"][0]["outcome"] = "perhaps"
    assert not validator.is_valid(content)
