"""The book as a self-contained site: executed notebooks in a staged copy of the tree, Jupyter Book, checks, swap."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from cosnb import site_charts
from cosnb.errors import CosnbError
from cosnb.notebooks import cache, executed_path, read_runs
from cosnb.paths import repository_root
from cosnb.sitecheck import check, pages

__all__ = ["build", "check", "pages"]

_JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"


def build(root: Path | None = None) -> Path:
    """Build the site from the executed quick notebooks and return the path of its `index.html`.

    The site is built aside and takes the place of `_build/site` when it is whole and checked; until then, and for
    good where this fails, the previous site stays. Equal inputs give equal bytes. Raises CosnbError with Sphinx's
    warnings, which are errors here, and with what `check` finds.
    """
    root = root or repository_root()
    folder, site = root / "_build", root / "_build" / "site"
    stage = _stage(root, folder / "stage")
    log = folder / "site.log"
    with log.open("wb") as sink:
        done = subprocess.run(
            [sys.executable, "-c", _JUPYTER_BOOK, "build", str(stage), "-W", "-n", "--keep-going"],
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONHASHSEED": "0", "NO_COLOR": "1"},
        )
    if done.returncode:
        said = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8", errors="replace")).splitlines()
        faults = [line for line in said if "WARNING" in line or "ERROR" in line] or said[-15:]
        raise CosnbError("The site did not build (all of it in " + str(log) + "):\n" + "\n".join(faults))
    new = stage / "_build" / "html"
    faults = check(new)
    if faults:
        raise CosnbError("The site has broken pages:\n" + "\n".join(faults))
    _swap(new, site)
    shutil.rmtree(stage)
    return site / "index.html"


def _stage(root: Path, stage: Path) -> Path:
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    shutil.copytree(root / "book", stage / "book", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(root / "_toc.yml", stage / "_toc.yml")
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config["execute"]["execute_notebooks"] = "off"
    (stage / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (stage / "notebooks").mkdir()
    for name in read_runs(root):
        executed = executed_path(name, "quick", root)
        if not executed.exists():
            raise CosnbError(f"{name} has not been run yet: say `cosnb run {name}`, or `cosnb book` to run all.")
        notebook = json.loads(executed.read_text(encoding="utf-8"))
        (stage / "notebooks" / f"{name}.ipynb").write_text(json.dumps(_publish(notebook), indent=1), encoding="utf-8")
    return stage


def _publish(notebook: dict) -> dict:
    """Strip what differs from run to run: papermill's times, the injected cell's random id, progress bars."""
    notebook["metadata"].pop("papermill", None)
    notebook["metadata"].pop(cache.KEY, None)
    notebook["metadata"].get("language_info", {}).pop("version", None)
    for cell in notebook["cells"]:
        cell["metadata"].pop("papermill", None)
        cell["metadata"].pop("execution", None)
        if "injected-parameters" in cell["metadata"].get("tags", []):
            cell["id"] = "injected-parameters"
        if cell["cell_type"] == "code":
            cell["outputs"] = [output for output in cell["outputs"] if output.get("name") != "stderr"]
            for output in cell["outputs"]:
                _publish_chart(output, cell["metadata"])
    return notebook


def _publish_chart(output: dict, metadata: dict) -> None:
    """Put the site's form of a chart in place of Altair's own, which has a random id and loads Vega from a CDN."""
    specification = site_charts.find_specification(output.get("data", {}))
    if specification is not None:
        alternative = metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        output["data"] = {"text/html": site_charts.html(specification, alternative)}


def _swap(new: Path, site: Path) -> None:
    old = site.with_name("site.old")
    shutil.rmtree(old, ignore_errors=True)
    if site.exists():
        site.rename(old)
    new.rename(site)
    shutil.rmtree(old, ignore_errors=True)
