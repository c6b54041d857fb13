"""Write what the committed results say: README.md gets findings and verdicts, data/verdicts.csv all conditions, and
``book/_static`` a forest plot for each paper.
"""

from pathlib import Path

from prunebook.evidence import all_conditions, verdicts
from prunebook.evidence.claims import read
from prunebook.pages.figures.forest import pictures
from prunebook.pages.findings import findings_text
from prunebook.pages.verdicts import markdown_table
from prunebook.store.results import Store

ROOT = Path(__file__).resolve().parents[1]
EFFECT = (
    "*Effect* is the mean over seeds, with its 95 % interval, of the condition that decides; mostly a ratio of losses. "
    "*Rule* says on which side it must lie. A number that ends in .2 is a claim of the second edition: its effect is "
    "the mean over all conditions of one kind, only fresh seeds judge it, and *Before* is the verdict on the first. "
    "EC, CB and MR stand for elimination-compensation, coreset bounds and mean replacement, MM for when means help, HH "
    "for the head-to-head of all methods, and X for a question of our own."
)
BEGIN, END = "<!-- verdicts: written by `make readme` -->", "<!-- end of verdicts -->"


def with_verdicts(text: str) -> str:
    """The README's text with its verdicts as the committed results have them now."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    store = Store(ROOT / "data" / "results")
    table = f"<details><summary>Every claim</summary>\n\n{EFFECT}\n\n{markdown_table(store, link=None)}\n\n</details>"
    return f"{before}{BEGIN}\n\n{findings_text(store)}\n\n{table}\n\n{END}{after}"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_verdicts(readme.read_text(encoding="utf-8")), encoding="utf-8")
    conditions = all_conditions(Store(ROOT / "data" / "results"))
    conditions.to_csv(ROOT / "data" / "verdicts.csv", index=False, float_format="%.12g", lineterminator="\n")
    for paper, svg in pictures(verdicts(Store(ROOT / "data" / "results")), read()).items():
        (ROOT / "book" / "_static" / f"forest-{paper}.svg").write_text(svg, encoding="utf-8")
    print("README.md, data/verdicts.csv and the forest plots written")
