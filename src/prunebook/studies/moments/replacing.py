"""What may take the place of pruned units, by name, and the scores that choose them."""

from collections.abc import Mapping

from torch import Tensor, nn

from prunebook import units
from prunebook.studies.mean_replacement import penalties
from prunebook.studies.moments.config import RECALIBRATED, REPLACEMENTS
from prunebook.training.snapshots import LAYOUT
from prunebook.units.forward import NORMS
from prunebook.units.graph.recalibration import recalibrate

VARIANCE = "variance"  # of what a unit gives, over images and positions
BATCH = 250  # images in one batch of the recalibration


def look(model: nn.Sequential, data: penalties.Subsets, names, seed: int, step: int) -> penalties.Moment:
    """The network looked at on the scored images. The variance of what a unit gives is a score too."""

    def variance(seen: units.UnitStatistics) -> Tensor:
        return seen.energy.double() / (len(data.y) * seen.positions) - seen.mean.double().square()

    return penalties.scored(model, data, names, seed, step, {**units.SCORES, VARIANCE: variance})


def replacements_of(model: nn.Sequential) -> tuple[str, ...]:
    """All of them; batch norm can be recalibrated too."""
    has_norm = any(isinstance(layer, NORMS) for layer in model)
    return (*REPLACEMENTS, RECALIBRATED) if has_norm else REPLACEMENTS


def replaced(name: str, at: penalties.Moment, gone: Mapping[str, Tensor]) -> tuple[nn.Sequential, nn.Sequential]:
    """The network without these units, and the same with them at zero. Means are those of the whole network; moments
    are those of the scored images."""
    x, means = at.data.x, at.means(gone) if name in ("mean", "mean+gain") else None
    if name in ("gain", "mean+gain"):
        changed = units.gain(at.model, gone, x, means)
    elif name == "re-fit":
        changed = units.refit(at.model, gone, x)
    else:
        changed = units.fold(at.model, gone, means, shape=tuple(x.shape[1:]))
    small = units.remove(changed, gone).to(memory_format=LAYOUT).eval()
    return (recalibrate(small, list(x.split(BATCH))) if name == RECALIBRATED else small), changed
