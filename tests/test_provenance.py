"""Where a number comes from: the commit, versions and hardware."""

import getpass
import importlib.metadata
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from prunebook import paths
from prunebook.store import machine


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    home = tmp_path / "src" / "prunebook"
    home.mkdir(parents=True)
    (home / "x.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("hello\n", encoding="utf-8")
    git(tmp_path, "init", "-q")
    monkeypatch.setattr(paths, "PACKAGE_DIR", home)
    return tmp_path


def test_commit_tells_sha_and_changes_under_src(checkout):
    commit = machine.commit.__wrapped__
    assert commit() == ("unknown", False), "nothing is committed yet"
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "first")
    sha, dirty = commit()
    assert len(sha) == 40
    assert dirty is False
    (checkout / "README.md").write_text("changed\n", encoding="utf-8")
    (checkout / "src" / "prunebook" / "new.py").write_text("", encoding="utf-8")
    assert commit() == (sha, False), "neither pages nor untracked files count"
    (checkout / "src" / "prunebook" / "x.py").write_text("x = 2\n", encoding="utf-8")
    assert commit() == (sha, True)


def test_commit_is_unknown_for_a_copy_inside_another_repository(checkout, monkeypatch):
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "first")
    installed = checkout / ".venv" / "prunebook"
    installed.mkdir(parents=True)
    monkeypatch.setattr(paths, "PACKAGE_DIR", installed)
    assert machine.commit.__wrapped__() == ("unknown", False)


def test_commit_never_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE_DIR", tmp_path)
    assert machine.commit.__wrapped__() == ("unknown", False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.commit.__wrapped__() == ("unknown", False)


def test_versions_are_those_installed():
    found = machine.versions()
    assert set(found) == {"python", "prunebook", "torch", "torchvision", "numpy", "scipy", "pandas"}
    assert found["torch"] == importlib.metadata.version("torch")
    assert found["python"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]


def test_hardware_describes_the_machine_and_names_nobody():
    import torch

    facts = machine.hardware("cpu")
    assert facts["threads"] == torch.get_num_threads()
    assert facts["cores"] >= 1
    assert facts["cpu"]
    assert "gpu" not in facts
    text = json.dumps([facts, machine.versions()])
    for name in (socket.gethostname(), str(Path.home()), str(Path.cwd())):
        assert name not in text
    assert getpass.getuser() not in text.split('"')
