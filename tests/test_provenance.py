"""Where a number comes from: the hash of the code, the commit, versions and hardware."""

import getpass
import importlib
import importlib.metadata
import json
import shutil
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from prunebook.errors import InputError
from prunebook.store import machine

SOURCE = '''"""doc"""
import os  # hi
__version__ = "1"

def f(x):
    """ünï doc"""
    y = f"a{x!r:>{3}} {'b' + f'{x}'}" "c" f"{x:.3f}"  # c

    """bare"""
    é = ("""keep
   this   
""", 3)
    if x: "doc"; return 1
    return (x +
            1)
class A:
    """only"""
async def g():
    match x:
        case 1: pass
    return lambda q, /, *, z: q @ z
# end'''


def test_the_hash_is_the_same_on_every_python():
    # Written down from Python 3.11, 3.12 and 3.13, which tokenise f-strings in different ways.
    assert machine.source_hash(SOURCE) == "6f9bf0940b072c30"


PLAIN = """
def f(x, eps=1e-3):
    y = x + eps
    return f"{y:.2f}"
"""


@pytest.mark.parametrize(
    "same",
    [
        PLAIN.replace("y = x", "# why\n    y = x"),
        PLAIN.replace("x + eps", "x + eps  # why"),
        PLAIN.replace("    y = x", '    """Doc.\n\n    More: 1 + 1.\n    """\n    y = x'),
        PLAIN.replace("    y = x", "    '''Doc.'''\n\n\n    y = x"),
        '"""Module."""\n' + PLAIN,
        '__version__ = "9.9"\n' + PLAIN,
        PLAIN.replace("x + eps\n", "x + eps   \n\n   \n"),
        PLAIN.replace("x + eps", "x+eps").replace("    ", "\t"),
        PLAIN.replace("def f(x, eps=1e-3)", "def f(\n    x, eps=1e-3\n)"),
        PLAIN.rstrip("\n"),
        PLAIN + "\n\n# the end",
    ],
)
def test_the_hash_is_blind_to_comments_docstrings_and_layout(same):
    assert same != PLAIN
    assert machine.source_hash(same) == machine.source_hash(PLAIN)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1e-3", "1e-4"),
        ("x + eps", "x - eps"),
        (".2f", ".3f"),
        ('f"{y:.2f}"', 'f"{y:.2f} "'),
        ('f"{y:.2f}"', '"{y:.2f}"'),
        ("x, eps", "eps, x"),
        ("y = x + eps\n", "y = x + eps\n    y += 1\n"),
        ("return", "yield"),
    ],
)
def test_the_hash_sees_what_computes(old, new):
    assert old in PLAIN
    assert machine.source_hash(PLAIN.replace(old, new)) != machine.source_hash(PLAIN)


def test_a_docstring_after_letters_of_two_bytes_is_found():
    one, two = (machine.source_hash(f'def éé(): "{doc}"') for doc in ("one", "two"))
    assert one == two


def test_the_hash_sees_nesting_and_blanks_inside_a_string():
    inside = "for i in x:\n    a()\n    b()\n"
    outside = "for i in x:\n    a()\nb()\n"
    assert machine.source_hash(inside) != machine.source_hash(outside)
    assert machine.source_hash('t = """a\nb"""') != machine.source_hash('t = """a \nb"""')
    assert machine.source_hash('t = """a\nb"""') != machine.source_hash('t = """a\n\nb"""')


