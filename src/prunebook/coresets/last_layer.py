"""The last linear layer of a network, found by running it, and what goes into it and comes out."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from prunebook.coresets.arguments import require
from prunebook.data.batches import Batches, class_labels
from prunebook.networks.evaluating import evaluating, private_copy, require_values, why_unfit
from prunebook.networks.premises import is_linear, require_alone, require_same_again


@dataclass(frozen=True)
class Head:
    """The last linear layer, at inputs that are not negative.

    name; weight, bias: float64; inputs: what went into it; labels; hidden: the layer before, where the inputs are its
    ReLU, else None; queries: that one's inputs, or None; split: whether inputs of either sign, x = x+ - x-, were made
    (x+, x-), and the weights (W, -W). The logits are the same. Derived here: the theorem for non-negative inputs holds
    for the split layer as it stands. It has twice the weights, so the sensitivities of a class add up to 2n at most in
    place of n, and as many times the draws may be asked for.
    """

    name: str
    weight: Float64[Tensor, "classes n"]
    bias: Float64[Tensor, " classes"]
    inputs: Float[Tensor, "points n"]
    labels: Int[Tensor, " points"]
    hidden: nn.Linear | None
    queries: Float[Tensor, "points d"] | None
    split: bool


def find_head(model: nn.Module, loader: Any, layer: str | None = None) -> Head:
    """Runs a copy of the model over the data in evaluation mode; the random state is as before afterwards.

    `layer` names the head; by default it is the nn.Linear that is called last. Raises InputError unless its output is
    the model's output, its inputs are vectors, and the data has class labels.
    """
    model = private_copy(model)
    require_values(model)
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    require(layer is None or layer in linear, f"no nn.Linear called {layer!r}; the model has {sorted(linear)}")
    calls: list[tuple[str, Tensor, Tensor]] = []
    for name, module in linear.items():
        module.register_forward_hook(
            lambda _, args, named, out, name=name: calls.append(
                (name, (args[0] if args else named["input"]).detach().clone(), out.detach().clone())
            ),
            with_kwargs=True,
        )
    inputs, labels, queries, names = [], [], [], set()
    batches = Batches(loader, model)
    with evaluating(model), torch.no_grad():
        for x, y in batches:
            calls.clear()
            output = batches.call(model, x)
            at = max((i for i, call in enumerate(calls) if layer in (None, call[0])), default=None)
            _check_output(model, calls, at, output)
            name, h, _ = calls[at]
            changed = "(a forward of its own, or a hook, changes it): the guarantee is for a plain nn.Linear"
            require(is_linear(linear[name], h, output), f"layer {name!r} does not return W a + b {changed}")
            before = calls[at - 1] if at else None
            if before and not (before[2].shape == h.shape and torch.equal(before[2].relu(), h)):
                before = None
            names.add((name, before and before[0]))
            inputs.append(h)
            labels.append(class_labels(y, len(h), output.shape[1]).to(h.device))
            queries.append(before[1] if before else None)
            if len(inputs) == 1:
                require_same_again(model, x, output)
                require_alone(model, x, output)
    differ = f"the layers called last differ between batches ({sorted(map(str, names))}): name one"
    require(len(names) == 1, differ)
    name, previous = names.pop()
    h, y, weight = torch.cat(inputs), torch.cat(labels), linear[name].weight.detach().double()
    bias = weight.new_zeros(len(weight)) if linear[name].bias is None else linear[name].bias.detach().double()
    if split := bool((h < 0).any()):
        h, weight = torch.cat([h.relu(), (-h).relu()], 1), torch.cat([weight, -weight], 1)
    known = previous is not None and all(q.ndim == 2 for q in queries)
    rest = (linear[previous], torch.cat(queries)) if known else (None, None)
    return Head(name, weight, bias, h, y, *rest, split)


def _check_output(model: nn.Module, calls: list[tuple[str, Tensor, Tensor]], at: int | None, output: Any) -> None:
    needed = "the guarantee is for a linear last layer"
    require(at is not None, lambda: f"no nn.Linear is called in the forward pass{why_unfit(model)}: {needed}")
    name, h, out = calls[at]
    finite = not isinstance(output, Tensor) or bool(output.isfinite().all())
    require(finite, "the model's outputs are not finite (NaN or infinity): repair the network first")
    remedy = "remove what follows the layer, such as a softmax, or name another layer"
    own = isinstance(output, Tensor) and output.shape == out.shape and torch.equal(output, out)
    require(own, f"the output of the model is not that of its linear layer {name!r}: {remedy}")
    require(h.ndim == 2, f"layer {name!r} takes inputs of shape {tuple(h.shape)}: it must see one vector a sample")
    count = "one" if out.shape[1] else "no"
    require(out.shape[1] >= 2, f"layer {name!r} has {count} output: labels need at least two")
