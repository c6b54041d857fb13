"""What a bound allows and asks for, beside what is seen: from an error to a label, from a share of labels to draws, and
from a sparsity to a guarantee; and how tight it is, on inputs other than data, under scaling, and factor by factor.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.pages.figures import coreset_parts as parts
from prunebook.pages.figures.curves import Axis, Curves, finish, off_axis, over_seeds
from prunebook.pages.figures.dots import dots
from prunebook.pages.figures.layout import Drawing, grid, log_axis, panel_label, share_axis
from prunebook.pages.figures.style import (
    BAND,
    DOTS,
    GREY,
    INK,
    LOOKS,
    RED,
    SHORT,
    SPARE,
    ZONE,
    Look,
    band_handle,
    grey,
    handle,
    in_house_style,
    zone_handle,
)  # fmt: skip
from prunebook.pages.numbers import factor
from prunebook.pages.vocabulary import KINDS

CUT = 1_000_000  # draws above which the paper computed nothing
BOUNDS = {  # of the number of draws
    "stated": Look("#d55e00", "D", (), "Units, as stated"),
    "hoeffding": Look("#882255", "v", (), "Units, Hoeffding"),
    "weights": LOOKS["weights"],
}
INPUTS = {
    "data": Look(INK, "o", (), "Held-out data"),
    "ball": Look("#3fa5dd", "s", (), "Ball"),
    "orthant": Look(RED, "^", (), "Positive part of the ball"),
}
STEPS = {  # of the waterfall, in words that fit beside it
    "bound as stated": "As stated, all the ball",
    "all points": "Hoeffding, all images",
    "one pair": "One image, one class",
    "bound, all at once": "Bernstein, all images",
    "one event": "One image, class, sign",
    "exact variance": "Exact variance, worst",
    "Gaussian": "Normal tail",
    "both signs": "Both signs together",
    "Monte Carlo": "Real draws",
    "typical point": "Median image",
}
TOTALS = {
    "bound": Look(INK, "", SHORT[1], "Sum: the bound"),
    "observed": Look(INK, "", (), "Largest error seen"),
    "observed_mean": Look(INK, "", DOTS[1], "Mean error seen"),
}
KEEP, SPARSITY = Axis("Labels to keep", "share"), Axis("Sparsity", "share")


@in_house_style
def label_bands(example: pd.DataFrame, margins: pd.DataFrame) -> Drawing:
    """One image's logits with the largest error that cannot change its label, and how much all labels tolerate.

    Left: the ten logits of the held-out image, bands of its own tolerance around them: the two uppermost just touch,
    at the dotted line. The image is that of the difficult circumstance and the lowest seed. Right: share of the
    correct labels that survive any change of the logits by epsilon; bands are intervals of epsilon.
    """
    images, (found, looks) = parts.cells(example), parts.by_case(margins)
    found = found[found["unit"] == "additive"]
    name, image = next((cell for cell in images if cell[0] == "difficult"), images[0])
    image = image[image["seed"] == image["seed"].min()].sort_values("class")
    figure, ((left, right),) = grid(1, 2, 3.0)
    logits, epsilon = image["logit"], float(image["epsilon"].iloc[0])
    second = image.index[logits.argsort()].to_list()[-2]
    roles = image.index.map({second: "Runner-up"} | {image.index[logits.argmax()]: "Largest logit"}).fillna(
        "Other logits"
    )
    colours = {"Largest logit": ("#d55e00", "D"), "Runner-up": ("#0072b2", "s"), "Other logits": (GREY, "o")}
    for role, (colour, marker) in colours.items():
        mine = image[roles == role]
        left.bar(mine["class"], 2 * epsilon, 0.7, mine["logit"] - epsilon, color=colour, alpha=0.25, linewidth=0)
        left.plot(mine["class"], mine["logit"], marker, color=colour, markersize=5.5, label=role)
    left.axhline(logits.max() - epsilon, color=INK, linewidth=0.9, linestyle=DOTS)
    left.set_xticks(image["class"])
    left.grid(visible=False, axis="x")
    left.set(xlabel="Class", ylabel="Logit", ylim=(logits.min() - 1.6 * epsilon, logits.max() + 1.6 * epsilon))
    panel_label(left, 0, f"An image ({name}), ε = {epsilon:.3g}")
    for label, cell in found.groupby("cell", sort=False):  # the share is given and epsilon measured: bands lie flat
        curve = over_seeds(cell.assign(x=cell["share"], y=cell["epsilon"]))
        right.plot(curve["mean"], curve["x"], **(looks[label].line | {"marker": ""}))
        right.fill_betweenx(curve["x"], curve["low"], curve["high"], color=looks[label].colour, **BAND)
        off_axis(right, curve.loc[np.isposinf(curve["mean"]), "x"], 0.97, "right", looks[label].colour, "x")
        off_axis(right, curve.loc[curve["mean"] <= 0, "x"], 0.03, "left", looks[label].colour, "x")
    right.axvline(epsilon, color=INK, linewidth=0.9, label="_image")
    right.set(xlabel="Additive error ε of every logit", ylabel="Correct labels that stay")
    share_axis([right])
    log_axis(right, "x", 5)
    panel_label(right, 1, "All held-out images")
    figure.numbers = pd.concat([
        image.assign(panel="a")[["panel", "class", "logit", "epsilon"]],
        found.assign(panel="b")[["panel", "cell", "share", "epsilon", "seed"]],
    ])  # fmt: skip
    figure.note = f"b: means over {found['seed'].nunique()} seeds with 95 % intervals."
    handles = [*left.get_legend_handles_labels()[0], band_handle("± ε")]
    handles += [handle(look, marker="") for look in looks.values()]
    return finish(figure, [*handles, grey("Largest ε that this image tolerates", color=INK, linewidth=0.9)])


@in_house_style
def layer_errors(layers: pd.DataFrame) -> Drawing:
    """All layers pruned by magnitude: what each layer's largest error can do to the logits, their sum, the truth."""
    rows, _ = parts.by_case(layers)
    numbers = sorted(layers["layer"].unique())
    looks = {
        n: replace(SPARE[k % len(SPARE)], dash=(), label=f"Layer {n}, at the output") for k, n in enumerate(numbers)
    }
    whole = rows[rows["layer"] == numbers[0]]
    rows = pd.concat([
        rows.assign(curve=rows["layer"], y=rows["at_output"]),
        *(whole.assign(curve=column, y=whole[column]) for column in TOTALS),
    ])  # fmt: skip
    y = {"": Axis("Error of a logit", "log")}
    return Curves(
        rows.assign(panel=rows["cell"], x=rows["ratio"]), looks | TOTALS, Axis("Pruning ratio", "share"), y
    ).draw()


