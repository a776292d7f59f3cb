"""What one run changes as it goes: weights, optimiser, generators and the epochs' entries."""

from typing import Any

import torch
from torch import nn

from cosnb import models
from cosnb.activation import activation
from cosnb.data import ImageData
from cosnb.training.config import TrainingConfig
from cosnb.training.dropout import seed_dropout
from cosnb.training.protocol import PROTOCOLS

Epoch = dict[str, Any]


class State:
    """A run at the end of an epoch: `state_dict()` holds all that the next epoch depends on.

    One seed fixes initial weights, order, augmentation and dropout, the same for every activation; all but dropout's
    masks are drawn on the CPU, so they are the same for every device too. `generator` draws order and augmentation,
    `masks` the dropout.
    """

    def __init__(self, config: TrainingConfig, seed: int, data: ImageData) -> None:
        device = data.train_images.device
        torch.manual_seed(seed)
        act = activation(models.activation_name(config.network, config.activation))
        self.net = models.build(config.network, act.module(), len(data.classes), config.depth)
        scale_weights(self.net, config.gain)
        self.net = self.net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dropouts = seed_dropout(self.net, torch.zeros_like(data.train_images[:1]).float(), config.batch_size)
        self.optimizer = PROTOCOLS[config.protocol].make_optimizer(self.net.parameters(), config.lr)
        self.generator = torch.Generator().manual_seed(seed)
        self.masks = torch.Generator(device).manual_seed(seed)
        self.epochs: list[Epoch] = []

    def draw_masks(self) -> None:
        """Draw the dropout of the next step."""
        for layer in self.dropouts:
            layer.draw(layer.keep, self.masks)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors, numbers and containers of them."""
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "masks": self.masks.get_state(),
            "epochs": self.epochs,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        self.masks.set_state(state["masks"].cpu())
        self.epochs = list(state["epochs"])


@torch.no_grad()
def scale_weights(net: nn.Module, gain: float) -> None:
    """Multiply the weights of every convolution and linear layer by `gain`; biases and normalisation stay."""
    for module in net.modules():
        if gain != 1.0 and isinstance(module, (nn.Conv2d, nn.Linear)):
            module.weight.mul_(gain)
