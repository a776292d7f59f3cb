"""The Makefile's set-up and its targets where there is no make, as on Windows.

    python tools/make.py [book | test | lint]

makes .venv with the pinned packages where it is missing or out of date, then does what make does.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if sys.platform == "win32" else "bin")
PYTHON = BIN / ("python.exe" if sys.platform == "win32" else "python")
_INPUTS = ("requirements/main.lock", "requirements/torch.lock", "pyproject.toml", "setup.py")
_TARGETS = {
    "book": [["-m", "cosnb.cli", "book"]],
    "test": [["-m", "pytest", "-n", "logical", "--maxprocesses", "4", "--dist", "loadfile", "--ignore=tests/browser"]],
    "lint": [
        ["-m", "ruff", "format", "--check", "."],
        ["-m", "ruff", "check", "."],
        ["-m", "mypy"],
        ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
    ],
}


def set_up() -> None:
    """Make the virtual environment; its stamp is written last, so that an interrupted set-up is taken up again."""
    ready = VENV / ".ready"
    if ready.exists() and all(ready.stat().st_mtime > (ROOT / name).stat().st_mtime for name in _INPUTS):
        return
    ready.unlink(missing_ok=True)
    run(Path(sys.executable), "-m", "venv", str(VENV))
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(PYTHON, *pip, "--no-compile", "--require-hashes", "-r", "requirements/main.lock")
    run(PYTHON, *pip, "--no-compile", "-r", "requirements/torch.lock")
    run(PYTHON, *pip, "--no-deps", "--no-build-isolation", "-e", ".")
    ready.touch()


def run(python: Path, *arguments: str) -> None:
    """Run Python in the repository; end this program where it fails."""
    code = subprocess.run([str(python), *arguments], cwd=ROOT).returncode
    if code:
        sys.exit(code)


def main(targets: list[str]) -> None:
    """Set up, then do each target."""
    unknown = [name for name in targets if name not in _TARGETS]
    if unknown or sys.version_info < (3, 11):
        sys.exit(f"usage: python tools/make.py [{' | '.join(_TARGETS)}], with Python 3.11 or newer")
    set_up()
    for name in targets or ["book"]:
        for arguments in _TARGETS[name]:
            run(PYTHON, *arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
