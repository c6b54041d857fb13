"""Small tables for the head-to-head page: every number, costs, times, draws."""

import numpy as np
import pandas as pd

from prunebook.pages.figures.head_to_head import speeds
from prunebook.pages.figures.tables import checked
from prunebook.pages.tables.best import once
from prunebook.pages.vocabulary import compensation_name, net_name, ranking_name


def middle(losses: pd.DataFrame, net: str) -> float:
    """The ratio that the grids show: of weights 0.9, of units 0.2, or what was measured next to it."""
    rows = losses[(losses["net"] == net) & (losses["ratio"] > 0)]
    wanted = {"weights": 0.9, "units": 0.2}[rows["kind"].iloc[0]]
    return float(min(rows["ratio"].unique(), key=lambda ratio: abs(ratio - wanted)))


@checked
def cost_table(cost: pd.DataFrame) -> pd.DataFrame:
    """Seconds of one thread, means over seeds: a row a ranking or compensation, a column a network."""
    parts = {"ranking": 0, "compensation": 1, "reference": 2}
    kinds = cost.groupby(["part", "name"], sort=False)["kind"].first()
    by = {"index": ["part", "name"], "columns": "net", "values": "seconds"}
    table = cost.assign(net=cost["net"].map(net_name)).pivot_table(**by, sort=False).rename_axis(columns=None)
    table = table.reset_index().sort_values("part", key=lambda part: part.map(parts), kind="stable")
    table["name"] = [
        compensation_name(name, kinds[part, name]) if part == "compensation" else ranking_name(name)
        for part, name in zip(table["part"], table["name"], strict=True)
    ]
    return blank(table)


def speed_table(latency: pd.DataFrame) -> pd.DataFrame:
    """Time of a pass over the dense network's for each form and batch, and bytes; a row a network and ratio.

    Medians over seeds. ``bytes`` are of the smallest form over those of the dense network.
    """
    nets = list(latency["net"].unique())
    table = speeds(latency).sort_values("ratio", kind="stable")
    table = table.sort_values("net", key=lambda names: names.map(nets.index), kind="stable")
    names = {1: "1 input", 256: "256 inputs"}
    column = table["form"] + ", " + table["batch"].map(lambda batch: names.get(batch, f"{batch} inputs"))
    by = {"index": ["net", "ratio"], "columns": "column", "values": "time"}
    wide = table.assign(column=column).pivot_table(**by, sort=False)
    wide["bytes"] = table.groupby(["net", "ratio"], sort=False)["size"].min()
    wide = wide.rename_axis(columns=None).reset_index().rename(columns={"net": "network", "ratio": "pruned"})
    return blank(once(wide.assign(network=wide["network"].map(net_name)), "network"))


def blank(table: pd.DataFrame) -> pd.DataFrame:
    """Nothing where there is no number."""
    return table.map(lambda value: "" if isinstance(value, float) and np.isnan(value) else value)


@checked
def draw_table(draws: pd.DataFrame) -> pd.DataFrame:
    """Draws and the share of weights they leave, in the mean and as drawn, means over seeds."""
    share = draws.assign(
        wanted=1 - draws["ratio"],
        expected=draws["expected"] / draws["target"] * (1 - draws["ratio"]),
        kept=draws["kept"] / draws["target"] * (1 - draws["ratio"]),
        network=draws["net"].map(net_name),
    )
    columns = ["wanted", "draws", "expected", "kept", "comparable"]
    table = share.groupby(["network", "ratio"], sort=False)[columns].mean().reset_index()
    table["comparable"] = ["yes" if value == 1 else "no" for value in table["comparable"]]
    return once(table.drop(columns="ratio"), "network")
