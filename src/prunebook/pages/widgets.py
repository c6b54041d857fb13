"""The book's interactive figures: crowded tables as Plotly figures that a reader can take apart.

Looks, panels and numbers are those of the static figures: means over the same seeds, and a gap where a seed has no
finite number. Each function returns plain data for ``Page.figure``: one Plotly figure for each of the choices in a
list, and a caption and a text alternative of their own. ``book/_static/interactive.js`` shows them on demand.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from prunebook.errors import InputError
from prunebook.evidence.statistics.elimination_compensation import CELL, PAPER_METHODS
from prunebook.pages.figures import coreset_parts
from prunebook.pages.figures.ec_diagnostics import MAIN
from prunebook.pages.figures.lines import RANGE, over_seeds
from prunebook.pages.figures.mr_choices import profile_curves
from prunebook.pages.figures.mr_parts import named
from prunebook.pages.figures.style import INK, LOOKS, Look
from prunebook.pages.figures.tables import cells, checked
from prunebook.pages.vocabulary import FLOORS, LEVELS, LOSSES, REPLACED, SCORES, SETS, STAGES

# Matplotlib's markers, and what Plotly calls them.
SYMBOLS = {
    "o": "circle", "D": "diamond", "s": "square", "^": "triangle-up", "v": "triangle-down", "<": "triangle-left",
    ">": "triangle-right", "X": "x", "P": "cross", "p": "pentagon", "*": "star", "h": "hexagon2", "H": "hexagon",
    "d": "diamond-tall", "8": "octagon",
}  # fmt: skip
LINE_STYLES = ("solid", "6px,3px", "2px,3px")  # of the kinds of one curve
DIGITS = 4  # more cannot be seen, and each costs every reader
ACROSS = {  # levels to compare with
    "trained": Look(INK, "", (), LEVELS["dense"]),
    "fine-tuned": Look(INK, "", (5, 2), LEVELS["dense-on"]),
    "noise": Look("#b30000", "", (1, 1.5), FLOORS["noise"]),
    "blind_test": Look("#b30000", "", (4, 1.5, 1, 1.5), FLOORS["blind_test"]),
    "even": Look(INK, "", (1.2, 1.8), "Same share in every layer"),
}
OFF = ("rand", "rs", "mrs")  # scores with penalties far above those of the others
AMOUNTS = (0.05, 0.1, 0.5)


@checked
def losses(table: pd.DataFrame, column: str = "loss", floors: pd.DataFrame | None = None) -> dict:
    """Loss or accuracy of all methods against ratio; the paper's methods are on at first.

    The dense network is a level across all ratios: before pruning, and beside the fine-tuned ones as trained on too.
    So are the means of the positive ``floors``.
    """
    title, unit = ("Test accuracy (%)", 100) if column == "accuracy" else (LOSSES[column], 1)
    dense = table[table["method"] == "dense"].assign(method=lambda rows: rows["stage"])
    levels = [dense.assign(stage="fine-tuned"), dense[dense["stage"] == "trained"].assign(stage="pruned")]
    if floors is not None:
        means = floors.groupby([*CELL, "name"], as_index=False)["value"].mean().query("value > 0")
        means = means.rename(columns={"name": "method", "value": column}).assign(seed=table["seed"].iloc[0])
        levels += [means.assign(stage=stage) for stage in STAGES]
    pruned = table[table["method"] != "dense"]
    ends = pruned["ratio"].agg(["min", "max"])
    rows = pd.concat([pruned, *(level.assign(ratio=end, reached=end) for level in levels for end in ends)])
    rows = rows[rows["stage"].isin(list(STAGES))]
    rows = rows.sort_values("stage", ascending=False, kind="stable")  # pruned, then fine-tuned
    parts = [part.assign(panel=f"{label}, " + part["stage"].map(STAGES).str.lower()) for label, part in cells(rows)]
    looks = {name: LOOKS[name] for name in (*PAPER_METHODS, *pruned["method"].unique())}
    return explored(
        pd.concat(parts).assign(curve=lambda rows: rows["method"], y=lambda rows: unit * rows[column], shown=title),
        looks | ACROSS,
        x=("reached", "Pruning ratio"),
        at="ratio",
        across=2,
        hidden=set(looks) - set(PAPER_METHODS),
        caption=f"{title} against the pruning ratio that was reached.",
    )  # fmt: skip


@checked
def layers(table: pd.DataFrame, methods: Sequence[str] = MAIN) -> dict:
    """Share of each layer's weights that is kept, for all methods; those of the static figure are on at first."""
    kept = 100 * table["kept"] / table["weights"]
    rows = table.assign(curve=table["method"], y=kept, shown="Weights kept (%)")
    one = rows[rows["method"] == rows["method"].iloc[0]]
    rows = pd.concat([rows, one.assign(curve="even", y=100 * (1 - one["ratio"]))])
    looks = {name: LOOKS[name] for name in (*methods, *table["method"].unique())}
    return explored(
        pd.concat(part.assign(panel=f"{label}, layer " + part["layer"].astype(str)) for label, part in cells(rows)),
        looks | ACROSS,
        x=("ratio", "Pruning ratio"),
        across=3,
        hidden=set(looks) - set(methods),
        caption="Share of each layer's weights that is kept, against pruning ratio.",
    )  # fmt: skip


