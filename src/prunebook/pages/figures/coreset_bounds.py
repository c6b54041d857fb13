"""What a bound allows and asks for, beside what is seen: from an error to a label, from a share of labels to draws, and
from a sparsity to a guarantee.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from prunebook.pages.figures.coreset_parts import (
    BAND,
    DOTS,
    GREY,
    LOOKS,
    SHAPES,
    SHORT,
    SPARE,
    WAYS,
    ZONE,
    arrow_handles,
    case_looks,
    cells,
    grey,
    handle,
    label_axes,
    log_panels,
    mean_line,
    panels_of_cells,
    percent_axis,
    share_axis,
    shown_of,
    unit_of,
)
from prunebook.pages.figures.layout import grid, legend_below, panel_label
from prunebook.pages.figures.style import INK, Look, in_house_style

CUT = 1_000_000  # draws above which the paper computed nothing


@in_house_style
def label_bands(example: pd.DataFrame, margins: pd.DataFrame) -> Figure:
    """One image's logits with the largest error that cannot change its label, and how much all labels tolerate.

    Left: the ten logits of the held-out image, bands of its own tolerance around them: the two uppermost just touch,
    at the dotted line. The image is that of the difficult circumstance and the lowest seed. Right: share of the
    correct labels that survive any change of the logits by epsilon; bands are the range of epsilon over seeds.
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
    left.set_ylim(logit.min() - 1.6 * epsilon, logit.max() + 1.6 * epsilon)
    panel_label(left, 0, f"An image ({name}), ε = {epsilon:.3g}")
    looks = case_looks(found)
    for label, cell in found:
        style = looks[label].line | {"marker": ""}
        epsilons = cell[cell["unit"] == "additive"].groupby("share")["epsilon"]
        right.plot(epsilons.mean(), list(epsilons.groups), **style)
        if (epsilons.size() > 1).any():
            ends = (epsilons.min(), epsilons.max())
            right.fill_betweenx(list(epsilons.groups), *ends, color=style["color"], **BAND)
    right.axvline(epsilon, color=INK, linewidth=0.9, label="_image")
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
            grey("Largest ε that this image tolerates", color=INK, linewidth=0.9),
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
        layer: Look(
            SPARE[place % len(SPARE)], SHAPES[place % len(SHAPES)], (), f"Layer {layer}, at the output"
        )
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

    A row of panels for the errors of each kind, in its own unit. Errors seen: mean, with a band of one standard
    deviation over points, classes and draws, averaged over seeds. The band is left out where it would reach below
    zero. Other bands are over seeds. Dotted lines across are the number of units or weights there are. Hollow points
    lie beyond the number of draws at which the paper stopped and showed a sparsity of 0; a cross was not sampled here.
    """
    columns = ("kind", "share", "epsilon", "samples", "size", "observed", "observed_sd", "observed_max")
    found = cells(epsilon_first, (*columns, "sparsity", "beyond_cut"), "epsilon_first")
    shown = shown_of(epsilon_first, "kind", kinds, "epsilon_first")
    figure, axes = panels_of_cells(found, len(shown) + 2, 1.5)
    unsampled = False
    for column, (_, cell) in zip(axes.T, found, strict=True):
        for top, kind in zip(column, shown, strict=False):
            part = cell[cell["kind"] == kind]
            if not part.empty:
                _errors(top, part, LOOKS[kind].line)
                unsampled |= _draws(*column[-2:], part, LOOKS[kind].line)
    share_axis(axes, percent=True)
    arrows = log_panels(axes[-2], high=20 * CUT)
    for row in axes[:-2]:
        arrows |= log_panels(row)
    for axis in axes[-2]:
        axis.axhspan(CUT, axis.get_ylim()[1], **ZONE)
    most = epsilon_first.loc[epsilon_first["kind"].isin(shown), "sparsity"].max()
    for axis in axes[-1]:
        axis.set_ylim(-0.05, np.nanmax([0.25, 1.1 * most]))
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    errors = [f"{LOOKS[kind].label}:\n{unit_of(kind)}" for kind in shown]
    label_axes(axes, "Labels to keep (%)", (*errors, "Draws asked for", "Sparsity"))
    handles = [handle(LOOKS[kind]) for kind in shown]
    handles += [grey("Error allowed: ε", linestyle=SHORT), grey("Error seen, mean")]
    handles += [grey("Error seen, largest", linestyle=DOTS, linewidth=0.9)]
    handles += [grey("Size of the layer", linestyle=DOTS)]
    handles += [Patch(**ZONE, label="Beyond the paper's cut-off")]
    handles += [grey("Not sampled", linestyle="", marker="x")] if unsampled else []
    legend_below(figure, handles + arrow_handles(arrows))
    return figure


def _errors(axis: Axes, part: pd.DataFrame, style: dict) -> None:
    """The error allowed, the mean and the largest error seen."""
    means = part.groupby("share")[["epsilon", "observed", "observed_sd", "observed_max"]].mean()
    colour = style["color"]
    axis.plot(means.index, means["epsilon"], color=colour, linestyle=SHORT, label="_epsilon")
    axis.plot(means.index, means["observed"], **style)
    axis.plot(
        means.index, means["observed_max"], color=colour, linestyle=DOTS, linewidth=0.9, label="_largest"
    )
    low, high = (means["observed"] + sign * means["observed_sd"] for sign in (-1, 1))
    axis.fill_between(means.index, low, high, where=low > 0, color=colour, alpha=0.15, linewidth=0)


def _draws(middle: Axes, bottom: Axes, part: pd.DataFrame, style: dict) -> bool:
    """The draws asked for and the sparsity that they leave. Says whether some of them were not sampled."""
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
    drawable = beyond[np.isfinite(beyond["samples"])]  # the line itself gets an arrow elsewhere
    middle.plot(drawable.index, drawable["samples"], **hollow)
    bottom.plot(beyond.index, beyond["sparsity"], **hollow)
    missing = sums.index[sums["sparsity"].isna()]
    bottom.plot(missing, np.zeros(len(missing)), "x", color=style["color"], label="_unsampled")
    return len(missing) > 0


@in_house_style
def guaranteed_accuracy(sparsity_first: pd.DataFrame, ways: Sequence[str] = WAYS) -> Figure:
    """Accuracy and mean error that are seen (solid) and guaranteed (dashed), against sparsity.

    Errors of units and of weights have rows of their own, because they are measured in different units.
    """
    columns = ("way", "ratio", "sparsity", "accuracy", "implied_accuracy", "observed", "epsilon")
    found = cells(sparsity_first, columns, "sparsity_first")
    shown = shown_of(sparsity_first, "way", ways, "sparsity_first")
    units = list(dict.fromkeys(unit_of(way) for way in shown))
    figure, axes = panels_of_cells(found, 1 + len(units), 1.9)
    for column, (_, cell) in zip(axes.T, found, strict=True):
        for way in shown:
            part, style = cell[cell["way"] == way], LOOKS[way].line
            # Hybrid often equals deterministic: the wide line below stays in sight.
            style |= {"linewidth": 2.6, "markersize": 7} if way == "deterministic" else {}
            promised = style | {"linestyle": SHORT, "label": f"_{way}"}
            below = column[1 + units.index(unit_of(way))]
            for axis, seen, bound in (
                (column[0], "accuracy", "implied_accuracy"),
                (below, "observed", "epsilon"),
            ):
                mean_line(axis, part, "sparsity", seen, "ratio", style)
                mean_line(axis, part, "sparsity", bound, "ratio", promised)
    share_axis(axes)
    percent_axis(axes[0])
    arrows = False
    for row in axes[1:]:
        arrows |= log_panels(row)
    names = ["Weights:\nrelative error" if "relative" in unit else f"Units:\n{unit}" for unit in units]
    label_axes(axes, "Sparsity", ("Accuracy", *names))
    handles = [handle(LOOKS[way]) for way in shown]
    legend_below(
        figure, [*handles, grey("Seen"), grey("Guaranteed", linestyle=SHORT), *arrow_handles(arrows)]
    )
    return figure
