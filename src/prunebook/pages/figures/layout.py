"""Panels, legends and axes in the house style."""

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

WIDTH = 7.2  # inches


def grid(rows: int, columns: int, height: float, **options) -> tuple[Figure, np.ndarray]:
    """A page-wide figure with rows of ``height`` inches, and its axes as a two-dimensional array.

    Pyplot forgets the figure at once: a notebook shows it where a cell returns it, and only there.
    """
    size = (WIDTH, rows * height + 0.7)  # room for a legend
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)
    plt.close(figure)
    return figure, axes


def panel_label(axes: Axes, number: int, text: str = "") -> None:
    """A bold letter and a few words at the upper left of a panel. ``number`` counts from 0."""
    axes.set_title(rf"$\bf{{{chr(ord('a') + number)}}}$  {text}".rstrip(), loc="left")


def column_heads(axes: np.ndarray, heads: Iterable[str]) -> None:
    """Bold heads above the first row of panels, clear of the panel labels."""
    for axis, head in zip(axes[0], heads, strict=True):
        axis.annotate(
            head,
            (0.5, 1),
            (0, 21),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontweight="bold",
        )


def legend_below(figure: Figure, handles: Sequence) -> None:
    """The figure's only legend, outside the panels, where it covers no data: at most three columns, if they fit."""
    longest = max(len(handle.get_label()) for handle in handles)
    fit = int(WIDTH / (0.066 * longest + 0.45))  # inches of a letter, and of the sample beside it
    figure.legend(handles=list(handles), loc="outside lower center", ncols=max(1, min(3, fit, len(handles))))


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two positive limits: as fine as ``most`` of them allow."""
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    found: list[float] = []
    for step in range(max(1, (last - first) // 2), 0, -1):
        decades = [10.0**power for power in range(first, last + 1) if power % step == 0]
        inside = [tick for tick in decades if low <= tick <= high]
        found = inside if len(inside) <= most else found
    for digits in (
        (1, 3),
        (1, 2, 5),
        (1, 1.5, 2, 3, 5, 7),
        (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
    ):
        finer = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
        inside = [tick for tick in finer if low <= tick <= high]
        found = inside if len(inside) <= most else found
    return found


def number(value: float) -> str:
    """A tick label: plain between 0.001 and 9999, a power of ten outside."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.6g}"
    power = int(np.floor(np.log10(abs(value)) + 1e-9))
    digits = f"{value / 10.0**power:.3g}"
    return f"$10^{{{power}}}$" if digits == "1" else rf"${digits}\times10^{{{power}}}$"


def log_axis(axes: Axes, which: str = "y", most: int = 6) -> None:
    """Make an axis logarithmic with a few round tick labels, between its present limits."""
    axis = getattr(axes, f"{which}axis")
    limits = getattr(axes, f"get_{which}lim")
    getattr(axes, f"set_{which}scale")("log")
    axis.set_major_locator(FixedLocator(log_ticks(*limits(), most)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_locator(NullLocator())
