"""Downloads from a server on this machine: whole files in their place, or one clear sentence and no file at all."""

import gzip
import hashlib
import os
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
    archived = partial(files.download_archive, url, md5(CONTENT), {"a.bin": target})
    fetch = archived if as_archive else partial(files.download, url, md5(CONTENT), target)
    with pytest.raises(CosnbError, match=rf"/a.tar.gz {message}.*put them into .*folder\."):
        fetch()
    assert everything_in(tmp_path) == []


def test_no_server_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(CosnbError, match=r"could not be downloaded \(no connection\): check the network"):
        files.download("http://127.0.0.1:9/a.gz", md5(CONTENT), tmp_path / "a.gz")
    assert everything_in(tmp_path) == []


def test_only_the_named_regular_files_leave_an_archive(server: Server, tmp_path: Path) -> None:
    body = archive({"set/a.bin": b"A" * 999, "set/readme": b"no", "../evil": b"no", "/etc/evil": b"no", "a.bin": b"no"})
    server.bodies["/set.tar.gz"] = body
    folder = tmp_path / "data" / "set"
    files.download_archive(f"{server.url}/set.tar.gz", md5(body), {"set/a.bin": folder / "a.bin"})
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
        files.download_archive(f"{server.url}/set.tar.gz", md5(body), wanted)
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
