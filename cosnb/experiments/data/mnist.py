"""MNIST (LeCun, Cortes, Burges) in its IDX files, plain or gzipped, in the folder MNIST/raw."""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cosnb.errors import CosnbError
from cosnb.experiments.data import files

FOLDER = Path("MNIST", "raw")
CLASSES: tuple[str, ...] = tuple("0123456789")


@dataclass(frozen=True)
class IdxFile:
    """One file of unsigned bytes: its name, the array's shape, the MD5 of its bytes plain and of the published .gz."""

    name: str
    shape: tuple[int, ...]
    md5: str
    gz_md5: str


@dataclass(frozen=True)
class Release:
    """What a published MNIST is known by: training images and labels, test images and labels; where the .gz lie."""

    files: tuple[IdxFile, IdxFile, IdxFile, IdxFile]
    url: str


OFFICIAL = Release(
    files=(
        IdxFile(
            "train-images-idx3-ubyte",
            (60_000, 28, 28),
            md5="6bbc9ace898e44ae57da46a324031adb",
            gz_md5="f68b3c2dcbeaaa9fbdd348bbdeb94873",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60_000,),
            md5="a25bea736e30d166cdddb491f175f624",
            gz_md5="d53e105ee54ea40749a09fcbcd1e9432",
        ),
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10_000, 28, 28),
            md5="2646ac647ad5339dbf082846283269ea",
            gz_md5="9fb629c4189551a2d022fa330f9573f3",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10_000,),
            md5="27ae3e4e09519cfbb04c329615203637",
            gz_md5="ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    url="https://ossci-datasets.s3.amazonaws.com/mnist/",
)


def read(root: Path, release: Release, download: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return training images, training labels, test images, test labels; downloads where files are missing.

    Images: uint8 (N, 1, 28, 28); labels: int64 (N,), 0 to 9. A plain file goes before a .gz beside it. Raises
    CosnbError where a file is missing (and `download` False or failing), is no IDX file of the right shape, is cut
    off, has a label above 9, or differs from the published one.
    """
    arrays = []
    for file in release.files:
        path = _find(root / FOLDER, file, release, download)
        arrays.append(torch.from_numpy(_read_idx(path, file)))
    train_images, train_labels, test_images, test_labels = arrays
    return train_images[:, None], train_labels.long(), test_images[:, None], test_labels.long()


def _find(folder: Path, file: IdxFile, release: Release, download: bool) -> Path:
    plain, gzipped = folder / file.name, folder / f"{file.name}.gz"
    if not files.is_missing(plain):
        return plain
    if files.is_missing(gzipped):
        if not download:
            raise CosnbError(
                f"MNIST's file {plain} is missing, and so is {gzipped.name}: allow the download, or set COSNB_DATA to "
                f"the folder that holds {FOLDER}."
            )
        files.download(release.url + gzipped.name, f"md5:{file.gz_md5}", gzipped)
    return gzipped


def _read_idx(path: Path, file: IdxFile) -> np.ndarray:
    """IDX: two zero bytes, type 8 (unsigned byte), number of dimensions; each dimension as big-endian int32; data."""
    header = bytes([0, 0, 8, len(file.shape)]) + np.array(file.shape, ">i4").tobytes()
    size = len(header) + int(np.prod(file.shape))
    data = _gunzip(path, size) if path.suffix == ".gz" else files.read_file(path, size)
    if data[:4] != header[:4]:
        raise CosnbError(
            f"{path} begins with the bytes {data[:4].hex()}, but an IDX file of {len(file.shape)} dimensions begins "
            f"with {header[:4].hex()}: {files.REPLACE}"
        )
    array = np.frombuffer(bytearray(data), np.uint8, offset=len(header)).reshape(file.shape)
    if data[4 : len(header)] != header[4:]:
        found = tuple(np.frombuffer(data[4 : len(header)], ">i4").tolist())
        raise CosnbError(f"{path} says that its shape is {found}, but {file.shape} is expected: {files.REPLACE}")
    if array.ndim == 1 and array.max() >= len(CLASSES):
        first = int(np.argmax(array >= len(CLASSES)))
        raise CosnbError(f"{path} has the label {array[first]} at {first}, but labels are 0 to 9: {files.REPLACE}")
    if (found_md5 := hashlib.md5(data).hexdigest()) != file.md5:
        raise CosnbError(
            f"{path} is not MNIST's file: its bytes have the MD5 {found_md5}, but {file.md5} is expected; "
            f"{files.REPLACE}"
        )
    return array


def _gunzip(path: Path, size: int) -> bytes:
    with files.reading(path):
        try:
            with gzip.open(path) as stream:
                data = stream.read(size + 1)  # one byte beyond suffices to tell, however much there is
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise CosnbError(f"{path} is cut off or no gzip file ({error}): {files.REPLACE}") from error
    if len(data) != size:
        more = "more" if len(data) > size else f"only {len(data):,}"
        raise CosnbError(f"{path} unpacks to {more} bytes, but {size:,} are expected: {files.REPLACE}")
    return data
