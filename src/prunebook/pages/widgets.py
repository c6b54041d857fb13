"""The book's interactive figures: the static figure's own panels, as a Plotly figure that a reader can take apart.

It is made from what the static figure was drawn from, so that looks, panels, means and intervals are the same. It has
the curves that the static one leaves out as well, switched off at first, and all choices. It is plain data with a
caption and a text alternative of its own; ``book/_static/interactive.js`` shows it on demand.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from prunebook.errors import InputError
from prunebook.pages.figures.curves import Axis, Curves, over_seeds
from prunebook.pages.figures.layout import Drawing
from prunebook.pages.figures.style import Look

# Matplotlib's markers, and what Plotly calls them.
SYMBOLS = {
    "o": "circle", "D": "diamond", "s": "square", "^": "triangle-up", "v": "triangle-down", "<": "triangle-left",
    ">": "triangle-right", "X": "x", "P": "cross", "p": "pentagon", "*": "star", "h": "hexagon2", "H": "hexagon",
    "d": "diamond-tall", "8": "octagon", ".": "circle-dot", (4, 1, 0): "star-diamond", (6, 1, 0): "hexagram",
}  # fmt: skip
LINE_STYLES = ("solid", "6px,3px", "2px,3px")  # of the kinds of one curve
DIGITS = 4  # more cannot be seen, and each costs every reader


def explored(figure: Drawing, menu: str = "Shown") -> dict:
    """What a reader can explore of a figure: one Plotly figure for each choice, a caption, and a text alternative.

    ``menu`` is what the list of choices is called. Raises InputError for a figure that is not made of curves.
    """
    curves = figure.curves
    if curves is None:
        raise InputError("only a figure made of curves can be explored")
    rows = curves.rows
    choices = list(dict.fromkeys(rows["choice"]))
    figures, off = {}, 0
    for choice in choices:
        traces, layout = _figure(curves, rows[rows["choice"] == choice])
        off += sum(trace["y"].count(None) for trace in traces)
        figures[choice] = go.Figure(traces, layout).to_dict()
    hidden = sum((rows["curve"] == name).any() for name in curves.looks if curves.shown and name not in curves.shown)
    labels = " and ".join(dict.fromkeys(axis.label.replace("\n", " ") for axis in curves.y.values()))
    caption = f"{labels} against {curves.x.label.lower()}. {replace(curves, shown=()).note.replace('Bands', 'Bars')}"
    caption += f" {hidden} more curves can be switched on." if hidden else ""
    caption += f" Left out: {off} points that are zero or not finite." if off else ""
    panels = "; ".join(name.replace("\n", " ") for name in dict.fromkeys(rows["panel"]))
    alt = f"{labels} against {curves.x.label.lower()}; panels: {panels}."
    return {"caption": caption, "alt": alt, "menu": menu, "figures": figures}


def _figure(curves: Curves, rows: pd.DataFrame) -> tuple[list[dict], dict]:
    panels = list(dict.fromkeys(rows["panel"]))
    axes = [curves.y[rows.loc[rows["panel"] == panel, "quantity"].iloc[0]] for panel in panels]
    kinds = curves.styles(rows)
    parts = dict(list(rows.groupby(["panel", "curve", "kind"], sort=False)))
    traces, listed = [], set()
    keys = [(panel, name, kind) for panel in panels for name in curves.looks for kind in kinds]
    for panel, name, kind in (key for key in keys if key in parts):
        look, place = curves.looks[name], panels.index(panel)
        label = f"{look.label}, {kind.lower()}" if kind else look.label
        trace = {"type": "scatter", "name": label, "legendgroup": label, "showlegend": label not in listed}
        trace |= _numbers(parts[panel, name, kind], axes[place]) | _style(look, LINE_STYLES[kinds[kind]])
        trace |= {f"{axis}axis": f"{axis}{place + 1}" for axis in "xy"}
        traces.append(trace | {"visible": True if not curves.shown or name in curves.shown else "legendonly"})
        listed.add(label)  # one entry of the legend stands for a curve in all panels
    return traces, _layout(panels, axes, curves)


def _numbers(rows: pd.DataFrame, axis: Axis) -> dict:
    """A curve and its intervals, to a few digits; None for what the axis or JSON does not know."""
    log = axis.scale == "log"
    points = over_seeds(rows, geometric=log)
    unit = 100 if axis.scale == "share" else 1
    mean = unit * points["mean"].where((points["mean"] > 0) | (not log))
    several = points["seeds"] > 2
    up, down = (unit * points["high"] - mean).where(several), (mean - unit * points["low"]).where(several)
    x, y, up, down = (
        [float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in c] for c in (points["x"], mean, up, down)
    )
    bars = {"array": up, "arrayminus": down, "symmetric": False, "thickness": 1, "width": 0}
    return {"x": x, "y": y} | ({"error_y": bars} if any(up) or any(down) else {})


def _style(look: Look, dash: str) -> dict:
    own = ",".join(f"{2 * length:g}px" for length in look.dash) if dash == "solid" else ""
    marker = {"symbol": SYMBOLS.get(look.marker), "size": 7, "line": {"color": look.colour, "width": 1}}
    line = {"color": look.colour, "dash": own or dash}
    return {"line": line, "marker": marker, "mode": "lines+markers" if look.marker else "lines"}


def _layout(panels: Sequence[str], axes: Sequence[Axis], curves: Curves) -> dict:
    """Named panels in a grid, which a narrow page can make a column; those of one quantity share a scale."""
    across = curves.across
    layout: dict = {
        "template": {},
        "grid": {"rows": -(-len(panels) // across), "columns": min(across, len(panels)), "pattern": "independent"},
        "annotations": [],
        "hovermode": "closest",
        "hoverlabel": {"namelength": -1},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "maxheight": 1},
        "margin": {"l": 60, "r": 10, "t": 30, "b": 60},
    } | dict.fromkeys(("paper_bgcolor", "plot_bgcolor"), "rgba(0,0,0,0)")
    for place, (panel, axis) in enumerate(zip(panels, axes, strict=True)):
        number = str(place + 1) if place else ""
        name = {"text": panel.replace("\n", " "), "y": 1, "yanchor": "bottom", "showarrow": False}
        layout["annotations"].append(name | {f"{which}ref": f"{which}{number} domain" for which in "xy"})
        first = axes.index(axis)
        titled = place % across == 0 or axes[place - 1] != axis
        for which, of, text, like in (
            (
                "x",
                curves.x,
                curves.x.label if place >= len(panels) - across else "",
                "x" if place and not curves.x.own else None,
            ),
            (
                "y",
                axis,
                axis.label if titled else "",
                f"y{first + 1 if first else ''}" if first < place and not axis.own else None,
            ),
        ):
            percent = " (%)" if of.scale == "share" and which == "y" and text else ""
            layout[f"{which}axis{number}"] = {
                "gridcolor": "#e4e4e4",
                "zerolinecolor": "#cccccc",
                "exponentformat": "power" if of.scale == "log" else "none",
                "hoverformat": ".3~g",
                "matches": like,
                "title": {"text": text.replace("\n", " ") + percent, "font": {"size": 12}},
                "type": "log" if of.scale == "log" else "linear",
            }
    return layout
