"""The kernels' cache on disk: a file is whole or not there, and what is too old or unfinished goes."""

import logging
import os
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
