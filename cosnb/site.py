"""The book as a self-contained site: executed notebooks in a staged copy of the tree, Jupyter Book, checks, swap."""

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

from cosnb import site_charts
from cosnb.errors import CosnbError
from cosnb.notebooks import executed_path, read_runs
from cosnb.paths import repository_root

_JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"
_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
_NOT_LOADED = {"canonical", "next", "prev", "search", "index", "license", "author"}  # <link rel=...> that fetch nothing


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
        raise CosnbError("The site is not self-contained:\n" + "\n".join(faults))
    _swap(new, site)
    shutil.rmtree(stage)
    return site / "index.html"


def pages(site: Path) -> list[Path]:
    """Return the site's pages, sorted; `_static` holds some of the theme's templates too, which are none."""
    return sorted(page for page in site.rglob("*.html") if "_static" not in page.relative_to(site).parts)


def check(site: Path) -> list[str]:
    """Return what in a built site's pages loads from the network or from a file that is not there, a line each."""
    faults = []
    for page in pages(site):
        for tag, url in _resources(page):
            parts = urlsplit(url)
            if parts.scheme in ("http", "https") or parts.netloc:
                faults.append(f"{page.relative_to(site)}: <{tag}> loads {url}")
            elif not parts.scheme and parts.path and not (page.parent / unquote(parts.path)).exists():
                faults.append(f"{page.relative_to(site)}: <{tag}> needs {url}, which is missing")
    return faults


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


def _resources(page: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            values = dict(attrs)
            url = values.get(_LOADED.get(tag, ""))
            if url and not (tag == "link" and _NOT_LOADED & set((values.get("rel") or "").split())):
                found.append((tag, url))

    Reader().feed(page.read_text(encoding="utf-8"))
    return found
