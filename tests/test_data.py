"""CIFAR-10, the digits and `load`: right on good files, one clear sentence on every bad one."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch
from sklearn.datasets import load_digits

from cosnb.errors import CosnbError
from cosnb.experiments.data import cifar10, digits, load
from cosnb.paths import data_dir

RNG = np.random.default_rng(0)
TABLE = RNG.integers(0, 256, (6, 4, cifar10.RECORD), dtype=np.uint8)  # six files of four records
TABLE[:, :, 0] %= 10
NAMES = (*cifar10.TRAIN, *cifar10.TEST)

DIGITS_DIGEST = "bda636634c425d58760e322ad5bae8df576949fcad13aff6ed812f620c371c49"


def records_digest(table: np.ndarray) -> str:
    return cifar10.set_digest(record.tobytes() for record in table.reshape(-1, cifar10.RECORD))


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a CIFAR-10 of 20 + 4 images, which is the official one for this test."""
    train_digest, test_digest = records_digest(TABLE[:5]), records_digest(TABLE[5:])
    release = cifar10.Release(4, train_digest, test_digest, "http://127.0.0.1:9/none.tar.gz", "md5:0")
    monkeypatch.setattr(cifar10, "OFFICIAL", release)
    monkeypatch.setenv("COSNB_DATA", str(tmp_path))
    folder = tmp_path / cifar10.FOLDER
    folder.mkdir()
    for name, rows in zip(NAMES, TABLE, strict=True):
        rows.tofile(folder / name)
    return folder


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something was downloaded")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", refuse)


# CIFAR-10


def test_cifar10_records_become_labels_and_planes(cifar: Path) -> None:
    data = load("cifar10")
    assert data.train_images.shape == (20, 3, 32, 32)
    assert data.test_images.shape == (4, 3, 32, 32)
    assert data.train_images.dtype == data.test_images.dtype == torch.uint8
    assert data.train_labels.dtype == data.test_labels.dtype == torch.int64
    assert data.train_images.is_contiguous()
    assert data.test_images.is_contiguous()
    assert data.train_labels.tolist() == TABLE[:5, :, 0].ravel().tolist()
    # Byte 1 + 1024 · channel + 32 · row + column of record 4 · 2 + 3:
    assert data.train_images[11, 2, 5, 7] == TABLE[2, 3, 1 + 1024 * 2 + 32 * 5 + 7]
    assert data.test_images.numpy().tobytes() == TABLE[5, :, 1:].tobytes()


def test_the_set_digest_is_a_sum_modulo_2_to_the_256th() -> None:
    one = 0xCA978112CA1BBDCAFAC231B39A23DC4DA786EFF8147C4E72B9807785AFEE48BB  # SHA-256 of "a", above 2^255
    assert cifar10.set_digest([b"a"]) == f"{one:064x}"
    assert cifar10.set_digest([b"a", b"a"]) == f"{2 * one - 2**256:064x}"


def test_any_order_of_the_training_records_is_the_set_and_shows_in_the_digest(cifar: Path) -> None:
    before = load("cifar10").digest
    shuffled = RNG.permutation(TABLE[:5].reshape(20, -1)).reshape(5, 4, -1)
    for name, rows in zip(cifar10.TRAIN, shuffled, strict=True):
        rows.tofile(cifar / name)
    data = load("cifar10")
    assert data.train_labels.tolist() == shuffled[:, :, 0].ravel().tolist()
    assert data.digest != before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at", [1, 5_000, 4 * cifar10.RECORD - 1])
def test_one_flipped_bit_is_found(cifar: Path, name: str, at: int) -> None:
    content = bytearray((cifar / name).read_bytes())
    content[at] ^= 0b100
    (cifar / name).write_bytes(content)
    with pytest.raises(CosnbError, match=f"does not hold CIFAR-10: .*{name}.* differs .*delete these files"):
        load("cifar10")


def test_swapped_labels_and_doubled_records_are_found(cifar: Path) -> None:
    path = cifar / "data_batch_2.bin"
    rows = TABLE[1].copy()
    rows[0, 0], rows[1, 0] = 3, 4
    rows.tofile(path)
    with pytest.raises(CosnbError, match="at least one byte is wrong"):
        load("cifar10")
    TABLE[1][[0, 0, 2, 3]].tofile(path)
    with pytest.raises(CosnbError, match="at least one byte is wrong"):
        load("cifar10")


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b""])
def test_wrong_sizes_are_named(cifar: Path, change: Callable[[bytes], bytes]) -> None:
    path = cifar / "data_batch_4.bin"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CosnbError, match=r"data_batch_4.bin has [\d,]+ bytes, but 12,292 are expected: delete it"):
        load("cifar10")


def test_a_label_out_of_range_is_named_with_its_record(cifar: Path) -> None:
    rows = TABLE[3].copy()
    rows[2, 0] = 10
    rows.tofile(cifar / "data_batch_4.bin")
    with pytest.raises(CosnbError, match=r"data_batch_4.bin has the label 10 in record 2, but labels are 0 to 9"):
        load("cifar10")


