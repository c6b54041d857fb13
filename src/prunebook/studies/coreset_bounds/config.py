"""What one run depends on, apart from its seed."""

from dataclasses import dataclass
from typing import ClassVar

from prunebook.studies.configuration import setting

RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class LastLayer:
    """One training circumstance of one network, and how it is pruned."""

    dataset: str = "mnist"  # a stand-in puts its own name here, so its results have an address of their own
    case: str = "difficult"  # name of the training circumstance: "easy", "moderate", "difficult" or another
    reading: str = "regularisation"  # of the unknown circumstances; also "label noise" and "dropout"
    widths: tuple[int, ...] = (784, 300, 100, 10)  # of the layers trained here; the last hidden one is pruned
    proximal: float = 0.0  # this and the next two as in prunebook.training.sgd.Recipe
    weight_decay: float = 0.0
    label_noise: float = 0.0
    dropout: float = 0.0  # rate on the last hidden layer while training
    epochs: int = 10
    batch_size: int = 100
    learning_rate: float = 0.1
    momentum: float = 0.5
    shares: tuple[float, ...] = SHARES  # of the correct labels, to be kept by guarantee
    ratios: tuple[float, ...] = RATIOS
    draws: int = 10  # independent samples of a coreset
    delta: float = 0.1  # probability of failure, shared by the classes and signs
    points: int = 200  # training images that the sensitivities are taken from
    tune_ratios: tuple[float, ...] = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)  # none skips fine-tuning
    tune_epochs: int = 3
    tune_rate: float = 0.01
    # Strengths of the penalty on the number of active L0 gates.
    gate_strengths: tuple[float, ...] = (1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 0.01, 0.02, 0.03, 0.1)
    # Factors that the last layer is multiplied by.
    alphas: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0, 100.0, 1e4, 1e6, 1e8, 1e10, 1e12)
    dev: int = 5000  # images held out of the training part, on which errors and labels are looked at
    limit: int | None = None  # number of training images; None takes all


@dataclass(frozen=True)
class OnLenet(LastLayer):
    """LeNet-300-100 on MNIST. All layers are trained here."""

    study: ClassVar[str] = "cb-lenet"


@dataclass(frozen=True)
class OnVgg(LastLayer):
    """The fields of ``LastLayer`` are of the head. ``net`` is the network whose convolutions are used.

    ``trunk_epochs``, ``trunk_batch``, ``trunk_rate`` and ``trunk_decay`` train it: one cycle of the learning rate,
    batch norm, weight decay on all weights, computed in ``precision``. The heads are trained in single precision.
    """

    study: ClassVar[str] = "cb-vgg"
    dataset: str = "cifar10"
    net: str = "vgg16"
    widths: tuple[int, ...] = (512, 512, 10)
    trunk_epochs: int = 5
    trunk_batch: int = 128
    trunk_rate: float = 0.05
    trunk_decay: float = 5e-4
    precision: str = setting("single", absent="single")
