"""The shortest proof that captured runs work on a device: two networks, four activations, images of noise."""

import math
from collections.abc import Callable

import torch

from cosnb.errors import CosnbError
from cosnb.experiments.data import ImageData, cifar10
from cosnb.experiments.runner.ahead import compile_ahead
from cosnb.experiments.training.config import TrainingConfig
from cosnb.experiments.training.device import resolve_precision
from cosnb.experiments.training.streams import train_streams

ACTIVATIONS = ("relu", "swish", "mish", "cos")
NETWORKS = {"squeezenet": "paper", "speedrun_wide": "speedrun"}  # and their protocols
# A last batch of 80 as that of CIFAR-10's epochs, for which code is built too
_TRAIN, _TEST, _EPOCHS = 4 * 256 + 80, 500, 2


def smoke(device: str, say: Callable[[str], None] = print, images: tuple[int, int] = (_TRAIN, _TEST)) -> None:
    """Train all activations side by side, network by network; CosnbError where a loss is not that of a training."""
    data = noise(*images)
    for network, protocol in NETWORKS.items():
        precision = resolve_precision("auto", device)
        settings = {"network": network, "protocol": protocol, "epochs": _EPOCHS, "precision": precision}
        jobs = [
            (TrainingConfig(name, data.name, len(data.train_images), **settings), 0)  # type: ignore[arg-type]
            for name in ACTIVATIONS
        ]
        compile_ahead(jobs, data, device)
        for (config, _), outcome in train_streams(jobs, data, device).items():
            last = outcome.epochs[-1]
            loss, speed = last["train_loss"], config.train_images / last["train_seconds"]
            say(f"{network}, {config.activation}: {outcome.status}, loss {loss:.3f}, {speed:,.0f} images/s")
            if outcome.status != "ok" or not 0 < loss < 10 or not math.isfinite(last["test_loss"]):
                raise CosnbError(f"{network} with {config.activation} does not train on {device}: loss {loss}")


def noise(train: int, test: int) -> ImageData:
    """Return random images and labels in CIFAR-10's place."""
    generator = torch.Generator().manual_seed(0)

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
        return images, torch.randint(0, len(cifar10.CLASSES), (count,), generator=generator)

    return ImageData("cifar10", cifar10.CLASSES, *part(train), *part(test), "noise")
