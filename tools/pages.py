"""One page, or the book of all pages, for the workflow; ``make book`` does both in one go.

    python tools/pages.py page mean_replacement --scale smoke
    python tools/pages.py book --scale smoke

A page is executed only if something that it is made from differs from last time: its text, the library, or a result.
What it was made from stands in the executed notebook itself, so no time stamp decides.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

import jupytext
import nbformat
import yaml

from prunebook.workflow.jobs import ROOT, fingerprint

sys.path.insert(0, str(ROOT / "book"))
build = import_module("build")


def executed(name: str, output: Path, scale: str) -> Path:
    """Where the executed page lies, or will lie."""
    return output / "executed" / scale / f"{name}.ipynb"


def made_from(path: Path) -> str:
    """The fingerprint that an executed page carries; "" if there is none, or no such page."""
    try:
        return nbformat.read(path, as_version=4).metadata.get("prunebook", {}).get("made_from", "")
    except (OSError, ValueError, nbformat.ValidationError):
        return ""


def make(name: str, output: Path, scale: str, parameters: dict) -> Path:
    """Execute a page from its .py, unless it is up to date."""
    source = ROOT / "notebooks" / f"{name}.py"
    target = executed(name, output, scale)
    now = fingerprint(source, scale, parameters)
    if made_from(target) == now:
        print(f"{name}: up to date")
        return target
    paired = output / "workflow" / "notebooks" / scale / f"{name}.ipynb"
    paired.parent.mkdir(parents=True, exist_ok=True)
    jupytext.write(jupytext.read(source), paired)
    build.execute(paired, output, scale, parameters)
    notebook = nbformat.read(target, as_version=4)
    notebook.metadata["prunebook"] = {"made_from": now}
    partial = target.with_suffix(".part")
    partial.write_text(nbformat.writes(notebook), encoding="utf-8")
    partial.replace(target)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["page", "book"])
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("--scale", choices=list(build.CELL_TIMEOUT), default="laptop")
    parser.add_argument("--data", default="")
    parser.add_argument("--seeds", default="", help="a count, or a list such as '[1, 3]'")
    parser.add_argument("--output", type=Path, default=ROOT / "_build")
    asked = parser.parse_args()
    output = asked.output.resolve()
    notebooks = {Path(page).name: page for page, path in build.sources().items() if path.suffix == ".ipynb"}
    try:
        if asked.what == "page":
            if asked.name not in (there := sorted(path.stem for path in (ROOT / "notebooks").glob("*.py"))):
                raise build.BuildError(f"there is no page {asked.name!r}: use {', '.join(there)}")
            parameters = {"data": asked.data}
            # At the paper scale a page shows all that has been measured, however many seeds that is.
            parameters["seeds"] = yaml.safe_load(asked.seeds) if asked.scale != "paper" else None
            parameters = {key: value for key, value in parameters.items() if value not in ("", None)}
            make(asked.name, output, asked.scale, build.given_to(asked.name, parameters))
        else:
            made = {page: executed(name, output, asked.scale) for name, page in notebooks.items()}
            if absent := [str(path) for path in made.values() if not path.is_file()]:
                raise build.BuildError(f"not executed yet: {', '.join(absent)}")
            print("The book:", build.render(build.stage(made, output, asked.scale), output))
    except build.BuildError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
