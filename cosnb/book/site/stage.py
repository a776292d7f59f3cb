"""The copy of the tree that the site is built from: pages, configuration, and executed notebooks in publishable form.

It stays from build to build, with Sphinx's environment beside it, and only notebooks that have changed since are
written into it, so that Sphinx reads only those. Where anything else has changed, the whole copy is made again.
"""

import json
import shutil
import sys
from importlib import metadata
from pathlib import Path

import yaml
from sphinx_external_toc.parsing import parse_toc_yaml

from cosnb.book.notebooks import cache, executed_path
from cosnb.book.site import charts
from cosnb.errors import CosnbError
from cosnb.experiments.registry import FILE

_STATE = "state.json"  # digests of what the last good build was made of
_ALL_ELSE = ""  # in it, the digest of all that is not an executed notebook


def notebook_pages(root: Path) -> list[str]:
    """Return the notebooks that are pages of the book, in the order of its contents, `_toc.yml`."""
    return [
        name.removeprefix("notebooks/") for name in parse_toc_yaml(root / "_toc.yml") if name.startswith("notebooks/")
    ]


def prepare(root: Path, stage: Path) -> dict[str, str]:
    """Bring the copy in the folder `stage` up to date and return its state, for `confirm`.

    Until then it counts as broken: Sphinx would not read a page again, nor repeat its warnings, after a build that
    failed because of it. Raises CosnbError for a notebook that has not been run.
    """
    state = {_ALL_ELSE: _digest_all_else(root)}
    for name in notebook_pages(root):
        executed = executed_path(name, "quick", root)
        if not executed.exists():
            raise CosnbError(f"{name} has not been run yet: say `cosnb run {name}`, or `cosnb book` to run all.")
        state[name] = cache.folder_digest([executed], root)
    before = _read_state(stage)
    (stage / _STATE).unlink(missing_ok=True)
    if before.get(_ALL_ELSE) != state[_ALL_ELSE]:
        before = {}
        _copy(root, stage)
    for name in state.keys() - {_ALL_ELSE}:
        if state[name] != before.get(name):
            notebook = json.loads(executed_path(name, "quick", root).read_text(encoding="utf-8"))
            page = json.dumps(_publish(notebook), indent=1)
            (stage / "notebooks" / f"{name}.ipynb").write_text(page, encoding="utf-8")
    return state


def confirm(stage: Path, state: dict[str, str]) -> None:
    """Note that a good site came out of the copy as it is."""
    (stage / _STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")


def _read_state(stage: Path) -> dict[str, str]:
    try:
        return dict(json.loads((stage / _STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _digest_all_else(root: Path) -> str:
    """Return a digest of pages, configuration, this package and the versions of all that is installed, and the place.

    Records are not in it: pages that show some are read in every build (`book/_ext/from_records.py`).
    """
    files = [path for path in sorted((root / "book").rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    files += [root / name for name in ("_config.yml", "_toc.yml", FILE)]
    installed = sorted(f"{found.metadata['Name']} {found.version}" for found in metadata.distributions())
    digests = [cache.folder_digest(files, root), cache.folder_digest(cache.package_files(), cache.PACKAGE)]
    return cache.digest("\n".join([str(root), *digests, sys.version, *installed]).encode())


def _copy(root: Path, stage: Path) -> None:
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    shutil.copytree(root / "book", stage / "book", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(root / "_toc.yml", stage / "_toc.yml")
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config["execute"]["execute_notebooks"] = "off"
    (stage / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (stage / "notebooks").mkdir()


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
            cell["metadata"]["tags"].append("hide-input")  # it repeats names of the cell above it
        if cell["cell_type"] == "code":
            cell["outputs"] = [output for output in cell["outputs"] if _shows(output)]
            for output in cell["outputs"]:
                _publish_chart(output, cell["metadata"])
    return notebook


def _shows(output: dict) -> bool:
    """Say whether an output is one for readers: no progress bar, and no empty text, which is a grey box."""
    texts = ("".join(value) if isinstance(value, list) else value for value in output.get("data", {}).values())
    return output.get("name") != "stderr" and ("data" not in output or any(texts))


def _publish_chart(output: dict, metadata: dict) -> None:
    """Put the site's form of a chart in place of Altair's own, which has a random id and loads Vega from a CDN."""
    specification = charts.find_specification(output.get("data", {}))
    if specification is not None:
        alternative = metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        output["data"] = {"text/html": charts.html(specification, alternative)}