def draws(epsilon_first: pd.DataFrame) -> dict:
    """Error allowed and seen, draws asked for and sparsity, against the share of labels to keep."""
    return _bounds(
        epsilon_first,
        "kind",
        {"Draws asked for": ({"samples": ""}, 1), "Sparsity (%)": ({"sparsity": ""}, 100)},
        {"observed": "seen, mean", "epsilon": "allowed", "observed_max": "seen, largest"},
        x=("share", "Share of correct labels to keep"),
        caption="What it takes to keep a share of the correct labels by guarantee.",
    )


def guarantees(sparsity_first: pd.DataFrame) -> dict:
    """Accuracy and error, seen and guaranteed, against the sparsity reached."""
    return _bounds(
        sparsity_first,
        "way",
        {"Accuracy (%)": ({"accuracy": "seen", "implied_accuracy": "guaranteed"}, 100)},
        {"observed": "seen", "epsilon": "guaranteed"},
        x=("sparsity", "Sparsity"),
        at="ratio",
        caption="What was seen on held-out images (solid) and what is guaranteed (dashed).",
    )


@checked
def _bounds(table: pd.DataFrame, curve: str, shares: dict, errors: dict, **options) -> dict:
    """A panel a training circumstance, and a list of quantities: errors in different units are different quantities."""
    rows = pd.concat(part.assign(panel=label) for label, part in coreset_parts.cells(table))
    units = rows[curve].map(coreset_parts.unit_of).str.capitalize()
    quantities = [(name, rows, *how) for name, how in shares.items()]
    quantities += [(unit, rows[units == unit], errors, 1) for unit in units.unique()]
    parts = [
        part.assign(shown=name, kind=kind, y=factor * part[column], curve=part[curve])
        for name, part, names, factor in quantities
        for column, kind in names.items()
    ]
    return explored(pd.concat(parts), LOOKS, across=3, **options)


def penalties(table: pd.DataFrame, amounts: Sequence[float] = AMOUNTS) -> dict:
    """Penalty along training, by fraction of units and layer set."""
    rows = penalty_rows(table, amounts)
    rows = rows[rows["replacement"].isin(list(REPLACED))].sort_values("replacement", kind="stable")
    rows = rows.sort_values("amount", key=lambda amount: amount != 0.1, kind="stable")  # the paper's comes first
    return explored(
        rows.assign(
            panel=rows["set"].map(SETS),
            curve=rows["score"],
            kind=rows["replacement"].map(REPLACED).str.lower(),
            shown=rows["amount"].map("{:.0%}".format),
            y=rows["penalty"],
        ),
        {score: LOOKS[score] for score in SCORES},
        x=("step", "Training step"),
        y="Penalty",
        menu="Units pruned",
        level=0.95,
        across=3,
        hidden=OFF,
        caption="Penalty against training step, with means (solid) and with zeros (dashed).",
    )


