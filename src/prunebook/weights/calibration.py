"""What the methods know of a network and its data: one pass, shared by all of them."""

import zlib
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.func import functional_call

from prunebook.data.batches import Batches
from prunebook.errors import InputError
from prunebook.networks.evaluating import evaluating
from prunebook.networks.linear_layers import prunable_layers
from prunebook.weights.jacobians import Recorder
from prunebook.weights.statistics import LayerStatistics, layer_statistics

T = TypeVar("T")


class Calibration:
    """A trained network and the data it is judged on, with everything that is derived from both kept once
    computed.

    `model` is never modified. `batches` has any form that `Batches` takes; targets are needed only by
    methods that use the loss. `loss(outputs, targets)` returns the mean over a batch. `seed` decides all
    random draws, each independent of the order in which they are asked for. `probes` replaces the exact
    output derivatives by random probes (see `layer_statistics`). `nonlinear_samples` is the number of
    inputs for the brute-force ranking. `layers` restricts everything to some layers by name. Raises
    InputError for what cannot be used.
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
    ) -> None:
        if probes is not None and probes < 1:
            raise InputError(f"probes is {probes}: need at least 1, or None for exact derivatives")
        if nonlinear_samples < 1:
            raise InputError(f"nonlinear_samples is {nonlinear_samples}: need at least 1")
        self.model, self.loss, self.seed, self.probes = model, loss, seed, probes
        self.nonlinear_samples = nonlinear_samples
        self.layers = prunable_layers(model, layers)
        self.batches = Batches(batches, model)
        self._state = self._fingerprint()
        self._known: dict[Hashable, Any] = {}

    @property
    def weights(self) -> dict[str, Float[Tensor, "_ _"]]:
        """The weights of each layer in float64, (n_out, n_in)."""
        return {name: layer.weight.detach().double() for name, layer in self.layers.items()}

    @property
    def statistics(self) -> dict[str, LayerStatistics]:
        """Statistics of each layer, by one pass over the data the first time."""
        return self.cached("statistics", self._pass)

    @property
    def covariances(self) -> dict[str, Float[Tensor, "_ _"]]:
        """Covariance of each layer's inputs, (n_in, n_in), float64. Costs one more pass, once."""

        def compute() -> dict[str, Tensor]:
            self._known["statistics"] = statistics = self._pass(gram=True)
            return {name: layer.covariance for name, layer in statistics.items()}

        return self.cached("covariances", compute)

    @property
    def loss_gradients(self) -> dict[str, Float[Tensor, "_ _"]]:
        """Gradient of the mean loss over the data by each layer's weights, float64. Raises InputError
        without loss or targets.
        """
        return self.cached("loss gradients", self._loss_gradients)

    def recorder(self) -> Recorder:
        """Context that runs the model and records these layers."""
        return Recorder(self.model, self.layers)

    def generator(self, purpose: str) -> Generator:
        """A fresh random generator (CPU) for one purpose, the same at each call."""
        return Generator().manual_seed(zlib.crc32(f"{self.seed} {purpose}".encode()))

    def sample(self, count: int) -> Tensor:
        """`count` inputs drawn at random without replacement (all of them where there are fewer), in their
        order.
        """
        return self.cached(("sample", count), lambda: self._sample(count))

    def cached(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The value under `key`, computed the first time. Raises InputError where the model has changed
        since.
        """
        if self._fingerprint() != self._state:
            raise InputError("the model has changed since this Evidence was made: make a new one")
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]

    def _pass(self, gram: bool = False) -> dict[str, LayerStatistics]:
        return layer_statistics(
            self.model,
            self.batches,
            probes=self.probes,
            generator=self.generator("probes"),
            gram=gram,
            layers=list(self.layers),
        )

    def _loss_gradients(self) -> dict[str, Tensor]:
        if self.loss is None:
            raise InputError(
                "this method needs a training loss: pass loss=, for example torch.nn.functional.cross_entropy"
            )
        totals = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        count = 0
        with evaluating(self.model), torch.enable_grad():
            # copies, so that frozen parameters work and no .grad is written
            weights = {
                _key(name): m.weight.detach().clone().requires_grad_() for name, m in self.layers.items()
            }
            for x, y in self.batches:
                if y is None:
                    raise InputError("this method needs targets: give batches (x, y)")
                loss = self.loss(functional_call(self.model, weights, (x,)), y)
                if loss.ndim > 0:
                    raise InputError(
                        f"the loss has shape {tuple(loss.shape)}: it must return the mean over the batch"
                    )
                gradients = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
                for total, gradient in zip(totals.values(), gradients, strict=True):
                    total.add_(gradient, alpha=len(x))
                count += len(x)
        gradients = {name: total / count for name, total in totals.items()}
        for name, gradient in gradients.items():
            if not gradient.isfinite().all():
                raise InputError(f"the loss gradient of layer {name!r} is not finite")
        return gradients

    def _sample(self, count: int) -> Tensor:
        # each input gets a random key; those with the smallest keys stay: one pass, length unknown
        generator = self.generator("sample")
        kept, keys = None, torch.empty(0)
        with evaluating(self.model):
            for x, _ in self.batches:
                keys = torch.cat([keys, torch.rand(len(x), generator=generator, dtype=torch.float64)])
                chosen = keys.argsort(stable=True)[:count].sort().values
                kept, keys = (
                    torch.cat([x[:0] if kept is None else kept, x])[chosen.to(x.device)],
                    keys[chosen],
                )
        return kept

    def _fingerprint(self) -> tuple:
        return tuple((id(t), t._version) for t in (*self.model.parameters(), *self.model.buffers()))


def _key(name: str) -> str:
    return f"{name}.weight" if name else "weight"
