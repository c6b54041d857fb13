"""Write what the committed results say: README.md gets findings and their figure, data/verdicts.csv all conditions, and
``book/_static`` a forest plot for each paper.
"""

import io
import sys
from pathlib import Path

import matplotlib.pyplot as plt

from prunebook.evidence import all_conditions, verdicts
from prunebook.evidence.claims import read
from prunebook.pages.figures.forest import pictures
from prunebook.pages.figures.style import house_style
from prunebook.pages.findings import findings_text
from prunebook.store.collect import stored
from prunebook.store.results import Store
from prunebook.studies import STUDIES

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))
import front  # noqa: E402 - a part of the book

STORE = Store(ROOT / "data" / "results")
PICTURE = ROOT / "book" / "_static" / "findings.svg"
BEGIN, END = "<!-- verdicts: written by `make readme` -->", "<!-- end of verdicts -->"


def with_verdicts(text: str) -> str:
    """The README's text with its findings as the committed results have them now."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{findings_text(STORE)}\n\n{END}{after}"


def picture() -> str:
    """The figures of the first page side by side, as SVG on white."""
    with house_style(), plt.rc_context({"svg.fonttype": "none"}):
        figure, axes = plt.subplots(1, 3, figsize=(11, 2.6), layout="constrained")
        for axis, (studies, draw, _) in zip(axes, front.FIGURES.values(), strict=True):
            draw(axis, *(stored(STUDIES[study], "paper", store=STORE).tables for study in studies))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    return buffer.getvalue()


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_verdicts(readme.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
    conditions = all_conditions(STORE)
    conditions.to_csv(ROOT / "data" / "verdicts.csv", index=False, float_format="%.12g", lineterminator="\n")
    for paper, svg in pictures(verdicts(STORE), read()).items():
        (ROOT / "book" / "_static" / f"forest-{paper}.svg").write_text(svg, encoding="utf-8")
    print(f"README.md, {PICTURE.relative_to(ROOT)}, data/verdicts.csv and the forest plots written")
