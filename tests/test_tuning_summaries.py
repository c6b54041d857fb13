"""Tables of the page on fine-tuning, from rows made up so that the answer is known."""

import itertools

import pandas as pd
import pytest

from prunebook import tuning_summaries
from prunebook.errors import InputError


def tuning(seeds=(1, 2)):
    cells = itertools.product(
        seeds, [5000, 25000], ["all", "midconv"], [0.1], ["norm"], ["zero", "mean"], [0, 10]
    )
    rows = []
    for seed, step, layers, amount, name, replacement, steps in cells:
        gain = (replacement == "zero") * seed * (1 if steps else 4) * (1 if step < 25000 else 3)
        row = {"net": "small", "seed": seed, "step": step, "set": layers, "amount": amount, "score": name}
        rows.append(
            row | {"replacement": replacement, "tuned": steps, "penalty": gain, "test_penalty": -gain}
        )
    return pd.DataFrame(rows)


def test_advantage_by_start_and_steps():
    table = tuning_summaries.advantage(tuning()).set_index(["pruned", "tuned"])
    assert table.loc[("before", 0), "advantage"] == 6
    late = table.loc[("from step 25,000 on", 10)]
    assert (late["advantage"], late["kept"], late["held_out"], late["seeds"]) == (4.5, 0.25, -4.5, 2)
    assert late["half_width"] == pytest.approx(12.706 * 1.5, rel=1e-3)  # of 3 and 6
    assert tuning_summaries.advantage(tuning(seeds=(1,)))["half_width"].isna().all()


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
    row = tuning_summaries.removed(rows).iloc[0]
    assert (row["left"], row["ms left"], row["times faster"]) == ("300", 2.0, 2.0)
    assert row["largest difference"] == "3.0e-07"


def test_a_table_that_lacks_a_column_is_named():
    with pytest.raises(InputError, match="tuned"):
        tuning_summaries.advantage(tuning().drop(columns="tuned"))
