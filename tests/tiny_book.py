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


def write_runs(root: Path, timeouts: dict[str, int], quick: str = "{}") -> None:
    """Write a runs.toml for notebooks with these time limits (s)."""
    entries = [
        f'[{name}]\ntitle = "{name}"\ngpu = false\ntimeout = {{ quick = {limit}, full = {limit} }}\n'
        f"quick = {quick}\nfull = {{}}\n"
        for name, limit in timeouts.items()
    ]
    (root / "notebooks").mkdir(parents=True, exist_ok=True)
    (root / "notebooks" / "runs.toml").write_text("\n".join(entries), encoding="utf-8")


def copy_book(root: Path) -> Path:
    """Copy the repository's book (pages, configuration, runs.toml) to `root`, without its notebooks."""
    source = repository_root()
    shutil.copytree(source / "book", root / "book", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "notebooks").mkdir()
    for name in ("_config.yml", "_toc.yml", "notebooks/runs.toml"):
        shutil.copyfile(source / name, root / name)
    return root
