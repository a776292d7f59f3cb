"""Gradients, layer by layer, of deep untrained networks of linear layers and an activation, without normalisation."""

import itertools

import torch
from torch import Tensor, nn

from cosnb.activations import activation
from cosnb.errors import CosnbError
from cosnb.experiments.data.augment import normalize
from cosnb.experiments.results.curves import spread

WIDTH = 500
CLASSES = 10
INITIAL = ("default", "he")  # PyTorch's weights, uniform of variance 1/(3n); He's, normal of variance 2/n, no biases


def gradients(
    name: str, seed: int, images: Tensor, labels: Tensor, depth: int = 20, initial: str = "default"
) -> tuple[list[float], list[float]]:
    """Return the norms of ∂L/∂v and of ∂L/∂w, v the pre-activations, of `depth` layers of 500 and the last, in order.

    images: uint8 (N, C, H, W), one batch; labels: int64 (N,). One seed gives the same weights for every activation.
    Raises CosnbError for an unknown `initial`.
    """
    if initial not in INITIAL:
        raise CosnbError(f"unknown initial weights {initial!r}: choose one of {', '.join(INITIAL)}")
    torch.manual_seed(seed)
    u = normalize(images).flatten(1)
    layers = [nn.Linear(a, b) for a, b in itertools.pairwise([u.shape[1], *[WIDTH] * depth, CLASSES])]
    if initial == "he":
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    act, signals = activation(name), []
    for layer in layers:
        v = layer(u)
        signals.append(v)
        u = act(v)
    wanted = signals + [layer.weight for layer in layers]
    found = torch.autograd.grad(nn.functional.cross_entropy(signals[-1], labels), wanted)
    norms = [gradient.norm().item() for gradient in found]
    return norms[: depth + 1], norms[depth + 1 :]


def measure(
    name: str, seed: int, images: Tensor, labels: Tensor, depth: int = 20, initial: str = "default"
) -> dict[str, float | list[float]]:
    """Return what a record keeps of `gradients`: the norms of ∂L/∂w by layer and their spread in decades."""
    _, norms = gradients(name, seed, images, labels, depth, initial)
    return {"gradient_norms": norms, "spread": spread(norms)}