@checked
def penalty_rows(table: pd.DataFrame, amounts: Sequence[float] = AMOUNTS) -> pd.DataFrame:
    """The rows of the penalties that :func:`penalties` draws."""
    rows = named(table)
    there = rows["amount"].isin(list(amounts))
    return rows[there | ~there.any()]  # a smaller scale may have measured other fractions


def profiles(table: pd.DataFrame, every: int = 4) -> dict:
    """Performance profiles, with and without the signed scores; of the curve's points, one in ``every``."""
    parts = []
    for panel, left_out in (("All scores", ()), ("Without the signed scores", ("rs", "mrs"))):
        rows = table[~table["score"].isin(list(left_out))]
        if rows["score"].nunique() > 1:
            curves = profile_curves(named(rows)).iloc[:, ::every]
            points = curves.reset_index().melt(list(curves.index.names), var_name="tau", value_name="share")
            parts.append(points.sort_values("replacement", kind="stable").assign(panel=panel))
    rows = pd.concat(parts)
    rows["kind"] = rows["replacement"].map(REPLACED).str.lower()
    return explored(
        rows.assign(curve=rows["score"], y=100 * rows["share"], shown="Points below the threshold (%)"),
        {score: replace(LOOKS[score], marker="") for score in SCORES},
        x=("tau", "τ: 0 is the worst of all, 1 the best"),
        across=2,
        caption="Performance profiles with means (solid) and with zeros (dashed).",
    )  # fmt: skip


def explored(
    rows: pd.DataFrame,
    looks: Mapping[str, Look],
    *,
    x: tuple[str, str],
    across: int,
    caption: str,
    at: str = "",
    y: str = "",
    menu: str = "Shown",
    level: float | None = None,
    hidden: Collection[str] = (),
) -> dict:
    """A figure for each value of the column ``shown``: panels of curves with error bars, and one legend.

    Args:
        rows: a row a point and seed. Column ``y`` is drawn; ``panel`` and ``curve`` say where and as what; ``kind``, if
            there, tells solid, dashed and dotted curves of one look apart.
        looks: which curves are drawn, in what order, and how.
        x: column of the horizontal axis and its title; ``at`` tells points apart where x differs between seeds.
        across: panels side by side.
        caption: what is drawn; how many seeds there are, and what the bars are, is added.
        y: title of the vertical axis; left out: what is shown. Shares and penalties have linear axes, all else has
            logarithmic ones.
        menu: what the list of ``shown`` is called.
        level: of the bars, Student's interval of the mean; None is from the lowest to the highest seed.
        hidden: curves that are off at first.

    Raises InputError for a table that holds none of the curves.
    """
    rows = rows[rows["curve"].isin(list(looks))].assign(kind=rows.get("kind", ""))
    if rows.empty:
        raise InputError(f"no curve to draw: the table holds none of {', '.join(map(str, looks))}")
    panels, kinds, choices = (list(dict.fromkeys(rows[column])) for column in ("panel", "kind", "shown"))
    dashes = dict(zip(filter(None, kinds), LINE_STYLES, strict=False)) | {"": LINE_STYLES[0]}
    seeds, off, figures = rows["seed"].nunique(), 0, {}
    band = level if level and seeds > 2 else RANGE
    for choice in choices:
        title = y or choice
        log = "%" not in title and title != "Penalty"
        here = rows[rows["shown"] == choice]
        points = over_seeds(here, x[0], "y", by=("panel", "curve", "kind"), point=at or None, bands=(band,))
        parts = dict(list(points.groupby(["panel", "curve", "kind"])))
        traces, listed = [], set()
        for panel, name, kind in (key for key in product(panels, looks, kinds) if key in parts):
            label = f"{looks[name].label}, {kind}" if kind else looks[name].label
            trace = {"type": "scatter", "name": label, "legendgroup": label, "showlegend": label not in listed}
            trace |= _numbers(parts[panel, name, kind], log) | _style(looks[name], dashes[kind])
            trace |= {f"{axis}axis": f"{axis}{panels.index(panel) + 1}" for axis in "xy"}
            traces.append(trace | {"visible": "legendonly" if name in hidden else True})
            listed.add(label)  # one entry of the legend stands for a curve in all panels
        off += sum(trace["y"].count(None) for trace in traces)
        drawn = [value for trace in traces for value in trace["y"]]
        layout = _layout(panels, across, {"x": x[1], "y": title}, log, drawn)
        figures[choice] = go.Figure(traces, layout).to_dict()
    bars = f"are {band:.0%} intervals" if band != RANGE else "reach from the lowest seed to the highest"
    caption += f" Points are means over {seeds} seeds, bars {bars}." if seeds > 1 else " One seed."
    caption += f" Left out: {off} points that are zero or not finite." if off else ""
    alt = f"Curves against {x[1].lower()}; panels: {'; '.join(panels)}."
    return {"caption": caption, "alt": alt, "menu": menu, "figures": figures}


