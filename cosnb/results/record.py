"""Reading and writing records; what a record holds is described in `cosnb.training.run`."""

import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

from cosnb.errors import CosnbError
from cosnb.paths import results_dir

SCHEMA = 1
_REQUIRED = {
    "schema",
    "experiment",
    "config",
    "config_digest",
    "seed",
    "status",
    "epochs",
    "code_digest",
    "data",
    "device",
}
Record = dict[str, Any]


def write(record: Record, root: Path | None = None) -> Path:
    """Write `record` whole or not at all and return its path.

    The path is `<root>/<experiment>/<activation>-<configuration>-seed<k>.json`.

    A failed run is kept beside, under a name with its time. Raises CosnbError where the record exists or the folder
    refuses.
    """
    path = _path(record, root)
    folder = require_writable(record["experiment"], root)
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=True) + "\n"
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=folder, prefix=".", suffix=".tmp", delete=False, encoding="utf-8"
        ) as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                os.link(file.name, path)  # unlike rename, refuses to replace what another process has recorded
            finally:
                os.unlink(file.name)
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
    """Return the records of `experiment` by file name; an unreadable file is named in a warning and left out."""
    folder = (root or results_dir()) / experiment
    records = []
    for path in sorted(folder.glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            warnings.warn(f"{path} is no readable record and was left out: {error}", stacklevel=2)
            continue
        problem = _problem(record)
        if problem:
            warnings.warn(f"{path} was left out: {problem}", stacklevel=2)
        else:
            records.append(record)
    return records


def find(experiment: str, config_digest: str, seed: int, root: Path | None = None) -> Record | None:
    """Return the finished record of a configuration and seed, or None; CosnbError where its file is damaged."""
    for path in ((root or results_dir()) / experiment).glob(f"*-{config_digest}-seed{seed}.json"):
        try:
            record: Record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CosnbError(f"{path} is no readable record ({error}): restore or delete it, then run again") from None
        if problem := _problem(record):
            raise CosnbError(f"{path} is no usable record: {problem}; restore or move it away, then run again")
        return record
    return None


def require_writable(experiment: str, root: Path | None = None) -> Path:
    """Return the folder of `experiment`, made if missing; CosnbError where it cannot be written."""
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


def file_stem(activation: str) -> str:
    """Return how files are named after a configuration's activation: formula text has signs that no file name may."""
    return activation if activation.isidentifier() else "formula"


def _path(record: Record, root: Path | None) -> Path:
    name = f"{file_stem(record['config']['activation'])}-{record['config_digest']}-seed{record['seed']}"
    if record["status"] == "failed":
        name += f"-failed-{record['started'].replace(':', '')}"
    return (root or results_dir()) / record["experiment"] / f"{name}.json"


def _problem(record: Any) -> str | None:
    if not isinstance(record, dict):
        return "a record is a JSON object"
    if record.get("schema") != SCHEMA:
        return f"its schema version is {record.get('schema')!r}, this program reads {SCHEMA}"
    missing = sorted(_REQUIRED - record.keys())
    return f"it lacks {', '.join(missing)}" if missing else None
