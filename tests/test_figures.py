"""Figures read back: what is drawn is what the tables say, in the house style, and nothing covers anything."""

import itertools
import re
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from scipy import stats

from prunebook import weights
from prunebook.errors import InputError
from prunebook.pages import numbers, vocabulary
from prunebook.pages.figures import curves, elimination_compensation, layout, pde, style
from prunebook.pages.figures import elimination_compensation as figures

RATIOS = (0.3, 0.5, 0.9, 0.95)
WIDTHS = ("784-32-32-10", "784-64-64-10")
METHODS = dict.fromkeys(
    (*elimination_compensation.PAPER_METHODS, *elimination_compensation.OURS, *elimination_compensation.ABLATION)
)
TWO_WAYS = [{"widths": WIDTHS[0], "noise": 0.0, "seed": seed} for seed in range(3)]
TWO_WAYS += [{"widths": WIDTHS[1], "noise": 0.0, "seed": seed} for seed in range(3)]


def made_losses(keys=TWO_WAYS, methods=METHODS) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for key in keys:
        rows.append({**key, "method": "dense", "ratio": 0.0, "stage": "trained", "loss": rng.uniform(0.1, 0.11)})
        rows.append({**key, "method": "dense", "ratio": 0.0, "stage": "fine-tuned", "loss": rng.uniform(0.09, 0.1)})
        for method, ratio, stage in itertools.product(methods, RATIOS, ("pruned", "fine-tuned")):
            if stage == "fine-tuned" and method in elimination_compensation.OURS[1:] and ratio > 0.9:
                continue
            loss = 0.1 * np.exp(rng.uniform(0, 3) * ratio)
            reached = ratio + (0.01 if method == "fully-connected" else 0)
            rows.append({**key, "method": method, "ratio": ratio, "stage": stage, "loss": loss, "reached": reached})
    table = pd.DataFrame(rows).fillna({"reached": 0.0})
    return table.assign(accuracy=np.exp(-table["loss"]), clean_loss=table["loss"] / 2)


def made_layers() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {**key, "method": method, "ratio": ratio, "layer": layer, "kept": rng.integers(1, size), "weights": size}
        for key in TWO_WAYS[:3]
        for method in ("elimination-compensation", "magnitude")
        for ratio in RATIOS
        for layer, size in ((1, 1000), (2, 200), (3, 50), (4, 20))
    )


def made_linearisation() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {**key, "compensation": name, "ratio": ratio, "predicted": 10**-power, "true": rng.uniform(1, 2) * 10**-power}
        for key in TWO_WAYS
        for name in ("none", "elimination", "joint")
        for ratio, power in zip(RATIOS, (4, 2, 1, 0), strict=True)
    )


def made_stability() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {**key, "ranking": ranking, "spearman": rng.uniform(0.5, 1), "overlap": rng.uniform(0.5, 1)}
        for key in TWO_WAYS
        for ranking in ("elimination-compensation", "gradient-magnitude")
    )


def made_predictions() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    grid = itertools.product((0.02, 0.05, 0.1, 0.19), (50.0, 150.0, 300.0, 500.0), np.linspace(0.01, 0.99, 12))
    table = pd.DataFrame(grid, columns=["u0", "t", "x"]).astype("float32")
    table["clean"] = (1 - table["x"]) ** 2 + table["u0"]
    for name, size in (("noisy", 0.005), ("dense", 0.004), ("pruned", 0.02), ("fine_tuned", 0.003)):
        table[name] = (table["clean"] + rng.uniform(-size, size, len(table))).astype("float32")
    return table.assign(widths="68-32-32-32-1", noise=0.005, seed=0).sample(frac=1, random_state=0)


CONVERGENCE = pd.DataFrame(
    [(scheme, n, n**-order) for scheme, order in (("face", 2.0), ("ghost", 1.0)) for n in (64, 256, 1024)],
    columns=["scheme", "cells", "error"],
)
DIFFERENCE = pd.DataFrame(
    [(x, t, x, x + 1e-3 * t * (1 - x)) for t in (0.5, 1.0) for x in (0.0, 0.5, 1.0)],
    columns=["x", "t", "u_face", "u_ghost"],
)
FLOORS = pd.DataFrame(
    {"widths": WIDTHS[0], "noise": [0.0, 0.0], "seed": 0, "name": ["noise", "blind_test"], "value": [0.0, 0.08]}
)


