"""What the studies learn, as tensors: sets of images, and problems that a stacked network can train on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from prunebook.data import diffusion_sorption
from prunebook.data import images as datasets

LOSSES = {"cross_entropy": cross_entropy, "mse": mse_loss}
CHUNK = 5000  # samples in one batch of the passes that train nothing
PUBLISHED = "1D_diff-sorp_NA_NA.h5"  # PDEBench's own name for its file


@dataclass(frozen=True)
class Problem:
    """Training and test samples as rows, and what a record says about where they come from."""

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
    y_clean: Float[Tensor, "m n_out"] | None = None  # the test target without noise, where the task has such a thing
    coordinates: dict[str, Tensor] | None = None  # columns of the test samples that figures plot against
    floor: dict[str, float] | None = None  # losses that tell what a loss means, such as the variance of the noise
    groups: dict[str, list[int]] | None = None  # columns of the inputs that belong together

    @property
    def loss_function(self) -> Callable[[Tensor, Tensor], Tensor]:
        return LOSSES[self.loss]

    def batches(self, rows: slice | Tensor) -> list[tuple[Tensor, Tensor]]:
        """Some of the training samples, for a pass that trains nothing."""
        x, y = self.x_train[rows], self.y_train[rows]
        return list(zip(x.split(CHUNK), y.split(CHUNK), strict=True))


def images(name: str, *, data=None, device="cpu", limit: int | None = None, standardise: bool = True) -> Problem:
    """A set of images flattened to rows: all training images, none held out, and the test images.

    Pixels are standardised with the usual mean and deviation of the set, so that a black pixel is not zero;
    without ``standardise`` they lie in [0, 1].
    """
    found = datasets.load(name, data=data, device=device, dev=0, limit=limit, standardise=standardise)
    return Problem(
        **{name: getattr(found, name) for name in ("name", "origin", "notice", "stand_in", "checksums")},
        loss="cross_entropy",
        x_train=found.train.x.flatten(1),
        y_train=found.train.y,
        x_test=found.test.x.flatten(1),
        y_test=found.test.y,
    )


def pde(noise: float, *, data=None, device="cpu", trajectories: int | None = None) -> Problem:
    """Diffusion–sorption as regression: (constants, t, x, u0 on 64 cells) -> u, split by trajectory.

    ``data`` may name the published HDF5 file, or a folder that holds it under its published name; otherwise the
    trajectories are solved here. Train and test targets carry the same kind of noise; the clean test targets are
    kept beside them.
    """
    if data is not None and Path(data).is_dir():
        published = Path(data) / PUBLISHED
        data = published if published.exists() else None
    count = trajectories or 100
    made = diffusion_sorption.regression_data(trajectories=count, noise=noise, source=data, device=device)
    test = made.test
    return Problem(
        **{name: getattr(made, name) for name in ("name", "origin", "checksums", "floor")},
        notice="",
        stand_in=False,
        loss="mse",
        x_train=made.train.x,
        y_train=made.train.y,
        x_test=test.x,
        y_test=test.y,
        y_clean=test.y_clean,
        coordinates={"u0": test.x[:, 4], "t": test.x[:, 2] * 500, "x": test.x[:, 3]},
        groups={"t": [2], "x": [3], "u0": list(range(4, test.x.shape[1]))},
    )


def load(config, data, device, **options):
    """The images that a configuration names, and the configuration under the name of what was really loaded."""
    found = datasets.load(config.dataset, data=data, device=device, limit=config.limit, **options)
    return replace(config, dataset=found.name), found
