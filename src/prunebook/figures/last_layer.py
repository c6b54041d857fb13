"""Pruning the last layer with guarantees: what a bound allows, what it asks for, and what is seen.

Tables may hold several training circumstances: each gets a column, a row or a line. Lines are means over seeds, and
bands reach from the lowest to the highest seed unless a figure says otherwise. On logarithmic axes an arrow at the
edge stands for a value that the axis cannot show: exactly zero, or no finite number.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from prunebook.errors import InputError
from prunebook.figures.layout import column_heads, grid, legend_below, log_axis, number, panel_label
from prunebook.figures.style import INK, Look, in_house_style
from prunebook.figures.tables import need

LOOKS = {
    "neurons": Look("#d55e00", "D", (), "Neurons"),
    "weights": Look("#0072b2", "o", (), "Weights"),
    "weights, ratio": Look("#7a7a1f", "p", (), "Weights, ratio"),
    "weights, CoreNet": Look("#332288", "*", (), "Weights, CoreNet"),
    "sampling": Look("#0072b2", "o", (), "Weights, sampled"),
    "deterministic": Look("#009e73", "s", (), "Weights, deterministic"),
    "hybrid": Look("#b8578f", "^", (), "Weights, hybrid"),
    "gates": Look("#882255", "v", (), "L0 gates"),
    "magnitude": Look("#4d4d4d", "P", (), "Magnitude"),
    "random": Look("#999999", "x", (1.2, 1.8), "Random weights"),
}
BOUNDS = {  # of the number of draws
    "stated": Look("#d55e00", "D", (), "Neurons, as stated"),
    "hoeffding": Look("#882255", "v", (), "Neurons, Hoeffding"),
    "weights": Look("#0072b2", "o", (), "Weights"),
}
INPUTS = {
    "data": Look(INK, "o", (), "Held-out data"),
    "ball": Look("#3fa5dd", "s", (), "Ball"),
    "orthant": Look("#cc3311", "^", (), "Positive part of the ball"),
}
ORDER = ("easy", "moderate", "difficult")
SPARE = ("#3fa5dd", "#7a7a1f", "#332288", "#cc3311", "#5f3d1b", "#666666")  # of cases, and of layers
SHAPES = "osD^vP"
WAYS = ("neurons", "sampling", "deterministic", "hybrid")
CUT = 1_000_000  # draws above which the paper computed nothing
GREY = "#666666"
DOTS = (0, (1, 1.5))
SHORT = (0, (3, 1.5))
_UNITS = "(neurons: of a logit,\nweights: relative)"
_ZONE = {"color": "#cc3311", "alpha": 0.1, "linewidth": 0}


def cells(table: pd.DataFrame, columns: Iterable[str], name: str) -> list[tuple[str, pd.DataFrame]]:
    """The table of each training circumstance: easy, moderate, difficult, then all others as they come.

    The circumstances of another reading than regularisation are named with it where their name alone would not do.
    Raises InputError for a missing column, an empty table, and a table of more than one network.
    """
    need(table, ("reading", "case", "seed", *columns), name)
    for column in ("dataset", "net", "widths"):
        if column in table and table[column].nunique() > 1:
            values = ", ".join(map(str, table[column].unique()))
            raise InputError(f"the table {name} holds several values of {column} ({values}): choose one")
    groups = dict(list(table.groupby(["reading", "case"], sort=False)))
    first = [("regularisation", case) for case in ORDER]
    keys = [key for key in first if key in groups] + [key for key in groups if key not in first]
    return [
        (case if reading in ("regularisation", case) else f"{case}, {reading}", groups[reading, case])
        for reading, case in keys
    ]


def panels_of_cells(found: list, rows: int, height: float, **options) -> tuple[Figure, np.ndarray]:
    """A column of panels for each circumstance, up to four side by side. Axes are (rows, circumstances)."""
    across = len(found) if len(found) <= 4 else 3
    blocks = -(-len(found) // across)
    figure, axes = grid(blocks * rows, across, height, sharex=True, sharey="row", **options)
    for spare in range(len(found), blocks * across):
        for axis in axes[-rows:, spare % across]:
            axis.set_visible(False)
    for block in range(blocks):
        here = axes[block * rows : (block + 1) * rows]
        names = [label for label, _ in found[block * across : (block + 1) * across]]
        column_heads(here[:, : len(names)], names)
        for axis in here[-1]:
            axis.tick_params(labelbottom=True)
    for place, axis in enumerate(axis for axis in axes.flat if axis.get_visible()):
        panel_label(axis, place)
    ordered = axes.reshape(blocks, rows, across).swapaxes(0, 1).reshape(rows, -1)
    return figure, ordered[:, : len(found)]


def label_axes(axes: np.ndarray, x: str, y: Sequence[str]) -> None:
    """Names of the axes: below the last row, and left of the first panel of each line of panels."""
    for axis in axes[-1]:
        axis.set_xlabel(x)
    for row, text in zip(axes, y, strict=True):
        for axis in row:
            if axis.get_subplotspec().is_first_col():
                axis.set_ylabel(text)


def share_axis(axes: np.ndarray, percent: bool = False) -> None:
    """A share from 0 to 1, with fewer ticks in narrow panels."""
    ticks = (0, 0.5, 1) if axes.shape[1] > 3 else (0, 0.25, 0.5, 0.75, 1)
    for axis in axes.flat:
        labels = [f"{100 * tick:g}" if percent else f"{tick:g}".lstrip("0") or "0" for tick in ticks]
        axis.set_xticks(ticks, labels)
        axis.set_xlim(-0.04, 1.04)


def percent_axis(panels: Iterable[Axes]) -> None:
    """A share on the vertical axis, in percent."""
    for axis in panels:
        axis.set_ylim(-0.04, 1.04)
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def log_panels(panels: Iterable[Axes], which: str = "y", *, low=np.inf, high=0.0) -> bool:
    """One logarithmic scale for all panels, around what their lines show and the limits given.

    What cannot be shown gets an arrow at the edge. Says whether there is any.
    """
    panels, arrows = list(panels), False
    lines = [(axis, line) for axis in panels for line in axis.lines]
    data = [np.asarray(getattr(line, f"get_{which}data")(), dtype=float) for _, line in lines]
    shown = np.concatenate([*data, [low, high]])
    shown = shown[np.isfinite(shown) & (shown > 0)]
    if not len(shown):
        raise InputError("no finite positive value to draw on a logarithmic axis")
    low, high = shown.min(), shown.max()
    room = max((high / low) ** 0.06, 1.1)
    for axis in panels:
        getattr(axis, f"set_{which}lim")(low / room, high * room)
        log_axis(axis, which, 5)
    for (axis, line), values in zip(lines, data, strict=True):
        other = np.asarray(getattr(line, f"get_{'x' if which == 'y' else 'y'}data")(), dtype=float)
        for out, place, arrow in ((values <= 0, 0.03, "down left"), (np.isposinf(values), 0.97, "up right")):
            if out.any():
                arrows = True
                _arrow(axis, which, other[out], place, arrow.split()[which == "x"], line.get_color())
    return arrows


def _arrow(axis: Axes, which: str, at: np.ndarray, place: float, arrow: str, colour) -> None:
    edge = np.full(len(at), place)
    axis.plot(
        *((at, edge) if which == "y" else (edge, at)),
        linestyle="",
        marker=rf"$\{arrow}arrow$",
        markersize=8,
        color=colour,
        label="_arrow",
        transform=axis.get_xaxis_transform() if which == "y" else axis.get_yaxis_transform(),
        zorder=5,
    )


def arrow_handles(arrows: bool) -> list[Line2D]:
    """The legend's entry for arrows, if there are any."""
    label = "Off the axis: zero or not finite"
    return [Line2D([], [], color=GREY, linestyle="", marker=r"$\downarrow$", label=label)] if arrows else []


