"""The networks of Figure 15, of any depth: one of linear blocks only, one with two convolutions before them."""

from torch import nn

WIDTH = 500
DROPOUT = 0.25


def blocks(features: int, depth: int, activation: nn.Module, classes: int) -> list[nn.Module]:
    """Return `depth` × [linear to 500, batch normalisation, activation, dropout], then linear to `classes`."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(features, WIDTH), nn.BatchNorm1d(WIDTH), activation, nn.Dropout(DROPOUT)]
        features = WIDTH
    return [*layers, nn.Linear(features, classes)]


class DepthMLP(nn.Sequential):
    """The primary variant, as the prose of the Mish paper has it: images (B, 1, 28, 28) → logits (B, classes)."""

    def __init__(self, activation: nn.Module, classes: int = 10, depth: int = 15) -> None:
        super().__init__(nn.Flatten(), *blocks(28 * 28, depth, activation, classes))


class DepthConv(nn.Sequential):
    """The second variant, as that paper's published notebook has it: images (B, 1, 28, 28) → logits (B, classes)."""

    def __init__(self, activation: nn.Module, classes: int = 10, depth: int = 15) -> None:
        super().__init__(
            nn.Conv2d(1, 20, 5),
            activation,
            nn.Conv2d(20, 50, 5),
            activation,
            nn.MaxPool2d(2),
            nn.Dropout(DROPOUT),
            nn.Flatten(),
            *blocks(50 * 10 * 10, depth, activation, classes),
        )