@in_house_style
def draws_by_share(epsilon_first: pd.DataFrame, kinds: Sequence[str] = ("neurons", "weights")) -> Drawing:
    """From the share of the correct labels to keep: the error allowed and seen, the draws asked for, the sparsity.

    A row of panels a kind, each error in its own unit. Where draws are shaded and points of the sparsity hollow, the
    paper had stopped and showed a sparsity of 0; a cross was not sampled here. The dotted line across is the number of
    units or weights there are.
    """
    table, looks = parts.by_case(epsilon_first)
    shown = parts.shown_of(table, "kind", kinds, "epsilon_first")
    draws, rows = Axis("Draws asked for", "log"), []
    for kind in shown:
        part, name = table[table["kind"] == kind], KINDS[kind]
        columns = {"epsilon": "Allowed, ε", "observed": "Seen, mean", "observed_max": "Seen, largest"}
        rows += [
            part.assign(panel=f"{name}: error", quantity=f"error {parts.unit_of(kind)}", kind=label, y=part[column])
            for column, label in columns.items()
        ]
        rows += [part.assign(panel=f"{name}: draws", quantity="draws", kind="Seen, mean", y=part["samples"])]
        rows += [
            part.assign(panel=f"{name}: sparsity", quantity="sparsity", kind="Seen, mean", y=100 * part["sparsity"])
        ]
    y = {f"error {unit}": Axis(unit.capitalize(), "log") for unit in dict.fromkeys(map(parts.unit_of, shown))}
    y |= {"draws": draws, "sparsity": Axis("Sparsity (%)")}
    rows = pd.concat(rows).assign(x=lambda rows: rows["share"], curve=lambda rows: rows["cell"])
    curves = Curves(rows, looks, KEEP, y, kinds={"Seen, mean": 0, "Allowed, ε": 1, "Seen, largest": 2})
    hollow = {"linestyle": "", "markerfacecolor": "white", "markeredgewidth": 1.2, "zorder": 4}
    marks = [grey("Size of the layer", linestyle=DOTS, color=INK), zone_handle("Beyond the paper's cut-off")]
    marks += [grey("Sparsity beyond the cut-off", marker="o", **hollow)] if table["beyond_cut"].any() else []
    marks += [grey("Not sampled", marker="x", linestyle="")] if table["sparsity"].isna().any() else []
    figure = curves.draw(*marks)
    for place, kind in enumerate(shown):
        part, panel = table[table["kind"] == kind], figure.axes[3 * place + 1]
        panel.axhspan(CUT, max(panel.get_ylim()[1], 20 * CUT), **ZONE)
        size = part["size"].iloc[0]
        panel.axhline(size, color=INK, linestyle=DOTS, label="_size")
        panel.set_ylim(bottom=min(size / 2, panel.get_ylim()[0]))
        for label, cell in part.groupby("cell"):
            look = looks[label]
            found = over_seeds(cell.assign(x=cell["share"], y=100 * cell["sparsity"])).set_index("x")["mean"]
            beyond = found[cell.groupby("share")["beyond_cut"].any()].dropna()
            style = look.points | hollow | {"markeredgecolor": look.colour, "label": "_beyond"}
            figure.axes[3 * place + 2].plot(beyond.index, beyond, **style)
            missing = found[found.isna()].fillna(0)
            figure.axes[3 * place + 2].plot(missing.index, missing, "x", color=look.colour, label="_unsampled")
    return figure


