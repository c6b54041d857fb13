"""Curves over seeds. One tidy table is what is drawn, what a reader can explore, and what the CSV holds.

Lines are means over seeds, geometric ones on a logarithmic axis. Bands are Student's 95 % interval of that mean, in
every figure of the book; where there are two seeds only, thin lines show both. The sums are made here and not by
seaborn, which would leave out a seed without a number: one that exploded must not make the mean of the others look
better than it is. Where a mean is not finite, its line has a gap, and an arrow at the edge of the panel tells so.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from prunebook.errors import InputError
from prunebook.evidence.intervals import half_width
from prunebook.pages.figures import layout
from prunebook.pages.figures.layout import Drawing, log_axis
from prunebook.pages.figures.style import BAND, DOTS, GREY, INK, SHORT, Look, band_handle, grey, handle, house_style
from prunebook.pages.numbers import tick

KINDS = ({"linestyle": "-"}, {"linestyle": SHORT, "marker": ""}, {"linestyle": DOTS, "marker": "", "linewidth": 1.1})
ALONE = "none"  # the seed of what has none, such as a solver
THIN = {"linewidth": 0.6, "alpha": 0.7}


@dataclass(frozen=True)
class Axis:
    """What an axis says: its label; linear, log, share, ratio, even or step; where it ends; a level to compare with.

    Panels of one quantity share a vertical axis, unless each has a scale of its ``own``.
    """

    label: str
    scale: str = "linear"
    top: float | int = np.inf
    level: float | int | None = None
    own: bool = False


@dataclass(frozen=True)
class Curves:
    """Panels of curves.

    Attributes:
        rows: a row a point and seed. Columns ``panel``, ``curve``, ``x``, ``y``, and ``seed`` where there are any; if
            wanted ``kind``, which tells solid, dashed and dotted curves of one look apart; ``point``, in which seeds
            agree where their x differs; ``quantity``, a key of ``y``; ``choice``, of which the first is drawn and the
            others can be explored.
        looks: which curves there are, in what order, and how they look.
        y: the vertical axis of each quantity.
        shown: the curves that are drawn; all others are for those who explore.
        kinds: which are solid (0), dashed (1) and dotted (2); left out: in the order of the rows.
    """

    rows: pd.DataFrame
    looks: Mapping[Hashable, Look]
    x: Axis
    y: Mapping[str, Axis]
    across: int = 3
    height: float | int = 2.2
    shown: Collection[Hashable] = ()
    kinds: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        rows = self.rows[self.rows["curve"].isin(list(self.looks))]
        if rows.empty:
            there = ", ".join(map(str, self.rows["curve"].unique()))
            raise InputError(f"the table holds none of {', '.join(map(str, self.looks))}: it holds {there}")
        default = {"kind": "", "quantity": next(iter(self.y)), "choice": "", "point": rows["x"], "seed": ALONE}
        rows = rows.assign(**{name: value for name, value in default.items() if name not in rows})
        object.__setattr__(self, "rows", rows)

    def styles(self, rows: pd.DataFrame) -> dict[str, int]:
        """The kinds that the rows have, and which style is whose."""
        numbered = self.kinds or {kind: place for place, kind in enumerate(dict.fromkeys(rows["kind"]))}
        return {kind: place for kind, place in numbered.items() if (rows["kind"] == kind).any()}

    @property
    def drawn(self) -> pd.DataFrame:
        rows = self.rows[self.rows["choice"] == self.rows["choice"].iloc[0]]
        return rows[rows["curve"].isin(list(self.shown or self.looks))]

    def draw(self, *handles: Artist) -> Drawing:
        """The figure, with its legend; ``handles`` are further entries."""
        rows = self.drawn
        if rows.empty:
            raise InputError(f"the table holds none of {', '.join(map(str, self.shown))}")
        parts = dict(list(rows.groupby("panel", sort=False)))
        kinds = {kind: KINDS[place] for kind, place in self.styles(rows).items()} if rows["kind"].any() else {"": {}}
        with house_style():
            figure, panels = layout.wrapped(len(parts), self.height, self.across, sharex=not self.x.own)
            axes = [self.y[part["quantity"].iloc[0]] for part in parts.values()]
            firsts: dict[Axis, Axes] = {}
            for place, (panel, axis) in enumerate(zip(panels, axes, strict=True)):
                if firsts.setdefault(axis, panel) is not panel and not axis.own:
                    panel.sharey(firsts[axis])
                same = place % self.across and axes[place - 1] == axis
                panel.tick_params(labelleft=not same or axis.own)
                panel.set_ylabel("" if same else axis.label)
            for axis, panel in firsts.items():
                for each in [p for p, a in zip(panels, axes, strict=True) if a == axis] if axis.own else [panel]:
                    _scaled(each, axis)
            drawn = []
            for place, (panel, (name, part)) in enumerate(zip(panels, parts.items(), strict=True)):
                drawn.append(self._panel(panel, part, axes[place], kinds))
                if len(parts) > 1:
                    layout.panel_label(panel, place, name)
            for axis in firsts:
                mine = [place for place, each in enumerate(axes) if each == axis]
                for group in [[place] for place in mine] if axis.own else [mine]:
                    _end([panels[place] for place in group], [drawn[place] for place in group], axis)
            layout.x_axis(panels, self.x.scale, self.x.label, rows["point"])
            plain = {"linestyle": "-"} if len(kinds) > 1 else {}
            entries = [handle(look, **plain) for name, look in self.looks.items() if (rows["curve"] == name).any()]
            named = [grey(kind, **({"marker": "o"} | style)) for kind, style in kinds.items() if kind]
            finish(figure, [*entries, *named, *handles], rows)
        figure.numbers, figure.note, figure.curves = self.numbers, self.note, self
        return figure

    def _panel(self, panel: Axes, part: pd.DataFrame, y: Axis, kinds: Mapping[str, dict]) -> pd.DataFrame:
        if y.level is not None:
            panel.axhline(y.level, color=INK, linewidth=0.9, label="_level")
        most = part.groupby("curve", sort=False)["point"].nunique().max()
        groups, found = dict(list(part.groupby(["curve", "kind"], sort=False))), []
        for name, kind in [(name, kind) for name in self.looks for kind in reversed(kinds) if (name, kind) in groups]:
            mine = groups[name, kind]
            other = kinds[kind] in KINDS[1:]
            style = kinds[kind] | {"label": f"_{kind}, {self.looks[name].label}" if other else self.looks[name].label}
            style |= {"color": GREY} if other and part["curve"].nunique() == 1 else {}
            thin = {"linewidth": 0.8} if 2 < mine["point"].nunique() < most - 1 else {}
            found.append(curve(panel, mine, self.looks[name], y, **thin | style))
        return pd.concat(found)

    @property
    def numbers(self) -> pd.DataFrame:
        """What is drawn: a row a point and seed, under the names that a reader sees."""
        rows = self.drawn
        words = [name for name in ("quantity", "kind") if rows[name].nunique() > 1]
        keys = ["panel", *words, "curve", "point", "seed"]
        table = rows.groupby(keys, sort=False)[["x", "y"]].mean(skipna=False).reset_index()
        table["curve"] = table["curve"].map({name: look.label or name for name, look in self.looks.items()})
        return table[[*keys[:-2], "x", "y", "seed"]]

    @property
    def note(self) -> str:
        """What lines and bands are, and of how many seeds."""
        logs = {axis.scale == "log" for axis in self.y.values()}
        means = "Geometric means" if logs == {True} else "Means"
        means += " (geometric on logarithmic axes)" if len(logs) == 2 else ""
        return seeds_note(self.drawn, means, "bands")


def seeds_note(rows: pd.DataFrame, means: str, bars: str) -> str:
    """In words for a caption: how many seeds there are, and what is drawn around their mean."""
    if (rows["seed"] == ALONE).all():
        return ""
    counts = rows.groupby(["panel", *(["row"] if "row" in rows else [])])["seed"].nunique()
    low, high = counts.min(), counts.max()
    if high == 1:
        return "One seed."
    seeds = f"{high} seeds" if low == high else f"{low} to {high} seeds"
    few = " Two seeds are too few for an interval and are both shown." if low == 2 else ""
    return f"{means} over {seeds}." + (f" {bars.capitalize()} are 95 % intervals." if high > 2 else "") + few


def over_seeds(rows: pd.DataFrame, by: Sequence[str] = (), *, geometric: bool = False) -> pd.DataFrame:
    """Mean over seeds at each point, with the ends of Student's 95 % interval: columns x, mean, low, high, seeds.

    What a seed has several values of is averaged within the seed first.

    Args:
        rows: columns ``x``, ``y``, ``seed``, and ``point`` where x differs between the seeds.
        by: columns that tell curves apart.
        geometric: of logarithms, and so is the interval.
    """
    rows = rows if "point" in rows else rows.assign(point=rows["x"])
    keys = [*by, "point"]
    one = "first" if rows["x"].equals(rows["point"]) else "mean"  # no rounding of equal ones
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log(rows["y"].astype(float)) if geometric else rows["y"].astype(float)
        seeds = values.groupby([rows[key] for key in (*keys, "seed")]).mean(skipna=False)
        groups = seeds.groupby(level=list(range(len(keys))))
        mean, count = groups.mean(skipna=False), groups.size()
        half = half_width(groups.std(skipna=False), count)
        ends = pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})
        found = (np.exp(ends) if geometric else ends).assign(x=rows.groupby(keys)["x"].agg(one), seeds=count)
    return found.reset_index()


def curve(panel: Axes, rows: pd.DataFrame, look: Look, y: Axis, *, band: bool = True, **style) -> pd.DataFrame:
    """Draw one mean over seeds with its band, or with both of two seeds; gives back what :func:`over_seeds` found."""
    log = y.scale == "log"
    found = over_seeds(rows, geometric=log)
    there = np.isfinite(found["mean"]) & ((found["mean"] > 0) | (not log))
    runs = found.assign(run=(~there).cumsum())[there]  # a line ends where a value is missing
    every = {"markevery": (len(found) // 12, len(found) // 6)} if len(found) > 24 else {}
    looks = look.line | every | style
    labels = {"xlabel": panel.get_xlabel(), "ylabel": panel.get_ylabel()}
    panel.set(xlabel="x", ylabel="mean")  # seaborn would find its ticks only to see whether they want a label
    if len(runs):
        sns.lineplot(runs, x="x", y="mean", units="run", estimator=None, ax=panel, legend=False, **looks)
    panel.set(**labels)
    seeds = found["seeds"].max()
    if band and seeds > 2:
        ends = found[["low", "high"]].where(there, axis=0).to_numpy().T
        panel.fill_between(found["x"], *ends, color=looks["color"], **BAND)
    for _, own in rows.sort_values("x").groupby("seed") if band and seeds == 2 else ():
        panel.plot(own["x"], own["y"], color=looks["color"], label="_seed", **THIN)
    above = found[(found["mean"] > y.top) | np.isposinf(found["mean"])]
    below = found[log & (found["mean"] <= 0)]
    off_axis(panel, above["x"], 0.97, "up", looks["color"])
    off_axis(panel, below["x"], 0.03, "down", looks["color"])
    return found


def off_axis(panel: Axes, x: Iterable, place: float | int, arrow: str, colour: str, which: str = "y") -> None:
    """Arrows at the edge of a panel, for values that its axis cannot show."""
    x = np.asarray(x, dtype=float)
    at = (x, np.full(len(x), place)) if which == "y" else (np.full(len(x), place), x)
    across = panel.get_xaxis_transform() if which == "y" else panel.get_yaxis_transform()
    style = {"linestyle": "", "marker": rf"$\{arrow}arrow$", "markersize": 8, "color": colour}
    if len(x):
        panel.plot(*at, transform=across, label="_arrow", zorder=5, clip_on=False, **style)


def finish(figure: Drawing, handles: Iterable, rows: pd.DataFrame | None = None) -> Drawing:
    """The legend below: the handles, what stands for the seeds of ``rows``, and what arrows are."""
    entries, lines = list(handles), [line.get_label() for panel in figure.axes for line in panel.lines]
    bands = any(area.get_label() == BAND["label"] for panel in figure.axes for area in panel.collections)
    if rows is not None and bands:
        entries.append(band_handle(f"95 % interval, n = {rows.groupby('panel')['seed'].nunique().max()}"))
    entries += [grey("The two seeds", **THIN)] if "_seed" in lines else []
    arrow = {"linestyle": "", "marker": r"$\downarrow$"}
    entries += [grey("Beyond the axis: zero, or far away", **arrow)] if "_arrow" in lines else []
    layout.legend_below(figure, entries)
    return figure


def _scaled(panel: Axes, axis: Axis) -> None:
    if axis.scale == "log":
        log_axis(panel)
    elif axis.scale == "share":
        layout.share_axis([panel])


def _end(panels: Sequence[Axes], drawn: Sequence[pd.DataFrame], axis: Axis) -> None:
    """End a logarithmic axis near its means, and at its top at the latest; say on each panel what lies above."""
    if axis.scale != "log":
        return
    means = pd.concat(drawn)["mean"]
    means = means[np.isfinite(means) & (means > 0)]
    if not len(means):
        raise InputError("no finite positive value to draw on a logarithmic axis")
    if axis.top <= means.min():
        raise InputError(
            f"the axis would end at {axis.top:g}, but the lowest mean is {means.min():.3g}: choose a larger top"
        )
    low, high = panels[0].get_ylim()
    cut = any((found["mean"] > axis.top).any() for found in drawn)
    low, high = max(low, means.min() / 10), min(high, 10 * means.max())
    if high > axis.top or cut:
        high = axis.top * (axis.top / low) ** (0.15 if cut else 0.03)  # room for the words
    panels[0].set_ylim(low, high)
    for panel, found in zip(panels, drawn, strict=True):
        above = found.loc[found["mean"] > axis.top, "mean"]
        if len(above):
            highest = f"up to {rounded(above.max())}" if np.isfinite(above.max()) else "not all finite"
            words = f"↑ {len(above)} mean{'s' * (len(above) > 1)} above {rounded(axis.top)}, {highest}"
            ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
            panel.text(0.02, 0.91, words, transform=panel.transAxes, va="top", fontsize=8.5, bbox=ground)


def rounded(value: float | int) -> str:
    """Two digits, as at an axis."""
    return tick(float(f"{value:.2g}"))
