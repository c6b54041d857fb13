"""Training, pruning, measuring and fine-tuning of dense networks, all on the same minibatches."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor, nn

from prunebook.coresets.network import Draw
from prunebook.data.tasks import Problem
from prunebook.networks.mlp import mlp, weight_count
from prunebook.studies.elimination_compensation.run import best_of, losses_of
from prunebook.studies.head_to_head.config import OnWeights, scope_of
from prunebook.training.choosing import BestOfStack
from prunebook.training.stacked import StackedMLP, train
from prunebook.weights import Calibration, PrunedLayer, number_to_prune, select

LOOKS = 5  # at the held-out samples in an epoch of fine-tuning; each takes a tenth of the time to the next
TOGETHER = 32  # networks fine-tuned side by side: more take memory and save no time
Label = tuple[str, str, float]  # ranking, compensation, ratio


@dataclass(frozen=True)
class Bench:
    """One seed: what is learnt and how, and ``seen``, the training samples that criteria look at."""

    config: OnWeights
    seed: int
    problem: Problem
    report: Callable[[str], None]
    seen: Tensor

    @property
    def device(self) -> torch.device:
        return self.problem.x_train.device

    def trained(self, shapes: Sequence[tuple[int, ...]]) -> StackedMLP:
        """A network of each shape (widths), trained side by side."""
        models = [mlp(widths, seed=self.seed).to(self.device) for widths in shapes]
        return self.train(StackedMLP.from_models(models), self.config.epochs, 2 * self.seed)

    def tuned(self, stack: StackedMLP, labels: Iterable[Label]) -> list[pd.DataFrame]:
        """Fine-tune in place, and measure at the end and at the look with the lowest held-out loss. The minibatches are
        the same in every call."""
        best, labels = best_of(stack, self.problem), list(labels)
        self.train(stack, self.config.tune_epochs, 2 * self.seed + 1, best)
        return [
            self.measure(stack, labels, "fine-tuned", True),
            self.measure(best.net, labels, "best", True).assign(step=best.step.numpy()),
        ]

    def train(self, stack: StackedMLP, epochs: int, seed: int, best: BestOfStack | None = None) -> StackedMLP:
        """Train in place, and let ``best`` look on the way."""
        x, y, config = self.problem.x_train, self.problem.y_train, self.config
        by = {"loss": self.problem.loss, "batch_size": config.batch_size, "learning_rate": config.learning_rate}
        train(stack, x, y, epochs=epochs, seed=seed, looks=LOOKS, look=best and best.look, **by)
        return stack

    def calibration(self, model: nn.Sequential) -> Calibration:
        """A fresh one, for which nothing has been computed yet."""
        batches, loss = self.problem.batches(self.seen), self.problem.loss_function
        count = self.config.nonlinear_samples
        return Calibration(model, batches, loss=loss, seed=self.seed, nonlinear_samples=count)

    def measure(self, stack: StackedMLP, labels: Iterable[Label], stage: str, tuned) -> pd.DataFrame:
        """Losses over all test samples and over the samples seen; ``tuned``: which are fine-tuned later, or were."""
        left = stack.kept().numpy()
        return pd.DataFrame(list(labels), columns=["ranking", "compensation", "ratio"]).assign(
            stage=stage,
            tuned=tuned,
            left=left,
            reached=1 - left / weight_count(self.config.widths),
            **losses_of(stack, self.problem, self.seen),
        )


@dataclass
class Queue:
    """Networks are measured when they come, and fine-tuned some at a time."""

    bench: Bench
    tables: list[pd.DataFrame] = field(default_factory=list)
    stacks: list[StackedMLP] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    done: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, stack: StackedMLP, labels: list[Label], stage: str, tuned: list[bool]) -> None:
        """Measure all, and keep those that are to be fine-tuned."""
        self.tables.append(self.bench.measure(stack, labels, stage, tuned))
        for place, label in enumerate(labels):
            if tuned[place]:
                self.stacks.append(stack.select([place]))
                self.labels.append(label)
        if len(self.labels) >= TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Fine-tune all that wait, and measure them."""
        while self.labels:
            stack, labels = StackedMLP.concat(self.stacks[:TOGETHER]), self.labels[:TOGETHER]
            self.stacks, self.labels = self.stacks[TOGETHER:], self.labels[TOGETHER:]
            before = [mask.clone() for mask in stack.masks]
            self.tables += self.bench.tuned(stack, labels)
            self.faults.update(stack.faults(before))
            self.done += len(labels)
            self.bench.report(f"fine-tuned {self.done} networks")


def masks_of(scores: dict[str, dict[str, Tensor]], ranking: str, ratio: float) -> dict[str, Tensor]:
    """What a ranking keeps at a ratio; True = kept."""
    return select(scores[ranking], ratio, scope_of(ranking))


def off(masks: dict[str, Tensor], ratio: float, scope: str) -> int:
    """How many weights more or fewer are gone than asked for. Within rows, each row is rounded by itself."""
    if scope == "row":
        wanted = {name: number_to_prune(ratio, mask.shape[1]) for name, mask in masks.items()}
        return sum(int(((~mask).sum(1) - wanted[name]).abs().sum()) for name, mask in masks.items())
    total = sum(mask.numel() for mask in masks.values())
    return abs(int(sum((~mask).sum() for mask in masks.values())) - number_to_prune(ratio, total))


def from_draw(dense: nn.Sequential, draw: Draw) -> list[PrunedLayer]:
    """The network with its weights drawn, and its own biases."""
    layers = [(dense.get_submodule(name), weight) for name, weight in draw.weights.items()]
    return [PrunedLayer(weight != 0, weight.to(layer.weight.dtype), layer.bias.detach()) for layer, weight in layers]
