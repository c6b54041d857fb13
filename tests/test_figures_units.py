"""Figures of pruned units read back: what is drawn is what the tables say, and nothing covers anything."""

import itertools

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from prunebook.errors import InputError
from prunebook.evidence.statistics.mean_replacement import below_diagonal, covered, foresight, profile_areas
from prunebook.pages.figures import layout, mean_replacement, mr_choices, mr_parts
from prunebook.pages.figures.style import house_style
from prunebook.pages.numbers import number

SCORES = ("norm", "rand", "rs", "abs_rs", "mrs", "abs_mrs")
STEPS = (0, 10_000, 20_000, 30_000, 40_000)
SIZES = {"norm": 0.1, "rand": 0.2, "rs": 4.0, "abs_rs": 0.05, "mrs": 2.0, "abs_mrs": 0.04}


def made_penalties(seeds=3, nets=("medium",)) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    keys = ("net", "seed", "step", "score", "set", "amount", "replacement")
    grid = itertools.product(nets, range(seeds), STEPS, SCORES, ("all", "midconv"), (0.1, 1.0), ("zero", "mean"))
    table = pd.DataFrame(grid, columns=keys)
    for column in ("penalty", "test_penalty"):
        table[column] = table["score"].map(SIZES) * rng.uniform(-0.2, 1, len(table))
    none = (table["amount"] == 1.0) & (table["step"] == 0)  # nothing was pruned
    return table.assign(batch_norm=False, **{"penalty": table["penalty"].mask(none, 0.0)})


def made_network(seeds=3) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = [{"net": "medium", "seed": seed, "step": step} for seed in range(seeds) for step in STEPS]
    columns = ("loss", "test_loss", "accuracy", "test_accuracy")
    return pd.DataFrame(rows).assign(**{column: rng.uniform(0.1, 1, len(rows)) for column in columns})


def made_followed(seeds=3) -> pd.DataFrame:
    """Every score chooses 2 of 10 units; rand fresh ones, others among a few."""
    rng = np.random.default_rng(2)
    rows = []
    for seed, step, score in itertools.product(range(seeds), range(0, 40_001, 2500), SCORES):
        found = rng.choice(10 if score == "rand" else 4, 2, replace=False)
        energy = 10 ** rng.uniform(1, 4, 2) * (rng.random(2) > 0.1)
        rows += [
            {"net": "medium", "seed": seed, "step": step, "score": score, "site": "conv2", "unit": int(unit),
             "energy": loud, "width": 10}
            for unit, loud in zip(found, energy, strict=True)
        ]  # fmt: skip
    return pd.DataFrame(rows)


def made_constants() -> pd.DataFrame:
    grid = itertools.product(("medium",), range(2), (5000, 15_000), ("all", "midconv"), SCORES, (0.0, 0.5, 1.0, 1.5))
    table = pd.DataFrame(grid, columns=["net", "seed", "step", "set", "score", "alpha"])
    bowl = (table["alpha"] - 0.9) ** 2 + 0.1 * table["seed"] + table["step"] * 1e-5
    return table.assign(penalty=table["score"].map(SIZES) * bowl)


def made_agreement() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    grid = itertools.product(("medium",), range(3), STEPS, ("conv1", "conv2"), ("rs", "mrs"))
    table = pd.DataFrame(grid, columns=["net", "seed", "step", "site", "score"])
    return table.assign(signal=rng.uniform(0.1, 0.5, len(table)))


def made_single_units() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    grid = itertools.product(("medium",), range(2), (5000, 25_000), ("conv2",), range(12), ("zero", "mean"))
    table = pd.DataFrame(grid, columns=["net", "seed", "step", "site", "unit", "replacement"])
    table["penalty"] = rng.uniform(-0.01, 0.1, len(table))
    for score in SCORES:
        table[f"score_{score}"] = np.abs(table["penalty"] + rng.normal(0, 0.03, len(table))) * (table["unit"] > 0)
    return table


def made_tuning() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    keys = ("net", "seed", "step", "score", "set", "amount", "replacement", "tuned")
    grid = itertools.product(
        ("medium",), range(3), (5000, 15_000, 25_000, 35_000), ("norm", "abs_rs", "abs_mrs"), ("all", "midconv"),
        (0.1,), ("zero", "mean"), (0, 10, 100, 500)
    )  # fmt: skip
    table = pd.DataFrame(grid, columns=keys)
    return table.assign(penalty=rng.uniform(0, 0.1, len(table)))


@pytest.fixture(scope="module")
def penalties():
    return made_penalties()


