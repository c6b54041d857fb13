"""The book builds strictly, executes notebooks safely, and needs nothing from the network to be read."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]

sys.path.insert(0, str(ROOT / "book"))
build, generated, staging = (importlib.import_module(name) for name in ("build", "generated", "staging"))

JUDGED = pd.DataFrame({"claim": ["A"], "kind": "claim", "replaces": "", "verdict": "supported"})


def notebook(path, *cells, parameters="scale = None"):
    cells = [nbformat.v4.new_code_cell(text) for text in (parameters, *cells)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


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
    assert tags == [{"parameters"}, {"injected-parameters"}, set()]
    tags = [set(cell.metadata.tags) for cell in staging.folded(done).cells]
    assert tags == [{"parameters", "hide-input"}, {"injected-parameters", "remove-cell"}, set()]
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
    assert build.given_to("mean_replacement_pictures", absent) == absent, "the page says what is wrong with it"
    assert capsys.readouterr().out == ""


def test_the_page_on_pictures_goes_by_the_name_that_it_is_known_by():
    assert build.PICTURES in {path.stem for path in build.sources().values()}


def test_benchmarks_are_ordered_by_how_far_they_stand_above_their_floor(tmp_path):
    path = tmp_path / "benchmarks.json"
    assert generated.above_floor(path) == ""
    rows = [("a, small", 2.0, 1.0), ("a, large", 3.0, 2.0), ("b", 9.0, 2.0), ("c", 1.0, None)]
    rows = [dict(zip(("name", "seconds", "floor"), row, strict=True)) for row in rows]
    path.write_text(json.dumps({"rows": rows}), encoding="utf-8")
    assert generated.above_floor(path).splitlines()[2:] == ["| b | 4.5 |", "| a | 1.5 to 2 |"]


def test_each_promise_names_a_test_that_there_is():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "book" / "promises.md").read_text(encoding="utf-8")))
    there = {name for path in (ROOT / "tests").rglob("test_*.py") for name in
             re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)}  # fmt: skip
    assert len(named) > 15
    assert named - there == set()


def test_the_soak_is_shown_with_what_went_wrong(tmp_path):
    path = tmp_path / "soak.json"
    assert generated.soak(path) == "The soak has not been run yet."
    bad = dict.fromkeys(generated.OUTCOMES, 0) | {"lost": 2}
    found = {"date": "2026-01-01", "commit": "0" * 40, "machine": {"cpu": "a chip"}, "trials": 3, **bad,
             "steps": {"tried": 1, "all": 9}, "studies": {"ec-pde": 3},
             "kinds": {"Killed": bad | {"trials": 3}, "Full": dict.fromkeys(bad, 0) | {"trials": 0}}}  # fmt: skip
    path.write_text(json.dumps(found), encoding="utf-8")
    lines = generated.soak(path).splitlines()
    assert "| Killed | 3 | none | 2 | none | none | none | none |" in lines
    assert "| Full | not tried | none | none | none | none | none | none |" in lines


def test_a_notebook_that_fails_is_named_and_leaves_nothing_to_be_used(tmp_path):
    source = notebook(tmp_path / "page.ipynb", "1 + 1", "raise ValueError('seeds must be positive')")
    old = tmp_path / "executed" / "smoke" / "page.ipynb"
    old.parent.mkdir(parents=True)
    old.touch()
    with pytest.raises(build.BuildError, match=r"page\.ipynb .* cell 4: ValueError: seeds must be positive"):
        build.execute(source, tmp_path, "smoke", {})
    assert not old.exists()


def test_a_page_is_made_anew_only_if_what_it_is_made_from_has_changed(tmp_path, monkeypatch):
    store = tmp_path / "results"
    monkeypatch.setenv("PRUNEBOOK_RESULTS", str(store))
    source = notebook(tmp_path / "page.ipynb", "1 + 1")
    text = source.with_suffix(".py")
    text.write_text('begin(study="ec-pde")', encoding="utf-8")
    given = (source, tmp_path, "smoke", {"seeds": 2})
    assert not build.unchanged(*given), "there is none"
    build.execute(source, tmp_path, "smoke", {"seeds": 2})
    assert build.unchanged(*given)
    assert not build.unchanged(source, tmp_path, "smoke", {"seeds": 3})
    assert not build.unchanged(source, tmp_path, "laptop", {"seeds": 2})
    for moment in (0, 2**33):  # clocks of two machines may differ by hours
        os.utime(source, (moment, moment))
        assert build.unchanged(*given)
    for place, counts in (("smoke/ec-pde", True), ("paper/ec-mnist", True), ("smoke/ec-mnist", False)):
        record = store / place / "0123456789ab" / "seed-1" / "record.json"
        record.parent.mkdir(parents=True)
        record.write_text("{}", encoding="utf-8")
        assert build.unchanged(*given) != counts, place
        record.unlink()
        assert build.unchanged(*given)
    notebook(source, "1 + 2")
    assert not build.unchanged(*given), "another text"
    build.execute(source, tmp_path, "smoke", {"seeds": 2})
    library = tmp_path / "elsewhere"
    shutil.copytree(ROOT / "src", library / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "data" / "reported", library / "data" / "reported")
    for path in (ROOT / "data").glob("*.yaml"):
        shutil.copy(path, library / "data")
    monkeypatch.setattr(build, "ROOT", library)
    assert build.unchanged(*given), "the same library in another place"
    (library / "src" / "prunebook" / "errors.py").write_text("", encoding="utf-8")
    assert not build.unchanged(*given), "another library"


def test_pages_are_executed_side_by_side_and_one_that_fails_stops_the_rest(tmp_path, monkeypatch, capfd):
    """A stand-in for this program: it waits, notes when it ran, and fails where it is told to."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, time\nfrom pathlib import Path\nname = sys.argv[-1]\nnote = Path(sys.argv[1]) / name\n"
        "start = time.time()\nif 'bad' in name:\n    sys.exit(f'{name} failed in cell 4')\n"
        "time.sleep(60 if 'long' in name else 1.0)\nnote.write_text(f'{start} {time.time()}')\n"
    )
    monkeypatch.setattr(build, "__file__", str(program))
    monkeypatch.setattr(build, "CORES", 2)
    build.execute_all([Path("one.ipynb"), Path("two.ipynb")], tmp_path, "smoke", [str(tmp_path)])
    spans = [[float(word) for word in (tmp_path / name).read_text().split()] for name in ("one", "two")]
    assert max(start for start, _ in spans) < min(end for _, end in spans)
    assert "2 of 2 pages" in capfd.readouterr().out
    start = time.monotonic()
    with pytest.raises(build.BuildError, match="bad failed in cell 4"):
        build.execute_all([Path("long.ipynb"), Path("bad.ipynb")], tmp_path, "smoke", [str(tmp_path)])
    assert time.monotonic() - start < 50
    assert not (tmp_path / "long").exists()


