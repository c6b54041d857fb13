"""Pruned units replaced by zero or by their mean, along training: penalties and gains.

Lines, bands, networks and ``until`` as in ``prunebook.pages.figures.mr_parts``.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebook.pages.figures.coreset_parts import DOTS, SHORT, grey, percent_axis
from prunebook.pages.figures.layout import grid, panel_label
from prunebook.pages.figures.mr_parts import (
    HOLLOW,
    LOOKS,
    PAPER_END,
    SETS,
    SIGNED,
    ZERO_LINE,
    band_handles,
    bands,
    by_seed,
    choose,
    finish,
    named,
    network_name,
    paired,
    replaced_handles,
    scores_in,
    seed_line,
    step_axis,
    symlog_axis,
)
from prunebook.pages.figures.style import INK, Look, in_house_style
from prunebook.pages.figures.tables import need


def _two_panels(axes: Iterable[Axes], shown: Sequence[str], draw: Callable[[Axes, str], None]) -> None:
    """Unsigned scores left, signed ones right, as theirs are far larger."""
    for place, (axis, scores) in enumerate(zip(axes, _by_sign(shown), strict=True)):
        axis.axhline(0, **ZERO_LINE)
        for score in scores:
            draw(axis, score)
        if not scores:
            axis.text(0.5, 0.5, "Not measured", transform=axis.transAxes, ha="center", va="center")
            axis.set_yticks([])
        panel_label(axis, place, ("Unsigned scores", "Signed scores")[place])


def _by_sign(shown: Sequence[str]) -> tuple[list[str], list[str]]:
    return [s for s in shown if s not in SIGNED], [s for s in shown if s in SIGNED]


@in_house_style
def penalties_through_training(
    penalties: pd.DataFrame,
    network: pd.DataFrame,
    *,
    net: str,
    layer_set: str = "all",
    amount: float | int = 0.1,
    until: int | None = PAPER_END,
) -> Figure:
    """Penalties of every score along training, with means (solid) and zeros (dashed), and the network itself.

    Below: loss and accuracy of the unpruned network on the subset that scores and penalties are taken on, and on a
    test subset.
    """
    columns = ("step", "score", "replacement", "penalty")
    where = {"set": layer_set, "amount": float(amount)}
    rows = choose(penalties, columns, "penalties", net=net, until=until, **where)
    losses = ("loss", "test_loss", "accuracy", "test_accuracy")
    own = choose(network, ("step", *losses), "network", net=net, until=until)
    shown = scores_in(rows)
    figure, axes = grid(2, 2, 2.6, sharex=True)

    def draw(axis: Axes, score: str) -> None:
        for replacement, change in (("zero", {"linestyle": SHORT, "label": f"_{score}"}), ("mean", {})):
            part = rows[(rows["score"] == score) & (rows["replacement"] == replacement)]
            seed_line(axis, part, "step", "penalty", LOOKS[score].line | change)

    _two_panels(axes[0], shown, draw)
    for axis, scores in zip(axes[0], _by_sign(shown), strict=True):
        mine = rows[rows["score"].isin(scores)].groupby(["step", "score", "replacement"])["penalty"]
        symlog_axis([axis], mine.mean())
    axes[0, 0].set_ylabel("Penalty")
    subsets = {"": ("Scoring subset", "-"), "test_": ("Test subset", DOTS)}
    for place, (axis, column) in enumerate(zip(axes[1], ("loss", "accuracy"), strict=True)):
        for prefix, (label, dash) in subsets.items():
            style = {"color": INK, "linestyle": dash, "linewidth": 1.5, "label": label}
            seed_line(axis, own, "step", prefix + column, style)
        panel_label(axis, 2 + place, f"Unpruned, {column}")
    axes[1, 0].set_ylim(bottom=min(0, axes[1, 0].get_ylim()[0]))
    percent_axis(axes[1, 1:])
    step_axis(axes[1])
    unpruned = [grey(label, color=INK, linestyle=dash, linewidth=1.5) for label, dash in subsets.values()]
    return finish(figure, [*replaced_handles(shown), *unpruned, *band_handles(rows)])


@in_house_style
def train_against_test(
    penalties: pd.DataFrame,
    *,
    net: str | None = None,
    amount: float | int = 0.1,
    layer_set: str = "all",
    until: int | None = PAPER_END,
) -> Figure:
    """Penalty with zeros minus that with means, on the subset that the means are taken on and on a test subset."""
    columns = ("step", "score", "replacement", "penalty", "test_penalty")
    where = {"set": layer_set, "amount": float(amount)}
    rows = choose(penalties, columns, "penalties", net=net, until=until, **where)
    gains = {}
    for column in ("penalty", "test_penalty"):
        wide = paired(rows, column)
        gains[column] = wide.assign(gain=wide["zero"] - wide["mean"])
    shown = scores_in(rows)
    figure, axes = grid(1, 2, 3.0, sharex=True)

    def draw(axis: Axes, score: str) -> None:
        for column, change in (("test_penalty", {"linestyle": SHORT, "label": f"_{score}"}), ("penalty", {})):
            part = gains[column][gains[column]["score"] == score]
            seed_line(axis, part, "step", "gain", LOOKS[score].line | change)

    _two_panels(axes[0], shown, draw)
    axes[0, 0].set_ylabel("Penalty, zeros minus means")
    step_axis(axes[0])
    subsets = {"penalty": "Scoring subset", "test": "Test subset"}
    return finish(figure, [*replaced_handles(shown, subsets), *band_handles(rows)])


@in_house_style
def penalties_by_set(
    penalties: pd.DataFrame,
    *,
    net: str | None = None,
    amount: float | int = 0.1,
    until: int | None = PAPER_END,
) -> Figure:
    """Penalties averaged over training, for each layer set and score: with means (filled) and with zeros (hollow).

    A thin line joins the two; the wide ones are bands over seeds. Signed scores have a panel of their own.
    """
    columns = ("step", "score", "set", "replacement", "penalty")
    rows = choose(penalties, columns, "penalties", net=net, until=until, amount=float(amount))
    sets = [name for name in SETS if name in set(rows["set"])]
    return _dots({SETS[name]: rows[rows["set"] == name] for name in sets})


@in_house_style
def penalties_by_network(
    penalties: pd.DataFrame,
    *,
    layer_set: str = "all",
    amount: float | int = 0.1,
    until: int | None = PAPER_END,
) -> Figure:
    """As ``penalties_by_set``, with a row for each network and one layer set."""
    need(penalties, ("net", "seed", "step", "score", "replacement", "penalty"), "penalties")
    nets = list(dict.fromkeys(named(penalties)["net"]))
    where = {"set": layer_set, "amount": float(amount)}
    found = {net: choose(penalties, (), "penalties", net=net, until=until, **where) for net in nets}
    return _dots({network_name(net).replace(" with", "\nwith"): rows for net, rows in found.items()})


def _dots(found: dict[str, pd.DataFrame]) -> Figure:
    together = pd.concat(found.values())
    shown = scores_in(together)
    groups = [group for group in _by_sign(shown) if group]
    figure, axes = grid(1, len(groups), 0.8 + 0.62 * len(found), sharey=True)
    for place, (axis, scores) in enumerate(zip(axes[0], groups, strict=True)):
        drawn: list[float] = []
        for row, rows in enumerate(found.values()):
            for lane, score in enumerate(scores):
                y = row + 0.74 * ((lane + 0.5) / len(scores) - 0.5)
                part = rows[rows["score"] == score]
                drawn += _pair_of_dots(axis, by_seed(part, "replacement", "penalty"), y, LOOKS[score])
        axis.axvline(0, **ZERO_LINE)
        for line in np.arange(len(found) - 1) + 0.5:
            axis.axhline(line, color="#e4e4e4", linewidth=0.7, label="_between")
        symlog_axis([axis], drawn, "x", apart=0.15)
        axis.set_yticks(range(len(found)), list(found))
        axis.set_ylim(len(found) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        axis.set_xlabel("Penalty, averaged over training")
        panel_label(axis, place, "Signed scores" if scores[0] in SIGNED else "Unsigned scores")
    dots = [Line2D([], [], **LOOKS[score].points) for score in shown]
    kinds = [grey("Mean replacement", linestyle="", marker="o")]
    kinds += [grey("Zero", linestyle="", marker="o", **HOLLOW)]
    return finish(figure, [*dots, *kinds, *band_handles(together)])


def _pair_of_dots(axis: Axes, seeds: pd.DataFrame, y: float, look: Look) -> list[float]:
    """The two replacements of one score in one row. Gives back what was drawn."""
    means = seeds.mean(axis=1, skipna=False)
    found = bands(seeds)
    axis.plot(means, [y] * len(means), color=look.colour, linewidth=1.0, label="_pair")
    for replacement, value in means.items():
        for (low, high), _ in found:
            ends = [low[replacement], high[replacement]]
            axis.plot(ends, [y, y], color=look.colour, alpha=0.2, linewidth=5, label="_seeds")
        hollow = {**HOLLOW, "markeredgecolor": look.colour, "label": f"_{look.label}"}
        if look.marker == "x":  # has no inside
            hollow = {"marker": "o", **hollow}
        axis.plot([value], [y], **(look.points | (hollow if replacement == "zero" else {})), zorder=3)
    return means.tolist()
