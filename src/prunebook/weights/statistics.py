"""What elimination-compensation needs to know of each linear layer, from one pass over the data.

For layer inputs a, pre-activations z and the output Jacobian J_i = dy/dz_i of unit i, all expectations are over the
training inputs: d_i = E|J_i|^2, A1_ij = E[|J_i|^2 a_j], A2_ij = E[|J_i|^2 a_j^2]. Where a layer sees several positions
of one sample (tokens, repeated calls), dy/db_i and dy/dW_ij are the sums over its positions, and d = E|dy/db|^2,
A1 = E[dy/db . dy/dW], A2 = E|dy/dW|^2.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn

from prunebook.data.batches import Batches
from prunebook.errors import InputError
from prunebook.weights.jacobians import Recorder

BYTES = 64 * 2**20  # of per-sample weight gradients held at a time, where a layer sees several positions


@dataclass(frozen=True)
class InputMoments:
    """Averages of a linear layer's inputs over samples and positions, (i) each, in float64: E[a], E[a^2] and Var(a).

    covariance: (i, i), only where asked for.
    """

    mean: Float[Tensor, " n_in"]
    square: Float[Tensor, " n_in"]
    variance: Float[Tensor, " n_in"]
    covariance: Float[Tensor, "n_in n_in"] | None = None


@dataclass(frozen=True, kw_only=True)
class LayerStatistics(InputMoments):
    """Averages over the data for one linear layer, all in float64.

    weight (o, i); d (o): mean squared output derivative by each bias; cross A1 and second A2 (o, i): see the module;
    spread (o, i): A2 - A1^2/d without cancellation, 0 where d = 0; count: samples.
    """

    weight: Float[Tensor, "n_out n_in"]
    d: Float[Tensor, " n_out"]
    cross: Float[Tensor, "n_out n_in"]
    second: Float[Tensor, "n_out n_in"]
    spread: Float[Tensor, "n_out n_in"]
    count: int

    @property
    def dead(self) -> Bool[Tensor, " n_out"]:
        """Units that no output depends on, to first order, at any sample."""
        return self.d == 0

    @property
    def residual(self) -> Float[Tensor, "n_out n_in"]:
        """Mean squared linearised output change left after the best bias shift, W^2 (A2 - A1^2/d); 0 for dead units."""
        return self.weight.square() * self.spread

    @property
    def shift(self) -> Float[Tensor, "n_out n_in"]:
        """Best bias shift W A1/d for each weight removed alone; W E[a] for dead units, where any shift is best."""
        seen = self.cross / torch.where(self.dead, 1.0, self.d)[:, None]
        return self.weight * torch.where(self.dead[:, None], self.mean, seen)


def input_moments(recorder: Recorder, batches: Batches, *, covariances: bool = False) -> dict[str, InputMoments]:
    """Moments of each layer's inputs, by a forward pass without gradients."""
    sums = {name: Moments(layer, covariances) for name, layer in recorder.layers.items()}
    with recorder, torch.no_grad():
        for x, _ in batches:
            for name, parts in recorder.run(x)[1].items():
                for a, _ in parts:
                    sums[name].start(a.reshape(1, -1, a.shape[-1]))
        recorder.require_all_reached()
    return _finite({name: InputMoments(**total.moments()) for name, total in sums.items()}, "square")


def output_statistics(
    recorder: Recorder, batches: Batches, probes: int | None, generator: Generator
) -> dict[str, LayerStatistics]:
    """Statistics of each layer, by one pass over the data with a backward pass for each output or probe."""
    sums, count = {name: _Sums(layer) for name, layer in recorder.layers.items()}, 0
    with recorder:
        for x, _ in batches:
            batch = recorder(x)
            called = [name for name, parts in batch.calls.items() if parts]
            for name in called:
                sums[name].start(batch.inputs(name))
            for row in batch.rows(probes, generator):
                for name, g in row.items():
                    sums[name].add_row(g)
            for name in called:
                sums[name].finish()
            count += len(batch.y)
        recorder.require_all_reached()
    return _finite({name: total.result(count) for name, total in sums.items()}, "square", "second")


