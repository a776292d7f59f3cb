"""Downloads from a server on this machine: whole files in their place, or one clear sentence and no file at all."""

import gzip
import hashlib
import os
import pickle
import resource
import tarfile
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from data_server import Server, archive, link, serving

from cosnb.errors import CosnbError
from cosnb.experiments.data import cifar10, files, load, mnist

CONTENT = np.random.default_rng(0).bytes(300_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as state:
        yield state


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_a_good_file_arrives_whole_and_alone(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    server.bodies["/a.gz"] = CONTENT
    target = tmp_path / "deep" / "folder" / "a.gz"
    files.download(f"{server.url}/a.gz", md5(CONTENT), target)
    assert target.read_bytes() == CONTENT
    assert everything_in(tmp_path) == ["deep/folder/a.gz"]
    assert "100%" in capsys.readouterr().err  # the progress bar


TROUBLES = {
    "cut off": (CONTENT, 0.6, r"could not be downloaded \(the connection broke off\): check the network"),
    "not found": (None, 1.0, r"could not be downloaded \(the server answered with HTTP status 404\)"),
    "wrong content": (CONTENT[:-1] + b"!", 1.0, r"gave other content than expected \(md5 \w{32} instead of \w{32}\)"),
    "a page instead": (b"<html>Sign in</html>", 1.0, "gave other content than expected"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("as_archive", [False, True])
def test_a_bad_download_leaves_no_file(server: Server, tmp_path: Path, trouble: str, as_archive: bool) -> None:
    body, server.sent, message = TROUBLES[trouble]
    if body is not None:
        server.bodies["/a.tar.gz"] = body
    url, target = f"{server.url}/a.tar.gz", tmp_path / "folder" / "a.bin"
    archived = partial(files.download_archive, url, md5(CONTENT), {"a.bin": target}, tmp_path / "a.tar.gz")
    fetch = archived if as_archive else partial(files.download, url, md5(CONTENT), target)
    with pytest.raises(CosnbError, match=rf"/a.tar.gz {message}.*put them into .*folder\."):
        fetch()
    kept = f"folder/.begun-{'a.tar.gz' if as_archive else 'a.bin'}"  # what it goes on from
    assert everything_in(tmp_path) == ([kept] if trouble == "cut off" else [])


@pytest.mark.parametrize("gives_parts", [True, False])
def test_a_download_that_broke_off_goes_on(gives_parts: bool, server: Server, tmp_path: Path) -> None:
    server.bodies["/a.gz"], server.sent = CONTENT, 0.6
    fetch = partial(files.download, f"{server.url}/a.gz", md5(CONTENT), tmp_path / "a.gz")
    with pytest.raises(CosnbError, match="broke off"):
        fetch()
    begun = (tmp_path / ".begun-a.gz").stat().st_size
    assert 0 < begun < len(CONTENT)
    server.sent, server.gives_parts = 1.0, gives_parts
    fetch()
    assert server.ranges == [None, f"bytes={begun}-"]
    assert (tmp_path / "a.gz").read_bytes() == CONTENT
    assert everything_in(tmp_path) == ["a.gz"]


def test_what_was_begun_of_another_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    server.bodies["/a.gz"] = CONTENT
    (tmp_path / ".begun-a.gz").write_bytes(b"x" * len(CONTENT))
    fetch = partial(files.download, f"{server.url}/a.gz", md5(CONTENT), tmp_path / "a.gz")
    with pytest.raises(CosnbError, match="other content"):
        fetch()
    fetch()
    assert (tmp_path / "a.gz").read_bytes() == CONTENT


def test_a_mirror_is_asked_in_place_of_the_publisher(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.bodies["/data/a.gz"] = CONTENT
    monkeypatch.setenv("COSNB_MIRROR", f"{server.url}/data/")
    files.download("http://127.0.0.1:9/elsewhere/a.gz", md5(CONTENT), tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == CONTENT


def test_no_server_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(CosnbError, match=r"could not be downloaded \(no connection\): check the network"):
        files.download("http://127.0.0.1:9/a.gz", md5(CONTENT), tmp_path / "a.gz")
    assert everything_in(tmp_path) == []


def test_only_the_named_regular_files_leave_an_archive(server: Server, tmp_path: Path) -> None:
    body = archive({"set/a.bin": b"A" * 999, "set/readme": b"no", "../evil": b"no", "/etc/evil": b"no", "a.bin": b"no"})
    server.bodies["/set.tar.gz"] = body
    folder = tmp_path / "data" / "set"
    files.download_archive(f"{server.url}/set.tar.gz", md5(body), {"set/a.bin": folder / "a.bin"}, tmp_path / "no")
    assert everything_in(tmp_path) == ["data/set/a.bin"]
    assert (folder / "a.bin").read_bytes() == b"A" * 999


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"set/a.bin": b"A" * 999}, "holds no file set/b.bin"),
        ({"set/a.bin": b"A" * 999, "set/b.bin": link("set/b.bin", "/etc/passwd")}, "holds no file set/b.bin"),
        (None, "cannot be unpacked"),
    ],
)
def test_an_archive_without_its_files_leaves_none(
    server: Server, tmp_path: Path, members: dict[str, bytes | tarfile.TarInfo] | None, message: str
) -> None:
    body = archive({"set/a.bin": CONTENT})[:-5000] if members is None else archive(members)
    server.bodies["/set.tar.gz"] = body
    wanted = {f"set/{name}": tmp_path / "set" / name for name in ("a.bin", "b.bin")}
    with pytest.raises(CosnbError, match=message):
        files.download_archive(f"{server.url}/set.tar.gz", md5(body), wanted, tmp_path / "no")
    assert everything_in(tmp_path) == []


def test_a_disk_that_takes_no_more_leaves_no_file(server: Server, tmp_path: Path) -> None:
    server.bodies["/a.gz"] = CONTENT
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))  # writing beyond fails, as on a full disk
    try:
        with pytest.raises(CosnbError, match=r"cannot be written \(File too large\): free some space"):
            files.download(f"{server.url}/a.gz", md5(CONTENT), tmp_path / "a.gz")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert everything_in(tmp_path) == []


