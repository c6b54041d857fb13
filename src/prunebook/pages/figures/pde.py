"""Diffusion–sorption: solutions and networks side by side, where the errors lie, and whether the solver is right."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from prunebook.errors import InputError
from prunebook.pages.figures.layout import grid, log_axis, panel_label
from prunebook.pages.figures.lines import finish, rounded
from prunebook.pages.figures.style import INK, Look, grey, handle, in_house_style
from prunebook.pages.figures.tables import one_cell
from prunebook.pages.numbers import tick

NETWORKS = {"dense": "Dense", "pruned": "Right after pruning", "fine_tuned": "After fine-tuning"}
SCHEMES = {
    "face": Look("#0072b2", "o", (), "Face values (this study)"),
    "ghost": Look("#d55e00", "s", (), "Ghost cells"),
}
ORDERS = {"face": 2, "ghost": 1}
_STATES = ("#6a3d9a", "#0b7a75", "#c98a00")  # low, middle and high initial state
_NOISY = {"color": "#555555", "marker": ".", "markersize": 3, "linestyle": "", "label": "Noisy data"}
_CLEAN = {"color": INK, "linewidth": 0.7, "label": "Clean solution"}
_LINES = {"pruned": {"linestyle": (0, (3, 1.5)), "linewidth": 1.3}, "fine_tuned": {"linewidth": 2.0}}


@in_house_style
def profiles(predictions: pd.DataFrame, *, times: Sequence[float | int] = (50, 150, 300, 500)) -> Figure:
    """Profiles in space at several times of the lowest, middle and highest initial state, and what the network misses.

    The first row shows the solution, the other two the error against the clean solution, right after pruning and
    after fine-tuning, with a band as wide as the noise.

    Args:
        predictions: the study's table ``predictions`` for one network and seed.
        times: each a column of panels; must be among the times of the table.
    """
    one_cell(predictions, "predictions")
    there = np.sort(predictions["u0"].unique())
    states = list(dict.fromkeys(there[[0, len(there) // 2, -1]]))
    half_width = float(predictions["noise"].iloc[0]) if "noise" in predictions else 0.0
    shared = {"sharex": True, "sharey": "row", "gridspec_kw": {"height_ratios": (1.7, 1, 1)}}
    figure, axes = grid(3, len(times), 1.75, **shared)
    for column, time in enumerate(times):
        now = predictions[np.isclose(predictions["t"], time)]
        if now.empty:
            there = ", ".join(f"{t:g}" for t in sorted(predictions["t"].unique()))
            raise InputError(f"the table predictions has no time {time:g}: choose among {there}")
        panel_label(axes[0, column], column, f"t = {time:g}")
        for state, colour in zip(states, _STATES, strict=False):
            part = now[now["u0"] == state].sort_values("x")
            axes[0, column].plot(part["x"], part["noisy"], **_NOISY, zorder=2)
            axes[0, column].plot(part["x"], part["clean"], **_CLEAN, zorder=4)
            for axis, name in zip(axes[1:, column], _LINES, strict=True):
                axes[0, column].plot(part["x"], part[name], color=colour, **_LINES[name], zorder=3)
                axis.plot(part["x"], part[name] - part["clean"], color=colour, **_LINES[name], zorder=3)
        for axis in axes[1:, column]:
            axis.axhspan(-half_width, half_width, color=INK, alpha=0.12, linewidth=0)
            axis.axhline(0, color=INK, linewidth=0.8)
        axes[2, column].set(xlabel="x", xlim=(0, 1), xticks=(0, 0.5, 1), xticklabels=("0", "½", "1"))
    for axis, name in zip(axes[:, 0], ("u", "error,\npruned", "error,\nfine-tuned"), strict=True):
        axis.set_ylabel(name)
    figure.align_ylabels()
    coloured = zip(states, _STATES, strict=False)
    handles = [grey(f"$u_0$ = {u0:.3f}", color=colour) for u0, colour in coloured]
    handles += [grey(NETWORKS[name], **_LINES[name]) for name in _LINES]
    handles += [Line2D([], [], **_NOISY), Line2D([], [], **_CLEAN)]
    if half_width:
        handles.append(Patch(color=INK, alpha=0.12, linewidth=0, label=f"Noise, ±{half_width:g}"))
    return finish(figure, handles)


@in_house_style
def error_map(predictions: pd.DataFrame, networks: Sequence[str] = tuple(NETWORKS)) -> Figure:
    """Root mean square error against the clean solution at each point of space and time, over test trajectories.

    One colour scale for all panels; the number in a panel's title is the error over the whole map.

    Args:
        predictions: the study's table ``predictions`` for one network and seed.
        networks: columns of the table, a panel each.
    """
    one_cell(predictions, "predictions")
    squares = predictions[[*networks]].sub(predictions["clean"], axis=0).astype(float) ** 2
    squares = squares.join(predictions[["t", "x"]])
    maps = {name: squares.pivot_table(index="t", columns="x", values=name) ** 0.5 for name in networks}
    high = max(table.to_numpy().max() for table in maps.values())
    if not (np.isfinite(high) and high > 0):
        raise InputError(f"the largest error in the table predictions is {high}: no logarithmic scale shows it")
    least = min(table.to_numpy().min() for table in maps.values())
    low = max(least, high / 1e3)
    figure, axes = grid(1, len(networks), 2.5, sharex=True, sharey=True)
    for column, (name, table) in enumerate(maps.items()):
        axis = axes[0, column]
        drawn = {"norm": LogNorm(low, high), "shading": "nearest", "rasterized": True}
        mesh = axis.pcolormesh(table.columns, table.index, table, **drawn)
        total = float(np.sqrt(squares[name].mean()))
        panel_label(axis, column, f"{NETWORKS.get(name, name)}\nrms {rounded(total)}")
        axis.grid(visible=False)
        axis.set(xlabel="x", xticks=(0, 0.5, 1), xticklabels=("0", "½", "1"))
    axes[0, 0].set_ylabel("t")
    style = {"location": "bottom", "aspect": 40, "shrink": 0.7, "label": "rms error"}
    ends = "min" if least < low else "neither"
    log_axis(figure.colorbar(mesh, ax=list(axes[0]), extend=ends, **style).ax, "x")
    return figure


@in_house_style
def solver_check(convergence: pd.DataFrame, difference: pd.DataFrame) -> Figure:
    """Error of both discretisations by grid, with lines of order 1 and 2, and their difference along x.

    Args:
        convergence: columns ``scheme`` ("face" or "ghost"), ``cells``, ``error``.
        difference: columns ``x``, ``t``, ``u_face``, ``u_ghost``; a line for each time.
    """
    if unknown := set(convergence["scheme"]) - set(SCHEMES):
        raise InputError(f"no scheme {sorted(unknown)} to draw: choose among {sorted(SCHEMES)}")
    figure, ((left, right),) = grid(1, 2, 3.0)
    shown = [scheme for scheme in SCHEMES if scheme in set(convergence["scheme"])]
    for scheme in shown:
        part = convergence[convergence["scheme"] == scheme].sort_values("cells")
        sns.lineplot(part, x="cells", y="error", ax=left, legend=False, **SCHEMES[scheme].line)
        guide = part["error"].iloc[0] * (part["cells"].iloc[0] / part["cells"]) ** ORDERS[scheme] / 1.6
        left.plot(part["cells"], guide, color="#888888", linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
        middle = (part["cells"].iloc[len(part) // 2], guide.iloc[len(part) // 2])
        words = {"textcoords": "offset points", "ha": "right", "va": "top"}
        left.annotate(f"order {ORDERS[scheme]}", middle, (-5, -3), **words)
    log_axis(left, "x"), log_axis(left, "y")
    sizes = sorted(convergence["cells"].unique())
    left.set_xticks(sizes, [f"{count:,}" for count in sizes], rotation=30)
    left.set(xlabel="Cells", ylabel="Largest error")
    panel_label(left, 0, "Error by grid")
    difference = difference.assign(gap=difference["u_ghost"] - difference["u_face"])
    times = sorted(difference["t"].unique())
    shades = dict(zip(times, colormaps["viridis"](np.linspace(0.1, 0.8, len(times))), strict=True))
    lines = {"hue": "t", "palette": shades, "estimator": None, "legend": False}
    sns.lineplot(difference, x="x", y="gap", ax=right, **lines)
    right.axhline(0, color=INK, linewidth=0.8)
    right.yaxis.set_major_locator(MaxNLocator(6))
    largest = difference["gap"].abs().max()
    power = int(np.floor(np.log10(largest))) if largest > 0 else 0
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(float(f"{value / 10.0**power:.3g}"))))
    right.set(xlabel="x", ylabel=rf"u, ghost − face  ($\times\,10^{{{power}}}$)")
    right.legend(handles=[Line2D([], [], color=shades[t], label=f"t = {t:g}") for t in times], loc="best")
    panel_label(right, 1, "Difference of the solutions")
    return finish(figure, [handle(SCHEMES[scheme]) for scheme in shown])
