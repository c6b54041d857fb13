"""Further questions to the weights of one step: which constant, which unit, which convention, which border."""

import pandas as pd
import torch
from torch import nn

from prunebook import units
from prunebook.studies.mean_replacement.penalties import Moment, penalties, scored, with_penalties
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


def constants(at: Moment, followed: tuple[str, float]) -> pd.DataFrame:
    """Penalty with the constant alpha times the mean: is alpha = 1 the best for the loss, and not only for the layer?

    For the followed amount, in all layers together and in the followed set, by every score.
    """
    rows, variants = [], []
    for layer_set in dict.fromkeys(("all", followed[0])):
        for score in at.scores:
            pruned = at.masks(score, layer_set, followed[1])
            rows += [{"set": layer_set, "score": score, "alpha": alpha} for alpha in ALPHAS]
            variants += [Variant(pruned, at.means(pruned, alpha)) for alpha in ALPHAS]
    return with_penalties(at, rows, variants)[0]


def single_units(at: Moment, layer_set: str) -> pd.DataFrame:
    """True penalty of each unit of a layer pruned alone, to zero and to its mean, beside its scores."""
    site = units.layer_set(at.model, layer_set)[0]
    rows, variants = [], []
    for unit in range(site.units):
        mask = torch.zeros(site.units, dtype=torch.bool, device=at.data.x.device)
        mask[unit] = True
        own = {f"score_{name}": float(by_site[site.name][unit]) for name, by_site in at.scores.items()}
        for replacement, constant in (("zero", None), ("mean", at.means([site.name]))):
            rows.append({"site": site.name, "unit": unit, "replacement": replacement, **own})
            variants.append(Variant({site.name: mask}, constant))
    return with_penalties(at, rows, variants)[0]


def conventions(at: Moment, sets, amounts, seed: int) -> pd.DataFrame:
    """The grid again for other readings of the scores."""
    again = scored(at.model, at.data, CONVENTIONS, seed, at.step, units.CONVENTIONS)
    return penalties(again, sets, amounts)[0]


def borders(at: Moment, sets, amounts) -> pd.DataFrame:
    """The grid with means folded in the two ways that are not exact where a convolution pads; empty if none does."""
    if not any(isinstance(layer, nn.Conv2d) and any(layer.padding) for layer in at.model):
        return pd.DataFrame()
    tables = []
    for border in ("exact", "response-mean", "all-taps"):
        table = penalties(at, sets, amounts, border)[0]
        tables.append(table[table["replacement"] == "mean"].assign(border=border))
    return pd.concat(tables, ignore_index=True)


def batch_statistics(at: Moment, followed: tuple[str, float]) -> pd.DataFrame:
    """Penalties with zeros and with means in the followed set, where batch norm uses the statistics of the batch."""
    layer_set, amount = followed
    variants = []
    for score in at.scores:
        pruned = at.masks(score, layer_set, amount)
        variants += [Variant(pruned), Variant(pruned, at.means(pruned))]
    found = measure(at.model, variants, at.data.both[:1], batch_statistics=True)
    loss = (found.loss[:, 0] - found.unpruned_loss[0]).cpu().view(-1, 2).numpy()
    table = pd.DataFrame({"step": at.step, "score": list(at.scores), "set": layer_set, "amount": amount})
    table = table.assign(zero=loss[:, 0], mean=loss[:, 1])
    return table.assign(difference=(table["zero"] - table["mean"]).abs())