def test_a_book_of_the_same_pages_is_left_alone(tmp_path, monkeypatch):
    """A stand-in for Jupyter Book, which takes seconds: it writes one page."""
    made = []

    def jupyter_book(command, **options):
        folder = tmp_path / "work" / "_build" / "html"
        folder.mkdir(parents=True)
        made.append((folder / "index.html").write_text("a page", encoding="utf-8"))
        (folder / "_static").mkdir()
        (folder / "searchindex.js").write_text('Search.setIndex({"alltitles":{},"docnames":[]})', encoding="utf-8")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(build.subprocess, "run", jupyter_book)
    src = small_book(tmp_path, "# Title\n")
    for _ in range(2):
        assert build.render(src, tmp_path).read_text(encoding="utf-8") == "a page"
    assert len(made) == 1
    (src / "book" / "index.md").write_text("# Another title\n", encoding="utf-8")
    build.render(src, tmp_path)
    assert len(made) == 2
    (tmp_path / "html" / "index.html").unlink()
    build.render(src, tmp_path)
    assert len(made) == 3, "there is no book any more"


def settings(tmp_path):
    path = staging.stage({}, tmp_path, "paper") / "_config.yml"
    return staging.yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture
def no_verdicts(monkeypatch):
    """To judge takes seconds, and does not matter to where the book stands."""
    monkeypatch.setattr(staging, "parts", lambda scale, repository: {"claims": f"Nothing yet. {repository}"})
    monkeypatch.setattr(staging, "verdicts", lambda: JUDGED)
    monkeypatch.setattr(staging.site_data, "write", lambda folder: folder.mkdir())
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


def test_without_plotly_all_figures_are_static_and_the_terminal_says_so(tmp_path, monkeypatch, capsys, no_verdicts):
    monkeypatch.setitem(sys.modules, "plotly", None)
    content = settings(tmp_path)
    assert "plotly is not installed" in capsys.readouterr().out
    assert not any("interactive.js" in entry for entry in content["sphinx"]["config"]["html_js_files"])


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
    places = [r"(?<![\w.])/(?:wor" + r"k|roo" + r"t|hom" + r"e|User" + r"s)/\w", "py" + r"pi\.org", "python" + "hosted"]
    for file in files:
        if not file.is_file() or file.suffix in {".parquet", ".png", ".svg", ".gz"}:
            continue
        found = re.search("|".join(places), file.read_text(encoding="utf-8", errors="replace"))
        assert found is None, f"{file.relative_to(ROOT)} names {found.group()}"
