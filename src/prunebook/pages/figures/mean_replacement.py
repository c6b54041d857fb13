"""Pruned units replaced by zero or by their mean, along training: penalties and gains.

Lines, bands, networks and ``until`` as in ``prunebook.pages.figures.mr_parts``.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from prunebook.pages.figures import mr_parts as parts
from prunebook.pages.figures.layout import panel_label, share_axis, wrapped
from prunebook.pages.figures.lines import mean_line, over_seeds, t_bands
from prunebook.pages.figures.style import DOTS, GREY, INK, LOOKS, Look, grey, in_house_style
from prunebook.pages.numbers import number

KINDS = [grey("Mean replacement", marker="o"), grey("Zero", **parts.DASHED)]


@in_house_style
def penalties_through_training(
    penalties: pd.DataFrame,
    network: pd.DataFrame,
    *,
    net: str,
    layer_set: str = "all",
    amount: float | int = 0.1,
    until: int | None = parts.PAPER_END,
) -> Figure:
    """Penalties along training, with means (solid) and zeros (dashed), a panel a score, and the network itself.

    Last: loss and accuracy of the unpruned network on the subset that scores and penalties are taken on, and on a
    test subset.
    """
    rows = parts.choose(penalties, "penalties", net=net, until=until, set=layer_set, amount=float(amount))
    own = parts.choose(network, "network", net=net, until=until)
    shown = parts.scores_in(rows)
    figure, panels = wrapped(len(shown) + 2, 2.0, sharex=True)
    for place, (axis, score) in enumerate(zip(panels, shown, strict=False)):
        mine = rows[rows["score"] == score]
        both = (mine[mine["replacement"] == kind] for kind in ("mean", "zero"))
        parts.two_lines(axis, *both, "penalty", score)
        axis.set_ylabel("" if place % 3 else "Penalty")
        panel_label(axis, place, score)
    subsets = {"": ("Scoring subset", "-"), "test_": ("Test subset", DOTS)}
    for place, column in enumerate(("loss", "accuracy"), start=len(shown)):
        for prefix, (label, dash) in subsets.items():
            line = {"linestyle": dash, "linewidth": 1.5}
            look = Look(INK, "", (), label)
            mean_line(panels[place], own, "step", prefix + column, look, bands=t_bands(own), **line)
        panel_label(panels[place], place, f"Unpruned, {column}")
    panels[-2].set_ylim(bottom=min(0, panels[-2].get_ylim()[0]))
    share_axis(panels[-1:])
    parts.step_axis(panels)
    unpruned = [grey(label, color=INK, linestyle=dash, linewidth=1.5) for label, dash in subsets.values()]
    return parts.finish(figure, [*KINDS, *unpruned], rows)  # fmt: skip


@in_house_style
def train_against_test(
    penalties: pd.DataFrame,
    *,
    net: str | None = None,
    amount: float | int = 0.1,
    layer_set: str = "all",
    until: int | None = parts.PAPER_END,
) -> Figure:
    """Penalty with zeros minus that with means, on the subset that the means are taken on and on a test subset."""
    rows = parts.choose(penalties, "penalties", net=net, until=until, set=layer_set, amount=float(amount))
    gains = [parts.paired(rows, column) for column in ("penalty", "test_penalty")]
    shown = parts.scores_in(rows)
    figure, panels = wrapped(len(shown), 2.0, sharex=True)
    for place, (axis, score) in enumerate(zip(panels, shown, strict=True)):
        parts.two_lines(axis, *(gain[gain["score"] == score] for gain in gains), "gain", score)
        axis.set_ylabel("" if place % 3 else "Zeros minus means")
        panel_label(axis, place, score)
    parts.step_axis(panels)
    kinds = [grey("Scoring subset", marker="o"), grey("Test subset", **parts.DASHED)]
    return parts.finish(figure, kinds, rows)


@in_house_style
def penalties_by_set(
    penalties: pd.DataFrame, *, net: str | None = None, amount: float | int = 0.1, until: int | None = parts.PAPER_END
) -> Figure:
    """What means save against zeros, for each layer set and score: a forest of paired differences.

    Penalties are averaged over training within a seed. Written beside each difference: the penalty with zeros, and the
    one with means.
    """
    rows = parts.choose(penalties, "penalties", net=net, until=until, amount=float(amount))
    there = {name: label for name, label in parts.SETS.items() if name in set(rows["set"])}
    return _forest({label: rows[rows["set"] == name] for name, label in there.items()})


@in_house_style
def penalties_by_network(
    penalties: pd.DataFrame, *, layer_set: str = "all", amount: float | int = 0.1, until: int | None = parts.PAPER_END
) -> Figure:
    """As ``penalties_by_set``, with a row for each network and one layer set."""
    where = {"set": layer_set, "amount": float(amount)}
    found = {}
    for net in parts.named(penalties)["net"].unique():
        rows = parts.choose(penalties, "penalties", net=net, until=until, **where)
        label = f"{parts.network_name(net)}, n = {rows['seed'].nunique()}"
        found[label.replace(" with", "\nwith")] = rows
    return _forest(found)


def _forest(found: Mapping[str, pd.DataFrame]) -> Figure:
    """A panel a score, a row for each of the tables: zeros minus means, averaged over steps, with its interval."""
    together = pd.concat(found.values())
    shown = parts.scores_in(together)
    figure, panels = wrapped(len(shown), 0.7 + 0.42 * len(found), sharey=True)
    for place, (axis, score) in enumerate(zip(panels, shown, strict=True)):
        axis.axvline(0, **parts.ZERO_LINE)
        across = axis.get_yaxis_transform()
        beside = {"fontsize": 8.5, "ha": "right", "va": "center", "color": GREY}
        beside |= {"xycoords": across, "textcoords": "offset points"}
        for row, rows in enumerate(found.values()):
            pairs = parts.paired(rows[rows["score"] == score]) if (rows["score"] == score).any() else rows[:0]
            if pairs.empty:
                axis.text(0.5, row, "Not measured", transform=across, ha="center", va="center")
                continue
            line = over_seeds(pairs.assign(row=row), "row", "gain", bands=t_bands(rows)).iloc[0]
            for k, width in enumerate((1.2, 3.2)[: len(t_bands(rows))]):
                ends = line[[f"low {k}", f"high {k}"]]
                axis.plot(ends, [row, row], color=LOOKS[score].colour, linewidth=width, label="_interval")
            axis.plot(line["mean"], row, **LOOKS[score].points, zorder=3)
            zero, mean = pairs.groupby("seed")[["zero", "mean"]].mean().mean(skipna=False).map(number)
            axis.annotate(f"{zero} → {mean}", (1, row), (0, 10), **beside)
        axis.grid(visible=False, axis="y")
        axis.margins(x=0.15)
        panel_label(axis, place, score)
        axis.set_xlabel("Zeros minus means" if place >= len(shown) - 3 else "")
    panels[0].set_yticks(np.arange(len(found)), list(found))
    panels[0].set_ylim(len(found) - 0.4, -0.7)
    marks = [grey("Difference, 80 and 95 % intervals", marker="o")]
    return parts.finish(figure, [*marks, grey("Penalty with zeros → with means", linestyle="")])
