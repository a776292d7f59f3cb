"""Parameters under plain papermill: a notebook refuses unknown names and other types, and takes what YAML made."""

import json
from pathlib import Path

import IPython
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from cosnb.book.parameters import check_injected, read_defaults
from cosnb.paths import repository_root

NOTEBOOKS = sorted((repository_root() / "notebooks").glob("*.ipynb"))
OWN = 'epochs: int = 1  # of training\nseeds: str = "0:1"\nlr: float = 0.1\nkeep: bool = False'


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> InteractiveShell:
    """Return a kernel's shell in which the first cell and the parameters' have run."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    check_injected("nb")
    shell.run_cell(OWN, store_history=True).raise_error()
    return shell


def test_what_papermill_made_of_values_is_taken(shell: InteractiveShell) -> None:
    cell = '# Parameters\nepochs = 2\nseeds = 0\nlr = "1e-3"\nkeep = "True"\n'
    shell.run_cell(cell, store_history=True).raise_error()
    assert {name: shell.user_ns[name] for name in ("epochs", "seeds", "lr", "keep")} == {
        "epochs": 2,
        "seeds": "0",
        "lr": 0.001,
        "keep": True,
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("epoch = 2", "nb has no parameter 'epoch' (did you mean 'epochs'?)"),
        ("epochs = 1.5", "Parameter epochs of nb is a whole number"),
        ('keep = "yes"', "Parameter keep of nb is true or false"),
    ],
)
def test_a_mistake_ends_the_run(
    line: str, message: str, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    done = shell.run_cell(f"# Parameters\n{line}\n", store_history=True)
    assert not done.success
    assert message in str(done.error_before_exec)
    assert "epoch" not in shell.user_ns


def test_other_cells_are_left_alone(shell: InteractiveShell) -> None:
    shell.run_cell("epoch = 2  # Parameters", store_history=True).raise_error()
    assert shell.user_ns["epoch"] == 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_parameters_have_their_types(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    (source,) = ["".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", [])]
    for name, value in read_defaults(path).items():
        assert f"{name}: {type(value).__name__} = " in source
