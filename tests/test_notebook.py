"""A notebook's own helper: parameters are checked before any work, figures carry their numbers, prose gets its own."""

import base64
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from prunebook.errors import InputError
from prunebook.pages import notebook
from prunebook.pages.figures import embedded
from prunebook.store.collect import Collected
from prunebook.studies import STUDIES

GOOD = {"scale": "smoke", "device": "cpu", "seeds": 1, "data": None, "fresh": False}


@pytest.fixture
def asked(monkeypatch):
    """Calls of ``collect`` and ``stored``, which do nothing here."""
    calls = []

    def note(name):
        def call(study, scale, **options):
            calls.append((name, study.name, scale, options))
            if name == "collect":
                return Collected({}, (), study.name, scale, False, (), {}, 0)
            return None

        return call

    monkeypatch.setattr(notebook, "collect", note("collect"))
    monkeypatch.setattr(notebook, "stored", note("stored"))
    return calls


def begin(**changes):
    return notebook.begin({**GOOD, **changes}, study="ec-mnist", notebook="elimination_compensation_mnist")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scal": "laptop"}, "unknown parameter scal"),
        ({"scale": "huge"}, "scale='huge'"),
        ({"fresh": "yes"}, "fresh='yes'"),
        ({"data": 3}, "data=3"),
    ],
)
def test_a_wrong_parameter_stops_before_any_work(asked, changes, message):
    with pytest.raises(InputError, match=message):
        begin(**changes)
    assert asked == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"seeds": 0}, "seeds 0"), ({"seeds": "two"}, "seeds 'two'"), ({"device": "tpu"}, "device 'tpu'")],
)
def test_seeds_and_device_are_checked_too(changes, message):
    with pytest.raises(InputError, match=message):
        begin(**changes)


def test_a_page_without_a_study_stops_at_a_misspelt_parameter_too():
    with pytest.raises(InputError, match="unknown parameter scal"):
        notebook.begin({**GOOD, "scal": "smoke"}, notebook="one_theory")
    page = notebook.begin(GOOD, notebook="one_theory")
    assert (page.name, page.study.name, page.parameters) == ("one_theory", "one-theory", GOOD)


def test_an_outdated_result_tells_what_has_changed(monkeypatch):
    said = []
    monkeypatch.setattr(notebook, "display", lambda shown: said.append(shown.data))
    told = ("Ties < go by index",)
    records = [{"seed": 1}, {"seed": 2}]
    versions = {1: (1,), 2: (2,)}
    results = SimpleNamespace(
        notices=(), scale="paper", records=records, stale={"a": told}, changes=told, versions=versions
    )
    study = STUDIES["ec-pde"]
    page = notebook.Page.__new__(notebook.Page)
    page.__dict__.update(results=results, study=study, parameters=GOOD)
    page.banner()
    assert "1 of the 2 results are <b>outdated</b>" in said[0]
    assert "the protocol has changed: Ties &lt; go by index." in said[0]


def test_a_page_says_which_seeds_are_of_which_version(monkeypatch):
    said = []
    monkeypatch.setattr(notebook, "display", lambda shown: said.append(shown.data))
    records = [{"seed": seed} for seed in range(1, 9)]
    versions = {1: (1, 2, 3, 4, 5), 2: (6, 8)}
    results = SimpleNamespace(notices=(), scale="paper", records=records, stale={}, changes=(), versions=versions)
    study = replace(STUDIES["ec-mnist"], changes={2: "Ties < go"})
    page = notebook.Page.__new__(notebook.Page)
    page.__dict__.update(results=results, study=study, parameters=GOOD)
    page.banner()
    assert "outdated" not in said[0]
    assert "seeds 1 to 5 are of version 1 and seeds 6 and 8 are of version 2. What changed: Ties &lt; go." in said[0]


def test_a_missing_parameter_is_named(asked):
    with pytest.raises(InputError, match="does not set fresh"):
        notebook.begin({k: v for k, v in GOOD.items() if k != "fresh"}, study="ec-mnist", notebook="x")


def test_what_a_kernel_keeps_for_itself_is_no_parameter(asked):
    page = begin(_i1="x", In=[], Out={}, figures=plt, helper=print)
    assert page.parameters == GOOD


def test_scale_comes_from_the_environment_when_it_is_left_open(asked, monkeypatch):
    monkeypatch.setenv("PRUNEBOOK_SCALE", "laptop")
    begin(scale=None)
    monkeypatch.delenv("PRUNEBOOK_SCALE")
    begin(scale=None)
    begin(scale="smoke")
    assert [call[2] for call in asked] == ["laptop", "laptop", "smoke"]


