"""Build the book: execute the notebooks with papermill, lay the pages out, and run Jupyter Book strictly.

Typed as `python book/build.py --scale laptop`; `make book` does just that. As many pages are executed at a time as
there are cores, and a page whose text, library, parameters and results are those of last time is left as it is. What
a page was made from stands in the executed notebook itself, so no time stamp decides. `--page NAME` executes one page
and stops; `--laid-out` executes none, and takes the pages as they lie there.

Everything is written below `--output` (`_build`): `executed/SCALE/` the executed notebooks, `logs/` their output,
`src/` the pages as Sphinx reads them, and `html/` the book, which is replaced only by a book that was built without a
warning.
"""

import argparse
import concurrent.futures
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import papermill
import yaml
from papermill.exceptions import PapermillExecutionError

from prunebook.store.results import Store
from prunebook.workflow.jobs import shown

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))  # its other modules, whoever imports this one
# Seconds that one cell may take; the paper scale takes as long as it takes.
CELL_TIMEOUT = {"smoke": 600, "laptop": 1800, "paper": None}
HEARTBEAT = 15.0
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
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
    from prunebook.data.images.picture_folders import picture_root
    from prunebook.errors import DataError

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
    code = code_of(source)  # before anything runs: what is edited meanwhile must count as a change
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
    notebook.metadata["prunebook"] = {"made_from": made_from(source, scale, parameters, code)}
    nbformat.write(notebook, partial)
    partial.replace(target)
    return target


def code_of(source: Path) -> str:
    """A hash of a page's own text and of the library."""
    digest = hashlib.sha256()
    files = [source, *sorted((ROOT / "src").rglob("*.py"))]
    files += sorted((ROOT / "data").glob("*.yaml")) + sorted((ROOT / "data" / "reported").glob("*.*"))
    for path in files:
        digest.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def made_from(source: Path, scale: str, parameters: dict, code: str, store: Store | None = None) -> str:
    """A hash of all that a page is made from: ``code``, parameters, the results it shows, and those of all verdicts."""
    root = (store or Store()).root
    records = {*(root / "paper").glob("*/*/seed-*/record.json")}
    text = source.with_suffix(".py")
    for study in shown(text) if text.is_file() else ():
        records |= {*(root / scale / study).glob("*/seed-*/record.json")}
    digest = hashlib.sha256(json.dumps([scale, parameters, code], sort_keys=True).encode())
    for path in sorted(records):
        digest.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def unchanged(source: Path, output: Path, scale: str, parameters: dict) -> bool:
    """Whether the executed page that lies there is made from all that it would be made from now."""
    try:
        notebook = nbformat.read(output / "executed" / scale / source.name, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError):
        return False
    then = notebook.metadata.get("prunebook", {}).get("made_from")
    return then == made_from(source, scale, parameters, code_of(source))


