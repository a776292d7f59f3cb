"""On-disk kernel cache: atomic writes, shared between processes.

A file's name ends in the digest of its content, so one that was cut short or changed is found out before it is loaded:
the dynamic linker would end the process where a page of the file is missing.
"""

import atexit
import hashlib
import logging
import os
import shutil
import tempfile
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from cosnb.paths import BEGUN, cache_dir, write_atomically

_KEPT = 1000  # files, each about 60 KB
_STALE = 3600.0  # seconds after which a file begun is one whose writer was killed
logger = logging.getLogger(__name__)


def get(key: str, suffix: str) -> Path | None:
    """Return the whole file of `key`, None where there is none."""
    for folder in (_shared(), *([_own()] if _own.cache_info().currsize else [])):
        for path in folder.glob(f"{key}-*{suffix}"):
            with suppress(OSError):
                if _name(key, suffix, path.read_bytes()) == path.name:
                    with suppress(OSError):  # a cache that is only read
                        os.utime(path)  # the last use decides what is kept
                    return path
                # Not removed: another process may have just put a whole one in its place, as the caller is about to.
                logger.warning("%s is damaged: it is built again", path)
    return None


def put(key: str, suffix: str, content: bytes) -> Path:
    """Write the file of `key` and return its path; in a folder of this process's own where the cache takes nothing."""
    try:
        return _write(_shared(), _name(key, suffix, content), content)
    except OSError as error:
        return put_own(key, suffix, content, f"it takes nothing: {error}")


def put_own(key: str, suffix: str, content: bytes, reason: str) -> Path:
    """Write the file of `key` into a folder of this process's own, since the cache is of no use for that reason."""
    if not _own.cache_info().currsize:
        logger.warning("the kernels' cache is of no use (%s): they are built again in each process", reason)
    return _write(_own(), _name(key, suffix, content), content)


def _write(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / name, content)
    _tidy(folder)
    return folder / name


def _tidy(folder: Path) -> None:
    """Remove the files longest unused beyond the number kept, and what killed writers left."""
    used = []
    for path in folder.iterdir():
        with suppress(OSError):  # another process tidies, too
            used.append((path.stat().st_mtime, path))
    oldest = sorted(used)[:-_KEPT]
    oldest += [(at, path) for at, path in used if path.name.startswith(BEGUN) and at < time.time() - _STALE]
    for _, path in oldest:
        with suppress(OSError):
            path.unlink()


def _name(key: str, suffix: str, content: bytes) -> str:
    return f"{key}-{hashlib.sha256(content).hexdigest()[:16]}{suffix}"


def _shared() -> Path:
    return cache_dir() / "kernels"


@lru_cache(maxsize=1)
def _own() -> Path:
    folder = tempfile.mkdtemp(prefix="cosnb-kernels-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
