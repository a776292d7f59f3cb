"""Augmentation against Pillow, pixel for pixel, and the draws of an epoch against the protocol."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from cosnb.errors import CosnbError
from cosnb.experiments.data import augment, load

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device and a CUDA build of torch")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int) -> Tensor:
    """Every pixel differs from its neighbours, so a map that is off by one anywhere shows."""
    return torch.randint(0, 256, shape, generator=generator(1), dtype=torch.uint8)


def with_pillow(images: Tensor, flips: Tensor, angles: Tensor) -> Tensor:
    """The protocol's augmentation of each image by Pillow itself."""
    results = []
    for image, mirrored, angle in zip(images, flips, angles, strict=True):
        array = image.permute(1, 2, 0).numpy()
        picture = Image.fromarray(array if array.shape[2] == 3 else array[..., 0])
        if mirrored:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        result = np.array(picture.rotate(float(angle), resample=Image.Resampling.NEAREST))
        results.append(torch.from_numpy(result.reshape(array.shape)).permute(2, 0, 1))
    return torch.stack(results)


@pytest.mark.parametrize("source", ["auto", "noise"])
def test_flip_and_rotation_equal_pillow_on_1000_images(source: str) -> None:
    images = noise(1000, 3, 32, 32) if source == "noise" else load("auto", train_images=1000).train_images
    draws = augment.draw(1000, generator())
    ours = augment.rotate(augment.flip(images, draws.flip), draws.angle)
    assert torch.equal(ours, with_pillow(images, draws.flip, draws.angle))


SPECIAL = [0.0, -0.0, 360.0, 90.0, 180.0, 270.0, -90.0, -450.0, 30.0, -30.0, 45.0, 60.0, 1e-15, -1e-13, 1e-6, 719.5]


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 17, 40), (1, 33, 21), (3, 1, 1), (1, 16_384, 2)])
def test_rotation_equals_pillow_at_special_angles_and_odd_sizes(shape: tuple[int, ...]) -> None:
    angles = torch.tensor(SPECIAL, dtype=torch.float64)
    images = noise(len(SPECIAL), *shape)
    assert torch.equal(augment.rotate(images, angles), with_pillow(images, torch.zeros(len(SPECIAL)), angles))


def test_angle_zero_is_the_identity_and_the_input_stays_as_it_was() -> None:
    images = noise(4, 3, 32, 32)
    before = images.clone()
    assert torch.equal(augment.rotate(images, torch.zeros(4, dtype=torch.float64)), before)
    augment.rotate(images, torch.full((4,), 20.0, dtype=torch.float64))
    augment.flip(images, torch.ones(4, dtype=torch.bool))
    augment.normalize(images)
    assert torch.equal(images, before)


def test_strides_and_empty_batches() -> None:
    images, angles = noise(6, 3, 32, 32), augment.draw(6, generator()).angle
    expected = augment.rotate(images, angles)
    assert torch.equal(augment.rotate(images.contiguous(memory_format=torch.channels_last), angles), expected)
    assert torch.equal(augment.rotate(images.repeat(1, 1, 1, 2)[..., :32], angles), expected)
    assert augment.rotate(images[:0], angles[:0]).shape == (0, 3, 32, 32)
    assert augment.flip(images[:0], torch.zeros(0, dtype=torch.bool)).shape == (0, 3, 32, 32)


def test_a_side_beyond_the_fixed_point_range_is_refused() -> None:
    with pytest.raises(CosnbError, match="16385 pixels cannot be rotated"):
        augment.rotate(noise(1, 1, 1, 16_385), torch.ones(1, dtype=torch.float64))


def test_normalize_follows_the_formula_within_an_ulp_for_all_256_values() -> None:
    pixels = torch.arange(256, dtype=torch.uint8)
    exact = (pixels.double() / 255 - 0.5) / 0.5
    single = augment.normalize(pixels)
    assert single.dtype == torch.float32
    assert single[0] == -1.0
    assert single[255] == 1.0
    # x / 255 − 0.5 keeps the rounding error of x / 255, at most 2^-25, which the division by 0.5 doubles.
    assert (single.double() - exact).abs().max() <= 2**-24
    assert torch.equal(augment.normalize(pixels, torch.bfloat16), single.to(torch.bfloat16))


