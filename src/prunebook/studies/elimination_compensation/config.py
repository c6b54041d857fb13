"""What a run of elimination-compensation depends on, apart from its seed."""

from dataclasses import dataclass, replace

from prunebook.studies.configuration import setting

RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
SHORT_RATIOS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
# Named one by one, and in this order, as the address of every result depends on it. A method that the library gains
# is measured only where a configuration names it.
METHODS = (
    "elimination-compensation",
    "non-linear",
    "magnitude",
    "gradient-magnitude",
    "random",
    "obd",
    "wanda",
    "layerwise-obs",
    "mean-replacement",
    "joint-compensation",
    "ec-ranking-only",
    "magnitude-compensated",
)


@dataclass(frozen=True)
class Compensation:
    """What one seed of the study depends on, apart from the seed.

    Assumptions where the paper is silent: the batch size, a fresh Adam for the second phase, standardised pixels, and,
    for the PDE, as many epochs as the paper gives for MNIST.

    Attributes:
        dataset: what is learnt; a stand-in puts its own name here, so its results have an address of their own.
        widths: layer widths, input first.
        noise: half-width of the uniform noise on the targets (PDE only).
        ratios: pruning ratios.
        methods: names in ``prunebook.weights.METHODS``.
        extra_ratios: ratios at which methods that the paper lacks are fine-tuned; the paper's, at all ratios.
        epochs: of each of the two training phases.
        limit: number of training images used (of trajectories, on the PDE); None takes all of them.
        standardise: images only; False keeps pixels in [0, 1], where the background is zero.
        nonlinear_samples: training inputs that the brute-force criterion looks at.
        profile_ratio: ratio at which test outputs of elimination-compensation are kept; None keeps none.
        schedule: of the learning rate in either phase, "constant" or "cosine", which ends at zero.
        held_out: share of the training trajectories that are held out (PDE only; of images some always are).
    """

    dataset: str = "mnist"
    widths: tuple[int, ...] = (784, 32, 32, 10)
    noise: float = 0.0
    ratios: tuple[float, ...] = RATIOS
    methods: tuple[str, ...] = METHODS
    extra_ratios: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)
    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 1e-3
    limit: int | None = None
    standardise: bool = True
    nonlinear_samples: int = 1000
    profile_ratio: float | None = None
    schedule: str = setting("constant", absent="constant")
    held_out: float = setting(0.0, absent=0.0)


def presets(paper: tuple, laptop: dict, smoke: dict) -> dict[str, tuple]:
    """The three scales: the paper's own, the same shortened, and the least that runs every line."""
    return {
        "paper": paper,
        "laptop": tuple(replace(config, **laptop) for config in paper),
        "smoke": tuple(replace(config, **smoke) for config in paper[:1]),
    }