def mean_line(axis: Axes, table: pd.DataFrame, x: str, y: str, by: str, style: dict) -> None:
    """Means over seeds, with a band from the lowest to the highest. A seed without a number is not left out."""
    groups = table.groupby(by)
    at = groups[x].mean()
    axis.plot(at, groups[y].agg(lambda values: values.mean(skipna=False)), **style)
    if (groups.size() > 1).any():
        axis.fill_between(
            at, groups[y].min(), groups[y].max(), color=style["color"], alpha=0.15, linewidth=0
        )


def shown_of(table: pd.DataFrame, column: str, wanted: Sequence[str], name: str) -> list[str]:
    """Those of ``wanted`` that the table holds. Raises InputError where it holds none, or where one has no look."""
    if unknown := [value for value in wanted if value not in LOOKS]:
        raise InputError(f"nothing called {', '.join(unknown)} to draw: choose among {', '.join(LOOKS)}")
    there = set(table[column])
    found = [value for value in wanted if value in there]
    if not found:
        raise InputError(f"the table {name} holds none of {', '.join(wanted)}: it holds {sorted(there)}")
    return found


def case_looks(found: list) -> dict[str, Look]:
    """A look for each circumstance, by its place in the order."""
    return {
        label: Look(SPARE[place % len(SPARE)], SHAPES[place % len(SHAPES)], (), label[0].upper() + label[1:])
        for place, (label, _) in enumerate(found)
    }


