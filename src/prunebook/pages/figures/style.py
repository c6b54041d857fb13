"""The house style: one look for each method everywhere, readable at 720 pixels and for colour-blind readers.

A figure is 7.2 inches wide at 100 dots per inch. Colours start from the Okabe-Ito set; those of one figure stay apart
under simulated colour blindness. No two methods share a marker, so colour is never needed to tell them apart.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebook.errors import InputError
from prunebook.weights import METHODS

INK = "#1a1a1a"

# Methods with the same ranking have neighbouring hues: blues for elimination-compensation, greens for magnitude.
COLOURS = {
    "elimination-compensation": "#0072b2",
    "non-linear": "#d55e00",
    "magnitude": "#009e73",
    "gradient-magnitude": "#b8578f",
    "random": "#999999",
    "fully-connected": "#4d4d4d",
    "obd": "#882255",
    "wanda": "#5f3d1b",
    "layerwise-obs": "#9846eb",
    "mean-replacement": "#7a7a1f",
    "joint-compensation": "#332288",
    "ec-ranking-only": "#3fa5dd",
    "magnitude-compensated": "#0b5d3b",
    "dense": INK,
}
MARKERS = {
    "elimination-compensation": "o",
    "non-linear": "D",
    "magnitude": "s",
    "gradient-magnitude": "^",
    "random": "x",
    "fully-connected": "P",
    "obd": "v",
    "wanda": "<",
    "layerwise-obs": "X",
    "mean-replacement": "p",
    "joint-compensation": "*",
    "ec-ranking-only": "h",
    "magnitude-compensated": "d",
    "dense": "",
}
# On-off lengths in line widths; () is a solid line.
DASHES: dict[str, tuple[float | int, ...]] = dict.fromkeys(COLOURS, ()) | {
    "random": (1.2, 1.8),
    "fully-connected": (5, 2),
    "ec-ranking-only": (4, 1.5),
    "magnitude-compensated": (4, 1.5),
}
_STROKES = ("x", "1", "2", "3", "4")  # markers without an inside
_SIZES = {"*": 9, "P": 7, "d": 7, "D": 5, "X": 6.5, "p": 6.5, "h": 6.5}  # to look equally large
_SPARE_COLOURS = ("#cc3311", "#117733", "#5c4f9e", "#80522d")
_SPARE_MARKERS = (">", "8", "H", "1", "2", "3", "4")
_LABELS = {"fully-connected": "Fully-connected (narrower)", "dense": "Dense"}

_RC = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#666666",
    "xtick.color": "#666666",
    "ytick.color": "#666666",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with Matplotlib: the same figure on every machine
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "svg.fonttype": "path",
    "image.cmap": "viridis",
}


@dataclass(frozen=True)
class Look:
    """How a method is drawn: colour, marker, on-off lengths of its line, name for the reader."""

    colour: str
    marker: str
    dash: tuple[float | int, ...]
    label: str

    @property
    def points(self) -> dict:
        """Keyword arguments of ``Axes.plot`` for points alone. A white rim keeps markers apart where they meet."""
        style = {"color": self.colour, "marker": self.marker, "linestyle": "", "label": self.label}
        if self.marker in _STROKES:
            return style | {"markersize": 5, "markeredgewidth": 1.3}
        return style | {
            "markeredgecolor": "white",
            "markeredgewidth": 0.5,
            "markersize": _SIZES.get(self.marker, 5.5),
        }

    @property
    def line(self) -> dict:
        """Keyword arguments of ``Axes.plot`` for points joined by a line."""
        return self.points | {"linestyle": (0, self.dash) if self.dash else "-"}


def look(method: str) -> Look:
    """The look of a method. One that is registered but not listed here gets a spare look of its own, by the order of
    registration. Raises InputError for a name that nothing knows.
    """
    if method not in METHODS and method not in _LABELS:
        raise InputError(f"no method {method!r} to draw: choose one of {sorted({*METHODS, *_LABELS})}")
    label = _LABELS.get(method) or METHODS[method].label
    if method in COLOURS:
        return Look(COLOURS[method], MARKERS[method], DASHES[method], label)
    spare = [name for name in METHODS if name not in COLOURS].index(method)
    colour = _SPARE_COLOURS[spare % len(_SPARE_COLOURS)]
    return Look(colour, _SPARE_MARKERS[spare % len(_SPARE_MARKERS)], (), label)


@contextmanager
def house_style() -> Iterator[None]:
    """Figures made inside look like all others."""
    with mpl.rc_context():
        mpl.rcdefaults()  # nothing of a reader's own matplotlibrc
        mpl.rcParams.update(_RC)
        yield


def in_house_style(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Make the figure in the house style. It is laid out at once, because ticks take their style when first drawn."""

    @wraps(function)
    def styled(*args, **kwargs) -> Figure:
        with house_style():
            figure = function(*args, **kwargs)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # laid out once is enough
        return figure

    return styled


def handle(method: str, *, line: bool = True) -> Line2D:
    """Entry of a method in a legend."""
    return Line2D([], [], **(look(method).line if line else look(method).points))
