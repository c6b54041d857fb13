"""What a grid will cost, from made-up runs whose cost is known."""

import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from prunebook.cli import app
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.studies.configuration import config_columns
from prunebook.workflow import costs as plan

STUDY = STUDIES["mr-training"]


class Runs(Store):
    """A store in which seeds 1 and 2 of one configuration are measured."""

    def __init__(self, folder, config, gpu=False):
        self.folder, self.config = folder, config
        self.hardware = {"gpu": "a GPU"} if gpu else {}
        for seed in (1, 2):
            (folder / f"{seed}").mkdir()
            (folder / f"{seed}" / "table").write_bytes(b"x" * 1_000_000)

    def seeds(self, scale, config):
        return [1, 2] if config == self.config else []

    def path(self, scale, config, seed):
        return self.folder / f"{seed}"

    def open(self, path):
        record = {"wall_time": 60.0 * int(path.name), "hardware": self.hardware}
        return SimpleNamespace(path=path, record=record)


def planned(tmp_path, text="", **options):
    costs = tmp_path / "costs.yaml"
    costs.write_text(text)
    store = Runs(tmp_path, STUDY.presets["paper"][0], gpu=options.pop("gpu", False))
    return plan.plan(STUDY, "paper", store=store, costs=costs, **options)


def test_measured_runs_are_the_guide(tmp_path):
    jobs = planned(tmp_path)
    small = jobs[0]
    assert (small.wanted, small.missing, small.seconds, small.source) == (8, 6, 90.0, "measured")
    assert small.megabytes == 1.0
    assert all(job.seconds is None and job.missing == 8 for job in jobs[1:])
    assert "6 of 8" not in plan.summary(jobs)
    assert plan.summary(jobs[:1]) == "6 of 8 runs are missing: 0.1 hours of one process on cpu, 0.0 GB"
    assert "40 runs of unknown cost" in plan.summary(jobs)


def test_the_table_goes_first_and_the_first_entry_that_fits(tmp_path):
    text = (
        "mr-training:\n"
        "- {where: {net: medium, batch_norm: true}, cpu: 7200, megabytes: 500, note: by hand}\n"
        "- {where: {net: medium}, cpu: 3600}\n"
        "- {where: {net: small}, cpu: 360}\n"
    )
    jobs = planned(tmp_path, text)
    assert [job.seconds for job in jobs] == [360, 3600, 7200, None, 7200, None]
    assert (jobs[2].megabytes, jobs[2].note, jobs[2].source) == (500, "by hand", "table")
    assert plan.summary(jobs[:3]).startswith("22 of 24 runs are missing: 24.6 hours")


def test_times_of_one_device_say_nothing_of_another(tmp_path):
    assert planned(tmp_path, device="cuda")[0].seconds is None
    (tmp_path / "other").mkdir()
    assert planned(tmp_path / "other", device="cuda", gpu=True)[0].seconds == 90.0


def test_seeds_that_are_there_are_not_planned_again(tmp_path):
    assert planned(tmp_path, seeds=(1, 2, 3))[0].missing == 1


def test_every_entry_of_the_table_fits_a_configuration():
    table = plan.yaml.safe_load(plan.COSTS_FILE.read_text(encoding="utf-8"))
    for name, entries in table.items():
        columns = [config_columns(config) for config in STUDIES[name].presets["paper"]]
        for entry in entries:
            assert any(all(c.get(k) == v for k, v in entry["where"].items()) for c in columns), entry
            assert entry.get("cpu", 1) > 0
            assert entry["memory"] > 0


def test_the_command_prints_hours_and_refuses_nonsense():
    runner = CliRunner()
    shown = runner.invoke(app, ["plan", "mr-training"])
    assert shown.exit_code == 0
    assert "runs are missing" in shown.stdout
    jobs = json.loads(runner.invoke(app, ["plan", "ec-mnist", "--json"]).stdout)
    assert {"config", "missing", "seconds"} <= set(jobs[0])
    for wrong, message in (
        (["odd"], "no study"),
        (["ec-mnist", "--device", "tpu"], "tpu"),
        (["ec-mnist", "--seeds", "0"], "0"),
    ):
        refused = runner.invoke(app, ["plan", *wrong])
        assert refused.exit_code == 2
        assert message in refused.output


@pytest.mark.parametrize("scale", ["smoke", "laptop"])
def test_the_table_is_for_the_paper_scale(tmp_path, scale):
    store = Runs(tmp_path, None)
    assert all(job.seconds is None for job in plan.plan(STUDY, scale, store=store))


def test_plans_are_held_against_the_seeds_they_did_not_see(tmp_path):
    config = STUDIES["ec-pde"].presets["paper"][0]
    found = plan.held_out(STUDIES["ec-pde"], "paper", Runs(tmp_path, config))
    # One minute and two: each is the other's plan.
    assert found == [(120, 60), (60, 120)]
    (tmp_path / "other").mkdir()
    assert plan.held_out(STUDIES["cb-lenet"], "paper", Runs(tmp_path / "other", config)) == []


def test_what_the_table_of_costs_knows_is_not_foretold_from_runs_that_found_their_training(tmp_path):
    config = next(c for c in STUDY.presets["paper"] if config_columns(c)["net"] == "small")
    assert plan.held_out(STUDY, "paper", Runs(tmp_path, config)) == []


def test_a_run_from_nothing_pays_for_the_training_it_shares():
    vgg = STUDIES["cb-vgg"].presets["paper"]
    easy, hard = (next(c for c in vgg if config_columns(c)["case"] == case) for case in ("easy", "difficult"))
    entries = plan.yaml.safe_load(plan.COSTS_FILE.read_text())["cb-vgg"]
    trunk = next(entry["cpu"] for entry in entries if entry["where"] == {"case": "easy"})
    assert plan.from_nothing("cb-vgg", easy, 270.0) == trunk
    assert plan.from_nothing("cb-vgg", hard, 180.0) == 180 + trunk
    assert plan.from_nothing("ec-pde", STUDIES["ec-pde"].presets["paper"][0], 60.0) == 60