def handle(look: Look, **changes) -> Line2D:
    """Entry of a look in the legend."""
    return Line2D([], [], **(look.line | changes))


def grey(label: str, **style) -> Line2D:
    """Entry of a kind of line, whatever its colour."""
    return Line2D([], [], **({"color": GREY, "label": label} | style))


@in_house_style
def label_bands(example: pd.DataFrame, margins: pd.DataFrame) -> Figure:
    """One image's logits with the largest error that cannot change its label, and how much all labels tolerate.

    Left: the ten logits of the held-out image, bands of its own tolerance around them: the two uppermost just touch.
    The image is that of the difficult circumstance and the lowest seed. Right: share of the correct labels that
    survive any change of the logits by epsilon.
    """
    images = cells(example, ("class", "logit", "label", "epsilon"), "example")
    found = cells(margins, ("unit", "share", "epsilon"), "margins")
    name, image = next((cell for cell in images if cell[0] == "difficult"), images[0])
    image = image[image["seed"] == image["seed"].min()].sort_values("class")
    figure, axes = grid(1, 2, 3.0)
    left, right = axes[0]
    logit, epsilon = image["logit"].to_numpy(), float(image["epsilon"].iloc[0])
    true = (image["class"] == image["label"]).to_numpy()
    for chosen, colour, marker in ((~true, GREY, "o"), (true, "#d55e00", "D")):
        at = image["class"].to_numpy()[chosen]
        left.bar(at, 2 * epsilon, 0.7, logit[chosen] - epsilon, color=colour, alpha=0.25, linewidth=0)
        label = "Logit of the correct class" if marker == "D" else "Logits of the other classes"
        left.plot(at, logit[chosen], marker, color=colour, markersize=5.5, label=label)
    left.axhline(logit.max() - epsilon, color=INK, linewidth=0.9, linestyle=DOTS)
    left.set_xticks(image["class"])
    left.grid(visible=False, axis="x")
    left.set(xlabel="Class", ylabel="Logit")
    panel_label(left, 0, f"An image, ε = {epsilon:.3g}")
    looks = case_looks(found)
    for label, cell in found:
        style = looks[label].line | {"marker": ""}
        additive = cell[(cell["unit"] == "additive")]
        mean_line(right, additive, "epsilon", "share", "share", style)
    if name in looks:
        right.plot(epsilon, 0.5, "o", color=looks[name].colour, markersize=6, label="_image")
    right.set(xlabel="Additive error ε of every logit", ylabel="Correct labels that stay")
    percent_axis([right])
    arrows = log_panels([right], "x")
    panel_label(right, 1, "All held-out images")
    legend_below(
        figure,
        [
            *left.get_legend_handles_labels()[0],
            Patch(color=GREY, alpha=0.25, linewidth=0, label="± ε"),
            *(handle(looks[label], marker="") for label, _ in found),
            *arrow_handles(arrows),
        ],
    )
    return figure


