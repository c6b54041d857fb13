"""What goes wrong on real machines: killed processes, full disks, damaged and hostile files.

Two runners on one study are in test_studies, damaged results in test_results, truncated data in test_datasets,
clocks and GPUs in test_workflow.
"""

import ast
import errno
import importlib.util
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import filelock
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from prunebook.cli import app
from prunebook.data import images
from prunebook.errors import DataError, InputError, ResultError, RunError
from prunebook.networks.device import resolve_device
from prunebook.paths import replacing
from prunebook.store.results import ResultMissing, Store
from prunebook.studies import STUDIES
from prunebook.training import snapshots
from prunebook.training.sgd import Recipe, Trainer, write_atomically

ROOT = Path(__file__).resolve().parents[1]
POSIX = pytest.mark.skipif(os.name != "posix", reason="processes are killed by POSIX signals here")

spec = importlib.util.spec_from_file_location("compare", ROOT / "tools" / "compare_results.py")
compare = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compare)


# --- killed ---

# Forks itself, kills the child at its n-th step on the disk (a written file is left half-written), and looks whether a
# new process goes on from there as if nothing had happened; for n = 1, 2, ... until a child comes to its end.
CRASHES = """
    import json, os, shutil, signal, sys
    from dataclasses import dataclass
    from pathlib import Path
    from typing import ClassVar
    import pandas as pd, pyarrow.parquet as pq, torch
    from torch import nn
    from prunebook.training import snapshots
    from prunebook.errors import ResultError
    from prunebook.store.results import ResultMissing, Store
    from prunebook.training.sgd import Recipe

    torch.set_num_threads(1)
    root = Path(sys.argv[1])

    def half(target):
        with open(target, "wb") as file:
            file.write(b"half")

    # owner, name, and how the step looks that was cut short
    STEPS = (
        (os, "rename", None), (os, "replace", None), (os, "fsync", None),
        (Path, "write_text", lambda path, *a, **k: half(path)),
        (pq, "write_table", lambda table, path, **k: half(path)),
        (torch, "save", lambda state, file: (file.write(b"half"), file.flush())),
    )

    def child(action):
        pid = os.fork()
        if pid == 0:
            try:
                action()
            except BaseException as error:
                (root / "trouble").write_text(f"{type(error).__name__}: {error}")
                os._exit(1)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def doomed(action, count, name):
        left = [count]

        def run():
            for owner, step, cut in STEPS:
                def counted(*arguments, whole=getattr(owner, step), step=step, cut=cut, **options):
                    left[0] -= 1
                    if left[0] == 0:
                        with open(name, "w") as file:
                            file.write(f"{step} {Path(str(arguments[0])).name[:20]}".replace("\\n", " "))
                        if cut:
                            cut(*arguments, **options)
                        os.kill(os.getpid(), signal.SIGKILL)
                    return whole(*arguments, **options)
                setattr(owner, step, counted)
            action()

        return child(run) == -signal.SIGKILL

    @dataclass(frozen=True)
    class Config:
        study: ClassVar[str] = "toy"

    FACTS = {
        "module": "prunebook.errors", "protocol": 1, "device": "cpu", "started": "", "wall_time": 0.0, "data": {}
    }

    def save(value):
        Store(root / "results").save("smoke", Config(), 1, {"t": pd.DataFrame({"x": [value]})}, FACTS)

    def kept():
        try:
            return int(Store(root / "results").load("smoke", Config(), 1).tables["t"]["x"][0])
        except ResultMissing:
            return None

    def build():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 2))

    def follow(place):
        x = torch.linspace(-1, 1, 24).reshape(8, 3)
        y = torch.arange(8) % 2
        return snapshots.follow(
            build, x, y, Recipe(4, batch_size=4), seed=1, steps=(0, 2, 4), key={}, folder=root / place
        )

    def same():
        one, other = follow("whole"), follow("killed")
        assert one.history == other.history, "another history"
        for step in one.steps:
            a, b = (found.load(step, build()).state_dict() for found in (one, other))
            assert all(torch.equal(a[key], b[key]) for key in a), "other weights"

    # What is imported at the first use is imported before the forks, not in each of them.
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.zeros(2)
    torch.optim.SGD([parameter], lr=0.1).step()
    save(1)
    outcomes = {"new": [], "anew": [], "training": []}
    step = root / "step"
    for what, old in (("new", None), ("anew", 1)):
        for count in range(1, 99):
            shutil.rmtree(root / "results", ignore_errors=True)
            if old:
                save(old)
            died = doomed(lambda: save(2), count, step)
            found = kept()
            save(3)
            left = [path.name for path in (root / "results").glob("smoke/toy/*/*")]
            good = found in (old, 2) or (old and found is None and step.read_text().startswith("rename"))
            outcomes[what].append([step.read_text(), bool(good and kept() == 3 and left == ["seed-1"])])
            if not died:
                break
    assert child(lambda: follow("whole")) == 0
    for count in range(1, 99):
        shutil.rmtree(root / "killed", ignore_errors=True)
        died = doomed(lambda: follow("killed"), count, step)
        outcomes["training"].append([step.read_text(), child(same) == 0])
        if not died:
            break
    print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def crashes(tmp_path_factory):
    """What was cut short → whether all was well afterwards, for a result's and a training's every step on the disk."""
    folder = tmp_path_factory.mktemp("crashes")
    (folder / "crashes.py").write_text(textwrap.dedent(CRASHES), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(folder / "crashes.py"), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@POSIX
def test_a_result_is_whole_or_absent_wherever_its_writer_is_killed(crashes):
    for what, least in (("new", 7), ("anew", 8)):
        steps = crashes[what]
        assert len(steps) > least, steps
        assert {name.split()[0] for name, _ in steps} >= {"rename", "fsync", "write_table", "write_text"}
        assert [name for name, good in steps if not good] == []


@POSIX
def test_a_training_goes_on_bit_for_bit_wherever_it_is_killed(crashes):
    steps = crashes["training"]
    assert sum(name.startswith("save") for name, _ in steps) >= 6, steps
    assert sum(name.startswith("replace") for name, _ in steps) >= 6, steps
    assert [name for name, good in steps if not good] == []


@POSIX
def test_a_killed_run_leaves_nothing_and_gives_the_same_tables_when_asked_again(tmp_path, monkeypatch):
    """A real ``prunebook run``, killed while it measures; then one that goes on, and one that was never disturbed."""
    arguments = ["run", "ec-pde", "--scale", "smoke", "--threads", "1", "--device", "cpu"]
    store = Store(tmp_path / "killed")
    monkeypatch.setenv("PRUNEBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PRUNEBOOK_RESULTS", str(store.root))
    command = [sys.executable, "-c", "from prunebook.cli import app; app()", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            if "start on" in line:
                break
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    (config,) = STUDIES["ec-pde"].presets["smoke"]
    with pytest.raises(ResultMissing):
        store.load("smoke", config, 1)
    threads = torch.get_num_threads()
    try:
        for root in (store.root, tmp_path / "undisturbed"):
            monkeypatch.setenv("PRUNEBOOK_RESULTS", str(root))
            done = CliRunner().invoke(app, arguments)
            assert done.exit_code == 0, done.output
            assert "1 results, 1 of them measured now" in done.output
    finally:
        torch.set_num_threads(threads)
    found = compare.read(store.root)
    assert len(found) == 1
    assert compare.differences(found, compare.read(tmp_path / "undisturbed")) == []


# --- full disk ---


@dataclass(frozen=True)
class Config:
    study: ClassVar[str] = "toy"


FACTS = {
    "module": "prunebook.errors", "protocol": 1, "device": "cpu", "started": "", "wall_time": 0.0, "data": {}
}  # fmt: skip


def table(rows):
    return {"numbers": pd.DataFrame({"x": torch.randn(rows, generator=torch.Generator().manual_seed(1)).numpy()})}


@pytest.fixture
def small_disk(tmp_path):
    """A folder that holds 300 kB and no more."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tmp_path)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_keeps_the_old_result_and_says_so(small_disk):
    store = Store(small_disk)
    store.save("smoke", Config(), 1, table(5), FACTS)
    with pytest.raises(ResultError, match=r"No space left.*free space or set PRUNEBOOK_RESULTS"):
        store.save("smoke", Config(), 1, table(200_000), FACTS)
    assert len(store.load("smoke", Config(), 1).tables["numbers"]) == 5
    assert [path.name for path in store.path("smoke", Config(), 1).parent.iterdir()] == ["seed-1"]
    store.save("smoke", Config(), 1, table(6), FACTS)
    assert len(store.load("smoke", Config(), 1).tables["numbers"]) == 6


