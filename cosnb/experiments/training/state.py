"""State of a run between epochs: weights, optimiser, generators and the epochs' entries."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cosnb.activations import activation
from cosnb.experiments import models
from cosnb.experiments.data import ImageData
from cosnb.experiments.data.augment import Draws, channel_statistics, draw, normalize
from cosnb.experiments.training.config import TrainingConfig
from cosnb.experiments.training.dropout import seed_dropout
from cosnb.experiments.training.protocol import PROTOCOLS

Epoch = dict[str, Any]
_WHITENING_IMAGES = 5000


class Standardized(nn.Module):
    """A network that is shown images with mean 0 and standard deviation 1 in each channel of `train_images`.

    Input as that of the others: float (B, C, H, W) in [−1, 1]. train_images: uint8 (N, C, H, W).
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, net: nn.Module, train_images: Tensor) -> None:
        super().__init__()
        self.net = net
        mean, deviation = channel_statistics(train_images)
        self.register_buffer("scale", (1 / deviation).float()[:, None, None])
        self.register_buffer("shift", (-mean / deviation).float()[:, None, None])

    def standardize(self, x: Tensor) -> Tensor:
        """Return x with mean 0 and standard deviation 1, in its shape and memory format."""
        return torch.addcmul(self.shift, x, self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, C, H, W) to logits (B, classes)."""
        out: Tensor = self.net(self.standardize(x))
        return out


class State:
    """A run at the end of an epoch: `state_dict()` holds all that the next epoch depends on.

    One seed fixes initial weights, order, augmentation and dropout, the same for every activation; all but dropout's
    masks are drawn on the CPU, so they are the same for every device too. `generator` draws order and augmentation,
    `masks` the dropout.
    """

    def __init__(self, config: TrainingConfig, seed: int, data: ImageData) -> None:
        device = data.train_images.device
        protocol = PROTOCOLS[config.protocol]
        torch.manual_seed(seed)
        act = activation(models.activation_name(config.network, config.activation))
        self.net: nn.Module = models.build(config.network, act.module(), len(data.classes), config.depth)
        scale_weights(self.net, config.gain)
        if protocol.standardize:
            built, self.net = self.net, Standardized(self.net, data.train_images)
            if isinstance(built, models.Speedrun):
                built.whiten(self.net.standardize(normalize(data.train_images[:_WHITENING_IMAGES].cpu())))
        self.net = self.net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dropouts = seed_dropout(self.net, torch.zeros_like(data.train_images[:1]).float(), config.batch_size)
        self.optimizer = protocol.make_optimizer(self.net.parameters(), config.lr)
        self.generator = torch.Generator().manual_seed(seed)
        self._draw = partial(
            draw, len(data.train_images), self.generator, config.flip, config.rotation, protocol.crop, protocol.reflect
        )
        self._mirrored = None
        if protocol.alternate:
            self._mirrored = torch.rand(len(data.train_images), generator=self.generator) < config.flip
        self.masks = torch.Generator(device).manual_seed(seed)
        self.epochs: list[Epoch] = []

    def draw_epoch(self) -> Draws:
        """Draw order and augmentation of the next epoch."""
        mirrored = self._mirrored
        if mirrored is not None and len(self.epochs) % 2:
            mirrored = ~mirrored
        return self._draw(mirrored=mirrored)

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
    """Multiply the learnt weights of convolutions and linear layers by `gain`; biases and normalisation stay."""
    for module in net.modules():
        if gain != 1.0 and isinstance(module, (nn.Conv2d, nn.Linear)) and module.weight.requires_grad:
            module.weight.mul_(gain)
