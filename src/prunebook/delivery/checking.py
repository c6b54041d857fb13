"""Whether a file is what its history says."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from prunebook.delivery.plain import plain
from prunebook.delivery.rebuilding import made_by, rebuild
from prunebook.errors import DataError
from prunebook.networks.evaluating import as_written

MASK = "mask:"


def mask_name(step: int, name: str) -> str:
    """What a mask is called in a file."""
    return f"{MASK}{step}:{name}"


def digest(tensor: Tensor) -> str:
    """SHA-256 of the type, shape and values of a tensor."""
    head = f"{tensor.dtype} {tuple(tensor.shape)} ".encode()
    return hashlib.sha256(head + tensor.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()


@dataclass(frozen=True)
class Checked:
    """A file that is what its history says.

    path: the file; history: what was done, step by step, as `save` wrote it; tensors: parameters, buffers and masks by
    name. Printing tells the steps and what was checked.
    """

    path: Path
    history: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @cached_property
    def weight_masks(self) -> dict[str, Tensor]:
        """For each layer with masked weights, those that all masks keep."""
        found: dict[str, Tensor] = {}
        for place, step in enumerate(self.history["steps"]):
            for name in step["counts"] if step["what"] == "weights" and step["masks"] else ():
                mask = self.tensors[mask_name(place, name)]
                found[name] = found[name] & mask if name in found else mask
        return found

    def __str__(self) -> str:
        lines = [f"{self.path} is what its history says"]
        for place, step in enumerate(self.history["steps"], 1):
            how = step["method"]["name"] if step["what"] == "weights" else f"replaced by {step['replacement']}"
            lines.append(f"{place}. {step['what']}, {how}")
            lines += [f"   {name or '(model)'}: {c['removed']} of {c['of']}" for name, c in step["counts"].items()]
            lines += [f"   {note}" for note in step["notes"]]
        zeros = sum(int((~mask).sum()) for mask in self.weight_masks.values())
        checked = f"{len(self.tensors)} checksums, {self.history['parameters']} parameters, {zeros} zeros under masks"
        return "\n".join([*lines, f"checked: {checked}, the counts of all masks, the widths of layers without units"])


@as_written()
def verify(path: str | os.PathLike, model: nn.Module | None = None) -> Checked:
    """Whether a file that `save` wrote is what its history says, and fits the architecture of `model` if one is given.

    Each tensor has its checksum, and so has the history; masks remove as many weights and units as it tells; weights
    under masks are zero; layers are as narrow as they are without the units that went; the parameters are as many. This
    finds damage and mistakes. Whoever forges a file can compute new checksums, so it is no signature.

    Parameters
    ----------
    path : str or path
        The file.
    model : nn.Module, optional
        The architecture before pruning; `load` must be able to build the network on it.

    Returns
    -------
    Checked
        The history and the tensors; printed, a short report.

    Raises
    ------
    DataError
        For a file that is missing, damaged, or not what its history says. Names file and place.
    InputError
        For another architecture.

    Examples
    --------
    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> import prunebook as pb
    >>> pruned = pb.prune(torch.nn.Linear(4, 2), torch.randn(20, 4), ratio=0.5, method="magnitude")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pb.save(pruned, Path(folder) / "half.safetensors")
    ...     checked = pb.verify(Path(folder) / "half.safetensors")
    >>> checked.history["steps"][0]["counts"][""]
    {'of': 8, 'removed': 4}
    """
    checked = _read(Path(path))
    for place, step in enumerate(checked.history["steps"]):
        for name, count in step["counts"].items() if step["masks"] else ():
            mask = checked.tensors.get(mask_name(place, name))
            removed = mask if step["what"] == "units" or mask is None else ~mask
            if removed is None or (removed.numel(), int(removed.sum())) != (count["of"], count["removed"]):
                raise DataError(f"{path}: the mask of {name!r} does not remove {count['removed']} of {count['of']}")
    for name, mask in checked.weight_masks.items():
        weight = checked.tensors.get(f"{name}.weight" if name else "weight")
        if weight is None or weight.shape != mask.shape or weight[~mask].any():
            raise DataError(f"{path}: layer {name!r} has weights other than zero where its mask removes them")
    _check_widths(checked)
    if model is not None:
        rebuilt(checked, model)
    return checked


def rebuilt(checked: Checked, model: nn.Module) -> nn.Module:
    """The network of a file, on a copy of the dense one; masks are not put on."""
    made = plain(model)
    own = {name: tensor for name, tensor in checked.tensors.items() if not name.startswith(MASK)}
    rebuild(made, checked.history, own)
    return made


def _read(path: Path) -> Checked:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise DataError(f"{path} is no file that can be read: {error.strerror}") from error
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dictionary
    except SafetensorError as error:
        raise DataError(f"{path} is no whole safetensors file ({error}): copy or save it again") from error
    if "history" not in metadata:
        raise DataError(f"{path} has no history: give a file that prunebook.save wrote")
    checksum, _, text = metadata["history"].partition(" ")
    if hashlib.sha256(text.encode()).hexdigest() != checksum:
        raise DataError(f"{path}: the history was changed after it was written")
    history = json.loads(text)
    for name in sorted(tensors.keys() ^ history["sha256"].keys()):
        raise DataError(f"{path}: tensor {name!r} is {'not in' if name in tensors else 'only in'} the history")
    for name, tensor in tensors.items():
        if digest(tensor) != history["sha256"][name]:
            raise DataError(f"{path}: tensor {name!r} was changed after it was written")
    return Checked(path, history, tensors)


def _check_widths(checked: Checked) -> None:
    """Widths of layers whose units went, after the last step that took some, and the number of parameters."""
    history, left = checked.history, {}
    for step in history["steps"]:
        left |= {c["layer"]: c["of"] - c["removed"] for c in step["counts"].values() if c.get("layer") is not None}
    for layer, units in left.items():
        if made_by(history["layers"][layer]) != units or units not in checked.tensors[f"{layer}.weight"].shape[:2]:
            raise DataError(f"{checked.path}: layer {layer!r} does not have the {units} units that its history leaves")
    others = {name for name in checked.tensors if name.startswith(MASK)} | set(history["buffers"])
    count = sum(tensor.numel() for name, tensor in checked.tensors.items() if name not in others)
    if count != history["parameters"]:
        raise DataError(f"{checked.path} has {count} parameters, and its history tells of {history['parameters']}")