def test_draws_follow_the_protocol() -> None:
    n = 50_000
    draws = augment.draw(n, generator())
    assert torch.equal(draws.order.sort().values, torch.arange(n))
    assert draws.flip.dtype == torch.bool
    assert draws.angle.dtype == torch.float64
    assert -30 <= draws.angle.min() < -29.9
    assert 29.9 < draws.angle.max() < 30
    # Bounds of 5 standard deviations: sqrt(0.4 · 0.6 / n) = 0.0022; 30 / sqrt(3 n) = 0.077 degrees.
    assert abs(draws.flip.double().mean() - 0.4) < 0.011
    assert abs(draws.angle.mean()) < 0.39
    assert abs(draws.angle[draws.flip].mean() - draws.angle[~draws.flip].mean()) < 0.8  # flip and angle independent


def test_a_seed_fixes_the_draws_and_the_order_does_not_hang_on_the_limits() -> None:
    first, same, other = (augment.draw(100, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first.order, same.order)
    assert torch.equal(first.flip, same.flip)
    assert torch.equal(first.angle, same.angle)
    assert not torch.equal(first.order, other.order)
    shared = generator(3)
    plain = augment.draw(100, shared, flip=0.0, rotation=0.0)
    assert torch.equal(plain.order, first.order)
    assert not plain.flip.any()
    assert not plain.angle.any()
    reference = generator(3)
    augment.draw(100, reference)
    assert torch.equal(augment.draw(100, shared).order, augment.draw(100, reference).order)  # the next epoch as well


@pytest.mark.parametrize("limits", [{"flip": 1.1}, {"flip": -0.1}, {"rotation": -1.0}, {"rotation": float("nan")}])
def test_impossible_limits_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(CosnbError, match=r"must lie in \[0, "):
        augment.draw(4, generator(), **limits)


def test_an_epoch_of_batches_equals_pillow_and_keeps_the_labels_beside_their_images() -> None:
    images, labels = noise(21, 3, 32, 32), torch.arange(21)
    draws = augment.draw(21, generator())
    parts = list(augment.batches(images, labels, draws, 8))
    assert [len(part) for part, _ in parts] == [8, 8, 5]
    assert all(part.dtype == torch.uint8 for part, _ in parts)
    assert torch.equal(torch.cat([label for _, label in parts]), draws.order)
    shown = torch.cat([part for part, _ in parts])
    assert torch.equal(shown, with_pillow(images[draws.order], draws.flip, draws.angle))


def test_batches_without_draws_or_without_augmentation() -> None:
    images, labels = noise(10, 1, 28, 28), torch.arange(10)
    plain = list(augment.batches(images, labels, None, 4))
    assert [len(part) for part, _ in plain] == [4, 4, 2]
    assert torch.equal(torch.cat([part for part, _ in plain]), images)
    assert torch.equal(torch.cat([label for _, label in plain]), labels)
    draws = augment.draw(10, generator(), flip=0.0, rotation=0.0)
    shuffled = torch.cat([part for part, _ in augment.batches(images, labels, draws, 4)])
    assert torch.equal(shuffled, images[draws.order])


@NEEDS_CUDA
def test_cuda_gives_the_cpu_s_pixels_without_waiting_for_the_device() -> None:
    images, labels, draws = noise(1000, 3, 32, 32), torch.arange(1000), augment.draw(1000, generator())
    expected = torch.cat([part for part, _ in augment.batches(images, labels, draws, 128)])
    on_device, labels_there = images.cuda(), labels.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        parts = [part for part, _ in augment.batches(on_device, labels_there, draws, 128)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(torch.cat(parts).cpu(), expected)
