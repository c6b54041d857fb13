"""Pack a release: the built book, the stored results and the lock, and the source, with checksums and notes.

Typed as `python tools/release.py v0.1.0 _build/html _build/release` in a checkout; needs nothing but Python and git.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EVIDENCE = ("data", "requirements.lock", "environment.yml", "CITATION.cff", "LICENSE")


def notes(version: str, changelog: str) -> str:
    """What CHANGELOG.md says of one version. Raises ValueError if it says nothing."""
    part = re.search(rf"^## {re.escape(version)}\b[^\n]*\n(.*?)(?=^## |\Z)", changelog, re.DOTALL | re.MULTILINE)
    if part is None or not part[1].strip():
        raise ValueError(f"CHANGELOG.md says nothing of {version}: write a part '## {version}'")
    return part[1].strip() + "\n"


def checked(tag: str, root: Path = ROOT) -> str:
    """The version of a tag. Raises ValueError unless pyproject.toml, CITATION.cff and .zenodo.json name it too."""
    version = tag.removeprefix("v")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    cited = re.search(r"^version: *(\S+)", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)[1]
    kept = re.search(r'"version": *"([^"]+)"', (root / ".zenodo.json").read_text(encoding="utf-8"))[1]
    named = {"pyproject.toml": project, "CITATION.cff": cited, ".zenodo.json": kept}
    if wrong := [f"{file} says {other}" for file, other in named.items() if other != version]:
        raise ValueError(f"the tag is {tag}, but {', '.join(wrong)}: name one version in all three")
    return version


def pack(tag: str, book: Path, to: Path, root: Path = ROOT) -> list[Path]:
    """Write the archives, SHA256SUMS over them, and NOTES.md into ``to``; the archives."""
    version = checked(tag, root)
    said = notes(version, (root / "CHANGELOG.md").read_text(encoding="utf-8"))
    if not (book / "index.html").is_file():
        raise ValueError(f"no book in {book}: make book SCALE=paper")
    to.mkdir(parents=True, exist_ok=True)
    name = f"prunebook-{version}"
    contents = {"book": {book: "book"}, "results": {root / part: part for part in EVIDENCE}}
    archives = []
    for part, places in contents.items():
        archives.append(to / f"{name}-{part}.tar.gz")
        with tarfile.open(archives[-1], "w:gz") as archive:
            for path, inside in places.items():
                archive.add(path, f"{name}-{part}/{inside}")
    archives.append(to / f"{name}-source.tar.gz")
    source = ["git", "archive", f"--prefix={name}/", "-o", archives[-1], "HEAD"]
    subprocess.run(source, cwd=root, check=True)
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in archives]
    (to / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    (to / "NOTES.md").write_text(said, encoding="utf-8")
    return archives


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tag")
    parser.add_argument("book", type=Path)
    parser.add_argument("to", type=Path)
    asked = parser.parse_args()
    try:
        print(*pack(asked.tag, asked.book.resolve(), asked.to.resolve()), sep="\n")
    except ValueError as error:
        sys.exit(f"no release: {error}")


if __name__ == "__main__":
    main()
