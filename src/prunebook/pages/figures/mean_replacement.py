"""Pruned units replaced by zero or by their mean: penalties and gains, through training and after fine-tuning.

Steps after ``until`` are left out, None takes all.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle
from matplotlib.scale import AsinhTransform
from matplotlib.ticker import NullLocator

from prunebook.errors import InputError
from prunebook.pages.figures import layout
from prunebook.pages.figures import mr_parts as parts
from prunebook.pages.figures.curves import Axis, Curves, finish
from prunebook.pages.figures.dots import dots
from prunebook.pages.figures.layout import Drawing
from prunebook.pages.figures.mr_parts import PAPER_END
from prunebook.pages.figures.points import points
from prunebook.pages.figures.style import GREY, INK, SHORT, SPARE, Look, grey, in_house_style
from prunebook.pages.numbers import number
from prunebook.pages.vocabulary import REPLACED, SETS, network_name

STEP = Axis("Step", "step")
PENALTY = Axis("Penalty", own=True)
GAIN = "Zeros minus means"
NETWORK = Look(INK, "", (), "The network itself")
WINDOW = (-0.1, 0.45)  # of the paper's axes
LINEAR = 1e-3  # nats, within which the axes of penalties are linear
CELLS = 60  # in a row
EXPLORED = (0.05, 0.1, 0.5)  # amounts beside the one that is drawn


@in_house_style
def penalties_through_training(
    penalties: pd.DataFrame,
    network: pd.DataFrame | None = None,
    *,
    net: str,
    layer_set: str = "all",
    amount: float | int = 0.1,
    scores: Sequence[str] = tuple(parts.LOOKS),
    until: int | None = PAPER_END,
) -> Drawing:
    """Penalties along training, with means (solid) and zeros (dashed), a panel a score, and the network itself.

    Last: loss and accuracy of the unpruned network on the subset that scores and penalties are taken on, and on a
    test subset. Other sets of layers and amounts can be explored.
    """
    rows = parts.choose(penalties, "penalties", net=net, until=until)
    parts.choose(rows, "penalties", set=layer_set, amount=float(amount))  # says what is there instead
    shown = parts.scores_in(rows, scores)
    rows = rows[rows["amount"].isin([amount, *EXPLORED]) & rows["score"].isin(shown)]
    first = (rows["set"] == layer_set) & np.isclose(rows["amount"], amount)
    rows = rows.assign(other=~first, mean=rows["replacement"] != "mean", place=rows["score"].map(shown.index))
    rows = rows.sort_values(["other", "mean", "place"], kind="stable")
    rows = rows.assign(panel=rows["score"], curve=rows["score"], y=rows["penalty"], quantity="penalty")
    rows["choice"] = rows["set"].map(SETS) + rows["amount"].map(", {:.0%} of units".format)
    rows["kind"] = rows["replacement"].map(REPLACED)
    own = [] if network is None else [parts.choose(network, "network", net=net, until=until)]
    subsets = {"": "Scoring subset", "test_": "Test subset"}
    own = [
        table.assign(panel=f"unpruned, {column}", y=table[prefix + column], kind=kind, quantity=column, curve="network")
        for table in own
        for column in ("loss", "accuracy")
        for prefix, kind in subsets.items()
    ]
    whole = pd.concat([rows, *(table.assign(choice=rows["choice"].iloc[0]) for table in own)])
    y = {"penalty": PENALTY, "loss": Axis("Loss"), "accuracy": Axis("Accuracy", "share")}
    looks = {score: parts.LOOKS[score] for score in shown} | {"network": NETWORK}
    kinds = {kind: place for words in (REPLACED, subsets) for place, kind in enumerate(words.values())}
    return Curves(whole.assign(x=whole["step"]), looks, STEP, y, height=2.0, kinds=kinds).draw()


@in_house_style
def train_against_test(
    penalties: pd.DataFrame,
    *,
    net: str | None = None,
    amount: float | int = 0.1,
    layer_set: str = "all",
    until: int | None = PAPER_END,
) -> Drawing:
    """Penalty with zeros minus that with means, on the subset that the means are taken on and on a test subset."""
    rows = parts.choose(penalties, "penalties", net=net, until=until, set=layer_set, amount=float(amount))
    gains = pd.concat(
        parts.paired(rows, column).assign(kind=kind)
        for column, kind in (("penalty", "Scoring subset"), ("test_penalty", "Test subset"))
    )
    shown = parts.scores_in(rows)
    gains = pd.concat(gains[gains["score"] == score] for score in shown)
    gains = gains.assign(panel=gains["score"], curve=gains["score"], x=gains["step"], y=gains["gain"])
    return Curves(gains, parts.LOOKS, STEP, {"": Axis(GAIN, level=0, own=True)}, height=2.0).draw()


@in_house_style
def penalties_by_set(
    penalties: pd.DataFrame, *, net: str | None = None, amount: float | int = 0.1, until: int | None = PAPER_END
) -> Drawing:
    """What means save against zeros, for each layer set and score: paired differences, averaged over training.

    Written beside each difference: the penalty with zeros, and the one with means.
    """
    rows = parts.choose(penalties, "penalties", net=net, until=until, amount=float(amount))
    there = {name: label for name, label in SETS.items() if name in set(rows["set"])}
    return _gains({label: rows[rows["set"] == name] for name, label in there.items()})


@in_house_style
def penalties_by_network(
    penalties: pd.DataFrame, *, layer_set: str = "all", amount: float | int = 0.1, until: int | None = PAPER_END
) -> Drawing:
    """As ``penalties_by_set``, with a row for each network and one layer set."""
    found = {}
    for net in parts.named(penalties)["net"].unique():
        rows = parts.choose(penalties, "penalties", net=net, until=until, set=layer_set, amount=float(amount))
        found[f"{network_name(net)}, n = {rows['seed'].nunique()}"] = rows
    return _gains(found)


def _gains(found: Mapping[str, pd.DataFrame]) -> Drawing:
    pairs = pd.concat(parts.paired(rows).assign(row=label) for label, rows in found.items())
    means = pairs.groupby(["score", "row"])[["zero", "mean"]].mean().map(number)
    words = {key: f"{zero} → {mean}" for key, zero, mean in means.itertuples()}
    shown = parts.scores_in(pairs)
    pairs = pairs.assign(panel=pairs["score"], curve=pairs["score"], x=pairs["gain"])
    pairs = pd.concat(pairs[pairs["score"] == score] for score in shown)
    return dots(pairs, parts.LOOKS, Axis(GAIN, own=True), levels=(0,), words=words)


@in_house_style
def shares_below(penalties: pd.DataFrame, *, scores: Sequence[str] = ("norm", "abs_rs", "abs_mrs")) -> Drawing:
    """Share of the points at which means have the smaller penalty, by layer set and score, without ties.

    A point is a step and an amount of one seed. The line is at the nine tenths that the claim asks for.
    """
    shown = parts.scores_in(penalties, scores)
    points = parts.paired(parts.named(penalties[penalties["score"].isin(shown)]))
    points = points[points["gain"].abs() > parts.TIE]
    rows = (
        (points["gain"] > 0).groupby([points[key] for key in ("set", "score", "seed")]).mean().rename("x").reset_index()
    )
    rows = pd.concat(rows[rows["set"] == name] for name in SETS)
    rows = rows.assign(panel="", row=rows["set"].map(SETS), curve=rows["score"])
    looks = {score: parts.LOOKS[score] for score in shown}
    figure = dots(
        rows, looks, Axis("Share of points at which means are better"), levels=(0.5, 0.9), across=1, height=0.6
    )
    layout.share_axis(figure.axes, "x")
    return figure


@in_house_style
def zero_against_mean(
    penalties: pd.DataFrame, *, scores: Sequence[str] = ("norm", "abs_rs", "abs_mrs"), by: str = "score"
) -> Drawing:
    """Density of the penalties with means over the same penalties with zeros: below the diagonal means do better.

    All networks, seeds, steps, amounts and layer sets of the table, in cells of equal size on axes that are logarithmic
    on both sides of zero, so that every point has a place. A panel for each score, or with ``by="set"`` for each layer
    set. Told above each panel: the share of points below the diagonal, ties left out, and that of ties. The dashed
    square is the window of the paper's axes.

    Raises InputError for penalties that are not finite.
    """
    shown = parts.scores_in(penalties, scores)
    pairs = parts.paired(parts.named(penalties[penalties["score"].isin(shown)]))
    if not np.isfinite(pairs[["zero", "mean"]]).all(axis=None):
        raise InputError("the table penalties holds values that are not finite: no place on the axes for them")
    values = np.append(pairs[["zero", "mean"]].to_numpy(), WINDOW)
    scale = AsinhTransform(LINEAR)
    ends = scale.transform(np.array([1.5 * values.min(), 1.5 * values.max()]))
    edges = scale.inverted().transform(np.linspace(*ends, CELLS + 1))
    names = {score: score for score in shown} if by == "score" else SETS
    groups = {name: pairs[pairs[by] == name] for name in names if (pairs[by] == name).any()}
    counts = {name: np.histogram2d(part["zero"], part["mean"], [edges, edges])[0] for name, part in groups.items()}
    colours = {"cmap": "flare", "norm": LogNorm(1, max(*(count.max() for count in counts.values()), 2))}
    figure, panels = layout.wrapped(len(groups), 2.6, sharex=True, sharey=True)
    for place, (axis, (name, part)) in enumerate(zip(panels, groups.items(), strict=True)):
        cells = {"bins": [edges, edges], "vmin": None, "vmax": None, "rasterized": True}
        sns.histplot(part, x="zero", y="mean", ax=axis, **cells, **colours)
        apart = part[part["gain"].abs() > parts.TIE]
        share = f"{(apart['gain'] > 0).mean():.1%} below" if len(apart) else "none below"
        layout.panel_label(axis, place, f"{names[name]}\n{share}, {1 - len(apart) / len(part):.1%} ties")
        axis.set(xlabel="Penalty with zeros" if place >= len(groups) - 3 else "")
        axis.set(ylabel="" if place % 3 else "Penalty with means")
    side = {"width": WINDOW[1] - WINDOW[0], "height": WINDOW[1] - WINDOW[0], "fill": False, "zorder": 4}
    for axis in panels:  # only now: cells are of equal size in the scale of the axes when they were drawn
        axis.plot(edges[[0, -1]], edges[[0, -1]], color=INK, linewidth=1.0, label="_diagonal", zorder=4)
        axis.add_patch(Rectangle((WINDOW[0], WINDOW[0]), edgecolor=GREY, linestyle=SHORT, linewidth=0.9, **side))
        for which in "xy":
            getattr(axis, f"set_{which}scale")("asinh", linear_width=LINEAR)
            getattr(axis, f"set_{which}lim")(edges[[0, -1]])
            getattr(axis, f"set_{which}ticks")([-0.1, 0, 0.1, 10], ["−.1", "0", ".1", "10"])
            getattr(axis, f"{which}axis").set_minor_locator(NullLocator())
        axis.tick_params(labelsize=8.5)
        axis.set_aspect("equal")
    figure.colorbar(panels[0].collections[0], ax=panels, label="Points in a cell", shrink=0.7, pad=0.02)
    index = pd.MultiIndex.from_product([groups, edges[:-1], edges[:-1]], names=[by, "zero_from", "mean_from"])
    cells = pd.Series(np.concatenate([counts[name].ravel() for name in groups]), index, name="points", dtype=int)
    figure.numbers = cells[cells > 0].reset_index()
    figure.note = f"{len(pairs):,} points from {pairs['seed'].nunique()} seeds."
    marks = [grey("Equal penalties", color=INK, linewidth=1.0)]
    return finish(figure, [*marks, grey("Axes of the paper's figure", linestyle=SHORT, linewidth=0.9)])


@in_house_style
def after_tuning(table: pd.DataFrame, *, net: str | None = None) -> Drawing:
    """Penalty with zeros minus that with means against steps of fine-tuning, by the step at which it was pruned.

    A panel for each layer set and amount, each with a scale of its own, since their penalties differ by orders of
    magnitude. Averaged over scores. Above the line, means are better.
    """
    pairs, looks = _tuned(table, net)
    pairs = pairs.assign(place=pairs["set"].map(list(SETS).index)).sort_values(["place", "amount"], kind="stable")
    pairs = pairs.assign(panel=pairs["set"].map(SETS) + pairs["amount"].map(_amount), x=pairs["tuned"], y=pairs["gain"])
    return Curves(pairs, looks, Axis("Steps of fine-tuning", "even"), {"": Axis(GAIN, level=0, own=True)}).draw()


@in_house_style
def penalties_after_tuning(table: pd.DataFrame, *, net: str | None = None) -> Drawing:
    """Every penalty with means over the same with zeros, after each number of steps but none; at most the last three.

    A point a seed, score, layer set, amount and step of pruning. Below the diagonal, means are better.
    """
    pairs, looks = _tuned(table, net)
    after = sorted(steps for steps in pairs["tuned"].unique() if steps > 0)[-3:]
    pairs = pairs[pairs["tuned"].isin(after)].sort_values("tuned", kind="stable")
    pairs["panel"] = pairs["tuned"].map(lambda steps: f"After {steps:,} step{'s' * (steps != 1)}")
    kept = ["panel", "curve", "score", "set", "amount", "seed", "zero", "mean"]
    rows = pairs[kept].rename(columns={"zero": "x", "mean": "y"})
    return points(rows, looks, ("Penalty with zeros", "Penalty with means"), diagonal=True)


def _tuned(table: pd.DataFrame, net: str | None) -> tuple[pd.DataFrame, dict[Hashable, Look]]:
    """Pairs of replacements after fine-tuning, and a look for each step of pruning."""
    rows = parts.choose(table, "tuning", net=net)
    parts.scores_in(rows)
    pairs = parts.paired(rows, keys=("tuned",)).assign(curve=lambda rows: rows["step"])
    looks = zip(sorted(pairs["step"].unique()), SPARE, strict=False)
    return pairs, {step: replace(look, label=f"Pruned at step {step:,}") for step, look in looks}


def _amount(amount: float | int) -> str:
    """An amount for the reader; from 1 on it is a number of units."""
    return f"\n{amount:.0%} of units" if amount < 1 else f"\n{amount:.0f} unit{'s' * (amount > 1)} a layer"
