"""The house style: a seaborn theme, and one look for each method everywhere.

A figure is 7.2 inches wide at 100 dots per inch and readable at 720 pixels. Colours start from the Okabe-Ito set;
those of one figure stay apart under simulated colour blindness. No two looks share both colour and marker, so what is
told apart is so without colour too.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from prunebook.errors import InputError
from prunebook.pages import vocabulary
from prunebook.pages.figures.tables import checked

INK = "#1a1a1a"
GREY = "#666666"
RED = "#cc3311"
DOTS = (0, (1, 1.5))
SHORT = (0, (3, 1.5))
BAND = {"alpha": 0.13, "linewidth": 0, "label": "_band"}
ZONE = {"color": RED, "alpha": 0.1, "linewidth": 0}


@dataclass(frozen=True)
class Look:
    """How a method is drawn: colour, marker, on-off lengths of its line in line widths, name for the reader."""

    colour: str
    marker: str | tuple[int, int, int]
    dash: tuple[float | int, ...]
    label: str

    @property
    def points(self) -> dict:
        """Keyword arguments for points alone. A white rim keeps markers apart where they meet."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "linestyle": "",
            "label": self.label,
            "markeredgecolor": "white",
            "markeredgewidth": 0.5,
            "markersize": _SIZES.get(self.marker, 5.5),
        }

    @property
    def line(self) -> dict:
        """Keyword arguments for points joined by a line."""
        return self.points | {"linestyle": (0, self.dash) if self.dash else "-"}


_SIZES = {"*": 9, "P": 7, "d": 7, "D": 5, "X": 6.5, "p": 6.5, "h": 6.5}  # to look equally large
_NAMES = vocabulary.METHODS | vocabulary.KINDS | {score: score for score in vocabulary.SCORES}
# Methods with the same ranking have neighbouring hues: blues for elimination-compensation, greens for magnitude.
LOOKS = {
    name: Look(colour, marker, dash, _NAMES[name])
    for name, colour, marker, dash in (
        ("elimination-compensation", "#0072b2", "o", ()),
        ("non-linear", "#d55e00", "D", ()),
        ("magnitude", "#009e73", "s", ()),
        ("gradient-magnitude", "#b8578f", "^", ()),
        ("random", "#999999", ">", (1.2, 1.8)),
        ("fully-connected", "#4d4d4d", "P", (5, 2)),
        ("obd", "#882255", "v", ()),
        ("wanda", "#5f3d1b", "<", ()),
        ("layerwise-obs", "#9846eb", "X", ()),
        ("mean-replacement", "#7a7a1f", "p", ()),
        ("joint-compensation", "#332288", "*", ()),
        ("ec-ranking-only", "#3fa5dd", "h", (4, 1.5)),
        ("magnitude-compensated", "#0b5d3b", "d", (4, 1.5)),
        ("ec-refit", "#1b4f8a", "8", (4, 1.5)),
        ("magnitude-refit", "#2f7d4f", "H", (4, 1.5)),
        ("mean-replacement-refit", "#8a8120", (4, 1, 0), (4, 1.5)),
        ("non-linear-refit", "#a63c00", (6, 1, 0), (4, 1.5)),
        ("dense", INK, "", ()),
        ("neurons", "#d55e00", "o", ()),
        ("weights", "#0072b2", "s", ()),
        ("weights, ratio", "#999999", "p", ()),
        ("weights, CoreNet", "#5f3d1b", "*", ()),
        ("sampling", "#0072b2", "s", ()),  # is "weights", under the name that it has among the ways
        ("deterministic", "#5f3d1b", "P", ()),
        ("hybrid", "#882255", "^", ()),
        ("gates", "#332288", "v", ()),
        # Scores of units have hues of their own: teal for zeros, brown for means; signed ones are pale.
        ("norm", "#1f1f5c", "s", ()),
        ("rand", "#8c8c8c", "H", ()),
        ("rs", "#2c98a6", "<", ()),
        ("abs_rs", "#006d77", "o", ()),
        ("mrs", "#cf7a2a", "v", ()),
        ("abs_mrs", "#8a3f0c", "D", ()),
    )
}
LEVEL_LOOKS = {  # lines across a panel, to compare with
    "trained": Look(INK, "", (), vocabulary.LEVELS["dense"]),
    "fine-tuned": Look(INK, "", (5, 2), vocabulary.LEVELS["dense-on"]),
    "noise": Look("#b30000", "", (1, 1.5), vocabulary.FLOORS["noise"]),
    "blind_test": Look("#b30000", "", (4, 1.5, 1, 1.5), vocabulary.FLOORS["blind_test"]),
    "even": Look(INK, "", (1.2, 1.8), "Same share in every layer"),
}
# For what has no name of its own, such as circumstances and layers: in this order.
SPARE = [
    Look(colour, marker, dash, "")
    for colour, marker, dash in (
        ("#3fa5dd", "o", ()),
        ("#7a7a1f", "s", (5, 2)),
        ("#332288", "D", (1.2, 1.8)),
        (RED, "^", (5, 1.5, 1.2, 1.5)),
        ("#5f3d1b", "v", (5, 1.2, 1.2, 1.2, 1.2, 1.2)),
        (GREY, "P", (9, 2)),
    )
]

_RC = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "savefig.facecolor": "white",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.bottom": True,
    "ytick.left": True,
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
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "image.cmap": "viridis",
    "svg.fonttype": "path",
    "svg.hashsalt": "prunebook",  # the same figure is the same file, or every build would make all pages anew
}


def look(method: str) -> Look:
    """The look of a method. Raises InputError for one that has none."""
    if method not in LOOKS:
        raise InputError(
            f"no method {method!r} to draw: choose one of {', '.join(LOOKS)}; a new method gets its name in "
            "prunebook.pages.vocabulary and its look in prunebook.pages.figures.style"
        )
    return LOOKS[method]


@contextmanager
def house_style() -> Iterator[None]:
    """Figures made or drawn inside look like all others. Ticks take their style when they are drawn."""
    with mpl.rc_context():
        mpl.rcdefaults()  # nothing of a reader's own matplotlibrc
        sns.set_theme(context="paper", style="whitegrid", rc=_RC)
        yield


def in_house_style(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Make the figure in the house style, of tables that are checked. It is laid out once, when it is drawn."""
    drawing = checked(function)

    @wraps(function)
    def styled(*args, **kwargs) -> Figure:
        with house_style():
            return drawing(*args, **kwargs)

    return styled


def spare(names: Iterable[str]) -> dict[str, Look]:
    """A look for each name, by its place."""
    return {
        name: replace(SPARE[place % len(SPARE)], label=name[:1].upper() + name[1:]) for place, name in enumerate(names)
    }


def handle(what: str | Look, **changes) -> Line2D:
    """Entry of a look, or of a method's look, in a legend."""
    style = look(what) if isinstance(what, str) else what
    return Line2D([], [], **(style.line | changes))


def band_handle(label: str) -> Patch:
    """Entry of what bands are."""
    return Patch(color=GREY, alpha=0.25, linewidth=0, label=label)


def zone_handle(label: str) -> Patch:
    """Entry of a zone that is shaded red."""
    return Patch(**ZONE, label=label)


def grey(label: str, **style) -> Line2D:
    """Entry of a kind of line, whatever its colour."""
    return Line2D([], [], **{"color": GREY, "label": label, **style})
