"""Networks of protocol `speedrun`: a small one after Jordan's airbench, a wide one of the same form.

Source: Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, arXiv 2404.00498 (2024); narrower here, so that one
core of a CPU trains it in minutes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

_SCALE = 1 / 9  # of the logits
_NORM_MOMENTUM = 0.4
_WHITENING_EPS = 5e-4  # added to each eigenvalue


class Block(nn.Sequential):
    """Two convolutions 3 × 3, the first one pooled: (B, in, H, W) → (B, out, ⌊H/2⌋, ⌊W/2⌋)."""

    def __init__(self, channels_in: int, channels_out: int, activation: nn.Module) -> None:
        super().__init__(
            _convolution(channels_in, channels_out),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(channels_out, momentum=_NORM_MOMENTUM),
            activation,
            _convolution(channels_out, channels_out),
            nn.BatchNorm2d(channels_out, momentum=_NORM_MOMENTUM),
            activation,
        )


class _Whitening(torch.autograd.Function):
    """A convolution whose weights and images want no gradient: the bias's alone is 0.4 ms where oneDNN's takes 2.8."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.conv2d(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[None, None, Tensor]:
        return None, None, dy.movedim(1, -1).flatten(0, -2).sum(0).float()


class Whitening(nn.Conv2d):
    """The first convolution, 24 fixed filters of 2 × 2 pixels and a learnt bias: (B, 3, H, W) → (B, 24, H−1, W−1)."""

    def __init__(self) -> None:
        super().__init__(3, 24, 2)
        assert self.bias is not None
        self.weight.requires_grad_(False)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x."""
        if x.requires_grad:
            return super().forward(x)
        out: Tensor = _Whitening.apply(x, self.weight, self.bias)
        return out


class Speedrun(nn.Module):
    """Speedrun: 127,096 parameters, 9.9 M multiply-accumulates, 7 activation calls an image (widths 16, 64, 64).

    The first convolution's 24 filters of 2 × 2 pixels are fixed: `whiten` sets them from the training images.
    """

    def __init__(self, activation: nn.Module, classes: int = 10, widths: tuple[int, int, int] = (16, 64, 64)) -> None:
        super().__init__()
        self.whitening = Whitening()
        self.activation = activation
        blocks = zip((24, *widths), widths, strict=False)
        self.blocks = nn.Sequential(*(Block(before, after, activation) for before, after in blocks))
        self.head = nn.Linear(widths[-1], classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, 32, 32) to logits (B, classes)."""
        x = self.blocks(self.activation(self.whitening(x)))
        return self.head(F.max_pool2d(x, x.shape[2:]).flatten(1)) * _SCALE

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the fixed filters from `images`, float (N, 3, H, W), as the network is shown them."""
        filters = whitening_filters(images)
        self.whitening.weight.copy_(torch.cat([filters, -filters]))


def speedrun_wide(activation: nn.Module, classes: int = 10) -> Speedrun:
    """Return Speedrun with widths 64, 256, 256: 1,972,792 parameters."""
    return Speedrun(activation, classes, (64, 256, 256))


def whitening_filters(images: Tensor, side: int = 2) -> Tensor:
    """Return the filters (C·side², C, side, side) that make patches of `images` (N, C, H, W) uncorrelated.

    They are the eigenvectors of the covariance of all patches of side × side pixels, each divided by
    √(eigenvalue + 5e-4), the largest eigenvalue first; an eigenvector's largest component is positive. Computed in
    float64.
    """
    channels = images.shape[1]
    size = channels * side**2
    total, products, count = images.new_zeros(size).double(), images.new_zeros(size, size).double(), 0
    for part in images.split(500):  # 5,000 images at once would take 0.5 GB
        patches = F.unfold(part.double(), side).transpose(1, 2).reshape(-1, size)
        total += patches.sum(0)
        products += patches.T @ patches
        count += len(patches)
    mean = total / count
    values, vectors = torch.linalg.eigh(products / count - mean.outer(mean))
    values, vectors = values.flip(0), vectors.flip(1)
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    vectors = vectors * largest.sign() / (values + _WHITENING_EPS).sqrt()
    return vectors.T.reshape(size, channels, side, side)


def _convolution(channels_in: int, channels_out: int) -> nn.Conv2d:
    """Return a convolution 3 × 3 without bias whose first filters pass on the channels as they are."""
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight[: min(channels_in, channels_out)].data)
    return conv
