"""The head-to-head: losses by ratio, and every ranking with every compensation.

Lines are geometric means over seeds, or plain ones of an accuracy; bands reach from the lowest to the highest seed.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebook.errors import InputError
from prunebook.pages.figures.ec_parts import end_axis, ratio_axis
from prunebook.pages.figures.head_to_head_parts import (
    COMPENSATIONS,
    CONTROLS,
    SHOWN,
    STAGES,
    compensation_name,
    net_name,
    pair_look,
    ranking_name,
)
from prunebook.pages.figures.layout import column_heads, grid, legend_below, number, panel_label
from prunebook.pages.figures.style import INK, Look, in_house_style
from prunebook.pages.figures.tables import mean_of, need, positions

COLUMNS = ("net", "kind", "seed", "ranking", "compensation", "ratio", "stage", "loss")
TOP = 1e4  # axes of losses end at this many times the loss of the dense network
NARROW = 1.3  # losses within this factor are drawn on a linear axis, where there are ticks
BEST = Look(INK, "", (1.2, 1.8), "Best of all pairs")


def one_net(table: pd.DataFrame, net: str, name: str = "losses") -> pd.DataFrame:
    """The rows of one network. Raises InputError where there are none."""
    rows = table[table["net"] == net]
    if rows.empty:
        raise InputError(
            f"the table {name} has no network {net!r}: it has {', '.join(table['net'].unique())}"
        )
    return rows


@in_house_style
def pairs_by_ratio(losses: pd.DataFrame, net: str, *, column: str = "loss") -> Figure:
    """Right after pruning and after fine-tuning: the pairs that people use, the controls, and the lowest of all."""
    need(losses, (*COLUMNS, column), "losses")
    rows, percent = one_net(losses, net), column == "accuracy"
    if rows[column].isna().all():
        raise InputError(f"the table losses has no values of {column} for {net}")
    rows = rows.assign(value=rows[column] * (100 if percent else 1))
    kind, mean = rows["kind"].iloc[0], "arithmetic" if percent else "geometric"
    pruned = rows[~rows["ranking"].isin(["dense"])]
    ticks = np.sort(pruned["ratio"].unique())
    figure, axes = grid(1, 2, 3.4)
    handles: dict[str, Line2D] = {}
    for place, (axis, (stage, head)) in enumerate(zip(axes[0], STAGES.items(), strict=True)):
        panel_label(axis, place, head)
        here = pruned[pruned["stage"] == stage]
        for pair in _shown(here, kind):
            part = here[(here["ranking"] == pair[0]) & (here["compensation"] == pair[1])]
            style = pair_look(*pair, kind)
            _line(axis, part, ticks, style, mean)
            handles[style.label] = Line2D([], [], **style.line)
        best = here[~here["ranking"].isin(CONTROLS)].groupby(["seed", "ratio"])["value"]
        best = (best.max() if percent else best.min()).reset_index()
        _line(axis, best, ticks, BEST, mean, band=False)
        handles[BEST.label] = Line2D([], [], **BEST.line)
        handles |= _dense(axis, rows, stage, mean)
        losses_drawn = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axis.lines])
        if not percent and losses_drawn.max() > NARROW * losses_drawn.min():
            end_axis(axes[:, place], TOP * rows.loc[rows["ranking"] == "dense", "value"].max())
    axes[0, 0].set_ylabel("Test accuracy (%)" if percent else "Test loss")
    ratio_axis(axes, ticks)
    if kind == "units":
        for axis in axes[0]:
            axis.set_xlabel("Share of units pruned")
    legend_below(figure, list(handles.values()))
    return figure


def _shown(rows: pd.DataFrame, kind: str) -> list[tuple[str, str]]:
    there = list(dict.fromkeys(zip(rows["ranking"], rows["compensation"], strict=True)))
    return there if kind == "units" else [pair for pair in SHOWN if pair in there]


def _line(axis: Axes, part: pd.DataFrame, ticks, style: Look, mean: str, band: bool = True) -> None:
    groups = part.groupby("ratio")["value"]
    x = positions(list(groups.groups), ticks)
    axis.plot(x, [mean_of(values, mean) for _, values in groups], **style.line)
    if band and (groups.size() > 1).any():
        axis.fill_between(x, groups.min(), groups.max(), color=style.colour, alpha=0.12, linewidth=0)


def _dense(axis: Axes, rows: pd.DataFrame, stage: str, mean: str) -> dict[str, Line2D]:
    states = {"trained": ("Dense, before pruning", "-")}
    if stage == "fine-tuned":
        states["fine-tuned"] = ("Dense, trained on", (0, (5, 2)))
    found = {}
    for state, (label, dash) in states.items():
        values = rows.loc[(rows["ranking"] == "dense") & (rows["stage"] == state), "value"]
        axis.axhline(mean_of(values, mean), color=INK, linewidth=1.1, linestyle=dash, zorder=2)
        found[label] = Line2D([], [], color=INK, linewidth=1.1, linestyle=dash, label=label)
    return found


def relative(losses: pd.DataFrame) -> pd.DataFrame:
    """Adds ``relative``: each loss over that of the same seed's dense network before pruning."""
    dense = losses[(losses["ranking"] == "dense") & (losses["stage"] == "trained")]
    joined = losses.merge(
        dense[["net", "seed", "loss"]].rename(columns={"loss": "before"}), on=["net", "seed"], validate="m:1"
    )
    return joined.assign(relative=joined["loss"] / joined["before"])


