"""What a device can do, and how it is called in a record."""

import platform
from typing import Any

import torch


def resolve_precision(precision: str, device: str | torch.device) -> str:
    """Return `precision`, or for "auto" the fastest that `device` has units for: bfloat16 on CUDA, else float32."""
    if precision != "auto":
        return precision
    return "bfloat16" if torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported() else "float32"


def describe_device(device: str | torch.device) -> dict[str, Any]:
    """Return name, type and, for a CPU, the number of threads of `device`, as a record keeps them."""
    device = torch.device(device)
    if device.type == "cuda":
        return {"name": torch.cuda.get_device_name(device), "type": "cuda"}
    return {"name": _cpu_name(), "type": device.type, "threads": torch.get_num_threads()}


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()
