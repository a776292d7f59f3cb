"""Notebooks on Colab: what the first cell says, what a wheel carries, and each notebook alone in an empty folder."""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
import torch
from nbclient import NotebookClient

import cosnb
from cosnb.book import colab, notebooks
from cosnb.paths import repository_root
from tools import first_cell

ROOT = repository_root()
# What this project's own tools need, and a Colab runtime does not have.
ABSENT = ("axe_playwright_python", "distributed", "hypothesis", "jupyter_book", "myst_nb", "onnxruntime", "papermill")
# Read when a kernel starts: the module that tells a notebook where it is, and blindness to what is not there. To raise
# in place of finding nothing would break PyTorch, which looks for some of them.
RUNTIME = f"""
import sys, types
from importlib.machinery import PathFinder
for name in ("google", "google.colab"):
    sys.modules[name] = types.ModuleType(name)
found = PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in {ABSENT!r} else found(name, path, target)
PathFinder.find_spec = staticmethod(find_spec)
"""


@pytest.fixture
def on_colab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Colab with a CPU and no drive; records would go to the folder that is returned."""
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(colab, "DRIVE", tmp_path / "MyDrive")
    monkeypatch.setattr(colab, "results_dir", lambda: tmp_path / "results")
    monkeypatch.setenv("COSNB_RESULTS", "")
    return tmp_path / "results"


def test_elsewhere_the_first_cell_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    cosnb.setup("table-3-squeezenet")
    assert capsys.readouterr().out == ""


def test_without_a_gpu_it_says_how_to_get_one(on_colab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cosnb.setup("table-3-squeezenet")
    said = capsys.readouterr().out
    assert said.startswith("Device: ")
    assert "Profile: quick" in said
    assert "choose one under Runtime" in said
    assert f"go to {on_colab}, which is lost with this machine" in said


def test_with_a_gpu_it_gives_the_full_profile(
    on_colab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    cosnb.setup("table-3-squeezenet")
    said = capsys.readouterr().out
    assert said.startswith("Device: Tesla T4. ")
    lines = [line.strip() for line in said.splitlines() if line.startswith("    ") and " = " in line]
    given: dict[str, object] = {}
    exec("\n".join(lines), given)
    full = notebooks.read_runs()["table-3-squeezenet"].parameters["full"]
    assert {name: given[name] for name in full} == full


def test_a_notebook_without_a_full_profile_suggests_none(on_colab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cosnb.setup("derive-cos")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_records_go_to_a_mounted_drive(
    on_colab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cosnb import paths

    colab.DRIVE.mkdir()
    monkeypatch.setattr(colab, "results_dir", paths.results_dir)
    cosnb.setup("table-3-squeezenet")
    assert paths.results_dir() == colab.DRIVE / "cosnb-records"
    assert f"go to {colab.DRIVE / 'cosnb-records'}.\n" in capsys.readouterr().out
    monkeypatch.setenv("COSNB_RESULTS", "elsewhere")
    cosnb.setup("table-3-squeezenet")
    assert paths.results_dir() == Path("elsewhere")


def test_images_lie_on_the_drive_where_it_has_a_folder_for_them(
    on_colab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cosnb import paths

    monkeypatch.setenv("COSNB_DATA", "")
    colab.DRIVE.mkdir()
    cosnb.setup("derive-cos")
    assert paths.data_dir() == paths.cache_dir() / "data"
    (colab.DRIVE / "cosnb-data").mkdir()
    cosnb.setup("derive-cos")
    assert paths.data_dir() == colab.DRIVE / "cosnb-data"
    assert f"read from {colab.DRIVE / 'cosnb-data'}, and downloaded there" in capsys.readouterr().out


def run_first_cell(monkeypatch: pytest.MonkeyPatch, spec: ModuleSpec | None, on_colab: bool) -> list[str]:
    """Run the first cell where `spec` is what Python finds for cosnb; return what it installs."""
    installed: list[str] = []
    cell = first_cell.source("derive-cos").replace('%pip install -q "{package}"', "installed.append(package)")
    assert "%" not in cell.replace("%pip install '", "")
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: spec)
        patch.setattr(cosnb, "setup", lambda name: None)
        if on_colab:
            patch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
        exec(cell, {"installed": installed})
    return installed


def test_the_first_cell_installs_this_versions_tag_where_the_package_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cosnb").mkdir()  # a clone, or a folder of the drive
    folder, package = (PathFinder.find_spec("cosnb", [str(place)]) for place in (tmp_path, ROOT))
    assert folder is not None
    assert package is not None
    for spec in (None, folder):
        (installed,) = run_first_cell(monkeypatch, spec, on_colab=True)
        assert installed.startswith("cosnb @ git+https://")
        assert installed.endswith(f"@v{cosnb.__version__}")
        with pytest.raises(ModuleNotFoundError, match=r"to install cosnb: %pip install 'cosnb @ git\+https://"):
            run_first_cell(monkeypatch, spec, on_colab=False)
    assert run_first_cell(monkeypatch, package, on_colab=True) == []
    assert run_first_cell(monkeypatch, package, on_colab=False) == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    for name in ("cosnb", "notebooks", "results"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    done = subprocess.run([*pip, str(folder), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_a_wheel_carries_all_that_the_package_reads(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    needed = {path for path in (ROOT / "cosnb").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    missing = {path.relative_to(ROOT).as_posix() for path in needed} - inside
    assert {name for name in missing if not name.endswith((".md", ".typed"))} == set()
    assert "cosnb/experiments/runs.toml" in inside


@pytest.mark.drill
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", sorted({run.notebook for run in notebooks.read_runs().values()}))
def test_a_notebook_runs_alone(name: str, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, alone = tmp_path / "site", tmp_path / "alone"
    zipfile.ZipFile(wheel).extractall(site)
    (site / "sitecustomize.py").write_text(RUNTIME, encoding="utf-8")
    alone.mkdir()
    shutil.copyfile(ROOT / "notebooks" / f"{name}.ipynb", alone / f"{name}.ipynb")
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.delenv("COSNB_RESULTS", raising=False)
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(alone / f"{name}.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("import cosnb, google.colab\nprint(cosnb.__file__)"))
    # A busy machine's first import of IPython takes minutes.
    limits = {"timeout": 1500, "startup_timeout": 300}
    where = {"metadata": {"path": str(alone)}}
    NotebookClient(notebook, kernel_name="python3", resources=where, **limits).execute()
    assert notebook.cells[-1].outputs[0].text.startswith(str(site))
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    said = "".join(output.text for output in first.outputs if output.get("name") == "stdout")
    assert said.startswith("Device: ")