@in_house_style
def guaranteed_accuracy(sparsity_first: pd.DataFrame, ways: Sequence[str] = parts.WAYS) -> Drawing:
    """Accuracy and mean error that are seen (solid) and guaranteed (dashed), against sparsity: a column a way.

    Errors of units and of weights have axes of their own, because they are measured in different units.
    """
    table, looks = parts.by_case(sparsity_first)
    shown = parts.shown_of(table, "way", ways, "sparsity_first")
    rows = pd.concat(
        part.assign(
            panel=LOOKS[way].label.replace(", ", ",\n") + suffix,
            quantity=quantity or parts.unit_of(way),
            kind=kind,
            y=part[column],
        )
        for suffix, quantity, columns in (
            ("", "accuracy", {"accuracy": "Seen", "implied_accuracy": "Guaranteed"}),
            (": error", "", {"observed": "Seen", "epsilon": "Guaranteed"}),
        )
        for way, part in ((way, table[table["way"] == way]) for way in shown)
        for column, kind in columns.items()
    )
    y = {"accuracy": Axis("Accuracy", "share")}
    y |= {unit: Axis(unit.capitalize(), "log") for unit in dict.fromkeys(map(parts.unit_of, shown))}
    rows = rows.assign(x=rows["sparsity"], point=rows["ratio"], curve=rows["cell"])
    return Curves(rows, looks, SPARSITY, y, len(shown)).draw()


