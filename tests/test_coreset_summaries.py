"""The small tables on pruning with guarantees, against numbers that can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from prunebook.errors import InputError
from prunebook.pages.tables import coreset_bounds

KEYS = {"reading": "regularisation", "case": "easy"}


def epsilon_first():
    rows = [
        {"kind": kind, "share": share, "seed": seed, "epsilon": seed * share, "samples": 1000.0 * seed}
        for kind in ("neurons", "weights")
        for share in (0.1, 0.5)
        for seed in (1, 2)
    ]
    table = pd.DataFrame(rows).assign(
        observed=0.01, observed_sd=0.005, observed_median=0.008, size=50, sparsity=0.2, **KEYS
    )
    return table


def models():
    values = {"weights of probability zero": 5, "units of probability zero": 10, "dev accuracy": 0.9, "train loss": 0.1}
    rows = [{"what": what, "value": value * seed, "seed": seed} for what, value in values.items() for seed in (1, 2)]
    return pd.DataFrame(rows).assign(**KEYS)


def test_what_half_of_the_labels_take():
    table = coreset_bounds.coreset_table(epsilon_first(), models())
    assert table["kind"].tolist() == ["Units", "Weights"]
    assert table["ε"].tolist() == ["0.75", "0.75"]
    assert table["error seen"].tolist() == ["0.01 ± 0.005"] * 2
    assert table["median"].tolist() == ["0.008"] * 2
    assert table["draws"].tolist() == ["1,500"] * 2
    assert table["size"].tolist() == ["50", "50"]
    assert table["sparsity"].tolist() == ["20.0\N{NO-BREAK SPACE}%"] * 2
    assert table["never drawn"].tolist() == ["30.0\N{NO-BREAK SPACE}%", "15.0\N{NO-BREAK SPACE}%"]  # 15 and 7.5 of 50
    assert table["case"].tolist() == ["easy", "easy"]
    low = coreset_bounds.coreset_table(epsilon_first(), models(), share=0.1)
    assert low["ε"].tolist() == ["0.15", "0.15"]


def test_a_seed_that_was_not_sampled_is_not_left_out():
    table = epsilon_first()
    table.loc[table["seed"] == 1, ["sparsity", "observed"]] = np.nan
    table.loc[table["seed"] == 2, "samples"] = np.inf
    found = coreset_bounds.coreset_table(table, models())
    assert found["sparsity"].tolist() == ["–", "–"]
    assert found["error seen"].tolist() == ["– ± 0.005"] * 2
    assert found["draws"].tolist() == ["∞", "∞"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (3.14159, "3.1"),
        (99.4, "99"),
        (12345.6, "12,346"),
        (1.18e11, "1.2 × 10<sup>11</sup>"),
        (3e-7, "3 × 10<sup>−7</sup>"),
    ],
)
def test_numbers_are_written_out(value, text):
    found = coreset_bounds.coreset_table(epsilon_first().assign(observed_sd=value), models())
    assert found["error seen"].tolist() == [f"0.01 ± {text}"] * 2


def test_first_and_other_readings():
    tables = {"models": pd.concat([models(), models().assign(reading="label noise")])}
    first, rest = coreset_bounds.regularised(tables), coreset_bounds.others(tables)
    assert set(first["models"]["reading"]) == {"regularisation"}
    assert set(rest["models"]["reading"]) == {"label noise"}
    assert len(first["models"]) == len(rest["models"]) == len(models())


def test_shares_and_tables_that_are_not_there():
    with pytest.raises(InputError, match=r"share of 0\.7 was not measured for easy: choose one of 0\.1, 0\.5"):
        coreset_bounds.coreset_table(epsilon_first(), models(), share=0.7)
    with pytest.raises(InputError, match="no column value"):
        coreset_bounds.circumstances(models().drop(columns="value"))
    with pytest.raises(InputError, match="sparsity_first is empty"):
        coreset_bounds.useful_until(sparsity_first().iloc[:0])


def test_circumstances_in_order():
    noisy = models().assign(reading="label noise", value=1.0)
    hard = models().assign(case="difficult", value=2.0)
    table = coreset_bounds.circumstances(pd.concat([noisy, hard, models()]))
    assert table["case"].tolist() == ["easy", "difficult", "easy, label noise"]
    assert table["dev accuracy"].tolist() == pytest.approx([1.35, 2, 1])
    assert table.columns.tolist() == [
        "case",
        "dev accuracy",
        "weights of probability zero",
        "units of probability zero",
    ]


def sparsity_first():
    rows = [
        ("deterministic", 0.1, 1.0, 1.0),
        ("deterministic", 0.5, 0.8, 0.72),  # exactly nine tenths
        ("deterministic", 0.9, 0.5, 0.1),
        ("neurons", 0.1, 1.0, 0.0),
        ("neurons", 0.5, 0.9, 0.0),
    ]
    table = pd.DataFrame(rows, columns=["way", "ratio", "accuracy", "implied_accuracy"])
    return table.assign(seed=1, **KEYS)


def test_how_far_a_guarantee_is_of_use():
    (row,) = coreset_bounds.useful_until(sparsity_first()).to_dict("records")
    assert row == {"case": "easy", "Units": 0.0, "Weights, deterministic": 0.5}
    (row,) = coreset_bounds.useful_until(sparsity_first(), keep=0.91).to_dict("records")
    assert row["Weights, deterministic"] == 0.1
    # The second seed is worse: what counts are means.
    other = sparsity_first().assign(seed=2, implied_accuracy=0.0)
    (row,) = coreset_bounds.useful_until(pd.concat([sparsity_first(), other]), keep=0.5).to_dict("records")
    assert row["Weights, deterministic"] == 0.1


def test_facts_stand_in_columns_of_text():
    hard = models().assign(case="difficult", value=[0.5] * 8)
    more = models().assign(what="neuron total", value=1234.5)
    table = coreset_bounds.facts_table(pd.concat([hard, more, models()]))
    assert table.columns.tolist() == ["", "easy", "difficult"]
    found = table.set_index("")
    assert found.loc["dev accuracy"].tolist() == ["135.0\N{NO-BREAK SPACE}%", "50.0\N{NO-BREAK SPACE}%"]
    assert found.loc["weights of probability zero"].tolist() == ["7.5", "0.5"]
    assert found.loc["total t of the bound for units"].tolist() == ["1,200", "–"]


def recovery():
    """Four networks in an order that fine-tuning turns round for the two with the larger errors."""
    rows = [
        ("magnitude", 0.1, 0.0, 0.99, 0.97),
        ("magnitude", 0.5, 1.0, 0.90, 0.98),
        ("neurons", 0.5, 2.0, 0.60, 0.969),
        ("neurons", 0.9, 3.0, 0.30, 0.94),
    ]
    table = [
        {"method": method, "ratio": ratio, "sparsity": ratio, "tuned": tuned, "accuracy": value, "error": size}
        for method, ratio, error, before, after in rows
        for tuned, value, size in (("none", before, error), ("all layers", after, 9.0))
    ]
    dense = {"method": "dense", "ratio": 0.0, "sparsity": 0.0, "tuned": "all layers"}
    table.append({**dense, "accuracy": 0.975, "error": 0.1})
    return pd.DataFrame(table).assign(seed=1, **KEYS)


def test_errors_that_foretell():
    (row,) = coreset_bounds.foretelling(recovery()).to_dict("records")
    assert row["networks"] == 4
    assert row["ρ after pruning"] == "1.00"
    # Ranks of wrong labels after fine-tuning: 2, 1, 3, 4 against 1, 2, 3, 4; so 1 - 6 * 2 / (4 * 15).
    assert row["ρ after fine-tuning"] == "0.80"
    # Of the errors 2 and 3, one ends within a point of the dense network's .975.
    assert row["within a point"] == "50.0\N{NO-BREAK SPACE}%"


def headline_tables():
    cases = {"easy": 1.0, "moderate": 2.0, "difficult": 4.0}

    def each(rows):
        return pd.DataFrame(
            {"reading": "regularisation", "case": case, "seed": 1, **row}
            for case, size in cases.items()
            for row in rows(size)
        )

    steps = ("bound as stated", "all points", "one pair", "exact variance", "Monte Carlo")
    other = ("bound, all at once", "one event", "exact variance", "Monte Carlo")
    noisy = {"reading": "label noise", "case": "moderate", "seed": 1, "kind": "neurons", "share": 0.5}
    first = each(
        lambda size: [
            {
                "kind": kind,
                "share": share,
                "samples": 1000 * size * (1 if share == 0.5 else 50),
                "size": 100,
                "observed": 0.02 * size,
                "epsilon": 1.0,
                "sparsity": 0.1 * size,
            }
            for kind in ("neurons", "weights")
            for share in (0.5, 1.0)
        ]
    )
    return {
        "epsilon_first": pd.concat([first, pd.DataFrame([{**noisy, "samples": 7e6, "size": 100}])]),
        "waterfall": each(
            lambda size: (
                [
                    {"kind": "neurons", "name": name, "epsilon": value}
                    for name, value in zip(steps, (4.0, 8.0, 6.0, 6.0 / size, 0.5), strict=True)
                ]
                + [
                    {"kind": "weights", "name": name, "epsilon": value}
                    for name, value in zip(other, (1.0, 0.5, 0.5 * size, 0.25), strict=True)
                ]
            )
        ),
        "layers": each(lambda size: [{"layer": 1, "ratio": 0.5, "bound": 10.0 * size, "observed": 2.0}]),
        "sparsity_first": each(
            lambda size: [{"way": "deterministic", "ratio": 0.5, "implied_accuracy": 0.8 / size, "accuracy": 0.95}]
        ),
        "inputs": each(lambda size: [{"inputs": "ball", "error": 0.01 * size, "epsilon": 2.0}]),
        "scaling": each(
            lambda size: [
                {"bound": "stated", "alpha": alpha, "largest_over_epsilon": ratio}
                for alpha, ratio in ((1.0, 0.1), (100.0, 0.9), (1e4, 3.0), (1e6, 20.0))
            ]
        ),
        "assumptions": each(lambda size: [{"C": 1.0, "obeyed": 0.1 * size}]),
        "recovery": recovery().assign(case="difficult"),
    }


def test_numbers_for_the_prose():
    found = coreset_bounds.headline(headline_tables())
    expected = {
        "half-units-draws": "10 to 40",
        "half-weights-seen": "2 to 8",
        "half-units-sparsity": "10 to 40",
        "all-units-draws": "50",
        "loose-units": "8",
        "loose-weights": "4",
        "variance-units": "1 to 4",
        "variance-weights": "1 to 4",
        "stated-over-hoeffding": "2",
        "layers": "5 to 20",
        "kept-difficult-0.5": "20",
        "seen-easy-0.5": "95",
        "kept-easy-0.3": "–",
        "ball": "0.5 to 2",
        "orthant": "–",
        "break-alpha": "10,000",
        "break-size": "20",
        "obeyed-1": "23.3",
        "obeyed-2": "–",
        "noise-units-draws": "70,000",
        "dropout-sparsity": "–",
    }
    assert {name: found[name] for name in expected} == expected


def test_numbers_of_fine_tuning():
    table = recovery().assign(case="difficult")
    table = table.assign(method=table["method"].replace({"magnitude": "deterministic"}))
    last = table[table["tuned"] == "all layers"].assign(tuned="last layer", accuracy=0.95)
    found = coreset_bounds.headline({**headline_tables(), "recovery": pd.concat([table, last])})
    assert found["tuned-low-ratio"] == "10"
    assert found["tuned-high-ratio"] == "50"
    assert found["tuned-high-error"] == "1"
    assert found["tuned-high-error-after"] == "9"
    assert found["tuned-high-accuracy"] == "90"
    assert found["tuned-high-accuracy-after"] == "98"
    assert found["gap"] == "8"
    assert found["gap-last"] == "5"
    assert found["dense-error"] == "0.1"
