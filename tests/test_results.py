"""How a result lives on disk: its address, its wholeness, and whether it is outdated."""

import dataclasses
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import filelock
import numpy as np
import pandas as pd
import pytest

from prunebook import paths
from prunebook.errors import InputError, ResultError
from prunebook.store import machine, results
from prunebook.store.results import ResultMissing, Store
from prunebook.studies import STUDIES, configuration
from prunebook.studies.configuration import canonical, config_columns, config_hash, describe, setting

FACTS = {
    "module": "prunebook.errors",
    "protocol": 1,
    "device": "cpu",
    "started": "2026-01-01T00:00:00+00:00",
    "wall_time": 1.25,
    "data": {"name": "toy", "origin": "here", "checksums": {"a": "md5:1"}, "stand_in": False, "notice": ""},
}


@dataclass(frozen=True)
class Adam:
    lr: float = 1e-3


@dataclass(frozen=True)
class Sgd:
    lr: float = 1e-3


@dataclass(frozen=True)
class Config:
    study: ClassVar[str] = "toy-study"
    dataset: str = "mnist"
    widths: tuple[int, ...] = (784, 32, 10)
    noise: float = 0.005
    optimiser: Adam | Sgd = Adam()
    limit: int | None = None
    deep: tuple = (("a", 0.5), ())


@dataclass(frozen=True)
class Precise(Config):
    """With a setting that the others were stored without, at the top and in a part."""

    optimiser: Adam | Sgd = Adam()
    precision: str = setting("single", absent="single")


def table(rows=4):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "method": pd.Categorical(["ec", "magnitude"] * (rows // 2), categories=["magnitude", "ec"]),
            "ratio": rng.random(rows).astype(np.float32),
            "loss": rng.random(rows),
            "n": np.arange(rows),
            "word": ["a", "ü"] * (rows // 2),
        }
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def save(store, seed=1, config=None, **tables):
    return store.save("laptop", config or Config(), seed, tables or {"losses": table()}, FACTS)


# --- configurations ---


def test_the_address_of_a_configuration_never_changes():
    plain = {
        "study": "toy-study",
        "dataset": "mnist",
        "widths": [784, 32, 10],
        "noise": 0.005,
        "optimiser": {"class": "Adam", "lr": 0.001},
        "limit": None,
        "deep": [["a", 0.5], []],
    }
    assert canonical(Config()) == plain
    # Written down once: another value would orphan every stored result.
    assert config_hash(Config()) == "15cd089a74d2"


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "digits"},
        {"widths": (784, 32, 32, 10)},
        {"noise": 0.0050000000000000001 + 1e-17},
        {"noise": 1},
        {"limit": 0},
        {"limit": False},
        {"optimiser": Sgd()},
        {"deep": (("a",), (0.5,))},
    ],
)
def test_every_difference_gives_another_address(change):
    assert config_hash(dataclasses.replace(Config(), **change)) != config_hash(Config())


def test_a_new_setting_moves_no_address_at_the_value_that_all_had():
    plain, other = Precise(), Precise(precision="bf16")
    assert canonical(plain) == canonical(Config())
    assert config_hash(plain) == config_hash(Config()) != config_hash(other)
    assert canonical(other) == {**canonical(Config()), "precision": "bf16"}
    assert config_columns(plain) == config_columns(Config())
    assert describe(other, (plain,)) == "precision=bf16"


def test_a_later_default_renames_no_old_result():
    @dataclass(frozen=True)
    class Later(Config):
        precision: str = setting("bf16", absent="single")

    @dataclass(frozen=True)
    class Counting(Config):
        times: int | bool | float = setting(1, absent=1)

    assert config_hash(Later()) != config_hash(Config()) == config_hash(Later(precision="single"))
    assert config_hash(Counting()) == config_hash(Config())
    assert len({config_hash(Counting(times=value)) for value in (1, True, 1.0, 2)}) == 4


def test_true_and_one_are_different_configurations():
    assert config_hash(Config(limit=True)) != config_hash(Config(limit=1))
    assert config_hash(Config(noise=1.0)) != config_hash(Config(noise=1))


def test_the_name_of_the_study_is_part_of_the_address():
    @dataclass(frozen=True)
    class Other(Config):
        study: ClassVar[str] = "other"

    assert config_hash(Other()) != config_hash(Config())