def grid_of_pairs(losses: pd.DataFrame, at: Mapping[str, float]) -> pd.DataFrame:
    """Geometric means over seeds of ``relative``: a row a network, stage and pair, at one ratio a network."""
    rows = relative(losses)
    rows = rows[~rows["ranking"].isin(CONTROLS) & rows["stage"].isin(list(STAGES))]
    rows = pd.concat(
        [one_net(rows, net)[lambda r, a=ratio: np.isclose(r["ratio"], a)] for net, ratio in at.items()]
    )
    if rows.empty:
        raise InputError(f"no pair was measured at {dict(at)}")
    keys = ["net", "kind", "ratio", "stage", "ranking", "compensation"]
    logs = np.log(rows["relative"]).groupby([rows[key] for key in keys], sort=False)
    return np.exp(logs.mean()).reset_index()


@in_house_style
def rankings_by_compensations(losses: pd.DataFrame, at: Mapping[str, float]) -> Figure:
    """Loss over the dense network's for every ranking (rows) with every compensation (columns), at one ratio a network.

    Dark is low. White cells were not measured.
    """
    need(losses, COLUMNS, "losses")
    means = grid_of_pairs(losses, at)
    nets = [net for net in at if (means["net"] == net).any()]
    figure, axes = grid(len(nets), 2, 3.1)
    column_heads(axes, STAGES.values())
    for row, net in enumerate(nets):
        mine = means[means["net"] == net]
        for side, stage in enumerate(STAGES):
            panel_label(axes[row, side], 2 * row + side, f"{net_name(net)}, {at[net]:g} pruned")
            _cells(axes[row, side], mine, stage, names=side == 0)
    return figure


def _cells(axis: Axes, means: pd.DataFrame, stage: str, names: bool) -> None:
    kind = means["kind"].iloc[0]
    rankings = [name for name in dict.fromkeys(means["ranking"]) if name != "coreset-drawn"]
    there = list(dict.fromkeys(means["compensation"]))
    compensations = [c for c in COMPENSATIONS if c in there] + [c for c in there if c not in COMPENSATIONS]
    here = means[means["stage"] == stage].set_index(["ranking", "compensation"])["relative"]
    values = np.array([[here.get((r, c), np.nan) for c in compensations] for r in rankings])
    finite = values[np.isfinite(values)]
    norm = LogNorm(finite.min(), max(finite.max(), 1.01 * finite.min()))
    axis.imshow(np.ma.masked_invalid(values), cmap="viridis", norm=norm, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            light = norm(value) > 0.55  # viridis ends in yellow
            text = (
                f"{value:.2f}"
                if value < 10
                else f"{value:.0f}"
                if value < 1e4
                else number(float(f"{value:.1g}"))
            )
            axis.text(j, i, text, ha="center", va="center", fontsize=8, color=INK if light else "white")
    axis.set_xticks(
        range(len(compensations)), [compensation_name(c, kind) for c in compensations], fontsize=8
    )
    axis.set_yticks(range(len(rankings)), [ranking_name(r) if names else "" for r in rankings])
    axis.grid(visible=False)
    axis.tick_params(length=0)
