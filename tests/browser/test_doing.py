"""What a reader does: search, take a figure apart, look where a link leads, read in the dark, take a notebook home."""

import io
import json

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from reader import book, pages
from test_pages import faults


def pages_with(selector: str) -> list[str]:
    folder = book()
    return [
        page
        for page in pages()
        if folder and BeautifulSoup((folder / page).read_text(encoding="utf-8"), "html.parser").select_one(selector)
    ]


@pytest.mark.parametrize("query", ["EC-1", "CB-14", "sensitivity"])
@pytest.mark.parametrize("over", ["server", "file"])
def test_search_finds_a_claim_and_a_word(visit, site, query, over):
    start = site if over == "server" else book().as_uri()
    page = visit(f"{start}/search.html?q={query}").page
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").all()
    assert found
    assert all(link.get_attribute("href") for link in found)
    if query != "sensitivity":
        # The claim itself is the first thing found, and the link leads to its place.
        assert query in found[0].inner_text()
        found[0].click()
        page.wait_for_load_state()
        target = page.evaluate("document.getElementById(decodeURIComponent(location.hash.slice(1)))?.textContent || ''")
        assert query in target


@pytest.fixture
def figure(visit, request):
    """The first interactive figure of a page, drawn because a reader asked for it by the keyboard."""
    found = visit((book() / request.param).as_uri()).page
    figure = found.locator(".pb-figure:has(> script.pb-spec)").first
    assert figure.locator(".pb-scroll img").is_visible()
    figure.get_by_role("button", name="Explore").focus()
    found.keyboard.press("Enter")
    figure.locator(".pb-plot .scatterlayer .trace").first.wait_for(state="attached")
    return figure


def curves(figure) -> list:
    """Panel, name and heights of each curve that is drawn."""
    return figure.evaluate(
        """f => f.querySelector('.js-plotly-plot').data.filter((t) => t.visible === true && t.y.length)
             .map((t) => [t.xaxis, t.name, t.y])"""
    )


def switch(figure):
    """The first curve in the legend that is on."""
    return figure.locator(".legend [role=switch][aria-checked=true]").first


with_figures = pytest.mark.parametrize("figure", pages_with(".pb-figure > script.pb-spec"), indirect=True)


@with_figures
def test_a_curve_is_switched_off_and_on_by_the_keyboard(figure):
    before, entry = curves(figure), switch(figure)
    name = entry.get_attribute("aria-label")
    entry.focus()
    figure.page.keyboard.press("Enter")
    off = figure.locator(f'.legend [role=switch][aria-checked=false][aria-label="{name}"]')
    off.wait_for(state="attached")
    assert curves(figure) == [curve for curve in before if curve[1] != name] != before
    # The entry that was used keeps the focus, so that the keyboard goes on from there.
    assert figure.page.evaluate("document.activeElement.getAttribute('aria-label')") == name
    figure.page.keyboard.press(" ")
    off.wait_for(state="detached")
    assert curves(figure) == before


@with_figures
def test_a_curve_is_switched_off_by_the_mouse_and_all_are_by_a_button(figure):
    name = switch(figure).get_attribute("aria-label")
    switch(figure).locator(".legendtoggle").click(force=True)
    figure.locator(f'.legend [aria-checked=false][aria-label="{name}"]').wait_for(state="attached")
    assert name not in {curve[1] for curve in curves(figure)}
    for button, off, on in (("All off", False, True), ("All on", True, False)):
        figure.get_by_role("button", name=button).click()
        figure.locator(f".legend [aria-checked={str(on).lower()}]").first.wait_for(state="detached")
        assert bool(curves(figure)) == off


@with_figures
def test_a_choice_shows_other_numbers_and_leaves_off_what_is_off(figure):
    name = switch(figure).get_attribute("aria-label")
    switch(figure).focus()
    figure.page.keyboard.press("Enter")
    for select in figure.locator("select").all():
        before = curves(figure)
        select.focus()
        figure.page.keyboard.press("ArrowDown")
        figure.page.wait_for_timeout(1000)
        assert curves(figure) != before
        assert name not in {curve[1] for curve in curves(figure)}