def _numbers(points: pd.DataFrame, log: bool) -> dict:
    """A curve and its bars, to a few digits; None for what the axis or JSON does not know."""
    mean = points["mean"].where((points["mean"] > 0) | (not log))
    columns = points["x"], mean, points["high 0"] - mean, mean - points["low 0"]
    x, y, up, down = ([float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in c] for c in columns)
    bars = {"array": up, "arrayminus": down, "symmetric": False, "thickness": 1, "width": 0}
    return {"x": x, "y": y} | ({"error_y": bars} if any(up) or any(down) else {})


def _style(look: Look, dash: str) -> dict:
    own = ",".join(f"{2 * length:g}px" for length in look.dash) if dash == "solid" else ""
    marker = {"symbol": SYMBOLS.get(look.marker), "size": 7, "line": {"color": look.colour, "width": 1}}
    line = {"color": look.colour, "dash": own or dash}
    return {"line": line, "marker": marker, "mode": "lines+markers" if look.marker else "lines"}


def _layout(panels: Sequence[str], across: int, titles: Mapping[str, str], log: bool, drawn: list) -> dict:
    """Named panels with shared scales in a grid, which a narrow page can make a column."""
    sizes = [abs(value) for value in drawn if value]
    wide = max(sizes, default=1) >= 1e5 or (log and min(sizes, default=1) < 1e-3)
    rows, columns = -(-len(panels) // across), min(across, len(panels))
    layout: dict = {
        "template": {},
        "grid": {"rows": rows, "columns": columns, "pattern": "independent"},
        "annotations": [],
        "hovermode": "closest",
        "hoverlabel": {"namelength": -1},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "maxheight": 1},
        "margin": {"l": 60, "r": 10, "t": 30, "b": 60},
    } | dict.fromkeys(("paper_bgcolor", "plot_bgcolor"), "rgba(0,0,0,0)")
    for place, panel in enumerate(panels):
        axis = str(place + 1) if place else ""
        name = {"text": panel, "y": 1, "yanchor": "bottom", "showarrow": False}
        layout["annotations"].append(name | {f"{which}ref": f"{which}{axis} domain" for which in "xy"})
        outer = {"x": place >= len(panels) - across, "y": place % across == 0}
        for which, title in titles.items():
            layout[f"{which}axis{axis}"] = {
                "gridcolor": "#e4e4e4",
                "zerolinecolor": "#cccccc",
                "exponentformat": "power" if wide and which == "y" else "none",
                "hoverformat": ".3~g",
                "matches": which if place else None,
                "title": {"text": title if outer[which] else "", "font": {"size": 12}},
                "type": "log" if log and which == "y" else "linear",
            }
    return layout
