"""Where the book and the browser are, and what is noted about a page that is open."""

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# The theme's and our own shared files, which a reader loads once for all pages.
SHARED = ("/_static/", "/searchindex.js")


def book() -> Path | None:
    """The folder of the built book; None if there is none."""
    if asked := os.environ.get("PRUNEBOOK_BOOK"):
        return Path(asked).resolve()
    folders = (ROOT / "_build" / "html", ROOT / "_build" / "test" / "html")
    return next((folder for folder in folders if (folder / "index.html").is_file()), None)


def chromium() -> str | None:
    """The browser's program; None if there is none."""
    return os.environ.get("PRUNEBOOK_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


def missing() -> str:
    """Why these tests cannot run; empty if they can."""
    if chromium() is None:
        return "no Chromium: apt-get install chromium, or name one in PRUNEBOOK_CHROMIUM"
    if book() is None or not (book() / "index.html").is_file():
        return f"no book in {book() or ROOT / '_build'}: make book, or name one in PRUNEBOOK_BOOK"
    absent = [name for name in ("playwright", "axe_playwright_python") if not importlib.util.find_spec(name)]
    return f"{', '.join(absent)} not installed: pip install -e '.[browser]'" if absent else ""


def pages() -> list[str]:
    """All pages of the book that hold text, as paths from its root; the first one only sends the reader on."""
    folder = book()
    if folder is None:
        return []
    found = (path for path in sorted(folder.rglob("*.html")) if path.relative_to(folder).parts[0] != "_static")
    return [path.relative_to(folder).as_posix() for path in found if not sends_on(path)]


def sends_on(page: Path) -> bool:
    return 'http-equiv="refresh"' in page.read_text(encoding="utf-8")[:500].lower()


@dataclass
class Opened:
    """A page in the browser, and what happened since it was opened."""

    page: object
    complaints: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    weights: dict[str, int] = field(default_factory=dict)

    def elsewhere(self, site: str) -> list[str]:
        """Requests to anything but the book itself."""
        own = ("data:", "blob:", "about:", site)
        return [url for url in self.asked if not url.startswith(own)]

    def scroll_through(self) -> None:
        """Look at all of the page, so that everything that waits to be looked at is loaded."""
        self.page.evaluate(
            """async () => {
                 for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight / 2) {
                   scrollTo(0, y);
                   await new Promise((done) => setTimeout(done, 60));
                 }
                 scrollTo(0, 0);
               }"""
        )
        self.page.wait_for_load_state("networkidle")

    @property
    def weight(self) -> int:
        """Bytes of the page, its pictures included, without what all pages share."""
        return sum(size for url, size in self.weights.items() if not any(part in urlsplit(url).path for part in SHARED))


if __name__ == "__main__":
    sys.exit(missing() or 0)
