"""ShuffleNet v2 at width 1 for 32 × 32 images, as protocol `paper` has it (Ma et al. 2018, arXiv:1807.11164)."""

import torch
from torch import Tensor, nn

STAGES = ((116, 3), (232, 7), (464, 3))  # output channels, basic units after the down unit


def pointwise(channels_in: int, channels_out: int, activation: nn.Module) -> list[nn.Module]:
    """Return convolution 1 × 1 with bias, batch normalisation, activation."""
    return [nn.Conv2d(channels_in, channels_out, 1), nn.BatchNorm2d(channels_out), activation]


def depthwise(channels: int, stride: int) -> list[nn.Module]:
    """Return convolution 3 × 3 with bias, each channel by itself, and batch normalisation."""
    conv = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels)
    return [conv, nn.BatchNorm2d(channels)]


def interleave(shortcut: Tensor, residual: Tensor) -> Tensor:
    """Concatenate two (B, C, H, W) and shuffle the 2C channels in 2 groups: shortcut's and residual's by turns.

    One copy in place of two, in the memory format of `residual`.
    """
    if residual.is_contiguous(memory_format=torch.channels_last) and not residual.is_contiguous():
        pairs = torch.stack((shortcut.permute(0, 2, 3, 1), residual.permute(0, 2, 3, 1)), dim=4)
        return pairs.flatten(3).permute(0, 3, 1, 2)
    return torch.stack((shortcut, residual), dim=2).flatten(1, 2)


class Down(nn.Module):
    """Half the height and width: two branches, each over all input channels."""

    def __init__(self, channels_in: int, channels_out: int, activation: nn.Module) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *pointwise(channels_in, channels_in, activation),
            *depthwise(channels_in, 2),
            *pointwise(channels_in, channels_out // 2, activation),
        )
        self.shortcut = nn.Sequential(
            *depthwise(channels_in, 2), *pointwise(channels_in, channels_out // 2, activation)
        )

    def forward(self, x: Tensor) -> Tensor:
        return interleave(self.shortcut(x), self.residual(x))


class Basic(nn.Module):
    """The first half of the channels passes through; the second half is worked on."""

    def __init__(self, channels: int, activation: nn.Module) -> None:
        super().__init__()
        half = channels // 2
        self.residual = nn.Sequential(
            *pointwise(half, half, activation), *depthwise(half, 1), *pointwise(half, half, activation)
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut, x = x.chunk(2, dim=1)
        return interleave(shortcut, self.residual(x))


class ShuffleNetV2(nn.Module):
    """ShuffleNet v2: 1,268,646 parameters, 43.6 M multiply-accumulates, 36 activation calls an image (10 classes)."""

    def __init__(self, activation: nn.Module, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 3, padding=1), nn.BatchNorm2d(24))
        units: list[nn.Module] = []
        channels = 24
        for wider, basic in STAGES:
            units.append(Down(channels, wider, activation))
            units += [Basic(wider, activation) for _ in range(basic)]
            channels = wider
        self.units = nn.Sequential(*units)
        self.features = nn.Sequential(*pointwise(channels, 1024, activation))
        self.head = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, 32, 32) to logits (B, classes)."""
        x = self.features(self.units(self.stem(x)))
        return self.head(x.mean(dim=(2, 3)))