@pytest.fixture(scope="module")
def followed():
    return made_followed()


@pytest.fixture(scope="module")
def drawn(penalties, followed):
    """Every figure once, and those of a network whose signed scores were left out, from one seed."""
    unsigned = made_penalties(1, ("vgg11",)).query("score not in ['rs', 'mrs']")
    return {
        "through, unsigned": mean_replacement.penalties_through_training(
            unsigned, made_network(1).assign(net="vgg11"), net="vgg11"
        ),
        "scatter, unsigned": mean_replacement.zero_against_mean(unsigned),
        "profiles, unsigned": mr_choices.performance_profiles(unsigned),
        "constant, unsigned": mr_choices.multiples_of_mean(made_constants().query("score not in ['rs', 'mrs']")),
        "through": mean_replacement.penalties_through_training(penalties, made_network(), net="medium"),
        "scatter": mean_replacement.zero_against_mean(penalties),
        "shares": mean_replacement.shares_below(penalties),
        "profiles": mr_choices.performance_profiles(penalties),
        "energies": mr_choices.energies(followed),
        "coverage": mr_choices.unit_coverage(followed),
        "by set": mean_replacement.penalties_by_set(penalties),
        "constant": mr_choices.multiples_of_mean(made_constants()),
        "signal": mr_choices.signed_signal(made_agreement()),
        "by set, density": mean_replacement.zero_against_mean(penalties, by="set"),
        "single units": mr_choices.foretelling(made_single_units()),
        "single units, points": mr_choices.single_units(made_single_units()),
        "by network": mean_replacement.penalties_by_network(made_penalties(3, ("small", "medium", "vgg11"))),
        "test": mean_replacement.train_against_test(penalties),
        "tuning": mean_replacement.after_tuning(made_tuning()),
        "tuned penalties": mean_replacement.penalties_after_tuning(made_tuning()),
    }


def panels(figure):
    return [axis for axis in figure.axes if axis.get_visible()]


def line(axis, label, place=0):
    """Data of a line with this label."""
    found = [line for line in axis.lines if line.get_label() == label][place]
    return np.asarray(found.get_xdata(), float), np.asarray(found.get_ydata(), float)


def panel(figure, title):
    (found,) = (axis for axis in panels(figure) if axis.get_title(loc="left").endswith(title))
    return found


def chosen(table, **wanted):
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def test_nothing_covers_anything_and_all_is_on_the_page(drawn):
    for name, figure in drawn.items():
        renderer = FigureCanvasAgg(figure).get_renderer()
        with house_style():
            figure.draw_without_rendering()
        tight = figure.get_tightbbox(renderer)
        assert tight.x0 >= -0.02, name
        assert tight.x1 <= layout.WIDTH + 0.02, name
        assert tight.y0 >= -0.02, name
        assert tight.height <= figure.get_figheight() + 0.02, name
        for legend, axis in itertools.product(figure.legends, panels(figure)):
            assert not legend.get_window_extent(renderer).overlaps(axis.get_tightbbox(renderer)), name
        for axis in panels(figure):
            texts = [text for text in (axis._left_title, *axis.texts) if text.get_text()]
            boxes = [text.get_window_extent(renderer) for text in texts]
            assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2)), name
            for which in (axis.xaxis, axis.yaxis):
                ticks = [t.label1 for t in which.get_major_ticks() if t.label1.get_visible() and t.label1.get_text()]
                for a, b in itertools.pairwise(t.get_window_extent(renderer) for t in ticks):
                    assert not a.overlaps(b), f"{name}: tick labels overlap"


def test_text_is_large_enough_and_every_score_has_one_look(drawn):
    for name, figure in drawn.items():
        sizes = [text.get_fontsize() for text in figure.findobj(mpl.text.Text) if text.get_text()]
        assert min(sizes) >= 8.5, name
        assert figure.get_figwidth() == layout.WIDTH
        for axis in panels(figure):
            for found in axis.lines:
                if found.get_label() in SCORES and name != "signal":
                    assert found.get_color() == mr_parts.LOOKS[found.get_label()].colour, name
    assert len({look.marker for look in mr_parts.LOOKS.values()}) == len(SCORES)


