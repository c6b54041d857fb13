"""Write the verdicts from the committed results into README.md, between its two marks."""

from pathlib import Path

from prunebook.claims import markdown_table
from prunebook.results import Store

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- verdicts: written by `make readme` -->", "<!-- end of verdicts -->"


def with_verdicts(text: str) -> str:
    """The README's text with its verdicts as the committed results have them now."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    table = markdown_table(Store(ROOT / "data" / "results"), link=None)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_verdicts(readme.read_text(encoding="utf-8")), encoding="utf-8")
    print("README.md written")
