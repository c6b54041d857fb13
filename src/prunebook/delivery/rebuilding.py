"""A dense network turned into the one of a file: narrower layers, its tensors, and an error where it is another one."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from prunebook.delivery.plain import OURS
from prunebook.errors import InputError

# What removal changes of a layer besides its tensors.
WIDTHS = ("in_features", "out_features", "in_channels", "out_channels", "groups", "num_features", "num_parameters")
ADDED = ("bias", "bias_map", "constant")  # tensors that a layer may have got by pruning
REMEDY = "give the architecture that was pruned, as it was before"


def forms(model: nn.Module) -> dict[str, dict[str, Any]]:
    """Type, text and widths of each module that computes something, by name."""
    return {
        name: {
            "type": type(module).__name__,
            "text": re.sub(r" at 0x[0-9a-f]+", "", f"{type(module).__name__}({module.extra_repr()})"),
            "widths": {w: vars(module)[w] for w in WIDTHS if isinstance(vars(module).get(w), int)},
        }
        for name, module in model.named_modules()
        if not module._modules or module._parameters or module._buffers
    }


def made_by(form: Mapping[str, Any]) -> int | None:
    """How many units a layer gives, by its form."""
    return form["widths"].get("out_features", form["widths"].get("out_channels"))


def rebuild(model: nn.Module, history: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Gives a dense network, in place, the layers and tensors of a file. Raises InputError for another architecture."""
    stored, mine = history["layers"], forms(model)
    for name in [*stored, *mine]:
        if name not in mine or name not in stored:
            there, absent = ("the file", "the model") if name in stored else ("the model", "the file")
            text = (stored.get(name) or mine[name])["text"]
            raise InputError(f"{there} has a layer {name!r}, {text}, and {absent} has none: {REMEDY}")
    for name, units in dense_widths(history).items():
        if made_by(mine[name]) != units:
            raise InputError(
                f"layer {name!r} had {units} units before pruning; in the model it has {made_by(mine[name])}: {REMEDY}"
            )
    modules = dict(model.named_modules())
    for name, form in stored.items():
        module = modules[name]
        if form["type"] in OURS and type(module) in OURS[form["type"]].__mro__:
            module.__class__ = OURS[form["type"]]
        for width, value in form["widths"].items():
            if width in WIDTHS and width in mine[name]["widths"]:
                setattr(module, width, value)
    _fill(model, tensors, cut=any(step["what"] == "units" for step in history["steps"]))
    for name, form in forms(model).items():
        if form["text"] != stored[name]["text"]:
            raise InputError(
                f"layer {name!r} is {stored[name]['text']} in the file, {form['text']} in the model: {REMEDY}"
            )


def dense_widths(history: Mapping[str, Any]) -> dict[str, int]:
    """The units that layers had before pruning, as far as the history tells."""
    found: dict[str, int] = {}
    for step in history["steps"]:
        for counts in step["counts"].values():
            if counts.get("layer") is not None:
                found.setdefault(counts["layer"], counts["of"])
    return found


def _fill(model: nn.Module, tensors: Mapping[str, Tensor], *, cut: bool) -> None:
    modules, state = dict(model.named_modules()), model.state_dict(keep_vars=True)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    made: dict[int, Tensor] = {}
    for name, tensor in tensors.items():
        layer, _, own = name.rpartition(".")
        old = state.get(name)
        if layer not in modules or (old is None and own not in ADDED):
            raise InputError(f"the file has a tensor {name!r}, and the model has none: {REMEDY}")
        if old is not None and old.shape != tensor.shape and not (cut and _narrower(tensor, old)):
            raise InputError(
                f"{name!r} is {tuple(tensor.shape)} in the file, {tuple(old.shape)} in the model: {REMEDY}"
            )
        new = tensor.to(device)
        if old is None or isinstance(old, nn.Parameter):
            new = nn.Parameter(new, tensor.is_floating_point() if old is None else old.requires_grad)
        if old is not None:
            made[id(old)] = new
        setattr(modules[layer], own, new)
    for name, old in state.items():
        if id(old) not in made:
            raise InputError(f"the model has a tensor {name!r}, and the file has none: {REMEDY}")
        layer, _, own = name.rpartition(".")
        setattr(modules[layer], own, made[id(old)])


def _narrower(tensor: Tensor, old: Tensor) -> bool:
    """Whether outputs, inputs or both were taken out of a layer."""
    pairs = list(zip(tensor.shape, old.shape, strict=False))
    return tensor.ndim == old.ndim and all(a <= b for a, b in pairs[:2]) and all(a == b for a, b in pairs[2:])
