"""Augmentation of uint8 images as whole batches: flip, rotation with Pillow's arithmetic, shift, normalisation."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cosnb.errors import CosnbError

MAX_SIDE = 16_384  # pixels; beyond it a rotated corner may leave the range of 16.16 fixed point in int32


@dataclass(frozen=True)
class Draws:
    """One epoch's random choices, on the CPU: row i belongs to the i-th image shown, which is image `order[i]`.

    order: int64 (n,), a permutation; flip: bool (n,); angle: float64 (n,), degrees, counter-clockwise; shift: int64
    (n, 2), pixels down and to the right by which the image's window moves, at most `crop` either way; reflect: what
    the window shows outside the image: the image mirrored at its outermost pixels, else zeros.
    """

    order: Tensor
    flip: Tensor
    angle: Tensor
    shift: Tensor | None = None
    reflect: bool = False


def draw(
    n: int,
    generator: torch.Generator,
    flip: float = 0.4,
    rotation: float = 30.0,
    crop: int = 0,
    reflect: bool = False,
    mirrored: Tensor | None = None,
) -> Draws:
    """Draw an epoch over n images: order, flips with probability `flip`, angles uniform in [-rotation, rotation).

    With a `crop`, windows shifted by whole pixels, uniform from −crop to crop, on each axis too. `mirrored`, bool (n,)
    by image, says which images are flipped in place of drawing it.

    `generator` lives on the CPU, so one seed gives the same epoch to every device; the number of draws depends on n
    and on whether there is a `crop` alone, so the order stays the same whatever `flip` and `rotation` are. The defaults
    are those of protocol `paper`.

    Raises CosnbError where `flip` is no probability or `rotation` is not within 0 to 180 degrees.
    """
    if not 0.0 <= flip <= 1.0:
        raise CosnbError(f"The probability of a flip is {flip}, but must lie in [0, 1]: correct the parameter flip.")
    if not 0.0 <= rotation <= 180.0:
        raise CosnbError(f"The largest rotation is {rotation}°, but must lie in [0, 180]: correct rotation.")
    order = torch.randperm(n, generator=generator)
    flips = torch.rand(n, generator=generator, dtype=torch.float64) < flip
    flips = flips if mirrored is None else mirrored[order]
    angles = torch.rand(n, generator=generator, dtype=torch.float64).mul_(2).sub_(1).mul_(rotation)
    shift = torch.randint(-crop, crop + 1, (n, 2), generator=generator) if crop else None
    return Draws(order, flips, angles, shift, reflect)


def flip(images: Tensor, mask: Tensor) -> Tensor:
    """Mirror those images left to right whose mask is True.

    images: any dtype, (B, C, H, W); mask: bool (B,) on the same device. Returns a new tensor.
    """
    return torch.where(mask[:, None, None, None], images.flip(-1), images)


def rotate(images: Tensor, angles: Tensor) -> Tensor:
    """Rotate each image about its centre: nearest neighbour, same size, zero outside.

    images: uint8 (B, C, H, W) on any device; angles: float64 (B,), degrees counter-clockwise, on the CPU or there.
    Equal, pixel for pixel, to Pillow's `Image.rotate(angle)`. Raises CosnbError where a side exceeds 16,384 pixels.
    """
    height, width = images.shape[-2:]
    return _resample(images, _affine(angles, height, width).to(images.device, non_blocking=True))


def crop(images: Tensor, shift: Tensor, reflect: bool = False) -> Tensor:
    """Cut from each image its window, moved by `shift`, as from an image padded with zeros.

    images: any dtype, (B, C, H, W); shift: int64 (B, 2), pixels down and to the right, on the same device. reflect:
    padded with its mirror image instead, the outermost pixels not repeated; the shift is then less than H and W.
    """
    channels, height, width = images.shape[1:]
    rows = torch.arange(height, device=images.device) + shift[:, :1]
    columns = torch.arange(width, device=images.device) + shift[:, 1:]
    down, across = (
        (height - 1 - (height - 1 - rows.abs()).abs(), width - 1 - (width - 1 - columns.abs()).abs())
        if reflect
        else (rows.clamp(0, height - 1), columns.clamp(0, width - 1))
    )
    place = (down[:, :, None] * width + across[:, None]).flatten(1)[:, None].expand(-1, channels, -1)
    cut = images.flatten(2).gather(2, place).view(images.shape)
    if reflect:
        return cut
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    return cut.mul_(inside[:, None])


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of each channel of `normalize(images)`, float64 (C,), exactly.

    images: uint8 (N, C, H, W). Whole numbers are summed, so the result does not depend on the order or the device.
    """
    counts = torch.stack([plane.flatten().bincount(minlength=256) for plane in images.unbind(1)]).cpu().double()
    values = normalize(torch.arange(256, dtype=torch.uint8)).double()
    mean = counts @ values / counts.sum(1)
    return mean, ((counts * (values - mean[:, None]).square()).sum(1) / counts.sum(1)).sqrt()