@pytest.mark.parametrize("value", [[1], {"a": 1}, np.float64(1), np.int64(1), Path("x"), float("nan"), float("inf")])
def test_values_without_one_spelling_are_refused(value):
    with pytest.raises(InputError, match=r"Config\.deep\[1\] is"):
        config_hash(Config(deep=(1, value)))


def test_only_frozen_dataclasses_with_a_study_have_an_address():
    @dataclass
    class Loose:
        study: ClassVar[str] = "loose"

    @dataclass(frozen=True)
    class Nameless:
        x: int = 1

    for config, words in (
        (Loose(), "frozen"),
        ({"x": 1}, "frozen"),
        (Nameless(), "does not tell its study"),
        (Config, "frozen"),
    ):
        with pytest.raises(InputError, match=words):
            config_hash(config)


@pytest.mark.parametrize("name", ["../up", "Upper", "a/b", "", "a_b", "-a", "a\n", ".."])
def test_names_cannot_point_elsewhere(store, name):
    named = dataclasses.make_dataclass("Named", [], namespace={"study": name}, frozen=True)
    with pytest.raises(InputError, match="is not a name"):
        store.path("laptop", named(), 1)
    with pytest.raises(InputError, match="is not a name"):
        store.path(name, Config(), 1)
    with pytest.raises(InputError, match="is not a name"):
        list(store.paths("laptop", name))


@pytest.mark.parametrize("seed", [0, -1, 1.0, "1", True, None, np.int64(1)])
def test_seeds_count_from_one(store, seed):
    with pytest.raises(InputError, match="seeds count from 1"):
        configuration.check_seed(seed)


# --- saving and loading ---


def test_what_is_saved_is_loaded(store):
    tables = {"losses": table(), "layers": table(8)}
    saved = save(store, 3, **tables)
    loaded = store.load("laptop", Config(), 3)
    assert loaded.path == store.root / "laptop" / "toy-study" / config_hash(Config()) / "seed-3"
    assert set(loaded.tables) == set(tables)
    for name, expected in tables.items():
        pd.testing.assert_frame_equal(loaded.tables[name], expected)
        pd.testing.assert_frame_equal(saved.tables[name], expected)
    assert loaded.record == saved.record
    assert {file.name for file in loaded.path.iterdir()} == {"record.json", "losses.parquet", "layers.parquet"}
    assert [entry.name for entry in loaded.path.parent.iterdir()] == ["seed-3"]


def test_the_record_tells_where_the_numbers_come_from(store):
    record = save(store).record
    for key, value in FACTS.items():
        assert record[key] == value
    assert (record["study"], record["scale"], record["seed"]) == ("toy-study", "laptop", 1)
    assert record["config"] == canonical(Config())
    assert record["config_hash"] == config_hash(Config())
    assert (record["commit"], record["dirty"]) == machine.commit()
    assert record["versions"] == machine.versions()
    assert record["hardware"] == machine.hardware("cpu")
    assert record["precision"] == "single"
    assert save(store, config=Precise(precision="bf16")).record["precision"] == "bf16"
    assert record["tables"]["losses"]["rows"] == 4


def test_the_same_tables_give_the_same_bytes(store):
    first, second = (save(store, seed).path / "losses.parquet" for seed in (1, 2))
    assert first.read_bytes() == second.read_bytes()
    assert b"pandas_version" not in first.read_bytes()


def test_a_new_result_takes_the_place_of_the_old(store):
    save(store, old=table())
    result = save(store, new=table(2))
    assert set(store.load("laptop", Config(), 1).tables) == {"new"}
    assert [entry.name for entry in result.path.parent.iterdir()] == ["seed-1"]


def test_a_result_that_cannot_be_stored_leaves_the_old_one(store):
    save(store)
    mixed = pd.DataFrame({"x": [1, "a", None]})
    bad = {
        "is not a name|table name": {"Bad/Name": table()},
        "cannot be written": {"good": table(), "mixed": mixed},
        "has an index": {"indexed": table().set_index("n")},
        "unique strings": {"numbered": pd.DataFrame([[1, 2]])},
        "not a DataFrame": {"listed": [1, 2]},
        "no table": {},
    }
    for words, tables in bad.items():
        with pytest.raises(InputError, match=words):
            store.save("laptop", Config(), 1, tables, FACTS)
    for facts, words in (({"module": "x"}, "device, started"), ({**FACTS, "x": float("nan")}, "finite")):
        with pytest.raises(InputError, match=words):
            store.save("laptop", Config(), 1, {"losses": table()}, facts)
    result = store.load("laptop", Config(), 1)
    assert [entry.name for entry in result.path.parent.iterdir()] == ["seed-1"]


