"""MNIST's IDX files: right on good ones, one clear sentence on every bad one."""

import gzip
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch

from cosnb.errors import CosnbError
from cosnb.experiments.data import load, mnist
from cosnb.paths import data_dir

RNG = np.random.default_rng(0)
SHAPES = ((6, 28, 28), (6,), (3, 28, 28), (3,))
ARRAYS = [RNG.integers(0, 256 if len(shape) == 3 else 10, shape, dtype=np.uint8) for shape in SHAPES]


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with an MNIST of 6 + 3 images, which is the official one for this test."""
    known = [
        mnist.IdxFile(file.name, array.shape, hashlib.md5(idx(array)).hexdigest(), "0")
        for file, array in zip(mnist.OFFICIAL.files, ARRAYS, strict=True)
    ]
    monkeypatch.setattr(
        mnist, "OFFICIAL", mnist.Release((known[0], known[1], known[2], known[3]), "http://127.0.0.1:9/")
    )
    monkeypatch.setenv("COSNB_DATA", str(tmp_path))
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for file, array in zip(known, ARRAYS, strict=True):
        (folder / file.name).write_bytes(idx(array))
    return folder


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something was downloaded")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", refuse)


@pytest.mark.parametrize("gzipped", [False, True])
def test_mnist_is_read_plain_or_gzipped(raw: Path, gzipped: bool, no_network: None) -> None:
    if gzipped:
        for path in list(raw.iterdir()):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    data = load("mnist")
    assert data.train_images.shape == (6, 1, 28, 28)
    assert np.array_equal(data.train_images[:, 0], ARRAYS[0])
    assert data.train_labels.tolist() == ARRAYS[1].tolist()
    assert np.array_equal(data.test_images[:, 0], ARRAYS[2])
    assert data.test_labels.tolist() == ARRAYS[3].tolist()
    assert data.train_labels.dtype == torch.int64
    assert data.train_images.is_contiguous()


IMAGES, LABELS = idx(ARRAYS[0]), idx(ARRAYS[1])
BAD_FILES = {
    "cut off": ("train-images-idx3-ubyte", IMAGES[:-1], "has 4,719 bytes, but 4,720 are expected"),
    "magic": ("train-images-idx3-ubyte", b"\0\0\x09\3" + IMAGES[4:], "begins with the bytes 00000903, but .* 00000803"),
    "shape": ("train-images-idx3-ubyte", IMAGES[:7] + b"\7" + IMAGES[8:], r"shape is \(7, 28, 28\), but \(6, 28, 28\)"),
    "bit": ("train-images-idx3-ubyte", IMAGES[:99] + bytes([IMAGES[99] ^ 1]) + IMAGES[100:], "is not MNIST's file"),
    "label": ("train-labels-idx1-ubyte", LABELS[:10] + b"\x0a" + LABELS[11:], "has the label 10 at 2, but labels are"),
    "gz cut off": ("train-images-idx3-ubyte.gz", gzip.compress(IMAGES)[:-20], "is cut off or no gzip file"),
    "gz garbage": ("train-images-idx3-ubyte.gz", b"<html>not found</html>", "is cut off or no gzip file"),
    "gz short": ("train-images-idx3-ubyte.gz", gzip.compress(IMAGES[:-9]), "unpacks to only 4,711 bytes, but 4,720"),
    "gz bomb": ("train-images-idx3-ubyte.gz", gzip.compress(bytes(10**7)), "unpacks to more bytes, but 4,720"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_mnist_file_is_named(raw: Path, case: str) -> None:
    name, content, message = BAD_FILES[case]
    (raw / name.removesuffix(".gz")).unlink()
    (raw / name).write_bytes(content)
    with pytest.raises(CosnbError, match=f"{name} {message}|{name} says that its {message}"):
        load("mnist")


def test_a_missing_mnist_file_is_named_and_not_downloaded_unasked(raw: Path, no_network: None) -> None:
    (raw / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(CosnbError, match=r"t10k-labels-idx1-ubyte is missing, and so is t10k-labels-idx1-ubyte.gz"):
        load("mnist", download=False)


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Permissions do not bind root, so a test run as root goes on as the user nobody."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_an_unreadable_file_and_folder_are_named(monkeypatch: pytest.MonkeyPatch, unprivileged: None) -> None:
    with tempfile.TemporaryDirectory() as root:
        monkeypatch.setenv("COSNB_DATA", root)
        raw = Path(root) / mnist.FOLDER
        raw.mkdir(parents=True)
        (raw / "train-images-idx3-ubyte.gz").write_bytes(b"")
        (raw / "train-images-idx3-ubyte.gz").chmod(0)
        with pytest.raises(CosnbError, match=r"ubyte.gz cannot be read \(Permission denied\): check its permissions"):
            load("mnist")
        raw.chmod(0)
        with pytest.raises(CosnbError, match=r"cannot be read \(Permission denied\)"):
            load("mnist")
        raw.chmod(0o700)


def test_the_real_mnist_is_accepted() -> None:
    if not (data_dir() / mnist.FOLDER).is_dir():
        pytest.skip("needs the real MNIST: set COSNB_DATA to the folder that holds MNIST/raw")
    data = load("mnist", download=False)
    assert data.train_images.double().mean().item() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
