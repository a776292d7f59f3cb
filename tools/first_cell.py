"""First cell of every notebook, which installs the package on Colab and names it elsewhere.

    python -m tools.first_cell

writes it into notebooks/, with the repository's address from _config.yml and the version's tag.
"""

import json
from pathlib import Path

import yaml

import cosnb
from cosnb.paths import repository_root

_SOURCE = """\
import importlib.util
import sys

if not getattr(importlib.util.find_spec("cosnb"), "origin", None):
    # Nothing is there, or a mere folder of that name.
    package = "cosnb @ git+{address}@v{version}"
    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError(f"to install cosnb: %pip install '{{package}}'")
    %pip install -q "{{package}}"

import cosnb

cosnb.setup("{name}")"""


def source(name: str) -> str:
    """Return the text of the first cell of the notebook `name`."""
    config = yaml.safe_load((repository_root() / "_config.yml").read_text(encoding="utf-8"))
    return _SOURCE.format(address=config["repository"]["url"], version=cosnb.__version__, name=name)


def written(notebook: Path) -> str:
    """Return the text of a notebook's file with its first code cell as it should be."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    cell = next(cell for cell in content["cells"] if cell["cell_type"] == "code")
    cell["source"] = source(notebook.stem).splitlines(keepends=True)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the cell into each notebook."""
    for notebook in sorted((repository_root() / "notebooks").glob("*.ipynb")):
        notebook.write_text(written(notebook), encoding="utf-8")


if __name__ == "__main__":
    main()
