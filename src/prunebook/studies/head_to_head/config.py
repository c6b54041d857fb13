"""What one run depends on, apart from its seed."""

from dataclasses import dataclass
from typing import ClassVar

from prunebook.studies.configuration import setting

SENSITIVITY, DRAWN, NARROW, DENSE = "sensitivity", "coreset-drawn", "narrow", "dense"
# Named one by one, as the addresses of results depend on these names and their order. What the library gains is
# measured only where a configuration names it.
CRITERIA = (
    "elimination-compensation",
    "obd",
    "mean-replacement",
    "magnitude",
    "gradient-magnitude",
    "random",
    "wanda",
    "layerwise-obs",
    "non-linear",
    SENSITIVITY,
)
ROW_WISE = ("wanda",)  # rankings that compare the weights of one row; the others compare those of the whole network
# Pairs with a compensation that are methods of their own in the study of elimination-compensation.
METHOD_PAIRS = (
    ("elimination-compensation", "elimination"),
    ("elimination-compensation", "joint"),
    ("layerwise-obs", "obs"),
    ("magnitude", "elimination"),
    ("mean-replacement", "mean"),
    ("non-linear", "mean"),
)
REPLACEMENTS = {"none": "zero", "mean": "mean"}  # what a unit's compensation is called among units


@dataclass(frozen=True)
class HeadToHead:
    """What all networks have in common."""

    study: ClassVar[str] = "head-to-head"
    net: str = ""  # "lenet" or "pde", whose weights are pruned, or "small" or "tiny", whose units are
    kind: str = ""  # what is pruned, "weights" or "units"
    dataset: str = ""  # a stand-in puts its own name here, so its results have an address of their own
    ratios: tuple[float, ...] = ()  # shares of the weights, or of the units of each layer, that are pruned
    batch_size: int = 0
    learning_rate: float = 0.0
    limit: int | None = None  # number of training images (of trajectories, on the PDE); None takes all


@dataclass(frozen=True)
class OnWeights(HeadToHead):
    """Weights of a dense network.

    Trained as in the studies of elimination-compensation: PReLU, Adam at a constant rate, anew for fine-tuning.
    """

    net: str = "lenet"
    kind: str = "weights"
    dataset: str = "mnist"
    widths: tuple[int, ...] = (784, 300, 100, 10)  # of the layers, input first
    ratios: tuple[float, ...] = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
    batch_size: int = 128
    learning_rate: float = 1e-3
    epochs: int = 15  # of training
    tune_epochs: int = 1
    # Names in prunebook.weights.CRITERIA, and "sensitivity", the largest share that a weight has in its output.
    rankings: tuple[str, ...] = CRITERIA
    compensations: tuple[str, ...] = ("none", "elimination", "mean", "obs", "joint")
    costly: tuple[str, ...] = ()  # compensations that meet only the rankings of ``partners``
    partners: tuple[str, ...] = ()
    # Fine-tuned with every compensation they meet. Others are without any, and in the pairs of ``METHOD_PAIRS``.
    tuned_rankings: tuple[str, ...] = CRITERIA
    calibration: int = 5000  # training samples that rankings and compensations look at
    points: int = 1000  # of these, so many for the sensitivities
    nonlinear_samples: int = 1000  # of these, so many for the brute-force ranking
    cost_ratio: float = 0.9  # at which compensations are timed; one of ``ratios``


@dataclass(frozen=True)
class OnUnits(HeadToHead):
    """Units of a convolutional network, in all hidden layers. SGD with momentum, which starts at zero for fine-tuning.

    The training is the one that the study of mean replacement looks at, up to step ``start``: soon after it the test
    loss begins to rise.
    """

    net: str = "small"
    kind: str = "units"
    dataset: str = "cifar10"
    ratios: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5)
    batch_size: int = 64
    learning_rate: float = 0.01
    momentum: float = 0.9
    steps: int = 46_920  # minibatches of the training that ``start`` is a step of
    start: int = 5_000
    snapshot_every: int = 250
    tune_steps: int = 250  # minibatches of fine-tuning
    scores: tuple[str, ...] = ("norm", "rand", "rs", "abs_rs", "mrs", "abs_mrs")  # each with zeros and with means
    samples: int = 1000  # training images that scores and means are taken from
    test_limit: int | None = None  # test images that losses are measured on; None takes all
    precision: str = setting("single", absent="single")  # of training and fine-tuning


def scope_of(ranking: str) -> str:
    """What a ranking compares with what: the weights of a row, or those of the whole network."""
    return "row" if ranking in ROW_WISE else "network"


def pairs(config: OnWeights) -> list[tuple[str, str]]:
    """All pairs of a ranking and a compensation that are measured."""
    return [
        (ranking, compensation)
        for ranking in config.rankings
        for compensation in config.compensations
        if compensation not in config.costly or ranking in config.partners
    ]


def is_tuned(config: OnWeights, ranking: str, compensation: str) -> bool:
    """Whether a pair is fine-tuned."""
    named = (ranking, compensation) in METHOD_PAIRS
    return ranking in config.tuned_rankings or compensation == "none" or named
