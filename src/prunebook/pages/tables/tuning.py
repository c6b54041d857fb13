"""Small tables for the page on mean replacement and fine-tuning."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from prunebook.evidence.intervals import half_width
from prunebook.pages.figures.tables import need


def advantage(tuning: pd.DataFrame, *, late: float | int = 25_000, by: Sequence[str] = ()) -> pd.DataFrame:
    """Penalty with zeros minus that with means: a row for early and late pruning and each number of steps tuned.

    The median over the networks pruned, as in the claims' rules; with ``by``, within each value of these columns.
    Columns: ``by``, pruned, tuned, advantage, half_width (95 % Student-t interval over seeds; empty for one), kept
    (share of the advantage before fine-tuning), held_out (the advantage on test images), seeds.
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
    cell = ["seed", "step", "set", "amount", "score", "pruned", "tuned"]
    values = {"penalty": "advantage", "test_penalty": "held_out"}
    wide = _halved(tuning, late).set_index([*cell, "replacement"])[list(values)]
    wide = wide.unstack("replacement")  # noqa: PD010 - two indexes at once
    gains = pd.DataFrame(
        {name: wide[column]["zero"] - wide[column]["mean"] for column, name in values.items()}
    )
    keys = [*by, "pruned", "tuned"]
    runs = gains.groupby([*keys, "seed"]).median()
    groups = runs.groupby(keys)
    table, count = groups.mean(), groups.size()
    table["half_width"] = half_width(groups["advantage"].std(), count)
    table["seeds"] = count
    table = table.reset_index()
    table["kept"] = table["advantage"] / table.groupby([*by, "pruned"])["advantage"].transform("first")
    return table[[*keys, "advantage", "half_width", "kept", "held_out", "seeds"]]


def losses(tuning: pd.DataFrame, untouched: pd.DataFrame, *, late: float | int = 25_000) -> pd.DataFrame:
    """What the penalties are made of: median losses of pruned networks beside those of the network trained on unpruned.

    A row for early and late starts and each number of steps. Columns: pruned, tuned, and the losses unpruned, mean and
    zero, the same for held-out images; means over seeds.
    """
    need(untouched, ("seed", "step", "tuned", "loss", "test_loss"), "untouched")
    parts = []
    for name, table in (("unpruned", untouched), *tuning.groupby("replacement")):
        runs = _halved(table, late).groupby(["pruned", "tuned", "seed"])[["loss", "test_loss"]].median()
        part = runs.groupby(["pruned", "tuned"]).mean()
        parts.append(part.set_axis([name, f"{name}, held out"], axis=1))
    return pd.concat(parts, axis=1).reset_index()


def _halved(table: pd.DataFrame, late: float | int) -> pd.DataFrame:
    """With the column ``pruned``: before the step ``late`` or from there on."""
    names = (f"from {late:,.0f} on", f"before {late:,.0f}")
    return table.assign(pruned=np.where(table["step"] >= late, *names))


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