@in_house_style
def layer_errors(layers: pd.DataFrame) -> Figure:
    """All layers pruned by magnitude: what each layer's largest error can do to the logits, their sum, the truth."""
    found = cells(layers, ("ratio", "layer", "at_output", "bound", "observed", "observed_mean"), "layers")
    figure, axes = panels_of_cells(found, 1, 2.7)
    numbers = sorted(layers["layer"].unique())
    looks = {
        layer: Look(SPARE[place % len(SPARE)], SHAPES[place % len(SHAPES)], (), f"Layer {layer}, at the output")
        for place, layer in enumerate(numbers)
    }
    totals = {
        "bound": {"color": INK, "linestyle": SHORT, "linewidth": 1.8, "label": "Sum: the bound"},
        "observed": {"color": INK, "linewidth": 1.8, "label": "Largest error seen"},
        "observed_mean": {"color": INK, "linestyle": DOTS, "linewidth": 1.8, "label": "Mean error seen"},
    }
    for axis, (_, cell) in zip(axes[0], found, strict=True):
        for layer, part in cell.groupby("layer"):
            mean_line(axis, part, "ratio", "at_output", "ratio", looks[layer].line)
        whole = cell[cell["layer"] == numbers[0]]
        for column, style in totals.items():
            mean_line(axis, whole, "ratio", column, "ratio", style)
    share_axis(axes)
    arrows = log_panels(axes.flat)
    label_axes(axes, "Pruning ratio", ["Error of a logit"])
    handles = [*map(handle, looks.values()), *(Line2D([], [], **style) for style in totals.values())]
    legend_below(figure, handles + arrow_handles(arrows))
    return figure


