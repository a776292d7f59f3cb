"""The book as a self-contained site: executed notebooks in a staged copy of the tree, Jupyter Book, checks, swap."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

from cosnb.book.notebooks import available_cores
from cosnb.book.site import stage
from cosnb.book.site.check import check, pages
from cosnb.errors import CosnbError
from cosnb.paths import repository_root

__all__ = ["Builder", "build", "check", "pages"]

# What `jupyter-book build FOLDER -W -n --keep-going` does, in two steps. First what takes its time whatever the pages
# are: imports, 3 s, and the verdicts' algebra, 3 s, kept by SymPy and by `activation`. Then, when told so, the build.
# All pages are written, those too that were not read again: each shows verdicts and titles of others. The end is abrupt
# since Python takes a second to let go of PyTorch.
_JUPYTER_BOOK = """
import os, sys
from pathlib import Path
from jupyter_book.sphinx import build_sphinx
import altair, myst_nb.sphinx_ext, sphinx_book_theme
from cosnb.book import claims

claims.examine(claims.gather(), claims.DEFINITIONS | claims.CLAIMS)
if not sys.stdin.readline():
    os._exit(1)
folder, jobs = Path(sys.argv[1]), int(sys.argv[2])
settings = {"external_toc_path": str(folder / "_toc.yml"), "latex_individualpages": False, "nitpicky": True}
faults = build_sphinx(
    folder, folder / "_build" / "html", noconfig=True, path_config=folder / "_config.yml", confoverrides=settings,
    force_all=True, warningiserror=True, keep_going=True, jobs=jobs,
)
sys.stdout.flush()
sys.stderr.flush()
os._exit(bool(faults))
"""
_MOST_JOBS = 4  # 0.4 GB each


class Builder:
    """A builder of the site, used as a context manager: a process prepares the build while other work goes on.

    `jobs`: processes that read and write pages (default: one for each core, at most 4).
    """

    def __init__(self, root: Path | None = None, jobs: int | None = None) -> None:
        self.root = root or repository_root()
        self._folder = self.root / "_build"
        self._log = self._folder / "site.log"
        jobs = jobs or min(_MOST_JOBS, available_cores())
        self._command = [sys.executable, "-c", _JUPYTER_BOOK, str(self._folder / "stage"), str(jobs)]

    def __enter__(self) -> Self:
        """Start the process."""
        self._folder.mkdir(exist_ok=True)
        with self._log.open("wb") as log:
            # It waits for a line, and ends itself where this process is gone.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONHASHSEED": "0", "NO_COLOR": "1"},
            )
        return self

    def __exit__(self, *raised: object) -> None:
        """End the process where it has not been told to build."""
        self._process.kill()
        self._process.communicate()

    def build(self) -> Path:
        """Build the site from the executed quick notebooks, once, and return the path of its index.html.

        The site is built aside and replaces `_build/site` when it is complete and checked; until then, and where the
        build fails, the previous site remains. Notebooks unchanged since the last successful build are not read again.
        Equal inputs give equal bytes, for any number of processes. Raises CosnbError with Sphinx's warnings, which are
        errors here, and with the faults that `check` finds.
        """
        staged, site = self._folder / "stage", self._folder / "site"
        state = stage.prepare(self.root, staged)
        self._process.communicate(b"build\n")
        if self._process.returncode:
            raise CosnbError(f"The site did not build (all of it in {self._log}):\n" + "\n".join(self._faults()))
        new = staged / "_build" / "html"
        faults = check(new)
        if faults:
            raise CosnbError("The site has broken pages:\n" + "\n".join(faults))
        _swap(new, site)
        stage.confirm(staged, state)
        return site / "index.html"

    def _faults(self) -> list[str]:
        said = self._log.read_text(encoding="utf-8", errors="replace")
        lines = re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()
        return [line for line in lines if "WARNING" in line or "ERROR" in line] or lines[-15:]


def build(root: Path | None = None, jobs: int | None = None) -> Path:
    """Build the site as `Builder.build` does and return the path of its index.html."""
    with Builder(root, jobs) as builder:
        return builder.build()


def _swap(new: Path, site: Path) -> None:
    old = site.with_name("site.old")
    shutil.rmtree(old, ignore_errors=True)
    if site.exists():
        site.rename(old)
    new.rename(site)
    shutil.rmtree(old, ignore_errors=True)
