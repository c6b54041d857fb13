"""What elimination-compensation needs to know of each linear layer, from one pass over the data.

For layer inputs a, pre-activations z and the output Jacobian J_i = dy/dz_i of unit i, all expectations are
over the training inputs: d_i = E|J_i|^2, A1_ij = E[|J_i|^2 a_j], A2_ij = E[|J_i|^2 a_j^2].  Where a layer
sees several positions of one sample (tokens, repeated calls), dy/db_i and dy/dW_ij are the sums over its
positions, and d = E|dy/db|^2, A1 = E[dy/db . dy/dW], A2 = E|dy/dW|^2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn

from prunebook.data.batches import Batches
from prunebook.errors import InputError
from prunebook.networks.linear_layers import prunable_layers
from prunebook.weights.jacobians import Recorder

BYTES = 64 * 2**20  # of per-sample weight gradients held at a time, where a layer sees several positions


@dataclass(frozen=True)
class LayerStatistics:
    """Averages over the data for one linear layer, all in float64.

    weight (o, i); d (o): mean squared output derivative by each bias; cross A1 and second A2 (o, i): see
    the module; spread (o, i): A2 - A1^2/d without cancellation, 0 where d = 0; mean, square, variance (i):
    E[a], E[a^2] and Var(a) over samples and positions; count: samples; covariance (i, i): of the inputs,
    only where asked for.
    """

    weight: Float[Tensor, "n_out n_in"]
    d: Float[Tensor, " n_out"]
    cross: Float[Tensor, "n_out n_in"]
    second: Float[Tensor, "n_out n_in"]
    spread: Float[Tensor, "n_out n_in"]
    mean: Float[Tensor, " n_in"]
    square: Float[Tensor, " n_in"]
    variance: Float[Tensor, " n_in"]
    count: int
    covariance: Float[Tensor, "n_in n_in"] | None = None

    @property
    def dead(self) -> Bool[Tensor, " n_out"]:
        """Units that no output depends on, to first order, at any sample."""
        return self.d == 0

    @property
    def residual(self) -> Float[Tensor, "n_out n_in"]:
        """Mean squared linearised output change left after the best bias shift, I = W^2 (A2 - A1^2/d); 0
        for dead units.
        """
        return self.weight.square() * self.spread

    @property
    def shift(self) -> Float[Tensor, "n_out n_in"]:
        """Best bias shift W A1/d for each weight that is removed alone; W E[a] for dead units, where any
        shift is best.
        """
        seen = self.cross / torch.where(self.dead, 1.0, self.d)[:, None]
        return self.weight * torch.where(self.dead[:, None], self.mean, seen)

    @property
    def gram(self) -> Float[Tensor, "n_in_1 n_in_1"] | None:
        """E[[a, 1][a, 1]^T] with the column of ones last; None where the covariance was not asked for."""
        if self.covariance is None:
            return None
        ones = torch.cat([self.mean, self.mean.new_ones(1)])
        gram = torch.outer(ones, ones)
        gram[:-1, :-1] += self.covariance
        return gram


def layer_statistics(
    model: nn.Module,
    batches: Any,
    *,
    probes: int | None = None,
    generator: Generator | None = None,
    gram: bool = False,
    layers: Sequence[str] | None = None,
) -> dict[str, LayerStatistics]:
    """Statistics of every `nn.Linear` of any module, streamed over batches (see `Batches` for their forms).

    Outputs y may have any shape (B, ...): those of one sample are flattened to K numbers, which takes K
    backward passes to the pre-activations. `probes` replaces them by that many random sign vectors for each
    sample (unbiased for d, A1 and A2). `gram` adds the covariance of the layer inputs. `layers` picks
    layers by name. The model, its gradients and the global random state are as before afterwards. Raises
    InputError for bad data, values that are not finite, and layers that are never called.
    """
    if probes is not None and probes < 1:
        raise InputError(f"probes is {probes}: need at least 1, or None for exact derivatives")
    linear = prunable_layers(model, layers)
    data = Batches(batches, model)
    generator = generator or torch.Generator().manual_seed(0)
    sums = {name: _Sums(layer, gram) for name, layer in linear.items()}
    count = 0
    with Recorder(model, linear) as recorder:
        for x, _ in data:
            batch = recorder(x)
            called = [name for name, parts in batch.calls.items() if parts]
            for name in called:
                sums[name].start(batch.inputs(name))
            for row in batch.rows(probes, generator):
                for name in called:
                    sums[name].add_row(row[name])
            for name in called:
                sums[name].finish()
            count += len(x)
        recorder.require_all_reached()
    found = {name: total.result(count) for name, total in sums.items()}
    for name, statistics in found.items():
        if not (statistics.second.isfinite().all() and statistics.square.isfinite().all()):
            raise InputError(f"layer {name!r} has inputs or output derivatives that are not finite")
    return found


class _Sums:
    """Running sums of one layer, about the first input seen: constants then give exact zeros, and nothing
    cancels.
    """

    def __init__(self, layer: nn.Linear, gram: bool) -> None:
        self.weight = layer.weight.detach().double()
        n_out, n_in = self.weight.shape
        self.d = self.weight.new_zeros(n_out)
        self.cross, self.second = torch.zeros_like(self.weight), torch.zeros_like(self.weight)
        self.first_moment, self.second_moment = self.weight.new_zeros(n_in), self.weight.new_zeros(n_in)
        self.products = self.weight.new_zeros(n_in, n_in) if gram else None
        self.centre: Tensor | None = None
        self.positions = 0

    def start(self, a: Tensor) -> None:
        if self.centre is None:
            self.centre = a[0, 0].double()
        self.a = a.double().sub_(self.centre) if a.dtype != torch.float64 else a - self.centre  # (B, T, i)
        flat = self.a.reshape(-1, self.a.shape[-1])
        self.squares = flat.square()
        self.first_moment += flat.sum(0)
        self.second_moment += self.squares.sum(0)
        if self.products is not None:
            self.products += flat.T @ flat
        self.positions += len(flat)
        self.weights: Tensor | None = None

    def add_row(self, g: Tensor) -> None:
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
        if self.weights is not None:
            self.d += self.weights.sum(0)
            self.cross += self.weights.T @ self.a[:, 0]
            self.second += self.weights.T @ self.squares
        del self.a, self.squares, self.weights

    def result(self, count: int) -> LayerStatistics:
        d, cross, second, centre = self.d / count, self.cross / count, self.second / count, self.centre
        first, squares = self.first_moment / self.positions, self.second_moment / self.positions
        spread = second - cross.square() / torch.where(d == 0, 1.0, d)[:, None]
        covariance = None
        if self.products is not None:
            covariance = self.products / self.positions - torch.outer(first, first)
        return LayerStatistics(
            weight=self.weight,
            d=d,
            cross=cross + d[:, None] * centre,
            second=second + 2 * centre * cross + d[:, None] * centre.square(),
            spread=torch.where(d[:, None] == 0, 0.0, spread.clamp(min=0)),
            mean=centre + first,
            square=squares + 2 * centre * first + centre.square(),
            variance=(squares - first.square()).clamp(min=0),
            count=count,
            covariance=covariance,
        )
