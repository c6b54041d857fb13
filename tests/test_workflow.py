"""The grid as jobs: what is missing, what it needs, one GPU a job; and what Snakemake makes of it."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
import textwrap
import time
import types
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from prunebook import cli
from prunebook.errors import InputError
from prunebook.store.results import Store
from prunebook.studies import STUDIES
from prunebook.studies.configuration import config_hash
from prunebook.workflow import costs, gpus
from prunebook.workflow import jobs as workflow

ROOT = Path(__file__).resolve().parents[1]
TUNING = STUDIES["mr-tuning"].presets["paper"]
TRAINING = STUDIES["mr-training"].presets["paper"]


def keep(store, scale, config, seed):
    """What the workflow looks at of a stored run."""
    folder = store.path(scale, config, seed)
    folder.mkdir(parents=True)
    (folder / "record.json").write_text('{"wall_time": 1200.0, "hardware": {"gpu": "some"}}', encoding="utf-8")


# --- what is asked, and what is missing ---


def test_settings_come_as_text_or_numbers():
    asked = workflow.request({"scale": "smoke", "studies": "ec-pde, cb-lenet", "seeds": 2, "finished": "yes"})
    assert (asked.scale, asked.studies, asked.seeds, asked.finished) == ("smoke", ("ec-pde", "cb-lenet"), (1, 2), True)
    assert workflow.request({"seeds": [3, 7]}).seeds == workflow.request({"seeds": ["3", "7"]}).seeds == (3, 7)
    assert workflow.request({"seeds": "2", "threads": "3"}).seeds == (1, 2)
    everything = workflow.request({})
    assert (everything.scale, everything.seeds, everything.threads) == ("laptop", None, 1)
    assert everything.studies == tuple(STUDIES)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scal": "smoke"}, "setting scal is unknown: use scale"),
        ({"scale": "huge"}, "scale=huge: use smoke"),
        ({"studies": "ec-pde,odd"}, "studies=odd: use "),
        ({"studies": "../up"}, "use "),
        ({"seeds": 0}, "at least 1"),
        ({"seeds": "two"}, "at least 1"),
        ({"device": "tpu"}, "device=tpu"),
        ({"threads": 0}, "threads 0"),
        ({"threads": 99999999999}, "at most 1024"),
        ({"seeds": [2**63]}, f"whole number from 1 to {2**31 - 1}"),
        ({"seeds": 100_000_000}, "at most 10,000"),
        ({"finished": "perhaps"}, "finished=perhaps: use yes, no"),
    ],
)
def test_unusable_settings_are_told(settings, words):
    with pytest.raises(InputError, match=words):
        workflow.request(settings)


def test_only_what_is_not_stored_is_a_job(tmp_path):
    store = Store(tmp_path)
    first, second = STUDIES["ec-mnist"].presets["paper"]
    asked = workflow.request({"scale": "paper", "studies": "ec-mnist", "seeds": 2})
    assert len(workflow.missing(asked, store=store)) == 4
    for seed in (1, 2):
        keep(store, "paper", first, seed)
    keep(store, "paper", second, 2)
    assert workflow.missing(asked, store=store) == [workflow.Run("ec-mnist", config_hash(second), 1)]
    assert workflow.missing(asked, ["ec-pde"], store) == []
    keep(store, "paper", second, 1)
    assert workflow.missing(asked, store=store) == []
    more = workflow.request({"scale": "paper", "studies": "ec-mnist", "seeds": 3})
    new = [workflow.Run("ec-mnist", config_hash(config), 3) for config in (first, second)]
    assert workflow.missing(more, store=store) == new, "one more seed is one more run a configuration"
    assert workflow.missing(workflow.request({"scale": "paper", "finished": "yes"}), store=store) == []


def test_time_stamps_decide_nothing(tmp_path):
    """Clocks of two nodes may differ by hours: a result of tomorrow or of 1970 is stored all the same."""
    store, (config,) = Store(tmp_path), STUDIES["ec-pde"].presets["smoke"]
    asked = workflow.request({"scale": "smoke", "studies": "ec-pde"})
    keep(store, "smoke", config, 1)
    record = store.path("smoke", config, 1) / "record.json"
    for moment in (0, 2**33):
        for path in (record, record.parent):
            os.utime(path, (moment, moment))
        assert workflow.missing(asked, store=store) == []
    for script in (
        "Snakefile",
        "src/prunebook/workflow/jobs.py",
        "src/prunebook/store/collect.py",
        "src/prunebook/store/results.py",
    ):
        assert not re.search(r"st_mtime|getmtime", (ROOT / script).read_text(encoding="utf-8")), script


# --- what a run needs ---


def test_limits_come_from_the_costs():
    asked = workflow.request({"scale": "paper"})
    run = workflow.Run("mr-training", config_hash(TRAINING[1]), 1)
    (entry,) = (e for e in yaml.safe_load(costs.COSTS_FILE.read_text())["mr-training"]
                if e["where"] == {"net": "medium", "batch_norm": False})  # fmt: skip
    once, again = (workflow.needs(asked, run, attempt) for attempt in (1, 2))
    assert 0 <= once["runtime"] * 60 - workflow.MARGIN * entry["cpu"] < 600
    assert again["runtime"] == 2 * once["runtime"]
    assert 0 <= once["mem_mb"] - workflow.ROOM * entry["memory"] < 1
    assert again["mem_mb"] > once["mem_mb"]


def test_a_shared_training_counts_and_goes_first():
    asked = workflow.request({"scale": "paper"})
    tuned = workflow.Run("mr-tuning", config_hash(TUNING[0]), 2)
    trained = [workflow.Run("mr-training", config_hash(config), seed) for config in TRAINING for seed in (1, 2)]
    assert workflow.before(asked, tuned, trained) == [workflow.Run("mr-training", config_hash(TRAINING[1]), 2)]
    assert workflow.before(asked, tuned, [tuned]) == []
    assert workflow.before(asked, trained[0], [tuned]) == []
    alone = workflow.needs(asked, workflow.Run("mr-training", config_hash(TRAINING[1]), 2))["runtime"]
    assert workflow.needs(asked, tuned)["runtime"] > alone, "what it shares may have to be trained again"
    easy, *others = STUDIES["cb-vgg"].presets["paper"]
    runs = [workflow.Run("cb-vgg", config_hash(config), 1) for config in (easy, *others)]
    assert [workflow.before(asked, run, runs) for run in runs] == [[], runs[:1], runs[:1]]


def test_every_name_in_the_costs_exists():
    """What goes first must be there, or a job would not wait for it and nobody would know."""
    asked = workflow.request({"scale": "paper"})
    for name in yaml.safe_load(costs.COSTS_FILE.read_text(encoding="utf-8")):
        for job in costs.plan(STUDIES[name], "paper"):
            assert len(workflow._shares(asked, job)) == len(job.after), (name, job.config)


def test_a_configuration_is_named_by_its_hash():
    study = STUDIES["ec-mnist"]
    for config in study.presets["paper"]:
        assert workflow.configuration(study, "paper", config_hash(config)) is config
        assert workflow.configuration(study, "paper", config_hash(config)[:6]) is config
    for wrong in ("", "zz", "../../etc"):
        with pytest.raises(InputError, match="use one of"):
            workflow.configuration(study, "paper", wrong)
    refused = CliRunner().invoke(cli.app, ["run", "ec-mnist", "--scale", "smoke", "--config", "odd"])
    assert refused.exit_code == 2
    assert "configuration 'odd'" in refused.output


def test_a_page_waits_for_the_studies_it_shows():
    pages = ROOT / "notebooks"
    assert workflow.shown(pages / "elimination_compensation_pde.py") == ("ec-pde",)
    for page in pages.glob("*.py"):
        for study in re.findall(r'study="([a-z-]+)"', page.read_text(encoding="utf-8")):
            assert study in workflow.shown(page)


# --- GPUs ---


def test_devices_are_those_that_may_be_used(monkeypatch):
    monkeypatch.setattr(gpus, "listed", lambda: {"0": "GPU-aa", "1": "GPU-bb"})
    assert gpus.visible({}) == {"GPU-aa": "GPU-aa", "GPU-bb": "GPU-bb"}
    assert gpus.visible({gpus.VISIBLE: "1"}) == {"1": "GPU-bb"}
    assert gpus.visible({gpus.VISIBLE: "1, 0"}) == {"1": "GPU-bb", "0": "GPU-aa"}
    assert gpus.visible({gpus.VISIBLE: "MIG-1/2"}) == {"MIG-1/2": "MIG-1/2"}
    assert gpus.visible({gpus.VISIBLE: ""}) == gpus.visible({gpus.VISIBLE: "-1"}) == {}
    monkeypatch.setattr(gpus, "listed", dict)
    assert gpus.visible({}) == {}
    assert gpus.visible({gpus.VISIBLE: "3"}) == {"3": "3"}


@pytest.mark.parametrize(("script", "found"), [
    ("echo '0, GPU-aa'; echo '1, GPU-bb'", {"0": "GPU-aa", "1": "GPU-bb"}),
    ("echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18", {}),
    (None, {}),
])  # fmt: skip
def test_the_driver_is_asked_and_may_be_broken_or_missing(tmp_path, monkeypatch, script, found):
    if script:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.listed() == found


def test_without_a_gpu_none_is_shown(monkeypatch, tmp_path):
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    with gpus.claimed(print, devices={}, folder=tmp_path) as name:
        assert name is None
        assert os.environ[gpus.VISIBLE] == ""
    assert gpus.VISIBLE not in os.environ
    assert list(tmp_path.iterdir()) == []


CLAIM = """
    import os, sys, time
    from pathlib import Path
    from prunebook.workflow.gpus import claimed
    log = Path(sys.argv[1])
    devices = {"0": "GPU-aa", "1": "GPU-b/b"}
    with claimed(print, devices=devices, folder=log.parent / "locks", pause=0.02) as name:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == name
        for word in ("take", "give"):
            with log.open("a") as file:
                file.write(f"{word} {name} {sys.argv[2]}\\n")
            if word == "take":
                time.sleep(60 if sys.argv[2] == "dies" else 0.3)
