"""Further questions to the weights of one step: which constant, which unit, which convention, which border."""

import pandas as pd
import torch
from torch import nn

from prunebook import units
from prunebook.studies.mean_replacement.config import AlongTraining
from prunebook.studies.mean_replacement.penalties import Subsets, masks, penalties, scored
from prunebook.units.ablation.measure import Variant, measure

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
CONVENTIONS = (
    "rs/literal-sign",
    "mrs/reversed-sign",
    "abs_rs/elementwise",
    "abs_mrs/elementwise",
    "abs_rs/average-first",
    "abs_mrs/average-first",
)


def constants(
    model: nn.Sequential, config: AlongTraining, data: Subsets, seen, scores, step: int
) -> pd.DataFrame:
    """Penalty with the constant alpha times the mean: is alpha = 1 the best for the loss, and not only for the layer?

    For the followed amount, in all layers together and in the followed set, by every score.
    """
    rows, variants = [], []
    for layer_set in dict.fromkeys(("all", config.followed[0])):
        for name, by_site in scores.items():
            pruned = masks(model, by_site, layer_set, config.followed[1])
            for alpha in ALPHAS:
                rows.append({"step": step, "set": layer_set, "score": name, "alpha": alpha})
                variants.append(Variant(pruned, {site: alpha * seen[site].mean for site in pruned}))
    return _with_penalties(rows, variants, model, data)


def single_units(
    model: nn.Sequential, data: Subsets, seen, scores, layer_set: str, step: int
) -> pd.DataFrame:
    """True penalty of each unit of a layer pruned alone, to zero and to its mean, beside its scores."""
    site = units.layer_set(model, layer_set)[0]
    rows, variants = [], []
    for unit in range(site.units):
        mask = torch.zeros(site.units, dtype=torch.bool, device=data.x.device)
        mask[unit] = True
        for replacement, constant in (("zero", None), ("mean", {site.name: seen[site.name].mean})):
            own = {f"score_{name}": float(by_site[site.name][unit]) for name, by_site in scores.items()}
            rows.append({"step": step, "site": site.name, "unit": unit, "replacement": replacement, **own})
            variants.append(Variant({site.name: mask}, constant))
    return _with_penalties(rows, variants, model, data)


def _with_penalties(rows, variants, model: nn.Sequential, data: Subsets) -> pd.DataFrame:
    found = measure(model, variants, data.both)
    table = pd.DataFrame(rows)
    for place, name in enumerate(("penalty", "test_penalty")):
        table[name] = (found.loss[:, place] - found.unpruned_loss[place]).cpu().numpy()
    return table


def conventions(
    model: nn.Sequential, config: AlongTraining, data: Subsets, seed: int, step: int
) -> pd.DataFrame:
    """The grid again for other readings of the scores."""
    seen, scores = scored(model, data, CONVENTIONS, seed, step, units.CONVENTIONS)
    return penalties(model, config, data, seen, scores, step)[0]


def borders(
    model: nn.Sequential, config: AlongTraining, data: Subsets, seen, scores, step: int
) -> pd.DataFrame:
    """The grid with means folded in the two ways that are not exact where a convolution pads; empty if none does."""
    if not any(isinstance(layer, nn.Conv2d) and any(layer.padding) for layer in model):
        return pd.DataFrame()
    tables = []
    for border in ("exact", "response-mean", "all-taps"):
        table = penalties(model, config, data, seen, scores, step, border)[0]
        tables.append(table[table["replacement"] == "mean"].assign(border=border))
    return pd.concat(tables, ignore_index=True)


def batch_statistics(
    model: nn.Sequential, config: AlongTraining, data: Subsets, seen, scores, step: int
) -> pd.DataFrame:
    """Penalties with zeros and with means in the followed set, where batch norm uses the statistics of the batch."""
    rows, variants = [], []
    layer_set, amount = config.followed
    for name, by_site in scores.items():
        pruned = masks(model, by_site, layer_set, amount)
        rows.append({"step": step, "score": name, "set": layer_set, "amount": amount})
        variants.append(Variant(pruned))
        variants.append(Variant(pruned, {site: seen[site].mean for site in pruned}))
    found = measure(model, variants, data.both[:1], batch_statistics=True)
    loss = (found.loss[:, 0] - found.unpruned_loss[0]).cpu().view(-1, 2).numpy()
    table = pd.DataFrame(rows).assign(zero=loss[:, 0], mean=loss[:, 1])
    return table.assign(difference=(table["zero"] - table["mean"]).abs())