@pytest.fixture(scope="module")
def losses():
    return made_losses()


@pytest.fixture(scope="module")
def drawn(losses):
    """Every figure once."""
    return {
        "losses": figures.losses_by_ratio(losses),
        "accuracy": figures.losses_by_ratio(losses, column="accuracy"),
        "ablation": figures.relative_losses(losses, figures.ABLATION),
        "ours": figures.relative_losses(losses, figures.OURS),
        "effect": figures.effect(losses, "elimination-compensation", "magnitude"),
        "layers": figures.layers_kept(made_layers()),
        "linearisation": figures.linearisation(made_linearisation()),
        "stability": figures.stability(made_stability()),
        "profiles": pde.profiles(made_predictions()),
        "error map": pde.error_map(made_predictions()),
        "solver": pde.solver_error(CONVERGENCE),
        "schemes": pde.solver_difference(DIFFERENCE),
    }


def panels(figure):
    return [axis for axis in figure.axes if axis.get_visible()]


def line(axis, label):
    """Data of the line with this label; its parts between gaps one after the other."""
    found = [line for line in axis.lines if line.get_label() == label]
    assert found, f"no line {label!r}"
    x, y = (
        np.concatenate([np.asarray(part, float) for part in parts])
        for parts in zip(*(line.get_data() for line in found), strict=True)
    )
    return x, y


def band(axis, place):
    """The ends of a band over seeds at each x: a table with columns low and high."""
    bands = [found for found in axis.collections if found.get_label() == "_band"]
    points = pd.DataFrame(bands[place].get_paths()[0].vertices, columns=["x", "y"])
    return points.groupby("x")["y"].agg(low="min", high="max")


def label(method):
    return style.look(method).label


def chosen(table, **wanted):
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


# --- the house style ----------------------------------------------------------------------------


def test_nothing_covers_anything_and_all_is_on_the_page(drawn):
    for name, figure in drawn.items():
        renderer = FigureCanvasAgg(figure).get_renderer()
        with style.house_style():
            figure.draw_without_rendering()
        page = figure.bbox
        tight = figure.get_tightbbox(renderer)
        assert tight.width * figure.dpi <= page.width + 2, name
        assert tight.height * figure.dpi <= page.height + 2, name
        for legend, axis in itertools.product(figure.legends, panels(figure)):
            assert not legend.get_window_extent(renderer).overlaps(axis.get_tightbbox(renderer)), name
        for axis in panels(figure):
            heads = [axis.title, axis._left_title, *axis.texts]
            boxes = [text.get_window_extent(renderer) for text in heads if text.get_text()]
            assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2)), name
            for which in (axis.xaxis, axis.yaxis):
                ticks = [t.label1 for t in which.get_major_ticks() if t.label1.get_visible() and t.label1.get_text()]
                ticks = [t for t in ticks if t.get_rotation() == 0]
                for a, b in itertools.pairwise(t.get_window_extent(renderer) for t in ticks):
                    assert not a.overlaps(b), f"{name}: tick labels overlap"


def test_text_is_large_enough(drawn):
    for name, figure in drawn.items():
        sizes = [text.get_fontsize() for text in figure.findobj(mpl.text.Text) if text.get_text()]
        assert min(sizes) >= 8.5, name  # 8.5 points are 12 pixels
        assert figure.get_figwidth() == layout.WIDTH


def test_one_look_for_a_method_everywhere(drawn):
    by_label = {label(method): method for method in (*METHODS, "dense")}
    seen = set()
    for name in ("losses", "accuracy", "ablation", "ours", "layers", "stability"):
        for axis in panels(drawn[name]):
            for drawn_line in axis.lines:
                if method := by_label.get(drawn_line.get_label()):
                    assert to_hex(drawn_line.get_color()) == style.LOOKS[method].colour
                    assert drawn_line.get_marker() == style.LOOKS[method].marker
                    seen.add((name, method))
    assert {name for name, method in seen if method == "magnitude"} == {"losses", "accuracy", "ablation", "layers"}
    looks = [(each.colour, each.marker) for name, each in style.LOOKS.items() if name != "sampling"]
    assert len(set(looks)) == len(looks), "two methods look the same"
    markers = [style.LOOKS[name].marker for name in vocabulary.METHODS if name != "dense"]
    assert len(set(markers)) == len(markers)


