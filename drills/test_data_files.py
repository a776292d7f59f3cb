"""Data files are hostile: a clear error each, no partial file that a later run would trust, a good run afterwards."""

import gzip
import hashlib
import io
import os
import resource
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from counting import Tally
from data_server import Server, archive, link, serving

from cosnb.errors import CosnbError
from cosnb.experiments.data import cifar10, load, mnist

ITEM = "2 data files"
NOBODY = 65534
RNG = np.random.default_rng(3)


@dataclass
class DataSet:
    """A small stand-in for a published data set: its files, where the server has them, how many images it trains on."""

    name: str
    root: Path
    server: Server
    files: dict[str, bytes]  # by path below the data folder
    remote: dict[str, bytes]  # by path on the server
    count: int
    failures: list[str] = field(default_factory=list)
    cases: int = 0

    def put(self) -> None:
        """Put the good files into an empty data folder, and good answers onto the server."""
        shutil.rmtree(self.root, ignore_errors=True)
        for name, content in self.files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_bytes(content)
        self.server.bodies, self.server.sent = dict(self.remote), 1.0

    def is_good(self) -> bool:
        """Say whether it loads, whole."""
        return len(load(self.name).train_images) == self.count

    def refuses(self, case: str) -> None:
        """Check that loading ends with one sentence, leaves no file of a download, and that a good run is possible."""
        self.cases += 1
        before = self.everything()
        try:
            load(self.name)
            self.failures.append(f"{self.name}, {case}: it loaded")
        except CosnbError as error:
            if not 40 < len(str(error)) < 700 or "\n" in str(error):
                self.failures.append(f"{self.name}, {case}: not one sentence: {error}")
        except BaseException as error:
            self.failures.append(f"{self.name}, {case}: {error!r:.200}")
        # What came before a connection broke off stays beside the files, for the next call to go on with.
        left = sorted(
            path for path in set(self.everything()) - set(before) if not Path(path).name.startswith(".begun-")
        )
        if left:
            self.failures.append(f"{self.name}, {case}: it left {left}")

    def recovers(self, case: str) -> None:
        """Check that after the bad files are deleted, as the messages say, the next run downloads and loads."""
        shutil.rmtree(self.root)
        self.server.bodies, self.server.sent = dict(self.remote), 1.0
        if not self.is_good():
            self.failures.append(f"{self.name}, {case}: no good run afterwards")

    def everything(self) -> list[str]:
        """Return all files below the data folder."""
        return sorted(str(path) for path in self.root.rglob("*") if not path.is_dir())


