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
from prunebook.pages import explore, figures
from prunebook.pages.figures import coreset_parts, mr_parts, style
from prunebook.pages.interactive import _SYMBOLS, Measure, lines

LOOKS = {
    "a": style.Look("#0072b2", "o", (), "Method A"),
    "b": style.Look("#d55e00", "D", (5, 2), "Method B"),
    "c": style.Look("#009e73", "s", (), "Method C"),
}


def small(seeds=3) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {"net": net, "method": method, "ratio": ratio, "seed": seed, "loss": rng.uniform(1, 2), "floor": 0.5}
        for net in ("large", "small")
        for method in "ba"
        for ratio in (0.3, 0.5, 0.9)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def spec(table, **changes) -> dict:
    asked = {
        "x": "ratio",
        "x_title": "Ratio",
        "line": "method",
        "measures": {"Loss": Measure("loss", "log")},
        "looks": LOOKS,
        "choices": {"Network": "net"},
    }
    return lines(table, **(asked | changes))


def curves(found: dict) -> dict:
    """Measure, choices, name and kind of each curve → x, y, low and high."""
    return {
        (
            found["measures"][measure]["name"],
            *(choice["values"][place] for choice, place in zip(found["choices"], picked, strict=True)),
            found["lines"][line]["name"],
            found["measures"][measure]["kinds"][kind],
        ): (found["x"]["at"][at], *ends)
        for measure, picked, line, kind, at, *ends in found["curves"]
    }


def test_curves_are_means_and_ranges_over_seeds():
    table = small()
    found = spec(table)
    drawn = curves(found)
    assert len(drawn) == len(found["curves"]) == 4
    for net in ("large", "small"):
        for method in "ab":
            part = table[(table["net"] == net) & (table["method"] == method)]
            x, mean, low, high = drawn["Loss", net, f"Method {method.upper()}", ""]
            assert x == [0.3, 0.5, 0.9]
            seeds = part.pivot_table(index="ratio", columns="seed", values="loss")
            for got, want in (
                (mean, seeds.mean(axis=1)),
                (low, seeds.min(axis=1)),
                (high, seeds.max(axis=1)),
            ):
                np.testing.assert_allclose(got, want, rtol=6e-4)
    # Curves stand in the order of the looks, those without data are left out, and equal x are kept once.
    assert [line["name"] for line in found["lines"]] == ["Method A", "Method B"]
    assert found["x"]["at"] == [[0.3, 0.5, 0.9]]


def test_one_seed_has_no_band_and_a_seed_that_exploded_leaves_a_gap():
    assert all(low == high == [] for _, _, low, high in curves(spec(small(seeds=1))).values())
    for value in (np.nan, np.inf):
        table = small()
        table.loc[(table["ratio"] == 0.5) & (table["seed"] == 1), "loss"] = value
        for _, mean, *_ in curves(spec(table)).values():
            assert [height is None for height in mean] == [False, True, False]
        json.dumps(spec(table), allow_nan=False)


def test_points_stay_together_where_x_differs_between_seeds():
    table = small()
    table["reached"] = table["ratio"] + 0.01 * table["seed"]
    for x, mean, *_ in curves(spec(table, x="reached", point="ratio")).values():
        np.testing.assert_allclose(x, [0.31, 0.51, 0.91], rtol=1e-3)
        assert len(mean) == 3


def test_kinds_come_from_columns_or_from_values_and_rows_can_be_chosen():
    measure = Measure({"seen": "loss", "least": "floor"}, where={"method": ["a"]})
    drawn = curves(spec(small(), measures={"Loss": measure}))
    assert {key[2:] for key in drawn} == {("Method A", "seen"), ("Method A", "least")}
    assert drawn["Loss", "small", "Method A", "least"][1] == [0.5] * 3
    table = pd.concat(
        [small().assign(fold=fold, loss=number) for number, fold in enumerate(("zero", "mean"))]
    )
    drawn = curves(spec(table, dash=("fold", {"mean": "Mean", "zero": "Zero"})))
    assert drawn["Loss", "small", "Method A", "Mean"][1] == [1, 1, 1]
    assert drawn["Loss", "small", "Method A", "Zero"][1] == [0, 0, 0]


def test_intervals_of_the_table_are_taken_as_they_are():
    table = small(seeds=1).assign(low=0.25, high=3.0)
    found = spec(table, measures={"Loss": Measure("loss", low="low", high="high")})
    assert all(low == [0.25] * 3 and high == [3] * 3 for _, _, low, high in curves(found).values())
    with pytest.raises(InputError, match="several rows at one ratio"):
        spec(small().assign(low=0, high=1), measures={"Loss": Measure("loss", low="low", high="high")})