def test_penalties_through_training(drawn, penalties):
    for score in SCORES:
        for replacement, label in (("mean", score), ("zero", f"_Zero, {score}")):
            part = chosen(penalties, score=score, replacement=replacement, set="all", amount=0.1)
            part = part[part["step"] <= 35_000]
            x, y = line(panel(drawn["through"], f" {score}"), label)
            assert list(x) == [0, 10_000, 20_000, 30_000]
            np.testing.assert_allclose(y, part.groupby("step")["penalty"].mean(), rtol=1e-12)
    loss, accuracy = panels(drawn["through"])[-2:]
    own = made_network()
    own = own[own["step"] <= 35_000].groupby("step").mean(numeric_only=True)
    np.testing.assert_allclose(line(loss, "_Test subset, The network itself")[1], own["test_loss"], rtol=1e-12)
    np.testing.assert_allclose(line(accuracy, "The network itself")[1], own["accuracy"], rtol=1e-12)
    ticks = {tick.get_position()[0]: tick.get_text() for tick in loss.get_xticklabels()}
    assert ticks[0] == "0"
    assert ticks[10_000] == "10"
    assert len(panels(drawn["through, unsigned"])) == len(panels(drawn["through"])) - 2


def marks(axis):
    """Where the means of rows of dots stand: their places and rows."""
    found = [mark for mark in axis.lines if mark.get_linestyle() == "None"]
    points = np.concatenate([np.asarray(mark.get_xydata(), float) for mark in found])
    return points[np.isfinite(points).all(axis=1)]  # a row that a panel lacks has none


def bars(axis):
    """The ends of the intervals of rows of dots, sorted."""
    return sorted(tuple(sorted(mark.get_xdata())) for mark in axis.lines if mark.get_linestyle() != "None")


@pytest.mark.parametrize(("seeds", "text"), [(1, None), (2, "The two seeds"), (3, "95 % interval, n = 3")])
def test_the_legend_says_what_bands_are(seeds, text):
    figure = mean_replacement.train_against_test(made_penalties(seeds))
    labels = [entry.get_text() for entry in figure.legends[0].get_texts()]
    assert [label for label in labels if "seeds" in label or "interval" in label] == ([text] if text else [])


def test_a_seed_without_a_number_leaves_a_gap(penalties):
    broken = penalties.copy()
    broken.loc[(broken["seed"] == 1) & (broken["step"] == 20_000), "penalty"] = np.nan
    axis = panel(mean_replacement.penalties_through_training(broken, net="medium"), " rand")
    steps = np.concatenate([found.get_xdata() for found in axis.lines if found.get_label() == "rand"])
    assert list(steps) == [0, 10_000, 30_000]


def test_other_sets_and_amounts_can_be_explored(drawn, penalties):
    curves = drawn["through"].curves
    rows = curves.rows[curves.rows["choice"] == "Middle conv., 10% of units"]
    assert curves.drawn["choice"].unique().tolist() == ["All layers, 10% of units"]
    want = chosen(penalties, set="midconv", amount=0.1)
    assert len(rows) == (want["step"] <= 35_000).sum()


def test_shares_by_set_are_those_of_the_statistic(drawn, penalties):
    (axis,) = panels(drawn["shares"])
    drawn_shares = marks(axis)[:, 0].round(9)
    for layer_set, score in itertools.product(("all", "midconv"), ("norm", "abs_rs", "abs_mrs")):
        rows = chosen(penalties, set=layer_set)
        assert below_diagonal({"penalties": rows}, scores=[score])["value"].mean().round(9) in drawn_shares
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["All layers", "Middle conv."]
    assert len(drawn["shares"].numbers) == 2 * 3 * 3, "a row a seed"


def test_shares_below_the_diagonal_are_those_of_the_statistic(drawn, penalties):
    for axis, score in zip(panels(drawn["scatter"]), ("norm", "abs_rs", "abs_mrs"), strict=False):
        pairs = mr_parts.paired(penalties[penalties["score"] == score])
        tied = (pairs["zero"] - pairs["mean"]).abs() <= 1e-6
        assert tied.any()
        # Ties are as many in every seed, so the mean of the seeds' shares is the share of all.
        below = below_diagonal({"penalties": penalties}, scores=[score])["value"].mean()
        assert axis.get_title(loc="left").endswith(f"{score}\n{below:.1%} below, {tied.mean():.1%} ties")


def test_cells_count_the_points_in_them(drawn, penalties):
    for axis, score in zip(panels(drawn["scatter"]), ("norm", "abs_rs", "abs_mrs"), strict=False):
        points = mr_parts.paired(penalties[penalties["score"] == score])
        (mesh,) = axis.collections
        edges = mesh.get_coordinates()[0, :, 0]
        counts, *_ = np.histogram2d(points["zero"], points["mean"], [edges, edges])
        assert counts.sum() == len(points)
        np.testing.assert_array_equal(mesh.get_array().filled(0), counts.T)
        assert axis.get_xlim() == axis.get_ylim()
        told = drawn["scatter"].numbers
        assert told.loc[told["score"] == score, "points"].sum() == len(points)


