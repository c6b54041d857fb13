"""What the figures of losses are made of: violins, lines of means, levels to compare with, axes that end."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cbook import violin_stats
from matplotlib.lines import Line2D

from prunebook.errors import InputError
from prunebook.pages.figures.layout import log_axis, number
from prunebook.pages.figures.style import INK, look
from prunebook.pages.figures.tables import CELL, mean_of, need, positions

FLOORS = {"noise": "noise floor", "blind_test": "blind to the initial state"}


def spread(axes: Axes, part, method, ticks, shift, width, mean, log) -> None:
    """Violins and the line of means of one method."""
    if part.empty:
        return
    style, points = look(method), []
    for _, group in part.groupby("ratio"):
        x = float(positions([group["reached"].mean()], ticks)[0]) + shift
        points.append((x, mean_of(group["value"], mean)))
        if len(group) >= 3 and np.isfinite(group["value"]).all() and (not log or group["value"].min() > 0):
            # The density is that of the logarithm, as the axis shows it, and ends at the outermost seeds.
            found = violin_stats(np.log(group["value"]) if log else group["value"], points=24)
            if log:
                found[0]["coords"] = np.exp(found[0]["coords"])
            body = axes.violin(found, [x], widths=width, showextrema=False, facecolor=style.colour)["bodies"]
            body[0].set(alpha=0.35, zorder=1.5)
    axes.plot(
        *zip(*points, strict=True), **style.line, zorder=4 if method == "elimination-compensation" else 3
    )


def dense_lines(axes: Axes, cell: pd.DataFrame, stage: str, mean: str) -> dict[str, Line2D]:
    """The dense network before pruning and, beside fine-tuned ones, after as many epochs as they had."""
    wanted = {"trained": ("Dense, before pruning", ())}
    if stage == "fine-tuned":
        wanted["fine-tuned"] = ("Dense, trained on", (5, 2))
    found = {}
    for state, (label, dash) in wanted.items():
        values = cell.loc[(cell["method"] == "dense") & (cell["stage"] == state), "value"]
        if values.empty:
            continue
        style = {"color": INK, "linewidth": 1.1, "linestyle": (0, dash) if dash else "-"}
        axes.axhspan(values.min(), values.max(), color=INK, alpha=0.08, linewidth=0, zorder=1)
        axes.axhline(mean_of(values, mean), label=label, zorder=2, **style)
        found[label] = Line2D([], [], label=label, **style)
    return found


def floor_lines(axes: Axes, floors: pd.DataFrame, cell: pd.DataFrame, names) -> dict[str, Line2D]:
    need(floors, (*CELL, "name", "value"), "floors")
    here = floors.merge(cell[CELL].drop_duplicates(), on=CELL)
    found = {}
    for name, dash in zip(names, ((1, 1.5), (4, 1.5, 1, 1.5), (3, 3)), strict=False):
        values = here.loc[here["name"] == name, "value"]
        if values.empty or not values.mean() > 0:
            continue
        style = {"color": "#b30000", "linewidth": 1.2, "linestyle": (0, dash)}
        label = FLOORS.get(name, name).capitalize()
        axes.axhline(values.mean(), label=label, zorder=2, **style)
        found[label] = Line2D([], [], label=label, **style)
    return found


def end_axis(column: np.ndarray, top: float | int) -> None:
    """End the logarithmic axis of a column of panels at ``top``, and mark on each panel the means that lie above."""
    lines = [np.asarray(line.get_ydata(), dtype=float) for axis in column for line in axis.lines]
    bodies = [
        path.vertices[:, 1] for axis in column for body in axis.collections for path in body.get_paths()
    ]
    drawn = np.concatenate([*lines, *bodies])
    cut = (np.concatenate(lines) > top).any()
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    if not len(drawn):
        raise InputError("no finite positive loss to draw on a logarithmic axis")
    low, high = drawn.min(), min(drawn.max(), top)
    if top <= low:
        raise InputError(
            f"the axis would end at {top:g}, but the lowest loss is {low:.3g}: choose a larger top"
        )
    room = (high / low) ** 0.06 if high > low else 1.5
    limit = high * room ** (3 if cut else 1)  # the strip above a cut is for the note that says so
    for axis in column:
        axis.set_ylim(low / room, limit)
        log_axis(axis)
        _mark_above(axis, limit)


def _mark_above(axes: Axes, top: float | int) -> None:
    """An arrow at the top of the axis for each mean above it, and their number in words."""
    above: list[float] = []
    for line in list(axes.lines):
        x, y = (np.asarray(data, dtype=float) for data in line.get_data())
        if (out := y > top).any() and line.get_marker() not in ("", "None"):
            above.extend(y[out])
            axes.plot(
                x[out],
                np.full(out.sum(), 0.98),
                linestyle="",
                marker=r"$\uparrow$",
                markersize=9,
                color=line.get_color(),
                transform=axes.get_xaxis_transform(),
                clip_on=False,
                label="_above",
            )
    if above:
        highest = (
            f"up to {number(float(f'{max(above):.2g}'))}" if np.isfinite(max(above)) else "not all finite"
        )
        note = f"↑ {len(above)} mean{'s' * (len(above) > 1)} above {number(float(f'{top:.2g}'))}, {highest}"
        ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        axes.text(0.02, 0.93, note, transform=axes.transAxes, va="top", fontsize=8.5, bbox=ground)


def ratio_axis(axes: np.ndarray, ticks: np.ndarray) -> None:
    """The pruning ratios that were asked for, at equal distances, on every panel; named below the last row."""
    for axis in axes.flat:
        axis.set_xticks(range(len(ticks)), [f"{ratio:g}".removeprefix("0") for ratio in ticks])
        axis.set_xlim(-0.6, len(ticks) - 0.4)
        axis.grid(visible=False, axis="x", which="major")
        axis.set_xticks(np.arange(len(ticks) - 1) + 0.5, minor=True)
        axis.tick_params(axis="x", which="minor", length=0)
        axis.grid(visible=True, axis="x", which="minor")
    for axis in axes[-1]:
        axis.set_xlabel("Pruning ratio")