"""


def test_two_jobs_never_share_a_gpu_and_a_dead_one_lets_go(tmp_path):
    script, log = tmp_path / "claim.py", tmp_path / "log"
    script.write_text(textwrap.dedent(CLAIM))
    start = [sys.executable, str(script), str(log)]
    doomed = subprocess.Popen([*start, "dies"])
    while not log.exists() or "take" not in log.read_text():
        assert doomed.poll() is None
        time.sleep(0.02)
    others = [subprocess.Popen([*start, str(number)]) for number in range(5)]
    while log.read_text().count("give") < 2:
        assert any(other.poll() is None for other in others)
        time.sleep(0.02)
    # Written while it still holds the device: once it is dead, the next may take it before we come to write.
    with log.open("a") as file:
        file.write("died\n")
    doomed.kill()
    doomed.wait()
    assert [other.wait(timeout=60) for other in others] == [0] * 5
    held, used, free = {}, set(), []
    for line in log.read_text().splitlines():
        word, *rest = line.split()
        if word == "take":
            assert held.setdefault(rest[0], rest[1]) == rest[1], "taken by one at a time"
            used.add(rest[0])
        elif word == "give":
            assert held.pop(rest[0]) == rest[1]
        else:
            free = [name for name, who in held.items() if who == "dies"]
            held = {name: who for name, who in held.items() if who != "dies"}
    assert used == {"0", "1"}
    assert free == ["0"]


# --- Snakemake ---

needs_snakemake = pytest.mark.skipif(
    importlib.util.find_spec("snakemake") is None, reason="snakemake is not installed (pip install .[workflow])"
)


def snakemake(store, *arguments):
    environment = {**os.environ, "PRUNEBOOK_RESULTS": str(store.root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--nocolor", *arguments]
    command += ["--profile", str(ROOT / "profiles" / "local"), "--directory", str(store.root.parent)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done, done.stdout + done.stderr


@needs_snakemake
def test_the_workflow_plans_what_is_missing(tmp_path):
    """A dry run: all of the smoke grid but one seed is stored, and a second seed of one study is asked for."""
    store = Store(tmp_path / "results")
    for study in STUDIES.values():
        for config in study.presets["smoke"]:
            keep(store, "smoke", config, 1)
    (config,) = STUDIES["ec-pde"].presets["smoke"]
    output = f"output={tmp_path / 'build'}"
    done, text = snakemake(store, "-n", "-p", "book", "--config", "scale=smoke", "seeds=[1,2]", "studies=ec-pde",
                           "device=cuda", output)  # fmt: skip
    assert done.returncode == 0, text
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", text, flags=re.MULTILINE))
    pages = len(list((ROOT / "notebooks").glob("*.py")))
    assert jobs == {"run": "1", "page": str(pages), "ledger": "1", "book": "1", "total": str(pages + 3)}
    (command,) = re.findall(r"prunebook run .*", text)
    for part in (f"--config {config_hash(config)} --seed 2 ", "--device cuda", "--exclusive", "--scale smoke"):
        assert part in command
    assert "build.py --page one_theory --scale smoke --seeds '[1, 2]'" in text
    assert "gpu=1" in text
    assert "runtime=60" in text, "three times the 20 minutes that seed 1 took"
    assert not (tmp_path / "build" / "workflow").exists(), "a dry run writes nothing"


def test_profiles_say_what_they_must():
    for name in ("local", "slurm", "kubernetes"):
        profile = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text(encoding="utf-8"))
        assert "mtime" not in str(profile["rerun-triggers"]), "no time stamp may decide"
        assert profile["keep-going"] is True
        assert profile.get("executor", "local") == name


@needs_snakemake
def test_the_kubernetes_plugin_renders_our_jobs():
    """The job that the plugin would hand to a cluster, made by its own code from our profile and resources."""
    plugin = pytest.importorskip("snakemake_executor_plugin_kubernetes", reason="the kubernetes plugin is missing")
    profile = yaml.safe_load((ROOT / "profiles" / "kubernetes" / "config.yaml").read_text(encoding="utf-8"))
    text = (ROOT / "Snakefile").read_text(encoding="utf-8")
    gpu = ast.literal_eval(re.search(r"^GPU = (\{.*?\})", text, flags=re.MULTILINE)[1])
    handed_in = []
    executor = plugin.Executor.__new__(plugin.Executor)
    executor.__dict__.update(
        k8s_cpu_scalar=0.95,
        k8s_service_account_name=None,
        namespace=profile["kubernetes-namespace"],
        run_namespace="some-run",
        secret_envvars={},
        container_image="prunebook",
        privileged=False,
        persistent_volumes=plugin.parse_persistent_volumes(profile["kubernetes-persistent-volumes"]),
        logger=types.SimpleNamespace(debug=lambda text: None, info=lambda text: None, error=print),
        batchapi=types.SimpleNamespace(create_namespaced_job=lambda *job: handed_in.append(job)),
        _kubernetes_retry=lambda call: call(),
        format_job_exec=lambda job: "prunebook run",
        report_job_submission=lambda job: None,
    )
    limits = {"mem_mb": 2500, "runtime": 60, "_cores": 1}
    for resources in ({**limits, **gpu}, limits):
        executor.run_job(types.SimpleNamespace(resources=resources, is_containerized=False, jobid=1, attempt=1))
    (namespace, with_gpu), (_, without) = handed_in
    assert namespace == "default"
    (container,) = with_gpu.spec.template.spec.containers
    assert container.resources.limits == {"cpu": "1000m", "memory": "2500M", "nvidia.com/gpu": "1"}
    mounts = {mount.name: mount.mount_path for mount in container.volume_mounts}
    assert mounts["prunebook"] == "/prunebook" == profile["default-storage-prefix"].rpartition("/")[0]
    claims = [v.persistent_volume_claim.claim_name for v in with_gpu.spec.template.spec.volumes[1:]]
    assert claims == ["prunebook"]
    assert with_gpu.spec.backoff_limit == 0, "snakemake itself hands a failed job in again"
    (container,) = without.spec.template.spec.containers
    assert container.resources.limits is None
    assert container.resources.requests == {"cpu": "950m", "memory": "2500M"}
