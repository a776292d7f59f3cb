"""Folders of the project, and files that are written whole or not at all."""

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

BEGUN = ".new-"  # begins the names of files that are being written
_OPEN_FILES = re.compile(r"(/proc/\d+(/task/\d+)?|/dev)/fd")  # folders of a process's open files
# In an installed package the notebooks and the recorded runs, which lie beside the package in a clone.
SHIPPED = Path(__file__).with_name("shipped")


def write_atomically(path: Path, content: str | bytes, *, replace: bool = True, sync: bool = False) -> None:
    """Write a file (text as UTF-8) beside its place and rename it: whoever reads sees all of it or none.

    A link stays, and what it names is written; devices and pipes are written into, and nothing is renamed.

    sync: whether it has to outlast a loss of power. Raises FileExistsError for an existing file unless `replace`, and
    OSError where the folder refuses; nothing is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
    if replace and is_stream(path):
        with path.open("ab") as file:
            file.write(data)
        return
    if replace:
        path = Path(os.path.realpath(path))
    beside = path.with_name(f"{BEGUN}{os.getpid()}-{secrets.token_hex(8)}")
    try:
        with beside.open("xb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        if replace:
            os.replace(beside, path)
        else:
            os.link(beside, path)  # unlike a rename it refuses to replace, whoever else writes
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def is_stream(path: Path) -> bool:
    """Say whether what stands at `path` is no file of its own: a device, a pipe, or a name like /dev/stdout."""
    if path.exists() and not path.is_file():
        return True
    names = [path.absolute(), *([path.absolute().parent / os.readlink(path)] if path.is_symlink() else [])]
    return any(_OPEN_FILES.fullmatch(os.path.realpath(name.parent)) for name in names)


def repository_root() -> Path:
    """Return the folder that holds the package: in a clone that of `notebooks/`, `book/` and `results/` too."""
    return Path(__file__).resolve().parent.parent


def notebooks_dir(root: Path) -> Path:
    """Return the folder of the notebooks without outputs: of a clone, or of an installed package."""
    shipped = root / "cosnb" / SHIPPED.name / "notebooks"
    return shipped if shipped.is_dir() else root / "notebooks"


def build_dir(root: Path) -> Path:
    """Return the folder of what is made (not created): the clone's `_build`, or one here where there is no clone."""
    return (Path.cwd() if (root / "cosnb" / SHIPPED.name).is_dir() else root) / "_build"


def cache_dir() -> Path:
    """Return the user's cache folder of cosnb (not created)."""
    try:
        import pooch
    except ModuleNotFoundError:  # a machine that has PyTorch but not all that cosnb asks for still runs its kernels
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cosnb"
    return Path(pooch.os_cache("cosnb"))


def data_dir() -> Path:
    """Return the data folder: `$COSNB_DATA` where set, else `data` in the user's cache (not created)."""
    return Path(os.environ["COSNB_DATA"]) if os.environ.get("COSNB_DATA") else cache_dir() / "data"


def results_dir() -> Path:
    """Return the folder of records (not created): `$COSNB_RESULTS`, else the repository's `results`, else one here.

    The last is for an installed package, on Colab for example, that has no repository around it.
    """
    if os.environ.get("COSNB_RESULTS"):
        return Path(os.environ["COSNB_RESULTS"])
    root = repository_root()
    return (root if (root / "pyproject.toml").exists() else Path.cwd()) / "results"


def results_dirs() -> list[Path]:
    """Return the folders that records are read from: `results_dir()`, then those that an installed package brings.

    With `COSNB_SHIPPED=no` the latter are left out, and so trained again.
    """
    brought = SHIPPED.is_dir() and os.environ.get("COSNB_SHIPPED") != "no"
    return [results_dir(), *([SHIPPED / "results"] if brought else [])]


def repository_address() -> str | None:
    """Return the public address of the repository's branch, ".../tree/main", from `_config.yml`; None outside a clone.

    Read as two lines of text: the installed package does without a YAML parser.
    """
    try:
        text = (repository_root() / "_config.yml").read_text(encoding="utf-8")
    except OSError:
        return None
    found = {key: re.search(rf"^  {key}: *(\S+)$", text, re.MULTILINE) for key in ("url", "branch")}
    return f"{found['url'][1]}/tree/{found['branch'][1]}" if found["url"] and found["branch"] else None