def test_profiles_are_those_of_brute_force_and_areas_those_of_the_statistic(drawn, penalties):
    small = penalties[penalties["score"].isin(["norm", "rs", "abs_rs"])]
    taus = np.array([0, 0.3, 0.9, 1.0])
    curves = mr_choices.profile_curves(small, taus)
    points = small.groupby(["net", "seed", "step", "set", "amount"])
    for (net, seed, score, replacement), row in curves.iterrows():
        hits = []
        for (_, own, *_), point in points:
            d = point["penalty"]
            if own != seed or d.max() == d.min():
                continue
            value = chosen(point, score=score, replacement=replacement)["penalty"].item()
            bounds = taus * d.min() + (1 - taus) * d.max()
            hits.append([value < bound for bound in bounds[:-1]] + [value <= d.min()])
        np.testing.assert_allclose(row, np.mean(hits, axis=0), err_msg=f"{net} {score} {replacement}")
    fine = mr_choices.profile_curves(penalties, np.linspace(0, 1, 4001))
    integral = pd.Series(np.trapezoid(fine, fine.columns, axis=1), index=fine.index)
    areas = profile_areas(penalties).set_index(["net", "seed", "score", "replacement"])["area"]
    np.testing.assert_allclose(integral, areas.loc[integral.index], atol=5e-4)
    mean = areas.groupby(level=["score", "replacement"]).mean()
    everything, rest = panels(drawn["profiles"])
    assert set(mean.round(9)) == set(marks(everything)[:, 0].round(9))
    anew = profile_areas(penalties, [score for score in SCORES if score not in mr_parts.SIGNED])
    anew = anew.groupby(["score", "replacement"])["area"].mean()
    assert set(anew.round(9)) == set(marks(rest)[:, 0].round(9))


def test_profiles_can_be_explored_as_curves(drawn, penalties):
    rows = drawn["profiles"].curves.rows
    means = mr_choices.profile_curves(penalties).groupby(["score", "replacement"]).mean()
    for (score, replacement), want in means.iterrows():
        part = chosen(rows, panel="All scores", score=score, replacement=replacement)
        np.testing.assert_allclose(part.groupby("x")["y"].mean(), want)


def test_units_chosen_so_far(followed):
    for since in (0, 10_000):
        share, random = mr_choices.chosen_so_far(followed, since)
        for until in (since, 20_000, 40_000):
            expected = covered(followed, since, until).set_index(["score", "seed"])["share"]
            found = share[share["step"] == until].set_index(["score", "seed"])["share"]
            pd.testing.assert_series_equal(found.sort_index(), expected.sort_index())
        np.testing.assert_allclose(random, 1 - 0.8 ** np.arange(1, len(random) + 1))
    ended = followed[(followed["seed"] > 0) | (followed["step"] <= 20_000)]
    share, _ = mr_choices.chosen_so_far(ended)
    assert share[share["seed"] == 0]["step"].max() == 20_000
    with pytest.raises(InputError, match="ends at step 40000"):
        mr_choices.chosen_so_far(followed, 50_000)


def test_coverage_has_a_panel_for_each_start(drawn, followed):
    for axis, since in zip(panels(drawn["coverage"]), (0, 10_000), strict=True):
        x, y = line(axis, "abs_rs")
        assert x[0] == since
        expected = covered(followed, since, 35_000)
        assert y[-1] == pytest.approx(chosen(expected, score="abs_rs")["share"].mean())


def test_energies_of_chosen_units(drawn, followed):
    (axis,) = panels(drawn["energies"])
    early = followed[followed["step"] <= 35_000]
    for score in ("abs_mrs", "rand", "mrs"):
        energy = chosen(early, score=score)["energy"]
        assert line(axis, f"_median {score}")[0][0] == pytest.approx(energy.median())
        assert f"{score} {(energy == 0).mean():.1%}" in drawn["energies"].note
        told = chosen(drawn["energies"].numbers, score=score)["share"].sum()
        assert told == pytest.approx((energy > 0).mean())
    assert len(axis.collections) == 3


def forest(table, score):
    """What stands in a forest: the paired difference, and the two penalties."""
    means = chosen(table[table["step"] <= 35_000], score=score, amount=0.1).groupby("replacement")["penalty"].mean()
    return means["zero"] - means["mean"], f"{number(means['zero'])} → {number(means['mean'])}"


