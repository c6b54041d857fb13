"""The head-to-head: losses by ratio, and every ranking with every compensation.

Lines are geometric means over seeds, or plain ones of an accuracy; bands reach from the lowest to the highest seed.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebook.errors import InputError
from prunebook.evidence.statistics.head_to_head import CONTROLS
from prunebook.pages.figures.head_to_head_parts import SHOWN, pair_look
from prunebook.pages.figures.layout import column_heads, grid, log_axis, panel_label, ratio_axis
from prunebook.pages.figures.lines import dense_levels, end_axis, finish, mean_line
from prunebook.pages.figures.style import INK, Look, handle, in_house_style
from prunebook.pages.figures.tables import relative_to_dense
from prunebook.pages.numbers import decimals
from prunebook.pages.vocabulary import COMPENSATIONS, STAGES, compensation_name, net_name, ranking_name
from prunebook.tables import chosen

TOP = 1e4  # axes of losses end at this many times the loss of the dense network
NARROW = 1.3  # losses within this factor are drawn on a linear axis, where there are ticks
BEST = Look(INK, "", (1.2, 1.8), "Best of all pairs")


def one_net(table: pd.DataFrame, net: str, name: str = "losses") -> pd.DataFrame:
    """The rows of one network. Raises InputError where there are none."""
    rows = table[table["net"] == net]
    if rows.empty:
        there = ", ".join(table["net"].unique())
        raise InputError(f"the table {name} has no network {net!r}: it has {there}")
    return rows


@in_house_style
def pairs_by_ratio(losses: pd.DataFrame, net: str, *, column: str = "loss") -> Figure:
    """Right after pruning and after fine-tuning: the pairs that people use, the controls, and the lowest of all."""
    rows, percent = one_net(losses, net), column == "accuracy"
    if rows[column].isna().all():
        raise InputError(f"the table losses has no values of {column} for {net}")
    # A network without a finite loss exploded: it has its place above the axis.
    rows = rows.assign(value=100 * rows[column] if percent else rows[column].fillna(np.inf))
    dense, pruned = rows[rows["ranking"] == "dense"], rows[rows["ranking"] != "dense"]
    kind, mean = rows["kind"].iloc[0], "arithmetic" if percent else "geometric"
    top = np.inf if percent else TOP * dense["value"].max()
    figure, axes = grid(1, 2, 3.4)
    handles: dict[str, Line2D] = {}
    for place, (axis, (stage, head)) in enumerate(zip(axes[0], STAGES.items(), strict=True)):
        panel_label(axis, place, head)
        here, drawn = pruned[pruned["stage"] == stage], []
        groups = dict(list(here.groupby(["ranking", "compensation"], sort=False)))
        for pair in groups if kind == "units" else [pair for pair in SHOWN if pair in groups]:
            style = pair_look(*pair, kind)
            drawn.append(mean_line(axis, groups[pair], "ratio", "value", style, mean=mean, top=top))
            handles[style.label] = handle(style)
        best = here[~here["ranking"].isin(CONTROLS)].groupby(["seed", "ratio"], as_index=False)["value"]
        best = best.max() if percent else best.min()
        drawn.append(mean_line(axis, best, "ratio", "value", BEST, mean=mean, top=top, bands=()))
        handles[BEST.label] = handle(BEST)
        handles |= dense_levels(axis, dense, stage, mean)
        means = pd.concat(drawn)["mean"]
        if not percent and means.max() > NARROW * dense["value"].min():
            end_axis([axis], [pd.concat(drawn)], top)
    axes[0, 0].set_ylabel("Test accuracy (%)" if percent else "Test loss")
    ratio_axis(axes.flat, pruned["ratio"], "Share of units pruned" if kind == "units" else "Pruning ratio")
    return finish(figure, handles.values(), rows, arrows=False)


def grid_of_pairs(losses: pd.DataFrame, at: Mapping[str, float]) -> pd.DataFrame:
    """Geometric means over seeds of ``relative``: a row a network, stage and pair, at one ratio a network."""
    rows = relative_to_dense(losses, by="ranking", cell=["net"])
    rows = rows[~rows["ranking"].isin(CONTROLS) & rows["stage"].isin(list(STAGES))]
    rows = pd.concat([chosen(one_net(rows, net), {"ratio": float(ratio)}) for net, ratio in at.items()])
    if rows.empty:
        raise InputError(f"no pair was measured at {dict(at)}")
    keys = ["net", "kind", "ratio", "stage", "ranking", "compensation"]
    logs = np.log(rows["relative"]).groupby([rows[key] for key in keys], sort=False)
    return np.exp(logs.mean()).reset_index()


@in_house_style
def rankings_by_compensations(losses: pd.DataFrame, at: Mapping[str, float]) -> Figure:
    """Loss over the dense network's for every ranking (rows) with every compensation (columns), at one ratio a network.

    The colour tells how many times the lowest loss of its panel a pair has, on one scale for all. White cells were not
    measured.
    """
    means = grid_of_pairs(losses, at)
    means = means[means["ranking"] != "coreset-drawn"]
    nets = [net for net in at if (means["net"] == net).any()]
    means["behind"] = means["relative"] / means.groupby(["net", "stage"])["relative"].transform("min")
    norm = LogNorm(1, max(means["behind"].where(np.isfinite(means["behind"])).max(), 1.01))
    figure, axes = grid(len(nets), 2, 3.1)
    column_heads(axes, STAGES.values())
    for (row, side), axis in np.ndenumerate(axes):
        net, stage = nets[row], list(STAGES)[side]
        panel_label(axis, 2 * row + side, f"{net_name(net)}, {at[net]:g} pruned")
        _heat_map(axis, means[(means["net"] == net) & (means["stage"] == stage)], norm, named=side == 0)
    style = {"location": "bottom", "aspect": 50, "shrink": 0.7, "label": "Times the lowest loss of the panel"}
    log_axis(figure.colorbar(axes[0, 0].collections[0], ax=list(axes.flat), **style).ax, "x")
    return figure


def _heat_map(axis: Axes, means: pd.DataFrame, norm: LogNorm, named: bool) -> None:
    kind, there = means["kind"].iloc[0], list(dict.fromkeys(means["compensation"]))
    columns = [c for c in COMPENSATIONS if c in there] + [c for c in there if c not in COMPENSATIONS]
    by = {"index": "ranking", "columns": "compensation", "sort": False}
    table = means.pivot_table(values="behind", **by)[columns]
    texts = means.pivot_table(values="relative", **by)[columns].map(decimals, markup="tex")
    style = {"cmap": "viridis", "norm": norm, "cbar": False, "annot_kws": {"fontsize": 8.5}}
    sns.heatmap(table, annot=texts, fmt="", ax=axis, **style)
    axis.grid(visible=False)
    names = [compensation_name(c, kind).replace(" ", "\n") for c in columns]
    axis.set_xticks(axis.get_xticks(), names, rotation=0, fontsize=8.5)
    axis.set_yticks(axis.get_yticks(), [ranking_name(r) if named else "" for r in table.index], rotation=0)
    axis.set(xlabel="", ylabel="")
    axis.tick_params(length=0)
