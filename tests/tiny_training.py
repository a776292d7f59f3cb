"""A network and data that train in a second, and what several tests of training need."""

import dataclasses
from importlib.util import find_spec

from torch import nn

from cosnb.experiments.data import ImageData, load
from cosnb.experiments.runner.smoke import noise
from cosnb.experiments.training import TrainingConfig
from cosnb.experiments.training.state import Epoch


def digits(train: int = 64, test: int = 50) -> ImageData:
    """So many training and test images of the digits; of noise on a machine that lacks scikit-learn, which has them."""
    if find_spec("sklearn") is None:
        full = dataclasses.replace(noise(train, test), name="digits")
    else:
        full = load("digits", train_images=train)
    return dataclasses.replace(full, test_images=full.test_images[:test], test_labels=full.test_labels[:test])


def mlp(activation: str = "cos", **changes: object) -> TrainingConfig:
    """Two blocks of Figure 15's network, with dropout, by SGD: rounding stays rounding."""
    settings = {"network": "depth_mlp", "protocol": "depth", "depth": 2, "epochs": 2, "batch_size": 24} | changes
    return TrainingConfig(activation, "digits", 64, **settings)  # type: ignore[arg-type]


def figures(epochs: list[Epoch]) -> list[list[float]]:
    """The entries without times."""
    return [[value for key, value in epoch.items() if "seconds" not in key] for epoch in epochs]


def weights(net: nn.Module) -> dict[str, list[float]]:
    """Weights and statistics as lists, for comparison bit by bit."""
    return {name: value.tolist() for name, value in net.state_dict().items()}
