"""Rules come before the results that judge them, and the check of it sees where they do not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import editions  # noqa: E402


def test_every_rule_of_the_second_edition_came_before_its_results():
    if not editions.History(ROOT).whole:
        pytest.skip("a shallow clone, or no git: the history cannot tell")
    assert editions.violations() == []


@pytest.fixture
def checkout(tmp_path):
    """A repository with one rule, and a way to commit a result that judges it."""

    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", "-C", tmp_path, *identity, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(**changes):
        claim = {
            "edition": 2,
            "study": "s",
            "after_seed": 5,
            "rule": "below 1",
            "conditions": [{"below": 1}],
            **changes,
        }
        (tmp_path / editions.LEDGER).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / editions.LEDGER).write_text(yaml.safe_dump({"A.2": claim}))
        return commit()

    def commit():
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", "x")
        return git("rev-parse", "HEAD")

    def measure(seed, at):
        folder = tmp_path / editions.RESULTS / "s" / "0123456789ab" / f"seed-{seed}"
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps({"seed": seed, "config": {}, "commit": at}))

    git("init", "-q")
    return tmp_path, write, measure, commit


def test_a_result_measured_under_the_rule_is_fine_and_one_from_before_is_not(checkout):
    root, write, measure, _ = checkout
    early = write(rule="below 2")
    late = write()
    measure(6, late)
    measure(5, early)  # the question came from it
    assert editions.violations(root) == []
    measure(7, early)
    (line,) = editions.violations(root)
    assert "A.2" in line
    assert "seed-7" in line


def test_a_rule_that_is_changed_after_its_results_is_found(checkout):
    root, write, measure, commit = checkout
    measure(6, write())
    commit()
    assert editions.violations(root) == []
    write(conditions=[{"below": 1.1}])
    assert len(editions.violations(root)) == 1


def test_where_the_commit_is_unknown_the_one_that_added_the_result_counts(checkout):
    root, write, measure, commit = checkout
    write()
    measure(6, "0" * 40)
    assert "git does not know" in editions.violations(root)[0]
    commit()
    assert editions.violations(root) == []
    write(rule="below 2")
    measure(7, None)
    write()  # the rule and the result in one commit: nobody can tell which came first
    assert len(editions.violations(root)) == 1
