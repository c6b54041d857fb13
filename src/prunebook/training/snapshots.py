"""Weights of a network along its training, kept on disk, so that one training serves every measurement.

A measurement is a function of stored weights. It cannot disturb the training that it looks at, and it can be made anew
without training anew. A trajectory lives in the cache folder, under a hash of all it depends on: network, recipe, seed,
data and the code that trains. A stopped training goes on from its last snapshot.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from prunebook.data.images.folders import cache_folder
from prunebook.errors import InputError
from prunebook.store import machine
from prunebook.training.sgd import Recipe, Trainer, half_precision, write_atomically

CODE = ("prunebook.training.sgd", "prunebook.networks.convnets")
LAYOUT = torch.channels_last  # what processors and GPUs convolve fastest in


@dataclass(frozen=True)
class Trajectory:
    """Snapshots of one training.

    Attributes:
        folder: where they are.
        steps: at which steps there is one, in order.
        history: pairs (step, mean training loss over the steps since the last snapshot).
        precision: "bf16" or "fp32", what the training was computed in.
    """

    folder: Path
    steps: tuple[int, ...]
    history: tuple[tuple[int, float], ...]
    precision: str

    def load(self, step: int, model: nn.Module) -> nn.Module:
        """Put the weights of a step into ``model``, which must be of the same shape, and return it."""
        if step not in self.steps:
            raise InputError(
                f"there is no snapshot at step {step}: there are {len(self.steps)}, {self.steps[:5]}..."
            )
        device = next(model.parameters()).device
        model.load_state_dict(torch.load(_file(self.folder, step), map_location=device, weights_only=True))
        return model.eval()


def follow(
    build: Callable[[], nn.Module],
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, " n"],
    recipe: Recipe,
    *,
    seed: int,
    steps: Sequence[int],
    key: dict,
    folder: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Trajectory:
    """Train a network, or go on with it, or find it trained, and give its snapshots.

    Args:
        build: makes the network as it is before training; the same on every call.
        recipe, seed: as for :class:`prunebook.training.sgd.Trainer`.
        steps: where to keep the weights; the last one ends the training.
        key: what else the weights depend on: the name of the network, checksums of the data.
        folder: in place of the cache folder.

    Another process that is at the same training is waited for.
    """
    steps = tuple(sorted(set(steps)))
    if not steps or steps[0] < 0 or steps[-1] > recipe.steps:
        raise InputError(f"snapshots at {steps} do not fit a training of {recipe.steps} steps")
    precision = "bf16" if half_precision(x.device) else "fp32"
    address = {
        **key,
        "recipe": asdict(recipe),
        "seed": seed,
        "precision": precision,
        "code": [machine.code_hash(module) for module in CODE],
        "torch": torch.__version__,
    }
    name = hashlib.sha256(json.dumps(address, sort_keys=True).encode()).hexdigest()[:16]
    home = (folder or cache_folder()) / "trajectories" / name
    home.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(home / "lock"):
        (home / "key.json").write_text(json.dumps(address, indent=1, sort_keys=True))
        _train(home, build, x, y, recipe, seed, steps, precision == "bf16", report)
    history = tuple((step, loss) for step, loss in _history(home) if step in steps)
    return Trajectory(home, steps, history, precision)


def _file(home: Path, step: int) -> Path:
    return home / f"step-{step:06d}.pt"


def _history(home: Path) -> list[tuple[int, float]]:
    try:
        return [tuple(pair) for pair in json.loads((home / "history.json").read_text())]
    except FileNotFoundError:
        return []


def _train(home, build, x, y, recipe, seed, steps, autocast, report) -> None:
    if all(_file(home, step).exists() for step in steps):
        return
    model = build().to(x.device)
    if x.ndim == 4:
        x, model = x.contiguous(memory_format=LAYOUT), model.to(memory_format=LAYOUT)
    trainer = Trainer(model, x, y, recipe, seed=seed, autocast=autocast)
    checkpoint = home / "checkpoint.pt"
    if checkpoint.exists():
        trainer.load(checkpoint)
        if any(step <= trainer.step and not _file(home, step).exists() for step in steps):
            # Snapshots were asked for that the stopped training had passed: it starts anew.
            checkpoint.unlink()
            return _train(home, build, x, y, recipe, seed, steps, autocast, report)
        report(f"training goes on from step {trainer.step}")
    history = [pair for pair in _history(home) if pair[0] <= trainer.step]
    for number, step in enumerate(steps):
        if step < trainer.step or (step == trainer.step and _file(home, step).exists()):
            continue
        loss = trainer.advance(step)
        if step:
            history.append((step, loss))
        write_atomically(_file(home, step), model.state_dict())
        (home / "history.json").write_text(json.dumps(history))
        trainer.save(checkpoint)  # last: what it says is done has been kept
        if number % max(1, len(steps) // 10) == 0:
            report(f"training step {step}/{steps[-1]}, loss {loss:.3g}")
    return None