def test_what_is_on_at_first():
    found = spec(small(), hidden=["b"], first={"net": "small"}, names={"small": "The small one"})
    assert [line.get("off", False) for line in found["lines"]] == [False, True]
    assert found["choices"] == [{"name": "Network", "values": ["large", "The small one"], "first": 1}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": "ration"}, "no column ration"),
        ({"measures": {"Loss": Measure("loss", "symlog")}}, "scale 'symlog'"),
        ({"looks": {"z": LOOKS["a"]}}, "none of z"),
        ({"first": {"net": "huge"}}, "net='huge'"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        spec(small(), **changes)


def test_every_look_of_the_book_has_its_marker():
    looks = [
        *(style.look(method) for method in style.METHODS),
        *coreset_parts.LOOKS.values(),
        *mr_parts.LOOKS.values(),
    ]
    assert {look.marker for look in looks} | set(style._SPARE_MARKERS) <= set(_SYMBOLS)
    found = spec(small(), looks={"a": looks[0], "b": looks[1]})
    for line, look in zip(found["lines"], looks, strict=False):
        assert (line["colour"], line["name"]) == (look.colour, look.label)
        numbers = [float(n) for n in line["marker"].translate(str.maketrans("MLQCZ-", "     -")).split() if n]
        assert max(map(abs, numbers)) == pytest.approx(4, abs=0.2)


def static(figure, panel: int, look, dashed=False) -> np.ndarray:
    """Heights of the line with a look in a panel of a static figure, without the gaps and arrows at its edge."""
    (found,) = (
        line
        for line in figure.axes[panel].lines
        if to_hex(line.get_color()) == look.colour
        and line.get_linestyle() not in ("None", "")
        and (line.get_linestyle() != "-") == dashed
        and line.get_marker() == (look.marker or "None")
    )
    return np.asarray(found.get_ydata(), dtype=float)


@pytest.mark.parametrize(("column", "factor"), [("loss", 1), ("accuracy", 100)])
def test_losses_are_those_of_the_static_figure(column, factor):
    table = made_losses()
    drawn = curves(explore.losses(table, column))
    name = explore.NAMES[column]
    figure = figures.losses_by_ratio(table, column=column)
    panel = 0
    for widths in dict.fromkeys(table["widths"]):
        for stage in ("Right after pruning", "After fine-tuning"):
            for method in ("elimination-compensation", "magnitude", "gradient-magnitude"):
                look = style.look(method)
                want = static(figure, panel, look)
                np.testing.assert_allclose(
                    drawn[name, widths, stage, look.label, ""][1], want / factor, rtol=6e-4
                )
            panel += 1
    dense = (
        table[(table["method"] == "dense") & (table["stage"] == "trained")].groupby("widths")[column].mean()
    )
    for widths, level in dense.items():
        x, y, *_ = drawn[name, widths, "After fine-tuning", "Dense, before pruning", ""]
        assert x == [0.3, 0.95]
        np.testing.assert_allclose(y, level, rtol=6e-4)
        assert (name, widths, "Right after pruning", "Dense, trained on", "") not in drawn


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
    names = {key[-2] for key in curves(explore.losses(table, "clean_loss", floors))}
    assert "Blind to the initial state" in names
    assert "Noise floor" not in names


def test_kept_shares_are_those_of_the_table():
    table = made_layers()
    drawn = curves(explore.layers(table))
    part = table[(table["method"] == "magnitude") & (table["layer"] == 2)]
    want = (part["kept"] / part["weights"]).groupby(part["ratio"]).mean()
    np.testing.assert_allclose(
        drawn["Weights kept", "784-32-32-10", "2", "Magnitude", ""][1], want, rtol=6e-4
    )
    even = drawn["Weights kept", "784-32-32-10", "2", explore.EVEN.label, ""]
    np.testing.assert_allclose(np.add(even[0], even[1]), 1)


def test_draws_and_guarantees_are_those_of_the_static_figures():
    table = made(epsilon_first)
    drawn = curves(explore.draws(table[table["reading"] == "regularisation"]))
    assert next(case for _, case, *_ in drawn) == "easy"
    part = table[(table["case"] == "difficult") & (table["kind"] == "weights")]
    samples = part.groupby("share")["samples"].agg(lambda v: v.mean(skipna=False))
    got = drawn["Draws asked for", "difficult", "Weights", ""][1]
    assert [value is None for value in got] == list(np.isinf(samples))
    np.testing.assert_allclose([v for v in got if v is not None], samples[np.isfinite(samples)], rtol=6e-4)
    assert {key[2] for key in drawn if key[0] == "Error of a logit"} == {"Units"}
    table = made(sparsity_first)
    drawn = curves(explore.guarantees(table[table["reading"] == "regularisation"]))
    part = table[(table["case"] == "easy") & (table["way"] == "sampling")].groupby("ratio")
    x, y, low, high = drawn["Accuracy", "easy", "Weights, sampled", "guaranteed"]
    for got, want in ((x, part["sparsity"].mean()), (y, part["implied_accuracy"].mean())):
        np.testing.assert_allclose(got, want, rtol=6e-4)
    assert all(a <= b <= c for a, b, c in zip(low, y, high, strict=True))


def test_penalties_are_those_of_the_static_figure():
    table = made_penalties()
    drawn = curves(explore.penalties(table))
    for replacement, name in mr_parts.REPLACED.items():
        part = table[
            (table["set"] == "all") & (table["amount"] == 0.1) & (table["score"] == "abs_mrs")
            & (table["replacement"] == replacement)
        ]  # fmt: skip
        got = drawn["Penalty", "Medium", "All layers", "0.1", "abs_mrs", name]
        np.testing.assert_allclose(got[1], part.groupby("step")["penalty"].mean(), rtol=6e-4)
    # A scale that measured other fractions shows those.
    other = explore.penalties(table[table["amount"] == 1.0])
    assert other["choices"][2]["values"] == ["1.0"]


def test_profiles_are_those_of_the_static_figure():
    table = made_penalties()
    found = explore.profiles(table, every=4)
    drawn = curves(found)
    figure = figures.performance_profiles(table)
    for replacement, name in mr_parts.REPLACED.items():
        look = mr_parts.LOOKS["abs_rs"]
        want = static(figure, 0, look, dashed=replacement == "zero")[::4]
        got = drawn["Share of points below threshold", "Medium", "all scores", "abs_rs", name]
        np.testing.assert_allclose(got[1], want, atol=6e-5)
    assert not any(key[3] == "rs" for key in drawn if key[2] == "without the signed scores")
