"""Training, measuring and fine-tuning of dense networks, all on the same minibatches."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor, nn

from prunebook.data.tasks import Problem
from prunebook.networks.mlp import mlp, weight_count
from prunebook.studies.head_to_head.config import OnWeights
from prunebook.training.stacked import StackedMLP, evaluate, train
from prunebook.weights import Calibration

LOSSES = {"cross_entropy": nn.functional.cross_entropy, "mse": nn.functional.mse_loss}
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

    def tune(self, stack: StackedMLP) -> StackedMLP:
        """Fine-tune in place. The minibatches are the same in every call."""
        return self.train(stack, self.config.tune_epochs, 2 * self.seed + 1)

    def train(self, stack: StackedMLP, epochs: int, seed: int) -> StackedMLP:
        """Train in place."""
        train(
            stack,
            self.problem.x_train,
            self.problem.y_train,
            loss=self.problem.loss,
            epochs=epochs,
            batch_size=self.config.batch_size,
            learning_rate=self.config.learning_rate,
            seed=seed,
        )
        return stack

    def evidence(self, model: nn.Sequential) -> Calibration:
        """A fresh one, for which nothing has been computed yet."""
        return Calibration(
            model,
            [(self.problem.x_train[self.seen], self.problem.y_train[self.seen])],
            loss=LOSSES[self.problem.loss],
            seed=self.seed,
            nonlinear_samples=self.config.nonlinear_samples,
        )

    def measure(self, stack: StackedMLP, labels: Iterable[Label], stage: str, tuned) -> pd.DataFrame:
        """Losses over all test samples and over the samples seen; ``tuned``: which are fine-tuned later, or were."""
        problem, total = self.problem, weight_count(self.config.widths)
        loss, accuracy = evaluate(stack, problem.x_test, problem.y_test, loss=problem.loss)
        x, y = problem.x_train[self.seen], problem.y_train[self.seen]
        train_loss, _ = evaluate(stack, x, y, loss=problem.loss)
        left = sum(mask.sum(dim=(1, 2)) for mask in stack.masks).cpu().numpy().astype(int)
        table = pd.DataFrame(list(labels), columns=["ranking", "compensation", "ratio"])
        return table.assign(
            stage=stage,
            tuned=tuned,
            left=left,
            reached=1 - left / total,
            loss=loss.cpu().numpy(),
            accuracy=accuracy.cpu().numpy(),
            train_loss=train_loss.cpu().numpy(),
        )


@dataclass
class Queue:
    """Networks are measured when they come, and fine-tuned some at a time."""

    bench: Bench
    tables: list[pd.DataFrame] = field(default_factory=list)
    stacks: list[StackedMLP] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    done: int = 0
    changed: int = 0  # entries of masks that fine-tuning changed
    revived: int = 0  # pruned weights that are not zero after it

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
            stack, labels = joined(self.stacks[:TOGETHER]), self.labels[:TOGETHER]
            self.stacks, self.labels = self.stacks[TOGETHER:], self.labels[TOGETHER:]
            before = [mask.clone() for mask in stack.masks]
            self.bench.tune(stack)
            for weight, mask, old in zip(stack.weights, stack.masks, before, strict=True):
                self.changed += int((mask != old).sum())
                self.revived += int((weight[old == 0] != 0).sum())
            self.tables.append(self.bench.measure(stack, labels, "fine-tuned", True))
            self.done += len(labels)
            self.bench.report(f"fine-tuned {self.done} networks")


def joined(stacks: list[StackedMLP]) -> StackedMLP:
    """All variants of some stacks of one shape."""
    fields = ("weights", "biases", "slopes", "masks")
    columns = [zip(*(getattr(stack, name) for stack in stacks), strict=True) for name in fields]
    return StackedMLP(*([torch.cat(parts) for parts in column] for column in columns))
