"""A stored result as a Process Run Crate: everything is there, and points at what it was made from."""

import hashlib
import json
import runpy
import shutil
from pathlib import Path

import pytest

pytest.importorskip("rocrate", reason="pip install -e '.[crate]'")
ROOT = Path(__file__).resolve().parents[1]
RESULT = next(iter(sorted((ROOT / "data" / "results" / "paper" / "ec-mnist").glob("*/seed-1"))))
crate = runpy.run_path(str(ROOT / "tools" / "run_crate.py"))["crate"]


def test_a_crate_holds_the_tables_and_says_how_they_were_made(tmp_path):
    crate(RESULT).write(tmp_path)
    graph = json.loads((tmp_path / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    record = json.loads((RESULT / "record.json").read_text(encoding="utf-8"))
    assert "wfrun/process" in entities["./"]["conformsTo"]["@id"]
    (run,) = (entity for entity in graph if entity["@type"] == "CreateAction")
    assert entities["./"]["mentions"]["@id"] == run["@id"]
    assert (run["startTime"], run["endTime"]) == (record["started"], record["finished"])
    assert record["commit"] in entities[run["instrument"]["@id"]]["softwareVersion"]
    made = {reference["@id"] for reference in run["result"]}
    assert made == {"record.json", *(table["file"] for table in record["tables"].values())}
    for table in record["tables"].values():
        assert hashlib.sha256((tmp_path / table["file"]).read_bytes()).hexdigest() == table["sha256"]
    linked = [value["@id"] for entity in graph for value in links(entity)]
    assert set(linked) <= set(entities) | {"https://w3id.org/ro/crate/1.1"}


def links(entity: dict) -> list[dict]:
    values = (value for values in entity.values() for value in (values if isinstance(values, list) else [values]))
    return [value for value in values if isinstance(value, dict) and "@id" in value]


def test_a_table_that_is_gone_is_an_error(tmp_path):
    shutil.copytree(RESULT, tmp_path / "seed-1")
    (tmp_path / "seed-1" / "losses.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="losses"):
        crate(tmp_path / "seed-1")
