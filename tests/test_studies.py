"""Carrying out a study: what is looked up, what is measured, in one process and in several."""

import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pandas as pd
import pytest
import torch

from prunebook.errors import DataError, InputError, ResultError
from prunebook.networks.device import resolve_device
from prunebook.pages.run_card import versions_text
from prunebook.store import machine
from prunebook.store.collect import collect, stored
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.studies.configuration import describe, seed_list
from prunebook.studies.study import Study


@dataclass(frozen=True)
class Config:
    study: ClassVar[str] = "toy"
    dataset: str = "mnist"
    widths: tuple[int, ...] = (4, 2)
    noise: float = 0.0
    ratios: tuple[float, ...] = (0.1, 0.5)
    limit: int | None = None


@dataclass(frozen=True)
class Precise(Config):
    precision: str = "single"


@dataclass
class Lab:
    """A toy study that writes down what it was asked to do."""

    store: Store
    real: bool = True
    checksums: dict = field(default_factory=lambda: {"images": "md5:1"})
    prepared: list = field(default_factory=list)
    ran: list = field(default_factory=list)
    said: list = field(default_factory=list)
    fail_at: int = 0

    def prepare(self, config, data, device):
        self.prepared.append((config, data, device))
        name = config.dataset if self.real else "digits"
        notice = "" if self.real else "Digits stand in for MNIST."
        dataset = SimpleNamespace(
            name=name, origin="test", checksums=self.checksums, stand_in=not self.real, notice=notice
        )
        return replace(config, dataset=name), dataset

    def run(self, config, seed, dataset, device, report):
        if seed == self.fail_at:
            raise KeyboardInterrupt
        report("half way")
        self.ran.append((config.noise, seed))
        method = pd.Categorical(["a", "b"], categories=["b", "a"])
        return {
            "losses": pd.DataFrame({"method": method, "loss": [config.noise, float(seed)]}),
            "cost": pd.DataFrame({"seconds": [1.0]}),
        }

    def study(self, **changes):
        presets = {"smoke": (Config(),), "laptop": (Config(noise=0.1), Config(noise=0.2))}
        facts = {"name": "toy", "title": "A toy", "config_type": Config, "module": "prunebook.errors"}
        facts |= {"presets": presets, "seeds": {"smoke": 1, "laptop": 3}}
        return Study(**{"prepare": self.prepare, "run": self.run, **facts, **changes})

    def collect(self, scale="laptop", **changes):
        options = {"device": "cpu", "store": self.store, "report": self.said.append}
        return collect(self.study(), scale, **options | changes)


@pytest.fixture
def lab(tmp_path):
    return Lab(Store(tmp_path))


PAIRS = [(noise, seed) for noise in (0.1, 0.2) for seed in (1, 2, 3)]


def test_a_study_is_measured_once_and_then_looked_up(lab):
    first = lab.collect()
    assert lab.ran == PAIRS
    assert first.measured == 6
    lab.prepared.clear()
    second = lab.collect()
    assert lab.ran == PAIRS, "nothing is measured twice"
    assert lab.prepared == [], "stored results do not need the data"
    assert second.measured == 0
    assert second.tables.keys() == first.tables.keys() == {"losses", "cost"}
    for name in first.tables:
        pd.testing.assert_frame_equal(first.tables[name], second.tables[name])
    assert second.records == first.records
    assert (second.study, second.scale, second.stand_in, second.notices) == ("toy", "laptop", False, ())
    assert second.stale == {}


def test_tables_carry_configuration_and_seed(lab):
    losses = lab.collect().tables["losses"]
    assert list(losses.columns) == ["dataset", "widths", "noise", "limit", "seed", "method", "loss"]
    assert len(losses) == 12
    assert list(losses.index) == list(range(12))
    assert set(losses["widths"]) == {"4-2"}
    assert isinstance(losses["method"].dtype, pd.CategoricalDtype)
    rows = losses[losses["method"] == "b"]
    assert rows["loss"].tolist() == [1, 2, 3, 1, 2, 3] == rows["seed"].tolist()
    rows = losses[losses["method"] == "a"]
    assert rows["loss"].tolist() == rows["noise"].tolist() == [0.1] * 3 + [0.2] * 3