def test_a_swap_that_fails_half_way_keeps_the_old_result(store, monkeypatch):
    old = save(store, old=table())
    rename = Path.rename

    def failing(self, target):
        if self.name.startswith(".seed") and not self.name.endswith(".old"):
            raise OSError("disk full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(ResultError, match="cannot write"):
        save(store, new=table())
    monkeypatch.undo()
    assert set(store.load("laptop", Config(), 1).tables) == {"old"}
    assert [entry.name for entry in old.path.parent.iterdir()] == ["seed-1"]


def test_leftovers_of_a_killed_run_are_cleared_for_that_seed_only(store):
    folder = save(store).path.parent
    for name in (".seed-1.dead", ".seed-10.alive"):
        (folder / name).mkdir()
        (folder / name / "losses.parquet").write_bytes(b"half")
    save(store)
    assert {entry.name for entry in folder.iterdir()} == {"seed-1", ".seed-10.alive"}


def test_leftovers_are_not_taken_for_results(store):
    folder = save(store, 2).path.parent
    save(store, 10)
    for name in (".seed-3.dead", "seed-0", "seed-x", "seed-4.txt"):
        (folder / name).mkdir()
    (folder.parent / "notahash").mkdir()
    assert [path.name for path in store.paths("laptop", "toy-study")] == ["seed-2", "seed-10"]
    assert list(store.paths("paper", "toy-study")) == []
    assert store.seeds("laptop", Config()) == [2, 10]
    assert store.seeds("paper", Config()) == store.seeds("laptop", Config(noise=7.0)) == []


def test_a_missing_result_can_be_told_from_a_broken_one(store):
    with pytest.raises(ResultMissing, match="prunebook run"):
        store.load("laptop", Config(), 1)
    assert not store.root.exists(), "a look changes nothing"


def rewrite(path, change, reseal=False):
    record = json.loads((path / "record.json").read_text(encoding="utf-8"))
    change(record)
    if reseal:
        record.pop("checksum", None)
        record["checksum"] = configuration.digest(record)
    (path / "record.json").write_text(json.dumps(record), encoding="utf-8")


def damage_tables(path):
    content = bytearray((path / "losses.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (path / "losses.parquet").write_bytes(content)


DAMAGES = {
    "record.json is missing": lambda path: (path / "record.json").unlink(),
    "record.json cannot be read": lambda path: (path / "record.json").write_bytes(b'{"format": 1, "sc'),
    "record.json cannot be": lambda path: (path / "record.json").write_bytes(b"\xff\xfe"),
    "record.json has format None": lambda path: (path / "record.json").write_text("[1]"),
    "record.json has format 2": lambda path: rewrite(path, lambda r: r.update(format=2)),
    "record.json was changed": lambda path: rewrite(path, lambda r: r["data"].update(stand_in=True)),
    "record.json is not a record": lambda path: rewrite(path, lambda r: r.pop("checksum")),
    "losses.parquet is missing": lambda path: (path / "losses.parquet").unlink(),
    "losses.parquet does not have the checksum": damage_tables,
    "extra.parquet is not in the record": lambda path: shutil.copy(path / "losses.parquet", path / "extra.parquet"),
    "which is not where it lies": lambda path: rewrite(path, lambda r: r.update(seed=2), reseal=True),
    "does not match its hash": lambda path: rewrite(path, lambda r: r["config"].update(noise=0.1), reseal=True),
    "not a record of format": lambda path: rewrite(path, lambda r: r.pop("config"), reseal=True),
    "has 4 rows, but": lambda path: rewrite(path, lambda r: r["tables"]["losses"].update(rows=5), reseal=True),
    "names a table": lambda path: rewrite(
        path, lambda r: r["tables"].update({"../../x": {"file": "../../x.parquet"}}), reseal=True
    ),
    "names a table '": lambda path: rewrite(
        path, lambda r: r["tables"]["losses"].update(file="../seed-2/losses.parquet"), reseal=True
    ),
}


@pytest.mark.parametrize("words", DAMAGES)
def test_a_damaged_result_is_refused_with_file_and_remedy(store, words):
    path = save(store).path
    DAMAGES[words](path)
    with pytest.raises(ResultError, match=words) as caught:
        store.load("laptop", Config(), 1)
    assert not isinstance(caught.value, ResultMissing)
    assert f"delete the folder {path}" in str(caught.value)
    assert "--fresh" in str(caught.value)


def test_a_result_in_the_place_of_another_is_refused(store):
    path = save(store).path
    shutil.copytree(path, path.with_name("seed-2"))
    with pytest.raises(ResultError, match="not where it lies"):
        store.load("laptop", Config(), 2)
    other = store.path("laptop", Config(noise=0.01), 1)
    shutil.copytree(path, other)
    with pytest.raises(ResultError, match="not where it lies"):
        store.load("laptop", Config(noise=0.01), 1)


def test_an_outdated_result_is_told_what_has_changed(store):
    result = save(store)
    changes = {2: "counts are rounded", 3: "ties go by index"}
    study = dataclasses.replace(STUDIES["ec-pde"], version=1, changes={})
    assert results.outdated(result, study) == ()
    study = dataclasses.replace(STUDIES["ec-pde"], version=3, changes=changes)
    assert results.outdated(result, study) == ("counts are rounded", "ties go by index")
    newer = dataclasses.replace(result, record={**result.record, "protocol": 2})
    assert results.outdated(newer, study) == ("ties go by index",)
    (told,) = results.outdated(newer, dataclasses.replace(STUDIES["ec-pde"], version=1, changes={}))
    assert "version 2 of the protocol" in told
    old = {key: value for key, value in result.record.items() if key != "protocol"}
    assert results.outdated(dataclasses.replace(result, record=old), study) == tuple(changes.values())


def test_a_version_that_is_kept_is_not_outdated(store):
    result = save(store)
    changes = {2: "counts are rounded", 3: "ties go by index"}
    study = dataclasses.replace(STUDIES["ec-pde"], version=3, changes=changes, kept=(1,))
    assert results.outdated(result, study) == ()
    newer = dataclasses.replace(result, record={**result.record, "protocol": 2})
    assert results.outdated(newer, study) == ("ties go by index",)
    with pytest.raises(InputError, match="kept names version 3"):
        dataclasses.replace(study, kept=(1, 3))


def test_records_of_earlier_releases_stay_readable(store):
    """They have the hashes of the code, and neither version nor precision."""
    path = save(store).path
    record = json.loads((path / "record.json").read_text())
    record = {key: value for key, value in record.items() if key not in ("protocol", "precision", "checksum")}
    record |= {"code_hash": "0" * 16, "code_modules": {"prunebook.training.sgd": "0" * 16}}
    record["checksum"] = configuration.digest(record)
    (path / "record.json").write_text(json.dumps(record))
    assert store.load("laptop", Config(), 1).record["code_modules"] == {"prunebook.training.sgd": "0" * 16}


# --- locks and places ---


HOLD = """
import filelock, sys
with filelock.FileLock(sys.argv[1]):
    print("taken", flush=True)
    sys.stdin.read()
"""


def test_a_seed_in_work_elsewhere_is_locked(store):
    held = store.lock("laptop", Config(), 1).lock_file
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, held], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout.readline() == "taken\n"
        with pytest.raises(filelock.Timeout), store.lock("laptop", Config(), 1, timeout=0):
            pass
        with store.lock("laptop", Config(), 2, timeout=0):
            pass
        with store.lock("paper", Config(), 1, timeout=0):
            pass
        other.kill()  # a process that dies lets go
    with store.lock("laptop", Config(), 1, timeout=0), store.lock("laptop", Config(), 1, timeout=0):
        save(store)  # the one that holds a lock may take it again
    assert not any(store.load("laptop", Config(), 1).path.glob("*.lock"))


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="PRUNEBOOK_RESULTS"):
        save(Store(tmp_path / "file"))


def test_where_results_live(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEBOOK_RESULTS", str(tmp_path / "chosen"))
    assert Store().root == tmp_path / "chosen"
    monkeypatch.delenv("PRUNEBOOK_RESULTS")
    for marker in ("pyproject.toml", "data/claims.yaml"):
        home = tmp_path / marker.replace("/", "-")
        (home / marker).parent.mkdir(parents=True, exist_ok=True)
        (home / marker).write_text("")
        monkeypatch.setattr(paths, "PACKAGE_DIR", home / "src" / "prunebook")
        assert Store().root == home / "data" / "results"
    monkeypatch.setattr(paths, "PACKAGE_DIR", tmp_path / "lib" / "site-packages" / "prunebook")
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path / "cache"))
    assert Store().root == tmp_path / "cache" / "results"
