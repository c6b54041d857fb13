"""The learning problems of the elimination-compensation study, as tensors that a stacked network can train on."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from prunebook import datasets, diffusion_sorption


@dataclass(frozen=True)
class Problem:
    """Training and test samples as rows, and what a record says about where they come from.

    ``y_clean`` is the test target without noise; None where the task has no such thing.
    ``coordinates`` names columns of the test samples that figures plot against. ``floor`` holds losses that tell what
    a loss means, such as the variance of the noise.
    """

    name: str
    origin: str
    notice: str
    stand_in: bool
    checksums: dict[str, str]
    loss: str
    x_train: Float[Tensor, "n n_in"]
    y_train: Float[Tensor, "n n_out"] | Int[Tensor, " n"]
    x_test: Float[Tensor, "m n_in"]
    y_test: Float[Tensor, "m n_out"] | Int[Tensor, " m"]
    y_clean: Float[Tensor, "m n_out"] | None = None
    coordinates: dict[str, Tensor] | None = None
    floor: dict[str, float] | None = None


def images(name: str, *, data=None, device="cpu", limit: int | None = None) -> Problem:
    """A set of images flattened to rows: all training images, none held out, and the test images.

    Pixels are standardised with the usual mean and deviation of the set, so that a black pixel is not zero.
    """
    found = datasets.load(name, data=data, device=device, dev=0, limit=limit)
    return Problem(
        name=found.name,
        origin=found.origin,
        notice=found.notice,
        stand_in=found.stand_in,
        checksums=found.checksums,
        loss="cross_entropy",
        x_train=found.train.x.flatten(1),
        y_train=found.train.y,
        x_test=found.test.x.flatten(1),
        y_test=found.test.y,
    )


def pde(noise: float, *, data=None, device="cpu", trajectories: int | None = None) -> Problem:
    """Diffusion–sorption as regression: (constants, t, x, u0 on 64 cells) -> u, split by trajectory.

    ``data`` may name the published HDF5 file; without it the trajectories are solved here. Train and test targets
    carry the same kind of noise; the clean test targets are kept beside them.
    """
    made = diffusion_sorption.regression_data(
        trajectories=trajectories or 100, noise=noise, source=data, device=device
    )
    test = made.test
    return Problem(
        name=made.name,
        origin=made.origin,
        notice="",
        stand_in=False,
        checksums=made.checksums,
        loss="mse",
        x_train=made.train.x,
        y_train=made.train.y,
        x_test=test.x,
        y_test=test.y,
        y_clean=test.y_clean,
        coordinates={"u0": test.x[:, 4], "t": test.x[:, 2] * 500, "x": test.x[:, 3]},
        floor=made.floor,
    )