def test_records_follow_configurations_and_seeds(lab):
    records = lab.collect(seeds=(3, 1)).records
    assert [(r["config"]["noise"], r["seed"]) for r in records] == [(0.1, 3), (0.1, 1), (0.2, 3), (0.2, 1)]
    assert records[0]["data"] == {
        "name": "mnist", "origin": "test", "checksums": {"images": "md5:1"}, "stand_in": False, "notice": ""
    }  # fmt: skip
    assert records[0]["module"] == "prunebook.errors"
    assert records[0]["device"] == "cpu"
    assert records[0]["wall_time"] >= 0


def test_only_what_is_missing_is_measured(lab):
    lab.collect(seeds=1)
    lab.prepared.clear()
    assert lab.collect(seeds=2).measured == 2
    assert lab.ran == [(0.1, 1), (0.2, 1), (0.1, 2), (0.2, 2)]
    assert len(lab.prepared) == 2, "once a configuration"
    assert lab.collect(seeds=[2], configs=[Config(noise=0.2)]).measured == 0


def test_an_interrupted_study_goes_on(lab):
    lab.fail_at = 2
    with pytest.raises(KeyboardInterrupt):
        lab.collect()
    lab.fail_at = 0
    assert lab.collect().measured == 5
    assert lab.ran == PAIRS


def test_fresh_measures_anew(lab):
    lab.collect()
    assert lab.collect(fresh=True, seeds=2).measured == 4
    assert lab.ran == [*PAIRS, (0.1, 1), (0.1, 2), (0.2, 1), (0.2, 2)]


def test_fresh_takes_the_place_of_a_broken_result(lab):
    path = lab.collect("smoke").results[0].path
    (path / "losses.parquet").write_bytes(b"?")
    with pytest.raises(ResultError, match=r"losses\.parquet does not have the checksum"):
        lab.collect("smoke")
    assert lab.collect("smoke", fresh=True).measured == 1
    assert lab.collect("smoke").measured == 0


def test_a_stand_in_has_an_address_of_its_own(lab):
    lab.real = False
    done = lab.collect("smoke")
    assert done.stand_in
    assert done.notices == ("Digits stand in for MNIST.",)
    assert done.records[0]["config"]["dataset"] == "digits"
    assert set(done.tables["losses"]["dataset"]) == {"digits"}
    assert lab.collect("smoke").measured == 0
    lab.real = True
    done = lab.collect("smoke")
    assert (done.measured, done.stand_in, done.notices) == (1, False, ())
    lab.real = False
    assert not lab.collect("smoke").stand_in, "the real result is there"


def test_real_data_and_a_stand_in_do_not_mix(lab):
    lab.collect(seeds=1)
    lab.real = False
    with pytest.raises(DataError, match=r"2 results of toy at laptop were measured on mnist, .* stand-in digits"):
        lab.collect(seeds=2)
    assert len(lab.ran) == 2
    assert lab.collect(seeds=2, fresh=True).stand_in


def test_configurations_that_become_one_are_refused(lab):
    lab.real = False
    configs = [Config(dataset="mnist"), Config(dataset="cifar10")]
    with pytest.raises(DataError, match="become the same on digits"):
        lab.collect(configs=configs, seeds=1)


def test_named_data_are_looked_at_first(lab):
    lab.collect("smoke")
    lab.prepared.clear()
    assert lab.collect("smoke", data="folder").measured == 0
    assert lab.prepared == [(Config(), "folder", "cpu")]
    lab.checksums = {"images": "md5:2"}
    with pytest.raises(ResultError, match=r"measured on other data .*\(images differ\)"):
        lab.collect("smoke", data="folder")
    lab.checksums = {"images.gz": "md5:3"}
    assert lab.collect("smoke", data="folder").measured == 0, "another form of the same data"


