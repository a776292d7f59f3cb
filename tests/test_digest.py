"""Digests of code: what they are blind to, what they see, and the table of code that gives equal numbers."""

import json
import re
import shutil
from pathlib import Path

import pytest

from cosnb.experiments import models
from cosnb.experiments.diagnostics import cost, landscape
from cosnb.experiments.records import digest as digest_module
from cosnb.experiments.records import measurement
from cosnb.experiments.records.digest import canonical, code_digest, code_under, file_digest, is_same_code
from cosnb.experiments.training import TrainingConfig

PACKAGE = digest_module._PACKAGE
NETWORK = "experiments/models/squeezenet.py"


def config(activation: str = "cos", **changes: object) -> TrainingConfig:
    return TrainingConfig(activation, "digits", 64, batch_size=24, **changes)  # type: ignore[arg-type]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the digests read a copy of the package's code."""
    for path in code_under(""):
        target = tmp_path / path.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    monkeypatch.setattr(models, "code_file", lambda network: tmp_path / NETWORK)
    monkeypatch.setattr(digest_module, "_PACKAGE", tmp_path)
    return tmp_path


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty table of equal code in place of the package's."""
    path = tmp_path / "same.json"
    path.write_text("{}")
    monkeypatch.setattr(digest_module, "SAME_CODE", path)
    digest_module._same_code.cache_clear()
    yield path
    digest_module._same_code.cache_clear()


def test_the_code_s_digest_is_blind_to_comments_docstrings_and_layout() -> None:
    plain = "def f(x):\n    return x * 2\n"
    dressed = '"""Head."""\n# note\ndef f(\n    x,\n):\n    """Twice."""\n\n    return (x * 2)  # two\n'
    assert canonical(plain) == canonical(dressed)


@pytest.mark.parametrize(
    "changed",
    [
        "def f(x):\n    return x * 3\n",
        "def f(x):\n    return x + 2\n",
        "def f(x, y=1):\n    return x * 2\n",
        "def f(x):\n    x * 2\n",
        'def f(x):\n    return x * "2"\n',
    ],
)
def test_the_code_s_digest_sees_every_change_of_what_is_done(changed: str) -> None:
    assert canonical(changed) != canonical("def f(x):\n    return x * 2\n")


@pytest.mark.parametrize("execution", ["eager", "captured"])
def test_the_code_s_digest_covers_what_decides_a_run(copy: Path, execution: str) -> None:
    first = code_digest(config(), execution)
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert code_digest(config(epochs=9), execution) == first  # settings have their own digest
    assert code_digest(config("relu"), execution) != first
    names = [NETWORK, "experiments/data/augment.py"]
    names += [f"experiments/training/{name}.py" for name in ("loop", "evaluation", "state", "protocol", "probes")]
    of_captured = ["experiments/training/streams.py", "nn/fused.py", "kernels/norm.py", "kernels/norm_triton.py"]
    for name in names + of_captured:
        path = copy / name
        path.write_text(path.read_text() + "\nimport os  # a comment\n")
        assert code_digest(config(), execution) == first
        path.write_text(path.read_text() + "\nLIMIT = 1\n")
        second = code_digest(config(), execution)
        assert (second != first) == (name in names or execution == "captured"), name
        first = second


def test_a_file_that_moves_keeps_its_digest_and_a_constant_that_changes_does_not(copy: Path) -> None:
    before, path = file_digest(landscape.__file__), copy / "elsewhere.py"
    source = Path(landscape.__file__).read_text()
    path.write_text(source.replace("from cosnb.activations import", "from cosnb.other.place import"))
    assert file_digest(path) == before
    path.write_text(source.replace("SIDE = 10.0", "SIDE = 10.5"))
    assert file_digest(path) != before


def test_what_times_kernels_is_decided_by_the_kernels_code(copy: Path) -> None:
    def digest(module: object) -> str:
        return file_digest(*measurement.code_files({"experiment": "x", "code": module.__name__}))  # type: ignore[attr-defined]

    before = digest(cost), digest(landscape)
    header = next((copy / "codegen").rglob("*.h"))
    source = header.read_text()
    header.write_text("/* a\n comment */\n" + source)
    assert digest(cost) == before[0]
    header.write_text(source + "\n#define SURPRISE 1\n")
    kernel = copy / "kernels" / "cpu.py"
    changed = digest(cost)
    kernel.write_text(kernel.read_text() + "\nLIMIT = 1\n")
    assert len({before[0], changed, digest(cost)}) == 3
    assert digest(landscape) == before[1]


def test_code_that_gave_equal_numbers_is_the_same_through_later_changes(table: Path) -> None:
    assert is_same_code("a", "a")
    assert not is_same_code("a", "b")
    table.write_text(json.dumps({"a": "b", "b": "c", "c": "a", "x": "c"}))
    digest_module._same_code.cache_clear()
    assert all(is_same_code(first, now) for first in "abcx" for now in "abc")
    assert not is_same_code("a", "x")
    assert not is_same_code("y", "a")


def test_the_package_s_table_holds_digests() -> None:
    for earlier, now in json.loads(digest_module.SAME_CODE.read_text()).items():
        assert re.fullmatch("[0-9a-f]{16} [0-9a-f]{16}", f"{earlier} {now}")
        assert earlier != now