def test_a_full_disk_keeps_the_old_checkpoint(small_disk):
    path = small_disk / "checkpoint.pt"
    write_atomically(path, {"x": torch.ones(3)})
    with pytest.raises((OSError, RuntimeError)):
        write_atomically(path, {"x": torch.ones(200_000)})
    assert [file.name for file in small_disk.iterdir()] == [path.name]
    assert torch.equal(torch.load(path, weights_only=True)["x"], torch.ones(3))


def test_a_file_that_cannot_even_be_closed_leaves_nothing(small_disk):
    """What a writer holds back is written on closing, and fails there once more."""

    def write():
        with replacing(small_disk / "file") as file:
            np.savez(file, u=np.random.default_rng(1).random(100_000))

    with pytest.raises(OSError, match="No space left"):
        write()
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("step", ["fsync", "rename", "mkdir"])
def test_a_disk_that_fills_up_at_any_step_keeps_the_old_result(tmp_path, monkeypatch, step):
    store = Store(tmp_path)
    store.save("smoke", Config(), 1, table(5), FACTS)

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, step, full)
        with pytest.raises(ResultError, match="No space left"):
            store.save("smoke", Config(), 1, table(6), FACTS)
    assert len(store.load("smoke", Config(), 1).tables["numbers"]) == 5
    assert [path.name for path in store.path("smoke", Config(), 1).parent.iterdir()] == ["seed-1"]


