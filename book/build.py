"""Build the book: execute the notebooks with papermill, lay the pages out, and run Jupyter Book strictly.

Typed as `python book/build.py --scale laptop`; `make book` does just that. Everything is written below
`--output` (`_build`): `executed/SCALE/` the executed notebooks, `logs/` their output, `src/` the pages as
Sphinx reads them, and `html/` the book, which is replaced only by a book that was built without a warning.
"""

import argparse
import importlib.metadata
import importlib.resources
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import papermill
import yaml
from papermill.exceptions import PapermillExecutionError

from prunebook.data.images.picture_folders import picture_root
from prunebook.errors import DataError
from prunebook.evidence import findings_cards, markdown_table
from prunebook.pages.figures.card import VERDICTS, card
from prunebook.pages.figures.embedded import figure_html
from prunebook.pages.figures.speed import sizes, time_by_size
from prunebook.pages.html import finish
from prunebook.pages.status import drift_table, invariants_table, plans_table, studies_table

ROOT = Path(__file__).resolve().parents[1]
# Seconds that one cell may take; the paper scale takes as long as it takes.
CELL_TIMEOUT = {"smoke": 600, "laptop": 1800, "paper": None}
HEARTBEAT = 15.0
# The page that wants a folder of pictures, which the other pages have no use for.
PICTURES = "mean_replacement_pictures"
START = time.monotonic()


class BuildError(RuntimeError):
    """The book cannot be built; the message says why and where to look."""


