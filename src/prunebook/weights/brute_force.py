"""True output changes, one weight at a time: fast for plain chains, slow but exact for any other module."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from prunebook.networks.evaluating import evaluating, private_copy
from prunebook.networks.linear_layers import KINDS, type_of
from prunebook.weights.calibration import Calibration

BYTES = {"cpu": 8 * 2**20, "cuda": 2**30}  # of one intermediate result: on a CPU it should stay in the cache

PASSES = 10_000  # forward passes; more are foretold

# fmt: off
ELEMENTWISE = (
    nn.Identity, nn.Dropout, nn.ReLU, nn.PReLU, nn.LeakyReLU, nn.ReLU6, nn.ELU, nn.SELU, nn.CELU, nn.GELU,
    nn.SiLU, nn.Mish, nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Softplus, nn.Softsign, nn.Hardtanh,
    nn.Hardsigmoid, nn.Hardswish,
)
# fmt: on


def output_changes(calibration: Calibration, *, fast: bool = True) -> dict[str, Float[Tensor, "_ _"]]:
    """E|y - y'|^2 for each weight, with y' the outputs when W_ij <- 0 and b_i <- b_i + W_ij E[a_j]; float64.

    The expectation is over a random subset of inputs, E[a_j] over all the data. `fast=False` takes the slow path, one
    forward pass a weight, which is also taken where the model is not a plain chain (see `chain`).
    """
    x, layers = calibration.sample, calibration.layers
    steps = chain(calibration.model) if fast and calibration.batches.forward is None else None
    with evaluating(calibration.model), torch.no_grad():
        if steps is not None and (x.ndim == 2 or type(steps[0]) is nn.Flatten):
            values = [x]
            for step in steps:
                values.append(_run(step, values[-1]))
            where = {name: steps.index(layer) for name, layer in layers.items()}
            means = {name: calibration.moments[name].mean.to(x.dtype) for name in layers}
            return {name: _layer_changes(steps, values, at, means[name]) for name, at in where.items()}
        passes = sum(layer.weight.numel() for layer in layers.values())
        if passes > PASSES:
            warnings.warn(
                f"a forward pass for each of {passes} weights will follow: take fewer with layers=, or another method",
                stacklevel=2,
            )
        found = {}
        for name, layer in layers.items():
            every = torch.ones_like(layer.weight).flatten(1).nonzero().tolist()
            mean = calibration.moments[name].mean
            changes = single_changes(calibration.model, x, name, mean, every, calibration.batches.call)
            found[name] = changes.view(len(layer.weight), -1)
        return found


def single_changes(
    model: nn.Module,
    x: Tensor,
    name: str,
    mean: Float[Tensor, "*n_out n_in"],
    entries: Iterable[Sequence[int]],
    call: Callable[[nn.Module, Any], Any] = nn.Module.__call__,
) -> Float[Tensor, " n_entries"]:
    """The same for some weights (i, j) of the layer `name`, each by a forward pass of a copy of any model."""
    model = private_copy(model).eval()
    layer, changes = model.get_submodule(name), []
    with torch.no_grad():
        layer.weight.data = layer.weight.contiguous()
        weights, axis = layer.weight.data.flatten(1), KINDS[type_of(layer)].axis
        shift, mean = torch.zeros_like(weights[:, 0]), mean.expand_as(weights)
        before = call(model, x)
        layer.register_forward_hook(lambda module, args, z: (z.movedim(axis, -1) + shift).movedim(-1, axis))
        for i, j in entries:
            weight = weights[i, j].clone()
            shift[i] = weight * mean[i, j].to(weight)
            weights[i, j] = 0
            changes.append((call(model, x) - before).double().square().sum() / len(before))
            weights[i, j], shift[i] = weight, 0
    return torch.stack(changes) if changes else before.new_zeros(0, dtype=torch.float64)


def chain(model: nn.Module) -> list[nn.Module] | None:
    """The steps of a plain feed-forward network: `nn.Sequential`s of Linear and elementwise activations.

    An `nn.Flatten` may come first. None for anything else: other modules, hooks, a Linear that occurs twice.
    """
    steps, hooked = _unrolled(model), any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    if hooked or not steps:
        return None
    flatten = type(steps[0]) is nn.Flatten and (steps[0].start_dim, steps[0].end_dim) == (1, -1)
    plain = steps[1:] if flatten else steps
    linear = [step for step in plain if type(step) is nn.Linear]
    if not linear or plain[0] is not linear[0] or len(set(linear)) < len(linear):
        return None
    return steps if all(type(step) in (nn.Linear, *ELEMENTWISE) for step in plain) else None


def _unrolled(model: nn.Module) -> list[nn.Module]:
    return [m for part in model for m in _unrolled(part)] if type(model) is nn.Sequential else [model]


def _layer_changes(steps: list[nn.Module], values: list[Tensor], at: int, mean: Tensor) -> Tensor:
    """Only one pre-activation z_i changes; the next layer's then change by a rank-one term, for all inputs at once."""
    layer, y = steps[at], values[-1]
    following = next((p for p in range(at + 1, len(steps)) if type(steps[p]) is nn.Linear), None)
    deviation = values[at] - mean  # (S, j)
    widths = [1] if following is None else [value.shape[1] for value in values[following + 1 :]]
    samples, inputs = deviation.shape
    step = max(1, BYTES.get(y.device.type, BYTES["cpu"]) // (samples * max(widths) * y.element_size()))
    found = torch.zeros(layer.weight.shape, dtype=torch.float64, device=y.device)
    for i in range(len(layer.weight)):
        for part in range(0, inputs, step):
            columns = slice(part, part + step)
            h = values[at + 1][:, i, None] - deviation[:, columns] * layer.weight[i, columns]  # (S, J)
            for activation in steps[at + 1 : following]:
                h = _run(activation, h, i)
            if following is None:
                difference = (h - y[:, i, None])[..., None]
            else:
                h = h - values[following][:, i, None]
                z = torch.addcmul(values[following + 1][:, None], h[..., None], steps[following].weight[:, i])
                z = z.reshape(-1, z.shape[-1])
                for later in steps[following + 1 :]:
                    z = later(z)
                difference = z.view(samples, -1, y.shape[1]) - y[:, None]
            found[i, columns] = difference.square_().sum(-1).sum(0, dtype=torch.float64) / samples
    return found


def _run(step: nn.Module, h: Tensor, unit: int | None = None) -> Tensor:
    """A step, as the one unit has it where one is named."""
    if unit is not None and type(step) is nn.PReLU and len(step.weight) > 1:
        return F.prelu(h, step.weight[unit : unit + 1])
    return step(h.clone() if getattr(step, "inplace", False) else h)
