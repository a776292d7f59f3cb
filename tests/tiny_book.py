"""Small notebooks and books for the tests of notebooks, site and command line."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cosnb.paths import repository_root

PARAMETERS = 'count = 1\nscale = 1.0\nlabel = "a"\nflag = False'
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}


def code(source: str, tags: Sequence[str] = (), outputs: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Return a code cell; it counts as executed where it has outputs."""
    return {
        "cell_type": "code",
        "execution_count": 1 if outputs else None,
        "metadata": {"tags": list(tags)},
        "outputs": list(outputs),
        "source": source,
    }


def markdown(source: str) -> dict[str, Any]:
    """Return a Markdown cell."""
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def write_notebook(path: Path, *cells: dict[str, Any], parameters: str = PARAMETERS) -> Path:
    """Write a notebook: title, parameters cell, then `cells`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    every = [markdown(f"# {path.stem}"), code(parameters, ["parameters"]), *cells]
    every = [{"id": f"cell-{index}", **cell} for index, cell in enumerate(every)]
    content = {"cells": every, "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def write_runs(root: Path, timeouts: dict[str, int], quick: str = "{}", gpu: bool = False) -> None:
    """Write a runs.toml for notebooks with these time limits (s)."""
    entries = [
        f'[{name}]\ntitle = "{name}"\ngpu = {str(gpu).lower()}\ntimeout = {{ quick = {limit}, full = {limit} }}\n'
        f"quick = {quick}\nfull = {{}}\n"
        for name, limit in timeouts.items()
    ]
    (root / "notebooks").mkdir(parents=True, exist_ok=True)
    (root / "notebooks" / "runs.toml").write_text("\n".join(entries), encoding="utf-8")


def copy_book(root: Path, pages: Sequence[str] = ()) -> Path:
    """Copy the repository's book (pages, configuration, runs.toml) to `root`, without its notebooks.

    pages: all that it has beside the references, where given: a build of the whole takes twice as long.
    """
    source = repository_root()
    shutil.copytree(source / "book", root / "book", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "notebooks").mkdir()
    for name in ("_config.yml", "_toc.yml", "notebooks/runs.toml"):
        shutil.copyfile(source / name, root / name)
    if pages:
        lines = ["format: jb-book", "root: book/references", "chapters:", *(f"- file: {page}" for page in pages)]
        (root / "_toc.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


SWEPT = 'activations = "relu,cos"\nseeds = 2\nkeep = False\ntrouble = ""'
# What `cosnb.experiments.runner.run_missing` does, without PyTorch and without training.
SWEEP = """
import os, time
from dataclasses import dataclass
from pathlib import Path
from cosnb.errors import CosnbError
from cosnb.experiments.records import assignment, record

@dataclass(frozen=True)
class Config:
    activation: str
    def digest(self):
        return self.activation.ljust(10, "0")

if trouble == "settings":
    raise CosnbError("epochs must be at least 1, got 0")
wanted = [(Config(name), seed) for seed in range(seeds) for name in activations.split(",")]
missing = [run for run in wanted if record.find(NAME, run[0].digest(), run[1]) is None]
missing = assignment.take(NAME, missing, None)
for config, seed in missing:
    with open("begun", "a") as log:
        log.write(f"{config.activation} {seed}\\n")
    if trouble == "slow":
        time.sleep(1.5)
    if trouble == "disk" and seed == 1:
        raise CosnbError("cannot write the record: No space left on device; free the disk")
    if trouble == "failed" and (config.activation, seed) == ("cos", 1):
        continue
    new = {"schema": 1, "experiment": NAME, "config": {"activation": config.activation}, "seed": seed, "status": "ok"}
    new |= {"config_digest": config.digest(), "epochs": [], "code_digest": "", "data": {}, "device": {}}
    record.write(new)
assignment.leave(missing, None)
"""


def write_swept(root: Path, name: str, trouble: str = "") -> None:
    """Write a notebook whose runs a sweep may share out: two seeds of two activations, recorded with keep."""
    parameters = SWEPT.replace('trouble = ""', f'trouble = "{trouble}"')
    cells = [code(f'NAME = "{name}"' + SWEEP), code("print(len(record.read(NAME)), 'records')")]
    write_notebook(root / "notebooks" / f"{name}.ipynb", *cells, parameters=parameters)
