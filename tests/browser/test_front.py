"""The first page, the page of all claims, the slider: what a reader sees of them, and what they do."""

import json
import re

import pytest
from reader import book

FRONT, CLAIMS = "book/index.html", "book/claims.html"
SLIDER = "notebooks/elimination_compensation_mnist.html"


def opened(visit, place, **options):
    return visit((book() / place).as_uri(), **options).page


def test_the_first_screen_has_papers_figures_answers_and_what_to_take(visit):
    page = opened(visit, FRONT, width=1400)
    cards = page.locator(".pb-papers .sd-card")
    assert cards.count() == 3
    for card in cards.all():
        assert card.locator("svg.pb-inline").is_visible()
        assert card.locator(".sd-card-title a").get_attribute("href").startswith("https://")
    assert len({round(card.bounding_box()["y"]) for card in cards.all()}) == 1, "side by side"
    lowest = max(card.bounding_box()["y"] + card.bounding_box()["height"] for card in cards.all())
    assert lowest < 900, "the three answers stand on the first screen"
    rows = page.locator(".pb-which tbody tr")
    assert rows.count() == 3
    assert all(row.locator("code").inner_text().startswith("prune") for row in rows.all())


def test_resting_on_a_card_covers_nothing(visit):
    page = opened(visit, FRONT)
    page.locator(".pb-papers .sd-card p").first.hover()
    page.wait_for_timeout(600)
    assert not page.locator(".pb-preview").is_visible()


@pytest.mark.parametrize("width", [1400, 1000, 390])
def test_a_count_stays_with_its_verdict(visit, width):
    page = opened(visit, FRONT, width=width)
    counts = page.locator(".pb-count")
    assert counts.count() > 5
    for count in counts.all():
        chip = count.locator("span").bounding_box()
        assert count.bounding_box()["height"] < 1.6 * chip["height"]
        assert re.match(r"\d+ ", count.inner_text())


@pytest.mark.parametrize("place", [FRONT, CLAIMS])
def test_nothing_of_a_table_is_cut_on_a_phone(visit, place):
    page = opened(visit, place, width=390)
    cut = page.evaluate(
        """() => [...document.querySelectorAll('article :is(td, th)')].filter((cell) => {
             const box = cell.getBoundingClientRect();
             return box.width > 0 && (box.right > innerWidth + 1 || cell.scrollWidth > cell.clientWidth + 1);
           }).map((cell) => cell.textContent)"""
    )
    assert cut == []


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("place", [FRONT, "book/how-to-rerun.html", SLIDER])
def test_commands_and_code_are_not_cut(visit, place, width):
    page = opened(visit, place, width=width)
    cut = "() => [...document.querySelectorAll('article pre')].filter((e) => e.scrollWidth > e.clientWidth + 1).length"
    assert page.locator("article pre").count() > 0
    assert page.evaluate(cut) == 0


def test_claims_are_chosen_by_paper_verdict_and_study(visit):
    page = opened(visit, CLAIMS)
    rows = page.locator(".pb-claims tbody tr:visible")
    every = rows.count()
    assert every > 90
    page.get_by_label("Verdict").select_option("supported")
    supported = rows.count()
    assert 0 < supported < every
    assert page.locator(".pb-shown").inner_text() == f"{supported} of {every} claims"
    page.get_by_label("Paper").select_option("gordon2020")
    assert 0 < rows.count() < supported
    assert page.locator(".pb-claims:visible").count() == 1
    assert {row.get_attribute("data-paper") for row in rows.all()} == {"gordon2020"}
    page.reload()
    assert page.get_by_label("Verdict").input_value() == "supported", "the choice is part of the address"
    page.get_by_label("Paper").select_option("")
    page.get_by_label("Verdict").select_option("")
    assert rows.count() == every


def test_all_claims_are_there_without_a_script(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((book() / CLAIMS).as_uri())
    assert page.locator(".pb-claims tbody tr").count() > 90
    assert page.locator(".pb-claims tbody tr").last.is_visible()
    assert not page.locator(".pb-filter").is_visible()
    context.close()


def test_the_best_page_for_a_question_is_found_first(visit):
    page = opened(visit, "search.html", width=1280)
    page.goto(page.url + "?q=which+method")
    page.wait_for_selector("#search-results li a")
    assert "Which method" in page.locator("#search-results li a").first.inner_text()


def test_search_over_a_file_has_no_fault(visit):
    seen = visit((book() / "search.html").as_uri() + "?q=sensitivity")
    seen.page.wait_for_selector("#search-results li a")
    seen.page.wait_for_timeout(500)
    assert seen.complaints == []


def test_the_slider_prunes_by_the_keyboard_and_says_which_digits_flip(visit):
    page = opened(visit, SLIDER)
    box = page.locator(".pb-slider")
    box.locator("canvas").first.wait_for(state="attached")
    said, flipped = box.get_by_role("status"), box.locator("li.pb-flipped")
    assert said.inner_text().startswith("0 of ")
    assert flipped.count() == 0
    box.get_by_role("slider").focus()
    page.keyboard.press("End")
    many = flipped.count()
    assert many > 10
    assert f"{many} are read as another digit" in said.inner_text()
    assert "→" in flipped.first.inner_text()
    box.get_by_role("slider").fill("80")
    with_shift = flipped.count()
    box.get_by_role("checkbox").uncheck()
    assert flipped.count() > with_shift, "without the shift more digits flip"


def test_claims_and_verdicts_for_programs_are_there():
    for name in ("claims", "verdicts"):
        content = json.loads((book() / f"{name}.json").read_text(encoding="utf-8"))
        assert (book() / content["schema"]).is_file()
        assert len(content[name]) > 90
