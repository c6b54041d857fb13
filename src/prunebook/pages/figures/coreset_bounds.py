"""What a bound allows and asks for, beside what is seen: from an error to a label, from a share of labels to draws, and
from a sparsity to a guarantee.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from prunebook.pages.figures import coreset_parts as parts
from prunebook.pages.figures import style
from prunebook.pages.figures.layout import grid, log_axis, panel_label, share_axis
from prunebook.pages.figures.lines import band_handle, finish, mean_line, off_axis, over_seeds
from prunebook.pages.figures.style import GREY, INK, LOOKS, Look, grey, handle, in_house_style
from prunebook.pages.vocabulary import KINDS

CUT = 1_000_000  # draws above which the paper computed nothing


@in_house_style
def label_bands(example: pd.DataFrame, margins: pd.DataFrame) -> Figure:
    """One image's logits with the largest error that cannot change its label, and how much all labels tolerate.

    Left: the ten logits of the held-out image, bands of its own tolerance around them: the two uppermost just touch,
    at the dotted line. The image is that of the difficult circumstance and the lowest seed. Right: share of the
    correct labels that survive any change of the logits by epsilon; bands are the range of epsilon over seeds.
    """
    images, found = parts.cells(example), parts.cells(margins)
    name, image = next((cell for cell in images if cell[0] == "difficult"), images[0])
    image = image[image["seed"] == image["seed"].min()].sort_values("class")
    figure, ((left, right),) = grid(1, 2, 3.0)
    logit, epsilon = image["logit"].to_numpy(), float(image["epsilon"].iloc[0])
    true = (image["class"] == image["label"]).to_numpy()
    for chosen, colour, marker in ((~true, GREY, "o"), (true, "#d55e00", "D")):
        at = image["class"].to_numpy()[chosen]
        left.bar(at, 2 * epsilon, 0.7, logit[chosen] - epsilon, color=colour, alpha=0.25, linewidth=0)
        label = "Logit of the correct class" if marker == "D" else "Logits of the other classes"
        left.plot(at, logit[chosen], marker, color=colour, markersize=5.5, label=label)
    left.axhline(logit.max() - epsilon, color=INK, linewidth=0.9, linestyle=style.DOTS)
    left.set_xticks(image["class"])
    left.grid(visible=False, axis="x")
    left.set(xlabel="Class", ylabel="Logit")
    left.set_ylim(logit.min() - 1.6 * epsilon, logit.max() + 1.6 * epsilon)
    panel_label(left, 0, f"An image ({name}), ε = {epsilon:.3g}")
    looks = parts.case_looks(found)
    for label, cell in found:  # the share is given and epsilon measured, so that bands lie flat
        curve = over_seeds(cell[cell["unit"] == "additive"], "share", "epsilon")
        right.plot(curve["mean"], curve["x"], **(looks[label].line | {"marker": ""}))
        band = {"color": looks[label].colour} | style.BAND
        right.fill_betweenx(curve["x"], curve["low 0"], curve["high 0"], **band)
        infinite = curve.loc[np.isposinf(curve["mean"]), "x"]
        off_axis(right, infinite, 0.97, "right", looks[label].colour, "x")
        off_axis(right, curve.loc[curve["mean"] <= 0, "x"], 0.03, "left", looks[label].colour, "x")
    right.axvline(epsilon, color=INK, linewidth=0.9, label="_image")
    right.set(xlabel="Additive error ε of every logit", ylabel="Correct labels that stay")
    share_axis([right])
    log_axis(right, "x", 5)
    panel_label(right, 1, "All held-out images")
    handles = [*left.get_legend_handles_labels()[0], band_handle("± ε")]
    handles += [handle(looks[label], marker="") for label, _ in found]
    handles += [grey("Largest ε that this image tolerates", color=INK, linewidth=0.9)]
    return finish(figure, handles, margins)


@in_house_style
def layer_errors(layers: pd.DataFrame) -> Figure:
    """All layers pruned by magnitude: what each layer's largest error can do to the logits, their sum, the truth."""
    found = parts.cells(layers)
    figure, axes = parts.panels_of_cells(found, 1, 2.7)
    numbers = sorted(layers["layer"].unique())
    looks = {
        layer: replace(style.SPARE[k % len(style.SPARE)], dash=(), label=f"Layer {layer}, at the output")
        for k, layer in enumerate(numbers)
    }
    totals = {
        "bound": Look(INK, "", style.SHORT[1], "Sum: the bound"),
        "observed": Look(INK, "", (), "Largest error seen"),
        "observed_mean": Look(INK, "", style.DOTS[1], "Mean error seen"),
    }
    for axis, (_, cell) in zip(axes[0], found, strict=True):
        for layer, part in cell.groupby("layer"):
            mean_line(axis, part, "ratio", "at_output", looks[layer], positive=True)
        for column, look in totals.items():
            whole = cell[cell["layer"] == numbers[0]]
            mean_line(axis, whole, "ratio", column, look, positive=True, linewidth=1.8)
        log_axis(axis, most=5)
    share_axis(axes.flat, "x", few=len(found) > 3)
    parts.label_axes(axes, "Pruning ratio", ["Error of a logit"])
    handles = [*map(handle, looks.values()), *(handle(look, linewidth=1.8) for look in totals.values())]
    return finish(figure, handles, layers)


