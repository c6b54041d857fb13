"""Crowded figures that a reader can take apart in the browser: curves on and off, one panel at a time, values at hand.

:func:`lines` turns a tidy table into a small dictionary; ``Page.figure(..., interactive=...)`` writes it beside the
static figure, and ``book/_static/interactive.js`` draws it. Where no script runs the static figure stays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from prunebook.errors import InputError
from prunebook.pages.figures.style import Look

SCALES = ("linear", "log", "percent")
DIGITS = 4  # more cannot be seen, and each costs every reader
_SYMBOLS = {  # Matplotlib's marker → Plotly's
    "": "",
    "o": "circle",
    "D": "diamond",
    "s": "square",
    "^": "triangle-up",
    "v": "triangle-down",
    "<": "triangle-left",
    ">": "triangle-right",
    "x": "x-thin-open",
    "X": "x",
    "P": "cross",
    "p": "pentagon",
    "*": "star",
    "h": "hexagon2",
    "H": "hexagon",
    "d": "diamond-tall",
    "8": "octagon",
    "1": "y-down-open",
    "2": "y-up-open",
    "3": "y-left-open",
    "4": "y-right-open",
}


@dataclass(frozen=True)
class Measure:
    """One quantity on the vertical axis.

    - ``columns``: kind of curve → column; the first kind is drawn solid, the others dashed. One name means one kind.
    - ``scale``: "linear", "log" or "percent", for a share from 0 to 1.
    - ``low``, ``high``: columns of the interval, for a table that holds one row a point.
    - ``where``: which rows show this quantity, as column → values.
    """

    columns: str | Mapping[str, str]
    scale: str = "linear"
    low: str | None = None
    high: str | None = None
    where: Mapping[str, Sequence] = field(default_factory=dict)

    @property
    def kinds(self) -> dict[str, str]:
        return {"": self.columns} if isinstance(self.columns, str) else dict(self.columns)


def lines(
    table: pd.DataFrame,
    *,
    x: str,
    line: str,
    measures: Mapping[str, Measure],
    looks: Mapping[str, Look],
    x_title: str,
    choices: Mapping[str, str] | None = None,
    dash: tuple[str, Mapping[str, str]] | None = None,
    point: str | None = None,
    first: Mapping[str, object] | None = None,
    hidden: Sequence[str] = (),
    names: Mapping[object, str] | None = None,
    band: str = "lowest to highest seed",
) -> dict:
    """Curves with intervals, of which the reader chooses a part.

    Args:
        table: one row a point, or one row a point and seed. Of the latter the mean is drawn, with a band from the
            lowest to the highest seed; a seed without a finite number leaves a gap, as in the static figures.
        x: column of the horizontal axis, and ``x_title`` its name.
        line: column that tells the curves apart; ``looks`` says which are drawn, in what order, and how.
        measures: name for the reader → what is on the vertical axis.
        choices: name for the reader → column; the figure shows one value of each at a time.
        dash: a column that tells solid from dashed curves, and its values with their names for the reader.
        point: column that tells points apart where ``x`` differs between seeds; left out: ``x`` itself.
        first: what is chosen when the page opens, as column → value; left out: what comes first in the table.
        hidden: curves that are off when the page opens.
        names: how values of ``choices`` are called for the reader.
        band: what the interval is, in words.

    Raises InputError for a missing column, an unknown scale, and a table that holds none of the curves.
    """
    choices, names, first = dict(choices or {}), dict(names or {}), dict(first or {})
    _check(
        table,
        measures,
        [x, line, *choices.values(), *([point] if point else []), *([dash[0]] if dash else [])],
    )
    shown = [name for name in looks if name in set(table[line])]
    if not shown:
        raise InputError(f"no curve to draw: the column {line} holds none of {', '.join(map(str, looks))}")
    values = {column: list(dict.fromkeys(table[column])) for column in choices.values()}
    for column, value in first.items():
        if value not in values.get(column, ()):
            raise InputError(
                f"nothing to begin with at {column}={value!r}: choose among {values.get(column, [])}"
            )
    keys = [*choices.values(), line, *([dash[0]] if dash else [])]
    curves, places_of_x = [], []
    for number, measure in enumerate(measures.values()):
        rows = table[table[line].isin(shown)]
        for column, wanted in measure.where.items():
            rows = rows[rows[column].isin(list(wanted))]
        kinds = _kinds(measure, dash)
        for kind, column in measure.kinds.items():
            for group, part in rows.groupby(keys, sort=False):
                *picked, name = group[: len(choices) + 1]
                style = dash[1].get(group[-1]) if dash else kind
                if style is None or part[column].isna().all():
                    continue
                places = [values[c].index(v) for c, v in zip(choices.values(), picked, strict=True)]
                at, *drawn = _points(part, x, column, measure, point or x)
                if at not in places_of_x:
                    places_of_x.append(at)
                curves.append(
                    [number, places, shown.index(name), kinds.index(style), places_of_x.index(at), *drawn]
                )
    return {
        "x": {"title": x_title, "at": places_of_x},
        "measures": [
            {"name": name, "scale": measure.scale, "kinds": _kinds(measure, dash)}
            for name, measure in measures.items()
        ],
        "choices": [
            {
                "name": name,
                "values": [names.get(value, str(value)) for value in values[column]],
                "first": values[column].index(first.get(column, values[column][0])),
            }
            for name, column in choices.items()
        ],
        "lines": [_line(looks[name], off=name in hidden) for name in shown],
        "band": band,
        "curves": curves,
    }  # fmt: skip


def _kinds(measure: Measure, dash: tuple[str, Mapping[str, str]] | None) -> list[str]:
    """Names of the solid and the dashed curves of a quantity."""
    return list(dash[1].values()) if dash else list(measure.kinds)


def _check(table: pd.DataFrame, measures: Mapping[str, Measure], columns: Sequence[str]) -> None:
    wanted = list(columns)
    for measure in measures.values():
        if measure.scale not in SCALES:
            raise InputError(f"scale {measure.scale!r}: choose among {', '.join(SCALES)}")
        wanted += [*measure.kinds.values(), *measure.where, *filter(None, (measure.low, measure.high))]
    if missing := [column for column in wanted if column not in table.columns]:
        raise InputError(f"no column {', '.join(missing)} to draw: the table has {', '.join(table.columns)}")


def _points(part: pd.DataFrame, x: str, y: str, measure: Measure, point: str) -> list[list]:
    """x, y and the interval's ends of one curve; the ends are empty where there is no interval."""
    groups = part.groupby(point)
    if measure.low and measure.high:
        if groups.size().max() > 1:
            raise InputError(
                f"several rows at one {point}, and an interval for each: choose or average first"
            )
        at, mean, low, high = (groups[c].first() for c in (x, y, measure.low, measure.high))
    else:
        # One seed that exploded must not make the others' mean look better than it is.
        at, mean = groups[x].mean(), groups[y].agg(lambda seeds: seeds.mean(skipna=False))
        low, high = groups[y].min(), groups[y].max()
        if groups.size().max() == 1:
            low = high = mean.iloc[:0]
    return [[_short(value) for value in column] for column in (at, mean, low, high)]


def _short(value) -> float | int | None:
    """A number to a few digits; None for one that is not finite, which JSON does not know."""
    value = float(value)
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _line(look: Look, off: bool) -> dict:
    """How a curve looks; ``marker`` is its outline, for the legend."""
    entry = {"name": look.label, "colour": look.colour, "symbol": _SYMBOLS[look.marker]}
    entry |= {"marker": _outline(look.marker)} | ({"dash": list(look.dash)} if look.dash else {})
    return entry | ({"off": True} if off else {})


def _outline(marker: str) -> str:
    """A Matplotlib marker as an SVG path about the origin, eight units across."""
    if not marker:
        return ""
    style = MarkerStyle(marker)
    path = style.get_path().transformed(style.get_transform())
    path = path.transformed(Affine2D().scale(8 / path.get_extents().size.max()).scale(1, -1))
    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
    return "".join(
        "Z" if code == Path.CLOSEPOLY else letters[code] + " ".join(f"{value:.1f}" for value in points)
        for points, code in path.iter_segments(simplify=False)
    )
