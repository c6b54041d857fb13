"""What held-out data say about any pruning of any classifier: a share of labels kept, and an exact bound on it."""

from dataclasses import dataclass
from typing import Any

import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from prunebook.coresets.arguments import Real, probability, require
from prunebook.coresets.labels import correct
from prunebook.data.batches import Batches, class_labels
from prunebook.errors import InputError
from prunebook.networks.evaluating import evaluating, private_copy, require_values

PRESUMED = (
    "presumed: these points and those to come are drawn independently from one distribution, and these served no "
    "choice: neither in training nor in pruning, nor to pick this network among others"
)


@dataclass(frozen=True)
class KeptLabels:
    """Labels before and after pruning, on held-out points.

    points: all; correct: labelled correctly before; kept: of these, correctly after too; gained: correctly only after.
    at_least: the bound of Clopper and Pearson (1934) on the share kept among all points to come that are labelled
    correctly before; it is wrong with probability 1 - confidence at most, over the draw of the held-out points.
    """

    points: int
    correct: int
    kept: int
    gained: int
    confidence: float
    at_least: float

    @property
    def share(self) -> float:
        """Share of the correct labels that were kept."""
        return self.kept / self.correct

    @property
    def statistical(self) -> str:
        """The statistical guarantee in words."""
        return (
            f"at least {self.at_least:.2%} of the correct labels are kept, at {self.confidence:g} confidence "
            f"({self.kept} of {self.correct} were; {PRESUMED})"
        )

    def __str__(self) -> str:
        before, after = self.correct / self.points, (self.kept + self.gained) / self.points
        return "\n".join([
            "guaranteed by a theorem: nothing, as those here are for sampled weights or units of a last layer",
            f"guaranteed by statistics: {self.statistical}",
            f"seen: {self.share:.1%} of the correct labels kept; accuracy {before:.4f} before, {after:.4f} after, on "
            f"{self.points} held-out points",
        ])  # fmt: skip


def labels_kept(before: nn.Module, after: nn.Module, data: Any, confidence: Real = 0.95) -> KeptLabels:
    """Runs copies of both networks over the same data in evaluation mode, and counts; raises as `certify` does."""
    models = [private_copy(model) for model in (before, after)]
    for model in models:
        require_values(model)
    places = {parameter.device for model in models for parameter in model.parameters()}
    require(len(places) <= 1, f"the networks are on {sorted(map(str, places))}: bring them to one device")
    counts, batches = torch.zeros(4, dtype=torch.long), Batches(data, models[0])
    with evaluating(models[0]), evaluating(models[1]), torch.no_grad():
        for x, y in batches:
            logits = [batches.call(model, x) for model in models]
            for z in logits:
                if not isinstance(z, Tensor) or z.shape != logits[0].shape or z.ndim != 2 or len(z) != len(x):
                    form = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
                    raise InputError(f"outputs are {form} for {len(x)} points: both networks must give logits")
            y = class_labels(y, len(x), logits[0].shape[1]).to(logits[0].device)
            was, now = (correct(z, y) for z in logits)
            counts += torch.tensor([len(x), int(was.sum()), int((was & now).sum()), int((~was & now).sum())])
    return counted(*counts.tolist(), confidence)


def counted(points: int, right: int, kept: int, gained: int, confidence: Real) -> KeptLabels:
    """The bound that goes with the counts."""
    require(right > 0, "no point is classified correctly: there are no labels to keep")
    level = 1 - probability(1 - confidence, "1 - confidence")
    low = binomtest(kept, right, alternative="greater").proportion_ci(level, method="exact").low
    return KeptLabels(points, right, kept, gained, float(confidence), float(low))
