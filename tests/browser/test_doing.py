"""What a reader does: search, take a figure apart, look where a link leads, read in the dark, take a notebook home."""

import json

import pytest
from bs4 import BeautifulSoup
from reader import book, pages


def pages_with(selector: str) -> list[str]:
    folder = book()
    return [
        page
        for page in pages()
        if folder
        and BeautifulSoup((folder / page).read_text(encoding="utf-8"), "html.parser").select_one(selector)
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
        target = page.evaluate(
            "document.getElementById(decodeURIComponent(location.hash.slice(1)))?.textContent || ''"
        )
        assert query in target


@pytest.fixture
def figure(visit, request):
    """The first interactive figure of a page, drawn."""
    found = visit((book() / request.param).as_uri()).page
    figure = found.locator(".pb-figure:has(> script.pb-spec)").first
    figure.scroll_into_view_if_needed()
    figure.locator(".pb-plot .scatterlayer .trace").first.wait_for(state="attached")
    return figure


def curves(figure) -> list:
    """Name and heights of each curve that is drawn."""
    return figure.evaluate("f => f.querySelector('.js-plotly-plot').data.map((t) => [t.name, t.y])")


def until(figure, condition: str, before) -> None:
    """Wait until what is drawn differs from before."""
    figure.page.wait_for_function(
        f"([f, before]) => {{ const d = f.querySelector('.js-plotly-plot').data; return {condition}; }}",
        arg=[figure.element_handle(), before],
    )


with_figures = pytest.mark.parametrize("figure", pages_with(".pb-figure > script.pb-spec"), indirect=True)


@with_figures
def test_a_curve_is_switched_off_and_on_by_its_button(figure):
    before = curves(figure)
    button = figure.locator(".pb-legend button[aria-pressed=true]").first
    name = button.inner_text()
    button.click()
    until(figure, "d.length < before", len(before))
    assert not any(curve.startswith(name) for curve, _ in curves(figure))
    # The button that was used keeps the focus, so that the keyboard goes on from there.
    assert figure.page.evaluate("document.activeElement.textContent") == name
    figure.page.keyboard.press("Enter")
    until(figure, "d.length === before", len(before))
    assert curves(figure) == before


@with_figures
def test_a_choice_shows_other_numbers(figure):
    for select in figure.locator("select").all():
        before = curves(figure)
        select.focus()
        figure.page.keyboard.press("ArrowDown")
        until(
            figure,
            "JSON.stringify(d.map((t) => [t.name, t.y])) !== before",
            json.dumps(before, separators=(",", ":")),
        )
        assert curves(figure) != before


@with_figures
def test_what_is_drawn_is_what_the_notebook_wrote(figure):
    spec = json.loads(figure.locator("script.pb-spec").text_content())
    picked = [choice["first"] for choice in spec["choices"]]
    on = {place for place, line in enumerate(spec["lines"]) if not line.get("off")}
    shown = [curve for curve in spec["curves"] if curve[0] == 0 and curve[1] == picked and curve[2] in on]
    drawn = [heights for name, heights in curves(figure) if not name.endswith(", band")]
    assert len(drawn) == len(shown) > 1
    log = spec["measures"][0]["scale"] == "log"
    for heights, curve in zip(drawn, shown, strict=True):
        assert heights == [None if v is None or (log and v <= 0) else v for v in curve[5]]


@with_figures
def test_the_static_figure_is_one_button_away(figure):
    still = figure.locator(".pb-scroll img")
    assert not still.is_visible()
    figure.get_by_role("button", name="Static figure").click()
    still.wait_for(state="visible")
    assert still.evaluate("i => i.decode().then(() => i.naturalWidth)") > 0
    assert not figure.locator(".pb-plot").is_visible()


@with_figures
def test_colours_follow_the_theme_that_the_reader_chooses(figure):
    ink = "f => getComputedStyle(f.querySelector('.pb-plot .xtitle')).fill"
    light = figure.evaluate(ink)
    figure.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    figure.page.wait_for_function(
        "([f, light]) => getComputedStyle(f.querySelector('.pb-plot .xtitle')).fill !== light",
        arg=[figure.element_handle(), light],
    )
    red, green, blue = (
        int(part) for part in figure.evaluate(ink).removeprefix("rgb(").removesuffix(")").split(",")
    )
    assert min(red, green, blue) > 150


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