@in_house_style
def draws_by_share(epsilon_first: pd.DataFrame, kinds: Sequence[str] = ("neurons", "weights")) -> Figure:
    """From the share of the correct labels to keep: the error allowed and seen, the draws asked for, the sparsity.

    Errors seen: mean, with a band of one standard deviation over points, classes and draws, averaged over seeds.
    Other bands are over seeds. Dotted lines across are the number of units or weights there are. Hollow points lie
    beyond the number of draws at which the paper stopped and showed a sparsity of 0; a cross was not sampled here.
    """
    columns = ("kind", "share", "epsilon", "samples", "size", "observed", "observed_sd", "observed_max")
    found = cells(epsilon_first, (*columns, "sparsity", "beyond_cut"), "epsilon_first")
    shown = shown_of(epsilon_first, "kind", kinds, "epsilon_first")
    figure, axes = panels_of_cells(found, 3, 1.75)
    unsampled = False
    for (top, middle, bottom), (_, cell) in zip(axes.T, found, strict=True):
        for kind in shown:
            part, style = cell[cell["kind"] == kind], LOOKS[kind].line
            if part.empty:
                continue
            _errors(top, part, style)
            mean_line(middle, part, "share", "samples", "share", style)
            middle.axhline(part["size"].iloc[0], color=style["color"], linestyle=DOTS, label="_size")
            mean_line(bottom, part, "share", "sparsity", "share", style)
            sums = part.groupby("share")[["samples", "sparsity"]].agg(lambda v: v.mean(skipna=False))
            beyond = sums[part.groupby("share")["beyond_cut"].any()]
            hollow = style | {
                "linestyle": "",
                "markerfacecolor": "white",
                "markeredgecolor": style["color"],
                "markeredgewidth": 1.1,
                "label": "_beyond",
            }
            middle.plot(beyond.index, beyond["samples"], **hollow)
            bottom.plot(beyond.index, beyond["sparsity"], **hollow)
            missing = sums.index[sums["sparsity"].isna()]
            unsampled |= len(missing) > 0
            bottom.plot(missing, np.zeros(len(missing)), "x", color=style["color"], label="_unsampled")
    share_axis(axes, percent=True)
    arrows = log_panels(axes[0])
    arrows |= log_panels(axes[1], high=20 * CUT)
    for axis in axes[1]:
        axis.axhspan(CUT, axis.get_ylim()[1], **_ZONE)
    for axis in axes[2]:
        axis.set_ylim(-0.05, max(0.25, 1.1 * epsilon_first.loc[_in(epsilon_first, shown), "sparsity"].max()))
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    label_axes(axes, "Labels to keep (%)", (f"Error {_UNITS}", "Draws asked for", "Sparsity"))
    handles = [handle(LOOKS[kind]) for kind in shown]
    handles += [grey("Error allowed: ε", linestyle=SHORT), grey("Error seen, mean")]
    handles += [grey("Error seen, largest", linestyle=DOTS, linewidth=0.9), grey("Layer size", linestyle=DOTS)]
    handles += [Patch(**_ZONE, label="Beyond the paper's cut-off")]
    handles += [grey("Not sampled", linestyle="", marker="x")] if unsampled else []
    legend_below(figure, handles + arrow_handles(arrows))
    return figure


def _in(table: pd.DataFrame, kinds: Sequence[str]) -> pd.Series:
    return table["kind"].isin(kinds)


def _errors(axis: Axes, part: pd.DataFrame, style: dict) -> None:
    """The error allowed, the mean and the largest error seen."""
    means = part.groupby("share")[["epsilon", "observed", "observed_sd", "observed_max"]].mean()
    colour = style["color"]
    axis.plot(means.index, means["epsilon"], color=colour, linestyle=SHORT, label="_epsilon")
    axis.plot(means.index, means["observed"], **style)
    axis.plot(
        means.index, means["observed_max"], color=colour, linestyle=DOTS, linewidth=0.9, label="_largest"
    )
    low = (means["observed"] - means["observed_sd"]).clip(lower=1e-300)  # below zero: to the end of the axis
    high = means["observed"] + means["observed_sd"]
    axis.fill_between(means.index, low, high, color=colour, alpha=0.15, linewidth=0)


@in_house_style
def guaranteed_accuracy(sparsity_first: pd.DataFrame, ways: Sequence[str] = WAYS) -> Figure:
    """Accuracy and mean error that are seen (solid) and guaranteed (dashed), against sparsity."""
    columns = ("way", "ratio", "sparsity", "accuracy", "implied_accuracy", "observed", "epsilon")
    found = cells(sparsity_first, columns, "sparsity_first")
    shown = shown_of(sparsity_first, "way", ways, "sparsity_first")
    figure, axes = panels_of_cells(found, 2, 2.2)
    for (top, bottom), (_, cell) in zip(axes.T, found, strict=True):
        for way in shown:
            part, style = cell[cell["way"] == way], LOOKS[way].line
            # Hybrid often equals deterministic: the wide line below stays in sight.
            style |= {"linewidth": 2.6, "markersize": 7} if way == "deterministic" else {}
            promised = style | {"linestyle": SHORT, "label": f"_{way}"}
            for axis, seen, bound in (
                (top, "accuracy", "implied_accuracy"),
                (bottom, "observed", "epsilon"),
            ):
                mean_line(axis, part, "sparsity", seen, "ratio", style)
                mean_line(axis, part, "sparsity", bound, "ratio", promised)
    share_axis(axes)
    percent_axis(axes[0])
    arrows = log_panels(axes[1])
    label_axes(axes, "Sparsity", ("Accuracy", f"Error {_UNITS}"))
    handles = [handle(LOOKS[way]) for way in shown]
    legend_below(
        figure, [*handles, grey("Seen"), grey("Guaranteed", linestyle=SHORT), *arrow_handles(arrows)]
    )
    return figure


