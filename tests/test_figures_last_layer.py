"""Figures of the last layer read back: what is drawn is what the tables say, and nothing covers anything."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from test_figures import (
    BLINDNESS,
    TO_XYZ,
    band,
    lab,
    line,
    linear,
    panels,
    test_nothing_covers_anything_and_all_is_on_the_page,
    test_text_is_large_enough,
)

from prunebook.errors import InputError
from prunebook.pages.figures import coreset_bounds, coreset_parts, coreset_recovery, coreset_tightness, lines
from prunebook.pages.figures.style import LOOKS

CASES = (
    ("dropout", "dropout"),  # not in the order in which they are drawn
    ("regularisation", "difficult"),
    ("regularisation", "easy"),
    ("regularisation", "moderate"),
    ("label noise", "moderate"),
)
RATIOS = (0.3, 0.5, 0.9)
SHARES = (0.1, 0.5, 0.95, 1.0)
KINDS = ("neurons", "weights", "weights, ratio")


def made(rows, cases=CASES[:4], seeds=2) -> pd.DataFrame:
    """A table of ``rows(rng, case)`` for each circumstance and seed."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"reading": reading, "case": case, "seed": seed, **row}
        for (reading, case), seed in itertools.product(cases, range(1, seeds + 1))
        for row in rows(rng)
    )


def example(rng):
    logits = rng.normal(size=10) * 3
    top = np.sort(logits)[-2:]
    base = {"label": int(logits.argmax()), "epsilon": (top[1] - top[0]) / 2}
    return [{"class": place, "logit": logit, **base} for place, logit in enumerate(logits)]


def margins(rng):
    scale = rng.uniform(1, 2)
    return [
        {"unit": unit, "share": share, "epsilon": scale * size * (1.02 - share)}
        for unit, size in (("ratio", 0.1), ("additive", 3.0))
        for share in SHARES
    ]


def layers(rng):
    rows = []
    for ratio in RATIOS:
        parts = [0.0 if ratio == 0.3 else rng.uniform(1, 3), rng.uniform(1, 3), rng.uniform(1, 3)]
        seen = {"bound": sum(parts), "observed": rng.uniform(0.1, 1), "observed_mean": rng.uniform(0.01, 0.1)}
        rows += [{"ratio": ratio, "layer": n + 1, "at_output": part, **seen} for n, part in enumerate(parts)]
    return rows


def epsilon_first(rng):
    rows = []
    for kind, share in itertools.product(KINDS, SHARES):
        samples = np.inf if share == 1 and kind == "weights" else 1e4 / (1.001 - share) ** 2
        seen = rng.uniform(0.01, 0.02)
        found = {"observed": seen, "observed_sd": seen / 2, "observed_max": 5 * seen}
        if not np.isfinite(samples):
            found = dict.fromkeys(found, np.nan)
        rows.append(
            {
                "kind": kind,
                "share": share,
                "epsilon": rng.uniform(1, 2),
                "samples": samples,
                "size": 100 if kind == "neurons" else 1000,
                **found,
                "sparsity": rng.uniform(0.1, 0.4) if np.isfinite(samples) else np.nan,
                "beyond_cut": samples > 1e6,
            }
        )
    return rows


def sparsity_first(rng):
    return [
        {
            "way": way,
            "ratio": ratio,
            "sparsity": ratio + rng.uniform(-0.02, 0.02),
            "accuracy": rng.uniform(0.8, 1),
            "implied_accuracy": rng.uniform(0, 0.5),
            "observed": rng.uniform(0.1, 0.2),
            "epsilon": 0.0 if way == "deterministic" and ratio == 0.3 else rng.uniform(1, 2),
        }
        for way in coreset_parts.WAYS
        for ratio in RATIOS
    ]


def inputs(rng):
    return [
        {"inputs": kind, "epsilon": 3.0, "error": rng.uniform(0.01, 0.1), "error_max": rng.uniform(0.2, 1.0)}
        for kind in coreset_tightness.INPUTS
    ]


def scaling(rng):
    rows = []
    for alpha in (0.01, 1.0, 1e6, 1e12):
        for bound in ("stated", "hoeffding"):
            ratio = rng.uniform(0.01, 30)
            rows.append({"bound": bound, "alpha": alpha, "samples": 1e6 / alpha**0.5, "largest_over_epsilon": ratio})
        rows.append(
            {"bound": "weights", "alpha": alpha, "samples": rng.uniform(1e3, 1e4), "largest_over_epsilon": np.nan}
        )
    return rows


