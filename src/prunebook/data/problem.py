"""Samples as rows that a dense network can train on, whatever they come from."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

LOSSES = {"cross_entropy": cross_entropy, "mse": mse_loss}
CHUNK = 5000  # samples in one batch of the passes that train nothing


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
    x_held: Float[Tensor, "k n_in"] | None = None  # neither trained nor tested on
    y_held: Float[Tensor, "k n_out"] | Int[Tensor, " k"] | None = None
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