@in_house_style
def draws_by_share(epsilon_first: pd.DataFrame, kinds: Sequence[str] = ("neurons", "weights")) -> Figure:
    """From the share of the correct labels to keep: the error allowed and seen, the draws asked for, the sparsity.

    A row of panels for the errors of each kind, in its own unit. Errors seen: mean, with a band of one standard
    deviation over points, classes and draws, averaged over seeds. The band is left out where it would reach below
    zero. Other bands are over seeds. Dotted lines across are the number of units or weights there are. Hollow points
    lie beyond the number of draws at which the paper stopped and showed a sparsity of 0; a cross was not sampled here.
    """
    found = parts.cells(epsilon_first)
    shown = parts.shown_of(epsilon_first, "kind", kinds, "epsilon_first")
    figure, axes = parts.panels_of_cells(found, len(shown) + 2, 1.5)
    unsampled = False
    for column, (_, cell) in zip(axes.T, found, strict=True):
        for top, kind in zip(column, shown, strict=False):
            part = cell[cell["kind"] == kind]
            if not part.empty:
                _errors(top, part, LOOKS[kind])
                unsampled |= _draws(*column[-2:], part, LOOKS[kind])
    share_axis(axes.flat, "x", few=len(found) > 3)
    for axis in axes[:-1].flat:
        log_axis(axis, most=5)
    draws = epsilon_first.loc[epsilon_first["kind"].isin(shown) & np.isfinite(epsilon_first["samples"])]
    for axis in axes[-2]:
        axis.set_ylim(top=2 * max(20 * CUT, draws["samples"].max()))
        axis.axhspan(CUT, axis.get_ylim()[1], **style.ZONE)
    most = epsilon_first.loc[epsilon_first["kind"].isin(shown), "sparsity"].max()
    share_axis(axes[-1])
    for axis in axes[-1]:
        axis.set_ylim(-0.05, np.nanmax([0.25, 1.1 * most]))
    errors = [f"{KINDS[kind]}:\n{parts.unit_of(kind)}" for kind in shown]
    parts.label_axes(axes, "Labels to keep", (*errors, "Draws asked for", "Sparsity"))
    handles = [handle(kind) for kind in shown]
    handles += [grey("Error allowed: ε", linestyle=style.SHORT), grey("Error seen, mean")]
    handles += [grey("Error seen, largest", linestyle=style.DOTS, linewidth=0.9)]
    handles += [grey("Size of the layer", linestyle=style.DOTS)]
    handles += [Patch(**style.ZONE, label="Beyond the paper's cut-off")]
    handles += [grey("Not sampled", linestyle="", marker="x")] if unsampled else []
    return finish(figure, handles)