def test_a_read_only_folder_is_named(server: Server) -> None:
    server.bodies["/a.gz"] = CONTENT
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # permissions do not bind root: go on as the user nobody
    try:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o555)
            with pytest.raises(CosnbError, match=rf"{folder} cannot be written \(Permission denied\): .*make the fold"):
                files.download(f"{server.url}/a.gz", md5(CONTENT), Path(folder) / "a.gz")
            assert list(Path(folder).iterdir()) == []
            Path(folder).chmod(0o755)
    finally:
        os.seteuid(user)


def test_load_downloads_cifar10_once_and_only_what_is_missing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = np.random.default_rng(1).integers(0, 10, (6, 2, cifar10.RECORD), dtype=np.uint8)
    names = [f"{cifar10.FOLDER}/{name}" for name in (*cifar10.TRAIN, *cifar10.TEST)]
    body = archive({name: rows.tobytes() for name, rows in zip(names, table, strict=True)})
    train, test = (
        cifar10.set_digest(record.tobytes() for record in part.reshape(-1, cifar10.RECORD))
        for part in (table[:5], table[5:])
    )
    server.bodies["/cifar.tar.gz"] = body
    monkeypatch.setattr(cifar10, "OFFICIAL", cifar10.Release(2, train, test, f"{server.url}/cifar.tar.gz", md5(body)))
    monkeypatch.setenv("COSNB_DATA", str(tmp_path))
    assert load("cifar10").train_labels.tolist() == table[:5, :, 0].ravel().tolist()
    assert everything_in(tmp_path) == sorted(names)
    kept, lost = tmp_path / names[0], tmp_path / names[5]
    stamp = kept.stat().st_mtime_ns
    load("cifar10")
    assert len(server.requests) == 1
    lost.unlink()
    load("cifar10")
    assert len(server.requests) == 2
    assert lost.read_bytes() == table[5].tobytes()
    assert kept.stat().st_mtime_ns == stamp


