"""Build of the package; all else about it is in pyproject.toml.

A wheel also carries the notebooks and the recorded runs, which lie beside the package in a clone.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

_SHIPPED = ("notebooks/*.ipynb", "results/*/*.json")


class BuildWithBook(build_py):
    """Building of the package with its notebooks and records."""

    def run(self) -> None:
        """Copy the modules, then what lies beside them."""
        super().run()
        if not self.editable_mode:
            for path in (path for pattern in _SHIPPED for path in Path().glob(pattern)):
                target = Path(self.build_lib, "cosnb", "shipped", path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


class EditableAsPath(editable_wheel):
    """Editable installation as an entry of Python's path.

    setuptools' own way is a finder that comes after that path: a folder called cosnb in the working folder, as the
    clone's own in its parent, would be imported in place of the package, and have none of its names.
    """

    def finalize_options(self) -> None:
        """Choose the mode where the command line does not."""
        super().finalize_options()
        self.mode = self.mode or "compat"


setup(cmdclass={"build_py": BuildWithBook, "editable_wheel": EditableAsPath})