def _errors(axis: Axes, part: pd.DataFrame, look: Look) -> None:
    """The error allowed, the mean and the largest error seen."""
    plain = {"bands": (), "positive": True, "marker": ""}
    mean_line(axis, part, "share", "epsilon", look, linestyle=style.SHORT, label="_epsilon", **plain)
    mean_line(axis, part, "share", "observed", look, bands=(), positive=True)
    largest = {"linestyle": style.DOTS, "linewidth": 0.9, "label": "_largest"}
    mean_line(axis, part, "share", "observed_max", look, **largest, **plain)
    means = part.groupby("share")[["observed", "observed_sd"]].mean()
    low, high = (means["observed"] + sign * means["observed_sd"] for sign in (-1, 1))
    axis.fill_between(means.index, low, high, where=low > 0, color=look.colour, **style.BAND)


def _draws(middle: Axes, bottom: Axes, part: pd.DataFrame, look: Look) -> bool:
    """The draws asked for and the sparsity that they leave. Says whether some of them were not sampled."""
    draws = mean_line(middle, part, "share", "samples", look, positive=True)
    middle.axhline(part["size"].iloc[0], color=look.colour, linestyle=style.DOTS, label="_size")
    sparsity = mean_line(bottom, part, "share", "sparsity", look)
    beyond = part.groupby("share")["beyond_cut"].any().to_numpy()
    hollow = look.hollow | {"label": "_beyond"}
    for axis, found in ((middle, draws), (bottom, sparsity)):
        there = found[beyond & np.isfinite(found["mean"])]
        axis.plot(there["x"], there["mean"], **hollow)
    missing = sparsity.loc[sparsity["mean"].isna(), "x"]
    bottom.plot(missing, np.zeros(len(missing)), "x", color=look.colour, label="_unsampled")
    return len(missing) > 0


@in_house_style
def guaranteed_accuracy(sparsity_first: pd.DataFrame, ways: Sequence[str] = parts.WAYS) -> Figure:
    """Accuracy and mean error that are seen (solid) and guaranteed (dashed), against sparsity.

    Errors of units and of weights have rows of their own, because they are measured in different units.
    """
    found = parts.cells(sparsity_first)
    shown = parts.shown_of(sparsity_first, "way", ways, "sparsity_first")
    units = list(dict.fromkeys(parts.unit_of(way) for way in shown))
    figure, axes = parts.panels_of_cells(found, 1 + len(units), 1.9)
    for column, (_, cell) in zip(axes.T, found, strict=True):
        for way in shown:
            part, by = cell[cell["way"] == way], {"point": "ratio"}
            # Hybrid often equals deterministic: the wide line below stays in sight.
            by |= {"linewidth": 2.6, "markersize": 7} if way == "deterministic" else {}
            promised = by | {"linestyle": style.SHORT, "label": f"_{way}"}
            below = column[1 + units.index(parts.unit_of(way))]
            mean_line(column[0], part, "sparsity", "accuracy", LOOKS[way], **by)
            mean_line(column[0], part, "sparsity", "implied_accuracy", LOOKS[way], **promised)
            mean_line(below, part, "sparsity", "observed", LOOKS[way], positive=True, **by)
            mean_line(below, part, "sparsity", "epsilon", LOOKS[way], positive=True, **promised)
    share_axis(axes.flat, "x", few=len(found) > 3)
    share_axis(axes[0])
    for axis in axes[1:].flat:
        log_axis(axis, most=5)
    names = ["Weights:\nrelative error" if "relative" in unit else f"Units:\n{unit}" for unit in units]
    parts.label_axes(axes, "Sparsity", ("Accuracy", *names))
    kinds = [grey("Seen"), grey("Guaranteed", linestyle=style.SHORT)]
    return finish(figure, [*map(handle, shown), *kinds], sparsity_first)