def waterfall(rng):
    names = ("bound, all at once", "exact variance", "typical point")
    return [
        {"kind": kind, "order": order, "name": name, "epsilon": size * rng.uniform(0.9, 1.1)}
        for kind in ("neurons", "weights")
        for order, (name, size) in enumerate(zip(names, (1.0, 2.0, 0.1), strict=True))
    ]


def pruned(rng):
    rows = []
    for method, ratio in itertools.product(("magnitude", "random", "deterministic", "neurons"), RATIOS):
        rows.append((method, ratio, ratio + rng.uniform(-0.01, 0.01)))
    rows += [("gates", at, at) for at in (*rng.uniform(0.1, 0.2, 1), *rng.uniform(0.3, 1, 2))]
    table = []
    for method, ratio, sparsity in rows:
        tuned = ["none"] if method == "random" or ratio == 0.3 else list(coreset_recovery.STATES)
        table += [
            {
                "method": method,
                "ratio": ratio,
                "sparsity": sparsity,
                "tuned": state,
                "accuracy": rng.uniform(0.3, 0.9) + 0.1 * (state != "none"),
                "error": rng.uniform(0.1, 4),
                "centred_error": rng.uniform(0.1, 3),
            }
            for state in tuned
        ]
    table += [
        {
            "method": "dense",
            "ratio": 0.0,
            "sparsity": 0.0,
            "tuned": state,
            "accuracy": 0.98,
            "error": rng.uniform(0.2, 0.6),
            "centred_error": rng.uniform(0.2, 0.6),
        }
        for state in ("last layer", "all layers")
    ]
    return table


def drawn_from(cases, seeds, kinds=KINDS[:2], only=None):
    """Every figure once, or those that are named."""

    def table(rows):
        return made(rows, cases, seeds)

    case = next(case for reading, case in cases if reading == "regularisation")
    ways = {
        "bands": lambda: coreset_bounds.label_bands(table(example), table(margins)),
        "layers": lambda: coreset_bounds.layer_errors(table(layers)),
        "draws": lambda: coreset_bounds.draws_by_share(table(epsilon_first), kinds),
        "accuracy": lambda: coreset_bounds.guaranteed_accuracy(table(sparsity_first)),
        "inputs": lambda: coreset_tightness.other_inputs(table(inputs)),
        "scaling": lambda: coreset_tightness.scaling(table(scaling)),
        "waterfall": lambda: coreset_tightness.waterfall(table(waterfall)),
        "tuning": lambda: coreset_recovery.fine_tuning(table(pruned), case=case),
        "gates tuned": lambda: coreset_recovery.fine_tuning(table(pruned), case=case, method="gates"),
        "heuristics": lambda: coreset_recovery.heuristics(table(pruned)),
        "foretold": lambda: coreset_recovery.error_and_accuracy(table(pruned)),
    }
    return {name: draw() for name, draw in ways.items() if only is None or name in only}


@pytest.fixture(scope="module")
def drawn():
    return drawn_from(CASES[:4], 2)


def of(table, case, **wanted):
    wanted = {"case": case, **wanted}
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


# --- the house style ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cases", "seeds", "only"), [(CASES[2:3], 1, None), (CASES, 1, ("draws", "inputs", "scaling", "foretold"))]
)
def test_few_and_many_circumstances_are_readable(cases, seeds, only):
    figures = drawn_from(cases, seeds, KINDS, only)
    test_nothing_covers_anything_and_all_is_on_the_page(figures)
    test_text_is_large_enough(figures)
    for name, figure in figures.items():
        for axis in panels(figure):
            assert axis.lines or axis.patches or axis.collections, f"{name} has an empty panel"


GROUPS = {
    "kinds": [LOOKS[kind] for kind in (*KINDS, "weights, CoreNet")],
    "ways": [LOOKS[way] for way in coreset_parts.WAYS],
    "pruned": [LOOKS[name] for name in ("neurons", "deterministic", "gates", "magnitude")],
    "bounds": list(coreset_tightness.BOUNDS.values()),
    "inputs": list(coreset_tightness.INPUTS.values()),
    "states": [*coreset_recovery.STATES.values(), coreset_recovery.RANDOM],
    "cases": list(coreset_parts.case_looks([(f"case {n}", None) for n in range(6)]).values()),
}