def test_gains_by_layer_set(drawn, penalties):
    for score in SCORES:
        axis = panel(drawn["by set"], f" {score}")
        for row, layer_set in enumerate(("all", "midconv")):
            gain, words = forest(chosen(penalties, set=layer_set), score)
            assert (round(gain, 9), row) in {(round(x, 9), y) for x, y in marks(axis)}
            assert axis.texts[row].get_text() == words
            pairs = mr_parts.paired(chosen(penalties, set=layer_set, score=score, amount=0.1))
            seeds = pairs[pairs["step"] <= 35_000].groupby("seed")["gain"].mean()
            half = 4.302653 * seeds.std() / np.sqrt(3)
            assert any(np.allclose(bar, (gain - half, gain + half), rtol=1e-5) for bar in bars(axis))


def test_gains_by_network():
    table = pd.concat([made_penalties(2), made_penalties(2).assign(batch_norm=True, penalty=3.0)])
    axis = panel(mean_replacement.penalties_by_network(table, layer_set="midconv"), " norm")
    names = [tick.get_text().replace("\n", " ") for tick in axis.get_yticklabels()]
    assert names == ["Medium, n = 2", "Medium with batch norm, n = 2"]
    gain, words = forest(chosen(table, set="midconv", batch_norm=False), "norm")
    assert marks(axis)[0, 0] == pytest.approx(gain)
    assert [text.get_text() for text in axis.texts] == [words, "3 → 3"]


def test_constants_and_the_least_of_them(drawn):
    table = made_constants()
    axis = panels(drawn["constant"])[0]
    part = chosen(table, set="all", score="norm").groupby("alpha")["penalty"].mean()
    np.testing.assert_allclose(line(axis, "norm")[1], part, rtol=1e-12)
    assert line(axis, "_least")[0] == [1.0]  # 0.9 is not on the grid


def test_constants_without_signed_scores_leave_no_empty_row(drawn):
    both, unsigned = (panels(drawn[name]) for name in ("constant", "constant, unsigned"))
    assert len(both) == 2 * len(unsigned)


def test_signal_is_the_mean_over_layers(drawn):
    part = chosen(made_agreement(), score="mrs")
    x, y = line(panels(drawn["signal"])[0], "|mrs| / abs_mrs")
    within = part.groupby(["step", "seed"])["signal"].mean()
    want = np.exp(np.log(part["signal"]).groupby([part["step"], part["seed"]]).mean().groupby("step").mean())
    assert within.groupby("step").mean().index.tolist() == list(x)
    np.testing.assert_allclose(y, want, rtol=1e-12)


def test_rank_correlations_of_single_units(drawn):
    table = made_single_units()
    axes = dict(zip(("zero", "mean"), panels(drawn["single units"]), strict=True))
    for score, kind in mr_parts.FORETOLD:
        for step in (5000, 25_000):
            rows = chosen(table, step=step)
            found = foresight({"single_units": rows}, scores=[score], replacement=kind)["value"].mean()
            assert round(found, 9) in marks(axes[kind])[:, 0].round(9)


def test_single_units_are_points(drawn):
    table, axes = made_single_units(), panels(drawn["single units, points"])
    for axis, (score, kind) in zip(axes, mr_parts.FORETOLD, strict=True):
        rows = chosen(table, replacement=kind)
        expected = rows[[f"score_{score}", "penalty"]].to_numpy()
        at = axis.collections[0].get_offsets()
        np.testing.assert_allclose(at[np.lexsort(at.T)], expected[np.lexsort(expected.T)])
        (low, high), (left, right) = axis.get_ylim(), axis.get_xlim()
        assert ((low < at[:, 1]) & (at[:, 1] < high) & (left < at[:, 0]) & (at[:, 0] < right)).all()
        found = foresight({"single_units": table}, scores=[score], replacement=kind)["value"].mean()
        assert axis.texts[0].get_text() == f"ρ = {found:.2f}"


def test_penalties_after_tuning_are_points_against_the_diagonal(drawn):
    pairs = mr_parts.paired(made_tuning(), keys=("tuned",))
    axes = panels(drawn["tuned penalties"])
    for axis, steps in zip(axes, (10, 100, 500), strict=True):
        expected = chosen(pairs, tuned=steps)[["zero", "mean"]].to_numpy()
        at = axis.collections[0].get_offsets()
        np.testing.assert_allclose(at[np.lexsort(at.T)], expected[np.lexsort(expected.T)])
        x, y = line(axis, "_diagonal")
        assert list(x) == list(y)
        assert axis.get_xlim() == axis.get_ylim() == axes[0].get_ylim()