def normalize(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Map uint8 pixels to (x / 255 − 0.5) / 0.5, in [−1, 1]; computed in float32, then cast to `dtype`."""
    return images.to(torch.float32).div_(255).sub_(0.5).div_(0.5).to(dtype)


def batches(images: Tensor, labels: Tensor, draws: Draws | None, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (images uint8 (B, C, H, W), labels int64 (B,)), the last batch of an epoch being smaller where it must be.

    With `draws`, images come in their order, flipped, rotated and cropped; without, as they stand. Both tensors stay
    on the device that holds them, and nothing here waits for that device.
    """
    if draws is None:
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)
        return
    device = images.device
    order = draws.order.to(device, non_blocking=True)
    flips = draws.flip.to(device, non_blocking=True) if draws.flip.any() else None
    maps = _affine(draws.angle, *images.shape[-2:]).to(device, non_blocking=True) if draws.angle.any() else None
    shifts = draws.shift.to(device, non_blocking=True) if draws.shift is not None else None
    for start in range(0, len(order), batch_size):
        part = slice(start, start + batch_size)
        batch = images.index_select(0, order[part])
        if flips is not None:
            batch = flip(batch, flips[part])
        if maps is not None:
            batch = _resample(batch, maps[part])
        if shifts is not None:
            batch = crop(batch, shifts[part], draws.reflect)
        yield batch, labels.index_select(0, order[part])


def _affine(angles: Tensor, height: int, width: int) -> Tensor:
    """Return int32 (B, 2, 3): rows (x per column, x per row, x of pixel 0,0), then the same of y, in 1/65536 pixel.

    With a = −angle: x = cos a · (u − w/2) + sin a · (v − h/2) + w/2, y = −sin a · (u − w/2) + cos a · (v − h/2) + h/2
    at pixel centres u = column + ½, v = row + ½; then ⌊65536 · value + ½⌋ (Pillow: Image.rotate; Geometry.c, FIX).
    """
    if max(height, width) > MAX_SIDE:
        raise CosnbError(f"An image of {height} × {width} pixels cannot be rotated: sides end at {MAX_SIDE} pixels.")
    radians = -torch.deg2rad(angles)
    cos, sin = radians.cos().round(decimals=15), radians.sin().round(decimals=15)
    x, y = width / 2, height / 2
    x_first = (cos * -x + sin * -y) + x + cos * 0.5 + sin * 0.5
    y_first = (-sin * -x + cos * -y) + y - sin * 0.5 + cos * 0.5
    rows = torch.stack([cos, sin, x_first, -sin, cos, y_first], dim=-1)
    return rows.mul_(65536).add_(0.5).floor_().to(torch.int32).unflatten(-1, (2, 3))


def _resample(images: Tensor, maps: Tensor) -> Tensor:
    """Look every pixel up where its affine map, int32 (B, 2, 3), points; zero where that lies outside."""
    channels, height, width = images.shape[1:]
    columns = torch.arange(width, dtype=torch.int32, device=images.device)
    rows = torch.arange(height, dtype=torch.int32, device=images.device)[:, None]
    per_column, per_row, first = maps[:, :, :, None, None].unbind(2)  # each (B, 2, 1, 1)
    x, y = ((per_column * columns + first) + per_row * rows).bitwise_right_shift_(16).unbind(1)
    inside = (x >= 0).logical_and_(x < width).logical_and_(y >= 0).logical_and_(y < height)
    index = (y * width + x).mul_(inside).to(torch.int64).flatten(1)[:, None].expand(-1, channels, -1)
    return images.flatten(2).gather(2, index).view(images.shape).mul_(inside[:, None])