@pytest.mark.parametrize("group", GROUPS)
def test_looks_stay_apart(group):
    looks = GROUPS[group]
    assert len({look.marker for look in looks}) == len(looks)
    for kind in BLINDNESS:
        seen = [lab(np.clip(kind @ linear(look.colour), 0, 1)) for look in looks]
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 8
    for look in looks:
        assert 1.05 / (linear(look.colour) @ TO_XYZ[1] + 0.05) > 2.7, look.label


def test_order_and_names_of_circumstances():
    found = coreset_parts.cells(made(layers, CASES))
    names = ["easy", "moderate", "difficult", "dropout", "moderate, label noise"]
    assert [label for label, _ in found] == names
    figure = coreset_bounds.layer_errors(made(layers, CASES))
    heads = [text.get_text() for axis in panels(figure) for text in axis.texts]
    assert heads == names
    assert len(panels(figure)) == 5


# --- guarantees ---------------------------------------------------------------------------------


def test_bands_of_the_two_largest_logits_touch(drawn):
    table = of(made(example), "difficult", seed=1)
    left, right = panels(drawn["bands"])
    bars = sorted((bar for bar in left.patches if isinstance(bar, Rectangle)), key=lambda bar: bar.get_x())
    low = np.array([bar.get_y() for bar in bars])
    high = low + [bar.get_height() for bar in bars]
    np.testing.assert_allclose(high - low, 2 * table["epsilon"].iloc[0])
    np.testing.assert_allclose((low + high) / 2, table["logit"])
    first, second = np.argsort(table["logit"].to_numpy())[[-1, -2]]
    assert low[first] == pytest.approx(high[second])
    assert line(left, "Logit of the correct class")[0] == [table["label"].iloc[0]]
    expected = of(made(margins), "easy", unit="additive").groupby("share")["epsilon"].mean()
    x, y = line(right, "Easy")
    np.testing.assert_allclose(x, expected)
    np.testing.assert_allclose(y, SHARES)
    assert right.get_xscale() == "log"


def test_layers_add_up(drawn):
    table = made(layers)
    for axis, case in zip(panels(drawn["layers"]), ("easy", "moderate", "difficult", "dropout"), strict=True):
        data = [line(axis, f"Layer {n}, at the output") for n in (1, 2, 3)]
        parts = [pd.Series(y, index=x) for x, y in data]
        assert parts[0].index.tolist() == [0.5, 0.9], "a line has a gap where it is zero"
        np.testing.assert_allclose(pd.concat(parts, axis=1).sort_index().sum(axis=1), line(axis, "Sum: the bound")[1])
        expected = of(table, case, layer=1).groupby("ratio")[["observed", "observed_mean"]].mean()
        np.testing.assert_allclose(line(axis, "Largest error seen")[1], expected["observed"])
        np.testing.assert_allclose(line(axis, "Mean error seen")[1], expected["observed_mean"])
        assert line(axis, "_arrow")[0] == [0.3], "an error of exactly zero is marked"
    assert len({axis.get_ylim() for axis in panels(drawn["layers"])}) == 1


