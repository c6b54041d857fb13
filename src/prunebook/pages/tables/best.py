"""Which pair is best on each network of the head-to-head, and how far the plain one is behind it.

A classifier is judged by its test errors, one minus the accuracy, because its loss also falls where it merely becomes
less sure. Everything else is judged by the loss. Values are compared as logarithms, paired by seed; intervals are
Student's t at 95 %, empty for one seed.
"""

import numpy as np
import pandas as pd

from prunebook.errors import InputError
from prunebook.evidence.intervals import half_width
from prunebook.pages.figures.head_to_head import CONTROLS
from prunebook.pages.figures.tables import checked
from prunebook.pages.numbers import decimals
from prunebook.pages.vocabulary import STAGES, net_name, pair_name

PLAIN = {"weights": ("magnitude", "none"), "units": ("norm", "none")}  # what costs nothing
SAME = 1.01  # values within one per cent are one value
FEWEST = 1e-6  # share of errors that none at all counts as, to have a logarithm


@checked
def valued(losses: pd.DataFrame, by: str = "") -> pd.DataFrame:
    """Adds ``value``, what each network is judged by, and ``measure``, its name; ``by="loss"``: all by their losses."""
    classifies = losses.groupby("net")["accuracy"].transform(lambda values: values.notna().any())
    errors = classifies & (by != "loss")
    least = (1 - losses["accuracy"]).clip(lower=FEWEST)
    value, measure = losses["loss"].where(~errors, least), np.where(errors, "test errors", "test loss")
    return losses.assign(value=value, measure=measure)


@checked
def best(losses: pd.DataFrame, by: str = "") -> pd.DataFrame:
    """The pair with the lowest value at each network, ratio and stage, and how far the plain one is behind it.

    ``tied`` are the pairs, the best one among them, whose value over the best one's is within one per cent, or has an
    interval that reaches 1. ``behind`` is the plain pair's value over the best, ``low`` and ``high`` its interval. The
    best of many is chosen by the values that it is judged by, which flatters it.
    """
    losses = valued(losses, by)
    pairs = losses[~losses["ranking"].isin(CONTROLS) & losses["stage"].isin(list(STAGES))]
    rows = []
    for (net, kind, ratio, stage), part in pairs.groupby(["net", "kind", "ratio", "stage"], sort=False):
        logs = _logs(part)
        first = logs.mean(axis=1).idxmin()
        row = {"net": net, "kind": kind, "measure": part["measure"].iloc[0], "ratio": ratio, "stage": stage}
        row |= {"pair": first, "name": pair_name(*first, kind), "value": float(np.exp(logs.loc[first].mean()))}
        row["tied"] = tuple(pair for pair in logs.index if _is_tied(*_behind(logs, pair, first)))
        row |= zip(("behind", "low", "high"), _behind(logs, PLAIN[kind], first), strict=True)
        rows.append(row | {"plain": pair_name(*PLAIN[kind], kind), "seeds": logs.shape[1]})
    order = {"kind": False, "net": True, "stage": False, "ratio": True}  # pruned, then fine-tuned
    return pd.DataFrame(rows).sort_values(list(order), ascending=list(order.values()), ignore_index=True)


def _logs(part: pd.DataFrame) -> pd.DataFrame:
    """Log values, a row a pair and a column a seed; pairs that some seed lacks, or that diverged, are left out."""
    wide = part.pivot_table(index=["ranking", "compensation"], columns="seed", values="value", sort=False)
    logs = np.log(wide.where(np.isfinite(wide))).dropna()
    if logs.empty:
        raise InputError("no pair has a finite value in all seeds")
    return logs


def _behind(logs: pd.DataFrame, pair: tuple[str, str], first: tuple[str, str]) -> tuple[float, float, float]:
    """Value of a pair over that of the first one, with its interval; not a number where there is none."""
    if pair not in logs.index:
        return np.nan, np.nan, np.nan
    gap = logs.loc[pair] - logs.loc[first]
    half = half_width(gap.std(), len(gap))
    return tuple(float(np.exp(value)) for value in (gap.mean(), gap.mean() - half, gap.mean() + half))


def _is_tied(effect: float, low: float, _: float) -> bool:
    return effect <= SAME or low <= 1


def overview(losses: pd.DataFrame, by: str = "") -> pd.DataFrame:
    """``best`` for the reader, a row a network and ratio: the best pair at each stage, and the plain one beside it."""
    rows = []
    for (net, ratio), part in best(losses, by).groupby(["net", "ratio"], sort=False):
        row = {"network, by": f"{net_name(net)}, {part['measure'].iloc[0]}", "pruned": f"{ratio:g}"}
        for stage, words in (("pruned", "right after pruning"), ("fine-tuned", "after fine-tuning")):
            for one in part[part["stage"] == stage].to_dict("records"):
                others = len(one["tied"]) - 1
                row[f"best {words}"] = one["name"] + (f" (tied: {others} more)" if others else "")
                row[f"plain, {words}"] = times(one)
        rows.append(row)
    return once(pd.DataFrame(rows), "network, by")


def once(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The table with what a column repeats from the row above left out."""
    return table.assign(**{column: table[column].where(table[column] != table[column].shift(), "")})


def times(row) -> str:
    """1.34 (1.2 to 1.5), as a factor."""
    if not np.isfinite(row["behind"]):
        return "–"
    span = f" ({decimals(row['low'])} to {decimals(row['high'])})" if np.isfinite(row["low"]) else ""
    return f"× {decimals(row['behind'])}{span}"
