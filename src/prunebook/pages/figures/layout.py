"""Panels, legends and axes in the house style."""

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prunebook.pages.numbers import tick

WIDTH = 7.2  # inches
_DIGITS = ((1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9))


class Drawing(Figure):
    """A figure that knows the numbers it shows, a row a seed where it shows an interval, and what its bands are.

    ``curves`` is what it was drawn from, if it can be explored.
    """

    numbers: pd.DataFrame | None = None
    note: str = ""
    curves = None


def grid(rows: int, columns: int, height: float | int, **options) -> tuple[Drawing, np.ndarray]:
    """A page-wide figure with rows of ``height`` inches, and its axes as a two-dimensional array.

    Pyplot forgets the figure at once: a notebook shows it where a cell returns it, and only there.
    """
    size = (WIDTH, rows * height + 0.7)  # room for a legend
    made = {"FigureClass": Drawing, "squeeze": False, "layout": "constrained"}
    figure, axes = plt.subplots(rows, columns, figsize=size, **made, **options)
    plt.close(figure)
    return figure, axes


def wrapped(count: int, height: float | int, across: int = 3, **options) -> tuple[Drawing, list[Axes]]:
    """As :func:`grid`, with so many panels in rows of ``across``; the lowest of each column shows its x axis."""
    across = min(across, count)
    figure, axes = grid(-(-count // across), across, height, **options)
    for spare in axes.flat[count:]:
        spare.remove()
    for axis in axes.flat[max(count - across, 0) : count]:
        axis.tick_params(labelbottom=True)
    return figure, list(axes.flat[:count])


def panel_label(axes: Axes, number: int, text: str = "") -> None:
    """A bold letter and a few words at the upper left of a panel. ``number`` counts from 0."""
    axes.set_title(rf"$\bf{{{chr(ord('a') + number)}}}$  {text}".rstrip(), loc="left")


def column_heads(axes: np.ndarray, heads: Iterable[str]) -> None:
    """Bold heads above the first row of panels, clear of the panel labels."""
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "bottom"}
    for axis, head in zip(axes[0], heads, strict=True):
        axis.annotate(head, (0.5, 1), (0, 21), fontweight="bold", **place)


def legend_below(figure: Figure, handles: Sequence) -> None:
    """The figure's only legend, outside the panels, where it covers no data: at most three columns, if they fit."""
    longest = max(len(handle.get_label()) for handle in handles)
    fit = int(WIDTH / (0.066 * longest + 0.45))  # inches of a letter, and of the sample beside it
    figure.legend(handles=list(handles), loc="outside lower center", ncols=max(1, min(3, fit, len(handles))))


def log_ticks(low: float | int, high: float | int, most: int = 6) -> list[float]:
    """Round numbers between two positive limits: as fine as ``most`` of them allow."""
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    powers = range(first, last + 1)
    steps = range(max(1, (last - first) // 2), 0, -1)
    candidates = [[10.0**power for power in powers if power % step == 0] for step in steps]
    candidates += [[digit * 10.0**power for power in powers for digit in digits] for digits in _DIGITS]
    found: list[float] = []
    for ticks in candidates:
        inside = [tick for tick in ticks if low <= tick <= high]
        found = inside if len(inside) <= most else found
    if len(found) > 1:
        return found
    even = ticker.MaxNLocator(most - 1).tick_values(low, high)  # hardly any range: as on a linear axis
    return [float(tick) for tick in even if low <= tick <= high]


class RoundTicks(ticker.Locator):
    """A few round ticks on a logarithmic axis, between the limits that it has when it is drawn."""

    def __init__(self, most: int = 6) -> None:
        self.most = most

    def __call__(self) -> list[float]:
        return log_ticks(*sorted(self.axis.get_view_interval()), self.most)


def log_axis(axes: Axes, which: str = "y", most: int = 6) -> None:
    """Make an axis logarithmic with a few round tick labels."""
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(RoundTicks(most))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: tick(value)))
    axis.set_minor_locator(ticker.NullLocator())


def ratio_axis(panels: Iterable[Axes], ratios: Iterable, label: str = "Pruning ratio") -> None:
    """Pruning ratios on a logit scale: .9 to .99 has as much room as .5 to .9, in which as much happens."""
    panels, ratios = list(panels), np.unique(np.asarray(list(ratios), dtype=float))
    places = np.log(ratios / (1 - ratios))
    room = 0.05 * (places[-1] - places[0]) or 0.5
    limits = 1 / (1 + np.exp([room - places[0], -room - places[-1]]))
    width = WIDTH / panels[0].get_gridspec().ncols
    apart = 0.3 / width * (places[-1] - places[0])  # inches that a label takes
    named: list[float] = []
    for k in sorted(range(len(ratios)), key=lambda k: (k < len(ratios) - 1, k > 0, abs(ratios[k] - 0.5))):
        if all(abs(places[k] - places[other]) > apart for other in named):
            named.append(k)
    texts = [f"{ratio:g}".removeprefix("0") if k in named else "" for k, ratio in enumerate(ratios)]
    for axis in panels:
        axis.set_xscale("logit")
        axis.set_xlim(limits)
        axis.xaxis.set_major_locator(ticker.FixedLocator(ratios))
        axis.xaxis.set_major_formatter(ticker.FixedFormatter(texts))
        axis.xaxis.set_minor_locator(ticker.NullLocator())
        axis.set_xlabel(label)


def share_axis(panels: Iterable[Axes], which: str = "y") -> None:
    """A share from 0 to 1: in per cent upwards, as a decimal to the right."""
    for axis in panels:
        getattr(axis, f"set_{which}lim")(-0.04, 1.04)
        if which == "y":
            axis.yaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
        else:
            ticks = (0, 0.25, 0.5, 0.75, 1)
            axis.set_xticks(ticks, [f"{value:g}".lstrip("0") or "0" for value in ticks])


def x_axis(panels: Sequence[Axes], scale: str, label: str, points: Iterable) -> None:
    """The horizontal axis of all panels: linear, log, share, ratio, even (about as far apart
    from 0 to 10 as from there on), or step, which counts in thousands if it can.

    Its label stands below the lowest panel of each column.
    """
    unit = 1000 if scale == "step" and max(points) >= 2000 else 1
    if scale == "ratio":
        ratio_axis(panels, points, label)
    elif scale == "share":
        share_axis(panels, "x")
    for axis in panels:
        if scale == "log":
            log_axis(axis, "x", 5)
        elif scale == "even":
            axis.set_xscale("asinh", linear_width=4)
            axis.set_xticks(sorted(set(points)), [f"{point:g}" for point in sorted(set(points))], minor=False)
        elif scale == "step":
            axis.xaxis.set_major_locator(ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
            axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda step, _: f"{step / unit:g}"))
        lowest = axis.xaxis.get_tick_params().get("labelbottom", True)
        axis.set_xlabel(f"{label} (thousands)" * (unit > 1) or label if lowest else "")
