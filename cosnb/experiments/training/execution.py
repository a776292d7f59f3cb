"""Execution of a network, operation by operation or compiled, and the warm-up before the clock starts.

On a CPU operation by operation is the default: the activations run as C code there, convolutions as oneDNN's, and
compiling a whole SqueezeNet took 60 to 160 s on two busy cores to save less than the noise of its step.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cosnb.errors import CosnbError
from cosnb.experiments.data.augment import normalize

EXECUTIONS = ("auto", "eager", "compile")
Forward = Callable[[Tensor], Tensor]


def resolve_execution(execution: str, device: str | torch.device) -> str:
    """Return `execution`, or for "auto" "compile" on CUDA and "eager" elsewhere; CosnbError for an unknown one."""
    if execution not in EXECUTIONS:
        raise CosnbError(f"unknown execution {execution!r}: choose one of {', '.join(EXECUTIONS)}")
    if execution != "auto":
        return execution
    return "compile" if torch.device(device).type == "cuda" else "eager"


def make_forward(net: nn.Module, execution: str) -> Forward:
    """Return what maps normalised images to logits: `net` itself, or `net` compiled for each batch size by itself."""
    if execution == "eager":
        return net
    compiled: Forward = torch.compile(net, dynamic=False)
    return compiled


def logits(forward: Forward, images: Tensor, precision: str) -> Tensor:
    """Return float32 logits (B, classes) of uint8 images (B, C, H, W), which are normalised first."""
    inputs = normalize(images).contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        return forward(inputs).float()


def warm_up(net: nn.Module, forward: Forward, images: Tensor, train: set[int], test: set[int], precision: str) -> None:
    """Have all code built before the clock starts; weights, statistics and generators stay as they are.

    train, test: the batch sizes of a training epoch and of an evaluation. `images` gives shape and device only.
    """
    buffers = [buffer.clone() for buffer in net.buffers()]
    net.train()
    for size in sorted(train):
        blank = torch.zeros((size, *images.shape[1:]), dtype=torch.uint8, device=images.device)
        out = logits(forward, blank, precision)
        F.cross_entropy(out, torch.zeros(size, dtype=torch.int64, device=images.device)).backward()
        net.zero_grad()
    net.eval()
    with torch.no_grad():
        for size in sorted(test):
            blank = torch.zeros((size, *images.shape[1:]), dtype=torch.uint8, device=images.device)
            logits(forward, blank, precision)
        for buffer, value in zip(net.buffers(), buffers, strict=True):
            buffer.copy_(value)
