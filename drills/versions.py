"""Run the tests with the oldest versions that pyproject.toml admits, and with each Python that is here.

    python drills/versions.py FOLDER [oldest 3.12 3.13 ...]

makes an environment for each in FOLDER: "oldest" with this Python and the lower bounds of the package's own
dependencies, the tools of the book and of the tests as in the lock; a Python's number with that Python and the lock.
Prints a line each: versions, what the tests said, seconds. Takes PyTorch as pip finds it: gigabytes where that is
the build with CUDA.
"""

import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
_SHOWN = ("torch", "numpy", "sympy", "scipy", "matplotlib")


def lower_bounds() -> list[str]:
    """Return the oldest versions of the package's own dependencies, as pins."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        needs = [Requirement(line) for line in tomllib.load(file)["project"]["dependencies"]]
    return [
        f"{need.name}=={next(spec.version for spec in need.specifier if spec.operator == '>=')}.*" for need in needs
    ]


def pip(python: Path, *arguments: str) -> None:
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments], check=True
    )


def prepare(kind: str, folder: Path) -> Path:
    """Make the environment of `kind` in `folder`, a Makefile's `.venv`, and return its Python."""
    interpreter = sys.executable if kind == "oldest" else shutil.which(f"python{kind}")
    if interpreter is None:
        raise SystemExit(f"python{kind} is not here")
    python = folder / "bin" / "python"
    subprocess.run([interpreter, "-m", "venv", str(folder)], check=True)
    pip(python, "--no-compile", "--require-hashes", "-r", str(ROOT / "requirements/main.lock"))
    if kind == "oldest":
        pip(python, "--no-compile", *lower_bounds())
    else:
        pip(python, "--no-compile", "-r", str(ROOT / "requirements/torch.lock"))
    pip(python, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    return python


def versions(python: Path) -> str:
    """Return the versions of Python and of the packages that matter most."""
    code = f"import platform, importlib.metadata as m; print(platform.python_version(), *map(m.version, {_SHOWN}))"
    found = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return ", ".join(f"{name} {version}" for name, version in zip(("Python", *_SHOWN), found, strict=True))


def main(target: str, *kinds: str) -> None:
    """Try each kind."""
    failed = False
    for kind in kinds or ("oldest",):
        folder = Path(target) / kind
        python = folder / "bin" / "python"
        if not (folder / "ready").exists():
            python = prepare(kind, folder)
            (folder / "ready").touch()
        begun = time.monotonic()
        command = [str(python), "-m", "pytest", "--ignore=tests/browser", "-n", "logical", "--dist", "loadfile"]
        with (Path(target) / f"{kind}.log").open("w") as log:
            code = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT).returncode
        said = (Path(target) / f"{kind}.log").read_text().strip().splitlines()[-1]
        print(
            f"{kind}: {versions(python)}: {re.sub('=+', '', said).strip()}; {time.monotonic() - begun:.0f} s",
            flush=True,
        )
        failed |= code != 0
    sys.exit(failed)


if __name__ == "__main__":
    main(*sys.argv[1:])
