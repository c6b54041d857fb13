"""Tables of the page on fine-tuning, from rows made up so that the answer is known."""

import itertools

import pandas as pd
import pytest

from prunebook.pages.tables import mean_replacement


def tuning(seeds=(1, 2)):
    cells = itertools.product(seeds, [5000, 25000], ["all", "midconv"], [0.1], ["norm"], ["zero", "mean"], [0, 10])
    rows = []
    for seed, step, layers, amount, name, replacement, steps in cells:
        gain = (replacement == "zero") * seed * (1 if steps else 4) * (1 if step < 25000 else 3)
        row = {"net": "small", "seed": seed, "step": step, "set": layers, "amount": amount, "score": name}
        rows.append(row | {"replacement": replacement, "tuned": steps, "penalty": gain, "test_penalty": -gain})
    return pd.DataFrame(rows)


def test_advantage_by_start_and_steps():
    table = mean_replacement.advantage(tuning()).set_index(["pruned", "tuned"])
    assert table.loc[("before 25,000", 0), "advantage"] == 6
    late = table.loc[("from 25,000 on", 10)]
    assert (late["advantage"], late["kept"], late["held_out"], late["seeds"]) == (4.5, 0.25, -4.5, 2)
    assert late["half_width"] == pytest.approx(12.706 * 1.5, rel=1e-3)  # of 3 and 6
    assert mean_replacement.advantage(tuning(seeds=(1,)))["half_width"].isna().all()


def test_advantage_is_a_median():
    one = tuning().assign(amount=0.5)
    one["penalty"] += 1000.0 * (one["replacement"] == "mean")  # one cell in three that is far off
    both = pd.concat([tuning(), tuning().assign(amount=0.2), one])
    pooled = mean_replacement.advantage(both).set_index(["pruned", "tuned"])["advantage"]
    assert pooled["before 25,000", 0] == 6


def test_losses_beside_the_unpruned_network():
    table = tuning()
    table = table.assign(loss=0.5 + table["penalty"], test_loss=1.0)
    steps = itertools.product((1, 2), (5000, 25000), (0, 10))
    untouched = pd.DataFrame(steps, columns=["seed", "step", "tuned"]).assign(loss=0.25, test_loss=2.0)
    found = mean_replacement.losses(table, untouched).set_index(["pruned", "tuned"])
    assert list(found.columns) == ["unpruned", "unpruned, held out", "mean", "mean, held out", "zero", "zero, held out"]
    assert list(found.loc[("before 25,000", 0)]) == [0.25, 2, 0.5, 1, 6.5, 1]


def test_removed_networks():
    rows = pd.DataFrame(
        {
            "set": "all",
            "amount": 0.5,
            "weights": 1000,
            "weights_left": [250, 350],
            "seconds": 0.004,
            "seconds_left": 0.002,
            "difference": [1e-7, 3e-7],
        }
    )
    row = mean_replacement.removed(rows).iloc[0]
    assert (row["left"], row["ms left"], row["times faster"]) == ("300", 2.0, 2.0)
    assert row["largest difference"] == "3.0e-07"
