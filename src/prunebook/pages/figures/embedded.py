"""A figure as one piece of HTML: picture, caption and numbers, with nothing beside it."""

import base64
import html
import io
import json
import re

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from prunebook.pages.figures.style import house_style


def figure_html(
    figure: Figure,
    number: int,
    caption: str,
    alt: str,
    table: pd.DataFrame | None,
    name: str,
    interactive: dict | None = None,
) -> str:
    """A figure as one piece of HTML that carries its picture and its numbers. Arguments as for ``Page.figure``."""
    table = figure.numbers if table is None else table
    caption = f"{caption} {getattr(figure, 'note', '')}".strip()
    svg = picture(figure)
    image = base64.b64encode(svg.encode()).decode()
    csv = base64.b64encode(table.to_csv(index=False, float_format="%.6g").encode()).decode()
    return (
        f'<figure class="pb-figure" id="{html.escape(name)}">'
        f'<div class="pb-scroll" tabindex="0" role="region" aria-label="Figure {number}">'
        f'<img alt="{html.escape(alt)}" {_size(svg)} src="data:image/svg+xml;base64,{image}"></div>'
        f"{_embedded(interactive)}<figcaption><b>Figure {number}.</b> "
        f'<span class="pb-caption">{html.escape(caption)}</span> '
        f'<a download="{html.escape(name)}.csv" href="data:text/csv;base64,{csv}">Numbers (CSV)</a>'
        "</figcaption></figure>"
    )


def picture(figure: Figure) -> str:
    """The figure as SVG, the same for the same figure; it is closed."""
    buffer = io.StringIO()
    with house_style():
        # The layout leaves no margins: a tight save would draw it twice. A date would make each build a new book.
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    return _short_numbers(buffer.getvalue())


def _short_numbers(svg: str) -> str:
    """The picture with its outlines to a hundredth of a point: nobody sees more, and everybody would load it."""

    def shorter(attribute: re.Match) -> str:
        return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", attribute[0])

    return re.sub(r' (?:d|x|y)="[^"]*"', shorter, svg)


def _size(svg: str) -> str:
    """Width and height of a picture in pixels, so that the page keeps its place free."""
    sides = {side: re.search(rf'<svg[^>]* {side}="([\d.]+)pt"', svg)[1] for side in ("width", "height")}
    return " ".join(f'{side}="{float(points) * 4 / 3:.0f}"' for side, points in sides.items())


def _embedded(spec: dict | None) -> str:
    if spec is None:
        return ""
    # Inside a script element only "</" could end it early.
    text = json.dumps(spec, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("</", "<\\/")
    return f'<script type="application/json" class="pb-spec">{text}</script>'
