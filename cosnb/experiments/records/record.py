"""Reading and writing records, each checked in and out.

schema.json says what a record holds, config_digest that its settings are those that it was made with, and its file's
name that it is the run that is looked for.
"""

import hashlib
import json
import os
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cosnb.errors import CosnbError
from cosnb.paths import repository_root, results_dir, results_dirs, write_atomically

SCHEMA = 1
READ_LOG = "COSNB_READ_LOG"  # names a file that gets the experiments whose records were read, a line each
_DEFINITION = json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))
_UNREADABLE = (OSError, ValueError, RecursionError)  # the last from a file of a thousand brackets
Record = dict[str, Any]


def write(record: Record, root: Path | None = None) -> Path:
    """Write `record` whole or not at all and return its path.

    The path is <root>/<experiment>/<activation>-<configuration>-seed<k>.json. A failed run is kept beside it, under a
    name with its time. Raises CosnbError where schema.json does not allow the record, where the file exists, and where
    the folder cannot be written.
    """
    if problem := _problem(record):
        raise CosnbError(f"this is no record, and was not written: {problem}")
    require_writable(record["experiment"], root)
    path = _path(record, root)
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=True) + "\n"
    try:
        write_atomically(path, text, replace=False, sync=True)
    except FileExistsError:
        raise CosnbError(
            f"{path} exists already: a record is never replaced; delete it to run this seed again"
        ) from None
    except OSError as error:
        raise CosnbError(
            f"cannot write the record {path}: {error.strerror}; free the disk or set COSNB_RESULTS"
        ) from error
    path.chmod(0o644)
    return path


def read(experiment: str, root: Path | None = None) -> list[Record]:
    """Return the records of `experiment`, in the order of their file names.

    A file is named in a warning and left out where it cannot be read, where schema.json does not allow it, where its
    settings do not have the digest that it gives, or where its name is another record's. Unknown fields are named in a
    warning.
    """
    note_read(experiment)
    records = []
    for path in files(experiment, root):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except _UNREADABLE as error:
            warnings.warn(f"{path} is no readable record and was left out: {error}", stacklevel=2)
            continue
        if problem := _problem(record) or _misplaced(record, path):
            warnings.warn(f"{path} was left out: {problem}", stacklevel=2)
            continue
        if unknown := sorted(record.keys() - _DEFINITION["properties"].keys()):
            warnings.warn(f"{path} has fields that this program does not know: {', '.join(unknown)}", stacklevel=2)
        records.append(record)
    return records


def files(experiment: str, root: Path | None = None) -> list[Path]:
    """Return the files of an experiment's records by name; of two with one name the first folder's."""
    found: dict[str, Path] = {}
    for folder in results_dirs() if root is None else [root]:
        found = {path.name: path for path in (folder / experiment).glob("*.json")} | found
    return [found[name] for name in sorted(found)]


def experiments(root: Path | None = None) -> list[str]:
    """Return the names of the experiments that have a folder of records."""
    folders = [folder for folder in (results_dirs() if root is None else [root]) if folder.is_dir()]
    return sorted({path.name for folder in folders for path in folder.iterdir() if path.is_dir()})


def note_read(experiment: str) -> None:
    """Add `experiment`, or `*` for all, to the file that says what a notebook's pictures and tables came from."""
    if os.environ.get(READ_LOG):
        with open(os.environ[READ_LOG], "a", encoding="utf-8") as log:
            log.write(f"{experiment}\n")


def find(experiment: str, config_digest: str, seed: int, root: Path | None = None) -> Record | None:
    """Return the finished record of a configuration and seed, or None. Raises CosnbError where its file is damaged."""
    pattern = f"*-{config_digest}-seed{seed}.json"
    folders = results_dirs() if root is None else [root]
    for path in (path for folder in folders for path in (folder / experiment).glob(pattern)):
        try:
            record: Record = json.loads(path.read_text(encoding="utf-8"))
        except _UNREADABLE as error:
            raise CosnbError(f"{path} is no readable record ({error}): restore or delete it, then run again") from None
        if problem := _problem(record) or _misplaced(record, path):
            raise CosnbError(f"{path} is no usable record: {problem}; restore or move it away, then run again")
        return record
    return None


