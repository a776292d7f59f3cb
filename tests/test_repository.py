"""What holds of the repository's files as a whole: one address, clean notebooks."""

import ast
import json
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from cosnb.book import notebooks
from cosnb.book.claims.pages import PAGES
from cosnb.book.site.stage import notebook_pages
from cosnb.experiments.registry import FILE
from cosnb.paths import repository_root
from tools import first_cell

ROOT = repository_root()
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ALLOWED = {*sys.stdlib_module_names, "torch", "numpy", "matplotlib", "sympy", "mpmath", "altair", "cosnb"}
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[tuple[dict, str]]:
    """Return the code cells of a notebook, each with its source."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [(cell, "".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]


UNLISTED = {
    "protocol-modern",
    "precision",
    "sensitivity",
    "loss-surface",
}  # no pages until they have records that say something


def test_runs_toml_covers_exactly_the_notebooks() -> None:
    runs = notebooks.read_runs()
    assert {run.notebook for run in runs.values()} == {path.stem for path in NOTEBOOKS}
    assert all(runs[run.notebook].notebook == run.notebook for run in runs.values())


def test_the_table_of_contents_has_every_notebook_once_but_those_that_are_no_pages() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    pages = [file.removeprefix("notebooks/") for file in files if file.startswith("notebooks/")]
    assert sorted(pages) == sorted({path.stem for path in NOTEBOOKS} - UNLISTED)
    assert notebook_pages(ROOT) == pages
    assert {page for claimed in PAGES.values() for page in claimed} <= set(pages)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(UNLISTED))
def test_a_notebook_that_is_no_page_runs_all_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", tmp_path / "notebooks")
    (tmp_path / FILE).parent.mkdir(parents=True)
    shutil.copy(ROOT / FILE, tmp_path / FILE)
    assert notebooks.run([name], root=tmp_path) == []


@pytest.mark.parametrize("profile", notebooks.PROFILES)
def test_profiles_fit_the_notebooks_parameters(profile: str) -> None:
    jobs = notebooks.plan(list(notebooks.read_runs()), profile)
    assert len(jobs) == len(notebooks.read_runs()) >= len(NOTEBOOKS)


@each_notebook
def test_a_notebook_has_its_title(path: Path) -> None:
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
    assert first["cell_type"] == "markdown"
    assert "".join(first["source"]).partition("\n")[0] == f"# {notebooks.read_runs()[path.stem].title}"


@each_notebook
def test_a_notebook_has_no_outputs(path: Path) -> None:
    assert [source for cell, source in code_cells(path) if cell["outputs"] or cell["execution_count"]] == []


@each_notebook
def test_a_notebook_has_short_cells(path: Path) -> None:
    assert [source for _, source in code_cells(path) if len(source.splitlines()) > 25] == []


def imports(path: Path) -> set[tuple[str, str]]:
    """Return (module, name) of everything that a notebook imports from a module."""
    trees = (ast.parse(re.sub(r"(?m)^(\s*)[%!].*", r"\1pass", source)) for _, source in code_cells(path))
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return {(node.module or "", alias.name) for node in nodes for alias in node.names}


EXPERIMENTS = [path for path in NOTEBOOKS if any(m.startswith("cosnb.experiments") for m, _ in imports(path))]


def test_an_experiments_page_imports_at_most_six_names() -> None:
    found = {path.stem: {name for module, name in imports(path) if module.startswith("cosnb")} for path in EXPERIMENTS}
    assert len(found) > 15
    assert {page: names for page, names in found.items() if len(names) > 6} == {}


def test_experiments_pages_share_no_three_lines() -> None:
    """Lines of one cell, in a row; the cells of Colab, of parameters and of imports are alike for a reason."""
    pages: dict[tuple[str, ...], set[str]] = {}
    for path in EXPERIMENTS:
        for cell, source in code_cells(path):
            if not {"remove-cell", "parameters"} & set(cell["metadata"].get("tags", [])):
                lines = [line for line in source.splitlines() if line and not line.startswith(("from ", "import "))]
                for place in range(len(lines) - 2):
                    pages.setdefault(tuple(lines[place : place + 3]), set()).add(path.stem)
    assert {lines: where for lines, where in pages.items() if len(where) > 1} == {}


@each_notebook
def test_a_notebook_imports_only_what_colab_has(path: Path) -> None:
    modules = set()
    for _, source in code_cells(path):
        python = re.sub(r"(?m)^(\s*)[%!].*", r"\1pass", source)  # IPython's own lines
        for node in ast.walk(ast.parse(python)):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module or "")
    assert {module for module in modules if module.partition(".")[0] not in ALLOWED} == set()


@each_notebook
def test_a_notebooks_first_cell_prepares_colab(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == first_cell.written(path), "run python -m tools.first_cell"
    cell, source = code_cells(path)[0]
    assert cell["metadata"] == {"tags": ["remove-cell"]}
    assert f"@v{metadata.version('cosnb')}" in source


def test_the_map_of_the_house_names_each_room_once() -> None:
    """The first column of CONTRIBUTING's table, against the folders of the package."""
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = contributing.partition("| room |")[2].partition("\n\n")[0].splitlines()
    named = [name.rstrip("/") for row in rows[1:] for name in re.findall(r"`([\w/]+)`", row.split("|")[1])]
    wings = ("", "experiments", "book")
    rooms = [path for wing in wings for path in (ROOT / "cosnb" / wing).iterdir() if (path / "__init__.py").exists()]
    rooms += [path for wing in wings for path in (ROOT / "cosnb" / wing).glob("[!_]*.py")]
    assert sorted(named) == sorted({path.stem for path in rooms} - set(wings))


def test_the_public_address_stands_in_one_place_and_the_notebooks() -> None:
    address = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]
    name = address.removeprefix("https://")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    files = [ROOT / file for file in listed if file and (ROOT / file).is_file()]
    assert len(files) > 20
    assert {file for file in files if name.encode() in file.read_bytes()} == {ROOT / "_config.yml", *NOTEBOOKS}


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == metadata.version("cosnb")
