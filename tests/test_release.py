"""A release holds what it says: one version everywhere, whole archives, right checksums, pinned actions."""

import hashlib
import json
import re
import runpy
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
release = runpy.run_path(str(ROOT / "tools" / "release.py"))


def test_one_version_everywhere():
    version = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"]
    assert release["checked"](f"v{version}") == version
    with pytest.raises(ValueError, match=r"pyproject.toml says .* CITATION.cff says .* .zenodo.json says"):
        release["checked"]("v9.9.9")
    assert release["notes"](version, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def test_notes_are_those_of_the_version():
    text = "# Changes\n\n## 0.2.0\n\nNew.\n\n## 0.1.0 (2026-11-28)\n\nOld.\n"
    assert release["notes"]("0.2.0", text) == "New.\n"
    assert release["notes"]("0.1.0", text) == "Old.\n"
    with pytest.raises(ValueError, match=r"nothing of 0.3.0"):
        release["notes"]("0.3.0", text)


def test_who_is_to_be_cited_is_who_holds_the_licence():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    (author,) = cited["authors"]
    assert f"(c) 2026 {author['name']}" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    kept = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert kept["creators"] == [author]
    assert kept["title"] == cited["title"]


def test_archives_are_whole_and_have_their_checksums(tmp_path):
    root, book, to = tmp_path / "root", tmp_path / "html", tmp_path / "to"
    book.mkdir()
    (book / "index.html").write_text("a book")
    (root / "data").mkdir(parents=True)
    for name in (*release["EVIDENCE"][1:], "pyproject.toml", ".zenodo.json", "CHANGELOG.md"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    (root / "data" / "table.csv").write_text("1")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], cwd=root, check=True)
    version = release["checked"]("v0.1.0", root)
    archives = release["pack"](f"v{version}", book, to, root)
    names = {path.name: names_in(path) for path in archives}
    assert f"prunebook-{version}-book/book/index.html" in names[f"prunebook-{version}-book.tar.gz"]
    assert f"prunebook-{version}-results/data/table.csv" in names[f"prunebook-{version}-results.tar.gz"]
    assert f"prunebook-{version}-results/requirements.lock" in names[f"prunebook-{version}-results.tar.gz"]
    assert f"prunebook-{version}/LICENSE" in names[f"prunebook-{version}-source.tar.gz"]
    sums = dict(reversed(line.split("  ")) for line in (to / "SHA256SUMS").read_text().splitlines())
    assert sums == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in archives}
    (book / "index.html").unlink()
    with pytest.raises(ValueError, match="no book in"):
        release["pack"](f"v{version}", book, to, root)


def names_in(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_workflows_run_pinned_actions_with_the_least_rights(path):
    text = path.read_text(encoding="utf-8")
    used = re.findall(r"uses: *(\S+)(.*)", text)
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), f"{action} is not pinned"
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{action} does not say which version it is"
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    assert all("permissions" in job for job in workflow["jobs"].values())
