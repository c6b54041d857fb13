"""Small tables for the pages, made from the studies' tidy tables. Means are over seeds."""

import pandas as pd

from prunebook.evidence.statistics.elimination_compensation import CELL
from prunebook.pages.vocabulary import METHODS
from prunebook.tables import chosen


def mean_of(losses: pd.DataFrame, method: str, stage: str, ratio: float, column: str = "loss", **cell) -> float:
    """Mean over seeds, and over the networks that ``cell`` does not choose among, of one point of a curve.

    NaN where the point was not measured, as at a scale with fewer ratios.
    """
    where = {"method": method, "stage": stage, "ratio": float(ratio)} | cell
    return float(chosen(losses, where)[column].mean())


def cost_summary(cost: pd.DataFrame) -> pd.DataFrame:
    """Seconds of each criterion and network, and how many forward passes over its samples that is."""
    table = cost.groupby(["widths", "what", "samples"], sort=False)["seconds"].mean().reset_index()
    forward = table[table["what"] == "forward pass"].set_index("widths")
    a_sample = table["widths"].map(forward["seconds"] / forward["samples"])
    table["forward passes"] = table["seconds"] / (a_sample * table["samples"])
    return table[table["forward passes"] > 0.1].rename(columns={"widths": "network", "what": "criterion"})


def overfitting(losses: pd.DataFrame, ratios=(0.0, 0.3, 0.5, 0.7, 0.9)) -> pd.DataFrame:
    """Training and test loss after the second phase: the dense network (ratio 0) and elimination-compensation."""
    methods = ["dense", "elimination-compensation"]
    tuned = losses[(losses["stage"] == "fine-tuned") & losses["method"].isin(methods)]
    tuned = tuned[tuned["ratio"].round(6).isin(ratios)]
    means = tuned.groupby([*CELL, "method", "ratio"], sort=False)[["train_loss", "loss"]].mean().reset_index()
    means = means.drop(columns="noise") if means["noise"].nunique() == 1 else means
    means["method"] = means["method"].replace(METHODS)
    return means.rename(columns={"widths": "network", "train_loss": "training loss", "loss": "test loss"})


def blindness(reliance: pd.DataFrame, losses: pd.DataFrame, floors: pd.DataFrame, ratio: float) -> pd.DataFrame:
    """How much of its reliance on each group of inputs a pruned network has left, without noise, means over seeds.

    Reliance is the root mean square change of the output when a group is held at its mean. The last two columns are the
    loss on clean targets, before and after fine-tuning, over that of the best predictor that ignores the initial state.
    """
    quiet = reliance[reliance["noise"] == 0]
    keys = ["widths", "group"]
    dense = quiet[quiet["stage"] == "trained"].groupby(keys)["rms"].mean()
    pruned = chosen(quiet, {"stage": "pruned", "ratio": float(ratio)})
    means = pruned.groupby(["method", *keys], sort=False)["rms"].mean().reset_index()
    means["rms"] /= means.set_index(keys).index.map(dense)
    table = means.pivot_table(index=["widths", "method"], columns="group", values="rms", sort=False)
    blind = floors.loc[floors["name"] == "blind_test", "value"].mean()
    for stage, name in (("pruned", "loss / blind"), ("fine-tuned", "fine-tuned / blind")):
        clean = chosen(losses, {"noise": 0.0, "stage": stage, "ratio": float(ratio)})
        table[name] = clean.groupby(["widths", "method"])["clean_loss"].mean() / blind
    table = table.rename_axis(columns=None).reset_index().rename(columns={"widths": "network"})
    return table.assign(method=table["method"].replace(METHODS))
