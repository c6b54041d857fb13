"""The command line, with a toy study in the place of the real ones."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from prunebook import cli
from prunebook.data import images
from prunebook.errors import DataError, InputError
from prunebook.store import machine
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.studies.configuration import setting
from prunebook.studies.study import Study
from prunebook.workflow import doctor, drift


@dataclass(frozen=True)
class Config:
    study: ClassVar[str] = "toy"
    dataset: str = "mnist"
    widths: tuple[int, ...] = (4, 2)
    noise: float = 0.0
    epochs: int = 1


@dataclass(frozen=True)
class Precise(Config):
    precision: str = setting("single", absent="single")


CONFIGS = tuple(Config(widths=widths, noise=noise) for widths in ((4, 2), (4, 3, 2)) for noise in (0.0, 0.005))
DATA = SimpleNamespace(name="mnist", origin="test", checksums={}, stand_in=False, notice="")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """What the toy study was asked to do; stored below ``tmp_path``."""
    seen = SimpleNamespace(ran=[], devices=[], data=[], trouble=None, dataset=DATA)

    def prepare(config, data, device):
        if seen.trouble:
            raise seen.trouble
        seen.data.append(data)
        return config, seen.dataset

    def run(config, seed, dataset, device, report):
        seen.ran.append((config, seed))
        seen.devices.append(device)
        report("half way")
        return {"losses": pd.DataFrame({"method": ["a"], "loss": [1.0]})}

    study = seen.study = Study(
        name="toy",
        title="A toy study",
        config_type=Config,
        presets={"paper": CONFIGS[:2], "smoke": CONFIGS[:1], "laptop": CONFIGS},
        seeds={"smoke": 1, "laptop": 1, "paper": 2},
        prepare=prepare,
        run=run,
        module="prunebook.errors",
    )
    for name in list(STUDIES):
        monkeypatch.delitem(STUDIES, name)
    monkeypatch.setitem(STUDIES, "toy", study)
    monkeypatch.setenv("PRUNEBOOK_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PRUNEBOOK_DATA", raising=False)
    return seen


def call(*arguments, code=0):
    result = CliRunner().invoke(cli.app, list(map(str, arguments)))
    if result.exit_code != code:
        raise AssertionError(f"exit code {result.exit_code}: {result.output} {result.exception!r}")
    return result


def test_run_measures_and_says_where(toy, tmp_path):
    out = call("run", "toy", "--scale", "smoke", "--device", "cpu").stdout
    assert toy.ran == [(CONFIGS[0], 1)]
    path = Store(tmp_path / "results").path("smoke", CONFIGS[0], 1)
    assert path.is_dir()
    assert re.search(rf"^{re.escape(str(path))}  \d+\.\d s$", out, re.MULTILINE)
    assert "toy smoke | seed 1/1 | 0:00 | half way" in out
    assert out.endswith("1 results, 1 of them measured now\n")
    assert call("run", "toy", "--scale", "smoke").stdout.endswith("1 results, 0 of them measured now\n")
    call("run", "toy", "--scale", "smoke", "--fresh")
    assert len(toy.ran) == 2


def test_run_takes_seeds_and_data(toy, tmp_path):
    call("run", "toy", "--scale", "smoke", "--seed", 3, "--seed", 4, "--data", tmp_path)
    call("run", "toy", "--scale", "smoke", "--seeds", 2)
    assert [seed for _, seed in toy.ran] == [3, 4, 1, 2]
    assert toy.data == [tmp_path, None]


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        (["noise=0.005"], [1, 3]),
        (["noise=5e-3"], [1, 3]),
        (["noise=0"], [0, 2]),
        (["widths=4-3-2"], [2, 3]),
        (["widths=4-3-2", "noise=0"], [2]),
        (["noise=0", "noise=0.005", "widths=4-2"], [0, 1]),
        (["dataset=MNIST"], [0, 1, 2, 3]),
    ],
)
def test_only_chooses_configurations(toy, only, chosen):
    call("run", "toy", *(part for text in only for part in ("--only", text)))
    assert [config for config, _ in toy.ran] == [CONFIGS[index] for index in chosen]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "toys"], "there is no study 'toys': use one of toy"),
        (["run", "toy", "--scale", "huge"], "no scale 'huge': use paper, smoke, laptop"),
        (["run", "toy", "--scale", "huge", "--only", "noise=0"], "no scale 'huge'"),
        (["run", "toy", "--seeds", "0"], "must be a count of at least 1"),
        (["run", "toy", "--seed", "0"], "seeds count from 1"),
        (["run", "toy", "--seed", "1", "--seeds", "2"], "not both"),
        (["run", "toy", "--device", "tpu"], "'tpu' is unknown"),
        (["run", "toy", "--threads", "0"], "must be at least 1"),
        (["run", "toy", "--threads", "99999999999"], "at most 1024"),
        (["run", "toy", "--seed", str(2**63)], f"seed {2**63} is not a whole number from 1 to {2**31 - 1}"),
        (["run", "toy", "--seeds", "100000000"], "at most 10,000"),
        (["plan", "toy", "--seeds", "100000000"], "at most 10,000"),
        (["run", "toy", "--precision", "bf16"], "leave no choice of precision"),
        (["run", "toy", "--only", "noise"], "must look like KEY=VALUE"),
        (["run", "toy", "--only", "color=red"], "there is no 'color'; use one of dataset, widths, noise, epochs"),
        (["run", "toy", "--only", "noise=7"], "fits no configuration; there are noise: 0.0, 0.005"),
        (["run", "toy", "--only", "noise=loud"], "fits no configuration"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(toy, arguments, words):
    result = call(*arguments, code=2)
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr
    assert toy.ran == []


def test_trouble_with_data_and_results_is_told_the_same_way(toy, tmp_path):
    toy.trouble = DataError("train.gz is damaged:\nreplace it")
    assert call("run", "toy", code=2).stderr == "error: train.gz is damaged: replace it\n"
    toy.trouble = None
    call("run", "toy", "--scale", "smoke")
    path = Store(tmp_path / "results").path("smoke", CONFIGS[0], 1)
    (path / "record.json").write_text("{}")
    assert f"delete the folder {path}" in call("run", "toy", "--scale", "smoke", code=2).stderr
    toy.trouble = KeyboardInterrupt()
    assert "finished seeds are kept" in call("run", "toy", code=130).stderr
    toy.trouble = ZeroDivisionError("a defect")
    assert isinstance(call("run", "toy", code=1).exception, ZeroDivisionError), "a defect keeps its traceback"


def test_precision_is_chosen_and_has_an_address_of_its_own(toy, tmp_path):
    configs = (Precise(),)
    object.__setattr__(toy.study, "config_type", Precise)
    object.__setattr__(toy.study, "presets", {"smoke": configs})
    call("run", "toy", "--scale", "smoke", "--device", "cpu")
    call("run", "toy", "--scale", "smoke", "--device", "cpu", "--precision", "bf16")
    assert [config.precision for config, _ in toy.ran] == ["single", "bf16"]
    store = Store(tmp_path / "results")
    assert store.load("smoke", configs[0], 1).record["precision"] == "single"
    assert store.load("smoke", Precise(precision="bf16"), 1).record["precision"] == "bf16"
    told = call("run", "toy", "--scale", "smoke", "--device", "cpu", "--precision", "half", code=2).stderr
    assert "precision 'half' is unknown: use single, bf16, tf32" in told


def test_threads_are_set(toy):
    before = torch.get_num_threads()
    try:
        call("run", "toy", "--scale", "smoke", "--threads", 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_stand_in_is_announced(toy):
    toy.dataset = SimpleNamespace(**{**vars(DATA), "stand_in": True, "notice": "Digits stand in for MNIST."})
    assert "notice: Digits stand in for MNIST." in call("run", "toy", "--scale", "smoke").stdout


def older(toy):
    """All that is stored becomes the result of an earlier protocol."""
    object.__setattr__(toy.study, "version", 2)
    object.__setattr__(toy.study, "changes", {2: "ties go by index"})


def test_outdated_results_are_announced(toy):
    call("run", "toy", "--scale", "paper")
    older(toy)
    out = call("run", "toy", "--scale", "paper").stdout
    assert re.search(r"outdated: paper/toy/\w+/seed-1: ties go by index \(--fresh", out)
    assert "4 of 4 stored, 4 outdated (ties go by index)" in call("list").stdout


def test_list_counts_what_is_stored(toy, tmp_path):
    call("run", "toy", "--scale", "paper", "--seed", 1, "--seed", 3)
    call("run", "toy", "--scale", "smoke")
    (Store(tmp_path / "results").path("smoke", CONFIGS[0], 1) / "losses.parquet").unlink()
    lines = call("list").stdout.splitlines()
    assert lines[0] == "toy: A toy study"
    assert lines[1] == "  smoke   1 configs x 1 seeds, 0 of 1 stored, 1 broken"
    assert "losses.parquet is missing" in lines[2]
    assert lines[3] == "  laptop  4 configs x 1 seeds, 0 of 4 stored"
    assert lines[4] == "  paper   2 configs x 2 seeds, 2 of 4 stored, 2 of other seeds or data"


def found(name, data):
    if name == "digits":
        return "scikit-learn"
    raise DataError("put a and b there")


def checks(*arguments, code=0):
    listed = json.loads(call("doctor", "--json", *arguments, code=code).stdout)
    return {(check["part"], check["what"]): check for check in listed}


def test_doctor_says_what_is_missing_and_what_to_do(toy, monkeypatch):
    monkeypatch.setattr(images, "where", found)
    text = call("doctor").stdout
    assert f"  ok        python: {machine.versions()['python']}\n" in text
    assert "  ok        digits: scikit-learn\n" in text
    assert "  missing   mnist: not found whole\n            -> put a and b there\n" in text
    listed = checks()
    assert listed["environment", "torch"]["status"] == "ok"
    assert listed["device", "cpu"]["status"] == "ok"
    assert listed["results", "toy"]["found"] == "paper: 0 of 4 stored"
    assert listed["results", "toy"]["status"] == "missing"
    assert listed["results", "toy"]["advice"] == "prunebook run toy --scale paper"
    assert listed["folders", "results"]["status"] == "ok"


def test_doctor_follows_the_results(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "where", found)
    call("run", "toy", "--scale", "paper")
    assert checks()["results", "toy"]["status"] == "ok"
    older(toy)
    check = checks()["results", "toy"]
    assert check["status"] == "outdated"
    assert "ties go by index" in check["found"]
    assert check["advice"] == "prunebook run toy --scale paper --fresh"
    (Store(tmp_path / "results").path("paper", CONFIGS[0], 1) / "record.json").unlink()
    check = checks()["results", "toy"]
    assert check["status"] == "corrupt"
    assert "record.json is missing" in check["advice"]


def test_doctor_asks_for_the_data_in_the_named_folder(toy, tmp_path):
    assert "put the missing files of MNIST below" in checks("--data", tmp_path)["data", "mnist"]["advice"]
    assert checks()["data", "digits"]["status"] == "ok"


def test_doctor_fails_only_when_nothing_can_run(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "where", found)
    versions = machine.versions()
    with monkeypatch.context() as patch:
        patch.setattr(machine, "versions", lambda: versions | {"scipy": machine.ABSENT})
        assert checks(code=1)["environment", "scipy"]["status"] == "missing"
    assert checks()["environment", "scipy"]["status"] == "ok"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PRUNEBOOK_RESULTS", str(tmp_path / "file" / "results"))
    assert "PRUNEBOOK_RESULTS" in checks(code=1)["folders", "results"]["advice"]


def test_doctor_goes_on_after_a_stumble(toy, monkeypatch):
    def stumble(name, data):
        raise RuntimeError("no torchvision here")

    monkeypatch.setattr(images, "where", stumble)
    listed = checks()
    assert listed["data", "data"]["status"] == "failed"
    assert "no torchvision here" in listed["data", "data"]["found"]
    assert listed["results", "toy"]["status"] == "missing"


def test_doctor_compares_with_the_lock(tmp_path):
    versions = machine.versions()
    lock = tmp_path / "requirements.lock"
    lines = [f"{name}=={version} \\\n    --hash=sha256:0\n" for name, version in versions.items() if name != "python"]
    lock.write_text("".join(lines) + "    # via nobody\nnumpy==0.1 ; python_version < '3.0' \\\n")
    assert doctor._against_lock(lock).status == "ok"
    lock.write_text(lock.read_text().replace(f"numpy=={versions['numpy']}", ""))
    check = doctor._against_lock(lock)
    assert (check.status, check.found) == ("differs", f"not as pinned: numpy {versions['numpy']}")


def test_verdicts_are_printed(monkeypatch):
    module = ModuleType("prunebook.evidence")
    rows = [
        {"claim": "EC-1", "verdict": "supported", "statement": "It works.", "stale": False, "first": ""}
        | {"threshold": 1e-12, "high": float("inf"), "more_seeds": None},
        {"claim": "EC-2.2", "verdict": "inconclusive", "statement": "Always.", "stale": True, "first": "supported"}
        | {"threshold": 0.1 + 0.2, "high": 1.0, "more_seeds": 3},
    ]
    module.verdicts, module.latest = lambda: pd.DataFrame(rows), lambda table: table
    monkeypatch.setitem(sys.modules, "prunebook.evidence", module)
    lines = [line.split(maxsplit=1) for line in call("verdicts").stdout.splitlines()]
    assert lines[0] == ["EC-1", f"{'supported':<24} It works."]
    assert lines[1] == ["EC-2.2", f"{'inconclusive (outdated)':<24} Always. (before: supported)"]
    rows[0]["high"] = None  # JSON has no word for it
    assert json.loads(call("verdicts", "--json").stdout, parse_constant=pytest.fail) == rows

    def unknown():
        raise InputError("there are no claims")

    module.verdicts = unknown
    assert call("verdicts", code=2).stderr == "error: there are no claims\n"


@pytest.fixture
def toy_drift(toy, tmp_path, monkeypatch):
    """The toy study with a tolerance, and outcomes that are kept below ``tmp_path``."""
    tolerances = {"toy": {"losses": {"rows": ["method"], "loss": {"absolute": 0}}}}
    monkeypatch.setattr(drift, "read_tolerances", lambda: tolerances)
    monkeypatch.setattr(drift, "OUTCOME_FILE", tmp_path / "drift.json")
    monkeypatch.setattr(drift, "from_nothing", lambda study, config, taken: 30.0)
    return toy


def test_drift_measures_again_and_says_where_the_outcome_is(toy_drift, tmp_path):
    call("run", "toy", "--scale", "paper", "--seed", 1)
    before = len(toy_drift.ran)
    out = call("drift", "--device", "cpu").stdout
    assert len(toy_drift.ran) == before + 1
    assert "ok    losses, loss: largest 0 absolute" in out
    assert out.endswith(f"kept in {tmp_path / 'drift.json'}\n")
    assert [entry["study"] for entry in drift.last(tmp_path / "drift.json")] == ["toy"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scale", "papr"], "--scale papr: use one of smoke, laptop, paper"),
        (
            ["--scale", "smoke"],
            "--scale smoke: there is no stored result of a study with a tolerance; 'prunebook list'",
        ),
        (["--scale", "smoke", "--at-most", "5"], "--scale smoke: there is no stored result of a study"),
        (["--at-most", "0.1"], "that took at most 0.1 minutes (--at-most): give more"),
        (["toy", "--at-most", "0.1"], "no stored result of toy that took at most 0.1 minutes"),
        (["--at-most", "0"], "--at-most 0 must be more than 0 minutes"),
        (["toys"], "there is no study 'toys': use one of toy"),
    ],
)
def test_drift_that_selects_nothing_says_so(toy_drift, tmp_path, arguments, words):
    call("run", "toy", "--scale", "paper", "--seed", 1)
    before = list(toy_drift.ran)
    result = call("drift", *arguments, code=2)
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert toy_drift.ran == before
    assert not (tmp_path / "drift.json").exists()


def test_help_does_not_load_torch():
    code = "import sys, prunebook.cli; print(sorted({'torch', 'pandas', 'pyarrow'} & set(sys.modules)))"
    package = Path(machine.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=package, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    for command in ((), ("run",), ("list",), ("doctor",), ("verdicts",)):
        assert "--help" in call(*command, "--help").stdout
