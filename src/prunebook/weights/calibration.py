"""What the methods know of a network and its data: one pass, shared by all of them."""

import warnings
import zlib
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from numbers import Integral
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from prunebook.data.batches import Batches
from prunebook.errors import InputError
from prunebook.networks.evaluating import as_written, evaluating, private_copy
from prunebook.networks.linear_layers import KINDS, left_alone, prunable_layers
from prunebook.weights.checks import check_calls, check_derivatives, some
from prunebook.weights.jacobians import Recorder
from prunebook.weights.losses import mean_loss
from prunebook.weights.statistics import InputMoments, LayerStatistics, input_moments, output_statistics

OUTPUTS = 500  # of a sample; with more, the backward passes are foretold

T = TypeVar("T")


class Calibration:
    """A trained network and the data it is judged on, with everything that is derived from both kept once computed.

    All work is done on a private copy of the model, `model`, made here in evaluation mode; the one that was handed
    over, `source`, is never run or changed. The first batch is tried here: see `checks`.

    Parameters
    ----------
    model
        Any module. Its `nn.Linear` layers that are called in the forward pass can be pruned.
    batches
        Inputs, or inputs and targets, in any form that `Batches` takes.
    loss
        `loss(outputs, targets)`, the mean over a batch. Only for methods that use it.
    seed
        Decides all random draws, each independent of the order in which they are asked for.
    probes
        Number of random probes that replace the exact output derivatives, one backward pass a batch each (None: exact,
        one for each output). Unbiased for d, A1 and A2. So the statistics of a ResNet-18 with 1000 outputs take 1000
        backward passes a batch, or 50 with probes=50. More than 500 are foretold before they are made.
    nonlinear_samples
        Number of inputs for the brute-force ranking.
    layers
        Names of the layers to look at. By default all that are called.
    forward, targets
        `forward(model, batch)` gives the outputs, and `targets(batch)` the targets, for batches that are not x or
        (x, y): see `Batches`.

    Attributes
    ----------
    layers
        The layers of the private copy that can be pruned, by name: `nn.Linear` and convolutions.
    left_alone
        What else has weights, in words.

    Raises
    ------
    InputError
        For what cannot be used, with the value and the remedy.

    Examples
    --------
    >>> import torch
    >>> from prunebook.weights import Calibration
    >>> x = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    >>> calibration = Calibration(torch.nn.Linear(2, 1), x)
    >>> calibration.moments[""].mean
    tensor([1., 1.], dtype=torch.float64)
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Any,
        *,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        seed: int = 0,
        probes: int | None = None,
        nonlinear_samples: int = 1000,
        layers: Sequence[str] | None = None,
        forward: Callable[[nn.Module, Any], Any] | None = None,
        targets: Callable[[Any], Any] | None = None,
    ) -> None:
        numbers = {"seed": seed, "nonlinear_samples": nonlinear_samples, "probes": 1 if probes is None else probes}
        for name, value in numbers.items():
            if not isinstance(value, Integral) or isinstance(value, bool) or (name != "seed" and value < 1):
                raise InputError(f"{name} is {value!r}: give a whole number{'' if name == 'seed' else ' from 1 on'}")
        if loss is not None and not callable(loss):
            raise InputError(
                f"loss is {loss!r}: give a function (outputs, targets), such as torch.nn.functional.mse_loss"
            )
        self.source, self.model = model, private_copy(model).eval()
        self.loss, self.seed, self.nonlinear_samples = loss, seed, int(nonlinear_samples)
        self.probes = None if probes is None else int(probes)
        self._known: dict[Hashable, Any] = {}
        self.layers = prunable_layers(self.model, layers, KINDS)
        self.model.requires_grad_(False)
        self._contents = contents(model)
        self.batches = Batches(batches, self.model, forward=forward, targets=targets)
        self.layers = self._called(named=layers is not None)
        self.left_alone = left_alone(self.model, self.layers)

    def _called(self, named: bool) -> dict[str, nn.Module]:
        """The layers that the model calls; checked on the first batch."""
        with self.recorder() as recorder:
            x, _ = self.batches.first()
            check_calls(recorder, some(recorder, x))
            if len(recorder.reached) < len(self.layers):
                with torch.no_grad():
                    for x, _ in self.batches:
                        recorder.run(x)
            if named or not recorder.reached:
                recorder.require_all_reached()
            return {name: layer for name, layer in self.layers.items() if name in recorder.reached}

    def require_unchanged(self, model: nn.Module) -> None:
        """Raises InputError for another model than the one that this was made for, or where it has changed since."""
        if model is not self.source:
            raise InputError("the calibration belongs to another model: make one with Calibration(model, data)")
        if contents(model) != self._contents:
            raise InputError("the model has changed since this Calibration was made: make a new one")

    @property
    def weights(self) -> dict[str, Float[Tensor, "_ _"]]:
        """The weights of each layer in float64, (n_out, n_in)."""
        return {name: layer.weight.detach().double().flatten(1) for name, layer in self.layers.items()}

    @cached_property
    @as_written()
    def moments(self) -> dict[str, InputMoments]:
        """Means and variances of each layer's inputs, by one forward pass the first time."""
        return input_moments(self.recorder(), self.batches)

    @cached_property
    @as_written()
    def covariances(self) -> dict[str, Float[Tensor, "groups _ _"]]:
        """Covariance of each layer's inputs, (groups, n_in, n_in), float64, by one forward pass the first time."""
        found = input_moments(self.recorder(), self.batches, covariances=True)
        self.__dict__.setdefault("moments", found)
        return {name: layer.covariance for name, layer in found.items()}

    @cached_property
    @as_written()
    def statistics(self) -> dict[str, LayerStatistics]:
        """Statistics of each layer, by one pass with output derivatives the first time."""
        self.foretell()
        found = output_statistics(self.recorder(), self.batches, self.probes, self.generator("probes"))
        self.__dict__.setdefault("moments", found)
        return found

    @cached_property
    @as_written()
    def outputs(self) -> int:
        """Number of outputs of a sample. Raises InputError where they cannot be differentiated as the theory asks."""
        with self.recorder() as recorder:
            return check_derivatives(recorder, some(recorder, self.batches.first()[0]))

    @property
    def cost(self) -> str:
        """What output derivatives have cost, where they were taken and it is worth a word."""
        if "statistics" not in self.__dict__ or (self.probes is None and self.outputs <= OUTPUTS):
            return ""
        made = self.probes or self.outputs
        return f"statistics took {made} backward passes for each batch; one for each output would be {self.outputs}"

    def foretell(self) -> None:
        """A warning where the backward passes to come are many."""
        if self.outputs > OUTPUTS and self.probes is None:
            warnings.warn(
                f"{self.outputs} outputs take {self.outputs} backward passes for each batch: probes=50 takes 50 "
                "instead, and layers= makes each of them cheaper",
                stacklevel=2,
            )

    @cached_property
    @as_written()
    def loss_gradients(self) -> dict[str, Float[Tensor, "_ _"]]:
        """Gradient of the mean loss over the data by each layer's weights, float64."""
        if self.loss is None:
            raise InputError("this method needs a training loss: pass loss=, such as torch.nn.functional.cross_entropy")
        totals, count = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}, 0
        _ = self.outputs  # tried once
        weights = [layer.weight for layer in self.layers.values()]
        with evaluating(self.model), torch.enable_grad():
            try:
                for weight in weights:
                    weight.requires_grad_()
                for x, y in self.batches:
                    outputs = self.batches.call(self.model, x)
                    loss = mean_loss(self.loss, outputs, y)
                    gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
                    for total, gradient in zip(totals.values(), gradients, strict=True):
                        total.add_(gradient.flatten(1), alpha=len(outputs))
                    count += len(outputs)
            finally:
                for weight in weights:
                    weight.requires_grad_(False)
        for name, total in totals.items():
            if not total.isfinite().all():
                raise InputError(f"the loss gradient of layer {name!r} is not finite")
        return {name: total / count for name, total in totals.items()}

    def recorder(self) -> Recorder:
        """Context that runs the private copy and records these layers."""
        return Recorder(self.model, self.layers, self.batches.call)

    def generator(self, purpose: str) -> Generator:
        """A fresh random generator (CPU) for one purpose, the same at each call."""
        return Generator().manual_seed(zlib.crc32(f"{self.seed} {purpose}".encode()))

    @cached_property
    @as_written()
    def sample(self) -> Tensor:
        """`nonlinear_samples` inputs drawn at random without replacement (or all that there are), in their order."""
        # Each input gets a random key; those with the smallest keys stay: one pass, length unknown.
        generator, kept, keys = self.generator("sample"), None, torch.empty(0)
        with evaluating(self.model):
            for x, _ in self.batches:
                if not isinstance(x, Tensor):
                    raise InputError(
                        f"a sample of inputs can be drawn from tensors only, and a batch is a {type(x).__name__}: wrap "
                        "the model in a module of one input, or use another method"
                    )
                keys = torch.cat([keys, torch.rand(len(x), generator=generator, dtype=torch.float64)])
                chosen = keys.argsort(stable=True)[: self.nonlinear_samples].sort().values
                kept, keys = (torch.cat([x[:0] if kept is None else kept, x])[chosen.to(x.device)], keys[chosen])
        return kept

    def cached(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The value under `key`, computed the first time."""
        if key not in self._known:
            with as_written():
                self._known[key] = compute()
        return self._known[key]


def contents(model: nn.Module) -> tuple:
    """Checksums of all parameters and buffers."""
    tensors = [t.detach().cpu().contiguous().flatten() for t in (*model.parameters(), *model.buffers())]
    return tuple((t.dtype, len(t), zlib.crc32(t.view(torch.uint8).numpy())) for t in tensors)
