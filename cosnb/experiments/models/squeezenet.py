"""SqueezeNet for 32 × 32 images, as protocol `paper` has it (Iandola et al. 2016, with batch normalisation)."""

import torch
from torch import Tensor, nn


class ConvNormAct(nn.Sequential):
    """Convolution, batch normalisation, activation: (B, in, H, W) → (B, out, H, W)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, activation: nn.Module, bias: bool) -> None:
        conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=bias)
        super().__init__(conv, nn.BatchNorm2d(channels_out), activation)


class Fire(nn.Module):
    """Squeeze to few channels, then expand by a 1 × 1 and a 3 × 3 convolution side by side, concatenated."""

    def __init__(self, channels_in: int, channels_out: int, squeeze: int, activation: nn.Module, bias: bool) -> None:
        super().__init__()
        self.squeeze = ConvNormAct(channels_in, squeeze, 1, activation, bias)
        self.expand_1x1 = ConvNormAct(squeeze, channels_out // 2, 1, activation, bias)
        self.expand_3x3 = ConvNormAct(squeeze, channels_out // 2, 3, activation, bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([self.expand_1x1(x), self.expand_3x3(x)], dim=1)


class SqueezeNet(nn.Module):
    """SqueezeNet: 734,986 parameters, 52.5 M multiply-accumulates, 25 activation calls an image (10 classes).

    Every channel count is divided by `divisor`; bias: of the convolutions.
    """

    def __init__(self, activation: nn.Module, classes: int = 10, divisor: int = 1, bias: bool = True) -> None:
        super().__init__()

        def fire(channels_in: int, channels_out: int, squeeze: int) -> Fire:
            return Fire(channels_in // divisor, channels_out // divisor, squeeze // divisor, activation, bias)

        self.stem = ConvNormAct(3, 96 // divisor, 3, activation, bias)
        self.pool = nn.MaxPool2d(2)
        self.fire2 = fire(96, 128, 16)
        self.fire3 = fire(128, 128, 16)
        self.fire4 = fire(128, 256, 32)
        self.fire5 = fire(256, 256, 32)
        self.fire6 = fire(256, 384, 48)
        self.fire7 = fire(384, 384, 48)
        self.fire8 = fire(384, 512, 64)
        self.fire9 = fire(512, 512, 64)
        self.head = nn.Conv2d(512 // divisor, classes, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, 32, 32) to logits (B, classes)."""
        x = self.pool(self.stem(x))
        x = self.fire2(x)
        x = self.fire3(x) + x
        x = self.pool(self.fire4(x))
        x = self.fire5(x) + x
        x = self.fire6(x)
        x = self.fire7(x) + x
        x = self.pool(self.fire8(x))
        x = self.fire9(x)
        return self.head(x).mean(dim=(2, 3))


def squeezenet_half(activation: nn.Module, classes: int = 10) -> SqueezeNet:
    """Return SqueezeNet with half the channels and convolutions without bias: 186,416 parameters."""
    return SqueezeNet(activation, classes, divisor=2, bias=False)
