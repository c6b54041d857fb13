"""Each notebook is a pair of a text file and an .ipynb without outputs, with one cell of parameters."""

import ast
from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
NAMES = sorted({path.stem for path in FOLDER.glob("*.py")} | {path.stem for path in FOLDER.glob("*.ipynb")})
PARAMETERS = {"scale", "device", "seeds", "data", "fresh"}

pytestmark = pytest.mark.parametrize("name", NAMES)


def pair(name):
    text, cells = FOLDER / f"{name}.py", FOLDER / f"{name}.ipynb"
    assert text.is_file(), f"{text.name} is missing: make it with `jupytext --to py:percent`"
    assert cells.is_file(), f"{cells.name} is missing: make it with `make format`"
    return jupytext.read(text, fmt="py:percent"), nbformat.read(cells, as_version=4)


def test_the_two_files_agree(name):
    text, cells = pair(name)
    # Line by line, so that a difference is shown where it is.
    for number, (ours, theirs) in enumerate(zip(text.cells, cells.cells, strict=False), start=1):
        what = f"cell {number} differs; `make format` brings {name}.ipynb in line with {name}.py"
        assert ours.cell_type == theirs.cell_type, what
        assert ours.source == theirs.source, what
        assert ours.metadata == theirs.metadata, what
    assert len(text.cells) == len(cells.cells)
    assert text.metadata.get("kernelspec") == cells.metadata.get("kernelspec")


def test_no_outputs_are_stored(name):
    for cell in pair(name)[1].cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None


def test_one_cell_sets_exactly_the_parameters(name):
    tagged = [cell for cell in pair(name)[1].cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    statements = ast.parse(tagged[0].source).body
    assert all(isinstance(statement, ast.Assign | ast.AnnAssign) for statement in statements)
    targets = [t for s in statements for t in (s.targets if isinstance(s, ast.Assign) else [s.target])]
    assert sorted(ast.unparse(target) for target in targets) == sorted(PARAMETERS)
