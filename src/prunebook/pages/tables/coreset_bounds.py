"""Small tables for the pages on pruning the last layer with guarantees. Means are over seeds."""

from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from prunebook.errors import InputError
from prunebook.pages.figures.coreset_parts import WAYS, cells
from prunebook.pages.figures.tables import checked
from prunebook.pages.numbers import number, percent
from prunebook.pages.vocabulary import CASES, KINDS
from prunebook.tables import chosen

FACTS = (
    "train accuracy",
    "dev accuracy",
    "test accuracy",
    "weights exactly zero",
    "weights of probability zero",
    "units of probability zero",
    "mean sum of sensitivities",
    "largest sum of sensitivities",
    "neuron total",
)


MEANS = ["epsilon", "observed", "observed_sd", "observed_median", "size", "samples", "sparsity"]


def regularised(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Each table's rows of the first reading: easy, moderate and difficult by regularisation."""
    return {name: table[table["reading"] == "regularisation"] for name, table in tables.items()}


def others(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Each table's rows of all other readings: dropout, and label noise where it was measured."""
    return {name: table[table["reading"] != "regularisation"] for name, table in tables.items()}


@checked
def coreset_table(epsilon_first: pd.DataFrame, models: pd.DataFrame, share: float = 0.5) -> pd.DataFrame:
    """What keeping a share of the correct labels takes, as text: a row for each circumstance and kind.

    Errors are of a logit for units, and relative for weights. ``never drawn`` is the share of units or weights of
    probability zero: however many draws, sparsity cannot be less. Nothing sampled is a dash.
    """
    facts, rows = circumstances(models).set_index("case"), []
    for label, cell in cells(epsilon_first):
        at = cell[np.isclose(cell["share"], share)]
        if at.empty:
            there = ", ".join(f"{value:g}" for value in sorted(cell["share"].unique()))
            raise InputError(f"a share of {share:g} was not measured for {label}: choose one of {there}")
        for kind, part in at.groupby("kind", sort=False):
            mean = part[MEANS].agg(lambda values: values.mean(skipna=False))
            text = mean.map(partial(number, markup="html"))
            items = "units" if kind == "neurons" else "weights"
            never = facts.get(f"{items} of probability zero", pd.Series(dtype=float)).get(label, np.nan)
            row = {
                "case": label,
                "kind": KINDS.get(kind, kind),
                "ε": text["epsilon"],
                "error seen": f"{text['observed']} ± {text['observed_sd']}",
                "median": text["observed_median"],
                "size": text["size"],
                "draws": text["samples"],
                "sparsity": percent(mean["sparsity"]),
                "never drawn": percent(never / mean["size"]),
            }
            rows.append(row)
    return pd.DataFrame(rows)


@checked
def circumstances(models: pd.DataFrame) -> pd.DataFrame:
    """Accuracies, zeros and totals of the trained networks: a row for each circumstance."""
    rows = [{"case": label, **cell.groupby("what")["value"].mean().reindex(FACTS)} for label, cell in cells(models)]
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


@checked
def facts_table(models: pd.DataFrame) -> pd.DataFrame:
    """``circumstances`` as text, a column for each circumstance."""
    table = circumstances(models).set_index("case").T
    rows = [
        {"": name, **row.map(percent if "accuracy" in name else _number)}
        for name, row in table.rename(index={"neuron total": "total t of the bound for units"}).iterrows()
    ]
    return pd.DataFrame(rows)


@checked
def useful_until(sparsity_first: pd.DataFrame, keep: float = 0.9) -> pd.DataFrame:
    """The largest ratio at which a share ``keep`` of the pruned network's accuracy is guaranteed; 0 if there is none.

    A row for each circumstance, a column for each way.
    """
    rows = []
    for label, cell in cells(sparsity_first):
        row: dict[str, object] = {"case": label}
        for way in [*WAYS, *sorted(set(cell["way"]) - set(WAYS))]:
            means = cell[cell["way"] == way].groupby("ratio")[["accuracy", "implied_accuracy"]].mean()
            if len(means):
                enough = means["implied_accuracy"] >= keep * means["accuracy"] - 1e-9  # up to rounding
                good = means.index[enough]
                row[KINDS.get(way, way)] = float(good.max()) if len(good) else 0.0
        rows.append(row)
    return pd.DataFrame(rows)


@checked
def foretelling(recovery: pd.DataFrame, tuned: str = "all layers", tolerance: float = 0.01) -> pd.DataFrame:
    """How well the error right after pruning orders networks by accuracy: rank correlations before and after tuning.

    ``within a point``: how many of the half with the larger errors end within ``tolerance`` of the dense network that
    was tuned in the same way.
    """
    keys = ["seed", "method", "ratio", "sparsity"]
    rows = []
    for label, cell in cells(recovery):
        before = cell.loc[cell["tuned"] == "none", [*keys, "accuracy", "error"]]
        after = cell.loc[cell["tuned"] == tuned, [*keys, "accuracy"]]
        dense = after[after["method"] == "dense"].set_index("seed")["accuracy"]
        # Several gates may reach the same sparsity and be the same network: one pair is enough.
        pairs = before.merge(after, on=keys, suffixes=("", "_after"))
        pairs = pairs.drop_duplicates([*keys, "accuracy_after"])
        if pairs.empty:
            continue
        ranks = [
            [spearmanr(seed["error"], -seed[column])[0] for column in ("accuracy", "accuracy_after")]
            for _, seed in pairs.groupby("seed")
            if len(seed) > 2
        ]
        large = pairs[pairs["error"] > pairs.groupby("seed")["error"].transform("median")]
        close = large["accuracy_after"] >= large["seed"].map(dense) - tolerance
        first, second = np.mean(ranks, axis=0) if ranks else (np.nan, np.nan)
        row = {"case": label, "ρ after pruning": f"{first:.2f}", "ρ after fine-tuning": f"{second:.2f}"}
        rows.append(row | {"networks": len(pairs), "within a point": percent(close.mean())})
    return pd.DataFrame(rows)


def headline(tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    """The numbers that the prose of a page quotes, as text; a dash where the scale did not measure one.

    Spans go from the lowest to the highest circumstance of the first reading, each a mean over seeds.
    """
    first, rest = regularised(tables), others(tables)
    found: dict[str, str] = {}
    for kind, name in (("neurons", "units"), ("weights", "weights")):
        half, whole = (_at(first["epsilon_first"], share=share, kind=kind) for share in (0.5, 1.0))
        found[f"half-{name}-draws"] = _span(half["samples"] / half["size"], half)
        found[f"half-{name}-seen"] = _span(100 * half["observed"] / half["epsilon"], half)
        found[f"half-{name}-sparsity"] = _span(100 * half["sparsity"], half)
        every, most = (part.groupby("case")["samples"].mean() for part in (whole, half))
        found[f"all-{name}-draws"] = _span(every / most)
    by = {"index": ["case", "seed"], "columns": "name", "values": "epsilon"}
    units, weights = (_at(first["waterfall"], kind=kind).pivot_table(**by) for kind in ("neurons", "weights"))
    ratios = {
        "loose-units": units["bound as stated"] / units["Monte Carlo"],
        "loose-weights": weights["bound, all at once"] / weights["Monte Carlo"],
        "variance-units": units["one pair"] / units["exact variance"],
        "variance-weights": weights["exact variance"] / weights["one event"],
        "stated-over-hoeffding": units["all points"] / units["bound as stated"],
    }
    found |= {name: _span(ratio, geometric=True) for name, ratio in ratios.items()}
    layers = _at(first["layers"], layer=first["layers"]["layer"].min(), ratio=0.5)
    layers = layers[layers["observed"] > 0]
    found["layers"] = _span(layers["bound"] / layers["observed"], layers, geometric=True)
    kept = _at(first["sparsity_first"], way="deterministic")
    for case in CASES:
        for ratio in (0.3, 0.5):
            part = _at(kept, case=case, ratio=ratio)
            found[f"kept-{case}-{ratio:g}"] = _number(100 * part["implied_accuracy"].mean())
            found[f"seen-{case}-{ratio:g}"] = _number(100 * part["accuracy"].mean())
    for kind in ("ball", "orthant"):
        part = _at(first["inputs"], inputs=kind)
        found[kind] = _span(100 * part["error"] / part["epsilon"], part)
    stated = _at(first["scaling"], bound="stated").groupby("alpha")["largest_over_epsilon"].mean()
    found["break-alpha"] = _number(min(stated.index[stated > 1], default=np.nan))
    found["break-size"] = _number(stated.max())
    assumed = first["assumptions"]
    for factor in (1.0, 2.0, 5.0):
        found[f"obeyed-{factor:g}"] = _number(100 * _at(assumed, C=factor)["obeyed"].mean())
    noisy = _at(rest["epsilon_first"], share=0.5, reading="label noise", kind="neurons")
    found["noise-units-draws"] = _span(noisy["samples"] / noisy["size"], noisy)
    dropped = _at(rest["epsilon_first"], reading="dropout", kind="neurons")["sparsity"].max()
    found["dropout-sparsity"] = _number(100 * dropped)
    return found | _tuning(first["recovery"])


def _tuning(recovery: pd.DataFrame) -> dict[str, str]:
    """Deterministic pruning of the difficult network, before and after fine-tuning all layers."""
    cell = _at(recovery, case="difficult")
    part = _at(cell, method="deterministic")
    means = part.groupby(["tuned", "ratio"])[["accuracy", "error"]].mean()
    names = ("tuned-low", "tuned-high", "gap", "gap-last")
    if not {"none", "last layer", "all layers"} <= set(part["tuned"]):
        return dict.fromkeys(names, "–")
    before, after = means.loc["none"], means.loc["all layers"]
    ratios = after.index
    dense = _at(_at(cell, method="dense"), tuned="all layers")["error"].mean()
    found = {"dense-error": _number(dense)}
    for name, ratio in (("low", ratios.min()), ("high", ratios.max())):
        found |= {
            f"tuned-{name}-ratio": f"{100 * ratio:g}",
            f"tuned-{name}-error": _number(before["error"][ratio]),
            f"tuned-{name}-error-after": _number(after["error"][ratio]),
            f"tuned-{name}-accuracy": _number(100 * before["accuracy"][ratio]),
            f"tuned-{name}-accuracy-after": _number(100 * after["accuracy"][ratio]),
        }
    for name, state in (("gap", "all layers"), ("gap-last", "last layer")):
        found[name] = _number(100 * (means.loc[state]["accuracy"] - before["accuracy"]).max())
    return found


def _at(table: pd.DataFrame, **wanted) -> pd.DataFrame:
    return chosen(table, wanted)


def _span(values: pd.Series, keys: pd.DataFrame | None = None, *, geometric: bool = False) -> str:
    """From the lowest to the highest circumstance, as text."""
    case = values.index.get_level_values("case") if keys is None else keys["case"]
    if values.empty:
        return "–"
    means = (np.log(values) if geometric else values).groupby(case).mean()
    low, high = (_number(float(np.exp(end) if geometric else end)) for end in (means.min(), means.max()))
    return low if low == high else f"{low} to {high}"


def _number(value: float) -> str:
    """Three digits at most, thousands and millions in full; a dash for what was not measured."""
    digits = 3 if 10 <= abs(value) < 1000 else 2
    return number(float(f"{value:.{digits}g}"), digits, plain=(0, np.inf))
