"""All verdicts of a paper at one look: each claim's effect with its interval, against the threshold of its rule."""

from collections.abc import Mapping
from textwrap import shorten

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from prunebook.evidence.claims import INCONCLUSIVE, NOT_SUPPORTED, NOT_TESTED, SUPPORTED
from prunebook.evidence.statistics import STATISTICS
from prunebook.pages.figures import layout
from prunebook.pages.figures.curves import finish
from prunebook.pages.figures.embedded import picture
from prunebook.pages.figures.layout import Drawing
from prunebook.pages.figures.style import GREY, INK, Look, grey, handle, in_house_style
from prunebook.pages.numbers import number

VERDICTS = {  # by a marker of its own as well, for whoever sees no colours
    SUPPORTED: Look("#0072b2", "o", (), "Supported"),
    NOT_SUPPORTED: Look("#d55e00", "X", (), "Not supported"),
    INCONCLUSIVE: Look("#8f7f1b", "D", (), "Inconclusive"),
}
OTHER = Look(GREY, "s", (), "")  # a verdict that has no look of its own
UNITS = {
    "times": "Times as much (ratio, logarithmic)",
    "share": "Share or rank correlation",
    "difference": "Difference, near zero on a wider scale",
}


def rows_of(judged: pd.DataFrame, claims: Mapping[str, dict], paper: str) -> pd.DataFrame:
    """The tested claims of a paper: claim, short, verdict, unit, side, threshold, effect, low, high, seeds.

    ``judged`` is the table of verdicts, ``claims`` the ledger. The unit is that of the statistic: what is judged by its
    logarithm is a ratio; what is held against zero or less is a difference; the rest are shares and correlations.
    """
    rows = judged[(judged["paper"] == paper) & (judged["verdict"] != NOT_TESTED) & np.isfinite(judged["effect"])]
    statistics = [claims[name]["conditions"][0].get("statistic") for name in rows["claim"]]
    logs = [name in STATISTICS and STATISTICS[name].log for name in statistics]
    unit = np.where(rows["threshold"] <= 0, "difference", "share")
    kept = ["claim", "short", "verdict", "side", "threshold", "effect", "low", "high", "seeds"]
    beyond = rows[["effect", "threshold"]].max(axis=1) > 1.03
    return rows[kept].assign(unit=np.where(np.array(logs, bool) | beyond, "times", unit))


def pictures(judged: pd.DataFrame, claims: Mapping[str, dict]) -> dict[str, str]:
    """The forest of each paper as SVG, for where no notebook runs."""
    return {paper: picture(forest(rows_of(judged, claims, paper))) for paper in dict.fromkeys(judged["paper"])}


@in_house_style
def forest(rows: pd.DataFrame) -> Drawing:
    """A panel a unit, with a row a claim: mean and 95 % interval, and a bar at the threshold with the side that counts.

    ``rows`` are those of :func:`rows_of`. What lies beyond an axis is an arrow at its end.
    """
    groups = {unit: rows[rows["unit"] == unit] for unit in UNITS if (rows["unit"] == unit).any()}
    heights = [len(part) + 2.2 for part in groups.values()]
    figure, axes = layout.grid(len(groups), 1, 0.235 * sum(heights) / len(groups), height_ratios=heights)
    for axis, (unit, part) in zip(axes[:, 0], groups.items(), strict=True):
        _panel(axis, unit, part.reset_index(drop=True))
    verdicts = {verdict: VERDICTS.get(verdict, OTHER) for verdict in dict.fromkeys([*VERDICTS, *rows["verdict"]])}
    entries = [
        handle(look, linestyle="", label=look.label or verdict.capitalize())
        for verdict, look in verdicts.items()
        if (rows["verdict"] == verdict).any()
    ]
    bar = {"marker": "|", "markersize": 9, "markeredgewidth": 1.6, "color": INK, "linestyle": ""}
    low, high = rows["seeds"].min(), rows["seeds"].max()
    span = f"{low} to {high}" if low < high else high
    figure.numbers, figure.note = rows, f"Bars are 95 % intervals over {span} seeds."
    return finish(figure, [*entries, grey("Threshold, and the side that counts", **bar)])


def _panel(axis: Axes, unit: str, part: pd.DataFrame) -> None:
    ends = part[["effect", "low", "high", "threshold"]].to_numpy()
    ends = ends[np.isfinite(ends)]
    if unit == "times":
        low, high = max(ends[ends > 0].min(), part["effect"].min() / 10), min(ends.max(), 10 * part["effect"].max())
        layout.log_axis(axis, "x", 5)
        axis.set_xlim(low / 1.5, high * 1.5)
        axis.axvline(1, color=GREY, linewidth=0.8)
    elif unit == "share":
        axis.set_xlim(-0.03, 1.03)
    else:
        axis.set_xscale("asinh", linear_width=0.05)
        axis.set_xlim(np.array([-1.2, 1.2]) * max(0.1, min(np.abs(ends).max(), 3)))
        ticks = [t for t in (-1, -0.1, 0, 0.1, 1) if abs(t) <= axis.get_xlim()[1]]
        axis.set_xticks(ticks, [number(t) for t in ticks])
        axis.axvline(0, color=GREY, linewidth=0.8)
    left, right = axis.get_xlim()
    for place, row in part.iterrows():
        look = VERDICTS.get(row["verdict"], OTHER)
        span = np.clip([row["low"], row["high"]], left, right)
        axis.plot(span, [place, place], color=look.colour, linewidth=1.4, solid_capstyle="butt", label="_interval")
        if np.isfinite(row["threshold"]):
            at = (np.clip(row["threshold"], left, right), place)
            axis.plot(*at, "|", markersize=9, markeredgewidth=1.6, color=INK, label="_threshold")
            arrow, shift = ("→", 7) if row["side"] == "above" else ("←", -7)
            middle = {"ha": "center", "va": "center_baseline", "fontsize": 8.5, "color": GREY}
            axis.annotate(arrow, at, (shift, 0), textcoords="offset points", **middle)
    style = {"hue": "verdict", "style": "verdict", "legend": False, "zorder": 4, "s": 34, "linewidth": 0.4}
    known = {verdict: VERDICTS.get(verdict, OTHER) for verdict in part["verdict"]}
    style |= {
        "palette": {v: look.colour for v, look in known.items()},
        "markers": {v: look.marker for v, look in known.items()},
    }
    shown = part.assign(place=part.index, effect=part["effect"].clip(left, right))
    sns.scatterplot(shown, x="effect", y="place", ax=axis, clip_on=False, **style)
    names = part["claim"] + "  " + part["short"].map(lambda text: shorten(text, 58, placeholder=" …"))
    axis.set_yticks(range(len(part)), names)
    axis.set(ylim=(len(part) - 0.4, -0.6), xlabel=UNITS[unit], ylabel="")
    axis.grid(visible=False, axis="y")
