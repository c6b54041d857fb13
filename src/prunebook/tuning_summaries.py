"""Small tables for the page on mean replacement and fine-tuning."""

import numpy as np
import pandas as pd
from scipy import stats

from prunebook.figures.tables import need


def advantage(tuning: pd.DataFrame, *, late: float = 25_000) -> pd.DataFrame:
    """Penalty with zeros minus that with means: a row for early and late pruning and each number of steps tuned.

    Columns: pruned, tuned, advantage, half_width (95 % Student-t interval over seeds; empty for one), kept (share of
    the advantage before fine-tuning), held_out (the advantage on test images), seeds.
    """
    columns = (
        "net",
        "seed",
        "step",
        "set",
        "amount",
        "score",
        "replacement",
        "tuned",
        "penalty",
        "test_penalty",
    )
    need(tuning, columns, "tuning")
    values = ["penalty", "test_penalty"]
    pruned = np.where(tuning["step"] >= late, f"from step {late:,.0f} on", "before")
    means = tuning.assign(pruned=pruned).groupby(["pruned", "tuned", "seed", "replacement"])[values].mean()
    zero, mean = (means.xs(name, level="replacement") for name in ("zero", "mean"))
    runs = (zero - mean).rename(columns={"penalty": "advantage", "test_penalty": "held_out"})
    groups = runs.groupby(["pruned", "tuned"])
    table, count = groups.mean(), groups.size()
    table["half_width"] = stats.t.ppf(0.975, count - 1) * groups["advantage"].std() / np.sqrt(count)
    table["seeds"] = count
    table = table.reset_index()
    table["kept"] = table["advantage"] / table.groupby("pruned")["advantage"].transform("first")
    return table[["pruned", "tuned", "advantage", "half_width", "kept", "held_out", "seeds"]]


def removed(removal: pd.DataFrame) -> pd.DataFrame:
    """Networks without their pruned units: a row for each layer set and amount.

    Columns: layers, pruned (share of units), weights and weights left, time for one batch and what is left of it in
    milliseconds, speed-up, and the largest difference of a logit.
    """
    need(
        removal,
        ("set", "amount", "weights", "weights_left", "seconds", "seconds_left", "difference"),
        "removal",
    )
    groups = removal.groupby(["set", "amount"])
    mean, most = groups.mean(numeric_only=True), groups["difference"].max()
    return pd.DataFrame(
        {
            "weights": mean["weights"].map("{:,.0f}".format),
            "left": mean["weights_left"].map("{:,.0f}".format),
            "ms": 1000 * groups["seconds"].median(),
            "ms left": 1000 * groups["seconds_left"].median(),
            "times faster": groups["seconds"].median() / groups["seconds_left"].median(),
            "largest difference": most.map("{:.1e}".format),
        }
    ).reset_index()
