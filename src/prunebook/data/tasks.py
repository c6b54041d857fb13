"""A learning problem as tensors that a stacked network can train on."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Problem:
    """Training and test samples as rows, and what a record says about where they come from.

    ``y_clean`` is the test target without noise; None where the task has no such thing.
    ``coordinates`` names columns of the test samples that figures plot against. ``floor`` holds losses that tell what
    a loss means, such as the variance of the noise. ``groups`` names columns of the inputs that belong together.
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
    groups: dict[str, list[int]] | None = None
