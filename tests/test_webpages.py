"""The last touches to built pages: figures in files, claims that are found, previews of what links lead to."""

import base64
import importlib
import json
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from prunebook.errors import DataError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
webpages = importlib.import_module("finishing")

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def figure(name="a-figure", svg=SVG, csv=b"x,y\n1,2\n") -> str:
    return (
        f'<figure class="pb-figure" id="{name}"><div class="pb-scroll">'
        f'<img alt="A line." src="data:image/svg+xml;base64,{encoded(svg)}"></div>'
        f'<figcaption><b>Figure 1.</b> A caption. <a download="{name}.csv" '
        f'href="data:text/csv;base64,{encoded(csv)}">Numbers (CSV)</a></figcaption></figure>'
    )


FRONT = """<article><section id="front"><h1>Front<a class="headerlink" href="#front">#</a></h1><p>First lines.</p>
<a class="reference internal" href="../notebooks/chapter.html"><span class="doc">EC-1</span></a>
<a class="reference internal" href="../notebooks/chapter.html"><span class="doc">EC-9</span></a>
<a href="../notebooks/chapter.html#a-figure">figure</a> <a href="references.html#id1">Smith</a>
<a href="references.html#term-mask">mask</a> <a href="../notebooks/chapter.html">chapter</a>
<a href="https://example.org/">away</a></section></article>"""
CHAPTER = """<article><section id="chapter"><h1>Chapter</h1><p>What it says of <span class="math">\\(x\\)</span>.</p>
{figure}<div class="pb-claim" id="claim-EC-1"><p>supported <b>EC-1</b> It holds.</p>
<dl><dt>Rule</dt><dd>Below 1.</dd></dl></div></section></article>
<script>const THEBE_JS_URL = "https://elsewhere.example/index.js"; const a = 1</script>
<script async="async" src="../_static/sphinx-thebe.js?v=1"></script><script>let kept = 1;</script>"""
SIGNATURE = (
    '<dl class="py function"><dt>prune(<dl>\n<dd><em>weight</em>,</dd>\n</dl>)</dt><dd><p>Prunes.</p></dd></dl>'
    '<details><summary><span class="toctree-toggle"></span></summary><ul></ul></details>'
)
REFERENCES = f"""<article>{SIGNATURE}<div class="citation" id="id1" role="doc-biblioentry">
<span class="label">Smi20<span class="backrefs">1</span></span>
<p>A. Smith. A title. 2020.</p></div>
<dl><dt id="term-mask">mask<a class="headerlink" href="#term-mask">#</a></dt><dd><p>Which weights stay.</p></dd></dl>
</article>"""


@pytest.fixture
def html(tmp_path):
    for name, text in {
        "book/index": FRONT,
        "book/references": REFERENCES,
        "notebooks/chapter": CHAPTER.format(figure=figure()),
    }.items():
        path = tmp_path / f"{name}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "_static").mkdir()
    index = {"alltitles": {}, "docnames": ["book/index", "book/references", "notebooks/chapter"]}
    (tmp_path / "searchindex.js").write_text(f"Search.setIndex({json.dumps(index)})", encoding="utf-8")
    webpages.finish(tmp_path)
    return tmp_path


def soup(html, name):
    return BeautifulSoup((html / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def test_pictures_and_numbers_are_files_that_load_when_they_are_wanted(html):
    page = soup(html, "notebooks/chapter")
    picture, numbers = page.find("img"), page.find("a", download=True)
    assert (html / "notebooks" / picture["src"]).read_bytes() == SVG
    assert picture["loading"] == "lazy"
    assert picture["alt"] == "A line."
    assert (html / "notebooks" / numbers["href"]).read_text() == "x,y\n1,2\n"
    assert "base64" not in str(page)


def test_two_figures_of_one_name_are_an_error(html):
    page = html / "notebooks" / "chapter.html"
    assert webpages.externalised(figure(), page, html)  # the same figure once more is none
    with pytest.raises(DataError, match="two figures are called a-figure"):
        webpages.externalised(figure(svg=b"<svg>another</svg>"), page, html)


def test_nothing_is_prepared_that_would_be_fetched_from_elsewhere(html):
    text = (html / "notebooks" / "chapter.html").read_text()
    assert "THEBE" not in text
    assert "sphinx-thebe" not in text
    assert "let kept = 1" in text


def test_references_are_items_of_their_list(html):
    assert soup(html, "book/references").find(id="id1")["role"] == "listitem"


def test_screen_readers_hear_words_and_no_empty_lists(html):
    page = soup(html, "book/references")
    assert page.summary["aria-label"] == "Pages below"
    assert [listed.get("role") for listed in page.find_all("dl")] == [None, "presentation", None]


def test_links_called_like_a_claim_lead_to_it(html):
    links = {link.get_text(): link["href"] for link in soup(html, "book/index").select("a")}
    assert links["EC-1"] == "../notebooks/chapter.html#claim-EC-1"
    assert links["EC-9"] == "../notebooks/chapter.html"  # no such claim there
    assert links["chapter"] == "../notebooks/chapter.html"


def test_search_knows_the_claims(html):
    text = (html / "searchindex.js").read_text()
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    assert index["alltitles"] == {"EC-1": [[2, "claim-EC-1"]]}


def test_previews_say_what_a_link_leads_to(html):
    text = (html / "_static" / "previews-data.js").read_text(encoding="utf-8")
    found = json.loads(text.removeprefix("window.pbPreviews = ").rstrip().removesuffix(";"))
    assert found == {
        "notebooks/chapter.html": {"t": "Chapter", "p": "What it says of \\(x\\)."},
        "notebooks/chapter.html#claim-EC-1": {"t": "supported EC-1 It holds.", "p": "Rule: Below 1."},
        "notebooks/chapter.html#a-figure": {"p": "Figure 1. A caption.", "i": "_images/a-figure.svg"},
        "book/references.html#id1": {"p": "A. Smith. A title. 2020."},
        "book/references.html#term-mask": {"t": "mask", "p": "Which weights stay."},
    }


def test_a_long_text_is_cut_after_a_word():
    long = BeautifulSoup(f"<p>{'word ' * 200}</p>", "html.parser")
    text = webpages._words(long.p)
    assert text.endswith("word …")
    assert len(text) <= webpages._LONGEST + 2
