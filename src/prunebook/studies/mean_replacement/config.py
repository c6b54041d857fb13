"""What one run depends on, apart from its seed."""

from dataclasses import dataclass
from typing import ClassVar

from prunebook.studies.configuration import setting

SCORES = ("norm", "rand", "rs", "abs_rs", "mrs", "abs_mrs")
SETS = ("all", "firstconv", "midconv", "lastconv", "firstdense")
# A whole number is a count of units in each layer; a fraction is rounded down.
AMOUNTS = (0.01, 0.05, 0.1, 0.2, 0.5, 1)
STEPS = 46_920  # 60 epochs of 50,000 images in batches of 64


@dataclass(frozen=True)
class AlongTraining:
    """One network, trained once a seed, and what is measured on the way.

    Assumptions where the paper is silent: SGD with momentum 0.9 and a constant rate of 0.01, no weight decay, no
    dropout, no augmentation, images standardised by channel.
    """

    study: ClassVar[str] = "mr-training"
    dataset: str = "cifar10"  # a stand-in puts its own name here, so its results have an address of their own
    net: str = "small"  # a name in prunebook.networks.convnets; ``batch_norm`` and ``init`` as there
    batch_norm: bool = False
    init: str = "glorot"
    steps: int = STEPS
    batch_size: int = 64
    learning_rate: float = 0.01
    momentum: float = 0.9
    snapshot_every: int = 250  # steps between two snapshots of the weights; each is scored
    every: int = 1000  # steps between two measurements of penalties, a multiple of ``snapshot_every``
    probe_steps: tuple[int, ...] = (5_000, 15_000, 25_000, 35_000)  # where the further questions are asked
    samples: int = 1000  # training images that are scored, left in training; and as many test images
    scores: tuple[str, ...] = SCORES  # every score prunes every set by every amount, with zeros and with means
    sets: tuple[str, ...] = SETS
    amounts: tuple[float | int, ...] = AMOUNTS
    followed: tuple[str, float] = ("midconv", 0.1)  # layer set and amount whose chosen units are recorded
    limit: int | None = None  # training images, of each class for an image folder; None takes all
    size: int = 32  # side of the images, for an image folder
    precision: str = setting("single", absent="single")  # see prunebook.networks.device.check_precision


@dataclass(frozen=True)
class AfterTuning(AlongTraining):
    """The trainings are those of ``AlongTraining``; one of their snapshots is pruned and trained on.

    A run is one step of pruning and not several, so that less is lost with one that is interrupted. The training is
    followed no further than that step.

    Assumptions where the paper is silent: the learning rate of the training, and a momentum that starts at zero.
    """

    study: ClassVar[str] = "mr-tuning"
    start: int = 25_000  # step at which the network is pruned
    tune_steps: tuple[int, ...] = (0, 10, 100, 500)  # numbers of minibatches after which the loss is measured
    scores: tuple[str, ...] = ("norm", "abs_rs", "abs_mrs")
    sets: tuple[str, ...] = ("all", "midconv")
    amounts: tuple[float | int, ...] = (0.1, 0.2, 0.5)


@dataclass(frozen=True)
class OnPictures(AlongTraining):
    """As ``AlongTraining``, on ``<folder>/{train,val}/<class>/`` in place of CIFAR-10.

    Pictures are brought to squares of side ``size`` and kept in memory, 12 * size**2 bytes each.
    """

    study: ClassVar[str] = "mr-pictures"
    dataset: str = "imagefolder"
    net: str = "alexnet"
    size: int = 64
    steps: int = 800
    snapshot_every: int = 100
    every: int = 200
    probe_steps: tuple[int, ...] = ()
