"""Training one network with stochastic gradient descent, so that a stopped run goes on as if it had not been stopped.

Nothing random is kept between steps: the order of the samples is a function of (seed, epoch), and what dropout draws is
a function of (seed, step). Weights, momentum and the number of the step are therefore the whole state.
"""

import math
import zipfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from prunebook.errors import DataError, InputError
from prunebook.networks.device import check_precision, products_in
from prunebook.paths import replacing

SCHEDULES = ("constant", "one-cycle")
# What a recipe's numbers may be, at least and at most.
LEAST = dict.fromkeys(("steps", "learning_rate", "momentum", "weight_decay", "proximal", "label_noise"), 0)
LEAST |= {"batch_size": 1}
MOST = {"momentum": 0.999999, "label_noise": 1}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Both penalties apply to the parameters whose names begin as ``penalised`` says; with
    none named, to all weights and no bias."""

    steps: int  # minibatches in all
    learning_rate: float = 0.01  # of the whole run, or the peak of "one-cycle"
    momentum: float = 0.9
    batch_size: int = 64
    schedule: str = "constant"  # or "one-cycle": up over the first fifth, then down to zero, both straight
    weight_decay: float = 0.0  # adds ``weight_decay * w`` to the gradient
    proximal: float = 0.0  # strength of an L1 penalty, by soft thresholding after each step: it gives exact zeros
    penalised: tuple[str, ...] = ()
    label_noise: float = 0.0  # share of the training labels drawn anew, uniformly over the classes, once at the start

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise InputError(f"unknown schedule {self.schedule!r}: choose from {', '.join(SCHEDULES)}")
        for name, least in LEAST.items():
            value, most = getattr(self, name), MOST.get(name, math.inf)
            if not least <= value <= most:
                raise InputError(f"{name} {value} must lie from {least} to {most}")

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        rise = max(1, self.steps // 5)
        share = (step + 1) / rise if step < rise else (self.steps - step) / max(1, self.steps - rise)
        return self.learning_rate * share


class Trainer:
    """A network in training: ``advance`` to a step, look at it, ``save``, ``load``, and go on.

    The model is trained in place, on samples x and classes y on its device. ``seed`` decides the order of the samples,
    dropout and label noise. ``masks`` maps names of parameters to tensors of their shapes; entries where a mask is zero
    are held at zero, momentum included. ``precision`` is as of :func:`prunebook.networks.device.check_precision`.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Float[Tensor, "n ..."],
        y: Int[Tensor, " n"],
        recipe: Recipe,
        *,
        seed: int,
        masks: dict[str, Tensor] | None = None,
        precision: str = "single",
    ):
        if len(x) < recipe.batch_size:
            raise InputError(f"{len(x)} samples are fewer than one batch of {recipe.batch_size}")
        self.model, self.x, self.recipe, self.seed, self.step = model, x, recipe, seed, 0
        self.history: list[tuple[int, float]] = []  # (step, mean training loss since the one before)
        self.y = noisy_labels(y, recipe.label_noise, seed)
        self.precision = check_precision(precision, str(x.device))
        parameters = dict(model.named_parameters())
        if unknown := sorted(set(masks or {}) - set(parameters)):
            raise InputError(f"masks name {', '.join(unknown)}, which the model does not have")
        chosen = [name for name in parameters if _penalised(name, recipe.penalised)]
        if (recipe.weight_decay or recipe.proximal) and not chosen:
            raise InputError(f"no parameter is named by penalised={recipe.penalised}")
        self._shrunk = [parameters[name] for name in chosen] if recipe.proximal else []
        decayed = set(chosen) if recipe.weight_decay else set()
        groups = {  # by their decay; without one, all are in the second
            recipe.weight_decay: [p for name, p in parameters.items() if name in decayed],
            0.0: [p for name, p in parameters.items() if name not in decayed],
        }
        groups = [{"params": group, "weight_decay": decay} for decay, group in groups.items() if group]
        options = {"lr": recipe.learning_rate, "momentum": recipe.momentum, "foreach": True}
        self.optimiser = torch.optim.SGD(groups, **options)
        self._masked = [(parameters[name], mask.to(x.device)) for name, mask in (masks or {}).items()]
        self._forward = pool_first(model) if isinstance(model, nn.Sequential) else model
        self._random = any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules())
        self._order: tuple[int, Tensor] | None = None
        self._hold()

    def advance(self, to: int | None = None) -> float:
        """Train up to a step (left out: to the end). Returns the mean training loss over the steps taken, or NaN."""
        to = self.recipe.steps if to is None else min(to, self.recipe.steps)
        self.model.train()
        total, begin = torch.zeros((), dtype=torch.float64, device=self.x.device), self.step
        cuda = [self.x.device] if self.x.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda, enabled=self._random), products_in(self.precision):
            while self.step < to:
                total += self._one_step().double()
        if self.step == begin:
            return float("nan")
        self.history.append((self.step, float(total) / (self.step - begin)))
        return self.history[-1][1]

    def _one_step(self) -> Tensor:
        index = self._batch()
        if self._random:
            torch.manual_seed(_mixed(self.seed, self.step))
        rate = self.recipe.rate(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        half = self.precision == "bf16"
        with torch.autocast(self.x.device.type, torch.bfloat16) if half else nullcontext():
            logits = self._forward(self.x[index])
        loss = nn.functional.cross_entropy(logits.float() if half else logits, self.y[index])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for parameter, mask in self._masked:
            if parameter.grad is not None:
                parameter.grad.mul_(mask)
        self.optimiser.step()
        _soft_threshold(self._shrunk, rate * self.recipe.proximal)
        self._hold()
        self.step += 1
        return loss.detach()

    @torch.no_grad()
    def _hold(self) -> None:
        for parameter, mask in self._masked:
            parameter.mul_(mask)

    def _batch(self) -> Tensor:
        size = self.recipe.batch_size
        # The last, short batch of an epoch is used, as a share of an epoch would otherwise go unseen.
        batches = -(-len(self.x) // size)
        epoch, place = divmod(self.step, batches)
        if self._order is None or self._order[0] != epoch:
            generator = torch.Generator().manual_seed(_mixed(self.seed, -1 - epoch))
            self._order = (epoch, torch.randperm(len(self.x), generator=generator).to(self.x.device))
        return self._order[1][place * size : (place + 1) * size]

    def save(self, path: Path, **facts: object) -> None:
        """Write the state, and ``facts`` with it; a reader sees the old file or the new one, never half of one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        states = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
        write_atomically(path, {**facts, "step": self.step, "history": self.history, **states})

    def load(self, path: Path) -> None:
        """Take up a saved state. Raises InputError for a file that is not one of this network's."""
        try:
            state = read_checked(path, self.x.device)
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.history = int(state["step"]), list(state.get("history", ()))
        except Exception as error:  # a damaged file fails in many ways
            raise InputError(f"{path} is not a checkpoint of this run ({error}): delete it") from error


def pool_first(chain: nn.Sequential) -> nn.Sequential:
    """The same layers, with each max-pooling that follows a ReLU put before it.

    The two commute, gradients included, and the ReLU then has a quarter of the work: about a tenth of a step.
    """
    layers = list(chain)
    for place in range(1, len(layers)):
        if isinstance(layers[place], nn.MaxPool2d) and isinstance(layers[place - 1], nn.ReLU):
            layers[place - 1 : place + 1] = layers[place], layers[place - 1]
    return nn.Sequential(*layers)


def write_atomically(path: Path, state: object) -> None:
    """``torch.save`` to a temporary file beside ``path``, then put in its place."""
    try:
        with replacing(path) as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:  # a full disk is told in either way
        raise DataError(f"cannot write {path} ({error}): free space, or set PRUNEBOOK_CACHE") from error


def read_checked(path: Path, device: torch.device | str) -> object:
    """What ``torch.save`` wrote, each part compared with its checksum in the file, which PyTorch does not look at.

    Raises DataError for a file that is damaged, and names it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if part := archive.testzip():
                raise zipfile.BadZipFile(f"{part} is not what was written")
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged file fails in many ways
        raise DataError(f"{path} is damaged ({error}): delete it, and the next run makes it again") from error


def _mixed(seed: int, number: int) -> int:
    """One seed for a generator from two numbers; different pairs in reach of any run give different seeds."""
    return (seed * 1_000_003 + number) % 2**63


def _penalised(name: str, parts: tuple[str, ...]) -> bool:
    return name.endswith("weight") and name.startswith(parts or "")


@torch.no_grad()
def _soft_threshold(parameters: list[Tensor], amount: float) -> None:
    for parameter in parameters:
        parameter.copy_(nn.functional.softshrink(parameter, amount))


def noisy_labels(y: Int[Tensor, " n"], share: float, seed: int) -> Int[Tensor, " n"]:
    """Labels of which a share, chosen by ``seed``, is drawn anew uniformly over the classes that occur."""
    if share == 0:
        return y
    generator = torch.Generator().manual_seed(_mixed(seed, 2**40))
    chosen = torch.randperm(len(y), generator=generator)[: round(share * len(y))]
    drawn = torch.randint(int(y.max()) + 1, (len(chosen),), generator=generator)
    noisy = y.clone()
    noisy[chosen.to(y.device)] = drawn.to(y.device, y.dtype)
    return noisy


@torch.no_grad()
def outputs(model: nn.Module, x: Float[Tensor, "n ..."], chunk: int = 1000) -> Float[Tensor, "n classes"]:
    """Logits in evaluation mode, in chunks; the model is left in the mode it was in."""
    training = model.training
    model.eval()
    found = torch.cat([model(part) for part in x.split(chunk)])
    model.train(training)
    return found


def score(logits: Float[Tensor, "n classes"], y: Int[Tensor, " n"]) -> tuple[float, float]:
    """Mean cross-entropy and accuracy over all samples."""
    loss = nn.functional.cross_entropy(logits.double(), y)
    return float(loss), float((logits.argmax(dim=1) == y).double().mean())
