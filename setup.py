"""The one step of the build that pyproject.toml cannot say: a wheel carries notebooks/runs.toml, for `cosnb.setup`."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

RUNS = Path(__file__).parent / "notebooks" / "runs.toml"


class BuildWithRuns(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            shutil.copyfile(RUNS, self._runs())

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *([] if self.editable_mode else [self._runs()])]

    def _runs(self) -> str:
        return str(Path(self.build_lib) / "cosnb" / "runs.toml")


setup(cmdclass={"build_py": BuildWithRuns})
