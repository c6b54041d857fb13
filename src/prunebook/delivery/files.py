"""A pruned network in one safetensors file, together with what was done to it. A file holds tensors and text only."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as as_bytes
from torch import nn
from torch.nn.utils import prune as torch_prune

from prunebook import __version__
from prunebook.delivery.checking import digest, mask_name, rebuilt, verify
from prunebook.delivery.plain import plain, results, tensors_of
from prunebook.delivery.rebuilding import forms, made_by
from prunebook.errors import InputError
from prunebook.networks.evaluating import as_written
from prunebook.paths import replacing
from prunebook.units import PrunedUnits, unit_layers
from prunebook.units.forward import leaves
from prunebook.weights import Pruned


@as_written()
def save(pruned: Any, path: str | os.PathLike) -> None:
    """Writes a pruned network, its masks and the history of its pruning into one safetensors file.

    The network is that of the (last) result as it is now, fine-tuned or not. The history tells methods, ratios, counts
    and notes, and a checksum of each tensor; `verify` checks them. The file has no pickle in it, and no date: the same
    network gives the same bytes.

    Parameters
    ----------
    pruned : Pruned, PrunedUnits or a list of them
        What `prune` or `prune_units` returned. Of several steps give all, first to last.
    path : str or path
        The file; one that is there is replaced once the new one is whole.

    Raises
    ------
    InputError
        For what is no such result, for weights under a mask that are other than zero, and for a network without units
        that the masks name.

    Examples
    --------
    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> import prunebook as pb
    >>> model, data = torch.nn.Linear(4, 2), torch.randn(20, 4)
    >>> pruned = pb.prune(model, data, ratio=0.5)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pb.save(pruned, Path(folder) / "half.safetensors")
    ...     again = pb.load(Path(folder) / "half.safetensors", torch.nn.Linear(4, 2))
    >>> torch.equal(again(data), pruned.model(data))
    True
    """
    steps, path = results(pruned), Path(path)
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}: make it first")
    model = plain(steps[-1])
    tensors = tensors_of(model)
    # Masks of weights fit as long as no units were taken out afterwards.
    last = max((place for place, step in enumerate(steps) if not isinstance(step, Pruned)), default=-1)
    told = []
    for place, step in enumerate(steps):
        told.append(_of_weights(step, place > last) if isinstance(step, Pruned) else _of_units(step))
        if told[-1]["masks"]:
            tensors |= {mask_name(place, name): mask.cpu().contiguous() for name, mask in step.masks.items()}
    for name, mask in ((n, m) for step in steps[last + 1 :] for n, m in step.masks.items()):
        weight = model.get_submodule(name).weight
        if weight.shape != mask.shape or weight[~mask.to(weight.device)].any():
            raise InputError(
                f"layer {name!r} has weights other than zero where its mask removes them: make masks permanent after "
                "the last training step, not before, and give all steps of pruning in order"
            )
    history = {
        "prunebook": __version__,
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "buffers": sorted(dict(model.named_buffers()).keys() & tensors.keys()),
        "steps": told,
        "layers": forms(model),
        "sha256": {name: digest(tensor) for name, tensor in sorted(tensors.items())},
    }
    text = json.dumps(history, sort_keys=True)
    # One entry, as safetensors writes several in any order.
    metadata = {"history": f"{hashlib.sha256(text.encode()).hexdigest()} {text}"}
    with replacing(path) as file:
        file.write(as_bytes(tensors, metadata))


@as_written()
def load(path: str | os.PathLike, model: nn.Module) -> nn.Module:
    """The network of a file that `save` wrote, built on a copy of `model`; bit for bit what was saved.

    The file is verified first. Removed units make layers of the copy narrower; masks are those of
    `torch.nn.utils.prune` again, so that fine-tuning keeps removed weights at zero.

    Parameters
    ----------
    path : str or path
        The file.
    model : nn.Module
        The architecture before pruning, with any weights. It stays as it is; its device and mode are kept.

    Raises
    ------
    DataError
        For a file that is missing, damaged, or not what its history says.
    InputError
        For another architecture; names the layer, and what it is in the file and in `model`.

    Examples
    --------
    See `save`.

    >>> import torch
    >>> import prunebook as pb
    >>> pb.load("nothing.safetensors", torch.nn.Linear(4, 2))
    Traceback (most recent call last):
    ...
    prunebook.errors.DataError: nothing.safetensors is no file that can be read: No such file or directory
    """
    checked = verify(path)
    made = rebuilt(checked, model)
    for name, mask in checked.weight_masks.items():
        layer = made.get_submodule(name)
        torch_prune.custom_from_mask(layer, "weight", mask.to(layer.weight.device))
    return made


def _of_weights(step: Pruned, masks: bool) -> dict[str, Any]:
    method = {name: getattr(step.method, name) for name in ("name", "criterion", "compensation")}
    return {
        "what": "weights",
        "method": method,
        "ratio": step.ratio,
        "reached": step.reached,
        "counts": {name: {"of": mask.numel(), "removed": int((~mask).sum())} for name, mask in step.masks.items()},
        "masks": masks,
        "notes": list(step.notes),
    }


def _of_units(step: PrunedUnits) -> dict[str, Any]:
    counts = {name: {"of": len(mask), "removed": int(mask.sum())} for name, mask in step.masks.items()}
    for name, count in counts.items():
        count["layer"] = _layer(step.model, name, count["of"] - count["removed"])
    return {
        "what": "units",
        "replacement": "zero" if step.means is None else "constant",
        "counts": counts,
        "masks": True,
        "left_alone": dict(step.left_alone),
        "difference": step.difference,
        "notes": list(step.notes),
    }


def _layer(model: nn.Module, site: str, units: int) -> str | None:
    """The layer whose outputs are the units of a site, and nothing else; None where there is no such layer."""
    name = site
    if site not in dict(model.named_modules()):
        name = {s.name: list(leaves(model))[s.producer] for s in unit_layers(model)}[site]
    width = made_by(forms(model)[name])
    return name if width == units else None
