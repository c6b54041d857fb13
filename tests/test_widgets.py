"""Interactive figures: what a reader can switch on is what the table says, and what the static figure draws."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from test_figures import made_layers, made_losses
from test_figures_last_layer import epsilon_first, made, sparsity_first
from test_figures_units import made_penalties

from prunebook.errors import InputError
from prunebook.pages import figures, widgets
from prunebook.pages.figures.mr_choices import profile_curves
from prunebook.pages.figures.style import LOOKS, SPARE, Look
from prunebook.pages.vocabulary import REPLACED

METHODS = {
    "a": Look("#0072b2", "o", (), "Method A"),
    "b": Look("#d55e00", "D", (5, 2), "Method B"),
    "c": Look("#009e73", "s", (), "Method C"),
}


def small(seeds=3) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {"panel": net, "curve": method, "ratio": ratio, "seed": seed, "y": rng.uniform(1, 2), "shown": "Loss"}
        for net in ("large", "small")
        for method in "ba"
        for ratio in (0.3, 0.5, 0.9)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def explored(table, **changes) -> dict:
    asked = {"looks": METHODS, "x": ("ratio", "Ratio"), "across": 2, "caption": "What it shows."}
    return widgets.explored(table, **(asked | changes))


def curves(found: dict) -> dict:
    """What is shown, panel and name of each curve → x, y, and the ends of its bars."""
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


def test_curves_are_means_and_ranges_over_seeds_and_the_legend_names_each_once():
    table = small()
    found = explored(table)
    drawn = curves(found)
    assert len(drawn) == 4
    for (panel, curve), part in table.groupby(["panel", "curve"]):
        x, *got = drawn["Loss", panel, f"Method {curve.upper()}"]
        assert x == [0.3, 0.5, 0.9]
        seeds = part.pivot_table(index="ratio", columns="seed", values="y")
        for mine, want in zip(got, (seeds.mean(axis=1), seeds.min(axis=1), seeds.max(axis=1)), strict=True):
            np.testing.assert_allclose(mine, want, rtol=1e-3)
    data = found["figures"]["Loss"]["data"]
    assert [trace["name"] for trace in data if trace["showlegend"]] == ["Method A", "Method B"]
    assert "3 seeds" in found["caption"]
    assert "lowest" in found["caption"]
    assert "large; small" in found["alt"]


def test_bars_can_be_intervals_and_are_called_so():
    found = explored(small(), level=0.95)
    seeds = small().query("panel == 'small' and curve == 'a' and ratio == 0.5")["y"]
    _, mean, low, high = curves(found)["Loss", "small", "Method A"]
    np.testing.assert_allclose(high[1] - mean[1], 4.3027 * seeds.std() / np.sqrt(3), rtol=1e-3)
    np.testing.assert_allclose(high[1] - mean[1], mean[1] - low[1], rtol=1e-3)
    assert "95% intervals" in found["caption"]
    # No interval can be made of two seeds: they are shown as they are.
    assert "lowest" in explored(small(seeds=2), level=0.95)["caption"]


def test_one_seed_has_no_bars_and_a_seed_that_exploded_leaves_a_gap():
    assert all(not low and not high for _, _, low, high in curves(explored(small(seeds=1))).values())
    for value in (np.nan, np.inf):
        table = small()
        table.loc[(table["ratio"] == 0.5) & (table["seed"] == 1), "y"] = value
        found = explored(table)
        for _, mean, *_ in curves(found).values():
            assert [height is None for height in mean] == [False, True, False]
        assert "4 points" in found["caption"]
        json.dumps(found, allow_nan=False)


def test_zero_has_no_place_on_a_logarithmic_axis_and_has_one_on_that_of_shares():
    table = small().assign(y=0.0)
    assert curves(explored(table))["Loss", "small", "Method A"][1] == [None] * 3
    assert curves(explored(table, y="Kept (%)"))["Loss", "small", "Method A"][1] == [0] * 3


def test_points_stay_together_where_x_differs_between_seeds():
    table = small()
    table["reached"] = table["ratio"] + 0.01 * table["seed"]
    for x, mean, *_ in curves(explored(table, x=("reached", "Ratio"), at="ratio")).values():
        np.testing.assert_allclose(x, [0.31, 0.51, 0.91], rtol=1e-3)
        assert len(mean) == 3


def test_kinds_have_their_dashes_and_what_is_hidden_can_be_switched_on():
    table = pd.concat(small().assign(kind=kind, y=number) for number, kind in enumerate(("mean", "zero"), 1))
    found = explored(table, hidden=["b"])
    data = {trace["name"]: trace for trace in found["figures"]["Loss"]["data"]}
    assert [data[f"Method A, {kind}"]["line"]["dash"] for kind in ("mean", "zero")] == ["solid", "6px,3px"]
    assert [data[f"Method {name}, mean"]["visible"] for name in "AB"] == [True, "legendonly"]
    assert curves(found)["Loss", "small", "Method A, zero"][1] == [2, 2, 2]


def test_a_table_without_any_of_the_curves_is_an_error():
    with pytest.raises(InputError, match="none of z"):
        explored(small(), looks={"z": METHODS["a"]})


def test_every_look_of_the_book_has_its_marker():
    assert {look.marker for look in (*LOOKS.values(), *SPARE)} - {""} <= set(widgets.SYMBOLS)


def static(figure, panel: int, look) -> np.ndarray:
    """Heights of the line with a look in a panel of a static figure."""
    lines = [
        line
        for line in figure.axes[panel].lines
        if to_hex(line.get_color()) == look.colour
        and line.get_linestyle() not in ("None", "")
        and line.get_marker() == (look.marker or "None")
    ]
    return np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])


@pytest.mark.parametrize("column", ["loss", "accuracy"])
def test_losses_are_those_of_the_static_figure_in_panels_of_the_same_order(column):
    table = made_losses()
    found = widgets.losses(table, column)
    drawn, (shown,) = curves(found), found["figures"]
    panels = [name["text"] for name in found["figures"][shown]["layout"]["annotations"]]
    figure = figures.losses_by_ratio(table, column=column)
    assert len(panels) == len(figure.axes) == 4
    for place, panel in enumerate(panels):
        assert panel.endswith("after fine-tuning" if place % 2 else "right after pruning")
        for method in ("elimination-compensation", "magnitude", "gradient-magnitude"):
            want = static(figure, place, LOOKS[method])
            np.testing.assert_allclose(drawn[shown, panel, LOOKS[method].label][1], want, rtol=6e-4)
    dense = table[(table["method"] == "dense") & (table["stage"] == "trained")].groupby("widths")[column].mean()
    for widths, level in dense.items():
        x, y, *_ = drawn[shown, f"{widths}, after fine-tuning", "Dense, before pruning"]
        assert x == [0.3, 0.95]
        np.testing.assert_allclose(y, level * (100 if column == "accuracy" else 1), rtol=6e-4)
        assert (shown, f"{widths}, right after pruning", "Dense, trained on") not in drawn


def test_floors_are_levels_where_they_are_positive():
    table = made_losses()
    floors = pd.DataFrame(
        [
            (w, 0.0, name, value)
            for w in table["widths"].unique()
            for name, value in (("noise", 0), ("blind_test", 0.2))
        ],
        columns=["widths", "noise", "name", "value"],
    )
    found = widgets.losses(table, "clean_loss", floors)
    names = {key[-1] for key in curves(found)}
    assert "Blind to the initial state" in names
    assert "Noise floor" not in names


def test_kept_shares_are_those_of_the_table():
    table = made_layers()
    drawn = curves(widgets.layers(table))
    part = table[(table["method"] == "magnitude") & (table["layer"] == 2)]
    want = 100 * (part["kept"] / part["weights"]).groupby(part["ratio"]).mean()
    (panel,) = {panel for _, panel, _ in drawn if panel.endswith("layer 2")}
    np.testing.assert_allclose(drawn["Weights kept (%)", panel, "Magnitude"][1], want, rtol=6e-4)
    even = drawn["Weights kept (%)", panel, "Same share in every layer"]
    np.testing.assert_allclose(100 * np.array(even[0]) + even[1], 100)


def test_draws_and_guarantees_are_those_of_the_tables():
    table = made(epsilon_first)
    drawn = curves(widgets.draws(table[table["reading"] == "regularisation"]))
    assert next(case for _, case, _ in drawn) == "easy"
    part = table[(table["case"] == "difficult") & (table["kind"] == "weights")]
    samples = part.groupby("share")["samples"].agg(lambda v: v.mean(skipna=False))
    got = drawn["Draws asked for", "difficult", "Weights"][1]
    assert [value is None for value in got] == list(np.isinf(samples))
    np.testing.assert_allclose([v for v in got if v is not None], samples[np.isfinite(samples)], rtol=6e-4)
    # Errors in different units never share a figure.
    assert {name.split(",")[0] for shown, _, name in drawn if shown == "Error of a logit"} == {"Units"}
    table = made(sparsity_first)
    drawn = curves(widgets.guarantees(table[table["reading"] == "regularisation"]))
    part = table[(table["case"] == "easy") & (table["way"] == "sampling")].groupby("ratio")
    x, y, *_ = drawn["Accuracy (%)", "easy", "Weights, sampled, guaranteed"]
    for got, want in ((x, part["sparsity"].mean()), (y, 100 * part["implied_accuracy"].mean())):
        np.testing.assert_allclose(got, want, rtol=6e-4)


def test_penalties_are_those_of_the_table_and_begin_with_the_papers_tenth():
    table = made_penalties()
    found = widgets.penalties(table)
    assert next(iter(found["figures"])) == "10%"
    for replacement, name in REPLACED.items():
        part = table[
            (table["set"] == "all") & (table["amount"] == 0.1) & (table["score"] == "abs_mrs")
            & (table["replacement"] == replacement)
        ]  # fmt: skip
        got = curves(found)["10%", "All layers", f"abs_mrs, {name.lower()}"]
        np.testing.assert_allclose(got[1], part.groupby("step")["penalty"].mean(), rtol=6e-4)
    dashes = {trace["name"]: trace["line"]["dash"] for trace in found["figures"]["10%"]["data"]}
    assert (dashes["abs_mrs, mean replacement"], dashes["abs_mrs, zero"]) == ("solid", "6px,3px")
    # A scale that measured other fractions shows those.
    assert list(widgets.penalties(table[table["amount"] == 1.0])["figures"]) == ["100%"]


def test_profiles_are_those_of_the_static_figure():
    table = made_penalties()
    drawn = curves(widgets.profiles(table, every=4))
    means = profile_curves(table).groupby(["score", "replacement"]).mean().iloc[:, ::4]
    for replacement, name in REPLACED.items():
        got = drawn["Points below the threshold (%)", "All scores", f"abs_rs, {name.lower()}"]
        np.testing.assert_allclose(got[1], 100 * means.loc["abs_rs", replacement], atol=6e-3)
    assert not any(name.startswith("rs,") for _, panel, name in drawn if panel == "Without the signed scores")
