"""What criteria cost, and how fast what is left is."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebook.pages.figures.ec_parts import ratio_axis
from prunebook.pages.figures.head_to_head import COLUMNS, grid_of_pairs
from prunebook.pages.figures.head_to_head_parts import SHOWN, STAGES, net_name, pair_look
from prunebook.pages.figures.layout import column_heads, grid, legend_below, log_axis, panel_label
from prunebook.pages.figures.style import INK, Look, in_house_style
from prunebook.pages.figures.tables import need, positions

FORMS = {
    ("masked", 1): Look("#999999", "x", (1.2, 1.8), "Masked, one input"),
    ("masked", 256): Look("#4d4d4d", "P", (), "Masked, 256 inputs"),
    ("sparse rows", 1): Look("#3fa5dd", "o", (1.2, 1.8), "Sparse rows, one input"),
    ("sparse rows", 256): Look("#332288", "s", (), "Sparse rows, 256 inputs"),
    ("removed", 1): Look("#d55e00", "^", (1.2, 1.8), "Units removed, one input"),
    ("removed", 256): Look("#882255", "D", (), "Units removed, 256 inputs"),
}


def prices(losses: pd.DataFrame, cost: pd.DataFrame, at: Mapping[str, float]) -> pd.DataFrame:
    """Seconds of ranking and compensation together beside ``relative``, means over seeds, at one ratio a network."""
    means = grid_of_pairs(losses, at)
    seconds = cost.groupby(["net", "part", "name"])["seconds"].mean()

    def price(row) -> float:
        # A drawn coreset costs what its sensitivities cost: the drawing itself is quick beside them.
        ranking = "sensitivity" if row.ranking == "coreset-drawn" else row.ranking
        parts = [(row.net, "ranking", ranking), (row.net, "compensation", row.compensation)]
        return sum(seconds.get(part, np.nan) for part in parts)

    table = means.assign(seconds=[price(row) for row in means.itertuples()])
    return table[table["seconds"].notna()].reset_index(drop=True)


@in_house_style
def cost_against_loss(losses: pd.DataFrame, cost: pd.DataFrame, at: Mapping[str, float]) -> Figure:
    """A point a pair: seconds of its criterion against its loss over the dense network's, a column of panels a network.

    Pairs with a look of their own in the figures by ratio keep it; all others are small grey dots.
    """
    need(losses, COLUMNS, "losses")
    need(cost, ("net", "part", "name", "seconds"), "cost")
    points = prices(losses, cost, at)
    nets = [net for net in at if (points["net"] == net).any()]
    figure, axes = grid(2, len(nets), 2.6, sharex="col")
    column_heads(axes, map(net_name, nets))
    handles: dict[str, Line2D] = {}
    for (row, side), axis in np.ndenumerate(axes):
        panel_label(axis, row * len(nets) + side)
        part = points[(points["net"] == nets[side]) & (points["stage"] == list(STAGES)[row])]
        for point in part.itertuples():
            known = point.kind == "units" or (point.ranking, point.compensation) in SHOWN
            style = pair_look(point.ranking, point.compensation, point.kind)
            look = (
                style.points if known else style.points | {"color": "#999999", "marker": ".", "markersize": 4}
            )
            hollow = {"markerfacecolor": "none", "markeredgecolor": style.colour}
            zeros = point.kind == "units" and point.compensation == "none"
            axis.plot([max(point.seconds, 1e-4)], [point.relative], **(look | hollow if zeros else look))
            if known:
                handles[style.label] = Line2D([], [], **(look | hollow if zeros else look))
        log_axis(axis, "x", 5)
        log_axis(axis, "y", 5)
        if row == 1:
            axis.set_xlabel("Seconds of one thread")
    for axis, head in zip(axes[:, 0], STAGES.values(), strict=True):
        axis.set_ylabel(f"{head}\nloss / dense loss")
    legend_below(figure, list(handles.values()))
    return figure


def speeds(latency: pd.DataFrame) -> pd.DataFrame:
    """Time and bytes of each form over the dense network's: medians over seeds, by network, ratio, form and batch."""
    keys = ["net", "seed", "ratio", "batch"]
    dense = latency[latency["form"] == "dense"][[*keys, "milliseconds", "bytes"]]
    both = latency[latency["form"] != "dense"].merge(dense, on=keys, suffixes=("", "_dense"))
    both["time"] = both["milliseconds"] / both["milliseconds_dense"]
    both["size"] = both["bytes"] / both["bytes_dense"]
    columns = ["milliseconds_dense", "milliseconds", "time", "size"]
    return both.groupby(["net", "ratio", "form", "batch"], sort=False)[columns].median().reset_index()


@in_house_style
def time_of_a_pass(latency: pd.DataFrame) -> Figure:
    """Time of a forward pass over that of the dense network against ratio, a panel a network. Below 1 it is faster."""
    need(latency, ("net", "seed", "ratio", "form", "batch", "milliseconds", "bytes"), "latency")
    table = speeds(latency)
    nets = list(dict.fromkeys(table["net"]))
    figure, axes = grid(1, len(nets), 2.7)
    handles: dict[str, Line2D] = {}
    for place, (axis, net) in enumerate(zip(axes[0], nets, strict=True)):
        panel_label(axis, place, net_name(net))
        mine = table[table["net"] == net]
        ticks = np.sort(mine["ratio"].unique())
        axis.axhline(1, color=INK, linewidth=1.1)
        for (form, batch), part in mine.groupby(["form", "batch"], sort=False):
            style = FORMS[form, batch]
            axis.plot(positions(part["ratio"].to_numpy(), ticks), part["time"], **style.line)
            handles[style.label] = Line2D([], [], **style.line)
        log_axis(axis, "y", 6)
        ratio_axis(np.array([[axis]]), ticks)
        if "removed" in set(mine["form"]):
            axis.set_xlabel("Share of units pruned")
    axes[0, 0].set_ylabel("Time / time of dense")
    legend_below(figure, list(handles.values()))
    return figure
