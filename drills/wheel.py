"""Try a wheel where nothing else is: every command outside a clone, then the notebooks it brings.

    python drills/wheel.py WHEEL FOLDER [--notebooks]

makes an environment in FOLDER, installs the wheel by pip, and runs the commands in an empty folder, first without the
extra `book`, then with it. Prints a line each: the command, its exit code, its last line. A command may end with 2 and
one sentence that says what it needs; anything else but 0 counts as a fault, and so does a traceback. --notebooks: all
notebooks too, one after the other in one empty folder.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (
    ("--version",),
    ("data",),
    ("results",),
    ("export", "relu"),
    ("accuracy", "relu", "--target", "numpy", "--format", "float16", "--order", "0"),
    ("campaign", "answer", "--list"),
    ("completion", "bash"),
    ("book",),
    ("run", "derive-swish"),
    ("report", "x*tanh(exp(x))", "--no-open", "--output", "page.html", "-p", "a=1"),  # a is no parameter of it
    ("report", "x*tanh(exp(x))", "--no-open", "--output", "page.html"),
)


def call(command: list[str], folder: Path) -> tuple[int, str]:
    """Run a command in `folder` and return its exit code and all that it said."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COSNB_", "PYTHON"))}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def try_commands(program: Path, folder: Path) -> int:
    """Run the commands and return the number of faults."""
    faults = 0
    for arguments in COMMANDS:
        begun = time.monotonic()
        code, said = call([str(program), *arguments], folder)
        lines = said.strip().splitlines() or [""]
        told = [line for line in lines if line.startswith("cosnb: ")]
        is_fault = "Traceback" in said or not (code == 0 or (code == 2 and len(told) == 1))
        faults += is_fault
        mark = "FAULT" if is_fault else "ok"
        print(
            f"{mark:6}{code} {' '.join(arguments)} ({time.monotonic() - begun:.0f} s): {(told or lines)[-1]}",
            flush=True,
        )
    return faults


def main(wheel: str, target: str, *options: str) -> None:
    """Try the wheel."""
    folder = Path(target).resolve()
    empty = folder / "empty"
    empty.mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    scripts = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    faults = 0
    for extra in ("", "[book]"):
        needed = f"{Path(wheel).resolve()}{extra}"
        subprocess.run([str(scripts / "python"), "-m", "pip", "install", "--quiet", needed], check=True)
        print(f"installed cosnb{extra}", flush=True)
        faults += try_commands(scripts / "cosnb", empty)
    if "--notebooks" in options:
        names = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
        code, said = call([str(scripts / "cosnb"), "run", *names, "--jobs", "1"], empty)
        print(said.strip(), flush=True)
        faults += code != 0
    print(f"{faults} faults")
    sys.exit(faults > 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