@in_house_style
def other_inputs(inputs: pd.DataFrame) -> Figure:
    """Mean (filled) and largest (hollow) error of sampled units on data and on points of the ball, and epsilon.

    The same sampled units see all inputs. Means over seeds; a line joins the mean and the largest error.
    """
    found = cells(inputs, ("inputs", "epsilon", "error", "error_max"), "inputs")
    kinds = [kind for kind in INPUTS if kind in set(inputs["inputs"])]
    if len(kinds) < inputs["inputs"].nunique():
        raise InputError(f"inputs must be of {', '.join(INPUTS)}, not {sorted(set(inputs['inputs']))}")
    figure, axes = grid(1, 1, 0.5 + 0.62 * len(found))
    axis = axes[0, 0]
    for row, (_, cell) in enumerate(found):
        means = cell.groupby("inputs")[["error", "error_max", "epsilon"]].mean()
        epsilon = cell.groupby("seed")["epsilon"].first().mean()
        axis.plot([epsilon] * 2, [row - 0.4, row + 0.4], color=INK, linewidth=2.6, label="_epsilon")
        for place, kind in enumerate(kinds):
            if kind not in means.index:
                continue
            look, y = INPUTS[kind], row + 0.26 * (place - (len(kinds) - 1) / 2)
            low, high = means.loc[kind, ["error", "error_max"]]
            axis.plot([low, high], [y, y], color=look.colour, linewidth=1.2, label="_range")
            axis.plot([low], [y], **look.points)
            hollow = {"markerfacecolor": "white", "markeredgecolor": look.colour, "markeredgewidth": 1.2}
            axis.plot([high], [y], **(look.points | hollow | {"label": f"_{kind}"}))
    axis.set_yticks(range(len(found)), [label for label, _ in found])
    axis.set_ylim(len(found) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
    axis.set_xlabel("Error of a logit")
    arrows = log_panels([axis], "x")
    handles = [Line2D([], [], **INPUTS[kind].points) for kind in kinds]
    handles += [grey("Mean", linestyle="", marker="o")]
    handles += [grey("Largest", linestyle="", marker="o", markerfacecolor="white")]
    handles += [Line2D([], [], color=INK, linewidth=2.6, label="Error allowed: ε"), *arrow_handles(arrows)]
    legend_below(figure, handles)
    return figure


@in_house_style
def scaling(table: pd.DataFrame) -> Figure:
    """The last layer times alpha: draws that half of the labels ask for, and whether the error allowed is kept.

    A thin line a circumstance, told apart by dashes. Right: largest error over points and classes, averaged over
    draws, over the error allowed: above 1 the guarantee is broken.
    """
    found = cells(table, ("bound", "alpha", "samples", "largest_over_epsilon"), "scaling")
    if unknown := set(table["bound"]) - set(BOUNDS):
        raise InputError(f"no bound {', '.join(sorted(unknown))} to draw: choose among {', '.join(BOUNDS)}")
    dashes = ["-", SHORT, DOTS, (0, (5, 1.5, 1, 1.5)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2))]
    figure, axes = grid(1, 2, 3.0)
    left, right = axes[0]
    for place, (_, cell) in enumerate(found):
        for bound, look in BOUNDS.items():
            part = cell[cell["bound"] == bound]
            style = look.line | {"linewidth": 1.0, "linestyle": dashes[place % len(dashes)]}
            if not part.empty:
                mean_line(left, part, "alpha", "samples", "alpha", style)
            if part["largest_over_epsilon"].notna().any():
                mean_line(right, part, "alpha", "largest_over_epsilon", "alpha", style)
    right.axhline(1, color=INK, linewidth=1.1, label="_one")
    arrows = log_panels([left]) | log_panels([right], high=3)
    right.axhspan(1, right.get_ylim()[1], **_ZONE)
    right.text(0.03, 0.97, "guarantee broken", transform=right.transAxes, va="top", color="#a32a0e")
    for axis in axes[0]:
        log_panels([axis], "x", low=table["alpha"].min(), high=table["alpha"].max())
        axis.set_xlabel("Last layer times α")
    left.set_ylabel("Draws asked for")
    right.set_ylabel("Largest error / ε")
    panel_label(left, 0), panel_label(right, 1)
    handles = [handle(look) for bound, look in BOUNDS.items() if bound in set(table["bound"])]
    handles += [
        grey(label[0].upper() + label[1:], linestyle=dashes[place % len(dashes)])
        for place, (label, _) in enumerate(found)
    ]
    legend_below(figure, handles + arrow_handles(arrows))
    return figure


