"""Every public name has a place in the reference, and the docstrings arrive there as they were meant."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from prunebook import units, weights
from prunebook.pages import apidoc

FOLDER = Path(__file__).resolve().parents[1] / "book" / "api"
DIRECTIVE = re.compile(r"^\.\. (auto\w+|py:data|currentmodule):: (\S+)((?:\n   :\w+:.*)*)", re.MULTILINE)
# Here constants are part of what a user works with; elsewhere they are the pages' own affair.
LIBRARY = ("units", "weights", "coresets", "delivery", "data.images", "data.diffusion_sorption")
OTHERS = ("evidence", "evidence.statistics")
FIGURES = Path(__file__).resolve().parents[1] / "src" / "prunebook" / "pages" / "figures"
SERVANTS = {"card", "embedded", "layout", "speed", "style", "tables"}  # what draws the parts, or the book alone


def documented():
    """Full names that the pages describe, and the modules whose members they all describe."""
    names, whole = set(), set()
    for page in FOLDER.glob("*.md"):
        for block in re.findall(r"```\{eval-rst\}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            module = ""
            for kind, name, options in DIRECTIVE.findall(block):
                if kind == "currentmodule":
                    module = name
                elif kind == "automodule":
                    module = name
                    if ":members:" in options:
                        whole.add(name)
                else:
                    names.add(name if name.startswith("prunebook.") else f"{module}.{name}")
    return names, whole


@pytest.mark.parametrize("package", [*LIBRARY, *OTHERS])
def test_every_exported_name_is_on_a_page(package):
    module = importlib.import_module(f"prunebook.{package}")
    names, whole = documented()
    missing = []
    for name in module.__all__:
        thing = getattr(module, name)
        by_module = module.__name__ in whole and callable(thing) and thing.__doc__
        ours = package in LIBRARY or inspect.isclass(thing) or inspect.isfunction(thing)
        if ours and not by_module and f"{module.__name__}.{name}" not in names:
            missing.append(name)
    assert not missing, f"add these to a page of book/api: {', '.join(missing)}"


def test_every_module_of_figures_is_on_a_page():
    _, whole = documented()
    modules = {path.stem for path in FIGURES.glob("*.py")} - {"__init__"} - SERVANTS
    assert modules == {name.split(".")[-1] for name in whole if name.startswith("prunebook.pages.figures.")}


def test_every_name_on_a_page_is_there_and_explained():
    names, whole = documented()
    assert len(names) > 100
    for module in whole:
        assert importlib.import_module(module).__doc__, module
    for name in sorted(names):
        module, _, last = name.rpartition(".")
        thing = getattr(importlib.import_module(module), last)
        assert not callable(thing) or thing.__doc__, f"{name} has no docstring"


@pytest.mark.parametrize(
    ("page", "registry"),
    [
        ("units", units.SCORES),
        ("units", units.CONVENTIONS),
        ("weights", weights.METHODS),
        ("weights", weights.CRITERIA),
        ("weights", weights.COMPENSATIONS),
    ],
    ids=["scores", "conventions", "methods", "rankings", "compensations"],
)
def test_registries_are_listed(page, registry):
    text = (FOLDER / f"{page}.md").read_text(encoding="utf-8")
    missing = [name for name in registry if f"``{name}``" not in text]
    assert not missing, f"name these on book/api/{page}.md: {', '.join(missing)}"


def test_pages_are_linked_from_the_first_one():
    first = (FOLDER / "index.md").read_text(encoding="utf-8")
    for page in FOLDER.glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in first, page.name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text", "plain text"),
        ("`x` and ``y``", "``x`` and ``y``"),
        ("`|z|` is |z|", r"``|z|`` is \|z\|"),
        ("the best of eta*, x * y", r"the best of eta\*, x \* y"),
        ("draws of z_k and a name_ alone", r"draws of z_k and a name\_ alone"),
        (r"a \ b", r"a \\ b"),
        ("see :func:`collect`", "see :func:`collect`"),
        ("two `UnitLayer`s", r"two ``UnitLayer``\ s"),
        ("Args:", "Args:"),
        ("    steps: how many", "    steps: how many"),
    ],
)
def test_plain_text_stays_plain(text, expected):
    assert apidoc.escaped(text) == expected


MODULE = '''
"""Made up."""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor

PLACE = Path("/a/place/of/one/machine")


class Found:
    """What `look` found."""


def look(z: Float[Tensor, "points classes"], path: Path = PLACE) -> Found:
    """The best eta* with |z_k| below `z`."""
'''


def build(folder, functions):
    """Text of a page with the functions of the module above, and what Sphinx complained about, strictly."""
    (folder / "prunebook_made_up.py").write_text(MODULE, encoding="utf-8")
    (folder / "conf.py").write_text('extensions = ["prunebook.pages.apidoc"]\n', encoding="utf-8")
    lines = [".. autoclass:: prunebook_made_up.Found", *functions]
    (folder / "index.rst").write_text("Title\n=====\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    paths = os.pathsep.join([str(folder), str(Path(apidoc.__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-n", "-b", "text", folder, folder / "out"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return (folder / "out" / "index.txt").read_text(encoding="utf-8"), done.stderr


def test_a_page_shows_types_defaults_and_mathematics_as_written(tmp_path):
    text, complaints = build(tmp_path, [".. autofunction:: prunebook_made_up.look"])
    assert complaints == ""
    assert "path=PLACE" in text
    assert "one/machine" not in text
    assert 'The best eta* with |z_k| below "z".' in text
    assert "Float[Tensor, 'points classes']" in text.replace("*", "")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("torch.nn.modules.module.Module", True),
        ("Tensor", True),
        ("'n_out n_in'", True),
        ("prunebook.weights.calibration.T", True),
        ("prunebook.weights.Calibration", False),
    ],
)
def test_a_class_of_ours_has_to_lead_somewhere(target, text):
    config = SimpleNamespace(nitpick_ignore_regex=[])
    apidoc.defaults(None, config)
    assert any(re.fullmatch(pattern, target) for _, pattern in config.nitpick_ignore_regex) == text
