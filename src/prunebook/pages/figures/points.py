"""Scatters: panels of single points, for what a mean over them does not tell."""

from collections.abc import Hashable, Iterable, Mapping
from itertools import chain

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from prunebook.pages.figures import layout
from prunebook.pages.figures.curves import finish
from prunebook.pages.figures.layout import Drawing
from prunebook.pages.figures.style import INK, Look, grey, handle, house_style
from prunebook.pages.numbers import tick


def points(
    rows: pd.DataFrame,
    looks: Mapping[Hashable, Look],
    labels: tuple[str, str],
    *,
    words: Mapping[str, str] | None = None,
    diagonal: bool = False,
) -> Drawing:
    """Panels of points; a row is one. Columns ``panel``, ``curve``, ``x``, ``y`` and ``seed``.

    Axes are logarithmic on both sides of zero, so that every point has a place. Panels share the vertical one; with the
    ``diagonal``, both axes are the same everywhere. Written in each panel: its ``words``.
    """
    parts, shown = dict(list(rows.groupby("panel", sort=False))), [name for name in looks if name in set(rows["curve"])]
    few = np.clip(1500 / max(map(len, parts.values())), 0.2, 1)  # the more points, the smaller and paler
    style = {"hue": "curve", "style": "curve", "hue_order": shown, "style_order": shown, "legend": False}
    style |= {"palette": {name: looks[name].colour for name in shown}}
    style |= {"markers": {name: looks[name].marker for name in shown}}
    with house_style():
        figure, panels = layout.wrapped(len(parts), 2.4, sharey=True, sharex=diagonal)
        for place, (panel, (name, part)) in enumerate(zip(panels, parts.items(), strict=True)):
            shuffled = part.sample(frac=1, random_state=0)  # none of the curves lies above the others
            look = {"s": 18 * few, "alpha": 0.3 + 0.5 * few, "linewidth": 0, "rasterized": True}
            sns.scatterplot(shuffled, x="x", y="y", ax=panel, **style, **look)
            if not diagonal:
                signed_axis(panel, "x", part["x"])
                panel.axhline(0, color=INK, linewidth=0.9, label="_level")
            ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
            panel.text(0.03, 0.97, (words or {}).get(name, ""), va="top", transform=panel.transAxes, bbox=ground)
            lowest = not diagonal or place >= len(parts) - 3
            panel.set(xlabel=labels[0] if lowest else "", ylabel="" if place % 3 else labels[1])
            layout.panel_label(panel, place, name)
        both = [*rows["x"], *rows["y"]] if diagonal else rows["y"]
        for panel in panels:
            for which in "xy" if diagonal else "y":
                signed_axis(panel, which, both)
            if diagonal:
                ends = panel.get_ylim()
                panel.plot(ends, ends, color=INK, linewidth=1.0, label="_diagonal", zorder=4)
        equal = [grey("Equal penalties", color=INK, linewidth=1.0)] if diagonal else []
        finish(figure, chain((handle(looks[name], linestyle="") for name in shown), equal))
    figure.numbers = rows.assign(curve=rows["curve"].map({name: looks[name].label for name in shown}))
    figure.note = f"{len(rows):,} points from {rows['seed'].nunique()} seeds."
    return figure


def signed_axis(panel: Axes, which: str, values: Iterable) -> None:
    """Logarithmic on both sides of zero, but linear where the smallest tenth of the values is."""
    values = np.asarray(list(values), dtype=float)
    sizes = np.abs(values[values != 0])
    least, most = np.quantile(sizes, [0.1, 1]) if len(sizes) else (0.1, 1.0)
    places = np.arcsinh(np.array([min(values.min(), 0), max(values.max(), 0)]) / least)
    ends = np.sinh(places + 0.06 * (places[1] - places[0] or 1) * np.array([-1, 1])) * least
    getattr(panel, f"set_{which}scale")("asinh", linear_width=least)
    getattr(panel, f"set_{which}lim")(ends)
    room = (0.3 if which == "x" else 0.2) * np.ptp(np.arcsinh(ends / least))  # that a label takes
    sizes, ticks = layout.log_ticks(2 * least, max(most, 4 * least), 2), [0.0]
    for value in [end for size in sizes[::-1] for end in (-size, size) if ends[0] <= end <= ends[1]]:
        if np.all(np.abs(np.arcsinh(np.array(ticks) / least) - np.arcsinh(value / least)) > room):
            ticks.append(value)
    getattr(panel, f"set_{which}ticks")(ticks, [tick(value) for value in ticks])
    getattr(panel, f"{which}axis").set_minor_locator(NullLocator())