def test_a_missing_file_is_named_and_not_downloaded_unasked(cifar: Path, no_network: None) -> None:
    (cifar / "test_batch.bin").unlink()
    with pytest.raises(CosnbError, match=r"test_batch.bin is missing, 1 of 6 are: allow the download, or set COSNB"):
        load("cifar10", download=False)


def test_a_folder_in_place_of_a_file_is_named(cifar: Path) -> None:
    (cifar / "data_batch_1.bin").unlink()
    (cifar / "data_batch_1.bin").mkdir()
    with pytest.raises(CosnbError, match=r"data_batch_1.bin is not a file"):
        load("cifar10")


def test_a_file_in_place_of_the_data_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSNB_DATA", str(tmp_path / "file"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CosnbError, match=r"cannot be written \(Not a directory\): .*set COSNB_DATA"):
        load("cifar10")


# Names, counts, digests


def test_auto_takes_cifar10_only_where_it_is_whole(cifar: Path, no_network: None) -> None:
    assert load("auto").name == "cifar10"
    (cifar / "data_batch_5.bin").unlink()
    assert load("auto").name == "digits"
    TABLE[0].tofile(cifar / "data_batch_5.bin")
    with pytest.raises(CosnbError, match="does not hold CIFAR-10"):
        load("auto")


def test_unknown_names_and_counts_are_refused(cifar: Path) -> None:
    with pytest.raises(CosnbError, match="no data set 'CIFAR10': choose one of cifar10, mnist, digits, auto"):
        load("CIFAR10")
    for count in (0, -1, 21):
        with pytest.raises(CosnbError, match=f"train_images is {count}, but cifar10 has 20"):
            load("cifar10", train_images=count)


def test_the_first_training_images_are_kept_and_the_digest_is_of_all(cifar: Path) -> None:
    part, whole = load("cifar10", train_images=7), load("cifar10")
    assert torch.equal(part.train_images, whole.train_images[:7])
    assert torch.equal(part.train_labels, whole.train_labels[:7])
    assert len(part.test_images) == 4
    pixels, labels = TABLE[:, :, 1:], TABLE[:, :, 0].astype("<i8")
    expected = hashlib.sha256(pixels[:5].tobytes() + labels[:5].tobytes() + pixels[5].tobytes() + labels[5].tobytes())
    assert part.digest == whole.digest == expected.hexdigest()


def test_the_first_test_images_are_kept(cifar: Path) -> None:
    part, whole = load("cifar10", test_images=3), load("cifar10")
    assert torch.equal(part.test_images, whole.test_images[:3])
    assert torch.equal(part.test_labels, whole.test_labels[:3])
    assert (part.tested, whole.tested) == (3, 0)
    assert part.digest == whole.digest
    held = load("cifar10", held_out=6, test_images=2)
    assert torch.equal(held.test_images, whole.train_images[14:16])
    for count in (0, -1, 5):
        with pytest.raises(CosnbError, match=f"test_images is {count}, but cifar10 has 4: give a number from 1 to 4"):
            load("cifar10", test_images=count)


def test_to_moves_all_four_tensors(cifar: Path) -> None:
    there = load("cifar10").to("meta")
    tensors = (there.train_images, there.train_labels, there.test_images, there.test_labels)
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert there.classes == cifar10.CLASSES


def test_digits_are_split_evenly_and_for_good() -> None:
    data = load("digits", download=False)
    assert data.train_images.shape == (1437, 3, 32, 32)
    assert data.test_images.shape == (360, 3, 32, 32)
    share = data.test_labels.bincount() / (data.train_labels.bincount() + data.test_labels.bincount())
    assert (share - 0.2).abs().max() < 0.006  # of at least 174 images a class, at most one off
    source = load_digits()
    small = np.concatenate([data.train_images, data.test_images])[:, :, ::4, ::4]
    assert (small.max(), small.min()) == (255, 0)
    assert (small == small[:, :1]).all()
    restored = np.column_stack(
        [np.rint(small[:, 0].reshape(1797, 64) * (16 / 255)), np.r_[data.train_labels, data.test_labels]]
    )
    original = np.column_stack([source.data, source.target])
    assert sorted(restored.tolist()) == sorted(original.tolist())  # every image once, with its own label
    assert torch.equal(data.train_images[:, :, ::4].repeat_interleave(4, 2), data.train_images)
    assert data.digest == DIGITS_DIGEST
    assert len(digits.CLASSES) == 10


# The real ones


def test_the_real_cifar10_is_accepted() -> None:
    if not cifar10.present(data_dir()):
        pytest.skip("needs the real CIFAR-10: set COSNB_DATA to the folder that holds cifar-10-batches-bin")
    data = load("cifar10", download=False)
    means = data.train_images.sum((0, 2, 3), dtype=torch.int64) / (50_000 * 1024)
    # The published set's own channel means.
    assert means.tolist() == pytest.approx([125.30691805, 122.95039414, 113.86538318], abs=1e-5)
    assert data.train_labels.bincount().tolist() == [5000] * 10
    assert data.test_labels.bincount().tolist() == [1000] * 10