# --- damaged and hostile files ---


def chain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2))


def samples():
    return torch.linspace(-1, 1, 24).reshape(8, 3), torch.arange(8) % 2


def trained(folder):
    return snapshots.follow(chain, *samples(), Recipe(4, batch_size=4), seed=1, steps=(0, 2, 4), key={}, folder=folder)


class Payload:
    """Unpickled, it makes a folder: what must never happen."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "other": lambda path: torch.save({"weight": torch.zeros(2)}, path),
    "hostile": lambda path: torch.save(Payload(path.parent / "done"), path),
    "hostile, old format": lambda path: path.write_bytes(pickle.dumps(Payload(path.parent / "done"))),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_hostile_checkpoint_is_refused_and_runs_nothing(tmp_path, damage):
    trajectory = trained(tmp_path)
    checkpoint, snapshot = trajectory.folder / "checkpoint.pt", trajectory.folder / "step-000004.pt"
    for path in (checkpoint, snapshot):
        DAMAGES[damage](path)
    trainer = Trainer(chain(), *samples(), Recipe(4, batch_size=4), seed=1)
    with pytest.raises(InputError, match=r"(?s)checkpoint\.pt is not a checkpoint of this run .*: delete it"):
        trainer.load(checkpoint)
    with pytest.raises(DataError, match=r"(?s)step-000004\.pt .*delete it"):
        trajectory.load(4, chain())
    assert not (trajectory.folder / "done").exists()
    snapshot.unlink()
    with pytest.raises((InputError, DataError), match="delete"):
        trained(tmp_path)
    checkpoint.unlink()
    again = trained(tmp_path).load(4, chain())
    whole = trained(tmp_path / "other").load(4, chain())
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), whole.parameters(), strict=True))


def flip(path):
    """Flip one bit of the first weight, and nothing else."""
    state = torch.load(path, weights_only=True)
    weight = state.get("model", state)["0.weight"].numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(weight) + 2] ^= 0x40
    path.write_bytes(bytes(content))


def test_a_flipped_bit_is_found_and_the_file_named(tmp_path):
    """PyTorch writes checksums and does not compare them; we do."""
    trajectory = trained(tmp_path)
    path = trajectory.folder / "step-000004.pt"
    flip(path)
    torch.load(path, weights_only=True)
    with pytest.raises(DataError, match=r"step-000004\.pt is damaged .*: delete it"):
        trajectory.load(4, chain())
    path.unlink()
    whole = trained(tmp_path / "other")
    again = trained(tmp_path)
    assert again.history == whole.history
    assert torch.equal(again.load(4, chain())[0].weight, whole.load(4, chain())[0].weight)
    flip(trajectory.folder / "checkpoint.pt")
    with pytest.raises(DataError, match=r"checkpoint\.pt is damaged .*: delete it"):
        trained(tmp_path)


def test_a_file_of_another_training_is_refused_though_it_fits(tmp_path):
    """Its weights would load, and give other numbers without a word."""
    own, recipe = trained(tmp_path), Recipe(4, batch_size=4)
    other = snapshots.follow(chain, *samples(), recipe, seed=2, steps=(0, 2, 4), key={}, folder=tmp_path / "other")
    snapshot, checkpoint = own.folder / "step-000004.pt", own.folder / "checkpoint.pt"
    for source in (other.folder / "step-000004.pt", own.folder / "step-000002.pt"):
        shutil.copyfile(source, snapshot)
        with pytest.raises(DataError, match=r"step-000004\.pt is (of|step) .*: delete it"):
            own.load(4, chain())
    shutil.copyfile(other.folder / "checkpoint.pt", checkpoint)
    with pytest.raises(DataError, match=r"checkpoint\.pt is of .*: delete it"):
        trained(tmp_path)
    for path in (snapshot, checkpoint):
        path.unlink()
    assert trained(tmp_path).history == own.history


def test_snapshots_of_an_earlier_release_are_read(tmp_path):
    """They hold the weights alone."""
    trajectory = trained(tmp_path)
    whole = trajectory.load(4, chain())[0].weight
    write_atomically(trajectory.folder / "step-000004.pt", chain().state_dict() | {"0.weight": whole * 2})
    assert torch.equal(trajectory.load(4, chain())[0].weight, whole * 2)


def test_what_killed_runners_left_is_swept_once_they_are_surely_gone(tmp_path):
    store = Store(tmp_path / "results")
    final = store.path("smoke", Config(), 1)
    store.save("smoke", Config(), 1, table(5), FACTS)
    half, aside = (final.with_name(f".seed-1.{name}") for name in ("half", "aside.old"))
    half.mkdir()
    final.rename(aside)  # killed between the two renames of a result that is made anew
    with filelock.FileLock(next((store.root / ".locks").iterdir())):
        Store(store.root).sweep("smoke", Config(), 1)
    assert half.exists()
    assert aside.exists()
    Store(store.root).sweep("smoke", Config(), 1)
    assert [path.name for path in final.parent.iterdir()] == ["seed-1"]
    assert len(store.load("smoke", Config(), 1).tables["numbers"]) == 5
    trajectory = trained(tmp_path)
    (trajectory.folder / ".checkpoint.pt.x.part").write_bytes(b"half")
    trained(tmp_path)
    assert not list(trajectory.folder.glob("*.part"))


EARLIER = {
    "whole": lambda path, pairs: path.write_text(json.dumps(pairs)),
    "torn": lambda path, pairs: path.write_text(json.dumps(pairs)[:-9]),
    "empty": lambda path, pairs: path.write_text(""),
    "lost": lambda path, pairs: None,
    "a line short": lambda path, pairs: path.write_text(json.dumps(pairs[:-1])),
    "without a line": lambda path, pairs: path.write_text(json.dumps(pairs[1:])),
}


@pytest.mark.parametrize("state", EARLIER)
def test_losses_of_an_earlier_release_are_used_if_whole_and_made_again_if_not(tmp_path, state):
    """Earlier releases kept them beside the checkpoint, in a file that a kill could cut short."""
    whole = trained(tmp_path)
    checkpoint = torch.load(whole.folder / "checkpoint.pt", weights_only=True)
    EARLIER[state](whole.folder / "history.json", checkpoint.pop("history"))
    write_atomically(whole.folder / "checkpoint.pt", checkpoint)
    before = (whole.folder / "step-000004.pt").stat().st_mtime_ns
    again = trained(tmp_path)
    assert again.history == whole.history
    assert ((whole.folder / "step-000004.pt").stat().st_mtime_ns == before) == (state == "whole")


def test_losses_that_do_not_reach_all_steps_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshots, "_train", lambda *arguments: [(2, 0.5)])
    with pytest.raises(RunError, match="do not reach all its steps"):
        trained(tmp_path)


def test_a_hostile_data_file_runs_nothing(tmp_path):
    """CIFAR-10 comes as pickles. They are opened only where they are the published files, byte for byte."""
    folder = tmp_path / "sets" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta"]:
        (folder / name).write_bytes(pickle.dumps(Payload(tmp_path / "done")))
    with pytest.raises(DataError):
        images.load("cifar10", data=tmp_path / "sets", download=False)
    assert not (tmp_path / "done").exists()


PICKLING = {"pickle", "dill", "joblib", "shelve"}


def unsafe(source):
    """Calls in ``source`` that may run what a file says, or a text as a command."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            found += [
                f"import {name}" for name in names if name.split(".")[0] in {"pickle", "dill", "joblib", "shelve"}
            ]
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if called in {"eval", "exec", "os.system", "os.popen", "yaml.unsafe_load", "yaml.full_load"}:
            found.append(called)
        if called == "yaml.load" and not re.fullmatch(
            r"(getattr\()?yaml\W+CSafeLoader.*SafeLoader\)", given.get("Loader", "")
        ):
            found.append(called)
        if called.endswith("torch.load") and given.get("weights_only") != "True":
            found.append(called)
        if re.search(r"(np|numpy)\.load$", called) and given.get("allow_pickle") != "False":
            found.append(called)
        if given.get("shell", "False") != "False":
            found.append(f"{called} with a shell")
    return found


