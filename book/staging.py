"""Lay out in one folder what Sphinx reads: settings, prose with its generated parts, executed notebooks."""

import importlib.metadata
import importlib.resources
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import site_data
import slider
import yaml
from generated import parts

from prunebook.evidence import latest, verdicts
from prunebook.pages.figures.card import card

ROOT = Path(__file__).resolve().parents[1]


def stage(notebooks: dict[str, Path], output: Path, scale: str) -> Path:
    """Lay out in `output/src` what Sphinx reads: settings, prose, and `notebooks` (page → executed file)."""
    src = output / "src"
    shutil.rmtree(src, ignore_errors=True)
    skipped = shutil.ignore_patterns("*.py", "__pycache__", "_generated", "schema")
    shutil.copytree(ROOT / "book", src / "book", ignore=skipped)
    shutil.copy(ROOT / "_toc.yml", src)
    for page, path in notebooks.items():
        target = src / f"{page}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(folded(nbformat.read(path, as_version=4)), target)

    generated = src / "book" / "_generated"
    generated.mkdir()
    for name, text in parts(scale, os.environ.get("PRUNEBOOK_REPOSITORY", "")).items():
        (generated / f"{name}.md").write_text(text.strip() + "\n", encoding="utf-8")

    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    static = src / "book" / "_static"
    now = latest(verdicts())
    counts = now.loc[now["kind"] != "check", "verdict"].value_counts().to_dict()
    picture = card(config["title"], "What three papers say of pruning, each claim held against a rule.", counts)
    picture.savefig(static / "card.png", dpi=100)
    slider.write(static)
    site_data.write(src / "book" / "_site")
    config["sphinx"]["config"]["html_extra_path"] = ["book/_site"]
    where_it_stands(config, os.environ)
    if mathjax(static / "mathjax"):
        config["sphinx"]["config"]["mathjax_path"] = "mathjax/tex-svg.js"
    if not plotly(static):
        config["sphinx"]["config"]["html_js_files"] = [
            entry for entry in config["sphinx"]["config"]["html_js_files"] if "interactive.js" not in entry
        ]
    (src / "_config.yml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return src


def folded(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The page with its parameters folded, and without those of the build, which its run card and command show."""
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        if tags & {"parameters", "injected-parameters"}:
            cell.metadata["tags"] = sorted(tags | {"hide-input" if "parameters" in tags else "remove-cell"})
    return notebook


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
        config["sphinx"]["config"] |= {"ogp_site_url": address.rstrip("/") + "/", "ogp_image": "_static/card.png"}


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
