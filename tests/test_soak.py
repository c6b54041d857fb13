"""A minute of the soak: a round of every fault on two studies, always the same ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from prunebook.paths import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="processes are forked and killed by POSIX signals here"),
]


def soak(folder: Path, *options: str, before: str = "") -> tuple[int, dict, str]:
    """Exit code, what was written, and what was printed; ``before`` is run in the process first."""
    code = f"import sys\nsys.path.insert(0, {str(ROOT / 'tools')!r})\n{before}\nimport soak\nsoak.main()"
    command = [sys.executable, "-W", "ignore", "-c", code, "--output", str(folder / "soak.json"), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (folder / "soak.json").is_file(), done.stderr
    return done.returncode, json.loads((folder / "soak.json").read_text()), done.stdout + done.stderr


def test_a_round_of_faults_loses_nothing_and_changes_no_number(tmp_path):
    studies = ("mr-pictures", "ec-pde")
    code, found, said = soak(tmp_path, "--trials", "22", "--seed", "5", "--studies", *studies)
    assert code == 0, said
    assert found["bad"] == []
    tried = {kind: row["trials"] for kind, row in found["kinds"].items()}
    mountable = sys.platform == "linux" and os.geteuid() == 0
    assert sum(count > 0 for count in tried.values()) >= (len(tried) if mountable else len(tried) - 4), tried


def test_the_soak_sees_a_store_that_clears_nothing_away(tmp_path):
    """What killed runners leave is not swept, and what they had put aside does not come back."""
    blind = "import prunebook.store.results as results; results._sweep = lambda final: None"
    code, found, said = soak(tmp_path, "--trials", "7", "--seed", "5", "--studies", "mr-pictures", before=blind)
    assert code == 1, said
    assert {entry["bad"] for entry in found["bad"]} <= {"left over", "lost"}
    assert found["left over"] + found["lost"] == len(found["bad"]) > 0
