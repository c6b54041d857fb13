"""Figures of the last layer read back: what is drawn is what the tables say, and nothing covers anything."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from scipy import stats
from test_figures import (
    BLINDNESS,
    TO_XYZ,
    lab,
    line,
    linear,
    panels,
    test_nothing_covers_anything_and_all_is_on_the_page,
    test_text_is_large_enough,
)

from prunebook.errors import InputError
from prunebook.pages.figures import coreset_bounds, coreset_parts, coreset_recovery
from prunebook.pages.figures.style import LOOKS, spare

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
        for kind in coreset_bounds.INPUTS
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
        "inputs": lambda: coreset_bounds.other_inputs(table(inputs)),
        "scaling": lambda: coreset_bounds.scaling(table(scaling)),
        "waterfall": lambda: coreset_bounds.waterfall(table(waterfall)),
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
    "bounds": list(coreset_bounds.BOUNDS.values()),
    "inputs": list(coreset_bounds.INPUTS.values()),
    "states": [*coreset_recovery.STATES.values(), coreset_recovery.RANDOM],
    "cases": list(spare(f"case {n}" for n in range(6)).values()),
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
    assert [axis.get_title(loc="left").split("  ")[1] for axis in panels(figure)] == names
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
    assert line(left, "Largest logit")[0] == [first]
    assert line(left, "Runner-up")[0] == [second]
    expected = of(made(margins), "easy", unit="additive").groupby("share")["epsilon"].mean()
    x, y = line(right, "Easy")
    np.testing.assert_allclose(x, expected)
    np.testing.assert_allclose(y, SHARES)
    assert right.get_xscale() == "log"


def test_layers_add_up(drawn):
    table = made(layers)
    for axis, case in zip(panels(drawn["layers"]), ("easy", "moderate", "difficult", "dropout"), strict=True):
        data = [line(axis, f"Layer {n}, at the output") for n in (1, 2, 3)]
        assert data[0][0].tolist() == [0.5, 0.9], "a line has a gap where it is zero"
        for n, (_, y) in enumerate(data, start=1):
            part = of(table, case, layer=n).groupby("ratio")["at_output"].agg(stats.gmean)
            np.testing.assert_allclose(y, part[part > 0])
        whole = of(table, case, layer=1).groupby("ratio")["bound"].agg(stats.gmean)
        np.testing.assert_allclose(line(axis, "Sum: the bound")[1], whole)
        expected = of(table, case, layer=1).groupby("ratio")[["observed", "observed_mean"]].agg(stats.gmean)
        np.testing.assert_allclose(line(axis, "Largest error seen")[1], expected["observed"])
        np.testing.assert_allclose(line(axis, "Mean error seen")[1], expected["observed_mean"])
        assert line(axis, "_arrow")[0] == [0.3], "an error of exactly zero is marked"
    assert len({axis.get_ylim() for axis in panels(drawn["layers"])}) == 1


def test_draws_and_what_lies_beyond_the_cut(drawn):
    table = made(epsilon_first)
    axes = np.array(panels(drawn["draws"])).reshape(2, 3)
    for (errors, draws, sparsity), kind, size in zip(axes, ("neurons", "weights"), (100, 1000), strict=True):
        for case in ("easy", "moderate", "difficult", "dropout"):
            groups, label = of(table, case, kind=kind).groupby("share"), case.capitalize()
            for axis, name, column in (
                (errors, label, "observed"),
                (errors, f"_Allowed, ε, {label}", "epsilon"),
                (errors, f"_Seen, largest, {label}", "observed_max"),
                (draws, label, "samples"),
            ):
                expected = groups[column].agg(lambda values: stats.gmean(values))
                expected = expected[np.isfinite(expected)]
                np.testing.assert_allclose(line(axis, name), (expected.index, expected))
            shares = 100 * groups["sparsity"].mean()
            np.testing.assert_allclose(line(sparsity, label)[1], shares[np.isfinite(shares)])
        assert line(draws, "_size")[1].tolist() == [size, size]
        assert draws.get_ylim()[0] < size
        (zone,) = [x for x in draws.patches if isinstance(x, Rectangle)]
        assert zone.get_y() == coreset_bounds.CUT
        hollow = [x for mark in sparsity.lines if mark.get_label() == "_beyond" for x in mark.get_xdata()]
        assert sorted(hollow) == sorted([0.95] * 4 + ([1.0] * 4 if kind == "neurons" else [])), "not those unsampled"
        crosses = [x for mark in sparsity.lines if mark.get_label() == "_unsampled" for x in mark.get_xdata()]
        assert crosses == ([] if kind == "neurons" else [1.0] * 4)
        # Infinitely many draws have an arrow.
        arrows = [x for x in draws.lines if x.get_label() == "_arrow"]
        assert bool(arrows) == (kind == "weights")
    texts = [text.get_text() for text in drawn["draws"].legends[0].get_texts()]
    assert "Beyond the paper's cut-off" in texts
    assert axes[0, 0].get_ylabel() == "Error of a logit"
    assert axes[1, 0].get_ylabel() == "Relative error"


def test_seen_and_guaranteed(drawn):
    table = made(sparsity_first)
    axes = np.array(panels(drawn["accuracy"])).reshape(2, 4)
    for (top, below), way in zip(axes.T, coreset_parts.WAYS, strict=True):
        for case in ("easy", "moderate", "difficult", "dropout"):
            groups, label = of(table, case, way=way).groupby("ratio"), case.capitalize()
            for axis, name, column in (
                (top, label, "accuracy"),
                (top, f"_Guaranteed, {label}", "implied_accuracy"),
                (below, label, "observed"),
                (below, f"_Guaranteed, {label}", "epsilon"),
            ):
                average = np.mean if axis is top else stats.gmean
                found = pd.DataFrame({"x": groups["sparsity"].mean(), "y": groups[column].agg(average)})
                there = found if axis is top else found[found["y"] > 0]
                np.testing.assert_allclose(line(axis, name), (there["x"], there["y"]))
            (promise,) = [x for x in top.lines if x.get_label() == f"_Guaranteed, {label}"]
            assert promise.is_dashed()
    arrows = [x for x in axes[1, 2].lines if x.get_label() == "_arrow"]
    assert len(arrows) == 4, "a guarantee of exactly zero is marked in each circumstance"
    assert axes[1, 1].get_ylim() == axes[1, 2].get_ylim() != axes[1, 0].get_ylim(), "one scale for one unit"


def test_one_seed_has_no_bands():
    axis = panels(coreset_bounds.guaranteed_accuracy(made(sparsity_first, seeds=1)))[0]
    assert not axis.collections


def marks(axis):
    """Where the means of rows of dots stand."""
    return np.concatenate(
        [np.asarray(mark.get_xdata(), float) for mark in axis.lines if mark.get_linestyle() == "None"]
    )


def test_errors_on_other_inputs(drawn):
    table = made(inputs)
    for axis, column in zip(panels(drawn["inputs"]), ("error", "error_max"), strict=True):
        expected = (table[column] / table["epsilon"]).groupby([table["case"], table["inputs"]]).agg(stats.gmean)
        assert set(expected.round(9)) <= set(marks(axis).round(9))
        assert axis.get_xscale() == "log"
    labels = [tick.get_text() for tick in panels(drawn["inputs"])[0].get_yticklabels()]
    assert labels == ["easy", "moderate", "difficult", "dropout"]
    with pytest.raises(InputError, match="cube"):
        coreset_bounds.other_inputs(table.assign(inputs="cube"))


def test_scaling_shows_where_the_guarantee_breaks(drawn):
    table = made(scaling)
    axes = panels(drawn["scaling"])
    assert len(axes) == 5, "no error of the bound that has none"
    for axis, bound in zip(axes[:3], coreset_bounds.BOUNDS, strict=True):
        for case in ("easy", "moderate", "difficult", "dropout"):
            expected = of(table, case, bound=bound).groupby("alpha")["samples"].agg(stats.gmean)
            np.testing.assert_allclose(line(axis, case.capitalize())[1], expected)
    for axis in axes[3:]:
        assert line(axis, "_level")[1].tolist() == [1, 1]
        assert axis.patches[0].get_y() == 1
    assert {axis.get_xscale() for axis in axes} == {axis.get_yscale() for axis in axes} == {"log"}
    with pytest.raises(InputError, match="chernoff"):
        coreset_bounds.scaling(table.assign(bound="chernoff"))


def test_factors_of_the_waterfall(drawn):
    table = made(waterfall)
    for axis, kind in zip(panels(drawn["waterfall"]), ("neurons", "weights"), strict=True):
        part = table[table["kind"] == kind]
        means = part.groupby("order")["epsilon"].agg(stats.gmean).to_numpy()
        texts = [text.get_text() for text in axis.texts if text.get_text()]
        assert texts == [f"× {means[1] / means[0]:.2g}", f"÷ {means[1] / means[2]:.2g}"]
        share = part["epsilon"] / part.groupby(["case", "seed"])["epsilon"].transform("first")
        expected = share.groupby([part["order"], part["case"]]).agg(stats.gmean)
        assert set(expected.round(9)) <= set(marks(axis).round(9))
    labels = [tick.get_text() for tick in panels(drawn["waterfall"])[0].get_yticklabels()]
    assert labels[0] == "Bernstein, all images"


# --- recovery -----------------------------------------------------------------------------------


def test_fine_tuning_beside_its_control(drawn):
    table = made(pruned)
    for axis, column in zip(panels(drawn["tuning"]), ("accuracy", "error", "centred_error"), strict=True):
        for state, look in coreset_recovery.STATES.items():
            part = of(table, "difficult", method="deterministic", tuned=state)
            groups, average = part.groupby("ratio"), np.mean if column == "accuracy" else stats.gmean
            x, y = line(axis, look.label)
            np.testing.assert_allclose(x, groups["sparsity"].mean())
            np.testing.assert_allclose(y, groups[column].agg(average))
            if state != "none":
                dense = average(of(table, "difficult", method="dense", tuned=state)[column])
                assert line(axis, f"{look.label}, dense")[1] == pytest.approx([dense] * 2)
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
    np.testing.assert_allclose(y, [100 * np.sqrt(0.2 * 0.1), 100 * np.sqrt(0.4 * 0.5)])
    assert line(axis, "_measured")[0].tolist() == [0.2, 0.6, 0.4, 0.8]
    alone = panels(coreset_recovery.heuristics(table[table["seed"] == 1]))[0]
    np.testing.assert_allclose(line(alone, "Right after pruning")[0], [0.6])  # nothing is wrong at 0.2: an arrow
    assert not alone.collections


def test_heuristics_of_the_first_reading(drawn):
    table = made(pruned)
    axes = np.array(panels(drawn["heuristics"])).reshape(2, 3)  # no panel for dropout
    for axis, case in zip(axes[1], ("easy", "moderate", "difficult"), strict=True):
        for state, look in coreset_recovery.STATES.items():
            part = of(table, case, method="magnitude", tuned=state)
            expected = (100 * (1 - part["accuracy"])).groupby(part["ratio"]).agg(stats.gmean)
            np.testing.assert_allclose(line(axis, look.label)[1], expected)
        assert "Random weights" in [drawn.get_label() for drawn in axis.lines]
        assert line(axis, "All layers tuned, dense")[1] == pytest.approx([2] * 2)
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
                expected = sorted(zip(before["error"], 100 * (1 - accuracy), strict=True))
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
    (coreset_bounds.other_inputs, inputs, "error_max"),
    (coreset_bounds.scaling, scaling, "samples"),
    (coreset_bounds.waterfall, waterfall, "order"),
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
    with pytest.raises(InputError, match="no finite positive value"):
        coreset_bounds.layer_errors(made(layers).assign(at_output=0.0, bound=0.0, observed=0.0, observed_mean=0.0))
