"""Means over seeds as dots in rows, with every seed and a 95 % interval: for what is compared and follows no axis."""

from collections.abc import Hashable, Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
import seaborn as sns

from prunebook.errors import InputError
from prunebook.evidence.intervals import half_width
from prunebook.pages.figures import layout
from prunebook.pages.figures.curves import Axis, finish, seeds_note
from prunebook.pages.figures.layout import Drawing
from prunebook.pages.figures.style import GREY, INK, Look, grey, handle, house_style


def dots(
    rows: pd.DataFrame,
    looks: Mapping[Hashable, Look],
    x: Axis,
    *,
    levels: Sequence[float | int] = (),
    words: Mapping[tuple[str, str], str] | None = None,
    across: int = 3,
    height: float | int = 0.42,
    order: Sequence[str] = (),
) -> Drawing:
    """A panel of rows of dots; small ones are seeds, the large one is their mean, the bar its 95 % interval.

    Args:
        rows: a row a seed, columns panel, row, curve, x, seed. All are drawn in the order in which they come.
        x: the axis; panels share it, unless each has its own. Means are geometric on a logarithmic one.
        levels: values to compare with, as lines across.
        words: text at the right of a panel and row.
        height: inches of a row.
        order: of the rows, if not that in which they come.

    A mean that is not finite is left out, and so are its seeds: nothing stands for what exploded.
    """
    keys = ["panel", "row", "curve"]
    bad = ~np.isfinite(rows["x"]) | ((rows["x"] <= 0) & (x.scale == "log"))
    rows = rows[~bad.groupby([rows[key] for key in keys]).transform("any")]
    rows = rows[rows["curve"].isin(list(looks))].groupby([*keys, "seed"], sort=False, as_index=False)["x"].mean()
    if rows.empty:
        raise InputError(f"no finite value of {', '.join(map(str, looks))} to draw")
    names, order = list(dict.fromkeys(rows["panel"])), list(order or dict.fromkeys(rows["row"]))
    hues = [name for name in looks if (rows["curve"] == name).any()]
    with house_style():
        tall = 0.7 + height * len(order)
        figure, panels = layout.wrapped(len(names), tall, across, sharey=True, sharex=not x.own)
        shared = {"y": "row", "x": "x", "hue": "curve", "order": order, "orient": "h", "legend": False}
        shared["palette"] = {name: looks[name].colour for name in hues}
        for place, (panel, name) in enumerate(zip(panels, names, strict=True)):
            part = rows[rows["panel"] == name]
            mine = (
                [hue for hue in hues if (part["curve"] == hue).any()]
                if height < 1 and len(names) == len(hues)
                else hues
            )
            if x.scale == "log":
                layout.log_axis(panel, "x", 5)
            for level in levels:
                panel.axvline(level, color=INK, linewidth=0.9, linestyle=(0, (4, 2)) if level not in (0, 1) else "-")
            apart = {"dodge": 0.8 * (1 - 1 / len(mine))} if len(mine) > 1 else {}
            markers = [looks[hue].marker or "o" for hue in mine]
            sns.stripplot(part, ax=panel, hue_order=mine, dodge=bool(apart), jitter=False, size=3, alpha=0.45, **shared)
            means = {"errorbar": interval, "linestyle": "none", "err_kws": {"linewidth": 1.4}, "markersize": 5.5}
            sns.pointplot(part, ax=panel, hue_order=mine, markers=markers, **means, **apart, **shared)
            panel.set(ylabel="", xlabel=x.label if place >= len(names) - across else "")
            panel.grid(visible=False, axis="y")
            panel.margins(x=0.12)
            if len(names) > 1:
                layout.panel_label(panel, place, name)
            for row, text in enumerate((words or {}).get((name, row), "") for row in order):
                beside = {"xycoords": panel.get_yaxis_transform(), "textcoords": "offset points", "color": GREY}
                panel.annotate(text, (1, row), (0, 9), ha="right", va="center", fontsize=8.5, **beside)
        panels[0].set_yticks(range(len(order)), [fill(str(row), 24) for row in order])
        panels[0].set_ylim(len(order) - 0.45, -0.65)
        entries = [handle(looks[hue], linestyle="") for hue in hues] if looks[hues[0]].label not in names else []
        bar = "Mean, 95 % interval" if rows["seed"].nunique() > 2 else "Mean"
        finish(figure, [*entries, grey(bar, marker="o"), grey("One seed", marker=".", linestyle="", alpha=0.6)])
    label = {name: looks[name].label for name in hues}
    figure.numbers = rows.assign(curve=rows["curve"].map(label))
    figure.note = seeds_note(rows, "Geometric means" if x.scale == "log" else "Means", "bars")
    return figure


def interval(values: pd.Series) -> tuple[float, float]:
    """Student's, in the scale of the axis; none for fewer than three values."""
    half = half_width(float(np.std(values, ddof=1)), len(values)) if len(values) > 2 else np.nan
    return float(np.mean(values) - half), float(np.mean(values) + half)
