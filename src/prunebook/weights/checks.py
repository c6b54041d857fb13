"""Is the model what the theory takes it for? Tried on the first batch, and refused with one clear error if not."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from prunebook.errors import InputError
from prunebook.networks.linear_layers import type_of
from prunebook.networks.premises import close, is_linear, require_alone, require_same_again, size, tolerance
from prunebook.weights.jacobians import Recorder

SAMPLES = 16  # of the first batch that are looked at, where a batch can be cut
FORWARD_ONLY = ("magnitude", "wanda", "mean-replacement", "layerwise-obs", "random")
APART = 0.2  # relative; a derivative that differs so much from the difference quotient is none

Calls = dict[str, list[tuple[Tensor, Tensor]]]
Gradients = dict[str, Sequence[Tensor]]


def some(recorder: Recorder, x: Any) -> Any:
    """A few samples, or the whole batch where it cannot be cut or the model takes no other size."""
    if isinstance(x, Tensor) and len(x) > SAMPLES:
        try:
            with torch.no_grad():
                recorder.run(x[:SAMPLES])
        except (RuntimeError, IndexError, ValueError):
            return x
        return x[:SAMPLES]
    return x


def check_calls(recorder: Recorder, x: Any) -> None:
    """For all methods: each pre-activation is F.linear(a, W, b), and no weight or bias is used anywhere else.

    The second is seen by comparing autograd's gradient with the sum of g a^T over the calls, as far as gradients flow.
    """
    with torch.no_grad():
        _, calls = recorder.run(x)
    for name, parts in calls.items():
        layer = recorder.layers[name]
        for a, z in parts:
            if not is_linear(layer, a, z):
                raise InputError(
                    f"layer {name!r} does not return W a + b (a forward of its own, or a hook, changes it): leave it "
                    "out, and name the others with layers="
                )
    parameters = {name: [p for p in (m.weight, m.bias) if p is not None] for name, m in recorder.layers.items()}
    every = [p for mine in parameters.values() for p in mine]
    try:
        for parameter in every:
            parameter.requires_grad_()
        found, by_calls, total, coarse = _gradients(recorder, x, parameters)
    except (RuntimeError, InputError):
        return  # no backward pass to be had; methods that need one will say so
    finally:
        for parameter in every:
            parameter.requires_grad_(False)
    for name in by_calls:
        for gradient, here, all_in_all in zip(found[name], by_calls[name], total[name], strict=True):
            if not close(gradient, here, size(all_in_all), coarse[name]):
                what = "bias" if gradient.ndim == 1 else "weight"
                raise InputError(
                    f"the {what} of layer {name!r} is used a second time outside of the layer, for example transposed: "
                    "untie the two, or leave it out and name the others with layers="
                )


def _gradients(
    recorder: Recorder, x: Any, parameters: dict[str, list[Tensor]]
) -> tuple[Gradients, Gradients, Gradients, dict[str, float]]:
    """Of a random sum of all outputs by the parameters: as they are, by the recorded calls, and of these in modulus.

    With them how far rounding may part them, relative to the last.
    """
    with torch.enable_grad():
        y, calls = recorder.run(x)
        tensors = [t for t in tree_leaves(y) if isinstance(t, Tensor)]
        outputs = [t for t in tensors if t.is_floating_point() and t.requires_grad]
        if not outputs:
            return {}, {}, {}, {}
        wanted = [p for mine in parameters.values() for p in mine]
        wanted += [z for parts in calls.values() for _, z in parts]
        seeds = [torch.randn_like(t) for t in outputs]
        pulled = iter(torch.autograd.grad(outputs, wanted, seeds, allow_unused=True, materialize_grads=True))
        found = {name: [next(pulled) for _ in mine] for name, mine in parameters.items()}
        by_calls, total, coarse = {}, {}, {}
        for name, parts in calls.items():
            layer, pairs = recorder.layers[name], [(a, next(pulled)) for a, _ in parts]
            for sums, signed in ((by_calls, pairs), (total, [(a.abs(), g.abs()) for a, g in pairs])):
                made = [type_of(layer).forward(layer, a.to(layer.weight.dtype)) for a, _ in signed]
                if made:
                    seeds = [g.to(z.dtype) for (_, g), z in zip(signed, made, strict=True)]
                    sums[name] = torch.autograd.grad(made, parameters[name], seeds)
            coarse[name] = max((tolerance(g) for _, g in pairs), default=0.0)
    return found, by_calls, total, coarse


def check_derivatives(recorder: Recorder, x: Any) -> int:
    """For methods that use output derivatives: samples do not influence each other, and outputs move as gradients say.

    Gives the number of outputs of a sample.
    """
    try:
        batch = recorder(x)
        y, count = batch.y.detach(), len(batch.y)
        with torch.no_grad():
            require_same_again(lambda x: recorder.call(recorder.model, x), x, y)
        signs = torch.randint(0, 2, y.shape).to(y).mul_(2).sub_(1)
        first = (torch.arange(count, device=y.device) < count // 2)[:, None]
        # without the first sample seeds of the second half, and the other way round
        halves = [batch.pulled(signs * first), batch.pulled(signs * ~first)]
    except RuntimeError as error:
        if "checkpoint" in str(error):
            raise InputError(
                "the model uses torch.utils.checkpoint with use_reentrant=True, which torch cannot differentiate here: "
                "set use_reentrant=False, or switch it off in evaluation mode"
            ) from error
        raise
    for part, others in zip(halves, (~first[:, 0], first[:, 0]), strict=True):
        for name, parts in part.items():
            if any(size(g[others]) > 1e-6 * size(g) for g in parts):
                raise InputError(
                    f"at layer {name!r} outputs of one sample depend on other samples of the batch: each must stand "
                    "alone, with the sample in the first dimension"
                )
    with torch.no_grad():
        require_alone(lambda x: recorder.call(recorder.model, x), x, y)
    gradients = {n: [a + b for a, b in zip(halves[0][n], halves[1][n], strict=True)] for n in halves[0]}
    _check_moves(recorder, x, y, batch.calls, signs, gradients)
    return y.shape[1]


def _check_moves(recorder: Recorder, x: Any, y: Tensor, calls: Calls, signs: Tensor, gradients: dict) -> None:
    """Moves the pre-activations: those alone that no gradient reaches, then all, by little."""
    coarsest = max(torch.finfo(t.dtype).eps for t in (y, *(z for parts in calls.values() for _, z in parts)))
    step = coarsest**0.5
    silent = [name for name, parts in gradients.items() if parts and not any(g.any() for g in parts)]
    rounding = 30 * coarsest * y.double().square().sum(1).sqrt()
    trials = [([name], 0.1) for name in silent]  # by much, as rounding hides a little
    if step < 1e-3:  # half precision is too coarse for a difference quotient
        trials.append((list(calls), step))
    for names, share in trials:
        pushes = {name: [share * size(z) * torch.randn_like(z) for _, z in calls[name]] for name in names}
        recorder.push = pushes
        try:
            with torch.no_grad():
                seen = ((recorder.run(x)[0].reshape(y.shape) - y).double() * signs).sum(1)
        finally:
            recorder.push = {}
        pairs = [pair for name in names for pair in zip(gradients[name], pushes[name], strict=True)]
        foretold = sum((g.double() * push).flatten(1).sum(1) for g, push in pairs)
        wrong = (seen - foretold).abs() > APART * torch.maximum(seen.abs(), foretold.abs()) + rounding
        if 2 * int(wrong.sum()) > len(y):
            where = f"no gradient reaches layer {names[0]!r}" if names[0] in silent else "gradients are wrong"
            raise InputError(
                f"{where}: the outputs move, but not as autograd says. Something on the way is detached, rounded, "
                "under torch.no_grad (or torch.utils.checkpoint with use_reentrant=True), or has a gradient of its "
                f"own. Lift that, or use a method without output derivatives: {', '.join(FORWARD_ONLY)}"
            )