def test_density_by_set_counts_all_points(drawn, penalties):
    counts = drawn["by set, density"].numbers.groupby("set")["points"].sum()
    pairs = mr_parts.paired(penalties[penalties["score"].isin(["norm", "abs_rs", "abs_mrs"])])
    assert counts.to_dict() == pairs.groupby("set").size().to_dict()


def test_some_scores_alone(penalties):
    figure = mean_replacement.penalties_through_training(penalties, net="medium", scores=("abs_mrs", "rand"))
    assert set(figure.numbers["panel"]) == {"abs_mrs", "rand"}


def test_gains_on_both_subsets(drawn, penalties):
    axis = panel(drawn["test"], " abs_rs")
    part = chosen(penalties, set="all", amount=0.1, score="abs_rs")
    for label, column in (("abs_rs", "penalty"), ("_Test subset, abs_rs", "test_penalty")):
        means = part.groupby(["replacement", "step"])[column].mean()
        np.testing.assert_allclose(line(axis, label)[1], (means["zero"] - means["mean"])[:4], rtol=1e-9)


def test_advantage_after_tuning(drawn):
    table = chosen(made_tuning(), set="midconv")
    axis = panel(drawn["tuning"], "Middle conv.\n10% of units")
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["0", "10", "100", "500"]
    for step, half in table.groupby("step"):
        means = half.groupby(["replacement", "tuned"])["penalty"].mean()
        x, y = line(axis, f"Pruned at step {step:,}")
        assert list(x) == [0, 10, 100, 500]
        np.testing.assert_allclose(y, means["zero"] - means["mean"], rtol=1e-9)
    first = table[table["step"] == 5000]
    gains = mr_parts.paired(first, keys=("tuned",)).groupby(["tuned", "seed"])["gain"].mean()
    sizes = 4.302653 * gains.groupby("tuned").std() / np.sqrt(3)
    edge = pd.DataFrame(axis.collections[0].get_paths()[0].vertices, columns=["x", "y"]).groupby("x")["y"]
    np.testing.assert_allclose(edge.max() - edge.min(), 2 * sizes, rtol=1e-5)


def test_tuning_with_one_seed_and_one_start():
    table = made_tuning()
    table = table[(table["seed"] == 0) & (table["step"] == 5000) & (table["score"] != "norm")]
    figure = mean_replacement.after_tuning(table[table["tuned"] <= 10], net="medium")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Pruned at step 5,000"]


def test_wrong_tables_are_refused(penalties, followed):
    with pytest.raises(InputError, match="no column amount"):
        mean_replacement.zero_against_mean(penalties.drop(columns="amount"))
    with pytest.raises(InputError, match="is empty"):
        mr_choices.performance_profiles(penalties[:0])
    with pytest.raises(InputError, match="several networks"):
        mean_replacement.penalties_by_set(made_penalties(1, ("small", "medium")))
    with pytest.raises(InputError, match=r"no amount 0.3: it has 0.1, 1.0"):
        mean_replacement.train_against_test(penalties, amount=0.3)
    with pytest.raises(InputError, match="no net vgg11"):
        mean_replacement.penalties_through_training(penalties, made_network(), net="vgg11")
    with pytest.raises(InputError, match="until=-1"):
        mr_choices.unit_coverage(followed, until=-1)
    with pytest.raises(InputError, match="no score"):
        mr_choices.performance_profiles(penalties.assign(score="obd"))
    with pytest.raises(InputError, match="no place on the axes"):
        mean_replacement.zero_against_mean(penalties.assign(penalty=np.inf))
    with pytest.raises(InputError, match="several rows"):
        mean_replacement.zero_against_mean(pd.concat([penalties, penalties]))
    with pytest.raises(InputError, match="each method once"):
        mr_choices.performance_profiles(penalties[1:])
    with pytest.raises(InputError, match="not finite"):
        mr_choices.performance_profiles(penalties.assign(penalty=np.inf))


def test_batch_norm_makes_another_network(penalties):
    both = pd.concat([penalties, penalties.assign(batch_norm=True, penalty=7.0)])
    with pytest.raises(InputError, match="medium, medium with batch norm"):
        mr_parts.choose(both, "penalties")
    assert (mr_parts.choose(both, "penalties", net="medium with batch norm")["penalty"] == 7).all()
