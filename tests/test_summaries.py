"""The small tables of the pages, against numbers that can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from prunebook.data.diffusion_sorption import convergence
from prunebook.pages.tables import elimination_compensation


def losses():
    rows = [
        ("dense", 0.0, "trained", 1, 1.0),
        ("dense", 0.0, "fine-tuned", 1, 0.5),
        ("magnitude", 0.5, "pruned", 1, 2.0),
        ("magnitude", 0.5, "pruned", 2, 8.0),
        ("elimination-compensation", 0.5, "pruned", 1, 1.5),
        ("elimination-compensation", 0.5, "fine-tuned", 1, 0.7),
    ]
    table = pd.DataFrame(rows, columns=["method", "ratio", "stage", "seed", "loss"])
    return table.assign(widths="4-3-1", noise=0.0, train_loss=table["loss"] / 2, clean_loss=table["loss"])


def test_one_point_of_a_curve_or_nan():
    assert elimination_compensation.mean_of(losses(), "magnitude", "pruned", 0.5) == 5
    assert np.isnan(elimination_compensation.mean_of(losses(), "magnitude", "pruned", 0.9))
    assert np.isnan(elimination_compensation.mean_of(losses(), "magnitude", "pruned", 0.5, widths="other"))


def test_cost_in_forward_passes_counts_samples():
    cost = pd.DataFrame(
        {
            "widths": "4-3-1",
            "what": ["forward pass", "elimination-compensation", "non-linear", "magnitude"],
            "samples": [1000, 1000, 10, 1000],
            "seconds": [2.0, 6.0, 1.0, 1e-6],
        }
    )
    table = elimination_compensation.cost_summary(cost).set_index("criterion")["forward passes"]
    assert table.to_dict() == {"forward pass": 1, "elimination-compensation": 3, "non-linear": 50}


def test_training_and_test_loss_after_the_second_phase():
    table = elimination_compensation.overfitting(losses())
    assert table["test loss"].tolist() == [0.5, 0.7]
    assert table["training loss"].tolist() == [0.25, 0.35]
    assert table["method"].tolist() == ["Dense", "Elimination-compensation"]


def test_reliance_is_relative_to_the_dense_network():
    reliance = pd.DataFrame(
        [
            ("dense", 0.0, "trained", "u0", 4.0),
            ("dense", 0.0, "trained", "x", 2.0),
            ("magnitude", 0.5, "pruned", "u0", 0.0),
            ("magnitude", 0.5, "pruned", "x", 1.0),
        ],
        columns=["method", "ratio", "stage", "group", "rms"],
    ).assign(widths="4-3-1", noise=0.0, seed=1)
    floors = pd.DataFrame({"name": ["blind_test"], "value": [2.5]})
    (row,) = elimination_compensation.blindness(reliance, losses(), floors, 0.5).to_dict("records")
    assert (row["u0"], row["x"], row["loss / blind"]) == (0.0, 0.5, 2.0)
    assert np.isnan(row["fine-tuned / blind"])  # this method was not fine-tuned here
    assert row["method"] == "Magnitude"


def test_the_pages_show_order_two_and_order_one():
    table = convergence.grid_convergence((32, 64, 128), times=(100.0,))
    order = {
        scheme: np.log2(part["error"].iloc[:-1].to_numpy() / part["error"].iloc[1:].to_numpy())
        for scheme, part in table.groupby("scheme")
    }
    assert order["face"] == pytest.approx([2, 2], abs=0.25)
    assert order["ghost"] == pytest.approx([1, 1], abs=0.25)
    difference = convergence.scheme_difference(64, times=(100.0,))
    assert len(difference) == 64
    assert 1e-4 < (difference["u_face"] - difference["u_ghost"]).abs().max() < 0.1
