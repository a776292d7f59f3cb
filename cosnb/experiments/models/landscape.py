"""The network of Figure 16, whose output over a square of the plane is drawn: 2–64–32–16–1."""

from itertools import pairwise

from torch import nn

WIDTHS = (2, 64, 32, 16, 1)


class Landscape(nn.Sequential):
    """A network of linear layers, each followed by the activation, the last too: points (B, 2) → heights (B, 1)."""

    def __init__(self, activation: nn.Module) -> None:
        layers: list[nn.Module] = []
        for width, wider in pairwise(WIDTHS):
            layers += [nn.Linear(width, wider), activation]
        super().__init__(*layers)
