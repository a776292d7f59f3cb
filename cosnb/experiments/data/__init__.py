"""Image data for the experiments, whole in memory as uint8: `load` reads and verifies, `augment` makes batches."""

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cosnb.errors import CosnbError
from cosnb.experiments.data import cifar10, digits, mnist
from cosnb.paths import data_dir

__all__ = ["NAMES", "TRAIN_IMAGES", "ImageData", "load"]

NAMES = ("cifar10", "mnist", "digits", "auto")
TRAIN_IMAGES = {"cifar10": 50_000, "mnist": 60_000, "digits": 1_437}  # known before they are read


@dataclass(frozen=True)
class ImageData:
    """A data set in memory.

    Images: uint8 (N, C, H, W), contiguous; labels: int64 (N,), indices into `classes`. `digest`: hexadecimal SHA-256 of
    the bytes of training images, training labels (int64, little-endian), test images and test labels of the whole set,
    in the order read, even where fewer images were asked for. `held_out`: how many of the last training images take the
    place of the test images, to choose settings; 0 for none. `tested`: how many test images were asked for; 0 for all.
    """

    name: str
    classes: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    digest: str
    held_out: int = 0
    tested: int = 0

    def to(self, device: torch.device | str) -> "ImageData":
        """Return the same data with all four tensors on `device`."""
        return replace(
            self,
            train_images=self.train_images.to(device),
            train_labels=self.train_labels.to(device),
            test_images=self.test_images.to(device),
            test_labels=self.test_labels.to(device),
        )


def load(
    name: str,
    train_images: int | None = None,
    download: bool = True,
    held_out: int = 0,
    test_images: int | None = None,
) -> ImageData:
    """Read a data set by name, verified, on the CPU.

    `name`: "cifar10" or "mnist", from the data folder (COSNB_DATA, else the user's cache), to which missing files are
    downloaded if `download` is True; "digits", bundled with scikit-learn; "auto", CIFAR-10 where all its files are in
    the data folder and digits otherwise, without a download. `train_images`: the first so many training images, None
    for all. `held_out`: the last so many training images, taken away from these and tested on in place of the test
    images. `test_images`: the first so many of the images tested on, None for all.

    Raises CosnbError for an unknown name, for counts outside 1 to N, and for files that are missing, wrong or
    unreachable.
    """
    if name not in NAMES:
        raise CosnbError(f"There is no data set {name!r}: choose one of {', '.join(NAMES)}.")
    root = data_dir()
    if name == "auto":
        name, download = ("cifar10" if cifar10.present(root) else "digits"), False
    if name == "cifar10":
        classes, tensors = cifar10.CLASSES, cifar10.read(root, cifar10.OFFICIAL, download)
    elif name == "mnist":
        classes, tensors = mnist.CLASSES, mnist.read(root, mnist.OFFICIAL, download)
    else:
        classes, tensors = digits.CLASSES, digits.read()
    data = ImageData(name, classes, *tensors, digest=_digest(tensors))
    count = len(data.train_images)
    if not 0 <= held_out < count:
        raise CosnbError(f"held_out is {held_out}, but {name} has {count:,} training images: give 0 to {count - 1}.")
    if held_out:
        count -= held_out
        data = replace(
            data,
            train_images=data.train_images[:count],
            train_labels=data.train_labels[:count],
            test_images=data.train_images[count:],
            test_labels=data.train_labels[count:],
            held_out=held_out,
        )
    if test_images is not None:
        kept = _first(test_images, "test", data.test_images, data.test_labels, name)
        data = replace(data, test_images=kept[0], test_labels=kept[1], tested=test_images)
    if train_images is not None:
        kept = _first(train_images, "train", data.train_images, data.train_labels, name)
        data = replace(data, train_images=kept[0], train_labels=kept[1])
    return data


def _first(asked: int, part: str, images: Tensor, labels: Tensor, name: str) -> tuple[Tensor, Tensor]:
    count = len(images)
    if not 1 <= asked <= count:
        raise CosnbError(f"{part}_images is {asked}, but {name} has {count:,}: give a number from 1 to {count}.")
    return images[:asked], labels[:asked]


def _digest(tensors: tuple[Tensor, ...]) -> str:
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(tensor.contiguous().numpy().data.cast("B"))
    return total.hexdigest()
