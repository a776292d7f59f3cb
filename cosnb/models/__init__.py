"""The networks of the experiments, each built around the activation under test."""

from collections.abc import Callable

from torch import nn

from cosnb.errors import CosnbError
from cosnb.models.squeezenet import SqueezeNet

NETWORKS: dict[str, Callable[[nn.Module, int], nn.Module]] = {"squeezenet": SqueezeNet}


def build(network: str, activation: nn.Module, classes: int = 10) -> nn.Module:
    """Return the network called `network` with `activation` (one module, used at every place) and fresh weights.

    Input float (B, 3, 32, 32), output logits (B, classes). Raises CosnbError for an unknown name.
    """
    if network not in NETWORKS:
        raise CosnbError(f"unknown network {network!r}: choose one of {', '.join(NETWORKS)}")
    return NETWORKS[network](activation, classes)
