"""The book builds strictly, executes notebooks safely, and needs nothing from the network to be read."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from prunebook.evidence import chip

ROOT = Path(__file__).resolve().parents[1]

spec = importlib.util.spec_from_file_location("build", ROOT / "book" / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)


def notebook(path, *cells, parameters="scale = None"):
    cells = [nbformat.v4.new_code_cell(text) for text in (parameters, *cells)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def stub(source, path):
    """A notebook's text without its code and without the numbers that only a run can fill in."""
    content = nbformat.read(source, as_version=4)
    content.cells = [cell for cell in content.cells if cell.cell_type == "markdown"]
    for cell in content.cells:
        cell.source = re.sub(r"\{glue(?::\w+)?\}(`[^`]*`)", r"\1", cell.source)
        cell.source = re.sub(r"^([`:]{3,})\{glue[^}]*\}.*$", r"\1text", cell.source, flags=re.MULTILINE)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(content, path)
    return path


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The book with stubs in place of executed notebooks."""
    output = tmp_path_factory.mktemp("book")
    notebooks = {page: path for page, path in build.sources().items() if path.suffix == ".ipynb"}
    stubs = {page: stub(path, output / "stubs" / path.name) for page, path in notebooks.items()}
    build.render(build.stage(stubs, output, "laptop"), output)
    return output / "html"


@pytest.mark.xdist_group("book")
def test_pages_are_built_without_a_warning(book):
    assert (book / "index.html").is_file()
    for page in build.pages():
        assert (book / f"{page}.html").is_file(), page
    assert "laptop" in (book / "book" / "index.html").read_text(encoding="utf-8")


@pytest.mark.xdist_group("book")
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


def small_book(output, text):
    """The sources of a book of one page, with our own settings."""
    src = output / "src"
    (src / "book" / "_static").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "_config.yml", src)
    shutil.copy(ROOT / "book" / "references.bib", src / "book")
    (src / "book" / "_static" / "custom.css").touch()
    (src / "_toc.yml").write_text("format: jb-book\nroot: book/index\n", encoding="utf-8")
    (src / "book" / "index.md").write_text(text, encoding="utf-8")
    return src


def test_a_broken_reference_is_an_error_and_the_last_good_book_stays(tmp_path):
    (tmp_path / "html").mkdir()
    (tmp_path / "html" / "index.html").write_text("the last good book", encoding="utf-8")
    with pytest.raises(build.BuildError, match="no_such_word"):
        build.render(small_book(tmp_path, "# Title\n\n{term}`no_such_word`\n"), tmp_path)
    assert (tmp_path / "html" / "index.html").read_text(encoding="utf-8") == "the last good book"


def test_a_page_without_a_file_is_named(tmp_path, monkeypatch):
    toc = tmp_path / "_toc.yml"
    toc.write_text("root: book/index\nparts: [{chapters: [{file: notebooks/absent}]}]", encoding="utf-8")
    pages = build.pages
    monkeypatch.setattr(build, "pages", lambda: pages(toc))
    with pytest.raises(build.BuildError, match="notebooks/absent"):
        build.sources()


def test_parameters_reach_the_notebook_and_their_cells_are_folded(tmp_path):
    source = notebook(tmp_path / "page.ipynb", "print(scale, seeds)", parameters="scale, seeds = None, None")
    target = build.execute(source, tmp_path, "smoke", {"seeds": 3})
    assert target == tmp_path / "executed" / "smoke" / "page.ipynb"
    done = nbformat.read(target, as_version=4)
    assert done.cells[-1].outputs[0].text == "smoke 3\n"
    tags = [set(cell.metadata.tags) for cell in done.cells]
    assert tags == [{"parameters", "hide-input"}, {"injected-parameters", "hide-input"}, set()]
    assert "smoke 3" in (tmp_path / "logs" / "smoke" / "page.log").read_text(encoding="utf-8")


def test_data_go_to_the_page_on_pictures_only_if_there_are_pictures(tmp_path, capsys):
    given = {"data": str(tmp_path), "seeds": 2}
    assert build.given_to("mean_replacement_pictures", given) == {"seeds": 2}
    assert "mean_replacement_pictures is not given the data: data=" in capsys.readouterr().out
    assert build.given_to("mean_replacement", given) == given
    for part in ("train", "val"):
        (tmp_path / "pictures" / part / "cats").mkdir(parents=True)
    assert build.given_to("mean_replacement_pictures", given) == given
    assert build.given_to("mean_replacement_pictures", {"seeds": 2}) == {"seeds": 2}
    absent = {"data": str(tmp_path / "absent")}
    assert build.given_to("mean_replacement_pictures", absent) == absent, (
        "the page says what is wrong with it"
    )
    assert capsys.readouterr().out == ""


def test_the_page_on_pictures_goes_by_the_name_that_it_is_known_by():
    assert build.PICTURES in {path.stem for path in build.sources().values()}


def test_benchmarks_are_ordered_by_how_far_they_stand_above_their_floor(tmp_path):
    path = tmp_path / "benchmarks.json"
    assert build.above_floor(path) == ""
    rows = [("a, small", 2.0, 1.0), ("a, large", 3.0, 2.0), ("b", 9.0, 2.0), ("c", 1.0, None)]
    rows = [dict(zip(("name", "seconds", "floor"), row, strict=True)) for row in rows]
    path.write_text(build.json.dumps({"rows": rows}), encoding="utf-8")
    assert build.above_floor(path).splitlines()[2:] == ["| b | 4.5 |", "| a | 1.5 to 2 |"]


def test_a_notebook_that_fails_is_named_and_leaves_nothing_to_be_used(tmp_path):
    source = notebook(tmp_path / "page.ipynb", "1 + 1", "raise ValueError('seeds must be positive')")
    old = tmp_path / "executed" / "smoke" / "page.ipynb"
    old.parent.mkdir(parents=True)
    old.touch()
    with pytest.raises(build.BuildError, match=r"page\.ipynb .* cell 4: ValueError: seeds must be positive"):
        build.execute(source, tmp_path, "smoke", {})
    assert not old.exists()


def settings(tmp_path):
    path = build.stage({}, tmp_path, "paper") / "_config.yml"
    return build.yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture
def no_verdicts(monkeypatch):
    """To judge takes seconds, and does not matter to where the book stands."""
    for name in (
        "markdown_table",
        "findings_cards",
        "studies_table",
        "invariants_table",
        "drift_table",
        "plans_table",
    ):
        monkeypatch.setattr(build, name, lambda: "Nothing yet.")
    for name in ("PRUNEBOOK_REPOSITORY", "PRUNEBOOK_URL"):
        monkeypatch.delenv(name, raising=False)


def test_buttons_only_where_an_address_is_given(tmp_path, monkeypatch, no_verdicts):
    content = settings(tmp_path)
    assert content["html"]["use_repository_button"] is False
    assert "launch_buttons" not in content
    assert "ogp_site_url" not in content["sphinx"]["config"]
    monkeypatch.setenv("PRUNEBOOK_REPOSITORY", "https://example.org/group/prunebook")
    monkeypatch.setenv("PRUNEBOOK_URL", "https://example.org/book")
    content = settings(tmp_path)
    assert content["repository"]["url"] == "https://example.org/group/prunebook"
    assert content["html"]["use_repository_button"] is True
    assert set(content["launch_buttons"]) == {"notebook_interface", "binderhub_url"}
    assert content["sphinx"]["config"]["ogp_site_url"] == "https://example.org/book/"
    monkeypatch.setenv("PRUNEBOOK_REPOSITORY", "https://github.com/group/prunebook")
    assert "colab_url" in settings(tmp_path)["launch_buttons"]


def test_what_the_pages_load_is_staged_once(tmp_path, no_verdicts):
    content = settings(tmp_path)
    static = tmp_path / "src" / "book" / "_static"
    for entry in content["sphinx"]["config"]["html_js_files"]:
        assert (static / (entry if isinstance(entry, str) else entry[0])).is_file()
    assert (static / "plotly.min.js").stat().st_size > 1e6
    assert (static / "card.png").read_bytes().startswith(b"\x89PNG")


def test_without_plotly_all_figures_are_static_and_the_terminal_says_so(
    tmp_path, monkeypatch, capsys, no_verdicts
):
    monkeypatch.setitem(build.sys.modules, "plotly", None)
    content = settings(tmp_path)
    assert "plotly is not installed" in capsys.readouterr().out
    assert not any("interactive.js" in entry for entry in content["sphinx"]["config"]["html_js_files"])


def test_verdicts_are_counted_from_the_table():
    chips = {"supported": 2, "not supported": 1, "inconclusive": 0, "not tested": 3}
    table = " ".join(chip(verdict) * times for verdict, times in chips.items())
    assert build.count_verdicts(table) == chips


@pytest.mark.xdist_group("book")
def test_pages_are_finished(book):
    front = (book / "book" / "index.html").read_text(encoding="utf-8")
    assert 'property="og:title" content="Pruning, re-run"' in front
    assert 'property="og:site_name" content="Pruning, re-run"' in front
    assert "THEBE" not in front
    script = (book / "_static" / "previews-data.js").read_text(encoding="utf-8")
    found = build.json.loads(script.removeprefix("window.pbPreviews = ").rstrip().removesuffix(";"))
    assert any(address.startswith("book/references.html#") for address in found)


def test_no_file_names_a_place_that_only_one_machine_has():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert ROOT / "Makefile" in files
    # Written in pieces, so that this file does not find itself.
    places = [
        r"(?<![\w.])/(?:wor" + r"k|roo" + r"t|hom" + r"e|User" + r"s)/\w",
        "py" + r"pi\.org",
        "python" + "hosted",
    ]
    for file in files:
        if not file.is_file() or file.suffix in {".parquet", ".png", ".svg", ".gz"}:
            continue
        found = re.search("|".join(places), file.read_text(encoding="utf-8", errors="replace"))
        assert found is None, f"{file.relative_to(ROOT)} names {found.group()}"
