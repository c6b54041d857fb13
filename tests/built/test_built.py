"""The book that the tests have built: every page is there, it loads nothing from elsewhere, and it is finished.

``make test`` runs this folder after the book; the book is the folder in PRUNEBOOK_BOOK.
"""

import importlib
import json
import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book"))
build = importlib.import_module("build")


@pytest.fixture(scope="module")
def book():
    folder = Path(os.environ.get("PRUNEBOOK_BOOK", ROOT / "_build" / "test" / "html"))
    if not (folder / "index.html").is_file():
        pytest.skip(f"no book in {folder}: make test")
    return folder


def test_pages_are_built_without_a_warning(book):
    assert (book / "index.html").is_file()
    for page in build.pages():
        assert (book / f"{page}.html").is_file(), page
    assert "smoke" in (book / "book" / "index.html").read_text(encoding="utf-8")


def test_pages_load_nothing_from_elsewhere(book):
    if not (book / "_static" / "mathjax").is_dir():
        pytest.skip("sphinx-mathjax-offline is not installed")
    for page in [book / f"{name}.html" for name in build.pages()]:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"""<(?:script|img|iframe)[^>]*\bsrc=["']([^"']+)""", text)
        loaded += re.findall(r"""<link[^>]*\brel=["'](?:stylesheet|preload)[^>]*\bhref=["']([^"']+)""", text)
        assert loaded
        for address in loaded:
            assert not re.match(r"(https?:)?//", address), f"{page.name} loads {address}"


def test_pages_are_finished(book):
    front = (book / "book" / "index.html").read_text(encoding="utf-8")
    assert 'property="og:title" content="Pruning, re-run"' in front
    assert 'property="og:site_name" content="Pruning, re-run"' in front
    assert "THEBE" not in front
    script = (book / "_static" / "previews-data.js").read_text(encoding="utf-8")
    found = json.loads(script.removeprefix("window.pbPreviews = ").rstrip().removesuffix(";"))
    assert any(address.startswith("book/references.html#") for address in found)