def test_data_that_differ_from_before_are_told(lab):
    done = lab.collect("smoke", seeds=1)
    place = "/".join(done.results[0].path.parts[-4:])
    lab.checksums = {"images": "md5:2"}
    assert lab.collect("smoke", seeds=1).notices == (), "no look at the data, no difference seen"
    told = f"The result {place} was measured on other data than there is now (images differ)."
    assert lab.collect("smoke", seeds=2).notices == (told,)


def test_a_stored_stand_in_is_not_taken_for_the_real_thing(lab):
    lab.real = False
    lab.collect("smoke")
    lab.real = True
    with pytest.raises(ResultError, match="stand_in differ"):
        lab.collect("smoke", configs=[Config(dataset="digits")], data="folder")


def test_outdated_results_are_used_and_named(lab):
    done = lab.collect("smoke")
    assert done.records[0]["protocol"] == 1
    newer = lab.study(version=2, changes={2: "ties go by index"})
    again = collect(newer, "smoke", device="cpu", store=lab.store, report=lab.said.append)
    assert again.measured == 0
    place = "/".join(done.results[0].path.parts[-4:])
    assert again.stale == {place: ("ties go by index",)}
    assert again.changes == ("ties go by index",)
    anew = collect(newer, "smoke", device="cpu", store=lab.store, fresh=True, report=lab.said.append)
    assert (anew.measured, anew.stale, anew.records[0]["protocol"]) == (1, {}, 2)


def test_seeds_of_two_versions_stand_side_by_side(lab):
    """The earlier ones lack a column, and are neither outdated nor measured again."""
    first = lab.collect("smoke", seeds=[1, 2])
    newer = lab.study(version=2, changes={2: "counts are rounded"}, kept=(1,))

    def run(*given):
        return {name: table.assign(error=0.5) for name, table in lab.run(*given).items()}

    options = {"seeds": [1, 2, 3], "device": "cpu", "store": lab.store, "report": lab.said.append}
    both = collect(replace(newer, run=run), "smoke", **options)
    assert (both.measured, both.stale, both.changes) == (1, {}, ())
    assert both.versions == {1: (1, 2), 2: (3,)}
    assert first.versions == {1: (1, 2)}
    for table in both.tables.values():
        assert table.loc[table["seed"] < 3, "error"].isna().all()
        assert (table.loc[table["seed"] == 3, "error"] == 0.5).all()
    text = versions_text(both.versions, newer)
    assert "seeds 1 and 2 are of version 1 and seed 3 is of version 2" in text
    assert "What changed: counts are rounded." in text
    assert versions_text(collect(newer, "smoke", **{**options, "seeds": [3]}).versions, newer) == ""
    anew = collect(replace(newer, run=run), "smoke", **options, fresh=True)
    assert (anew.measured, anew.versions) == (3, {2: (1, 2, 3)})


def test_seeds_come_as_text_too():
    for given in ([1, 2], "[1, 2]", " [1,2] ", (1, 2)):
        assert seed_list(given) == (1, 2)
    assert seed_list("3") == (1, 2, 3)
    assert seed_list([2**31 - 1]) == (2**31 - 1,)
    for wrong in ("two", "[1, ", "[0]", "[1, 1]", "1.5", "", "true", "{}", [2**31], 10_001):
        with pytest.raises(InputError, match="seed"):
            seed_list(wrong)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"version": 2}, r"changes tell of \[\], and version is 2"),
        ({"version": 0}, "version is 0"),
        ({"version": True}, "version is True"),
        ({"changes": {2: "more"}}, r"tell of \[2\], and version is 1"),
        ({"version": 3, "changes": {2: "more"}}, "every version from 2 on"),
        ({"version": 2, "changes": {2: " "}}, r"changes\[2\] is empty"),
        ({"probes": (3,)}, "probes holds 3"),
    ],
)
def test_every_version_of_a_protocol_has_its_sentence(lab, given, words):
    with pytest.raises(InputError, match=words):
        lab.study(**given)


