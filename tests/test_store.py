"""The kernels' cache on disk: a file is whole or not there, and what is too old or unfinished goes."""

import logging
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cosnb.kernels import store
from cosnb.paths import BEGUN, write_atomically


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "cache_dir", lambda: tmp_path)
    store._own.cache_clear()
    return tmp_path / "kernels"


def test_what_is_put_is_found_by_its_key_and_suffix(folder: Path) -> None:
    path = store.put("key", ".so", b"content")
    assert path.parent == folder
    assert store.get("key", ".so") == path
    assert path.read_bytes() == b"content"
    assert store.get("key", ".py") is None
    assert store.get("other", ".so") is None


@pytest.mark.parametrize("damaged", [b"", b"conten", b"content\0", b"Content"])
def test_what_is_damaged_is_not_found_and_can_be_put_again(damaged: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = store.put("key", ".so", b"content")
    path.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        assert store.get("key", ".so") is None
    assert "is damaged" in caplog.text
    assert store.put("key", ".so", b"content") == path
    assert store.get("key", ".so") == path


def test_the_longest_unused_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_KEPT", 3)
    paths = [store.put(f"key{number}", ".so", b"content") for number in range(3)]
    for age, path in enumerate(paths):
        os.utime(path, (time.time() - 100 + age,) * 2)
    assert store.get("key0", ".so") == paths[0]  # used now
    new = store.put("key3", ".so", b"content")
    assert set(folder.iterdir()) == {paths[0], paths[2], new}


def test_what_a_killed_writer_left_goes_after_an_hour(folder: Path) -> None:
    store.put("key", ".so", b"content")
    old, fresh = folder / f"{BEGUN}old", folder / f"{BEGUN}fresh"
    for path, age in ((old, 3700), (fresh, 10)):
        path.write_bytes(b"begun")
        os.utime(path, (time.time() - age,) * 2)
    store.put("other", ".so", b"content")
    assert not old.exists()
    assert fresh.exists()


def test_where_nothing_can_be_written_the_process_has_a_folder_of_its_own(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("a file in its place")  # as root may write everywhere
    with caplog.at_level(logging.WARNING):
        path = store.put("key", ".so", b"content")
    assert "takes nothing" in caplog.text
    assert folder not in path.parents
    assert store.get("key", ".so") == path


def test_a_file_is_written_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_atomically(path, "∞")
    write_atomically(path, b"new", sync=True)
    assert path.read_bytes() == b"new"
    with pytest.raises(FileExistsError):
        write_atomically(path, "late", replace=False)
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_what_it_names_is_written(tmp_path: Path) -> None:
    target, link, dangling = tmp_path / "elsewhere" / "page.html", tmp_path / "link", tmp_path / "dangling"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    dangling.symlink_to(Path("elsewhere") / "new.html")
    for path in (link, dangling):
        write_atomically(path, "new")
        assert path.is_symlink()
    assert {path.name: path.read_text() for path in target.parent.iterdir()} == {"page.html": "new", "new.html": "new"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_and_a_device_are_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, "page")
    assert os.read(reader, 99) == b"page"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    device = tmp_path / "null"
    device.symlink_to(os.devnull)
    write_atomically(device, "page")
    assert device.is_symlink()
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout here")
def test_standard_output_is_written_into_where_it_is_a_file_too(tmp_path: Path) -> None:
    code = "from pathlib import Path; from cosnb.paths import *; write_atomically(Path('/dev/stdout'), 'page')"
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
        assert os.fstat(out.fileno()).st_ino == (tmp_path / "out").stat().st_ino
    assert (tmp_path / "out").read_bytes() == b"page"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout == b"page"
    assert Path("/dev/stdout").is_symlink()
