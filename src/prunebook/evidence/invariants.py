"""What must hold in every stored result of pruning, checked on the tables themselves."""

from collections.abc import Callable, Mapping

import pandas as pd

from prunebook.store.collect import stored
from prunebook.store.results import Store
from prunebook.studies import STUDIES

Check = Callable[[Mapping[str, pd.DataFrame]], pd.Series]  # which rows hold
DENSE = ("dense", "fully-connected")  # no mask
# What a run of the head-to-head counts, and must find none of.
FAULTS = (
    "weights off the ratio",
    "mask entries changed by fine-tuning",
    "pruned weights that came back",
    "sizes that differ at one ratio",
)


def _masked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    losses = tables["losses"]
    return losses[~losses["method"].isin(DENSE) & losses["ratio"].notna()]


def ratio_reached(tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """As many weights were removed as the ratio asks for, to the weight (Wanda: to the weight in each row)."""
    rows = _masked(tables)
    total = rows["weights"] / (1 - rows["reached"])
    units = rows["widths"].map(lambda widths: sum(map(int, widths.split("-")[1:]))).astype(int)
    return (rows["reached"] - rows["ratio"]).abs() * total < units.where(rows["method"] == "wanda", 1)


def weights_kept(tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """As many weights are left after fine-tuning as right after pruning."""
    keys = ["widths", "noise", "seed", "method", "ratio"]
    rows = _masked(tables).pivot_table(index=keys, columns="stage", values="weights").dropna()
    return rows["pruned"] == rows["fine-tuned"]


def sparsity_kept(tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """A last layer is as sparse after fine-tuning as right after pruning."""
    keys = ["reading", "case", "seed", "method", "ratio"]
    rows = tables["recovery"]
    both = rows.groupby(keys)["sparsity"].agg(["min", "max"])
    return both["min"] == both["max"]


def kept_within_draws(tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """No more is kept than was drawn; draws are with replacement."""
    rows = tables["epsilon_first"].dropna(subset=["kept", "samples"])
    return rows["kept"] <= rows["samples"] + 1e-9


def nothing_removed(tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """Where an amount comes to no unit, the penalty is zero."""
    rows = tables["penalties"]
    return rows.loc[rows["units"] == 0, "penalty"] == 0


def history_whole(tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """Every measured step of a training has the training loss of the steps before it."""
    keys = ["net", "batch_norm", "steps", "seed", "step"]
    measured = tables["network"].loc[tables["network"]["step"] > 0, keys]
    return measured.merge(tables["history"][keys], how="left", indicator=True)["_merge"] == "both"


def same_units(tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """Zero and mean are compared on equally many units, for every score."""
    keys = ["net", "batch_norm", "seed", "step", "set", "amount"]
    counts = tables["penalties"].groupby(keys)["units"].agg(["min", "max"])
    return counts["min"] == counts["max"]


def no_fault_counted(tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """No weight is off its ratio, none comes back, no mask changes, and sizes at one ratio are equal."""
    rows = tables["checks"]
    return rows.loc[rows["name"].isin(FAULTS), "value"] == 0


def removal_is_exact(tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """To take the pruned units out changes no logit by more than a thousandth."""
    rows = tables["checks"]
    return rows.loc[rows["name"] == "largest change of a logit by removal", "value"] <= 1e-3


def left_kept(tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """As much is left after fine-tuning as right after pruning."""
    keys = ["net", "seed", "ranking", "compensation", "ratio"]
    rows = tables["losses"].pivot_table(index=keys, columns="stage", values="left")
    rows = rows.dropna(subset=["pruned", "fine-tuned"])
    return rows["pruned"] == rows["fine-tuned"]


CHECKS: dict[str, tuple[Check, ...]] = {
    "ec-mnist": (ratio_reached, weights_kept),
    "ec-pde": (ratio_reached, weights_kept),
    "ec-pde-converged": (ratio_reached, weights_kept),
    "cb-lenet": (sparsity_kept, kept_within_draws),
    "cb-vgg": (sparsity_kept, kept_within_draws),
    "mr-training": (nothing_removed, same_units, history_whole),
    "head-to-head": (no_fault_counted, removal_is_exact, left_kept),
}


def invariants(store: Store | None = None, scale: str = "paper") -> pd.DataFrame:
    """A row a check and study: study, what, cases, broken. Studies without results are left out."""
    rows = []
    for name, checks in CHECKS.items():
        results = stored(STUDIES[name], scale, store=store)
        for check in checks if results else ():
            holds = check(results.tables)
            what = (check.__doc__ or check.__name__).strip().rstrip(".")
            rows.append({"study": name, "what": what, "cases": len(holds), "broken": int((~holds).sum())})
    return pd.DataFrame(rows, columns=["study", "what", "cases", "broken"])
