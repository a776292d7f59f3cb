"""The command `cosnb report`: checks the formula, runs its notebook, writes its page."""

import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cosnb
from cosnb.activations import activation
from cosnb.book.notebooks import executed_path, plan, pool
from cosnb.book.report.sections import curve, trainable
from cosnb.errors import CosnbError
from cosnb.kernels import timing
from cosnb.paths import is_stream, write_atomically

NOTEBOOK = "your-own-activation"


def report(
    formula: str, values: Mapping[str, Any], output: Path | None = None, settings: Mapping[str, Any] | None = None
) -> Path:
    """Write the report on an activation (a catalogue's name or formula text) as one HTML file and return its path.

    `values` are its parameters; `output` is `<name>.html` in the working folder where not given; an older report is
    replaced. `settings` are parameters of the notebook over its full profile's. The notebook runs in a process of its
    own, which is gone when this returns or raises. Raises CosnbError before anything runs for a formula, value or
    folder that will not do, and where the notebook fails.
    """
    act = activation(formula, **values)
    trainable([curve(act)])  # that it has a text without parameters
    target = (output or Path(f"{act.name}.html")).absolute()
    _check(target)
    given = {"formula": formula, "parameters": ", ".join(f"{name}={value}" for name, value in values.items())}
    (job,) = plan([NOTEBOOK], "full", {**(settings or {}), **given})
    folder = executed_path(NOTEBOOK, "report").parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{act.name}-", dir=folder, ignore_cleanup_errors=True) as scratch:
        executed = Path(scratch) / f"{act.name}.ipynb"
        # One thread: the networks are small, and with two an epoch took 8 times as long on a busy machine.
        with redirect_stdout(sys.stderr):  # standard output is for the page's path
            failures = pool.execute([replace(job, output=executed)], workers=1, cores=1)
        if failures:
            raise CosnbError(f"No report was made, for its notebook failed: {replace(failures[0], kept=None)}")
        from cosnb.book.report import page  # with nbconvert, which takes half a second

        title = f"{formula.strip()}" + (f"  ({given['parameters']})" if values else "")
        html = page.render(executed, title, _facts())
    write_atomically(target, html)
    return target


def _facts() -> dict[str, str]:
    import torch

    return {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "by": f"cosnb {cosnb.__version__}, torch {torch.__version__}, Python {platform.python_version()}",
        "on": f"{timing.cpu_name()}, {os.cpu_count()} cores, {platform.system()}",
    }


def _check(target: Path) -> None:
    if target.is_dir():
        raise CosnbError(f"{target} is a folder: give --output a file's name, for example report.html")
    if not is_stream(target) and not os.access(Path(os.path.realpath(target)).parent, os.W_OK):
        raise CosnbError(f"{target.parent} is no folder that can be written: give --output a file in another one")
