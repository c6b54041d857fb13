"""The run of the tests itself: what one folder asks of its own tests, and what a whole run must have shown."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PRUNEBOOK_")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_browser_tests_without_a_book_skip_themselves_alone(tmp_path):
    """Once, in a clone without a book, every test of the project was skipped and the run ended well."""
    shutil.copytree(TESTS / "browser", tmp_path / "tests" / "browser", ignore=shutil.ignore_patterns("__py*"))
    (tmp_path / "tests" / "test_other.py").write_text("def test_other():\n    pass\n")
    assert run(tmp_path, "tests").stdout.splitlines()[-1].startswith("1 passed in")
    both = run(tmp_path, "tests/test_other.py", "tests/browser").stdout.splitlines()[-1]
    assert both.startswith("1 passed, ")
    assert "skipped" in both


def test_a_whole_run_that_skips_most_fails(tmp_path):
    """That run of skipped tests could not have told of itself: whatever it asked was skipped too."""
    (tmp_path / "tests").mkdir()
    shutil.copy(TESTS / "conftest.py", tmp_path / "tests")
    skipped = "import pytest\n\n@pytest.mark.skip\n@pytest.mark.parametrize('i', range({}))\ndef test(i):\n    pass\n"
    (tmp_path / "tests" / "test_it.py").write_text(skipped.format(2) + "\ndef test_other():\n    pass\n")
    whole = run(tmp_path, "tests")
    assert whole.returncode == pytest.ExitCode.TESTS_FAILED
    assert "2 of 3 tests were skipped" in whole.stdout
    # A part of the tests may well be one that this machine cannot run.
    assert run(tmp_path, "tests/test_it.py").returncode == pytest.ExitCode.OK
    assert run(tmp_path, "tests", "-k", "test").returncode == pytest.ExitCode.OK
    (tmp_path / "tests" / "test_it.py").write_text(skipped.format(1) + "\ndef test_other():\n    pass\n")
    assert run(tmp_path, "tests").returncode == pytest.ExitCode.OK
