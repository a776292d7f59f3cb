"""Cache of executed notebooks, valid while source, parameters, code, packages and records are as they were.

The stamp lies in the executed notebook's own metadata, so that it comes and goes with it.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosnb.experiments.records import record
from cosnb.experiments.registry import read_runs

if TYPE_CHECKING:
    from cosnb.book.notebooks.execution import Job

KEY = "cosnb"  # of the stamp in a notebook's metadata
ALL = "*"  # every experiment, where a notebook has asked which there are
PACKAGE = Path(__file__).resolve().parents[2]
# They run notebooks and build the site, and no notebook imports them.
_RUNNERS = (
    "cli.py",
    "commands/",
    "book/notebooks/",
    "book/site/",
    "experiments/runner/campaign",
    "experiments/cluster.py",
)
_PACKAGES = ("altair", "matplotlib", "mpmath", "numpy", "scikit-learn", "scipy", "sympy", "torch")


def mark(job: "Job", records: Mapping[str, str]) -> "Job":
    """Return `job` with the digests that its executed notebook will be stamped with."""
    return replace(job, fingerprint=fingerprint(job.source, job.parameters), records=dict(records))


def stamp(notebook: Path, job: "Job", read: Path) -> None:
    """Write into an executed notebook what it came from; `read` lists the experiments that it has read, a line each."""
    names = set(read.read_text(encoding="utf-8").split()) if read.exists() else set()
    content = json.loads(notebook.read_text(encoding="utf-8"))
    seen = {name: _record_digest(job.records, name) for name in sorted(names)}
    content["metadata"][KEY] = {"fingerprint": job.fingerprint, "records": seen}
    notebook.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def is_current(job: "Job") -> bool:
    """Whether the executed notebook of a marked job is there and came from what the job would run now."""
    try:
        content = json.loads(job.output.read_text(encoding="utf-8"))
        stamped = content["metadata"][KEY]
        seen = stamped["records"].items()
        return stamped["fingerprint"] == job.fingerprint and all(
            digest == _record_digest(job.records, name) for name, digest in seen
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def fingerprint(source: Path, parameters: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits over a notebook, its parameters, this package and those that it computes with."""
    parts = [source.read_text(encoding="utf-8"), json.dumps(parameters, sort_keys=True), _package_digest()]
    return digest("\0".join(parts).encode())


def record_digests() -> dict[str, str]:
    """Return a digest of each experiment's records, by experiment."""
    digests = {}
    for name in record.experiments():
        parts = [f"{path.name} {digest(path.read_bytes())}" for path in record.files(name)]
        digests[name] = digest("\n".join(parts).encode())
    return digests


def _record_digest(records: Mapping[str, str], name: str) -> str:
    return digest(json.dumps(records, sort_keys=True).encode()) if name == ALL else records.get(name, "")


@lru_cache(maxsize=1)
def _package_digest() -> str:
    """Return the digest of the code that notebooks can reach, docstrings too: some are shown on pages."""
    files = [path for path in package_files() if not path.relative_to(PACKAGE).as_posix().startswith(_RUNNERS)]
    experiments = [(name, run.parameters["full"], run.settings) for name, run in read_runs().items()]
    versions = [sys.version, json.dumps(experiments)]
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return digest("\n".join([folder_digest(files, PACKAGE), *versions]).encode())


def package_files() -> list[Path]:
    """Return this package's files of code and coefficients, sorted."""
    return [path for path in sorted(PACKAGE.rglob("*")) if path.suffix in (".py", ".c", ".h", ".json")]


def folder_digest(files: list[Path], folder: Path) -> str:
    """Return 16 hexadecimal digits over files' contents and their places below `folder`."""
    hashed = hashlib.sha256()
    for path in files:
        hashed.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        hashed.update(path.read_bytes())
    return hashed.hexdigest()[:16]


def digest(content: bytes) -> str:
    """Return 16 hexadecimal digits over `content`."""
    return hashlib.sha256(content).hexdigest()[:16]
