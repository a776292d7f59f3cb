"""Probes of a network during a run: dead units, and the norms of the weights' gradients.

A unit is a channel of a convolution's output, at all its places, or an output of a linear layer. It is dead where the
derivative of its activation is exactly 0 on every training image.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cosnb.activations import ActivationModule
from cosnb.experiments.data import ImageData
from cosnb.experiments.data.augment import normalize
from cosnb.experiments.training.config import TrainingConfig

BATCH = 500


def measure(net: nn.Module, config: TrainingConfig, data: ImageData, suffix: str = "") -> dict[str, Any]:
    """Return what `config.probes` ask for, as JSON types, each key with `suffix`; `net` stays as it is.

    dead_units: the mean over the layers of the share of dead units; dead_units_by_layer: those shares.
    gradient_norms: see `gradient_norms`, on the first `config.batch_size` training images.
    """
    found: dict[str, Any] = {}
    if "dead_units" in config.probes:
        shares = dead_units(net, data.train_images)
        found["dead_units"] = sum(shares) / len(shares)
        found["dead_units_by_layer"] = shares
    if "gradient_norms" in config.probes:
        part = slice(config.batch_size)
        found["gradient_norms"] = gradient_norms(net, data.train_images[part], data.train_labels[part])
    return {f"{key}{suffix}": value for key, value in found.items()}


@torch.no_grad()
def dead_units(net: nn.Module, images: Tensor) -> list[float]:
    """Return the share of dead units of each activation, in the order in which they are called.

    images: uint8 (N, C, H, W), shown as they are in evaluation mode.
    """
    alive: list[Tensor] = []
    call = 0

    def look(module: nn.Module, inputs: tuple[Tensor]) -> None:
        nonlocal call
        assert isinstance(module, ActivationModule)
        slope = module.activation.elementwise(1)(inputs[0])
        seen = (slope != 0).movedim(1, -1).flatten(0, -2).any(dim=0)  # over images and places
        if call == len(alive):
            alive.append(seen)
        else:
            alive[call] |= seen
        call += 1

    hooks = [m.register_forward_pre_hook(look) for m in net.modules() if isinstance(m, ActivationModule)]
    try:
        with _mode(net, training=False):
            for part in images.split(BATCH):
                call = 0
                net(normalize(part).contiguous(memory_format=torch.channels_last))
    finally:
        for hook in hooks:
            hook.remove()
    return [1 - float(seen.double().mean()) for seen in alive]


def gradient_norms(net: nn.Module, images: Tensor, labels: Tensor) -> list[float]:
    """Return the Euclidean norm of ∂L/∂w for the weight w of each convolution and linear layer, in their order.

    Batch normalisation takes the batch's own statistics, dropout is off, and neither moves; float32.
    """
    weights = [module.weight for module in net.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    buffers = [buffer.clone() for buffer in net.buffers()]
    with _mode(net, training=False):
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train()
        inputs = normalize(images).contiguous(memory_format=torch.channels_last)
        gradients = torch.autograd.grad(F.cross_entropy(net(inputs), labels), weights)
        with torch.no_grad():
            for buffer, value in zip(net.buffers(), buffers, strict=True):
                buffer.copy_(value)
    return torch.stack([gradient.norm() for gradient in gradients]).tolist()


@contextmanager
def _mode(net: nn.Module, training: bool) -> Iterator[None]:
    """Put every module of `net` into one mode and, in the end, each back into its own."""
    modes = [(module, module.training) for module in net.modules()]
    try:
        net.train(training)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