def test_draws_and_what_lies_beyond_the_cut(drawn):
    table = made(epsilon_first)
    axes = np.array(panels(drawn["draws"])).reshape(4, 4)
    for (units, weights, middle, bottom), case in zip(
        axes.T, ("easy", "moderate", "difficult", "dropout"), strict=True
    ):
        for top, kind in ((units, "neurons"), (weights, "weights")):
            look = LOOKS[kind]
            means = of(table, case, kind=kind).groupby("share").mean(numeric_only=True)
            for axis, name, column in (
                (top, look.label, "observed"),
                (top, "_epsilon", "epsilon"),
                (top, "_largest", "observed_max"),
                (middle, look.label, "samples"),
                (bottom, look.label, "sparsity"),
            ):
                expected = means[column][np.isfinite(means[column])]
                np.testing.assert_allclose(line(axis, name), (expected.index, expected))
            assert to_hex(next(x for x in middle.lines if x.get_label() == look.label).get_color()) == look.colour
        sizes = [drawn.get_ydata()[0] for drawn in middle.lines if drawn.get_label() == "_size"]
        assert sizes == [100, 1000]
        hollow = [drawn for drawn in middle.lines if drawn.get_label() == "_beyond"]
        # (1.001 - .95)^-2 * 1e4 is 3.8e6: beyond the cut for both kinds. Infinitely many have an arrow instead.
        assert [list(x.get_xdata()) for x in hollow] == [[0.95, 1.0], [0.95]]
        unsampled = [list(x.get_xdata()) for x in bottom.lines if x.get_label() == "_unsampled"]
        assert unsampled == [[], [1.0]]
        assert line(middle, "_arrow")[0] == [1.0], "infinitely many draws are marked"
        (zone,) = [x for x in middle.patches if isinstance(x, Rectangle)]
        assert zone.get_y() == coreset_bounds.CUT
        assert zone.get_y() + zone.get_height() == pytest.approx(middle.get_ylim()[1])
    texts = [text.get_text() for text in drawn["draws"].legends[0].get_texts()]
    assert "Beyond the paper's cut-off" in texts
    assert "Not sampled" in texts
    assert axes[0, 0].get_ylabel() == "Units:\nerror of a logit"
    assert axes[1, 0].get_ylabel() == "Weights:\nrelative error"


def test_seen_and_guaranteed(drawn):
    table = made(sparsity_first)
    axes = np.array(panels(drawn["accuracy"])).reshape(3, 4)
    for (top, units, weights), case in zip(axes.T, ("easy", "moderate", "difficult", "dropout"), strict=True):
        for way in coreset_parts.WAYS:
            means = of(table, case, way=way).groupby("ratio").mean(numeric_only=True)
            label = LOOKS[way].label
            below = units if way == "neurons" else weights
            for axis, name, column in (
                (top, label, "accuracy"),
                (top, f"_{way}", "implied_accuracy"),
                (below, label, "observed"),
                (below, f"_{way}", "epsilon"),
            ):
                there = means if axis is top else means[means[column] > 0]
                np.testing.assert_allclose(line(axis, name), (there["sparsity"], there[column]))
            (promise,) = [x for x in top.lines if x.get_label() == f"_{way}"]
            assert promise.is_dashed()
        assert len(line(weights, "_arrow")[0]) == 1, "a guarantee of exactly zero is marked"
        ends = of(table, case, way="neurons").groupby("ratio")["accuracy"].agg(["min", "max"])
        np.testing.assert_allclose(band(top, 0), ends)


def test_bands_over_seeds_are_inside_the_panels(drawn):
    """The range of a logarithmic axis follows the bands, not only the means."""
    for axis in panels(drawn["accuracy"])[4:]:
        low, high = axis.get_ylim()
        for drawn_band in axis.collections:
            heights = drawn_band.get_paths()[0].vertices[:, 1]
            heights = heights[heights > 0]
            assert low < heights.min()
            assert heights.max() < high


def test_one_seed_has_no_bands():
    axis = panels(coreset_bounds.guaranteed_accuracy(made(sparsity_first, seeds=1)))[0]
    assert not axis.collections


def test_errors_on_other_inputs(drawn):
    table = made(inputs)
    (axis,) = panels(drawn["inputs"])
    for kind, look in coreset_tightness.INPUTS.items():
        means = [drawn.get_xdata()[0] for drawn in axis.lines if drawn.get_label() == look.label]
        tops = [drawn.get_xdata()[0] for drawn in axis.lines if drawn.get_label() == f"_{kind}"]
        expected = table[table["inputs"] == kind].groupby("case")[["error", "error_max"]].mean()
        expected = expected.loc[["easy", "moderate", "difficult", "dropout"]]
        np.testing.assert_allclose(means, expected["error"])
        np.testing.assert_allclose(tops, expected["error_max"])
    assert [x.get_xdata()[0] for x in axis.lines if x.get_label() == "_epsilon"] == [3.0] * 4
    with pytest.raises(InputError, match="cube"):
        coreset_tightness.other_inputs(table.assign(inputs="cube"))


