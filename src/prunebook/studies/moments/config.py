"""What one run depends on, apart from its seed."""

from dataclasses import dataclass
from typing import ClassVar

NETS = {"small": ("small", False), "medium": ("medium", False), "small-bn": ("small", True), "tiny": ("tiny", False)}
NETS |= {"tiny-bn": ("tiny", True)}  # by name: the plan of a network, and whether it has batch norm
REPLACEMENTS = ("zero", "mean", "gain", "mean+gain", "re-fit")
RECALIBRATED, WHOLE = "recalibrated", "none"  # only with batch norm; and the network that nothing was taken from
MOMENTA = ("fresh", "carried")


@dataclass(frozen=True)
class Moments:
    """One network, looked at along its training, which is that of the study of mean replacement.

    Attributes:
        net: a name in ``NETS``.
        dataset: a stand-in puts its own name here, so its results have an address of their own.
        batch_size, learning_rate, train_momentum: of training and fine-tuning.
        train_steps: minibatches of the training that the snapshots are of, which ends at the last of them.
        snapshots: steps at which units are replaced.
        scores: names in ``prunebook.units.SCORES``, and "variance", of what a unit gives.
        amounts: shares of the units of each layer, rounded down; ``layer_sets``: of which layers.
        samples: training images that scores and moments are taken from, and as many test images.
        held: further images of the test part, which no loss is measured on, for the temperature.
        start: step at which networks are pruned to be fine-tuned; 0 fine-tunes none.
        tune_steps: minibatches of fine-tuning.
        before: steps before ``start`` from which on the training is gone through again, for its momentum.
        tuned_scores, tuned_amounts, tuned_replacements: what is fine-tuned, with units of all layers pruned.
        limit: number of training images; None takes all.
        precision: of the training; see :func:`prunebook.networks.device.check_precision`.
    """

    study: ClassVar[str] = "mr-moments"
    net: str = "small"
    dataset: str = "cifar10"
    batch_size: int = 64
    learning_rate: float = 0.01
    train_momentum: float = 0.9
    train_steps: int = 46_920
    snapshots: tuple[int, ...] = (5_000, 15_000, 25_000, 35_000)
    scores: tuple[str, ...] = ("rand", "norm", "abs_rs", "abs_mrs", "variance")
    amounts: tuple[float, ...] = (0.1, 0.2, 0.5)
    layer_sets: tuple[str, ...] = ("all", "firstdense", "midconv")
    samples: int = 1000
    held: int = 1000
    start: int = 25_000
    tune_steps: int = 500
    before: int = 250
    tuned_scores: tuple[str, ...] = ("rand", "abs_mrs")
    tuned_amounts: tuple[float, ...] = (0.2, 0.5)
    tuned_replacements: tuple[str, ...] = ("zero", "mean", "re-fit")
    limit: int | None = None
    precision: str = "single"