@pytest.fixture
def package(tmp_path):
    """A small package with the same name, to follow imports in."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / "prunebook" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return tmp_path

    write({"__init__.py": '__version__ = "1"'})
    return write


def names(module, root):
    return {name.removeprefix("prunebook").lstrip(".") for name in machine.trace(module, root)}


def test_every_form_of_import_is_followed(package):
    root = package(
        {
            "start.py": """
                import os, numpy.linalg
                import prunebook.plain.deep
                from . import sibling
                from .relative import anything
                from prunebook.absolute import anything
                from prunebook import from_root as renamed
                from .starred import *
                def f():
                    from .inside import lazy
                """,
            "plain/__init__.py": "from .neighbour import x",
            "plain/neighbour.py": "x = 1",
            "plain/deep.py": "from ..above import x\nfrom . import cousin",
            "plain/cousin.py": "",
            "plain/unused.py": "",
            "alone/__init__.py": "",
            "alone/module.py": "",
            "above.py": "import prunebook.start\nimport prunebook.alone.module",  # a cycle
            "sibling.py": "",
            "relative.py": "from .further import x",
            "further.py": "",
            "absolute.py": "",
            "from_root.py": "",
            "starred.py": "",
            "inside.py": "",
            "unused.py": "import prunebook.unused2",
            "unused2.py": "",
        }
    )
    assert names("prunebook.start", root) == {
        *("", "start", "plain", "plain.neighbour", "plain.deep", "plain.cousin", "above", "sibling"),
        *("relative", "further", "absolute", "from_root", "starred", "inside", "alone", "alone.module"),
    }


def test_what_cannot_change_a_number_is_not_followed(package):
    root = package(
        {
            "experiments/__init__.py": "from . import one, other",
            "experiments/one.py": "from prunebook.studies import common\nfrom ..studies import Study",
            "experiments/other.py": "",
            "experiments/common.py": "",
            "studies.py": "from prunebook import behind",
            "behind.py": "",
            "figures/__init__.py": "",
            "figures/lines.py": "from prunebook import behind",
            "draws.py": "from prunebook.pages.figures.lines import x",
        }
    )
    assert names("prunebook.studies.one", root) == {"", "experiments.one", "experiments.common"}
    assert names("prunebook.draws", root) == {"", "draws"}
    assert names("prunebook.pages.figures.lines", root) == {"", "figures.lines", "behind"}, (
        "asked for by name"
    )


def test_a_change_far_away_changes_only_that_module(package):
    files = {"a.py": "from .b import x", "b.py": "from .c import x", "c.py": "x = 1"}
    before = machine.trace("prunebook.a", package(files))
    assert machine.trace("prunebook.a", package({"c.py": "x = 1  # one"})) == before
    after = machine.trace("prunebook.a", package({"c.py": "x = 2"}))
    assert [name for name in before if before[name] != after[name]] == ["prunebook.c"]


@pytest.mark.parametrize("module", ["prunebook.nowhere", "prunebook./etc/passwd", "prunebook..errors", ""])
def test_a_module_that_is_not_there_is_refused(module):
    with pytest.raises(InputError, match="there is no module"):
        machine.code_modules(module)


def test_the_code_hash_covers_all_modules(monkeypatch):
    modules = machine.code_modules("prunebook.errors")
    assert set(modules) == {"prunebook", "prunebook.errors"}
    before = machine.code_hash("prunebook.errors")
    modules["prunebook"] = "spoilt"  # a copy, not the memory of it
    assert machine.code_hash("prunebook.errors") == before
    monkeypatch.setattr(machine, "_trace_package", lambda _: modules)
    assert machine.code_hash("prunebook.errors") != before


def test_all_that_python_imports_is_found():
    """Against the interpreter itself: no module that is really imported may be missing."""
    module = "prunebook.data.images"
    before = {name: loaded for name, loaded in sys.modules.items() if name.split(".")[0] == "prunebook"}
    try:
        for name in before:
            del sys.modules[name]
        importlib.import_module(module)
        imported = {name for name in sys.modules if name.split(".")[0] == "prunebook"}
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "prunebook"]:
            del sys.modules[name]
        sys.modules.update(before)
    imported -= machine.EXCLUDED
    assert len(imported) > 2
    assert imported <= set(machine.code_modules(module))


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    home = tmp_path / "src" / "prunebook"
    home.mkdir(parents=True)
    (home / "x.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("hello\n", encoding="utf-8")
    git(tmp_path, "init", "-q")
    monkeypatch.setattr(machine, "PACKAGE_DIR", home)
    return tmp_path


def test_commit_tells_sha_and_changes_under_src(checkout):
    commit = machine.commit.__wrapped__
    assert commit() == ("unknown", False), "nothing is committed yet"
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "first")
    sha, dirty = commit()
    assert len(sha) == 40
    assert dirty is False
    (checkout / "README.md").write_text("changed\n", encoding="utf-8")
    (checkout / "src" / "prunebook" / "new.py").write_text("", encoding="utf-8")
    assert commit() == (sha, False), "neither pages nor untracked files count"
    (checkout / "src" / "prunebook" / "x.py").write_text("x = 2\n", encoding="utf-8")
    assert commit() == (sha, True)


def test_commit_is_unknown_for_a_copy_inside_another_repository(checkout, monkeypatch):
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "first")
    installed = checkout / ".venv" / "prunebook"
    installed.mkdir(parents=True)
    monkeypatch.setattr(machine, "PACKAGE_DIR", installed)
    assert machine.commit.__wrapped__() == ("unknown", False)


def test_commit_never_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "PACKAGE_DIR", tmp_path)
    assert machine.commit.__wrapped__() == ("unknown", False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.commit.__wrapped__() == ("unknown", False)


def test_versions_are_those_installed():
    found = machine.versions()
    assert set(found) == {"python", "prunebook", "torch", "torchvision", "numpy", "scipy", "pandas"}
    assert found["torch"] == importlib.metadata.version("torch")
    assert found["python"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]


def test_hardware_describes_the_machine_and_names_nobody():
    import torch

    facts = machine.hardware("cpu")
    assert facts["threads"] == torch.get_num_threads()
    assert facts["cores"] >= 1
    assert facts["cpu"]
    assert "gpu" not in facts
    text = json.dumps([facts, machine.versions()])
    for name in (socket.gethostname(), str(Path.home()), str(Path.cwd())):
        assert name not in text
    assert getpass.getuser() not in text.split('"')
