"""All variants of one step, and their losses."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from prunebook import units
from prunebook.studies.mean_replacement.config import AlongTraining
from prunebook.units.ablation.measure import Variant, measure

REPLACEMENTS = ("zero", "mean")


@dataclass(frozen=True)
class Subsets:
    """Images and classes of the scoring subset, which is also the one losses are measured on, and of the test
    subset."""

    x: Float[Tensor, "n c h w"]
    y: Tensor
    x_test: Float[Tensor, "m c h w"]
    y_test: Tensor

    @property
    def both(self) -> list[tuple[Tensor, Tensor]]:
        return [(self.x, self.y), (self.x_test, self.y_test)]


def subsets(dataset, count: int, seed: int) -> Subsets:
    """So many training and test images, drawn once a seed; all there are where there are fewer."""

    def draw(part, salt: int):
        generator = torch.Generator().manual_seed(1000 * seed + salt)
        chosen = torch.randperm(len(part), generator=generator)[:count].to(part.x.device)
        return part.x[chosen].contiguous(memory_format=torch.channels_last), part.y[chosen]

    return Subsets(*draw(dataset.train, 1), *draw(dataset.test, 2))


def scored(
    model: nn.Sequential, data: Subsets, names, seed: int, step: int, table: Mapping | None = None
) -> tuple[dict[str, units.UnitStatistics], dict[str, dict[str, Tensor]]]:
    """Observations by site, and scores by name and site."""
    seen = units.unit_statistics(model, data.x, data.y)
    functions = (units.SCORES if table is None else table) | {"rand": units.random_score(seed, step)}
    return seen, {
        name: {site: functions[name](observation).double() for site, observation in seen.items()}
        for name in names
    }


def masks(
    model: nn.Sequential, scores: Mapping[str, Tensor], layer_set: str, amount: float | int
) -> dict[str, Bool[Tensor, " units"]]:
    """Units to prune in each layer of a set."""
    chosen = units.layer_set(model, layer_set)
    return {
        site.name: units.mask_lowest(scores[site.name], units.count(site.units, amount)) for site in chosen
    }


def variants_of_step(
    model: nn.Sequential, config: AlongTraining, seen, scores, border: str = "exact"
) -> tuple[list[dict], list[Variant]]:
    """Rows that name the variants, and the variants themselves."""
    means = {site: observation.mean for site, observation in seen.items()}
    rows, variants = [], []
    for name, by_site in scores.items():
        for layer_set in config.sets:
            for amount in config.amounts:
                pruned = masks(model, by_site, layer_set, amount)
                count = int(sum(mask.sum() for mask in pruned.values()))
                for replacement in REPLACEMENTS:
                    constants = {site: means[site] for site in pruned} if replacement == "mean" else None
                    rows.append(
                        {
                            "score": name,
                            "set": layer_set,
                            "amount": float(amount),
                            "units": count,
                            "replacement": replacement,
                        }
                    )
                    variants.append(Variant(pruned, constants, border))
    return rows, variants


def penalties(
    model: nn.Sequential, config: AlongTraining, data: Subsets, seen, scores, step: int, border: str = "exact"
) -> tuple[pd.DataFrame, dict]:
    """Loss of every variant minus that of the network, on both subsets; and the row of the network itself."""
    rows, variants = variants_of_step(model, config, seen, scores, border)
    found = measure(model, variants, data.both)
    table = pd.DataFrame(rows)
    for place, name in enumerate(("penalty", "test_penalty")):
        table[name] = (found.loss[:, place] - found.unpruned_loss[place]).cpu().numpy()
    table["accuracy"] = (found.correct[:, 0] / len(data.y)).cpu().numpy()
    table.insert(0, "step", step)
    return table, {
        "step": step,
        "loss": float(found.unpruned_loss[0]),
        "test_loss": float(found.unpruned_loss[1]),
        "accuracy": float(found.unpruned_correct[0]) / len(data.y),
        "test_accuracy": float(found.unpruned_correct[1]) / len(data.y_test),
        "distinct": found.distinct,
    }


def followed_units(model: nn.Sequential, config: AlongTraining, seen, scores, step: int) -> pd.DataFrame:
    """Which units each score would prune in the followed set, and the sum of their squared activations."""
    layer_set, amount = config.followed
    rows = []
    for name, by_site in scores.items():
        for site, mask in masks(model, by_site, layer_set, amount).items():
            energy = seen[site].energy
            rows += [
                {
                    "step": step,
                    "score": name,
                    "site": site,
                    "unit": unit,
                    "energy": float(energy[unit]),
                    "width": len(mask),
                }
                for unit in mask.nonzero()[:, 0].tolist()
            ]
    return pd.DataFrame(rows)


def agreement(by_score: Mapping[str, Mapping[str, Tensor]], seen, step: int) -> pd.DataFrame:
    """How far signed scores are from their unsigned twins: sum of |score| over sum of unsigned scores, of each layer.

    A signed first-order score of a ReLU unit is proportional to the derivative of the loss by the scale of its
    weights, which vanishes at a stationary point.
    """
    pairs = [("rs", "abs_rs"), ("mrs", "abs_mrs")]
    return pd.DataFrame(
        {
            "step": step,
            "site": site,
            "score": signed,
            "signal": float(
                by_score[signed][site].abs().sum() / by_score[plain][site].sum().clamp(min=1e-30)
            ),
        }
        for signed, plain in pairs
        if signed in by_score and plain in by_score
        for site in seen
    )
