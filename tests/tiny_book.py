"""Small notebooks and books for the tests of notebooks, site and command line."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cosnb.experiments.registry import FILE
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
    (root / FILE).parent.mkdir(parents=True, exist_ok=True)
    (root / FILE).write_text("\n".join(entries), encoding="utf-8")


def copy_book(root: Path, pages: Sequence[str] = ()) -> Path:
    """Copy the repository's book (pages, configuration, runs.toml) to `root`, without its notebooks.

    pages: all that it has beside the references, where given: a build of the whole takes twice as long.
    """
    source = repository_root()
    shutil.copytree(source / "book", root / "book", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "notebooks").mkdir()
    (root / FILE).parent.mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml", FILE):
        shutil.copyfile(source / name, root / name)
    if pages:
        lines = ["format: jb-book", "root: book/references", "chapters:", *(f"- file: {page}" for page in pages)]
        (root / "_toc.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        references = root / "book" / "references.md"
        links = re.compile(r"\[([^\]]+)\]\(\.\./notebooks/[^)]+\)")  # to pages that are not there
        references.write_text(links.sub(r"\1", references.read_text(encoding="utf-8")), encoding="utf-8")
    return root


SWEPT = 'activations = "relu,cos"\nseeds = 2\nscheduler = ""\nkeep = False'
# Real configurations, trained by `write_light_task`'s process.
SWEEP = """
from cosnb.experiments import results
from cosnb.experiments.data import load
from cosnb.experiments.runner import remote, run_missing
from cosnb.experiments.training.plan import configuration

remote.TASK = "light_task"
images = load("digits", 64)
settings = {"network": "depth_mlp", "protocol": "depth", "depth": 1, "batch_size": 32}
configs = [configuration(name, images, "cpu", **settings) for name in activations.split(",")]
with open("executed", "a") as log:
    log.write("once ")
print(run_missing(NAME, configs, range(seeds), images, "cpu", scheduler=scheduler), "trained")
"""


def write_swept(root: Path, name: str) -> None:
    """Write a notebook whose runs a cluster may train: two seeds of two activations, recorded."""
    cells = [code(f'NAME = "{name}"' + SWEEP), code("print(len(results.read(NAME)), 'records')")]
    write_notebook(root / "notebooks" / f"{name}.ipynb", *cells, parameters=SWEPT)


LIGHT_TASK = """
import json, os, pathlib, signal, sys, threading, time

here = pathlib.Path(__file__).parent
order = json.loads(pathlib.Path(sys.argv[1], "order.json").read_text())
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
activation, seed = order["config"]["activation"], order["seed"]
with open(here / "begun", "a") as log:
    log.write(f"{activation} {seed}\\n")
trouble = (here / "trouble").read_text() if (here / "trouble").exists() else ""
if trouble == "slow":
    time.sleep(1.5)
if trouble == "deadly" and (activation, seed) == ("cos", 1):
    os.kill(os.getpid(), signal.SIGKILL)
if trouble == "broken":
    raise ValueError("its own fault")
failed = trouble == "failed" and (activation, seed) == ("cos", 1)
record = {"schema": 1, "experiment": order["experiment"], "config": order["config"], "seed": seed, "epochs": []}
record |= {"config_digest": order["identity"][0], "code_digest": order["identity"][1], "data": {}, "device": {}}
record |= {"status": "failed" if failed else "ok", "started": "2026-01-01T00:00:00+00:00"}
pathlib.Path(sys.argv[1], "answer.json").write_text(json.dumps({"value": [record]}))
"""


def write_light_task(folder: Path, trouble: str = "") -> None:
    """Write `light_task`, which does an order without PyTorch and without training, and notes what it has begun."""
    (folder / "light_task.py").write_text(LIGHT_TASK, encoding="utf-8")
    (folder / "trouble").write_text(trouble, encoding="utf-8")
