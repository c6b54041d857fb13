"""Small tables for the pages, made from the studies' tidy tables. Means are over seeds."""

import numpy as np
import pandas as pd

CELL = ["widths", "noise"]


def losses_summary(losses: pd.DataFrame, column: str = "loss") -> pd.DataFrame:
    """Mean, geometric mean, least and greatest value over seeds of each network, noise, method, ratio and stage."""
    keys = [*CELL, "method", "ratio", "stage"]
    groups = losses.groupby(keys, sort=False)[column]
    table = groups.agg(mean="mean", minimum="min", maximum="max", seeds="count")
    table.insert(
        1, "geometric_mean", np.exp(np.log(losses[column]).groupby([losses[k] for k in keys]).mean())
    )
    return table.reset_index()


def mean_of(
    losses: pd.DataFrame, method: str, stage: str, ratio: float, column: str = "loss", **cell
) -> float:
    """Mean over seeds, and over the networks that ``cell`` does not choose among, of one point of a curve.

    NaN where the point was not measured, as at a scale with fewer ratios.
    """
    chosen = losses[
        (losses["method"] == method) & (losses["stage"] == stage) & np.isclose(losses["ratio"], ratio)
    ]
    for name, value in cell.items():
        chosen = chosen[chosen[name] == value]
    return float(chosen[column].mean())


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
    return means.rename(columns={"widths": "network", "train_loss": "training loss", "loss": "test loss"})


def solver_differences(u_face: np.ndarray, u_ghost: np.ndarray, t: np.ndarray, x: np.ndarray) -> pd.DataFrame:
    """Long table of two solutions of one trajectory, (times, cells) each: columns t, x, u_face, u_ghost."""
    times, places = np.meshgrid(t, x, indexing="ij")
    return pd.DataFrame(
        {"t": times.ravel(), "x": places.ravel(), "u_face": u_face.ravel(), "u_ghost": u_ghost.ravel()}
    )