def require_writable(experiment: str, root: Path | None = None) -> Path:
    """Return the folder of `experiment`, created if missing. Raises CosnbError where it cannot be written."""
    folder = (root or results_dir()) / experiment
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".tmp") as file:
            link = f"{file.name}.link"
            os.link(file.name, link)  # write() needs it, and not every file system has it
            os.unlink(link)
    except OSError as error:
        raise CosnbError(
            f"the results folder {folder} cannot be written ({error.strerror}): "
            "allow it, or set COSNB_RESULTS to another folder"
        ) from None
    return folder


def checked_out() -> dict[str, str | bool | None]:
    """Return {"commit": the commit checked out, "dirty": whether a tracked file differs from it}.

    In a copy of the tree without git, the commit is that of COSNB_COMMIT, else None, and `dirty` is None.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(repository_root()), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": os.environ.get("COSNB_COMMIT"), "dirty": None}


def config_digest(settings: Mapping[str, Any]) -> str:
    """Return 10 hexadecimal digits that name the settings of a run or measurement: JSON types."""
    return hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode()).hexdigest()[:10]


def file_stem(activation: str) -> str:
    """Return how files are named after a configuration's activation: formula text has signs that no file name may."""
    return activation if activation.isidentifier() else "formula"


def _name(record: Record) -> str:
    return f"{file_stem(record['config']['activation'])}-{record['config_digest']}-seed{record['seed']}"


def _misplaced(record: Record, path: Path) -> str | None:
    """Return how a record differs from what its file's name and folder say that it is, or None."""
    name = _name(record)
    fits = path.stem.startswith(f"{name}-failed-") if record["status"] == "failed" else path.stem == name
    if fits and path.parent.name == record["experiment"]:
        return None
    return f"it holds the record {record['experiment']}/{name}: it was copied, renamed or changed"


def _path(record: Record, root: Path | None) -> Path:
    folder, name = (root or results_dir()) / record["experiment"], _name(record)
    if record["status"] != "failed":
        return folder / f"{name}.json"
    name += f"-failed-{record['started'].replace(':', '')}"
    paths = (folder / f"{name}{suffix}.json" for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(path for path in paths if not path.exists())  # a second has room for many failures


@cache
def _validator() -> Callable[[Any], str | None]:
    """Return what says why schema.json does not allow a record, or None.

    On a machine without fastjsonschema nothing is said: whoever reads the record elsewhere finds out.
    """
    try:
        import fastjsonschema
    except ModuleNotFoundError:
        return lambda record: None
    check = fastjsonschema.compile(_DEFINITION, use_default=False)  # 50 µs a record, 1/40 of jsonschema's time

    def problem(record: Any) -> str | None:
        try:
            check(record)
        except fastjsonschema.JsonSchemaValueException as error:
            return str(error.message).removeprefix("data.")
        return None

    return problem


def _problem(record: Any) -> str | None:
    if not isinstance(record, dict):
        return "a record is a JSON object"
    if record.get("schema") != SCHEMA:
        return f"its schema version is {record.get('schema')!r}, this program reads {SCHEMA}"
    missing = [name for name in _DEFINITION["required"] if name not in record]
    if missing:
        return f"it lacks {', '.join(sorted(missing))}"
    if problem := _validator()(record):
        return problem
    if record["config_digest"] != (digest := config_digest(record["config"])):
        return f"its config_digest is {record['config_digest']}, that of its config {digest}: one of them was changed"
    if [epoch["epoch"] for epoch in record["epochs"]] != list(range(1, len(record["epochs"]) + 1)):
        return "its epochs are not 1, 2, 3 and so on"
    return None
