"""Weights of a network along its training, kept on disk, so that one training serves every measurement.

A measurement is a function of stored weights. It cannot disturb the training that it looks at, and it can be made anew
without training anew. A trajectory lives in the cache folder, under a hash of all it depends on: network, recipe, seed,
data, precision and ``VERSION``. A stopped training goes on from its last snapshot.
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

from prunebook.errors import DataError, InputError, RunError
from prunebook.networks.device import check_precision
from prunebook.paths import cache_folder, sweep
from prunebook.training.sgd import Recipe, Trainer, read_checked, write_atomically

# Part of every address. Change it when a training comes to other weights than before; trainings in the cache are then
# done anew. The first value is what earlier releases computed, so that theirs are still found.
VERSION = ["aa0087792524e65e", "8d0bdda1d48447ea"]
ANEW = "delete it, and the next run makes it again"
LAYOUT = torch.channels_last  # what processors and GPUs convolve fastest in


@dataclass(frozen=True)
class Trajectory:
    """Snapshots of one training."""

    folder: Path
    steps: tuple[int, ...]  # at which there is one, in order
    history: tuple[tuple[int, float], ...]  # (step, mean training loss over the steps since the last snapshot)
    precision: str  # what the training was computed in

    def load(self, step: int, model: nn.Module) -> nn.Module:
        """Put the weights of a step into ``model``, which must be of the same shape, and return it."""
        if step not in self.steps:
            raise InputError(f"there is no snapshot at step {step}: there are {len(self.steps)}, {self.steps[:5]}...")
        path = _file(self.folder, step)
        state = read_checked(path, next(model.parameters()).device)
        try:
            if isinstance(state.get("model"), dict):
                _same(path, state, of=self.folder.name, step=step)
                state = state["model"]  # earlier releases kept the weights alone
            model.load_state_dict(state)
        except DataError:
            raise
        except Exception as error:  # it depends on what is in the file
            raise DataError(f"{path} does not fit the network ({error}): {ANEW}") from error
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
    precision: str = "single",
    folder: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Trajectory:
    """Train a network, or go on with it, or find it trained, and give its snapshots. The last of ``steps`` ends it.

    ``build`` makes the network as it is before training, the same on every call. ``key`` is what else the weights
    depend on: the name of the network, checksums of the data. ``folder`` stands in place of the cache folder. The rest
    is as for :class:`prunebook.training.sgd.Trainer`.

    Another process that is at the same training is waited for. Raises DataError for a damaged or unusable cache.
    """
    steps = tuple(sorted(set(steps)))
    if not steps or steps[0] < 0 or steps[-1] > recipe.steps:
        raise InputError(f"snapshots at {steps} do not fit a training of {recipe.steps} steps")
    check_precision(precision, str(x.device))
    told = "fp32" if precision == "single" else precision
    address = {**key, "recipe": asdict(recipe), "seed": seed, "precision": told, "code": VERSION}
    address["torch"] = torch.__version__
    name = hashlib.sha256(json.dumps(address, sort_keys=True).encode()).hexdigest()[:16]
    home = (folder or cache_folder()) / "trajectories" / name
    try:
        home.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(home / "lock"):
            sweep(home)
            (home / "key.json").write_text(json.dumps(address, indent=1, sort_keys=True))
            history = _train(home, build, x, y, recipe, seed, steps, precision, report)
    except OSError as error:
        raise DataError(
            f"cannot write to {home} ({error}): free space, or set PRUNEBOOK_CACHE to a folder that can be written to"
        ) from error
    if not _covers(history, steps):
        raise RunError(f"the losses of the training in {home} do not reach all its steps: delete the folder")
    return Trajectory(home, steps, _between(history, steps), precision)


def _same(path: Path, state: dict, **expected: object) -> None:
    """Raise DataError for a file from elsewhere: its weights may fit, and give other numbers without a word."""
    if found := {name: state[name] for name in expected if state.get(name, expected[name]) != expected[name]}:
        told = ", ".join(f"{name} {value}" for name, value in found.items())
        raise DataError(f"{path} is {told}, and not {expected}: {ANEW}")


def _file(home: Path, step: int) -> Path:
    return home / f"step-{step:06d}.pt"


def _reached(home: Path) -> tuple[int, list[tuple[int, float]]]:
    """The step that the checkpoint stands at, and the losses up to there; -1 and none without a checkpoint."""
    path = home / "checkpoint.pt"
    if not path.exists():
        return -1, []
    state = read_checked(path, "cpu")
    try:
        _same(path, state, of=home.name)
        step, history = int(state["step"]), state.get("history")
        if history is None:  # earlier releases kept the losses in a file of their own, which a kill could cut short
            try:
                history = json.loads((home / "history.json").read_text())
            except (OSError, ValueError):
                history = []
        return step, [(int(at), float(loss)) for at, loss in history if at <= step]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is not a checkpoint of this run ({error!r}): delete it") from error


def _between(history: Sequence[tuple[int, float]], steps: Sequence[int]) -> tuple[tuple[int, float], ...]:
    """Pairs (step, mean loss since the step before) from losses that may have been taken more often."""
    found, legs, last = [], [], 0
    for at, loss in history:
        legs.append((at - last, loss))
        last = at
        if at in steps:
            mean = sum(length * loss for length, loss in legs) / sum(length for length, _ in legs)
            found.append((at, loss if len(legs) == 1 else mean))
            legs = []
    return tuple(found)


def _covers(history: Sequence[tuple[int, float]], steps: Sequence[int]) -> bool:
    return [at for at, _ in _between(history, steps)] == [step for step in steps if step]


def _train(home, build, x, y, recipe, seed, steps, precision, report) -> list[tuple[int, float]]:
    """Keep a snapshot at each of the steps, unless it is there, and return the losses on the way."""
    reached, history = _reached(home)
    passed = [step for step in steps if step <= reached]
    # Where anything is missing of what the checkpoint has passed, only a new training can give it.
    whole = all(_file(home, step).exists() for step in passed) and _covers(history, passed)
    if whole and len(passed) == len(steps):
        return history
    model = build().to(x.device)
    if x.ndim == 4:
        x, model = x.contiguous(memory_format=LAYOUT), model.to(memory_format=LAYOUT)
    trainer = Trainer(model, x, y, recipe, seed=seed, precision=precision)
    checkpoint = home / "checkpoint.pt"
    if whole and passed:
        trainer.load(checkpoint)
        trainer.history = history
        report(f"training goes on from step {trainer.step}")
    for number, step in enumerate(steps):
        if whole and step in passed:
            continue
        loss = trainer.advance(step)
        write_atomically(_file(home, step), {"of": home.name, "step": step, "model": model.state_dict()})
        # Last, and the losses with it: what it says is done has been kept.
        trainer.save(checkpoint, of=home.name)
        if number % max(1, len(steps) // 10) == 0:
            report(f"training step {step}/{steps[-1]}, loss {loss:.3g}")
    return trainer.history
