"""What criteria cost, and how fast what is left is."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebook.pages.figures.head_to_head import grid_of_pairs
from prunebook.pages.figures.head_to_head_parts import SHOWN, pair_look
from prunebook.pages.figures.layout import column_heads, grid, log_axis, panel_label, ratio_axis
from prunebook.pages.figures.lines import finish
from prunebook.pages.figures.style import INK, Look, handle, in_house_style
from prunebook.pages.vocabulary import STAGES, net_name

FORMS = {
    ("masked", 1): Look("#999999", ">", (1.2, 1.8), "Masked, one input"),
    ("masked", 256): Look("#4d4d4d", "P", (), "Masked, 256 inputs"),
    ("sparse rows", 1): Look("#3fa5dd", "o", (1.2, 1.8), "Sparse rows, one input"),
    ("sparse rows", 256): Look("#332288", "s", (), "Sparse rows, 256 inputs"),
    ("removed", 1): Look("#d55e00", "^", (1.2, 1.8), "Units removed, one input"),
    ("removed", 256): Look("#882255", "D", (), "Units removed, 256 inputs"),
}


def price_of(cost: pd.DataFrame) -> Callable[[str, str, str], float]:
    """Seconds, means over seeds, of a network's ranking and compensation together; NaN where one was not timed."""
    seconds = cost.groupby(["net", "part", "name"])["seconds"].mean()

    def price(net: str, ranking: str, compensation: str) -> float:
        # A drawn coreset costs what its sensitivities cost: the drawing itself is quick beside them.
        ranking = "sensitivity" if ranking == "coreset-drawn" else ranking
        parts = [(net, "ranking", ranking), (net, "compensation", compensation)]
        return float(sum(seconds.get(part, np.nan) for part in parts))

    return price


def prices(losses: pd.DataFrame, cost: pd.DataFrame, at: Mapping[str, float]) -> pd.DataFrame:
    """Seconds of ranking and compensation together beside ``relative``, means over seeds, at one ratio a network."""
    means, price = grid_of_pairs(losses, at), price_of(cost)
    means["seconds"] = [price(row.net, row.ranking, row.compensation) for row in means.itertuples()]
    return means[means["seconds"].notna()].reset_index(drop=True)


@in_house_style
def cost_against_loss(losses: pd.DataFrame, cost: pd.DataFrame, at: Mapping[str, float]) -> Figure:
    """A point a pair: seconds of its criterion against its loss over the dense network's, a column of panels a network.

    Pairs with a look of their own in the figures by ratio keep it; all others are small grey dots.
    """
    points = prices(losses, cost, at)
    points["seconds"] = points["seconds"].clip(lower=1e-4)
    nets = [net for net in at if (points["net"] == net).any()]
    figure, axes = grid(2, len(nets), 2.6, sharex="col")
    column_heads(axes, map(net_name, nets))
    handles: dict[str, Line2D] = {}
    for (row, side), axis in np.ndenumerate(axes):
        panel_label(axis, row * len(nets) + side)
        part = points[(points["net"] == nets[side]) & (points["stage"] == list(STAGES)[row])]
        known = [p.kind == "units" or (p.ranking, p.compensation) in SHOWN for p in part.itertuples()]
        rest = part[~np.array(known, dtype=bool)]
        sns.scatterplot(rest, x="seconds", y="relative", color="#999999", s=8, linewidth=0, ax=axis)
        for point in part[known].itertuples():
            look = pair_look(point.ranking, point.compensation, point.kind)
            zeros = point.kind == "units" and point.compensation == "none"
            style = look.hollow if zeros else look.points
            axis.plot([point.seconds], [point.relative], **style)
            handles[look.label] = Line2D([], [], **style)
        log_axis(axis, "x", 5), log_axis(axis, "y", 5)
        axis.set(xlabel="Seconds of one thread" if row == 1 else "", ylabel="")
    for axis, head in zip(axes[:, 0], STAGES.values(), strict=True):
        axis.set_ylabel(f"{head}\nloss / dense loss")
    return finish(figure, handles.values())


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
    table = speeds(latency)
    nets = list(dict.fromkeys(table["net"]))
    figure, axes = grid(1, len(nets), 2.7, sharey=True)
    forms = [form for form in FORMS if form in set(zip(table["form"], table["batch"], strict=True))]
    for place, (axis, net) in enumerate(zip(axes[0], nets, strict=True)):
        panel_label(axis, place, net_name(net))
        mine = table[table["net"] == net]
        axis.axhline(1, color=INK, linewidth=1.1)
        for form, batch in forms:
            part = mine[(mine["form"] == form) & (mine["batch"] == batch)]
            sns.lineplot(part, x="ratio", y="time", ax=axis, errorbar=None, **FORMS[form, batch].line)
        units = "removed" in set(mine["form"])
        ratio_axis([axis], mine["ratio"], "Share of units pruned" if units else "Pruning ratio")
        axis.set_ylabel("Time / time of dense")
        axis.get_legend().remove()
    log_axis(axes[0, 0], "y", 6)
    return finish(figure, [handle(FORMS[form]) for form in forms])
