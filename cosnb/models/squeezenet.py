"""SqueezeNet for 32 × 32 images, as protocol `paper` has it (Iandola et al. 2016, with batch normalisation)."""

import torch
from torch import Tensor, nn


class ConvNormAct(nn.Sequential):
    """Convolution with bias, batch normalisation, activation: (B, in, H, W) → (B, out, H, W)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, activation: nn.Module) -> None:
        conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
        super().__init__(conv, nn.BatchNorm2d(channels_out), activation)


class Fire(nn.Module):
    """Squeeze to few channels, then expand by a 1 × 1 and a 3 × 3 convolution side by side, concatenated."""

    def __init__(self, channels_in: int, channels_out: int, squeeze: int, activation: nn.Module) -> None:
        super().__init__()
        self.squeeze = ConvNormAct(channels_in, squeeze, 1, activation)
        self.expand_1x1 = ConvNormAct(squeeze, channels_out // 2, 1, activation)
        self.expand_3x3 = ConvNormAct(squeeze, channels_out // 2, 3, activation)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([self.expand_1x1(x), self.expand_3x3(x)], dim=1)


class SqueezeNet(nn.Module):
    """SqueezeNet: 734,986 parameters, 52.5 M multiply-accumulates, 25 activation calls an image (10 classes)."""

    def __init__(self, activation: nn.Module, classes: int = 10) -> None:
        super().__init__()
        self.stem = ConvNormAct(3, 96, 3, activation)
        self.pool = nn.MaxPool2d(2)
        self.fire2 = Fire(96, 128, 16, activation)
        self.fire3 = Fire(128, 128, 16, activation)
        self.fire4 = Fire(128, 256, 32, activation)
        self.fire5 = Fire(256, 256, 32, activation)
        self.fire6 = Fire(256, 384, 48, activation)
        self.fire7 = Fire(384, 384, 48, activation)
        self.fire8 = Fire(384, 512, 64, activation)
        self.fire9 = Fire(512, 512, 64, activation)
        self.head = nn.Conv2d(512, classes, 1)

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
