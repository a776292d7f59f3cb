"""The networks of the experiments, each built around the activation under test."""

import sys
from collections.abc import Callable
from pathlib import Path

from torch import nn

from cosnb.errors import CosnbError
from cosnb.experiments.models.depth import DepthConv, DepthMLP
from cosnb.experiments.models.landscape import Landscape
from cosnb.experiments.models.mobilenet_v2 import MobileNetV2
from cosnb.experiments.models.shufflenet_v2 import ShuffleNetV2
from cosnb.experiments.models.speedrun import Speedrun, speedrun_wide
from cosnb.experiments.models.squeezenet import SqueezeNet, squeezenet_half

__all__ = ["NETWORKS", "Landscape", "Speedrun", "activation_name", "build", "code_file", "has_depth", "input_shape"]

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "squeezenet": SqueezeNet,
    "shufflenet_v2": ShuffleNetV2,
    "mobilenet_v2": MobileNetV2,
    "depth_mlp": DepthMLP,
    "depth_conv": DepthConv,
    "speedrun": Speedrun,
    "speedrun_wide": speedrun_wide,
    "squeezenet_half": squeezenet_half,
}
_DEPTH = ("depth_mlp", "depth_conv")


def build(network: str, activation: nn.Module, classes: int = 10, depth: int = 0) -> nn.Module:
    """Return the network called `network` with fresh weights and `activation`, one module used at every place.

    Input: float (B, *input_shape(network)); output: logits (B, classes). `depth`: the number of blocks of `depth_mlp`
    and `depth_conv`, 0 for the others. Raises CosnbError for an unknown name and for a depth that does not fit.
    """
    if not has_depth(network):
        if depth != 0:
            raise CosnbError(f"{network} has no depth to choose, got {depth}: those that have are {', '.join(_DEPTH)}")
        return NETWORKS[network](activation, classes)
    if depth < 1:
        raise CosnbError(f"{network} needs a depth of at least 1, got {depth}")
    return NETWORKS[network](activation, classes, depth)


def has_depth(network: str) -> bool:
    """Return whether `network` has a depth to choose. Raises CosnbError for an unknown name."""
    _check(network)
    return network in _DEPTH


def input_shape(network: str) -> tuple[int, int, int]:
    """Return channels, height and width of the images that `network` takes. Raises CosnbError for an unknown name."""
    return (1, 28, 28) if has_depth(network) else (3, 32, 32)


def activation_name(network: str, name: str) -> str:
    """Return the catalogue's name of what takes the place of `name` in `network`: ReLU6 for ReLU in MobileNet v2."""
    _check(network)
    return "relu6" if (network, name) == ("mobilenet_v2", "relu") else name


def code_file(network: str) -> Path:
    """Return the path of the one file that decides what `network` computes."""
    _check(network)
    return Path(str(sys.modules[NETWORKS[network].__module__].__file__)).resolve()


def _check(network: str) -> None:
    if network not in NETWORKS:
        raise CosnbError(f"unknown network {network!r}: choose one of {', '.join(NETWORKS)}")
