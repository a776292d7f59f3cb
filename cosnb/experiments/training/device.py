"""Capabilities of a device, and its description in a record."""

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from cosnb.errors import CosnbError
from cosnb.kernels.timing import cpu_name
from cosnb.kernels.torch_internals import cpu_multiplies_bfloat16

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt's parameters in glibc
_LARGEST = 1 << 30  # bytes


@contextmanager
def memory_kept(device: torch.device) -> Iterator[None]:
    """Let the C library keep freed memory for the next step on a CPU, in place of giving it back to the system.

    Large tensors would else come anew from the kernel in each step, page by page, zeroed: SqueezeNet's step, batch 128,
    float32, one thread, takes 0.447 s of processor time in place of 0.547 s. Done for glibc; elsewhere nothing.
    """
    glibc = device.type == "cpu" and sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
    library = ctypes.CDLL(None) if glibc else None
    if library is None:
        yield
        return
    library.mallopt(_MMAP_THRESHOLD, _LARGEST)
    library.mallopt(_TRIM_THRESHOLD, _LARGEST)
    try:
        yield
    finally:  # to where glibc's own adjustment ends up in a program that has freed large blocks
        library.mallopt(_MMAP_THRESHOLD, 32 << 20)
        library.mallopt(_TRIM_THRESHOLD, 64 << 20)
        library.malloc_trim(0)


def require_device(name: str) -> None:
    """Raise CosnbError where `name` is neither "cpu" nor a CUDA device that is here."""
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not (number.isdecimal() and kind == "cuda")):
        raise CosnbError(f"unknown device {name!r}: give cpu, cuda or cuda:1")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cuda" and int(number or 0) >= count:
        raise CosnbError(f"device {name!r} is not here: PyTorch sees {count} CUDA devices; give another one, or cpu")


def resolve_precision(precision: str, device: str | torch.device) -> str:
    """Return `precision`; for "auto" the fastest that `device` has units for: "bfloat16" on CUDA, else "float32"."""
    if precision != "auto":
        return precision
    return "bfloat16" if torch.device(device).type == "cuda" and multiplies_bfloat16(device) else "float32"


def multiplies_bfloat16(device: str | torch.device) -> bool:
    """Say whether `device` has units that multiply bfloat16: a GPU of 2020 or later, AVX512-BF16 or AMX of a CPU.

    Others emulate it, and are slower than in float32 (a Tesla T4, for one).
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return cpu_multiplies_bfloat16()


def describe_device(device: str | torch.device) -> dict[str, Any]:
    """Return name and type of `device`, as a record keeps them.

    With a CPU's number of threads; with whether convolutions of float32 take TF32's 10 bits on CUDA, as they do where
    nobody has said otherwise.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return {"name": torch.cuda.get_device_name(device), "type": "cuda", "tf32": torch.backends.cudnn.allow_tf32}
    return {"name": cpu_name(), "type": device.type, "threads": torch.get_num_threads()}
