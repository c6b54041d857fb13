"""Interactive figures: what a reader can switch on is what the table says, and what the static figure draws."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from test_figures import made_layers, made_losses
from test_figures_last_layer import epsilon_first, made, sparsity_first
from test_figures_units import made_network, made_penalties

from prunebook.errors import InputError
from prunebook.pages import widgets
from prunebook.pages.figures import coreset_bounds, elimination_compensation, layout, mean_replacement, mr_choices
from prunebook.pages.figures.curves import Axis, Curves
from prunebook.pages.figures.style import LOOKS, SPARE, Look

METHODS = {
    "a": Look("#0072b2", "o", (), "Method A"),
    "b": Look("#d55e00", "D", (5, 2), "Method B"),
    "c": Look("#009e73", "s", (), "Method C"),
}


def small(seeds=3) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {"panel": net, "curve": method, "x": ratio, "seed": seed, "y": rng.uniform(1, 2)}
        for net in ("large", "small")
        for method in "ba"
        for ratio in (0.3, 0.5, 0.9)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def explored(table, scale="linear", **changes) -> dict:
    figure = layout.grid(1, 1, 2)[0]
    figure.curves = Curves(table, METHODS, Axis("Ratio"), {"": Axis("Loss", scale)}, 2, **changes)
    return widgets.explored(figure)


def curves(found: dict) -> dict:
    """What is chosen, panel and name of each curve → x, y, and the ends of its bars."""
    drawn = {}
    for shown, figure in found["figures"].items():
        panels = [name["text"] for name in figure["layout"]["annotations"]]
        for trace in figure["data"]:
            panel = panels[int(trace["xaxis"].removeprefix("x") or 1) - 1]
            assert trace["yaxis"][1:] == trace["xaxis"][1:]
            bars = trace.get("error_y", {"arrayminus": [], "array": []})
            ends = [[v + s * d for v, d in zip(trace["y"], bars[n], strict=False) if d is not None and v is not None]
                    for n, s in (("arrayminus", -1), ("array", 1))]  # fmt: skip
            drawn[shown, panel, trace["name"]] = (trace["x"], trace["y"], *ends)
    return drawn


def test_curves_are_means_and_intervals_over_seeds_and_the_legend_names_each_once():
    table = small()
    found = explored(table)
    drawn = curves(found)
    assert len(drawn) == 4
    for (panel, curve), part in table.groupby(["panel", "curve"]):
        x, mean, low, high = drawn["", panel, f"Method {curve.upper()}"]
        assert x == [0.3, 0.5, 0.9]
        seeds = part.pivot_table(index="x", columns="seed", values="y")
        half = 4.3027 * seeds.std(axis=1) / np.sqrt(3)
        for mine, want in (
            (mean, seeds.mean(axis=1)),
            (low, seeds.mean(axis=1) - half),
            (high, seeds.mean(axis=1) + half),
        ):
            np.testing.assert_allclose(mine, want, atol=2e-3, rtol=0)
    data = found["figures"][""]["data"]
    assert [trace["name"] for trace in data if trace["showlegend"]] == ["Method A", "Method B"]
    assert "3 seeds" in found["caption"]
    assert "95 % intervals" in found["caption"]
    assert "large; small" in found["alt"]


def test_one_or_two_seeds_have_no_bars_and_a_seed_that_exploded_leaves_a_gap():
    for seeds in (1, 2):
        assert all(not low and not high for _, _, low, high in curves(explored(small(seeds))).values())
    for value in (np.nan, np.inf):
        table = small()
        table.loc[(table["x"] == 0.5) & (table["seed"] == 1), "y"] = value
        found = explored(table)
        for _, mean, *_ in curves(found).values():
            assert [height is None for height in mean] == [False, True, False]
        assert "4 points" in found["caption"]
        json.dumps(found, allow_nan=False)


def test_zero_has_no_place_on_a_logarithmic_axis_and_has_one_on_that_of_shares():
    table = small().assign(y=0.0)
    assert curves(explored(table, "log"))["", "small", "Method A"][1] == [None] * 3
    assert curves(explored(table, "share"))["", "small", "Method A"][1] == [0] * 3


def test_kinds_have_their_dashes_and_what_is_left_out_can_be_switched_on():
    table = pd.concat(small().assign(kind=kind, y=number) for number, kind in enumerate(("Mean", "Zero"), 1))
    found = explored(table, shown=["a"])
    data = {trace["name"]: trace for trace in found["figures"][""]["data"]}
    assert [data[f"Method A, {kind}"]["line"]["dash"] for kind in ("mean", "zero")] == ["solid", "6px,3px"]
    assert [data[f"Method {name}, mean"]["visible"] for name in "AB"] == [True, "legendonly"]
    assert curves(found)["", "small", "Method A, zero"][1] == [2, 2, 2]
    assert "1 more curves" in found["caption"]


def test_only_a_figure_of_curves_can_be_explored():
    with pytest.raises(InputError, match="made of curves"):
        widgets.explored(layout.grid(1, 1, 2)[0])
    with pytest.raises(InputError, match="none of a, b, c"):
        explored(small().assign(curve="z"))


def test_every_look_of_the_book_has_its_marker():
    assert {look.marker for look in (*LOOKS.values(), *SPARE)} - {""} <= set(widgets.SYMBOLS)


FIGURES = {
    "losses": lambda: elimination_compensation.losses_by_ratio(made_losses()),
    "accuracy": lambda: elimination_compensation.losses_by_ratio(made_losses(), column="accuracy"),
    "layers": lambda: elimination_compensation.layers_kept(made_layers()),
    "draws": lambda: coreset_bounds.draws_by_share(made(epsilon_first)),
    "guarantees": lambda: coreset_bounds.guaranteed_accuracy(made(sparsity_first)),
    "penalties": lambda: mean_replacement.penalties_through_training(made_penalties(), made_network(), net="medium"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_panels_and_means_are_those_of_the_static_figure(name):
    figure = FIGURES[name]()
    found = widgets.explored(figure)
    json.dumps(found, allow_nan=False)
    first = next(iter(found["figures"]))
    panels = [axis.get_title(loc="left").split("  ", 1)[1].replace("\n", " ") for axis in figure.axes]
    assert [note["text"] for note in found["figures"][first]["layout"]["annotations"]] == panels
    drawn = curves(found)
    compared = 0
    for panel, axis in zip(panels, figure.axes, strict=True):
        unit = 100 if figure.curves.y[figure.curves.rows["quantity"].iloc[0]].scale == "share" else 1
        for line in axis.lines:
            key = (first, panel, line.get_label())
            if key in drawn and to_hex(line.get_color()):
                want = np.asarray(line.get_ydata(), float)
                got = [value for value in drawn[key][1] if value is not None]
                if len(want) == len(got):
                    np.testing.assert_allclose(got, unit * want, rtol=6e-4, atol=1e-9)
                    compared += 1
    assert compared >= len(panels) or name in ("draws", "guarantees", "penalties")


def test_other_methods_are_off_at_first_and_other_amounts_are_choices():
    found = widgets.explored(FIGURES["losses"]())
    visible = {trace["name"]: trace["visible"] for trace in next(iter(found["figures"].values()))["data"]}
    assert visible["Magnitude"] is True
    assert visible["Wanda"] == "legendonly"
    choices = list(widgets.explored(FIGURES["penalties"](), "Units pruned")["figures"])
    assert choices[0] == "All layers, 10% of units"
    assert "Middle conv., 10% of units" in choices


def test_profiles_are_explored_where_their_areas_are_drawn():
    table = made_penalties()
    drawn = curves(widgets.explored(mr_choices.performance_profiles(table)))
    means = mr_choices.profile_curves(table).groupby(["score", "replacement"]).mean()
    got = drawn["", "All scores", "abs_rs, zero"]
    np.testing.assert_allclose(got[1], 100 * means.loc["abs_rs", "zero"], atol=6e-2)
    assert not any(name.startswith("rs,") for _, panel, name in drawn if panel == "Without the signed scores")


def test_the_best_epoch_of_later_seeds_adds_no_curve():
    table = made_losses()
    best = table[table["stage"] == "fine-tuned"].assign(stage="best", loss=0.0, error=0.1)
    both = pd.concat([table, best], ignore_index=True)
    one, other = (widgets.explored(elimination_compensation.losses_by_ratio(rows)) for rows in (both, table))
    assert one == other
