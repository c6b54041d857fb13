"""What elimination-compensation needs to know of each layer, from one pass over the data.

For layer inputs a, pre-activations z and the output Jacobian J_i = dy/dz_i of unit i, all expectations are over the
training inputs: d_i = E|J_i|^2, A1_ij = E[|J_i|^2 a_j], A2_ij = E[|J_i|^2 a_j^2]. Where a layer sees several positions
of one sample (tokens, the places of a convolution, repeated calls), dy/db_i and dy/dW_ij are the sums over its
positions, and d = E|dy/db|^2, A1 = E[dy/db . dy/dW], A2 = E|dy/dW|^2. The n_in inputs of a unit of a convolution are
the channels of its group times the taps of its kernel, what it pads with among them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn

from prunebook.data.batches import Batches
from prunebook.errors import InputError
from prunebook.networks.linear_layers import inputs, outputs
from prunebook.weights.jacobians import Recorder

BYTES = 64 * 2**20  # of inputs and per-sample gradients held at a time, where a layer sees several positions


@dataclass(frozen=True)
class InputMoments:
    """Averages of a layer's inputs over samples and positions, in float64: E[a], E[a^2] and Var(a).

    For each input, (i), or in layers of several groups for each unit and input, (o, i). covariance: of the inputs of
    each group, (groups, i, i), only where asked for.
    """

    mean: Float[Tensor, "*n_out n_in"]
    square: Float[Tensor, "*n_out n_in"]
    variance: Float[Tensor, "*n_out n_in"]
    covariance: Float[Tensor, "groups n_in n_in"] | None = None


@dataclass(frozen=True, kw_only=True)
class LayerStatistics(InputMoments):
    """Averages over the data for one layer, all in float64.

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
            for name, calls in recorder.run(x)[1].items():
                if calls:
                    sums[name].start(calls)
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
                sums[name].start(batch.calls[name])
            for row in batch.rows(probes, generator):
                for name in called:
                    sums[name].add_row(row[name])
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

    def __init__(self, layer: nn.Module, covariance: bool = False) -> None:
        self.layer, self.weight = layer, layer.weight.detach().double().flatten(1)
        shape = (getattr(layer, "groups", 1), self.weight.shape[1])
        self.first_moment, self.second_moment = self.weight.new_zeros(shape), self.weight.new_zeros(shape)
        self.products = self.weight.new_zeros(*shape, shape[1]) if covariance else None
        self.centre: Tensor | None = None
        self.positions = 0

    def start(self, calls: list[tuple[Tensor, Tensor]]) -> None:
        """Add a batch: the input and the output of each call of the layer."""
        self.calls, samples = [a for a, _ in calls], len(calls[0][0])
        self.each = sum(z.numel() for _, z in calls) // (samples * len(self.weight))  # positions of a sample
        held = 8 * (self.each * self.first_moment.numel() + self.weight.numel())
        self.step = samples if self.each == 1 else max(1, BYTES // held)
        for _, a in self.pieces():
            self.a = a
            flat = a.flatten(0, 1)
            self.first_moment += flat.sum(0)
            self.second_moment += flat.square().sum(0)
            if self.products is not None:
                self.products += torch.einsum("ngi,ngj->gij", flat, flat)
            self.positions += len(flat)

    def pieces(self) -> Iterator[tuple[slice, Tensor]]:
        """Some samples of the batch at a time, and what each of their positions reads, (b, T, groups, i)."""
        for start in range(0, len(self.calls[0]), self.step):
            part = slice(start, start + self.step)
            read = [inputs(self.layer, a[part]) for a in self.calls]
            a = read[0] if len(read) == 1 else torch.cat(read, 1)
            if self.centre is None:
                self.centre = a[0, 0].double()
            yield part, a - self.centre if a.dtype == torch.float64 else a.double().sub_(self.centre)

    def by_unit(self, values: Tensor) -> Tensor:
        """From values by group to values by unit: the same for all where there is one group."""
        groups = len(values)
        return values[0] if groups == 1 else values.repeat_interleave(len(self.weight) // groups, 0)

    def moments(self) -> dict[str, Tensor | None]:
        """What has been seen, as the fields of `InputMoments`."""
        first, squares = self.first_moment / self.positions, self.second_moment / self.positions
        covariance = None
        if self.products is not None:
            covariance = self.products / self.positions - first[:, :, None] * first[:, None]
        return {
            "mean": self.by_unit(self.centre + first),
            "square": self.by_unit(squares + 2 * self.centre * first + self.centre.square()),
            "variance": self.by_unit((squares - first.square()).clamp(min=0)),
            "covariance": covariance,
        }


class _Sums(Moments):
    """The same with sums of output derivatives, by group and unit."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__(layer)
        self.cross = torch.zeros_like(self.weight).unflatten(0, (len(self.first_moment), -1))
        self.second, self.d = torch.zeros_like(self.cross), torch.zeros_like(self.cross[..., 0])
        self.weights: Tensor | None = None

    def add_row(self, calls: list[Tensor]) -> None:
        """Add the derivatives of one output of each sample by what each call gives."""
        parts = [outputs(self.layer, g) for g in calls]
        g = parts[0] if len(parts) == 1 else torch.cat(parts, 1)  # (B, T, groups, units)
        if self.each == 1:  # one position: rows only add up to |J|^2
            square = g[:, 0].double().square_()
            self.weights = square if self.weights is None else self.weights.add_(square)
            return
        g = g.double()
        by_bias = g.sum(1)
        self.d += by_bias.square().sum(0)
        for part, a in self.pieces():
            by_weight = torch.einsum("btgo,btgi->bgoi", g[part], a)
            self.cross += torch.einsum("bgo,bgoi->goi", by_bias[part], by_weight)
            self.second += by_weight.square_().sum(0)

    def finish(self) -> None:
        """The end of a batch."""
        if self.weights is not None:
            a = self.a[:, 0]
            self.d += self.weights.sum(0)
            self.cross += torch.einsum("bgo,bgi->goi", self.weights, a)
            self.second += torch.einsum("bgo,bgi->goi", self.weights, a.square())
        self.weights = None
        del self.a, self.calls

    def result(self, count: int) -> LayerStatistics:
        d, cross, second = self.d.flatten() / count, self.cross.flatten(0, 1) / count, self.second.flatten(0, 1) / count
        spread, centre = second - cross.square() / torch.where(d == 0, 1.0, d)[:, None], self.by_unit(self.centre)
        return LayerStatistics(
            **self.moments(),
            weight=self.weight,
            d=d,
            cross=cross + d[:, None] * centre,
            second=second + 2 * centre * cross + d[:, None] * centre.square(),
            spread=torch.where(d[:, None] == 0, 0.0, spread.clamp(min=0)),
            count=count,
        )
