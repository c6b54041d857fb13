"""What a study computes on, and how exactly: the device and the precision that a person chose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prunebook.errors import InputError

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("single", "bf16", "tf32")


def resolve_device(device: str) -> str:
    """ "cpu" or "cuda"; "auto" takes the GPU if there is one. Raises InputError if it cannot be had."""
    import torch

    if device not in DEVICES:
        raise InputError(f"device {device!r} is unknown: use {', '.join(DEVICES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' is not available (torch.cuda.is_available() is False): use cpu or auto")
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def check_precision(precision: str, device: str) -> str:
    """Return ``precision``, or raise InputError: it is unknown, or not to be had on this device.

    "single" is float32 throughout; "bf16" computes in bfloat16 what autocast does (on any processor, and fast on one
    with instructions for it); "tf32" cuts the factors of products to 10 bits, on an Ampere GPU or a newer one.
    """
    import torch

    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is unknown: use {', '.join(PRECISIONS)}")
    cuda = str(device).startswith("cuda")
    if precision == "tf32" and not (cuda and torch.cuda.get_device_capability(device)[0] >= 8):
        raise InputError(f"precision 'tf32' cannot be had on {device}, only on newer GPUs: use single or bf16")
    if precision == "bf16" and cuda and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise InputError("precision 'bf16' cannot be had on this GPU: use single")
    return precision


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Products of float32 in float32, or in TF32 where that was asked for, whatever PyTorch is set to outside."""
    import torch

    gpu = "tf32" if precision == "tf32" else "ieee"
    wanted = {
        torch.backends.cuda.matmul: gpu,
        torch.backends.cudnn.conv: gpu,
        torch.backends.mkldnn.matmul: "ieee",
        torch.backends.mkldnn.conv: "ieee",
    }
    before = {backend: backend.fp32_precision for backend in wanted}
    try:
        for backend, value in wanted.items():
            backend.fp32_precision = value
        yield
    finally:
        for backend, found in before.items():
            backend.fp32_precision = "none"  # takes what is set for all backends, as it may have done before
            if backend.fp32_precision != found:
                backend.fp32_precision = found
