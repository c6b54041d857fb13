"""The three papers by title, as CITATION.cff has them."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
KEYS = ("ballini2026", "evci2018", "gordon2020")  # in the order of CITATION.cff


def papers() -> dict[str, dict]:
    """Key in the bibliography → title, authors, year, url."""
    entries = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    return dict(zip(KEYS, entries, strict=True))


def cited(key: str) -> str:
    """Title as a link, first author and year, in Markdown."""
    paper = papers()[key]
    first, *others = paper["authors"]
    more = " and others" if others else ""
    return f"[{paper['title']}]({paper['url']}), {first['family-names']}{more}, {paper['year']}"
