"""Every page: nothing fails or comes from elsewhere, it fits a phone, all can read it, and it is light."""

from urllib.parse import unquote, urldefrag

import pytest
from bs4 import BeautifulSoup
from reader import book

HEAVIEST = 2_000_000  # bytes of a page, its pictures included
FAULTS = ("serious", "critical")
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


@pytest.fixture(scope="module")
def served(visit, site, address):
    """The page over a server, looked at from top to bottom."""
    seen = visit(f"{site}/{address}")
    seen.scroll_through()
    return seen


def test_nothing_fails_and_nothing_comes_from_elsewhere(served, site):
    assert served.complaints == []
    assert served.failed == []
    assert served.elsewhere(site) == []


def test_page_is_light(served):
    assert 0 < served.weight < HEAVIEST


def test_page_has_no_fault_that_shuts_readers_out(served):
    assert faults(served.page) == []


def test_dark_theme_can_be_read(served):
    served.page.emulate_media(color_scheme="dark")
    served.page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    served.page.wait_for_timeout(300)
    assert faults(served.page, rules=["color-contrast"]) == []
    served.page.emulate_media(color_scheme="light")


def test_page_fits_a_phone(served):
    served.page.set_viewport_size({"width": 390, "height": 844})
    served.page.wait_for_timeout(300)
    wide = served.page.evaluate("document.documentElement.scrollWidth")
    served.page.set_viewport_size({"width": 1280, "height": 900})
    assert wide <= 390


def test_page_can_be_read_from_a_file(visit, address):
    url = (book() / address).as_uri()
    seen = visit(url)
    seen.scroll_through()
    assert seen.complaints == []
    assert seen.failed == []
    assert seen.elsewhere(book().as_uri()) == []
    # A formula that was not set is still between its marks.
    assert seen.page.locator("article .math:not(:has(mjx-container))").count() == 0


def test_links_and_anchors_lead_somewhere(address):
    page = book() / address
    soup, others = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser"), {}
    for link in soup.select("a[href], link[href], img[src], script[src]"):
        target = link.get("href") or link.get("src")
        if target.startswith(("http:", "https:", "data:", "mailto:", "javascript:")):
            continue
        place, anchor = urldefrag(target)
        file = (page.parent / unquote(place.split("?")[0])).resolve() if place else page
        assert file.exists(), f"{address} links to {target}, which is not there"
        if anchor and file.suffix == ".html" and link.name == "a":
            if file not in others:
                others[file] = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
            named = others[file].find(id=unquote(anchor)) or others[file].find("a", attrs={"name": unquote(anchor)})
            assert named is not None, f"{address} links to {target}, which has no such place"


def test_each_figure_has_a_number_a_caption_words_for_who_cannot_see_and_its_table(address):
    page = book() / address
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    numbers = []
    for figure in soup.select("figure.pb-figure[id]"):
        caption, picture = figure.find("figcaption"), figure.find("img")
        numbers.append(caption.find("b").get_text())
        assert len(picture["alt"].split()) > 4
        assert len(caption.get_text().split()) > 5
        table = page.parent / caption.find("a", download=True)["href"]
        assert len(table.read_text(encoding="utf-8").splitlines()) > 1
    assert numbers == [f"Figure {place}." for place in range(1, len(numbers) + 1)]


def faults(page, rules: list[str] | None = None) -> list[str]:
    """The serious and critical faults that axe finds: rule, and the first few places."""
    from axe_playwright_python.sync_playwright import Axe

    only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": STANDARDS}
    found = Axe().run(page, options={"runOnly": only, "resultTypes": ["violations"]}).response["violations"]
    return [
        f"{fault['id']} ({len(fault['nodes'])}): " + " | ".join(node["html"][:160] for node in fault["nodes"][:3])
        for fault in found
        if fault["impact"] in FAULTS
    ]