def test_paper_scale_shows_what_is_stored_unless_asked_for_more(asked):
    begin(scale="paper", seeds=None)
    begin(scale="paper", seeds=3)
    begin(scale="paper", seeds=None, fresh=True)
    # Nothing is stored here, so the first call shows the small scale: a book never starts days of work by itself.
    assert [call[0] for call in asked] == ["stored", "collect", "collect", "collect"]
    assert [call[2] for call in asked] == ["paper", "laptop", "paper", "paper"]


def test_a_page_without_paper_results_says_that_it_shows_the_small_scale(asked, monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "display", shown.append)
    begin(scale="paper", seeds=None).banner()
    assert "Nothing of this study has been measured at the paper scale" in shown[0].data
    assert "<b>laptop</b>" in shown[0].data


def test_a_figure_is_numbered_described_and_carries_its_table(asked, monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "display", shown.append)
    page = begin()
    table = pd.DataFrame({"ratio": [0.1, 0.25]})
    for number in (1, 2):
        figure, axes = plt.subplots()
        axes.plot([0, 1])
        page.figure(figure, "What <it> shows.", 'A "line".', table, name="a-name")
        text = shown[-1].data
        assert f"Figure {number}." in text
        assert 'alt="A &quot;line&quot;."' in text
        assert "What &lt;it&gt; shows." in text
        csv = base64.b64decode(re.search(r"data:text/csv;base64,([^\"]+)", text)[1]).decode()
        assert csv.splitlines() == ["ratio", "0.1", "0.25"]
    assert not plt.get_fignums()


def test_an_interactive_figure_carries_its_numbers_and_cannot_end_its_element(asked, monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "display", shown.append)
    figure, axes = plt.subplots(figsize=(6, 3))
    axes.plot(np.linspace(0, 1, 50), np.random.default_rng(0).random(50))
    spec = {"x": {"title": "</script><b>"}, "curves": [[0, [], 0, 0, 0, [1.5, None], [], []]]}
    begin().figure(figure, "What it shows.", "A line.", pd.DataFrame({"a": [1]}), name="a-name", interactive=spec)
    text = shown[-1].data
    (inside,) = re.findall(r'<script type="application/json" class="pb-spec">(.*?)</script>', text)
    assert json.loads(inside) == spec
    width, height = (int(re.search(rf' {side}="(\d+)"', text)[1]) for side in ("width", "height"))
    svg = base64.b64decode(re.search(r"svg\+xml;base64,([^\"]+)", text)[1]).decode()
    # Outlines are short, what scales and shifts them is as it was, and the page knows the size before it loads.
    assert not re.search(r' d="[^"]*\.\d{3}', svg)
    assert re.search(r"scale\(0\.\d{3,}", svg)
    assert width / height == pytest.approx(2, rel=0.1)


def test_command_repeats_the_parameters_that_were_given(asked, monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "display", shown.append)
    page = begin()
    page.command()
    text = shown[-1].data
    assert "notebooks/elimination_compensation_mnist.ipynb" in text
    assert "-p scale smoke" in text
    assert "seeds: 1" in text
    assert "-p fresh True" in text


def test_every_study_of_the_book_has_its_three_scales():
    assert all(set(study.presets) == {"smoke", "laptop", "paper"} for study in STUDIES.values())


def test_the_answer_stands_above_the_claims_and_is_left_out_where_there_is_none(asked, monkeypatch):
    page, shown = begin(), []
    monkeypatch.setattr(notebook, "display", lambda thing: shown.append(thing.data))
    table = {"claim": ["EC-1"], "study": ["ec-mnist"], "statement": ["It is so."], "where": ["Fig. 1"]}
    table |= {"replaces": [""], "kind": ["claim"]}
    page.judged = pd.DataFrame({**table, "verdict": ["supported"]})
    for found, expected in ((["**Yes & no.**", "It <helps>."], "<b>Yes &amp; no.</b> It &lt;helps&gt;."), ([], None)):
        shown.clear()
        monkeypatch.setattr(notebook, "findings_of", lambda *_, found=found: found)
        page.claims()
        assert "It is so." in shown[-1]
        answers = [text for text in shown if "pb-answer" in text]
        assert answers == ([f'<p class="pb-answer">{expected}</p>'] if expected else [])


def test_the_same_figure_is_the_same_file():
    """Or no book would be up to date: its pages are told from others by what is in them."""

    def picture():
        figure, axes = plt.subplots()
        axes.plot([0, 1], marker="o")
        return embedded.figure_html(figure, 1, "A caption.", "Words.", pd.DataFrame(), "a-name")

    assert picture() == picture()