@in_house_style
def waterfall(table: pd.DataFrame) -> Figure:
    """From the stated bound to what a typical point sees, one factor of the bound after the other measured.

    Bars are geometric means over circumstances and seeds, points those of each circumstance. Right of each bar: its
    length over the one above. A factor above 1 means that what was replaced had been too small.
    """
    found = cells(table, ("kind", "order", "name", "epsilon"), "waterfall")
    kinds = shown_of(table, "kind", list(dict.fromkeys(table["kind"])), "waterfall")
    looks = case_looks(found)
    most = table.groupby("kind")["name"].nunique().max()
    figure, axes = grid(1, len(kinds), 0.7 + 0.33 * most)
    arrows = False
    for place, (axis, kind) in enumerate(zip(axes[0], kinds, strict=True)):
        part = table[table["kind"] == kind]
        steps = part.groupby("order")["name"].first()
        bars = part.groupby("order")["epsilon"].agg(_geometric)
        for label, cell in found:
            points = cell[cell["kind"] == kind].groupby("order")["epsilon"].agg(_geometric)
            style = looks[label].points | {"color": INK, "markersize": 4.5}
            axis.plot(points, steps.index.get_indexer(points.index), **style, zorder=4)
        arrows |= log_panels([axis], "x", low=bars.min() / 2)
        start = axis.get_xlim()[0]
        finite = bars.where(np.isfinite(bars), axis.get_xlim()[1])
        axis.barh(range(len(bars)), finite - start, 0.62, start, color=LOOKS[kind].colour, alpha=0.4)
        factors = (bars / bars.shift()).to_numpy()
        for row, factor in enumerate(factors[1:], 1):
            axis.annotate(
                _times(factor),
                (1, row),
                (4, 0),
                xycoords=axis.get_yaxis_transform(),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
        axis.set_yticks(range(len(bars)), steps)
        axis.set_ylim(len(bars) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        axis.set_xlabel("Error of a logit" if kind == "neurons" else "Relative error")
        panel_label(axis, place, LOOKS[kind].label)
    handles = [Line2D([], [], **(look.points | {"color": INK})) for look in looks.values()]
    bar = Patch(color=GREY, alpha=0.4, label="Mean, with the factor to the bar above")
    legend_below(figure, [*handles, bar, *arrow_handles(arrows)])
    return figure


def _geometric(values: pd.Series) -> float:
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(values).mean(skipna=False)))


def _times(factor: float) -> str:
    """A factor in words: a division below 1."""
    if not np.isfinite(factor) or factor <= 0:
        return "–"
    return f"× {number(float(f'{factor:.2g}'))}" if factor >= 1 else f"÷ {number(float(f'{1 / factor:.2g}'))}"