def execute_all(sources: list[Path], output: Path, scale: str, arguments: list[str]) -> None:
    """Execute pages side by side, each in a process of its own; the first that fails stops the rest.

    ``arguments`` are those of this program. The threads of the machine are shared out among the pages.
    """
    workers = max(1, min(CORES, len(sources)))
    environment = {"OMP_NUM_THREADS": str(max(1, CORES // workers)), **os.environ}
    running: list[subprocess.Popen] = []

    def one(source: Path) -> str:
        command = [sys.executable, str(Path(__file__)), *arguments, "--page", source.stem]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            running.append(process)
            _, complaint = process.communicate()
        return complaint.strip() or f"{source.stem} was stopped" if process.returncode else ""

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(one, source) for source in sources]
        try:
            for done, future in enumerate(concurrent.futures.as_completed(futures), start=1):
                if complaint := future.result():
                    raise BuildError(complaint)
                print(f"[{time.monotonic() - START:6.0f} s] {done} of {len(sources)} pages", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in running:
                process.terminate()
            raise


def contents(src: Path) -> str:
    """A hash of all that Sphinx reads, and of what else has a part in a page: our own code and the pinned packages."""
    digest = hashlib.sha256()
    files = sorted(path for path in src.rglob("*") if path.is_file())
    code = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "book").glob("*.py")])
    for path in [*files, *code, ROOT / "requirements.lock"]:
        digest.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def render(src: Path, output: Path) -> Path:
    """Run Jupyter Book strictly on `src`; a warning is an error, and leaves the last good book as it was.

    A book of the same pages, made by the same packages, is left alone.
    """
    from finishing import finish

    work, log, html = output / "work", output / "logs" / "book.log", output / "html"
    now, note = contents(src), output / "html-made-from"
    if (html / "index.html").is_file() and note.is_file() and note.read_text(encoding="utf-8") == now:
        print(f"[{time.monotonic() - START:6.0f} s] the book is up to date", flush=True)
        return html / "index.html"
    note.unlink(missing_ok=True)
    shutil.rmtree(work, ignore_errors=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [Path(sys.executable).with_name("jupyter-book"), "build", src, "--path-output", work]
    with log.open("w", encoding="utf-8") as stream:
        built = subprocess.run([*command, "-W", "-n", "--keep-going"], stdout=stream, stderr=subprocess.STDOUT)
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8"))
    log.write_text(text, encoding="utf-8")
    lines = text.splitlines()
    complaints = [line for line in lines if "WARNING" in line or "ERROR" in line]
    if built.returncode or complaints:
        raise BuildError("\n".join(["Jupyter Book complains:", *(complaints or lines[-20:]), f"  all of it: {log}"]))
    finish(work / "_build" / "html")
    shutil.rmtree(html, ignore_errors=True)
    (work / "_build" / "html").replace(html)
    shutil.rmtree(work)
    note.write_text(now, encoding="utf-8")
    print(f"[{time.monotonic() - START:6.0f} s] pages built", flush=True)
    return html / "index.html"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=list(CELL_TIMEOUT), default="laptop")
    parser.add_argument("--device", default="", help="auto, cpu or cuda")
    parser.add_argument("--data", default="", help="a folder with data sets; may be read-only")
    parser.add_argument("--seeds", default="", help="how many seeds, or a list such as '[1, 3]'")
    parser.add_argument("--output", type=Path, default=ROOT / "_build", help="where everything is written")
    parser.add_argument("--page", default="", help="execute this page alone, and lay no book out")
    parser.add_argument("--laid-out", action="store_true", help="execute nothing: all pages lie there")
    asked = parser.parse_args()
    output, scale = asked.output.resolve(), asked.scale
    given = {"device": asked.device, "seeds": yaml.safe_load(asked.seeds) if asked.seeds else ""}
    given["data"] = str(Path(asked.data).expanduser().resolve()) if asked.data else ""
    given = {name: value for name, value in given.items() if value not in ("", None)}
    try:
        notebooks = {page: path for page, path in sources().items() if path.suffix == ".ipynb"}
        if asked.page:
            there = {path.stem: path for path in notebooks.values()}
            if asked.page not in there:
                raise BuildError(f"there is no page {asked.page!r}: use {', '.join(there)}")
            chosen = [there[asked.page]]
        else:
            chosen = [] if asked.laid_out else list(notebooks.values())
        parameters = {path: given_to(path.stem, given) for path in chosen}
        changed = [path for path in chosen if not unchanged(path, output, scale, parameters[path])]
        if len(chosen) > len(changed):
            print(f"{len(chosen) - len(changed)} of {len(chosen)} pages are up to date", flush=True)
        if asked.page:
            for path in changed:
                execute(path, output, scale, parameters[path])
            return
        if changed:
            execute_all(changed, output, scale, sys.argv[1:])
        executed = {page: output / "executed" / scale / path.name for page, path in notebooks.items()}
        if absent := [str(path) for path in executed.values() if not path.is_file()]:
            raise BuildError(f"not executed yet: {', '.join(absent)}")
        from staging import stage

        print("The book:", render(stage(executed, output, scale), output))
    except BuildError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. Runs that had finished are kept; the same command goes on from there.")


if __name__ == "__main__":
    main()
