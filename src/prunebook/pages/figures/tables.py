"""What the figures ask of a table, and the small sums they make of it."""

from collections.abc import Iterable, Sequence, Sized

import numpy as np
import pandas as pd

from prunebook.errors import InputError

CELL = ["widths", "noise"]  # one network on one problem
STAGES = {"pruned": "Right after pruning", "fine-tuned": "After fine-tuning"}


def need(table: pd.DataFrame, columns: Iterable[str], name: str) -> None:
    """Raises InputError where a table is empty or lacks a column."""
    if missing := [column for column in columns if column not in table.columns]:
        raise InputError(
            f"the table {name} has no column {', '.join(missing)}: it has {', '.join(table.columns)}"
        )
    if table.empty:
        raise InputError(f"the table {name} is empty: nothing to draw")


def cells(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The table of each architecture, in order of appearance, and of each noise level, labelled by what differs."""
    several = [column for column in CELL if table[column].nunique() > 1] or ["widths"]
    groups = dict(list(table.groupby(CELL)))
    order = list(table["widths"].unique())
    keys = sorted(groups, key=lambda key: (order.index(key[0]), key[1]))
    return [(_label(key, several), groups[key]) for key in keys]


def _label(key: tuple, shown: Sequence[str]) -> str:
    widths, noise = key
    level = f"noise ±{noise:g}" if noise else "no noise"
    return ", ".join({"widths": str(widths), "noise": level}[column] for column in shown)


def one_cell(table: pd.DataFrame, name: str) -> None:
    """Raises InputError where a table of test outputs holds more than one network."""
    for column in (*CELL, "seed"):
        if column in table and table[column].nunique() > 1:
            values = ", ".join(map(str, table[column].unique()))
            raise InputError(f"the table {name} holds several values of {column} ({values}): choose one")


def present(table: pd.DataFrame, methods: Sequence[str], name: str) -> list[str]:
    """Those of ``methods`` that the table holds, in the order given. Raises InputError where it holds none."""
    there = set(table["method"])
    found = [method for method in methods if method in there]
    if not found:
        raise InputError(f"the table {name} holds none of {', '.join(methods)}: it holds {sorted(there)}")
    return found


def positions(ratios: Sequence | np.ndarray | pd.Index, ticks: Sequence | np.ndarray) -> np.ndarray:
    """Places on an axis where the pruning ratios that were asked for stand at equal distances.

    In between and outside the axis is linear, so that a network which reached .91 instead of .9 stands off the tick.
    """
    ratios, ticks = np.asarray(ratios, dtype=float), np.asarray(ticks, dtype=float)
    if len(ticks) == 1:
        return np.zeros_like(ratios)
    piece = np.clip(np.searchsorted(ticks, ratios, side="right") - 1, 0, len(ticks) - 2)
    return piece + (ratios - ticks[piece]) / (ticks[piece + 1] - ticks[piece])


def dodge(place: int, count: int, ticks: Sized) -> float:
    """Shift of the ``place``-th of ``count`` neighbours, about 4 pixels apart in a panel of half a page."""
    return dodge_step(count, ticks) * (place - (count - 1) / 2)


def dodge_step(count: int, ticks: Sized) -> float:
    return min(0.8 / count, 0.0133 * max(len(ticks), 2))


def mean_of(values: pd.Series, kind: str) -> float:
    """Mean over seeds. A value that is not finite makes it infinite: a seed that exploded is not left out."""
    if not np.isfinite(values).all():
        return float("inf")
    return float(np.exp(np.log(values).mean())) if kind == "geometric" else float(values.mean())


def relative_to_dense(losses: pd.DataFrame, column: str = "loss") -> pd.DataFrame:
    """Adds ``relative``: each loss over that of the same seed's dense network just before pruning."""
    dense = losses[(losses["method"] == "dense") & (losses["stage"] == "trained")]
    if dense.empty:
        raise InputError("the table losses has no dense network at stage trained to compare with")
    keys = [*CELL, "seed"]
    joined = losses.merge(dense[[*keys, column]].rename(columns={column: "before"}), on=keys, validate="m:1")
    return joined.assign(relative=joined[column] / joined["before"])
