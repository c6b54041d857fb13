"""Diffusion–sorption: solutions and networks side by side, where the errors lie, and whether the solver is right."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from prunebook.errors import InputError
from prunebook.pages.figures.curves import Axis, Curves, finish, rounded
from prunebook.pages.figures.layout import Drawing, grid, log_axis, panel_label
from prunebook.pages.figures.style import INK, SPARE, Look, grey, in_house_style
from prunebook.pages.figures.tables import one_cell

NETWORKS = {"dense": "Dense", "pruned": "Right after pruning", "fine_tuned": "After fine-tuning"}
SCHEMES = {
    "face": Look("#0072b2", "o", (), "Face values (this study)"),
    "ghost": Look("#d55e00", "s", (), "Ghost cells"),
}
ORDERS = {"face": 2, "ghost": 1}
GUIDES = {f"order {order}": Look("#888888", "", dash, f"Order {order}") for order, dash in ((1, (1, 1.5)), (2, (4, 2)))}
_STATES = ("#6a3d9a", "#0b7a75", "#c98a00")  # low, middle and high initial state
_NOISY = {"color": "#555555", "marker": ".", "markersize": 3, "linestyle": "", "label": "Noisy data"}
_CLEAN = {"color": INK, "linewidth": 0.7, "label": "Clean solution"}
_LINES = {"pruned": {"linestyle": (0, (3, 1.5)), "linewidth": 1.3}, "fine_tuned": {"linewidth": 2.0}}


@in_house_style
def profiles(predictions: pd.DataFrame, *, times: Sequence[float | int] = (50, 150, 300, 500)) -> Drawing:
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
    drawn = np.isclose(predictions["t"].to_numpy()[:, None], times).any(axis=1) & predictions["u0"].isin(states)
    figure.numbers = predictions.loc[drawn, ["u0", "t", "x", "noisy", "clean", *_LINES]].sort_values(["t", "u0", "x"])
    return finish(figure, handles)


@in_house_style
def error_map(predictions: pd.DataFrame, networks: Sequence[str] = tuple(NETWORKS)) -> Drawing:
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
    figure.numbers = pd.concat(
        table.reset_index().melt("t", value_name="rms").assign(network=name) for name, table in maps.items()
    )
    return figure


@in_house_style
def solver_error(convergence: pd.DataFrame) -> Drawing:
    """Largest error of both discretisations by grid, with lines of order 1 and 2.

    ``convergence`` has columns ``scheme`` ("face" or "ghost"), ``cells``, ``error``.
    """
    if unknown := set(convergence["scheme"]) - set(SCHEMES):
        raise InputError(f"no scheme {sorted(unknown)} to draw: choose among {sorted(SCHEMES)}")
    found = convergence.assign(curve=convergence["scheme"])
    for scheme, part in convergence.sort_values("cells").groupby("scheme"):
        first = part.iloc[0]
        guide = first["error"] * (first["cells"] / part["cells"]) ** ORDERS[scheme] / 1.6
        found = pd.concat([found, part.assign(curve=f"order {ORDERS[scheme]}", error=guide)])
    rows = found.assign(panel="", x=found["cells"], y=found["error"])
    return Curves(rows, SCHEMES | GUIDES, Axis("Cells", "log"), {"": Axis("Largest error", "log")}, height=2.8).draw()


@in_house_style
def solver_difference(difference: pd.DataFrame) -> Drawing:
    """What the ghost scheme gives beyond the face scheme, along x; columns ``x``, ``t``, ``u_face``, ``u_ghost``."""
    times = sorted(difference["t"].unique())
    looks = {t: replace(look, marker="", label=f"t = {t:g}") for t, look in zip(times, SPARE, strict=False)}
    rows = difference.assign(panel="", curve=difference["t"], y=difference["u_ghost"] - difference["u_face"])
    return Curves(rows, looks, Axis("x"), {"": Axis("u, ghost − face", level=0)}, height=2.4).draw()
