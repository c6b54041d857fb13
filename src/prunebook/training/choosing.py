"""The step of a training with the lowest loss on held-out samples: what early stopping would have kept."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from prunebook.training.sgd import Trainer, outputs, score
from prunebook.training.stacked import StackedMLP, evaluate


@dataclass
class BestOfStack:
    """Of each variant of a stack in training, the state with the lowest held-out loss so far; the earliest of equals.

    Attributes:
        net: that state; a copy.
        step: minibatches after which each was there.
        held_loss: its loss on the held-out samples.
    """

    net: StackedMLP
    x: Float[Tensor, "m n_in"]
    y: Float[Tensor, "m n_out"] | Int[Tensor, " m"]
    loss: str
    step: Int[Tensor, " variants"] = field(init=False)
    held_loss: Float[Tensor, " variants"] = field(init=False)

    def __post_init__(self) -> None:
        start, self.net = self.net, self.net.select(range(len(self.net)))
        self.step = torch.zeros(len(start), dtype=torch.long)
        self.held_loss = evaluate(start, self.x, self.y, loss=self.loss)[0]

    def look(self, net: StackedMLP, step: int) -> None:
        """Take over the variants that are better than they ever were."""
        now = evaluate(net, self.x, self.y, loss=self.loss)[0]
        # NaN is never better, and anything finite is better than NaN.
        better = (now < self.held_loss) | (self.held_loss.isnan() & ~now.isnan())
        for mine, theirs in zip(self.net.parameters, net.parameters, strict=True):
            mine[better] = theirs[better]
        self.held_loss[better] = now[better]
        self.step[better.cpu()] = step


def advance_and_choose(
    trainer: Trainer, x: Float[Tensor, "m ..."], y: Int[Tensor, " m"], looks: Sequence[int]
) -> tuple[int, nn.Module]:
    """Train to the end, and return the step with the lowest held-out loss of those in ``looks`` with a copy of the
    network there, in evaluation mode. The network as it is now counts as a look."""
    least, best = float("inf"), (trainer.step, deepcopy(trainer.model))
    for step in (trainer.step, *looks, trainer.recipe.steps):
        trainer.advance(step)
        loss = score(outputs(trainer.model, x), y)[0]
        if loss < least:
            least, best = loss, (step, deepcopy(trainer.model))
    return best[0], best[1].eval()
