"""Training protocols: optimiser, augmentation, schedule and evaluation."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Protocol:
    """Optimiser, augmentation, schedule and evaluation; a configuration may change the first six.

    optimizer: "adam" (β = (0.9, 0.999), ε = 1e-8) or "sgd"; momentum is Nesterov's. weight_decay: of all parameters, or
    with `decay_weights_only` of weights alone, not of biases and normalisations. crop: pixels of padding from which a
    random crop of the old size is taken, zeros or with `reflect` the mirror image. alternate: an image that is flipped
    in one epoch is not in the next. schedule: see `rate`. standardize: each channel has mean 0 and standard deviation 1
    over the training images. mirror: at the end each test image is shown mirrored too, and the logits are averaged.
    """

    epochs: int
    lr: float
    flip: float = 0.0
    rotation: float = 0.0
    batch_size: int = 128
    label_smoothing: float = 0.0
    optimizer: str = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    decay_weights_only: bool = False
    crop: int = 0
    reflect: bool = False
    alternate: bool = False
    schedule: str = "constant"
    standardize: bool = False
    mirror: bool = False

    def rate(self, lr: float, step: int, steps: int) -> float:
        """Return the learning rate of step `step` (from 0) of so many steps of the whole run; `lr` is the highest.

        "triangle": linearly from lr/(rising + 1) to lr in the first 20 % of the steps, then to 0 after the last one.
        "one_cycle" (Smith and Topin 2018): along a cosine from lr/25 to lr in the first 30 % of the steps, then down to
        lr/250,000; PyTorch's OneCycleLR has the same numbers.
        """
        if self.schedule == "constant":
            return lr
        if self.schedule == "triangle":
            rising = int(0.2 * steps)
            return lr * min((step + 1) / (rising + 1), (steps - step) / (steps - rising))
        top = 0.3 * steps - 1
        if step <= top:
            low, share = lr / 25, 1 - step / top
        else:
            low, share = lr / 250_000, (step - top) / (steps - 1 - top)
        return low + (lr - low) * (1 + math.cos(math.pi * share)) / 2

    def make_optimizer(self, parameters: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
        """Return the optimiser over those of `parameters` that are learnt, each step of it one kernel."""
        learnt = [parameter for parameter in parameters if parameter.requires_grad]
        if self.optimizer == "adam":
            return torch.optim.Adam(learnt, lr=lr, weight_decay=self.weight_decay, fused=True)
        groups: list[dict[str, Any]] = [{"params": learnt}]
        if self.decay_weights_only:
            groups = [{"params": [parameter for parameter in learnt if parameter.ndim > 1]}]
            groups.append({"params": [parameter for parameter in learnt if parameter.ndim <= 1], "weight_decay": 0.0})
        return torch.optim.SGD(
            groups,
            lr=lr,
            momentum=self.momentum,
            nesterov=self.momentum > 0,
            weight_decay=self.weight_decay,
            fused=True,
        )


PROTOCOLS = {
    "paper": Protocol(epochs=200, lr=0.001, flip=0.4, rotation=30.0, optimizer="adam"),
    "depth": Protocol(epochs=10, lr=0.01),
    "modern": Protocol(epochs=200, lr=0.1, flip=0.5, momentum=0.9, weight_decay=5e-4, crop=4, schedule="one_cycle"),
    "speedrun": Protocol(
        epochs=20,
        lr=0.3,
        flip=0.5,
        batch_size=256,
        label_smoothing=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        decay_weights_only=True,
        crop=2,
        reflect=True,
        alternate=True,
        schedule="triangle",
        standardize=True,
        mirror=True,
    ),
}