def test_files_are_data_and_never_code():
    for path in (path for part in ("src", "tools", "book", "benchmarks") for path in (ROOT / part).rglob("*.py")):
        assert unsafe(path.read_text(encoding="utf-8")) == [], path
    for text in ("import pickle", "from joblib import load", "torch.load(x)", "torch.load(x, weights_only=False)",
                 "yaml.load(x)", "np.load(x)", "subprocess.run(x, shell=True)", "os.system(x)", "eval(x)"):  # fmt: skip
        assert len(unsafe(text)) == 1, text
    assert unsafe("torch.load(x, weights_only=True); yaml.safe_load(x); model.eval()") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "../../elsewhere", "--scale", "smoke"],
        ["run", "ec-pde", "--scale", "../smoke"],
        ["run", "ec-pde", "--scale", "smoke", "--config", "../x"],
        ["plan", "..", "--scale", "smoke"],
    ],
)
def test_names_in_parameters_reach_nothing_outside(tmp_path, monkeypatch, arguments):
    monkeypatch.setenv("PRUNEBOOK_RESULTS", str(tmp_path / "results"))
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 2
    assert refused.output.startswith("error:")
    assert list(tmp_path.iterdir()) == []


# --- drivers ---


def test_a_driver_that_does_not_fit_is_no_gpu(monkeypatch):
    """PyTorch then warns and says that there is no CUDA: who asked for a GPU is told, and nothing runs elsewhere."""

    def broken():
        warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old", stacklevel=2)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", broken)
    with pytest.warns(UserWarning, match="too old"), pytest.raises(InputError, match="device 'cuda' is not available"):
        resolve_device("cuda")