def test_scaling_shows_where_the_guarantee_breaks(drawn):
    table = made(scaling)
    left, right = panels(drawn["scaling"])
    for bound, look in coreset_tightness.BOUNDS.items():
        lines = [drawn for drawn in left.lines if drawn.get_label() == look.label]
        for drawn_line, case in zip(lines, ("easy", "moderate", "difficult", "dropout"), strict=True):
            expected = of(table, case, bound=bound).groupby("alpha")["samples"].mean()
            np.testing.assert_allclose(drawn_line.get_ydata(), expected)
        number = sum(drawn.get_label() == look.label for drawn in right.lines)
        assert number == (0 if bound == "weights" else 4)
    assert line(right, "_one")[1].tolist() == [1, 1]
    assert right.patches[0].get_y() == 1
    assert left.get_xscale() == left.get_yscale() == right.get_yscale() == "log"
    with pytest.raises(InputError, match="chernoff"):
        coreset_tightness.scaling(table.assign(bound="chernoff"))


def test_factors_of_the_waterfall(drawn):
    table = made(waterfall)
    for axis, kind in zip(panels(drawn["waterfall"]), ("neurons", "weights"), strict=True):
        means = np.exp(np.log(table["epsilon"])[table["kind"] == kind].groupby(table["order"]).mean().to_numpy())
        np.testing.assert_allclose(line(axis, "_mean")[0], means)
        texts = [text.get_text() for text in axis.texts]
        assert texts == [f"× {means[1] / means[0]:.2g}", f"÷ {means[1] / means[2]:.2g}"]
        points = of(table, "easy", kind=kind).groupby("order")["epsilon"]
        np.testing.assert_allclose(line(axis, "Easy")[0], points.apply(lambda v: np.sqrt(v.prod())))
        assert axis.get_yticklabels()[0].get_text() == "Bernstein, all images"


# --- recovery -----------------------------------------------------------------------------------


def test_fine_tuning_beside_its_control(drawn):
    table = made(pruned)
    for axis, column in zip(panels(drawn["tuning"]), ("accuracy", "error", "centred_error"), strict=True):
        for state, look in coreset_recovery.STATES.items():
            part = of(table, "difficult", method="deterministic", tuned=state)
            means = part.groupby("ratio")[["sparsity", column]].mean()
            x, y = line(axis, look.label)
            np.testing.assert_allclose(x, means["sparsity"])
            np.testing.assert_allclose(y, means[column])
            if state != "none":
                dense = of(table, "difficult", method="dense", tuned=state)[column].mean()
                assert line(axis, f"_dense, {state}")[1] == pytest.approx([dense] * 2)
    with pytest.raises(InputError, match="no case hard: it has easy"):
        coreset_recovery.fine_tuning(table, case="hard")
    with pytest.raises(InputError, match="method gone"):
        coreset_recovery.fine_tuning(table, method="gone")
    with pytest.raises(InputError, match="no reading regularisation"):
        coreset_recovery.fine_tuning(table.assign(reading="dropout"))


def test_gates_are_averaged_between_what_was_measured():
    """Two seeds that measured at other places: means of straight lines, where both go."""
    rows = [
        {"seed": seed, "sparsity": x, "accuracy": y, "method": "gates", "tuned": "none", "ratio": x}
        for seed, points in ((1, [(0.2, 1.0), (0.6, 0.6)]), (2, [(0.4, 0.9), (0.8, 0.1)]))
        for x, y in points
    ]
    table = pd.DataFrame(rows).assign(reading="regularisation", case="easy")
    axis = panels(coreset_recovery.heuristics(table))[0]
    x, y = line(axis, "Right after pruning")
    np.testing.assert_allclose(x, [0.4, 0.6])
    np.testing.assert_allclose(y, [(0.8 + 0.9) / 2, (0.6 + 0.5) / 2])
    assert sorted(line(axis, "_measured")[0]) == [0.2, 0.4, 0.6, 0.8]
    alone = panels(coreset_recovery.heuristics(table[table["seed"] == 1]))[0]
    np.testing.assert_allclose(line(alone, "Right after pruning")[1], [1.0, 0.6])
    assert not alone.collections


def test_heuristics_of_the_first_reading(drawn):
    table = made(pruned)
    axes = np.array(panels(drawn["heuristics"])).reshape(2, 3)  # no panel for dropout
    for axis, case in zip(axes[1], ("easy", "moderate", "difficult"), strict=True):
        for state, look in coreset_recovery.STATES.items():
            part = of(table, case, method="magnitude", tuned=state)
            expected = part.groupby("ratio")["accuracy"].mean()
            np.testing.assert_allclose(line(axis, look.label)[1], expected)
        assert "Random weights" in [drawn.get_label() for drawn in axis.lines]
        assert line(axis, "_dense, all layers")[1] == pytest.approx([0.98] * 2)
    with pytest.raises(InputError, match="none of gates, magnitude"):
        coreset_recovery.heuristics(table[table["method"] == "neurons"])