@in_house_style
def other_inputs(inputs: pd.DataFrame) -> Drawing:
    """Mean and largest error of sampled units over the error allowed, on data and on points of the ball.

    The same sampled units see all inputs. At 1 the bound would be tight.
    """
    if unknown := set(inputs["inputs"]) - set(INPUTS):
        raise InputError(f"inputs must be of {', '.join(INPUTS)}, not {sorted(unknown)}")
    table, _ = parts.by_case(inputs)
    rows = pd.concat(
        table.assign(panel=panel, x=table[column] / table["epsilon"])
        for column, panel in (("error", "Mean error"), ("error_max", "Largest error"))
    )
    rows = rows.assign(row=rows["cell"], curve=rows["inputs"])
    return dots(rows, INPUTS, Axis("Error over the error allowed, ε", "log"), levels=(1,), across=2, height=0.55)


@in_house_style
def scaling(table: pd.DataFrame) -> Drawing:
    """The last layer times alpha: draws that half of the labels ask for, and whether the error allowed is kept.

    One bound a panel, and a curve a circumstance. The last two panels are the largest error over points and classes,
    averaged over draws, over the error allowed: above 1 the guarantee is broken.
    """
    rows, looks = parts.by_case(table)
    if unknown := set(rows["bound"]) - set(BOUNDS):
        raise InputError(f"no bound {', '.join(sorted(unknown))} to draw: choose among {', '.join(BOUNDS)}")
    there = {bound: rows[rows["bound"] == bound] for bound in BOUNDS if (rows["bound"] == bound).any()}
    found = [
        part.assign(panel=BOUNDS[bound].label, y=part["samples"], quantity="draws") for bound, part in there.items()
    ]
    found += [
        part.assign(panel=f"{BOUNDS[bound].label}: error", y=part["largest_over_epsilon"], quantity="error")
        for bound, part in there.items()
        if part["largest_over_epsilon"].notna().any()
    ]
    found = pd.concat(found).assign(x=lambda rows: rows["alpha"], curve=lambda rows: rows["cell"])
    y = {"draws": Axis("Draws asked for", "log"), "error": Axis("Largest error / ε", "log", level=1)}
    figure = Curves(found, looks, Axis("Last layer times α", "log"), y).draw(zone_handle("Guarantee broken"))
    for panel in figure.axes[len(there) :]:
        panel.axhspan(1, max(3, panel.get_ylim()[1]), **ZONE)
    return figure


@in_house_style
def waterfall(table: pd.DataFrame) -> Drawing:
    """From the stated bound to what a typical point sees, one factor of the bound after the other measured.

    Everything is a multiple of the error that the bound allows. Written at each step: the factor to the one above.
    Above 1, what was replaced had been too small.
    """
    rows, looks = parts.by_case(table)
    kinds = parts.shown_of(rows, "kind", list(dict.fromkeys(rows["kind"])), "waterfall")
    rows = rows.sort_values(
        ["kind", "order"], key=lambda v: v.map(kinds.index) if v.name == "kind" else v, kind="stable"
    )
    first = rows[rows["order"] == rows["order"].min()].set_index(["kind", "cell", "seed"])["epsilon"]
    start = first.reindex(pd.MultiIndex.from_frame(rows[["kind", "cell", "seed"]])).to_numpy()
    rows = rows.assign(panel=rows["kind"].map(lambda kind: LOOKS[kind].label), row=rows["name"].replace(STEPS))
    rows = rows.assign(x=rows["epsilon"] / start, curve=rows["cell"])
    with np.errstate(divide="ignore"):
        means = np.exp(np.log(rows["x"]).groupby([rows["panel"], rows["row"]], sort=False).mean())
    words = {
        key: factor(ratio)
        for _, mine in means.groupby(level=0, sort=False)
        for key, ratio in (mine / mine.shift()).items()
    }
    words = {key: text for key, text in words.items() if text != "–"}
    axis = Axis("Error over the bound as stated", "log")
    steps = [STEPS[name] for name in STEPS if (rows["name"] == name).any()]
    return dots(rows, looks, axis, levels=(1,), words=words, across=len(kinds), height=0.4, order=steps)
