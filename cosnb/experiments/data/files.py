"""Data files: read with their size checked, or downloaded, verified and only then put in their place."""

import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cosnb.errors import CosnbError

if TYPE_CHECKING:
    import requests

TIMEOUT = 30  # s, of one silence of the server, not of the whole download
REPLACE = "delete it, and cosnb downloads it again, or copy it again from where it came."


def is_missing(path: Path) -> bool:
    """Tell whether nothing stands at `path`; raises CosnbError where something other than a file does."""
    with reading(path):
        if not path.exists():
            return True
        if not path.is_file():
            raise CosnbError(f"{path} is not a file, but the data file {path.name} is expected there: move it away.")
        return False


def read_file(path: Path, size: int) -> bytes:
    """Return a file's bytes; raises CosnbError where it is unreadable or not exactly `size` bytes long."""
    with reading(path):
        found = path.stat().st_size
        data = path.read_bytes() if found == size else b""
    if len(data) != size:
        raise CosnbError(f"{path} has {found:,} bytes, but {size:,} are expected: {REPLACE}")
    return data


def download(url: str, checksum: str, target: Path) -> None:
    """Download one file to `target`, whose folder is made; shows a progress bar.

    checksum: "algorithm:hex". Nothing appears at `target` before the whole file is there and its checksum right.
    Raises CosnbError on a failed connection, wrong content, a full disk or a folder that cannot be written.
    """
    with _workshop(target.parent) as aside:
        _retrieve(url, checksum, aside / target.name, target.parent)
        (aside / target.name).replace(target)


def download_archive(url: str, checksum: str, members: Mapping[str, Path]) -> None:
    """Download a .tar.gz and write its regular files named in `members` to the paths given there, nothing else.

    The paths share one folder, which is made. Checks, progress bar and errors are those of `download`; the files
    are unpacked aside and take their places after the last of them is complete.
    """
    folder = next(iter(members.values())).parent
    with _workshop(folder) as aside:
        archive = aside / url.rsplit("/", 1)[-1]
        _retrieve(url, checksum, archive, folder)
        missing = set(members)
        try:
            with tarfile.open(archive, "r:gz") as tar:
                for member in tar:
                    source = tar.extractfile(member) if member.name in missing and member.isreg() else None
                    if source is not None:
                        with source, (aside / members[member.name].name).open("wb") as out:
                            shutil.copyfileobj(source, out, 1 << 20)
                        missing.remove(member.name)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise CosnbError(f"The archive {url} cannot be unpacked ({error}): {_by_hand(folder)}") from error
        if missing:
            raise CosnbError(f"The archive {url} holds no file {min(missing)}, which is expected: {_by_hand(folder)}")
        for path in members.values():
            (aside / path.name).replace(path)


def _retrieve(url: str, checksum: str, path: Path, folder: Path) -> None:
    import pooch  # here and below, for a machine without them that has the files
    import requests

    answers: list[requests.Response] = []
    note = {"response": lambda answer, **_: answers.append(answer)}
    try:
        pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT, hooks=note)(url, str(path), None)
    except requests.RequestException as error:
        raise CosnbError(
            f"{url} could not be downloaded ({_reason(error)}): check the network and try again, or {_by_hand(folder)}"
        ) from error
    finally:
        for answer in answers:  # pooch leaves a connection that broke, and the socket, to chance
            answer.close()
    algorithm, expected = checksum.split(":")
    found = pooch.file_hash(str(path), alg=algorithm)
    if found != expected:
        raise CosnbError(
            f"{url} gave other content than expected ({algorithm} {found} instead of {expected}), "
            f"so nothing was kept: try again later, or {_by_hand(folder)}"
        )


def _reason(error: "requests.RequestException") -> str:
    import requests

    if error.response is not None:
        return f"the server answered with HTTP status {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    return "no connection" if isinstance(error, requests.ConnectionError) else str(error)


def _by_hand(folder: Path) -> str:
    return f"get the files elsewhere and put them into {folder}."


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """Make `folder` and a temporary folder inside it, which is gone afterwards whatever happened."""
    advice = "free some space, make the folder writable, or set COSNB_DATA to another one"
    with _explained(f"{folder} cannot be written", advice):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as aside:
            yield Path(aside)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an operating system's error inside the block into a CosnbError that names `path`."""
    with _explained(f"{path} cannot be read", "check its permissions or set COSNB_DATA to another folder"):
        yield


@contextmanager
def _explained(trouble: str, advice: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CosnbError(f"{trouble} ({error.strerror or error}): {advice}.") from error
