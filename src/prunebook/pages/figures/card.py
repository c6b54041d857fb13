"""The picture that stands beside a link to the book in other places: its title, and how the claims fared."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from prunebook.evidence.claims import INCONCLUSIVE, NOT_SUPPORTED, NOT_TESTED, SUPPORTED
from prunebook.pages.figures.style import INK, in_house_style

SIZE = (1200, 630)  # pixels, as the places that show such pictures expect
VERDICTS = {SUPPORTED: "#0072b2", NOT_SUPPORTED: "#d55e00", INCONCLUSIVE: "#c9b23c", NOT_TESTED: "#bbbbbb"}


@in_house_style
def card(title: str, line: str, verdicts: Mapping[str, int]) -> Figure:
    """The title, a line below it, and a bar of all verdicts; without any there is no bar."""
    figure = Figure(figsize=(SIZE[0] / 100, SIZE[1] / 100), dpi=100)
    figure.text(0.06, 0.74, title, fontsize=54, fontweight="bold", color=INK)
    figure.text(0.06, 0.6, line, fontsize=21, color=INK)
    total, left = sum(verdicts.values()), 0.0
    if not total:
        return figure
    axis = figure.add_axes((0.06, 0.3, 0.88, 0.14))
    axis.set(xlim=(0, total), ylim=(0, 1))
    axis.axis("off")
    for verdict, colour in VERDICTS.items():
        axis.barh(0.5, verdicts.get(verdict, 0), 1, left, color=colour, edgecolor="white", linewidth=3)
        left += verdicts.get(verdict, 0)
    for place, (verdict, colour) in enumerate(VERDICTS.items()):
        text = f"{verdicts.get(verdict, 0)} {verdict}"
        figure.text(0.06 + 0.23 * place, 0.17, "■", fontsize=24, color=colour)
        figure.text(0.092 + 0.23 * place, 0.17, text, fontsize=17, color=INK)
    return figure
