"""The head-to-head: losses by ratio, every pair of ranking and compensation, what they cost, what they save."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm

from prunebook.errors import InputError
from prunebook.evidence.intervals import half_width
from prunebook.evidence.statistics.head_to_head import CONTROLS
from prunebook.pages.figures.curves import Axis, Curves, finish
from prunebook.pages.figures.dots import dots
from prunebook.pages.figures.layout import Drawing, column_heads, grid, log_axis, panel_label
from prunebook.pages.figures.style import INK, LEVEL_LOOKS, LOOKS, SHORT, Look, grey, in_house_style
from prunebook.pages.figures.tables import relative_to_dense
from prunebook.pages.numbers import decimals
from prunebook.pages.vocabulary import (
    COMPENSATIONS,
    PAIRS,
    STAGES,
    compensation_name,
    net_name,
    pair_name,
    ranking_name,
)
from prunebook.tables import chosen

TOP = 1e4  # axes of losses end at this many times the loss of the dense network
NARROW = 1.3  # losses within this factor are drawn on a linear axis, where there are ticks
BEST = Look(INK, "", (1.2, 1.8), "Best of all pairs")
_OWN = {
    ("sensitivity", "none"): Look("#cc3311", "8", (), ""),
    ("coreset-drawn", "none"): Look("#80522d", "H", (4, 1.5), ""),
    ("narrow", "none"): LOOKS["fully-connected"],
}
_PLAIN = Look("#999999", ".", (), "")
SHOWN = (
    ("magnitude", "none"),
    ("magnitude", "elimination"),
    ("elimination-compensation", "elimination"),
    ("layerwise-obs", "obs"),
    ("non-linear", "mean"),
    ("gradient-magnitude", "none"),
    ("random", "none"),
    ("sensitivity", "none"),
    ("coreset-drawn", "none"),
    ("narrow", "none"),
)
FORMS = {
    ("masked", 1): Look("#999999", ">", (1.2, 1.8), "Masked, one input"),
    ("masked", 256): Look("#4d4d4d", "P", (), "Masked, 256 inputs"),
    ("sparse rows", 1): Look("#3fa5dd", "o", (1.2, 1.8), "Sparse rows, one input"),
    ("sparse rows", 256): Look("#332288", "s", (), "Sparse rows, 256 inputs"),
    ("removed", 1): Look("#d55e00", "^", (1.2, 1.8), "Units removed, one input"),
    ("removed", 256): Look("#882255", "D", (), "Units removed, 256 inputs"),
}


def pair_look(ranking: str, compensation: str, kind: str = "weights") -> Look:
    """The look of a pair: that of the method it is, of a score of units solid with means and dashed with zeros.

    Grey dots where it has none of its own.
    """
    name = pair_name(ranking, compensation, kind)
    if kind == "units":
        look = LOOKS.get(ranking, _PLAIN) if ranking != "random" else _PLAIN
        return replace(look, dash=() if compensation == "mean" else SHORT[1], label=name)
    look = _OWN.get((ranking, compensation)) or LOOKS.get(PAIRS.get((ranking, compensation)), _PLAIN)
    return replace(look, label=name)


def one_net(table: pd.DataFrame, net: str, name: str = "losses") -> pd.DataFrame:
    """The rows of one network. Raises InputError where there are none."""
    rows = table[table["net"] == net]
    if rows.empty:
        there = ", ".join(table["net"].unique())
        raise InputError(f"the table {name} has no network {net!r}: it has {there}")
    return rows


def _ratios(kind: str) -> Axis:
    return Axis("Share of units pruned" if kind == "units" else "Pruning ratio", "ratio")


def _best(rows: pd.DataFrame, keys: list[str], column: str) -> pd.Series:
    """The lowest of all pairs, or the highest accuracy, at each of the keys; controls do not count."""
    groups = rows[~rows["ranking"].isin(CONTROLS)].groupby(keys)[column]
    return groups.max() if column == "accuracy" else groups.min()


@in_house_style
def pairs_by_ratio(losses: pd.DataFrame, net: str, *, column: str = "loss") -> Drawing:
    """Right after pruning and after fine-tuning: the pairs that people use, the controls, and the lowest of all.

    A narrower network was never pruned: it stands beside the fine-tuned ones alone.
    """
    rows, percent = one_net(losses, net), column == "accuracy"
    if rows[column].isna().all():
        raise InputError(f"the table losses has no values of {column} for {net}")
    # A network without a finite loss exploded: it has its place above the axis.
    rows = rows.assign(value=100 * rows[column] if percent else rows[column].fillna(np.inf))
    rows = rows[rows["stage"] != "best"]  # of fine-tuning the end is shown
    dense, pruned = rows[rows["ranking"] == "dense"], rows[rows["ranking"] != "dense"]
    pruned = pruned[(pruned["ranking"] != "narrow") | (pruned["stage"] == "fine-tuned")]
    kind, ends = rows["kind"].iloc[0], pruned["ratio"].agg(["min", "max"])
    pairs = dict.fromkeys([*SHOWN, *pruned[["ranking", "compensation"]].itertuples(index=False, name=None)])
    looks = {"/".join(pair): pair_look(*pair, kind) for pair in pairs}
    best = (
        _best(pruned.assign(**{column: pruned["value"]}), ["stage", "seed", "ratio"], column)
        .rename("value")
        .reset_index()
    )
    pruned = pruned.assign(curve=pruned["ranking"] + "/" + pruned["compensation"])
    levels = [dense.assign(curve=dense["stage"], stage="fine-tuned")]
    levels += [dense[dense["stage"] == "trained"].assign(curve="trained", stage="pruned")]
    rows = pd.concat(
        [pruned, best.assign(curve="best"), *(level.assign(ratio=end) for level in levels for end in ends)]
    )
    rows = rows.sort_values("stage", ascending=False, kind="stable")
    rows = rows.drop(columns="kind").assign(panel=rows["stage"].map(STAGES), quantity=rows["stage"])
    rows = rows.assign(x=rows["ratio"], y=rows["value"])
    shown = [*(looks if kind == "units" else map("/".join, SHOWN)), "best", *LEVEL_LOOKS]
    axes = {}
    for stage in STAGES:
        means = (
            rows[(rows["stage"] == stage) & rows["curve"].isin(shown)]
            .groupby(["curve", "ratio"], sort=False)["value"]
            .mean()
        )
        wide = not percent and means.max() > NARROW * dense["value"].min()
        label = "Test accuracy (%)" if percent else "Test loss"
        axes[stage] = Axis(label, "log" if wide else "linear", TOP * dense["value"].max() if wide else np.inf, own=True)
    return Curves(rows, looks | {"best": BEST} | LEVEL_LOOKS, _ratios(kind), axes, 2, 3.4, shown=shown).draw()


@in_house_style
def times_the_best(losses: pd.DataFrame, net: str) -> Drawing:
    """Loss over the lowest of all pairs at a ratio, paired by seed, of the pairs that people use: a dot a ratio."""
    rows = one_net(losses, net)
    kind, keys = rows["kind"].iloc[0], ["stage", "seed", "ratio"]
    rows = rows[rows["stage"].isin(list(STAGES)) & (rows["ranking"] != "dense")]
    rows = rows[(rows["ranking"] != "narrow") | (rows["stage"] == "fine-tuned")]
    rows = rows.merge(_best(rows, keys, "loss").rename("best").reset_index(), on=keys)
    pairs = list(zip(rows["ranking"], rows["compensation"], strict=True))
    rows = rows.assign(panel=rows["stage"].map(STAGES), row=[pair_name(*pair, kind) for pair in pairs])
    rows = rows.assign(x=rows["loss"] / rows["best"], curve=rows["ratio"])[
        [kind == "units" or p in SHOWN for p in pairs]
    ]
    rows, ratios = rows.sort_values("stage", ascending=False, kind="stable"), sorted(rows["ratio"].unique())
    colours = sns.color_palette("viridis", len(ratios)).as_hex()
    looks = {r: Look(c, m, (), f"Ratio {r:g}") for r, c, m in zip(ratios, colours, "osD^vPX*<>ph" * 2, strict=False)}
    return dots(rows, looks, Axis("Loss / lowest loss", "log", own=True), levels=(1,), across=2, height=0.5)


def grid_of_pairs(losses: pd.DataFrame, at: Mapping[str, float]) -> pd.DataFrame:
    """Geometric means over seeds of ``relative``: a row a network, stage and pair, at one ratio a network.

    ``behind`` is how many times the lowest of its network and stage that is, and ``tied`` whether the 95 % interval of
    the two, paired by seed, reaches 1.
    """
    rows = relative_to_dense(losses, by="ranking", cell=["net"])
    rows = rows[~rows["ranking"].isin(CONTROLS) & rows["stage"].isin(list(STAGES))]
    rows = pd.concat([chosen(one_net(rows, net), {"ratio": float(ratio)}) for net, ratio in at.items()])
    if rows.empty:
        raise InputError(f"no pair was measured at {dict(at)}")
    keys, panel = ["net", "kind", "ratio", "stage", "ranking", "compensation"], ["net", "stage"]
    rows = rows.assign(log=np.log(rows["relative"]))
    means = np.exp(rows.groupby(keys, sort=False)["log"].mean()).rename("relative").reset_index()
    means["behind"] = means["relative"] / means.groupby(panel)["relative"].transform("min")
    first = means[means["behind"] == 1].drop_duplicates(panel)[keys]
    rows = rows.merge(rows.merge(first, on=keys)[[*panel, "seed", "log"]], on=[*panel, "seed"], suffixes=("", "_best"))
    apart = (rows["log"] - rows["log_best"]).groupby([rows[key] for key in keys], sort=False)
    low = apart.mean() - half_width(apart.std(), apart.size())
    return means.merge((low <= 0).rename("tied").reset_index(), on=keys)


@in_house_style
def rankings_by_compensations(losses: pd.DataFrame, at: Mapping[str, float]) -> Drawing:
    """Loss over the dense network's for every ranking (rows) with every compensation (columns), at one ratio a network.

    The colour tells how many times the lowest loss of its panel a pair has, on one scale for all; a star marks those
    that are not told apart from the lowest. White cells were not measured.
    """
    means = grid_of_pairs(losses, at)
    means = means[means["ranking"] != "coreset-drawn"]
    nets = [net for net in at if (means["net"] == net).any()]
    norm = LogNorm(1, max(means["behind"].where(np.isfinite(means["behind"])).max(), 1.01))
    figure, axes = grid(len(nets), 2, 3.1)
    column_heads(axes, STAGES.values())
    for (row, side), axis in np.ndenumerate(axes):
        net, stage = nets[row], list(STAGES)[side]
        panel_label(axis, 2 * row + side, f"{net_name(net)}, {at[net]:g} pruned")
        mine = means[(means["net"] == net) & (means["stage"] == stage)]
        there = list(dict.fromkeys(mine["compensation"]))
        columns = [c for c in COMPENSATIONS if c in there] + [c for c in there if c not in COMPENSATIONS]
        by = ["ranking", "compensation"]
        star = mine["tied"].map({True: "*", False: ""})
        mine = mine.assign(text=[decimals(v, markup="tex") + s for v, s in zip(mine["relative"], star, strict=True)])
        table, texts = (mine.set_index(by)[v].unstack() for v in ("behind", "text"))  # noqa: PD010 - texts too
        order = list(dict.fromkeys(mine["ranking"]))
        style = {"cmap": "viridis", "norm": norm, "cbar": False, "annot_kws": {"fontsize": 8.5}, "fmt": ""}
        sns.heatmap(table.loc[order, columns], annot=texts.loc[order, columns], ax=axis, **style)
        axis.grid(visible=False)
        names = [compensation_name(c, mine["kind"].iloc[0]).replace(" ", "\n") for c in columns]
        axis.set_xticks(axis.get_xticks(), names, rotation=0, fontsize=8.5)
        axis.set_yticks(axis.get_yticks(), [ranking_name(r) if side == 0 else "" for r in order], rotation=0)
        axis.set(xlabel="", ylabel="")
        axis.tick_params(length=0)
    style = {"location": "bottom", "aspect": 50, "shrink": 0.7, "label": "Times the lowest loss of the panel"}
    log_axis(figure.colorbar(axes[0, 0].collections[0], ax=list(axes.flat), **style).ax, "x")
    figure.numbers = means
    figure.note = f"Geometric means over {losses['seed'].nunique()} seeds; * : 95 % interval reaches the lowest."
    return figure


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
def cost_against_loss(losses: pd.DataFrame, cost: pd.DataFrame, at: Mapping[str, float]) -> Drawing:
    """A point a pair: seconds of its criterion against its loss over the dense network's, a column of panels a network.

    The pairs on the lower left edge, which no other beats in both, are numbered; what all others are is in the table.
    """
    points = prices(losses, cost, at)
    points = points.assign(seconds=points["seconds"].clip(lower=1e-4)).sort_values("seconds", kind="stable")
    points = points[np.isfinite(points["relative"])].reset_index(drop=True)
    before = points.groupby(["net", "stage"])["relative"].transform(
        lambda losses: losses.cummin().shift(fill_value=np.inf)
    )
    points["on_edge"] = points["relative"] < 0.98 * before
    names = [pair_name(p.ranking, p.compensation, p.kind) for p in points.itertuples()]
    number = {name: place for place, name in enumerate(dict.fromkeys(np.array(names)[points["on_edge"]]), start=1)}
    nets = [net for net in at if (points["net"] == net).any()]
    figure, axes = grid(2, len(nets), 2.6, sharex="col")
    column_heads(axes, map(net_name, nets))
    for (row, side), axis in np.ndenumerate(axes):
        panel_label(axis, row * len(nets) + side)
        part = points[(points["net"] == nets[side]) & (points["stage"] == list(STAGES)[row])]
        sns.scatterplot(part[~part["on_edge"]], x="seconds", y="relative", s=12, linewidth=0, ax=axis, color="#999999")
        for point in part[part["on_edge"]].itertuples():
            axis.plot(point.seconds, point.relative, color=INK, marker=f"${number[names[point.Index]]}$", markersize=8)
        log_axis(axis, "x", 5), log_axis(axis, "y", 5)
        axis.set(xlabel="Seconds of one thread" if row == 1 else "")
        axis.set_ylabel("" if side else f"{list(STAGES.values())[row]}\nloss / dense loss")
    finish(figure, [grey(name, color=INK, linestyle="", marker=f"${n}$", markersize=8) for name, n in number.items()])
    figure.numbers, figure.note = (
        points,
        f"Geometric means of losses, means of seconds over {losses['seed'].nunique()} seeds.",
    )
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
def time_of_a_pass(latency: pd.DataFrame) -> Drawing:
    """Time of a forward pass over that of the dense network against ratio, a panel a network. Below 1 it is faster."""
    keys = ["net", "seed", "ratio", "batch"]
    dense = latency[latency["form"] == "dense"].groupby(keys)["milliseconds"].median().rename("dense").reset_index()
    rows = latency[latency["form"] != "dense"].drop(columns="kind", errors="ignore").merge(dense, on=keys)
    rows = rows.assign(curve=list(zip(rows["form"], rows["batch"], strict=True)), panel=rows["net"].map(net_name))
    rows = rows.assign(x=rows["ratio"], y=rows["milliseconds"] / rows["dense"])
    return Curves(rows, FORMS, Axis("Share pruned", "ratio"), {"": Axis("Time / time of dense", "log", level=1)}).draw()
