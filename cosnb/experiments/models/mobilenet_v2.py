"""MobileNet v2 for 32 × 32 images, as protocol `paper` has it (Sandler et al. 2018, arXiv:1801.04381)."""

from torch import Tensor, nn

BOTTLENECKS = (  # expansion, output channels, how many, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 1),
    (6, 320, 1, 1),
)


class Bottleneck(nn.Sequential):
    """Expand by a 1 × 1 convolution, one 3 × 3 convolution a channel, project back without activation.

    The sum around it stands where the stride is 1 and the channels agree.
    """

    def __init__(self, channels_in: int, channels_out: int, expansion: int, stride: int, activation: nn.Module) -> None:
        wide = expansion * channels_in
        super().__init__(
            nn.Conv2d(channels_in, wide, 1),
            nn.BatchNorm2d(wide),
            activation,
            nn.Conv2d(wide, wide, 3, stride=stride, padding=1, groups=wide),
            nn.BatchNorm2d(wide),
            activation,
            nn.Conv2d(wide, channels_out, 1),
            nn.BatchNorm2d(channels_out),
        )


class Residual(nn.Module):
    """A bottleneck plus its input."""

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x) + x


class MobileNetV2(nn.Module):
    """MobileNet v2: 2,254,090 parameters, 64.8 M multiply-accumulates, 36 activation calls an image (10 classes)."""

    def __init__(self, activation: nn.Module, classes: int = 10) -> None:
        super().__init__()
        # padding around a 1 × 1 convolution, as the notebooks behind the protocol have it: 34 × 34 from here on
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 1, padding=1), nn.BatchNorm2d(32), activation)
        blocks: list[nn.Module] = []
        channels = 32
        for expansion, out, count, first_stride in BOTTLENECKS:
            for index in range(count):
                stride = first_stride if index == 0 else 1
                block = Bottleneck(channels, out, expansion, stride, activation)
                blocks.append(Residual(block) if stride == 1 and channels == out else block)
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.features = nn.Sequential(nn.Conv2d(channels, 1280, 1), nn.BatchNorm2d(1280), activation)
        self.head = nn.Conv2d(1280, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, 32, 32) to logits (B, classes)."""
        x = self.features(self.blocks(self.stem(x)))
        return self.head(x.mean(dim=(2, 3), keepdim=True)).flatten(1)