def _finite(found: dict[str, Any], *fields: str) -> dict[str, Any]:
    for name, values in found.items():
        if not all(getattr(values, field).isfinite().all() for field in fields):
            raise InputError(f"layer {name!r} has inputs or output derivatives that are not finite")
    return found


class Moments:
    """Running sums of one layer's inputs, about the first one seen: constants give exact zeros, nothing cancels."""

    def __init__(self, layer: nn.Linear, covariance: bool = False) -> None:
        self.weight = layer.weight.detach().double()
        n_in = self.weight.shape[1]
        self.first_moment, self.second_moment = self.weight.new_zeros(n_in), self.weight.new_zeros(n_in)
        self.products = self.weight.new_zeros(n_in, n_in) if covariance else None
        self.centre: Tensor | None = None
        self.positions = 0

    def start(self, a: Tensor) -> None:
        """Add a batch of inputs (B, T, i)."""
        if self.centre is None:
            self.centre = a[0, 0].double()
        self.a = a.double().sub_(self.centre) if a.dtype != torch.float64 else a - self.centre
        flat = self.a.reshape(-1, self.a.shape[-1])
        self.squares = flat.square()
        self.first_moment += flat.sum(0)
        self.second_moment += self.squares.sum(0)
        if self.products is not None:
            self.products += flat.T @ flat
        self.positions += len(flat)

    def moments(self) -> dict[str, Tensor | None]:
        """What has been seen, as the fields of `InputMoments`."""
        first, squares = self.first_moment / self.positions, self.second_moment / self.positions
        covariance = None
        if self.products is not None:
            covariance = self.products / self.positions - torch.outer(first, first)
        return {
            "mean": self.centre + first,
            "square": squares + 2 * self.centre * first + self.centre.square(),
            "variance": (squares - first.square()).clamp(min=0),
            "covariance": covariance,
        }


class _Sums(Moments):
    """The same with sums of output derivatives."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer)
        self.d = self.weight.new_zeros(len(self.weight))
        self.cross, self.second = torch.zeros_like(self.weight), torch.zeros_like(self.weight)
        self.weights: Tensor | None = None

    def add_row(self, g: Tensor) -> None:
        """Add the derivatives (B, T, o) of one output of each sample."""
        if g.shape[1] == 1:  # one position: rows only add up to |J|^2
            square = g[:, 0].double().square_()
            self.weights = square if self.weights is None else self.weights.add_(square)
            return
        g = g.double()
        by_bias = g.sum(1)  # (B, o)
        self.d += by_bias.square().sum(0)
        step = max(1, BYTES // (8 * self.weight.numel()))
        for part in range(0, len(g), step):
            by_weight = torch.einsum("bto,bti->boi", g[part : part + step], self.a[part : part + step])
            self.cross += torch.einsum("bo,boi->oi", by_bias[part : part + step], by_weight)
            self.second += by_weight.square_().sum(0)

    def finish(self) -> None:
        """The end of a batch."""
        if self.weights is not None:
            self.d += self.weights.sum(0)
            self.cross += self.weights.T @ self.a[:, 0]
            self.second += self.weights.T @ self.squares
        self.weights = None
        del self.a, self.squares

    def result(self, count: int) -> LayerStatistics:
        d, cross, second, centre = self.d / count, self.cross / count, self.second / count, self.centre
        spread = second - cross.square() / torch.where(d == 0, 1.0, d)[:, None]
        return LayerStatistics(
            **self.moments(),
            weight=self.weight,
            d=d,
            cross=cross + d[:, None] * centre,
            second=second + 2 * centre * cross + d[:, None] * centre.square(),
            spread=torch.where(d[:, None] == 0, 0.0, spread.clamp(min=0)),
            count=count,
        )