def cifar(root: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> DataSet:
    """Return a CIFAR-10 of 6 files of 4 records."""
    table = RNG.integers(0, 256, (6, 4, cifar10.RECORD), dtype=np.uint8)
    table[:, :, 0] %= 10
    names = [f"{cifar10.FOLDER}/{name}" for name in (*cifar10.TRAIN, *cifar10.TEST)]
    files = {name: rows.tobytes() for name, rows in zip(names, table, strict=True)}
    digests = [
        cifar10.set_digest(record.tobytes() for record in part.reshape(-1, cifar10.RECORD))
        for part in (table[:5], table[5:])
    ]
    body = archive(files)  # type: ignore[arg-type]
    checksum = f"sha256:{hashlib.sha256(body).hexdigest()}"
    release = cifar10.Release(4, digests[0], digests[1], f"{server.url}/cifar.tar.gz", checksum)
    monkeypatch.setattr(cifar10, "OFFICIAL", release)
    return DataSet("cifar10", root, server, files, {"/cifar.tar.gz": body}, 20)


def digits(root: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> DataSet:
    """Return an MNIST of 8 and 4 images, gzipped as it is published."""
    files, remote, known = {}, {}, []
    for file, count in zip(mnist.OFFICIAL.files, (8, 8, 4, 4), strict=True):
        shape = (count, *file.shape[1:])
        pixels = RNG.integers(0, 256 if len(shape) == 3 else 10, shape, dtype=np.uint8).tobytes()
        plain = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + pixels
        packed = gzip.compress(plain, mtime=0)
        files[f"MNIST/raw/{file.name}.gz"] = remote[f"/mnist/{file.name}.gz"] = packed
        known.append(mnist.IdxFile(file.name, shape, hashlib.md5(plain).hexdigest(), hashlib.md5(packed).hexdigest()))
    release = mnist.Release((known[0], known[1], known[2], known[3]), f"{server.url}/mnist/")
    monkeypatch.setattr(mnist, "OFFICIAL", release)
    return DataSet("mnist", root, server, files, remote, 8)


@pytest.fixture(params=[cifar, digits], ids=["cifar10", "mnist"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataSet]:
    """A good data set on disk and on the server."""
    root = tmp_path / "data"
    monkeypatch.setenv("COSNB_DATA", str(root))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        made = request.param(root, server, monkeypatch)
        made.put()
        assert made.is_good()
        yield made


def plain_files(dataset: DataSet) -> dict[str, bytes]:
    """Return the set's files, MNIST's unpacked too: both forms are read."""
    unpacked = {name[:-3]: gzip.decompress(body) for name, body in dataset.files.items() if name.endswith(".gz")}
    return {**dataset.files, **unpacked}


def test_what_stands_in_a_file_s_place(dataset: DataSet, tally: Tally) -> None:
    for name in dataset.files:
        path = dataset.root / name
        for case, place in (
            ("empty", lambda: path.write_bytes(b"")),  # noqa: B023  (called at once)
            ("a directory", lambda: (path.unlink(), path.mkdir())),  # noqa: B023
            ("a link to nothing", lambda: (path.unlink(), path.symlink_to(dataset.root / "none"))),  # noqa: B023
            ("a page of HTML", lambda: path.write_bytes(b"<!doctype html><p>moved" * 50)),  # noqa: B023
            ("more at its end", lambda: path.write_bytes(path.read_bytes() + b"\0" * 9)),  # noqa: B023
        ):
            dataset.put()
            place()
            if case == "a link to nothing":
                dataset.server.bodies = {}  # it counts as missing
            if case == "more at its end" and name.endswith(".gz"):
                continue  # gzip ignores zeros there, and the content is verified
            dataset.refuses(f"{case} at {name}")
    dataset.recovers("places")
    tally(dataset.cases, dataset.failures)


def test_a_missing_file_and_no_network(dataset: DataSet, tally: Tally) -> None:
    for name in dataset.files:
        dataset.put()
        (dataset.root / name).unlink()
        dataset.server.bodies = {}
        dataset.refuses(f"no {name}")
        dataset.server.bodies = dict(dataset.remote)
        if not dataset.is_good():
            dataset.failures.append(f"{name} was not downloaded")
    tally(dataset.cases, dataset.failures)


def test_truncated_at_fifty_places(dataset: DataSet, tally: Tally) -> None:
    for name, content in plain_files(dataset).items():
        for at in np.linspace(0, len(content) - 1, 50).astype(int):
            dataset.put()
            (dataset.root / name).write_bytes(content[:at])
            dataset.refuses(f"{name} cut off at {at}")
    dataset.recovers("truncated")
    tally(dataset.cases, dataset.failures)


def unpacks_to(packed: bytes, plain: bytes) -> bool:
    """Say whether gzip makes `plain` of `packed`."""
    try:
        return gzip.decompress(packed) == plain
    except (OSError, EOFError, zlib.error):
        return False


@pytest.mark.long
def test_one_bit_flipped_at_two_hundred_places(dataset: DataSet, tally: Tally) -> None:
    for name, content in plain_files(dataset).items():
        for at in RNG.choice(len(content), min(200, len(content)), replace=False):
            spoilt = bytearray(content)
            spoilt[at] ^= 1 << int(RNG.integers(8))
            # gzip has bits that decide nothing (the time, the compressor's flags, what fills the last byte).
            if name.endswith(".gz") and unpacks_to(spoilt, gzip.decompress(content)):
                continue
            dataset.put()
            (dataset.root / name).write_bytes(spoilt)
            dataset.refuses(f"{name}, a bit of byte {at}")
    dataset.recovers("flipped")
    tally(dataset.cases, dataset.failures)


def test_labels_out_of_range_and_wrong_magic(dataset: DataSet, tally: Tally) -> None:
    for name, content in plain_files(dataset).items():
        if name.endswith(".gz"):
            continue
        changes = {f"label {label}": (0 if dataset.name == "cifar10" else 8, label) for label in (10, 77, 255)}
        if dataset.name == "mnist":
            changes = {} if "images" in name else changes
            changes |= {f"magic byte {at}": (at, 7) for at in range(4)} | {f"size byte {at}": (at, 9) for at in (4, 7)}
        for case, (at, value) in changes.items():
            dataset.put()
            (dataset.root / name).write_bytes(content[:at] + bytes([value]) + content[at + 1 :])
            dataset.refuses(f"{name}: {case}")
    dataset.recovers("labels")
    tally(dataset.cases, dataset.failures)


def test_connections_broken_at_twenty_places(dataset: DataSet, tally: Tally) -> None:
    for share in np.linspace(0, 0.999, 20):
        shutil.rmtree(dataset.root)
        dataset.server.sent = float(share)
        dataset.refuses(f"connection broken at {share:.0%}")
        dataset.recovers(f"connection broken at {share:.0%}")
    tally(dataset.cases, dataset.failures)


def test_wrong_content_with_status_200(dataset: DataSet, tally: Tally) -> None:
    answers: dict[str, Callable[[bytes], bytes]] = {
        "nothing": lambda body: b"",
        "a page": lambda body: b"<html><body>Sign in to the network</body></html>",
        "half": lambda body: body[: len(body) // 2],
        "one bit": lambda body: body[:20] + bytes([body[20] ^ 1]) + body[21:],
        "twice": lambda body: body + body,
        "a bomb": lambda body: gzip.compress(bytes(50_000_000)),
        "another set": lambda body: gzip.compress(body),
    }
    for case, answer in answers.items():
        shutil.rmtree(dataset.root)
        dataset.server.bodies = {path: answer(body) for path, body in dataset.remote.items()}
        dataset.refuses(f"{case} with status 200")
        dataset.recovers(case)
    tally(dataset.cases, dataset.failures)


def test_hostile_archives(dataset: DataSet, tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives whose checksum is right: what they hold must do no harm all the same."""
    if dataset.name != "cifar10":
        pytest.skip("MNIST comes as single files")
    names = list(dataset.files)
    bomb = tarfile.TarInfo(names[0])
    bomb.size = 200_000_000
    hostile: dict[str, dict[str, bytes | tarfile.TarInfo]] = {
        "paths that lead out": {f"../{name}": body for name, body in dataset.files.items()},
        "absolute paths": {f"/{name}": body for name, body in dataset.files.items()},
        "links": {name: link(name, "/etc/passwd") for name in names},
        "a link first, then a file through it": {cifar10.FOLDER: link(cifar10.FOLDER, "/tmp"), **dataset.files},
        "one file missing": dict(list(dataset.files.items())[:-1]),
        "files of the wrong size": {name: body * 2 for name, body in dataset.files.items()},
    }
    for case, members in hostile.items():
        body = archive(members)
        release = cifar10.OFFICIAL
        checksum = f"sha256:{hashlib.sha256(body).hexdigest()}"
        wrong = cifar10.Release(4, release.train_digest, release.test_digest, release.url, checksum)
        shutil.rmtree(dataset.root)
        dataset.server.bodies = {"/cifar.tar.gz": body}
        outside = set(dataset.root.parent.iterdir())
        with monkeypatch.context() as patch:
            patch.setattr(cifar10, "OFFICIAL", wrong)
            if case == "a link first, then a file through it":  # the files are good, the link is not followed
                dataset.cases += 1
                if not dataset.is_good() or (dataset.root / cifar10.FOLDER).is_symlink():
                    dataset.failures.append(case)
            elif case == "files of the wrong size":  # they are unpacked, and refused at each reading
                dataset.cases += 1
                for _ in range(2):
                    with pytest.raises(CosnbError, match="bytes, but"):
                        load("cifar10")
            else:
                dataset.refuses(case)
        if set(dataset.root.parent.iterdir()) - outside - {dataset.root}:
            dataset.failures.append(f"{case}: files outside of the data folder")
        dataset.recovers(case)
    tally(dataset.cases, dataset.failures)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Go on as a user whom permissions bind: they do not bind root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_no_permission(dataset: DataSet, tally: Tally) -> None:
    for folder in [*dataset.root.parents][:4]:
        if folder.owner() == "root" and os.geteuid() == 0 and folder != Path("/tmp"):
            folder.chmod(0o755)  # pytest's own folders are for root alone
    for name in dataset.files:
        dataset.put()
        (dataset.root / name).chmod(0)
        with as_nobody():
            dataset.refuses(f"{name} may not be read")
    shutil.rmtree(dataset.root)
    dataset.root.mkdir(mode=0o555)
    with as_nobody():
        dataset.refuses("the data folder may not be written")
    dataset.root.chmod(0o755)
    dataset.recovers("permissions")
    tally(dataset.cases, dataset.failures)


def test_a_disk_that_fills_while_downloading(dataset: DataSet, tally: Tally) -> None:
    size = max(map(len, dataset.remote.values()))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    for share in np.linspace(0.02, 0.98, 10):
        shutil.rmtree(dataset.root)
        if dataset.name == "cifar10":  # one file; of MNIST's the small ones arrive whole
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * share), unlimited[1]))
        else:
            smallest = min(map(len, dataset.remote.values()))
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(smallest * share), unlimited[1]))
        try:
            with redirect_stderr(io.StringIO()):  # the limit is for the file that pytest catches it in, too
                dataset.refuses(f"disk full at {share:.0%}")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        dataset.recovers("disk full")
    tally(dataset.cases, dataset.failures)
