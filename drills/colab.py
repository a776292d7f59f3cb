"""Run the notebooks as on Colab: its Python and package versions, nothing of the book's tools, the wheel alone added.

    python drills/colab.py PYTHON FREEZE WHEEL FOLDER [NOTEBOOK ...]

PYTHON: the interpreter of an environment made for this, of Colab's Python, that holds PyTorch and Triton. FREEZE: the
list of a Colab runtime's packages, `pip-freeze.gpu.txt` or `pip-freeze.txt` of the repository googlecolab/backend-info.
Of it the environment gets what a notebook's kernel and this package's dependencies need, at Colab's versions. Then the
wheel is installed as Colab's first cell does, which must leave all else as it was, and each notebook (default: all)
runs in an empty folder, FOLDER, one after the other. Prints a line each; exits with 1 where something failed.
"""

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from email.parser import Parser
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
KERNEL = ("ipykernel", "nbclient", "nbformat")
GIVEN = ("torch", "triton")
# What tells the package that it is on Colab; its drive is not mounted.
RUNTIME = """
import sys, types
for name in ("google", "google.colab"):
    sys.modules[name] = types.ModuleType(name)
"""
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
NotebookClient(nbformat.read(sys.argv[1], 4), timeout=1800, resources={"metadata": {"path": sys.argv[2]}}).execute()
"""


def main(python: str, freeze: str, wheel: str, target: str, *chosen: str) -> None:
    """Make the environment, install, run and print."""
    folder = Path(target).resolve()
    (folder / "empty").mkdir(parents=True)
    (folder / "runtime").mkdir()
    (folder / "runtime" / "sitecustomize.py").write_text(RUNTIME, encoding="utf-8")
    pins = re.findall(r"^[\w.-]+==[\w.!]+$", Path(freeze).read_text(encoding="utf-8"), re.MULTILINE)
    (folder / "pins.txt").write_text("\n".join(pin for pin in pins if pin.partition("==")[0] not in GIVEN))
    pip(python, "-c", str(folder / "pins.txt"), *KERNEL, *needs(Path(wheel)))
    before = versions(python)
    pip(python, str(Path(wheel).resolve()))
    after = versions(python)
    changed = {name for name in after if before.get(name) != after[name]} - {"cosnb"}
    print(f"Python {subprocess.check_output([python, '-V'], text=True).split()[1]}, torch {after['torch']}", flush=True)
    print("installed beside cosnb, or another version: " + (", ".join(sorted(changed)) or "nothing"), flush=True)
    names = chosen or sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    faults = sum(not run(python, name, folder) for name in names)
    print(f"{len(names)} notebooks, {faults} failed")
    sys.exit(bool(faults or changed))


def needs(wheel: Path) -> list[str]:
    """Return the requirements of a wheel without extras, but for what the environment has."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []
    found = [Requirement(line) for line in lines]
    return [str(need) for need in found if need.name not in GIVEN and "extra" not in str(need.marker)]


def pip(python: str, *arguments: str) -> None:
    """Install quietly."""
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments], check=True)


def versions(python: str) -> dict[str, str]:
    """Return the version of every installed distribution."""
    said = subprocess.check_output([python, "-m", "pip", "list", "--format", "json"], text=True)
    return {found["name"].lower(): found["version"] for found in json.loads(said)}


def run(python: str, name: str, folder: Path) -> bool:
    """Execute a notebook, print how it went, and say whether it passed."""
    begun = time.monotonic()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COSNB_", "PYTHON"))}
    done = subprocess.run(
        [python, "-c", EXECUTE, str(ROOT / "notebooks" / f"{name}.ipynb"), str(folder / "empty")],
        env=environment | {"PYTHONPATH": str(folder / "runtime")},
        capture_output=True,
        text=True,
    )
    last = "" if done.returncode == 0 else f": {done.stderr.strip().splitlines()[-1]}"
    mark = "FAULT" if done.returncode else "ok"
    print(f"{mark:6}{name} ({time.monotonic() - begun:.0f} s){last}", flush=True)
    if done.returncode:
        (folder / f"{name}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    return done.returncode == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