@with_figures
def test_what_is_drawn_is_what_the_notebook_wrote(figure):
    spec = json.loads(figure.locator("script.pb-spec").text_content())
    data = next(iter(spec["figures"].values()))["data"]
    shown = [trace for trace in data if trace["visible"] is True]
    assert [[trace["name"], trace["y"]] for trace in shown] == [curve[1:] for curve in curves(figure)]
    assert len(shown) > 1
    # Its caption is its own, with how many seeds there are and what the bars are.
    assert spec["caption"] in figure.locator("figcaption").inner_text()
    assert not figure.locator(".pb-caption").is_visible()
    assert figure.locator(".pb-plot").get_attribute("aria-label") == spec["alt"]


@with_figures
def test_the_static_figure_is_one_button_away(figure):
    still = figure.locator(".pb-scroll img")
    assert not still.is_visible()
    figure.get_by_role("button", name="Static figure").click()
    still.wait_for(state="visible")
    assert still.evaluate("i => i.decode().then(() => i.naturalWidth)") > 0
    assert not figure.locator(".pb-plot").is_visible()
    assert figure.locator(".pb-caption").is_visible()


@with_figures
def test_colours_follow_the_theme_that_the_reader_chooses(figure):
    for theme, dark in (("light", False), ("dark", True)):
        figure.page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        figure.page.wait_for_timeout(500)
        picture = Image.open(io.BytesIO(figure.locator(".pb-plot").screenshot())).convert("L")
        grey = np.asarray(picture)
        assert (np.median(grey) < 60) == dark
        assert (grey.max() if dark else 255 - grey.min()) > 200  # the ink of the words


@with_figures
def test_a_figure_has_no_fault_that_shuts_readers_out_and_fits_a_phone(figure):
    assert faults(figure.page) == []
    figure.page.set_viewport_size({"width": 390, "height": 844})
    figure.page.wait_for_timeout(1000)
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert figure.evaluate("f => f.querySelector('.js-plotly-plot').layout.grid.columns") == 1


@with_figures
def test_figures_are_static_where_no_script_runs(browser, figure):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(figure.page.url)
    pictures = page.locator(".pb-figure img")
    assert pictures.count() > 0
    assert all(picture.is_visible() for picture in pictures.all())
    context.close()


def test_a_link_shows_where_it_leads_to_pointer_and_keyboard(visit):
    address = next(page for page in pages_with("article a.reference.internal[href*='references.html#']"))
    page = visit((book() / address).as_uri()).page
    link = page.locator("article a.reference.internal[href*='references.html#']").first
    card = page.locator(".pb-preview")
    link.scroll_into_view_if_needed()
    link.hover()
    card.wait_for(state="visible")
    assert len(card.inner_text()) > 30
    box = card.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1280
    page.keyboard.press("Escape")
    card.wait_for(state="hidden")
    page.mouse.move(0, 0)
    link.focus()
    card.wait_for(state="visible")
    assert link.get_attribute("aria-describedby") == card.get_attribute("id")
    link.evaluate("l => l.blur()")
    card.wait_for(state="hidden")


def test_the_book_opens_on_its_first_page(visit):
    page = visit((book() / "index.html").as_uri()).page
    page.wait_for_url("**/book/index.html")
    assert page.locator("article h1").count() == 1


def test_the_reader_chooses_the_theme_and_it_stays(visit):
    page = visit((book() / pages()[0]).as_uri()).page
    themes = set()
    for _ in range(3):
        page.locator("button.theme-switch-button:visible").first.click()
        themes.add(page.evaluate("document.documentElement.dataset.mode"))
    assert themes == {"auto", "light", "dark"}


@pytest.mark.parametrize("page", pages_with("a[href*='_sources'][href$='.ipynb']"))
def test_the_notebook_to_take_home_is_the_one_that_was_run(page):
    soup = BeautifulSoup((book() / page).read_text(encoding="utf-8"), "html.parser")
    link = soup.select_one("a[href*='_sources'][href$='.ipynb']")["href"]
    notebook = json.loads(((book() / page).parent / link).read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert any(cell["outputs"] for cell in cells)
    assert all(cell["execution_count"] for cell in cells if cell["source"])
