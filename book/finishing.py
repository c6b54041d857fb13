"""The last touches to the built pages: pictures and numbers become files, links get previews, claims can be searched.

Notebooks carry their figures inside, so that one file is all there is to a notebook. A page would grow too heavy that
way: here the pictures go into files that load when they are looked at, and the numbers into files that load when they
are asked for. All of it works without a server and without a network.
"""

import base64
import copy
import json
import os
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag

from bs4 import BeautifulSoup, Tag

from prunebook.errors import DataError

_FIGURE = re.compile(r'<figure class="pb-figure" id="([^"]+)">.*?</figure>', re.DOTALL)
_PICTURE = re.compile(r'src="data:image/svg\+xml;base64,([^"]+)"')
_NUMBERS = re.compile(r'href="data:text/csv;base64,([^"]+)"')
# The theme prepares for live code, which it would fetch from another host. No page has a button for it.
_LIVE_CODE = re.compile(
    r"""<script[^>]*>\s*const THEBE_JS_URL.*?</script>\s*|<script[^>]*/sphinx-thebe\.js[^>]*></script>\s*|"""
    r"""<script type="text/x-thebe-config">.*?</script>\s*|<script>kernelName = [^<]*</script>\s*""",
    re.DOTALL,
)
_LONGEST = 320  # characters of a preview


def finish(html: Path) -> None:
    """All touches, on the folder of a built book."""
    pages = sorted(path for path in html.rglob("*.html") if "_static" not in path.relative_to(html).parts)
    texts = {page: mended(page.read_text(encoding="utf-8")) for page in pages}
    places = claims(texts, html)
    for page, text in texts.items():
        page.write_text(to_claims(externalised(text, page, html), places), encoding="utf-8")
    searchable(html / "searchindex.js", places)
    soups = {page: BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser") for page in pages}
    found = previews(soups, html)
    script = f"window.pbPreviews = {json.dumps(found, ensure_ascii=False, separators=(',', ':'))};\n"
    (html / "_static" / "previews-data.js").write_text(script, encoding="utf-8")


def mended(text: str) -> str:
    """The page without the preparation for live code, and with words where a screen reader would find none.

    References are items of their list; the parameters of a long signature, which have no terms, are no list of
    definitions; and what opens a part of the contents says so.
    """
    text = _LIVE_CODE.sub("", text).replace('role="doc-biblioentry"', 'role="listitem"')
    text = re.sub(r"<dl>(?=\s*<dd>)", '<dl role="presentation">', text)
    return text.replace("<summary><span class", '<summary aria-label="Pages below"><span class')


def claims(texts: dict[Path, str], html: Path) -> dict[str, str]:
    """Each claim that has a box on some page, with that page, as a path from the book's root without suffix."""
    return {
        name: page.relative_to(html).with_suffix("").as_posix()
        for page, text in texts.items()
        for name in re.findall(r'id="claim-([\w-]+)"', text)
    }


def to_claims(text: str, places: dict[str, str]) -> str:
    """The page with its links called like a claim leading to the claim itself, not to the top of its page."""

    def led(link: re.Match) -> str:
        name, page = link["name"], link["page"]
        there = name in places and page.endswith(f"{places[name].rsplit('/', 1)[-1]}.html")
        return f'href="{page}#claim-{name}"{link["inner"]}{name}<' if there else link[0]

    return re.sub(r'href="(?P<page>[^"#]+\.html)"(?P<inner>>(?:<[^>]+>)*)(?P<name>[A-Z]+-[\w-]+)<', led, text)


def searchable(index: Path, places: dict[str, str]) -> None:
    """Let the book's search find claims by name: by itself it takes "EC-1" for two words too short to keep."""
    before, after = "Search.setIndex(", ")"
    content = json.loads(index.read_text(encoding="utf-8").strip().removeprefix(before).removesuffix(after))
    for name, page in places.items():
        content["alltitles"][name] = [[content["docnames"].index(page), f"claim-{name}"]]
    index.write_text(before + json.dumps(content, separators=(",", ":")) + after, encoding="utf-8")


def externalised(text: str, page: Path, html: Path) -> str:
    """The page with its figures' pictures and numbers in files of their own."""

    def moved(figure: re.Match) -> str:
        picture, numbers = html / "_images" / f"{figure[1]}.svg", html / "_downloads" / f"{figure[1]}.csv"
        body = _PICTURE.sub(lambda found: f'loading="lazy" src="{_stored(found[1], picture, page)}"', figure[0])
        return _NUMBERS.sub(lambda found: f'href="{_stored(found[1], numbers, page)}"', body)

    return _FIGURE.sub(moved, text)


def _stored(content: str, path: Path, page: Path) -> str:
    """Write the file, and say how the page reaches it. Raises DataError where another figure has the same name."""
    data = base64.b64decode(content)
    if path.exists() and path.read_bytes() != data:
        raise DataError(f"two figures are called {path.stem}: give one of them, in {page.name}, another name")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return os.path.relpath(path, page.parent).replace(os.sep, "/")


def previews(soups: dict[Path, BeautifulSoup], html: Path) -> dict[str, dict]:
    """What to show of each place that some page links to: address from the book's root → title, text, picture."""
    wanted: dict[str, tuple[Path, str]] = {}
    for page, soup in soups.items():
        for link in soup.select("article a[href]"):
            place, anchor = urldefrag(link["href"])
            target = (page.parent / unquote(place)).resolve() if place else page
            if target in soups and "headerlink" not in link.get("class", ()):
                root = target.relative_to(html).as_posix()
                wanted[f"{root}#{unquote(anchor)}" if anchor else root] = (target, unquote(anchor))
    found = {address: preview(soups[page], anchor, page, html) for address, (page, anchor) in wanted.items()}
    return {address: card for address, card in found.items() if card}


def preview(soup: BeautifulSoup, anchor: str, page: Path, html: Path) -> dict | None:
    """Title and first lines of a section, text of a reference or a term, or caption and picture of a figure."""
    target = soup.find(id=anchor) if anchor else soup.select_one("article section")
    if target is None:
        return None
    if target.name == "span" and not target.get_text(strip=True):
        target = target.find_parent(["section", "div"]) or target  # a label stands before what it names
    if target.name == "figure":
        picture = target.select_one("img[src]")
        card = {"p": _words(target.find("figcaption"), leave=("a",))}
        if picture and not picture["src"].startswith("data:"):
            card["i"] = (page.parent / picture["src"]).resolve().relative_to(html).as_posix()
        return card
    if "pb-claim" in target.get("class", ()):
        return {"t": _words(target.find("p")), "p": f"Rule: {_words(target.find('dd'))}"}
    if target.name == "dt":
        return {"t": _words(target), "p": _words(target.find_next_sibling("dd"))}
    if target.name == "section":
        heading, first = target.find(re.compile(r"h\d")), target.find("p", recursive=False)
        return {"t": _words(heading), "p": _words(first)}
    return {"p": _words(target)}


def _words(element: Tag | None, leave: tuple[str, ...] = ()) -> str:
    """The text of an element on one line, cut after a word; formulas keep their marks."""
    if element is None:
        return ""
    element = copy.copy(element)
    for part in element.select(", ".join((".headerlink", ".backrefs", ".label", *leave))):
        part.decompose()
    words = " ".join(element.get_text().split())
    return words if len(words) <= _LONGEST else words[:_LONGEST].rsplit(" ", 1)[0] + " …"
