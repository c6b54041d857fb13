"""True output changes, one weight at a time: fast for plain chains, slow but exact for any other module."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from prunebook.networks.evaluating import evaluating, private_copy
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

    The expectation is over a random subset of inputs, E[a_j] over all the data. `fast=False` takes the slow
    path, one forward pass a weight, which is also taken where the model is not a plain chain (see `chain`).
    """
    means = {name: layer.mean for name, layer in calibration.moments.items()}
    x = calibration.sample(calibration.nonlinear_samples)
    steps = chain(calibration.model) if fast and calibration.batches.forward is None else None
    with evaluating(calibration.model), torch.no_grad():
        if steps is not None and _flat(x, steps):
            return _chain_changes(steps, x, means, calibration.layers)
        passes = sum(layer.weight.numel() for layer in calibration.layers.values())
        if passes > PASSES:
            warnings.warn(
                f"a forward pass for each of {passes} weights will follow: take fewer with layers=, or another method",
                stacklevel=2,
            )
        return {
            name: single_changes(
                calibration.model, x, name, means[name], _all_weights(layer.weight), calibration.batches.call
            ).view_as(layer.weight)
            for name, layer in calibration.layers.items()
        }


def single_changes(
    model: nn.Module,
    x: Tensor,
    name: str,
    mean: Float[Tensor, " n_in"],
    entries: Iterable[tuple[int, int]],
    call: Callable[[nn.Module, Any], Any] = nn.Module.__call__,
) -> Float[Tensor, " n_entries"]:
    """The same for some weights (i, j) of the layer `name`, each by a forward pass of a copy of any model."""
    model = private_copy(model).eval()
    layer = model.get_submodule(name)
    shift: dict[int, Tensor] = {}

    def add(module: nn.Module, args: tuple, z: Tensor) -> Tensor:
        z = z.clone()
        for unit, value in shift.items():
            z[..., unit] += value
        return z

    changes = []
    with torch.no_grad():
        before = call(model, x)
        layer.register_forward_hook(add)
        for i, j in entries:
            weight = layer.weight[i, j].clone()
            shift[i] = weight * mean[j].to(weight)
            layer.weight[i, j] = 0
            changes.append((call(model, x) - before).double().square().sum() / len(before))
            layer.weight[i, j] = weight
            shift.clear()
    return torch.stack(changes) if changes else before.new_zeros(0, dtype=torch.float64)


def chain(model: nn.Module) -> list[nn.Module] | None:
    """The steps of a plain feed-forward network: `nn.Sequential`s of Linear and elementwise activations.

    An `nn.Flatten` may come first. None for anything else: other modules, hooks, a Linear that occurs twice.
    """
    steps = _unroll(model)
    if steps is None or any(_hooked(step) for step in steps):
        return None
    flatten = type(steps[0]) is nn.Flatten and (steps[0].start_dim, steps[0].end_dim) == (1, -1)
    plain = steps[1:] if flatten else steps
    linear = [step for step in plain if type(step) is nn.Linear]
    if not linear or plain[0] is not linear[0] or len(set(linear)) < len(linear):
        return None
    return steps if all(type(step) in (nn.Linear, *ELEMENTWISE) for step in plain) else None


def _unroll(model: nn.Module) -> list[nn.Module] | None:
    if type(model) is not nn.Sequential:
        return [model]
    if _hooked(model):
        return None
    parts = [_unroll(m) for m in model]
    return None if not parts or any(part is None for part in parts) else [m for part in parts for m in part]


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _flat(x: Tensor, steps: list[nn.Module]) -> bool:
    return x.ndim == 2 or type(steps[0]) is nn.Flatten


def _all_weights(weight: Tensor) -> list[tuple[int, int]]:
    return [(i, j) for i in range(weight.shape[0]) for j in range(weight.shape[1])]


def _chain_changes(steps: list[nn.Module], x: Tensor, means: dict[str, Tensor], layers: dict) -> dict[str, Tensor]:
    names = {id(layer): name for name, layer in layers.items()}
    values = [x]
    for step in steps:
        values.append(_run(step, values[-1]))
    changes = {}
    for at, step in enumerate(steps):
        if id(step) in names:
            mean = means[names[id(step)]].to(x.dtype)
            changes[names[id(step)]] = _layer_changes(steps, values, at, mean)
    return changes


def _layer_changes(steps: list[nn.Module], values: list[Tensor], at: int, mean: Tensor) -> Tensor:
    """Only one pre-activation z_i changes; the next layer's then change by a rank-one term, for all inputs
    j at once.
    """
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
                h = _unit(activation, h, i)
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


def _unit(activation: nn.Module, h: Tensor, i: int) -> Tensor:
    """An elementwise activation as unit i has it."""
    if type(activation) is nn.PReLU:
        slopes = activation.weight
        return F.prelu(h, slopes if len(slopes) == 1 else slopes[i : i + 1])
    return _run(activation, h)


def _run(step: nn.Module, h: Tensor) -> Tensor:
    return step(h.clone() if getattr(step, "inplace", False) else h)
