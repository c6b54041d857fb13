"""What a statistic is, and the list of all."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Statistic:
    """``log``: values are logarithms of ratios, to be shown as ratios. ``scale``: what else they are, where intervals
    of later editions are made on another scale: a "share" on its logit, a "correlation" on Fisher's z."""

    function: Callable[..., pd.DataFrame]
    log: bool
    scale: str


STATISTICS: dict[str, Statistic] = {}


def statistic(*, log: bool, scale: str = "plain") -> Callable:
    """Register a function under its own name."""

    def file(function: Callable) -> Callable:
        STATISTICS[function.__name__] = Statistic(function, log, "log" if log else scale)
        return function

    return file


def frame(rows: Iterable[dict]) -> pd.DataFrame:
    """Rows with cell, seed and value."""
    return pd.DataFrame(list(rows), columns=["cell", "seed", "value"])