class Progress(logging.Handler):
    """Keeps a notebook's log in a file and tells the terminal which cell runs, and for how long.

    A cell that is silent for `HEARTBEAT` seconds is reported again, with the last line that it printed.
    """

    def __init__(self, name: str, cells: int, log: Path):
        super().__init__(logging.INFO)
        self.name, self.cells, self.cell, self.last = name, cells, 0, ""
        self.spoke = time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log.open("w", encoding="utf-8")
        self.done = threading.Event()
        self.logger = logging.getLogger("papermill")

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().rstrip()
        self.log.write(f"{time.monotonic() - START:8.1f} s  {text}\n")
        self.log.flush()
        if text.startswith("Executing Cell"):
            self.cell, self.last = self.cell + 1, ""
            # The text between two cells runs at once and is not worth a line.
            if self.cell == self.cells or time.monotonic() - self.spoke > 2:
                self.say()
        elif text:
            self.last = text.splitlines()[-1].split("\r")[-1].strip()

    def say(self, text: str | None = None) -> None:
        self.spoke = time.monotonic()
        text = f"cell {self.cell} of {self.cells}  {self.last}" if text is None else text
        print(f"[{self.spoke - START:6.0f} s] {self.name}: {text}"[:140].rstrip(), flush=True)

    def beat(self) -> None:
        while not self.done.wait(1.0):
            if time.monotonic() - self.spoke > HEARTBEAT:
                self.say()

    def __enter__(self) -> "Progress":
        self.say(f"{self.cells} cells")
        self.logger.addHandler(self)
        self.logger.setLevel(logging.INFO)
        self.logger.propagate = False
        threading.Thread(target=self.beat, daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self.done.set()
        self.logger.removeHandler(self)
        self.log.close()


def pages(toc: Path = ROOT / "_toc.yml") -> list[str]:
    """The pages of the book in reading order, as paths from the repository root without a suffix."""
    content = yaml.safe_load(toc.read_text(encoding="utf-8"))
    chapters = [chapter for part in content["parts"] for chapter in part["chapters"]]
    files = [page["file"] for chapter in chapters for page in (chapter, *chapter.get("sections", ()))]
    return [content["root"], *files]


def sources() -> dict[str, Path]:
    """Each page of the book with the file that it is made from; a page without a file is an error."""
    found = {}
    for page in pages():
        files = [path for suffix in (".md", ".ipynb") if (path := ROOT / f"{page}{suffix}").is_file()]
        if not files:
            raise BuildError(f"_toc.yml names {page}, but there is no {page}.md and no {page}.ipynb.")
        found[page] = files[0]
    return found


def given_to(name: str, parameters: dict) -> dict:
    """The parameters for one page: the folder with data goes to the page on pictures only if it holds some.

    One folder serves the whole book, and most have MNIST and CIFAR-10 and no pictures. The page stops where the folder
    that it was given has none, and takes a stand-in where it was given no folder.
    """
    folder = parameters.get("data")
    if name != PICTURES or not folder or not Path(folder).is_dir():
        return parameters
    try:
        picture_root(Path(folder), f"data={folder}")
    except DataError as error:
        print(f"{name} is not given the data: {error}", flush=True)
        return {key: value for key, value in parameters.items() if key != "data"}
    return parameters


def execute(source: Path, output: Path, scale: str, parameters: dict) -> Path:
    """Execute one notebook into `output/executed/SCALE`, where only a finished file gets its name."""
    target = output / "executed" / scale / source.name
    partial = target.with_suffix(".partial.ipynb")
    log = output / "logs" / scale / f"{source.stem}.log"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    cells = len(nbformat.read(source, as_version=4).cells) + 1  # papermill adds the cell of parameters
    with Progress(source.stem, cells, log) as progress:
        try:
            papermill.execute_notebook(
                source,
                partial,
                parameters={"scale": scale, **parameters},
                kernel_name="python3",
                cwd=ROOT,
                progress_bar=False,
                log_output=True,
                execution_timeout=CELL_TIMEOUT[scale],
                # The kernel's own remarks would stand between the lines of progress.
                extra_arguments=["--log-level=ERROR"],
            )
        except PapermillExecutionError as error:
            raise BuildError(
                f"{source.name} failed in cell {progress.cell}: {error.ename}: {error.evalue}\n"
                f"  how far it got: {partial}\n  its output:     {log}"
            ) from error
        progress.say("done")
    notebook = nbformat.read(partial, as_version=4)
    for cell in notebook.cells:
        # The reader may unfold what the page was made with, but need not step over it.
        if {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", [])):
            cell.metadata["tags"] = sorted({*cell.metadata["tags"], "hide-input"})
    nbformat.write(notebook, partial)
    partial.replace(target)
    return target


def benchmarks(path: Path = ROOT / "data" / "benchmarks.json") -> str:
    """The table of benchmarks, in Markdown, from their last committed run."""
    if not path.is_file():
        return "No benchmark has been run yet."
    table = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        *measured(table["runs"]),
        "",
        "| What | Size | Seconds | Against | Seconds | Ratio | Times the floor | Peak MiB |",
        "| :-- | :-- | --: | :-- | --: | --: | --: | --: |",
    ]
    for row in table["rows"]:
        whole = row.get("rival_extrapolated") or row["rival_seconds"]
        guessed = whole != row["rival_seconds"] or "extrapolated" in row["note"]
        theirs = f"{whole:.3g}" + (" *" if guessed else "")
        size = f"{row['size']:,}" if isinstance(row["size"], int) else row["size"]
        above = f"{row['seconds'] / row['floor']:.2g}" if row.get("floor") else ""
        lines.append(
            f"| {row['name']} | {size} | {row['seconds']:.3g} | {row['rival']} | {theirs} | "
            f"{row['ratio']:.3g} | {above} | {row['peak_mib']} |"
        )
    notes = dict.fromkeys(row["note"] for row in table["rows"] if row["note"])
    return "\n".join([*lines, "", "Notes of the benchmarks:", "", *(f"- {note}" for note in notes)])


def measured(runs: dict[str, dict]) -> list[str]:
    """When and on what benchmarks were run, a sentence for those that were run together."""
    together: dict[str, list[str]] = {}
    for name, facts in runs.items():
        machine = facts["hardware"]
        text = (
            f"on {facts['date']} at commit `{facts['commit'][:12]}`, on {machine['cpu']}, {machine['cores']} cores, "
            f"{machine['threads']} threads, torch {facts['versions']['torch']}."
        )
        together.setdefault(text, []).append(name.replace("_", " "))
    if len(together) == 1:
        return [f"Measured {text}" for text in together]
    return [f"Measured {text.removesuffix('.')}: {', '.join(names)}." for text, names in together.items()]


def speed(path: Path = ROOT / "data" / "benchmarks.json") -> str:
    """The figure of time against size from the last committed run of the benchmarks; empty if there is none."""
    table = sizes(json.loads(path.read_text(encoding="utf-8"))["rows"]) if path.is_file() else []
    if len(table) == 0:
        return ""
    picture = figure_html(
        time_by_size(table),
        1,
        "Seconds against size. Both axes are logarithmic. The lowest line is the time of the arithmetic that our way "
        "cannot do without, at the rate this machine reaches for nothing else.",
        "A panel for each benchmark with three lines: our way, the straightforward way above it, and the arithmetic "
        "alone below it.",
        table,
        "time-by-size",
    )
    return f"```{{raw}} html\n{picture}\n```\n"


def above_floor(path: Path = ROOT / "data" / "benchmarks.json") -> str:
    """How far each kind of benchmark stands above its floor, the furthest first; empty if there is no run yet."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
    kinds: dict[str, list[float]] = {}
    for row in rows:
        if row.get("floor"):
            kinds.setdefault(row["name"].split(",")[0], []).append(row["seconds"] / row["floor"])
    lines = ["| What | Times the floor |", "| :-- | --: |"]
    for kind, times in sorted(kinds.items(), key=lambda entry: -max(entry[1])):
        low, high = (f"{end:.2g}" for end in (min(times), max(times)))
        lines.append(f"| {kind} | {low if low == high else f'{low} to {high}'} |")
    return "\n".join(lines) if kinds else ""


def stage(notebooks: dict[str, Path], output: Path, scale: str) -> Path:
    """Lay out in `output/src` what Sphinx reads: settings, prose, and `notebooks` (page → executed file)."""
    src = output / "src"
    shutil.rmtree(src, ignore_errors=True)
    skipped = shutil.ignore_patterns("*.py", "__pycache__", "_generated")
    shutil.copytree(ROOT / "book", src / "book", ignore=skipped)
    shutil.copy(ROOT / "_toc.yml", src)
    for page, path in notebooks.items():
        target = src / f"{page}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)

    generated = src / "book" / "_generated"
    generated.mkdir()
    verdicts = markdown_table() or "No verdicts yet."
    (generated / "verdicts.md").write_text(verdicts + "\n", encoding="utf-8")
    (generated / "findings.md").write_text(findings_cards() + "\n", encoding="utf-8")
    (generated / "studies.md").write_text(studies_table() + "\n", encoding="utf-8")
    (generated / "invariants.md").write_text(invariants_table() + "\n", encoding="utf-8")
    (generated / "drift.md").write_text(drift_table() + "\n", encoding="utf-8")
    (generated / "speed.md").write_text(speed(), encoding="utf-8")
    (generated / "above_floor.md").write_text(above_floor() + "\n", encoding="utf-8")
    (generated / "plans.md").write_text(plans_table() + "\n", encoding="utf-8")
    (generated / "benchmarks.md").write_text(benchmarks() + "\n", encoding="utf-8")
    banner = (
        f":::{{div}} pb-banner\nThis copy was built at the **{scale}** scale: its chapters show small runs. "
        "The verdicts below come from the committed results of the paper scale.\n:::\n"
    )
    (generated / "built.md").write_text("" if scale == "paper" else banner, encoding="utf-8")

    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    static = src / "book" / "_static"
    picture = card(
        config["title"],
        "What three papers say of pruning, each claim held against a rule.",
        count_verdicts(verdicts),
    )
    picture.savefig(static / "card.png", dpi=100)
    where_it_stands(config, os.environ)
    if mathjax(static / "mathjax"):
        config["sphinx"]["config"]["mathjax_path"] = "mathjax/tex-svg.js"
    if not plotly(static):
        config["sphinx"]["config"]["html_js_files"] = [
            entry for entry in config["sphinx"]["config"]["html_js_files"] if "interactive.js" not in entry
        ]
    (src / "_config.yml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return src


def where_it_stands(config: dict, environment: Mapping[str, str]) -> None:
    """Add to the settings what depends on where the book and its source are published, if they are.

    ``PRUNEBOOK_REPOSITORY`` gives the pages buttons for the source, and notebooks those that run them elsewhere;
    ``PRUNEBOOK_URL``, the address of the book, completes what other sites show of a link.
    """
    if repository := environment.get("PRUNEBOOK_REPOSITORY"):
        config["repository"]["url"] = repository
        config["html"] |= {"use_repository_button": True, "use_issues_button": True}
        launch = {"notebook_interface": "jupyterlab", "binderhub_url": "https://mybinder.org"}
        if urlsplit(repository).hostname == "github.com":  # the only place that Colab opens notebooks from
            launch["colab_url"] = "https://colab.research.google.com"
        config["launch_buttons"] = launch
    if address := environment.get("PRUNEBOOK_URL"):
        config["sphinx"]["config"] |= {
            "ogp_site_url": address.rstrip("/") + "/",
            "ogp_image": "_static/card.png",
        }


def count_verdicts(table: str) -> dict[str, int]:
    """How often each verdict stands in the table of claims."""
    found = re.findall(r"pb-verdict-([a-z-]+)", table)
    return {verdict: found.count(verdict.replace(" ", "-")) for verdict in VERDICTS}


def plotly(folder: Path) -> bool:
    """Put the script that draws interactive figures beside the book, once for all pages; False if it is missing."""
    try:
        script = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    except ModuleNotFoundError:
        print("plotly is not installed: all figures will be static.", flush=True)
        return False
    (folder / "plotly.min.js").write_bytes(script.read_bytes())
    return True


def mathjax(folder: Path) -> bool:
    """Put MathJax beside the book, so that formulas need no network; False if its package is missing."""
    try:
        files = importlib.metadata.files("sphinx-mathjax-offline") or []
    except importlib.metadata.PackageNotFoundError:
        print("sphinx-mathjax-offline is not installed: formulas will need the network.", flush=True)
        return False
    (script,) = (file for file in files if file.name == "tex-svg.js")
    folder.mkdir(parents=True)
    shutil.copy(script.locate(), folder)
    return True


def render(src: Path, output: Path) -> Path:
    """Run Jupyter Book strictly on `src`; a warning is an error, and leaves the last good book as it was."""
    work, log = output / "work", output / "logs" / "book.log"
    shutil.rmtree(work, ignore_errors=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [Path(sys.executable).with_name("jupyter-book"), "build", src, "--path-output", work]
    with log.open("w", encoding="utf-8") as stream:
        built = subprocess.run(
            [*command, "-W", "-n", "--keep-going"],
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8"))
    log.write_text(text, encoding="utf-8")
    lines = text.splitlines()
    complaints = [line for line in lines if "WARNING" in line or "ERROR" in line]
    if built.returncode or complaints:
        raise BuildError(
            "\n".join(["Jupyter Book complains:", *(complaints or lines[-20:]), f"  all of it: {log}"])
        )
    html = output / "html"
    finish(work / "_build" / "html")
    shutil.rmtree(html, ignore_errors=True)
    (work / "_build" / "html").replace(html)
    shutil.rmtree(work)
    print(f"[{time.monotonic() - START:6.0f} s] pages built", flush=True)
    return html / "index.html"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=list(CELL_TIMEOUT), default="laptop")
    parser.add_argument("--device", default="", help="auto, cpu or cuda")
    parser.add_argument("--data", default="", help="a folder with data sets; may be read-only")
    parser.add_argument("--seeds", default="", help="how many seeds, or a list such as '[0, 3]'")
    parser.add_argument("--output", type=Path, default=ROOT / "_build", help="where everything is written")
    asked = parser.parse_args()
    output = asked.output.resolve()
    parameters = {"device": asked.device, "seeds": yaml.safe_load(asked.seeds) if asked.seeds else ""}
    parameters["data"] = str(Path(asked.data).expanduser().resolve()) if asked.data else ""
    parameters = {name: value for name, value in parameters.items() if value not in ("", None)}
    try:
        notebooks = {page: path for page, path in sources().items() if path.suffix == ".ipynb"}
        executed = {
            page: execute(path, output, asked.scale, given_to(path.stem, parameters))
            for page, path in notebooks.items()
        }
        print("The book:", render(stage(executed, output, asked.scale), output))
    except BuildError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. Runs that had finished are kept; the same command goes on from there.")


if __name__ == "__main__":
    main()