def test_cifar10_comes_from_an_archive_or_torchvisions_folder_put_there_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = np.random.default_rng(1).integers(0, 256, (6, 300, cifar10.RECORD), dtype=np.uint8)
    table[:, :, 0] %= 10
    names = [f"{cifar10.FOLDER}/{name}" for name in (*cifar10.TRAIN, *cifar10.TEST)]
    body = archive({name: rows.tobytes() for name, rows in zip(names, table, strict=True)})
    train, test = (
        cifar10.set_digest(record.tobytes() for record in part.reshape(-1, cifar10.RECORD))
        for part in (table[:5], table[5:])
    )
    release = cifar10.Release(300, train, test, "http://127.0.0.1:9/cifar.tar.gz", md5(body))
    monkeypatch.setattr(cifar10, "OFFICIAL", release)
    by_hand, torchvision = tmp_path / "archive", tmp_path / "torchvision"
    by_hand.mkdir()
    (by_hand / "cifar.tar.gz").write_bytes(body)
    (torchvision / cifar10.TORCHVISION).mkdir(parents=True)
    for path, rows in zip(names, table, strict=True):
        kept = {
            "batch_label": "one of 6",
            "labels": rows[:, 0].tolist(),
            "data": rows[:, 1:].copy(),
            "filenames": ["a"],
        }
        name = Path(path).stem
        (torchvision / cifar10.TORCHVISION / name).write_bytes(pickle.dumps(kept, protocol=2))
    for folder in (by_hand, torchvision):
        monkeypatch.setenv("COSNB_DATA", str(folder))
        assert cifar10.present(folder)
        found = load("cifar10", download=False)
        assert found.train_labels.tolist() == table[:5, :, 0].ravel().tolist()
        assert np.array_equal(found.test_images.numpy().reshape(300, -1), table[5, :, 1:])
    assert not list(torchvision.glob(f"{cifar10.FOLDER}/*"))
    (by_hand / "cifar.tar.gz").write_bytes(body + b"!")
    for name in names:
        (by_hand / name).unlink()
    monkeypatch.setenv("COSNB_DATA", str(by_hand))
    with pytest.raises(CosnbError, match=r"cifar\.tar\.gz is not the file published at"):
        load("cifar10")


def test_a_pickle_is_read_as_bytes_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Attack:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "ran"),)

    monkeypatch.setenv("COSNB_DATA", str(tmp_path))
    (tmp_path / cifar10.TORCHVISION).mkdir()
    for name in (*cifar10.TRAIN, *cifar10.TEST):
        path = tmp_path / cifar10.TORCHVISION / Path(name).stem
        path.write_bytes(pickle.dumps({"labels": [1, 2], "data": Attack()}, protocol=2))
    with pytest.raises(CosnbError, match=r"data_batch_1 does not hold 10,000 images"):
        load("cifar10", download=False)
    assert not (tmp_path / "ran").exists()


def test_load_downloads_mnist_and_keeps_it_gzipped(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = []
    for file in mnist.OFFICIAL.files:
        shape = (2, *file.shape[1:])
        plain = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + bytes(np.prod(shape))
        server.bodies[f"/mnist/{file.name}.gz"] = packed = gzip.compress(plain)
        known.append(mnist.IdxFile(file.name, shape, hashlib.md5(plain).hexdigest(), hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(
        mnist, "OFFICIAL", mnist.Release((known[0], known[1], known[2], known[3]), f"{server.url}/mnist/")
    )
    monkeypatch.setenv("COSNB_DATA", str(tmp_path))
    assert load("mnist").train_images.shape == (2, 1, 28, 28)
    assert everything_in(tmp_path) == sorted(f"MNIST/raw/{file.name}.gz" for file in known)
    load("mnist")
    assert len(server.requests) == 4
