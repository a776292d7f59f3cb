"""The protocols: what an experiment fixes besides its network, activation, data and seed."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Protocol:
    """Optimiser, augmentation and schedule; `epochs`, `lr`, `flip` and `rotation` are what a configuration may change.

    optimizer: "adam" (β = (0.9, 0.999), ε = 1e-8) or "sgd"; momentum is Nesterov's. crop: pixels of zero padding from
    which a random crop of the old size is taken. one_cycle: the rate rises and falls again, else it stays.
    """

    epochs: int
    lr: float
    flip: float = 0.0
    rotation: float = 0.0
    optimizer: str = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    crop: int = 0
    one_cycle: bool = False

    def rate(self, lr: float, step: int, steps: int) -> float:
        """Return the learning rate of step `step` (from 0) of so many steps of the whole run; `lr` is the highest.

        One cycle (Smith and Topin 2018): along a cosine from lr/25 to lr in the first 30 % of the steps, then down to
        lr/250,000; PyTorch's OneCycleLR has the same numbers.
        """
        if not self.one_cycle:
            return lr
        top = 0.3 * steps - 1
        if step <= top:
            low, share = lr / 25, 1 - step / top
        else:
            low, share = lr / 250_000, (step - top) / (steps - 1 - top)
        return low + (lr - low) * (1 + math.cos(math.pi * share)) / 2

    def make_optimizer(self, parameters: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
        """Return the optimiser over `parameters`, each step of it one kernel."""
        if self.optimizer == "adam":
            return torch.optim.Adam(parameters, lr=lr, weight_decay=self.weight_decay, fused=True)
        return torch.optim.SGD(
            parameters,
            lr=lr,
            momentum=self.momentum,
            nesterov=self.momentum > 0,
            weight_decay=self.weight_decay,
            fused=True,
        )


PROTOCOLS = {
    "paper": Protocol(epochs=200, lr=0.001, flip=0.4, rotation=30.0, optimizer="adam"),
    "depth": Protocol(epochs=10, lr=0.01),
    "modern": Protocol(epochs=200, lr=0.1, flip=0.5, momentum=0.9, weight_decay=5e-4, crop=4, one_cycle=True),
}