# Machado, Oliveira, Fernandes (2009), severity 1: protanopia, deuteranopia, tritanopia; linear RGB.
BLINDNESS = np.array(
    [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
)
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    x = TO_XYZ @ rgb / [0.9505, 1, 1.089]
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize(
    "group",
    [
        elimination_compensation.PAPER_METHODS,
        elimination_compensation.OURS,
        elimination_compensation.ABLATION,
        elimination_compensation.MAIN,
    ],
)
def test_colours_stay_apart_for_the_colour_blind(group, kind):
    seen = [lab(np.clip(BLINDNESS[kind] @ linear(style.LOOKS[method].colour), 0, 1)) for method in group]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 10


def test_colours_stand_out_from_white():
    for method, each in style.LOOKS.items():
        assert 1.05 / (linear(each.colour) @ TO_XYZ[1] + 0.05) > 2.7, method


def test_all_methods_have_a_name_and_a_look():
    """The names stand apart from the methods, so that a page can say them without torch."""
    for method in weights.METHODS.values():
        assert vocabulary.METHODS[method.name] == method.label
        assert style.look(method.name).label == method.label
    pairs = {(method.criterion, method.compensation): name for name, method in weights.METHODS.items()}
    assert pairs == vocabulary.PAIRS
    with pytest.raises(InputError, match=r"nonsense.*vocabulary"):
        style.look("nonsense")


def test_no_figure_loads_torch():
    """A page that only shows what is stored must not wait for torch."""
    code = """
import importlib, pkgutil, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision"):
            raise ImportError(f"{name} is not to be loaded")
sys.meta_path.insert(0, Blocked())
import prunebook.pages.figures, prunebook.pages.vocabulary, prunebook.pages.numbers
for module in pkgutil.iter_modules(prunebook.pages.figures.__path__):
    importlib.import_module(f"prunebook.pages.figures.{module.name}")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_numbers_for_readers():
    assert [numbers.number(value) for value in (0, 0.034567, -1.5, 506.2, 654321.0)] == [
        "0",
        "0.035",
        "\N{MINUS SIGN}1.5",
        "506",
        "654,321",
    ]
    assert [numbers.decimals(value) for value in (1.234, 12.34, 2.3e5)] == ["1.23", "12", "2 × 10⁵"]
    assert (numbers.number(99.8, 3), numbers.number(99.8)) == ("99.8", "100")
    assert numbers.number(1.34e9) == "1.3 × 10⁹"
    assert numbers.number(2e-9, markup="html") == "2 × 10<sup>\N{MINUS SIGN}9</sup>"
    assert (numbers.number(np.nan), numbers.number(np.inf)) == ("–", "∞")
    assert numbers.percent(0.1234) == "12.3\N{NO-BREAK SPACE}%"
    assert [numbers.factor(value) for value in (3.14, 1.0, 0.02, 0.0)] == ["× 3.1", "× 1", "÷ 50", "–"]


def test_means_over_seeds_keep_those_without_a_number():
    """seaborn would leave out the seed that exploded, and show the others as if it had not."""
    rows = [(x, seed, 2.0 ** (x + seed)) for x in (1, 2, 3) for seed in (0, 1, 2)]
    table = pd.DataFrame(rows, columns=["x", "seed", "y"])
    found = curves.over_seeds(table, geometric=True)
    np.testing.assert_allclose(found["mean"], [4, 8, 16])
    logs = np.log(table.loc[table["x"] == 1, "y"])
    interval = np.exp(stats.ttest_1samp(logs, 0).confidence_interval(0.95))
    np.testing.assert_allclose(found.loc[0, ["low", "high"]].astype(float), interval)
    assert found["seeds"].tolist() == [3, 3, 3]
    table.loc[4, "y"] = np.inf
    _, ((axis,),) = layout.grid(1, 1, 2)
    curves.curve(axis, table, style.look("magnitude"), curves.Axis("y"))
    assert [part.get_xdata().tolist() for part in axis.lines[:2]] == [[1], [3]], "a gap in the line"
    assert line(axis, "_arrow")[0] == [2], "an arrow where the mean is infinite"


def test_a_figure_says_of_how_many_seeds_it_is_and_has_a_row_for_each():
    rows = [
        (panel, x, seed, x + seed / 9) for panel in "ab" for x in (1, 2) for seed in range(3 if panel == "a" else 2)
    ]
    table = pd.DataFrame(rows, columns=["panel", "x", "seed", "y"]).assign(curve="magnitude")
    drawn = curves.Curves(table, style.LOOKS, curves.Axis("x"), {"": curves.Axis("y")}).draw()
    assert "2 to 3 seeds" in drawn.note
    assert "95 % intervals" in drawn.note
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == [
        "Magnitude",
        "95 % interval, n = 3",
        "The two seeds",
    ]
    pd.testing.assert_frame_equal(
        drawn.numbers[["panel", "x", "y", "seed"]], table[["panel", "x", "y", "seed"]], check_dtype=False
    )
    assert curves.seeds_note(table[table["seed"] == 0], "Means", "bands") == "One seed."


def test_reader_settings_are_left_alone(losses):
    with mpl.rc_context({"font.size": 23, "axes.facecolor": "red"}):
        before = dict(mpl.rcParams)
        figure = figures.stability(made_stability())
        assert dict(mpl.rcParams) == before
    assert figure.axes[0].xaxis.get_label().get_fontsize() == 9.5
    assert to_hex(figure.axes[0].get_facecolor()) == "#ffffff"
    assert not plt.get_fignums(), "pyplot keeps the figure and a notebook shows it twice"


def test_ticks_of_logarithmic_axes():
    assert layout.log_ticks(0.9, 1.1e5) == pytest.approx([1, 10, 100, 1000, 1e4, 1e5])
    assert layout.log_ticks(0.9, 1.1e6) == pytest.approx([1, 100, 1e4, 1e6])
    assert layout.log_ticks(0.09, 2.5) == pytest.approx([0.1, 0.2, 0.5, 1, 2])
    for low, high in ((1e-9, 3.0), (0.3, 0.5), (0.95, 1.2), (2e-6, 4e-5), (1.0, 12.0), (1e-12, 1e12)):
        ticks = layout.log_ticks(low, high)
        assert 2 <= len(ticks) <= 6
        assert ticks == sorted(ticks)
        assert low <= ticks[0]
        assert ticks[-1] <= high
    texts = [numbers.tick(value) for value in (0.0, 0.5, 1e-3, 9000.0, 1e4, 1e-5, 2e-5)]
    assert texts == ["0", "0.5", "0.001", "9000", "$10^{4}$", "$10^{-5}$", r"$2\times10^{-5}$"]


# --- losses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["loss", "accuracy", "clean_loss"])
def test_means_and_baselines(losses, column):
    figure = figures.losses_by_ratio(losses, column=column)
    average = np.mean if column == "accuracy" else stats.gmean
    unit = 100 if column == "accuracy" else 1
    cells = itertools.product(WIDTHS, ("pruned", "fine-tuned"))
    for axis, (widths, stage) in zip(panels(figure), cells, strict=True):
        for method in elimination_compensation.PAPER_METHODS:
            table = chosen(losses, widths=widths, stage=stage, method=method)
            expected = table.groupby("ratio")[column].apply(average) * unit
            np.testing.assert_allclose(line(axis, label(method))[1], expected, rtol=1e-12)
        dense = chosen(losses, widths=widths, method="dense")
        trained = average(chosen(dense, stage="trained")[column]) * unit
        np.testing.assert_allclose(line(axis, "Dense, before pruning")[1], trained)
        if stage == "fine-tuned":
            longer = average(chosen(dense, stage="fine-tuned")[column]) * unit
            np.testing.assert_allclose(line(axis, "Dense, trained on")[1], longer)
        else:
            assert "Dense, trained on" not in [drawn.get_label() for drawn in axis.lines]
        assert axis.get_yscale() == ("linear" if column == "accuracy" else "log")
    assert "accuracy (%)" in panels(figure)[0].get_ylabel() or column != "accuracy"


def test_ratios_on_the_axis(drawn):
    axis = panels(drawn["losses"])[2]  # the upper row leaves the labels to the lower one
    assert [text.get_text() for text in axis.get_xticklabels()] == [".3", ".5", ".9", ".95"]
    np.testing.assert_allclose(line(axis, label("elimination-compensation"))[0], RATIOS)
    reached = np.array(RATIOS) + 0.01  # a narrower network stands where it came to
    np.testing.assert_allclose(line(axis, label("fully-connected"))[0], reached)


def test_bands_are_intervals_of_the_mean(losses, drawn):
    axis = panels(drawn["losses"])[0]
    for place, method in enumerate(elimination_compensation.PAPER_METHODS):
        table = chosen(losses, widths=WIDTHS[0], stage="pruned", method=method)
        for ratio, part in table.groupby("ratio"):
            x = ratio + (0.01 if method == "fully-connected" else 0)
            expected = np.exp(stats.ttest_1samp(np.log(part["loss"]), 0).confidence_interval(0.95))
            ends = band(axis, place)
            np.testing.assert_allclose(ends.iloc[np.abs(ends.index - x).argmin()], expected)


@pytest.mark.parametrize("seeds", [1, 2])
def test_two_seeds_are_both_shown_and_one_has_nothing_around_it(losses, seeds):
    few = losses[(losses["seed"] < seeds) & (losses["widths"] == WIDTHS[0])]
    for figure in (figures.losses_by_ratio(few), figures.relative_losses(few, figures.OURS)):
        axis = panels(figure)[0]
        assert not axis.collections
        own = [drawn for drawn in axis.lines if drawn.get_label() == "_seed"]
        assert bool(own) == (seeds > 1)
        texts = [text.get_text() for text in figure.legends[0].get_texts()]
        assert ("The two seeds" in texts) == (seeds > 1)


def test_identical_seeds_make_no_warning(losses):
    one = chosen(losses, widths=WIDTHS[0], seed=0)
    same = pd.concat([one.assign(seed=seed) for seed in range(3)])
    figures.losses_by_ratio(same), figures.effect(same, "magnitude", "random")


def test_the_axis_is_cut_and_says_so(losses):
    wild = losses.copy()
    where = (wild["method"] == "gradient-magnitude") & (wild["stage"] == "pruned") & (wild["ratio"] >= 0.9)
    wild.loc[where & (wild["widths"] == WIDTHS[0]), "loss"] *= 1e9
    lost = (wild["method"] == "magnitude") & (wild["stage"] == "pruned") & (wild["ratio"] == 0.95) & (wild["seed"] == 1)
    wild.loc[lost & (wild["widths"] == WIDTHS[1]), "loss"] = np.nan
    first, tuned, second, _ = panels(figures.losses_by_ratio(wild))
    limit = first.get_ylim()[1]
    assert limit < 1e6
    means = chosen(wild, widths=WIDTHS[0], stage="pruned", method="gradient-magnitude")
    means = means.groupby("ratio")["loss"].apply(stats.gmean)
    (note,) = [text.get_text() for text in first.texts if "above" in text.get_text()]
    assert note.startswith(f"↑ {(means > limit).sum()} means above")
    assert curves.rounded(means.max()) in note
    (other,) = [text.get_text() for text in second.texts if "above" in text.get_text()]
    assert re.match("↑ 1 mean above .*, not all finite", other)
    assert not [text for text in tuned.texts if "above" in text.get_text()]
    arrows = [drawn for drawn in first.lines if drawn.get_label() == "_arrow"]
    assert [to_hex(arrow.get_color()) for arrow in arrows] == [style.LOOKS["gradient-magnitude"].colour]


def test_floors_are_drawn_where_they_are_positive(losses):
    axes = panels(figures.losses_by_ratio(chosen(losses, widths=WIDTHS[0]), floors=FLOORS))
    for axis in axes:
        assert line(axis, "Blind to the initial state")[1] == pytest.approx([0.08, 0.08])
        assert axis.get_ylim()[0] < 0.08
        assert "Noise floor" not in [drawn.get_label() for drawn in axis.lines]


def test_rows_are_cells_in_order():
    keys = [{"widths": WIDTHS[0], "noise": noise, "seed": 0} for noise in (0.01, 0.0, 0.005)]
    axes = panels(figures.losses_by_ratio(made_losses(keys, ("magnitude",))))
    titles = [axis.get_title(loc="left").split("  ")[1] for axis in axes[::2]]
    assert [title.split(", ")[0] for title in titles] == ["no noise", "noise ±0.005", "noise ±0.01"]


@pytest.mark.parametrize(
    ("name", "methods"), [("ablation", elimination_compensation.ABLATION), ("ours", elimination_compensation.OURS)]
)
def test_relative_losses_are_paired_by_seed(losses, drawn, name, methods):
    axes = panels(drawn[name])
    for axis, (widths, stage) in zip(axes, itertools.product(WIDTHS, ("pruned", "fine-tuned")), strict=True):
        before = chosen(losses, widths=widths, method="dense", stage="trained").set_index("seed")["loss"]
        for method in methods:
            wide = chosen(losses, widths=widths, stage=stage, method=method).pivot_table("loss", "seed", "ratio")
            expected = stats.gmean(wide.div(before, axis=0), axis=0)
            x, y = line(axis, label(method))
            np.testing.assert_allclose(y, expected, rtol=1e-12)
            np.testing.assert_allclose(x, wide.columns)
        assert line(axis, "Dense, before pruning")[1] == pytest.approx([1, 1])


def test_effect_is_a_paired_student_interval(losses, drawn):
    against_dense = figures.effect(losses, "elimination-compensation", "dense")
    for rival, figure in (("magnitude", drawn["effect"]), ("dense", against_dense)):
        axes = panels(figure)
        for axis, stage in zip(axes, ("pruned", "fine-tuned"), strict=True):
            state = stage if rival != "dense" or stage == "fine-tuned" else "trained"
            for place, widths in enumerate(WIDTHS):
                ends = band(axis, place)
                for tick, ratio in enumerate(RATIOS):
                    cell = chosen(losses, widths=widths)
                    mine = chosen(cell, method="elimination-compensation", stage=stage, ratio=ratio)
                    theirs = chosen(cell, method=rival, stage=state, **({} if rival == "dense" else {"ratio": ratio}))
                    logs = np.log(mine.set_index("seed")["loss"] / theirs.set_index("seed")["loss"])
                    expected = np.exp(stats.ttest_1samp(logs, 0).confidence_interval(0.95))
                    np.testing.assert_allclose(ends.loc[ratio], expected, rtol=1e-10)
                    assert line(axis, widths)[1][tick] == pytest.approx(np.exp(logs.mean()))


def test_effect_of_one_seed_has_no_interval(losses):
    axis = panels(figures.effect(chosen(losses, seed=0), "elimination-compensation", "magnitude"))[0]
    assert not axis.collections
    assert len(line(axis, WIDTHS[0])[1]) == len(RATIOS)


def test_effect_leaves_out_what_a_seed_did_not_survive(losses):
    lost = chosen(losses, widths=WIDTHS[0]).copy()
    place = (lost["method"] == "magnitude") & (lost["ratio"] == 0.9) & (lost["seed"] == 1)
    lost.loc[place, "loss"] = np.nan
    axis = panels(figures.effect(lost, "magnitude", "random"))[0]
    assert [part.get_xdata().tolist() for part in axis.lines[1:3]] == [[0.3, 0.5], [0.95]]


def test_what_cannot_be_drawn_is_named(losses):
    with pytest.raises(InputError, match="losses is empty"):
        figures.losses_by_ratio(losses.iloc[:0])
    with pytest.raises(InputError, match="brilliance"):
        figures.losses_by_ratio(losses, column="brilliance")
    with pytest.raises(InputError, match="no column reached"):
        figures.relative_losses(losses.drop(columns="reached"), figures.OURS)
    with pytest.raises(InputError, match="no values of accuracy"):
        figures.losses_by_ratio(losses.assign(accuracy=np.nan), column="accuracy")
    with pytest.raises(InputError, match="holds none of wanda"):
        figures.relative_losses(losses[losses["method"] != "wanda"], ["wanda"])
    with pytest.raises(InputError, match="no dense network"):
        figures.relative_losses(losses[losses["method"] != "dense"], figures.OURS)
    with pytest.raises(InputError, match="holds none of snip"):
        figures.effect(losses, "elimination-compensation", "snip")


def test_methods_that_are_missing_are_left_out(losses):
    few = chosen(losses, widths=WIDTHS[0]).query("method not in ['random', 'non-linear', 'dense']")
    figure = figures.losses_by_ratio(few)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    expected = [
        label(method) for method in elimination_compensation.PAPER_METHODS if method not in ("random", "non-linear")
    ]
    assert texts == [*expected, "95 % interval, n = 3"]


# --- behind the losses --------------------------------------------------------------------------


def test_shares_of_layers_and_empty_layers():
    table = made_layers()
    place = (table["method"] == "magnitude") & (table["ratio"] == 0.95) & (table["layer"] == 2) & (table["seed"] == 1)
    table.loc[place, "kept"] = 0
    axes = panels(figures.layers_kept(table))
    assert len(axes) == 4, "a panel for each layer, none left over"
    for layer, axis in enumerate(axes, start=1):
        part = chosen(table, layer=layer, method="magnitude")
        expected = (part["kept"] / part["weights"]).groupby(part["ratio"]).mean()
        np.testing.assert_allclose(line(axis, label("magnitude"))[1], expected)
        crosses = [drawn for drawn in axis.lines if drawn.get_marker() == "x"]
        assert [tuple(cross.get_xdata()) for cross in crosses] == ([(0.95,)] if layer == 2 else [])
        np.testing.assert_allclose(line(axis, "Same share in every layer")[1], 1 - np.array(RATIOS))
    assert "weights" in axes[0].get_title(loc="left")


def test_linearisation_draws_prediction_and_truth(drawn):
    table = made_linearisation()
    axes = panels(drawn["linearisation"])
    for name, method in elimination_compensation.COMPENSATED.items():
        part = chosen(table, widths=WIDTHS[0], compensation=name)
        dashed, solid = [x for x in axes[0].lines if to_hex(x.get_color()) == style.LOOKS[method].colour]
        np.testing.assert_allclose(solid.get_ydata(), part.groupby("ratio")["true"].apply(stats.gmean))
        np.testing.assert_allclose(dashed.get_ydata(), part.groupby("ratio")["predicted"].apply(stats.gmean))
        assert not solid.is_dashed()
        assert dashed.is_dashed()
        quotient = (part["true"] / part["predicted"]).groupby(part["ratio"]).apply(stats.gmean)
        (line_of_quotients,) = [x for x in axes[1].lines if to_hex(x.get_color()) == style.LOOKS[method].colour]
        np.testing.assert_allclose(line_of_quotients.get_ydata(), quotient)
    with pytest.raises(InputError, match="magic"):
        figures.linearisation(table.assign(compensation="magic"))
    figures.linearisation(chosen(table, seed=0, widths=WIDTHS[0]))


def test_stability_shows_each_seed_with_its_mean_and_interval():
    table = made_stability()
    figure = figures.stability(table)
    (axis,) = panels(figure)
    seeds = np.concatenate([points.get_offsets() for points in axis.collections])
    np.testing.assert_allclose(np.sort(seeds[:, 0]), np.sort(table["spearman"]))
    means = table.groupby(["widths", "ranking"])["spearman"].mean()
    drawn = np.concatenate([mark.get_xdata() for mark in axis.lines if mark.get_linestyle() == "None"])
    assert set(means.round(9)) <= set(np.round(drawn.astype(float), 9))
    values = chosen(table, widths=WIDTHS[0], ranking="gradient-magnitude")["spearman"]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    bars = [np.sort(mark.get_xdata()) for mark in axis.lines if len(mark.get_xdata()) == 2]
    assert any(np.allclose(bar, expected) for bar in bars)
    assert [text.get_text() for text in axis.get_yticklabels()] == list(WIDTHS)
    assert len(figure.numbers) == len(table)
    figures.stability(chosen(table, seed=0))


# --- diffusion–sorption -------------------------------------------------------------------------


def test_profiles_and_their_errors(drawn):
    table = made_predictions()
    axes = np.array(panels(drawn["profiles"])).reshape(3, 4)
    for column, time in enumerate((50, 150, 300, 500)):
        for place, u0 in enumerate(np.float32([0.02, 0.1, 0.19])):
            part = chosen(table, t=time, u0=u0).sort_values("x")
            noisy, clean, pruned, tuned = axes[0, column].lines[4 * place : 4 * place + 4]
            drawn_values = [noisy, clean, pruned, tuned]
            for found, name in zip(drawn_values, ("noisy", "clean", "pruned", "fine_tuned"), strict=True):
                np.testing.assert_allclose(found.get_ydata(), part[name])
                np.testing.assert_allclose(found.get_xdata(), part["x"])
            for row, name in ((1, "pruned"), (2, "fine_tuned")):
                np.testing.assert_allclose(axes[row, column].lines[place].get_ydata(), part[name] - part["clean"])
            assert pruned.get_color() == tuned.get_color()
            assert (pruned.is_dashed(), tuned.is_dashed()) == (True, False)
    noise = axes[1, 0].patches[0].get_window_extent().transformed(axes[1, 0].transData.inverted())
    assert (noise.y0, noise.y1) == pytest.approx((-0.005, 0.005))


def test_profiles_begin_with_the_lowest_state_and_name_what_is_wrong():
    table = made_predictions()
    figure = pde.profiles(table, times=[300])
    part = chosen(table, t=300, u0=table["u0"].min()).sort_values("x")
    np.testing.assert_allclose(panels(figure)[0].lines[1].get_ydata(), part["clean"])
    with pytest.raises(InputError, match="no time 75: choose among 50, 150"):
        pde.profiles(table, times=[75])
    with pytest.raises(InputError, match="several values of seed"):
        pde.profiles(pd.concat([table, table.assign(seed=1)]))
    with pytest.raises(InputError, match="several values of noise"):
        pde.error_map(pd.concat([table, table.assign(noise=0.01)]))
    with pytest.raises(InputError, match="no column pruned"):
        pde.error_map(table.drop(columns="pruned"))
    with pytest.raises(InputError, match="largest error"):
        pde.error_map(table.assign(dense=table["clean"]), networks=["dense"])


def test_error_maps_are_root_mean_squares(drawn):
    table = made_predictions()
    axes = panels(drawn["error map"])
    norms = set()
    for axis, name in zip(axes, ("dense", "pruned", "fine_tuned"), strict=False):
        (mesh,) = axis.collections
        norms.add((mesh.norm.vmin, mesh.norm.vmax))
        values = mesh.get_array().reshape(4, 12)
        for row, time in enumerate((50, 150, 300, 500)):
            for column, x in enumerate(np.sort(table["x"].unique())):
                part = chosen(table, t=time, x=x)
                assert values[row, column] == pytest.approx(
                    np.sqrt(np.mean((part[name] - part["clean"]) ** 2)), rel=1e-4
                )
        total = np.sqrt(np.mean((table[name] - table["clean"]).astype(float) ** 2))
        assert curves.rounded(total) in axis.get_title(loc="left")
    assert len(norms) == 1, "one colour scale"


def test_solver_check(drawn):
    (left,), (right,) = panels(drawn["solver"]), panels(drawn["schemes"])
    cells = [64, 256, 1024]
    for scheme, name, order in (("face", "Face values (this study)", 2), ("ghost", "Ghost cells", 1)):
        np.testing.assert_allclose(line(left, name)[1], chosen(CONVERGENCE, scheme=scheme)["error"])
        slope = np.polyfit(np.log(cells), np.log(line(left, f"Order {order}")[1]), 1)[0]
        assert slope == pytest.approx(-order)
    np.testing.assert_allclose(line(right, "t = 1")[1], [1e-3, 5e-4, 0], atol=1e-12)
    with pytest.raises(InputError, match="upwind"):
        pde.solver_error(CONVERGENCE.assign(scheme="upwind"))
    with pytest.raises(InputError, match="difference is empty"):
        pde.solver_difference(DIFFERENCE.iloc[:0])


def test_time_by_size_has_a_panel_for_each_benchmark_with_two_sizes_or_more():
    from prunebook.pages.figures.speed import sizes, time_by_size

    rows = [
        {"scaling": ["draws", "n", n], "seconds": n / 10, "rival_seconds": rival, "floor": n / 100}
        for n, rival in ((10, 9.0), (10, 5.0), (1000, 700.0))
    ]
    rows[2]["rival_extrapolated"] = 900.0
    rows += [{"scaling": ["once", "n", 1], "seconds": 1, "rival_seconds": 1, "floor": 1}, {"seconds": 1}]
    table = sizes(rows)
    assert table["rival_seconds"].tolist() == [5.0, 900.0]  # the quicker rival, and all of its work
    figure = time_by_size(table)
    (axis,) = [axis for axis in figure.axes if axis.get_visible()]
    assert [line.get_xdata().tolist() for line in axis.get_lines()] == [[10, 1000]] * 3
    with pytest.raises(InputError, match="nothing to draw"):
        time_by_size(sizes([]))