def test_a_precision_that_cannot_be_had_is_told_before_any_work(lab):
    for precision, words in (("half", "use single, bf16, tf32"), ("tf32", "only on newer GPUs")):
        configs = [Precise(precision=precision)]
        with pytest.raises(InputError, match=words):
            collect(lab.study(config_type=Config), "smoke", configs=configs, device="cpu", store=lab.store)
    assert lab.prepared == []


def test_what_is_stored_can_be_had_without_measuring(lab):
    study = lab.study()
    assert stored(study, "laptop", store=lab.store) is None
    assert lab.prepared == []
    whole = lab.collect(seeds=[1, 2, 9], configs=study.presets["laptop"][1:])
    found = stored(study, "laptop", store=lab.store)
    pd.testing.assert_frame_equal(found.tables["losses"], whole.tables["losses"])
    assert (found.measured, found.scale, found.records) == (0, "laptop", whole.records)
    lab.real = False
    lab.collect("smoke")
    assert stored(study, "smoke", store=lab.store) is None, "a stand-in is no result of the presets"
    with pytest.raises(InputError, match="no scale 'huge'"):
        stored(study, "huge", store=lab.store)
    (whole.results[0].path / "record.json").unlink()
    with pytest.raises(ResultError, match=r"record\.json is missing"):
        stored(study, "laptop", store=lab.store)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": "huge"}, "no scale 'huge': use smoke, laptop"),
        ({"seeds": 0}, "at least 1"),
        ({"seeds": -2}, "at least 1"),
        ({"seeds": 1.5}, "at least 1"),
        ({"seeds": "three"}, "at least 1"),
        ({"seeds": True}, "at least 1"),
        ({"seeds": ()}, "at least one"),
        ({"seeds": (1, 1)}, "each of them once"),
        ({"seeds": (1, 0)}, "seeds count from 1"),
        ({"seeds": [1, 2.0]}, "seeds count from 1"),
        ({"device": "tpu"}, "'tpu' is unknown: use auto, cpu, cuda"),
        ({"configs": ()}, "at least one configuration"),
        ({"configs": (Config(), Config())}, "each once"),
        ({"configs": ({"noise": 1},)}, "not a Config"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(lab, options, words):
    with pytest.raises(InputError, match=words):
        lab.collect(**options)
    assert lab.prepared == lab.ran == []


def test_a_gpu_that_is_not_there_is_refused(lab, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == "cpu"
    with pytest.raises(InputError, match=r"torch\.cuda\.is_available\(\) is False"):
        lab.collect(device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == resolve_device("cuda") == "cuda"
    assert resolve_device("cpu") == "cpu"


def test_a_table_may_not_hide_the_configuration(lab):
    def run(config, seed, dataset, device, report):
        return {"losses": pd.DataFrame({"noise": [1.0], "seed": [2]})}

    study = lab.study(run=run)
    with pytest.raises(InputError, match="'losses' has the columns noise, seed"):
        collect(study, "smoke", device="cpu", store=lab.store, report=lab.said.append)
    assert list(lab.store.paths("smoke", "toy")) == []


def test_as_few_words_as_tell_a_configuration_from_the_others():
    presets = STUDIES["mr-training"].presets["paper"]
    assert [describe(config, presets) for config in presets] == [
        "net=small",
        "net=medium batch_norm=False",
        "net=medium batch_norm=True steps=46920",
        "net=vgg11 steps=46920",
        "net=medium batch_norm=True steps=5000",
        "net=vgg11 steps=2000",
    ]
    for study in STUDIES.values():
        for configs in study.presets.values():
            assert len({describe(config, configs) for config in configs}) == len(configs)
    assert describe(presets[0], presets[:1]) == ""


def test_progress_is_a_line_at_a_time(lab):
    lab.collect(seeds=[2, 5])
    assert lab.said[0] == "toy laptop | config 1/2 noise=0.1 | seed 1/2 | 0:00 | loading the data"
    assert lab.said[1] == "toy laptop | config 1/2 noise=0.1 | seed 1/2 | 0:00 | start on mnist, cpu"
    assert lab.said[2] == "toy laptop | config 1/2 noise=0.1 | seed 1/2 | 0:00 | half way"
    last = r"toy laptop \| config 2/2 noise=0\.2 \| seed 2/2 \| \d:\d\d \| done in 0\.\d s"
    assert re.match(last, lab.said[-1])
    assert not any("\n" in line for line in lab.said)


def test_a_study_is_checked_when_it_is_declared(lab):
    presets = {"smoke": (Config(),)}
    for changes, words in (
        ({"presets": presets}, "same scales"),
        ({"presets": {"tiny": (Config(),)}, "seeds": {"tiny": 1}}, "same scales"),
        ({"presets": {"smoke": ()}, "seeds": {"smoke": 1}}, "at least one configuration"),
        ({"presets": {"smoke": ("x",)}, "seeds": {"smoke": 1}}, "not a Config"),
        ({"presets": presets, "seeds": {"smoke": 0}}, "at least 1"),
        ({"name": "other"}, "holds a configuration of 'toy'"),
    ):
        with pytest.raises(InputError, match=words):
            lab.study(**changes)


def test_a_field_may_tell_the_study(lab):
    @dataclass(frozen=True)
    class Shared:
        study: str
        dataset: str = "mnist"
        noise: float = 0.0

    for name in ("one", "two"):
        config = Shared(name)
        study = lab.study(name=name, config_type=Shared, presets={"smoke": (config,)}, seeds={"smoke": 1})
        done = collect(study, "smoke", device="cpu", store=lab.store, report=lab.said.append)
        assert done.measured == 1
        assert done.results[0].path.parts[-3] == name
        assert "study" not in done.tables["losses"]


WORKER = """
    import sys, time
    from pathlib import Path
    from types import SimpleNamespace
    from dataclasses import dataclass
    from typing import ClassVar
    import pandas as pd
    # Only asked for its threads and the processor here, and it takes long to import.
    processor = SimpleNamespace(get_cpu_capability=lambda: "TEST")
    sys.modules["torch"] = SimpleNamespace(get_num_threads=lambda: 1, backends=SimpleNamespace(cpu=processor))
    from prunebook.store.results import Store
    from prunebook.store.collect import collect
    from prunebook.studies.study import Study

    root, me = Path(sys.argv[1]), sys.argv[2]

    @dataclass(frozen=True)
    class Config:
        study: ClassVar[str] = "toy"
        dataset: str = "mnist"

    data = SimpleNamespace(name="mnist", origin="test", checksums={}, stand_in=False, notice="")

    def run(config, seed, dataset, device, report):
        with (root / "log").open("a") as log:
            log.write(f"{seed} {me}\\n")
        time.sleep(1 if seed == 8 else 0.1)  # at the end one of them has to wait for the other
        return {"losses": pd.DataFrame({"x": [seed]})}

    study = Study(
        name="toy", title="A toy", config_type=Config, presets={"smoke": (Config(),)}, seeds={"smoke": 8},
        prepare=lambda config, folder, device: (config, data), run=run, module="prunebook.errors",
    )
    (root / f"ready-{me}").touch()
    while len(list(root.glob("ready-*"))) < 2:
        time.sleep(0.01)
    done = collect(study, "smoke", device="cpu", store=Store(root / "results"), fresh=True)
    assert done.tables["losses"]["x"].tolist() == list(range(1, 9))
"""


def test_two_processes_share_a_study(tmp_path):
    """Each seed is measured exactly once, by one of them, and both end with all the results.

    With ``fresh``, which is the harder case: what the other process has just made must not be made again.
    """
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(WORKER), encoding="utf-8")
    package = str(Path(machine.__file__).parents[1])
    bootstrap = (
        f"import runpy, sys; sys.path.insert(0, {package!r}); sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", bootstrap, script, tmp_path, name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in "ab"
    ]
    told = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(told)
    log = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(int(seed) for seed, _ in log) == list(range(1, 9))
    assert {name for _, name in log} == {"a", "b"}
    assert "in work in another process" in "".join(told)
