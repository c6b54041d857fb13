"""All variants of one step, and their losses."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from prunebook import units
from prunebook.units.ablation.measure import Measurement, Variant, measure

REPLACEMENTS = ("zero", "mean")


@dataclass(frozen=True)
class Subsets:
    """Images and classes of the scoring subset, which losses are measured on too, and of the test subset."""

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


@dataclass(frozen=True)
class Moment:
    """A network at one step of its training: observations of its units by site, and their scores by name and site."""

    model: nn.Sequential
    step: int
    data: Subsets
    seen: Mapping[str, units.UnitStatistics]
    scores: Mapping[str, Mapping[str, Tensor]]

    def masks(self, score: str, layer_set: str, amount: float | int) -> dict[str, Bool[Tensor, " units"]]:
        """Units that a score prunes in each layer of a set."""
        found = {}
        for site in units.layer_set(self.model, layer_set):
            count = units.number_to_prune(site.units, amount)
            found[site.name] = units.mask_lowest(self.scores[score][site.name], count)
        return found

    def means(self, sites: Iterable[str], factor: float = 1.0) -> dict[str, Float[Tensor, " units"]]:
        return {site: factor * self.seen[site].mean for site in sites}


def scored(model: nn.Sequential, data: Subsets, names, seed: int, step: int, table: Mapping | None = None) -> Moment:
    """The network looked at on the scoring subset."""
    seen = units.unit_statistics(model, data.x, data.y)
    scores = {name: score_of(name, seen, seed, step, table) for name in names}
    return Moment(model, step, data, seen, scores)


def score_of(name: str, seen, seed: int, step: int, table: Mapping | None = None) -> dict[str, Tensor]:
    """One score of all units, by site."""
    function = units.random_score(seed, step) if name == "rand" else (units.SCORES if table is None else table)[name]
    return {site: function(observation).double() for site, observation in seen.items()}


def prunings(at: Moment, sets, amounts) -> Iterator[tuple[dict, dict[str, Tensor], dict[str, Tensor] | None]]:
    """Every score, layer set and amount, with zeros and with means: row, units to prune, constants."""
    for score in at.scores:
        for layer_set in sets:
            for amount in amounts:
                pruned = at.masks(score, layer_set, amount)
                count = int(sum(mask.sum() for mask in pruned.values()))
                for replacement in REPLACEMENTS:
                    row = {"score": score, "set": layer_set, "amount": float(amount), "units": count}
                    means = at.means(pruned) if replacement == "mean" else None
                    yield {**row, "replacement": replacement}, pruned, means


def with_penalties(at: Moment, rows: list[dict], variants: list[Variant]) -> tuple[pd.DataFrame, Measurement]:
    """The rows with the loss of each variant minus that of the network, on both subsets; and all that was measured."""
    found = measure(at.model, variants, at.data.both)
    table = pd.DataFrame(rows)
    table.insert(0, "step", at.step)
    for place, name in enumerate(("penalty", "test_penalty")):
        table[name] = (found.loss[:, place] - found.unpruned_loss[place]).cpu().numpy()
    return table, found


def penalties(at: Moment, sets, amounts, border: str = "exact") -> tuple[pd.DataFrame, dict]:
    """Penalties of the whole grid; and the row of the network itself."""
    cells = list(prunings(at, sets, amounts))
    variants = [Variant(pruned, means, border) for _, pruned, means in cells]
    table, found = with_penalties(at, [row for row, _, _ in cells], variants)
    table["accuracy"] = (found.correct[:, 0] / len(at.data.y)).cpu().numpy()
    return table, {
        "step": at.step,
        "loss": float(found.unpruned_loss[0]),
        "test_loss": float(found.unpruned_loss[1]),
        "accuracy": float(found.unpruned_correct[0]) / len(at.data.y),
        "test_accuracy": float(found.unpruned_correct[1]) / len(at.data.y_test),
        "distinct": found.distinct,
    }


def followed_units(at: Moment, followed: tuple[str, float]) -> pd.DataFrame:
    """Which units each score would prune in the followed set, and the sum of their squared activations."""
    rows = [
        (at.step, score, site, unit, float(at.seen[site].energy[unit]), len(mask))
        for score in at.scores
        for site, mask in at.masks(score, *followed).items()
        for unit in mask.nonzero()[:, 0].tolist()
    ]
    return pd.DataFrame(rows, columns=["step", "score", "site", "unit", "energy", "width"])


def choice(replacement: str, pruned: Mapping[str, Tensor]) -> bytes:
    """The same for two scores that choose the same units: they make one network."""
    return replacement.encode() + b"".join(bytes(mask.cpu().numpy()) for mask in pruned.values())


def agreement(at: Moment) -> pd.DataFrame:
    """How far signed scores are from their unsigned twins: sum of |score| over sum of unsigned scores, of each layer.

    A signed first-order score of a ReLU unit is proportional to the derivative of the loss by the scale of its
    weights, which vanishes at a stationary point.
    """
    rows = []
    for signed, plain in (("rs", "abs_rs"), ("mrs", "abs_mrs")):
        if not {signed, plain} <= set(at.scores):
            continue
        for site in at.seen:
            signal = at.scores[signed][site].abs().sum() / at.scores[plain][site].sum().clamp(min=1e-30)
            rows.append((at.step, site, signed, float(signal)))
    return pd.DataFrame(rows, columns=["step", "site", "score", "signal"])