def test_each_network_before_and_after(drawn):
    table = made(pruned)
    keys = ["seed", "ratio"]
    axes = np.array(panels(drawn["foretold"])).reshape(2, 4)
    for (top, bottom), case in zip(axes.T, ("easy", "moderate", "difficult", "dropout"), strict=True):
        for method in ("magnitude", "deterministic", "neurons", "gates"):
            mine = of(table, case, method=method)
            before = mine[mine["tuned"] == "none"].set_index(keys)
            after = mine[mine["tuned"] == "all layers"].set_index(keys)
            before = before.loc[after.index]
            for axis, accuracy in ((top, before["accuracy"]), (bottom, after["accuracy"])):
                (cloud,) = axis.collections
                chosen = [to_hex(colour) == LOOKS[method].colour for colour in cloud.get_facecolors()]
                drawn_points = np.asarray(cloud.get_offsets())[chosen]
                expected = sorted(zip(before["error"], 1 - accuracy, strict=True))
                np.testing.assert_allclose(sorted(map(tuple, drawn_points)), expected)
        assert top.get_xlim() == bottom.get_xlim()
        assert top.get_ylim() == bottom.get_ylim()
    texts = [text.get_text() for text in drawn["foretold"].legends[0].get_texts()]
    assert "Random weights" not in texts
    with pytest.raises(InputError, match="not 'none'"):
        coreset_recovery.error_and_accuracy(table, tuned="none")
    with pytest.raises(InputError, match="no pruned network with all layers tuned"):
        coreset_recovery.error_and_accuracy(table[table["tuned"] == "none"])


def test_a_small_error_is_an_arrow():
    table = made(pruned, CASES[1:2], seeds=1)
    chosen = (table["method"] == "magnitude") & (table["ratio"] == 0.5)
    table.loc[chosen, "error"] = 1e-8
    top, _ = panels(coreset_recovery.error_and_accuracy(table))
    assert len(line(top, "_arrow")[0]) == 1
    assert top.get_xlim()[0] > 1e-3


# --- bad tables ---------------------------------------------------------------------------------

ALL = [
    (lambda table: coreset_bounds.label_bands(table, made(margins)), example, "logit"),
    (lambda table: coreset_bounds.label_bands(made(example), table), margins, "epsilon"),
    (coreset_bounds.layer_errors, layers, "bound"),
    (coreset_bounds.draws_by_share, epsilon_first, "beyond_cut"),
    (coreset_bounds.guaranteed_accuracy, sparsity_first, "implied_accuracy"),
    (coreset_tightness.other_inputs, inputs, "error_max"),
    (coreset_tightness.scaling, scaling, "samples"),
    (coreset_tightness.waterfall, waterfall, "order"),
    (coreset_recovery.fine_tuning, pruned, "centred_error"),
    (coreset_recovery.heuristics, pruned, "tuned"),
    (coreset_recovery.error_and_accuracy, pruned, "error"),
]


@pytest.mark.parametrize(("draw", "rows", "column"), ALL)
def test_bad_tables_are_named(draw, rows, column):
    table = made(rows, CASES[1:3])
    with pytest.raises(InputError, match=f"no column .*{column}"):
        draw(table.drop(columns=column))
    with pytest.raises(InputError, match="is empty"):
        draw(table.iloc[:0])
    with pytest.raises(InputError, match=r"several values of dataset \(mnist, digits\)"):
        draw(table.assign(dataset=["mnist"] + ["digits"] * (len(table) - 1)))


def test_kinds_that_are_not_there():
    with pytest.raises(InputError, match="nothing called edges"):
        coreset_bounds.draws_by_share(made(epsilon_first), ("edges",))
    with pytest.raises(InputError, match="none of magnitude"):
        coreset_bounds.draws_by_share(made(epsilon_first), ("magnitude",))
    rows = made(layers).assign(bound=np.inf, observed=np.inf)
    with pytest.raises(InputError, match="no finite positive value"):
        lines.end_axis([], [pd.DataFrame({"mean": rows["bound"]})], 1.0)
