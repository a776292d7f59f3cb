"""Data files: read with their size checked, or downloaded, verified and only then put in their place.

A download that broke off goes on where it stopped. `COSNB_MIRROR` is the address of a folder that has the files under
their own names, asked in place of the publishers'.
"""

import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

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


def download_archive(url: str, checksum: str, members: Mapping[str, Path], archive: Path) -> None:
    """Download a .tar.gz and write its regular files named in `members` to the paths given there, nothing else.

    archive: where somebody may have put it by hand; it is taken from there. The paths share one folder, which is made.
    Checks, progress bar and errors are those of `download`; the files are unpacked aside and take their places after
    the last of them is complete.
    """
    import pooch

    folder = next(iter(members.values())).parent
    with _workshop(folder) as aside:
        if is_missing(archive):
            archive = aside / archive.name
            _retrieve(url, checksum, archive, folder)
        elif pooch.file_hash(str(archive), alg=checksum.split(":")[0]) != checksum.split(":")[1]:
            raise CosnbError(f"{archive} is not the file published at {url}: its {checksum.split(':')[0]} differs.")
        _unpack(archive, members, aside, folder)
        for path in members.values():
            (aside / path.name).replace(path)


def _unpack(archive: Path, members: Mapping[str, Path], aside: Path, folder: Path) -> None:
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
        raise CosnbError(f"The archive {archive.name} cannot be unpacked ({error}): {_by_hand(folder)}") from error
    if missing:
        raise CosnbError(f"The archive {archive.name} holds no file {min(missing)}, as expected: {_by_hand(folder)}")


def _retrieve(url: str, checksum: str, path: Path, folder: Path) -> None:
    import pooch  # here and below, for a machine without them that has the files
    import requests

    if mirror := os.environ.get("COSNB_MIRROR"):
        url = f"{mirror.rstrip('/')}/{url.rsplit('/', 1)[-1]}"
    begun = folder / f".begun-{path.name}"
    with suppress(FileNotFoundError):
        begun.replace(path)  # one of several processes goes on with it
    try:
        _fetch(url, path)
    except BaseException as error:
        with suppress(OSError):
            if isinstance(error, requests.RequestException | KeyboardInterrupt) and path.stat().st_size:
                path.replace(begun)
        if isinstance(error, requests.RequestException):
            raise CosnbError(
                f"{url} could not be downloaded ({_reason(error)}): check the network and try again, "
                f"name another address in COSNB_MIRROR, or {_by_hand(folder)}"
            ) from error
        raise
    algorithm, expected = checksum.split(":")
    found = pooch.file_hash(str(path), alg=algorithm)
    if found != expected:
        raise CosnbError(
            f"{url} gave other content than expected ({algorithm} {found} instead of {expected}), "
            f"so nothing was kept: try again later, or {_by_hand(folder)}"
        )


def _fetch(url: str, path: Path) -> None:
    """Write what `url` gives to `path`, behind what is there already where the server can give a part."""
    import pooch
    import requests

    answers: list[requests.Response] = []
    have = path.stat().st_size if path.exists() else 0

    with path.open("ab") as file, tqdm(total=1, unit="B", unit_scale=True, desc=path.name) as bar:

        def note(answer: requests.Response, **_: object) -> None:
            answers.append(answer)
            if answer.status_code == requests.codes.ok:  # all of it, also where a part was asked for
                file.truncate(0)

        asked = {"headers": {"Range": f"bytes={have}-"}} if have else {}
        try:
            # With a bar of its own pooch would warn in a plain Jupyter that widgets are missing.
            pooch.HTTPDownloader(bar, timeout=TIMEOUT, hooks={"response": note}, **asked)(url, file, None)
        except requests.HTTPError as error:
            if error.response is None or error.response.status_code != requests.codes.requested_range_not_satisfiable:
                raise
            # Nothing is left to ask for: its checksum decides.
        finally:
            for answer in answers:  # pooch leaves a connection that broke, and the socket, to chance
                answer.close()


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
