"""Digest of the code that decides a record's numbers, blind to comments, docstrings, imports, layout and place."""

import ast
import hashlib
import json
import re
from functools import cache, lru_cache
from pathlib import Path

import sympy

from cosnb.activations import activation
from cosnb.experiments import models
from cosnb.experiments.training.config import TrainingConfig
from cosnb.paths import repository_root

_PACKAGE = repository_root() / "cosnb"
_FILES = (
    *(
        f"experiments/training/{name}.py"
        for name in ("loop", "evaluation", "state", "dropout", "protocol", "execution", "probes")
    ),
    "experiments/data/augment.py",
)
# Code that decides the numbers of one execution alone.
_OF_EXECUTION = {
    "captured": (
        "experiments/training/streams.py",
        *(f"nn/{name}.py" for name in ("fused", "pairs", "calls")),
        *(f"kernels/{name}.py" for name in ("norm", "norm_triton")),
    )
}
_SUFFIXES = (".py", ".c", ".h", ".json")
# {digest of earlier code: digest of later code that gave equal numbers}, as tools/same_code.py has found.
SAME_CODE = Path(__file__).with_name("same_code.json")


def code_digest(config: TrainingConfig, execution: str = "") -> str:
    """Return 16 hexadecimal digits over the loop, the augmentation, the network, and the activation's f and f′.

    execution: as a record's device has it; a loop of its own counts for the records made by it alone. Of the activation
    it is the expressions that count, not the code printed from them: that may change for speed.
    """
    digest = hashlib.sha256()
    files = (*_FILES, *_OF_EXECUTION.get(execution, ()))
    for path in (*(_PACKAGE / name for name in files), models.code_file(config.network)):
        digest.update(canonical(path.read_text(encoding="utf-8")).encode())
    digest.update(_expressions(models.activation_name(config.network, config.activation)).encode())
    return digest.hexdigest()[:16]


def file_digest(*paths: str | Path) -> str:
    """Return 16 hexadecimal digits over the code in files of Python, C and JSON."""
    digest = hashlib.sha256()
    for path in map(Path, paths):
        text = path.read_text(encoding="utf-8")
        digest.update((canonical(text) if path.suffix == ".py" else _plain(text)).encode())
    return digest.hexdigest()[:16]


def code_under(*folders: str) -> list[Path]:
    """Return the files of code under folders of the package ("" for all of it), in an order that does not change."""
    return [path for folder in folders for path in sorted((_PACKAGE / folder).rglob("*")) if path.suffix in _SUFFIXES]


def is_same_code(earlier: str, now: str) -> bool:
    """Say whether code of digest `earlier` is that of digest `now`, or was found to give the same numbers."""
    seen = set()
    while earlier != now and earlier not in seen and earlier in _same_code():
        seen.add(earlier)
        earlier = _same_code()[earlier]
    return earlier == now


@cache
def _same_code() -> dict[str, str]:
    found: dict[str, str] = json.loads(SAME_CODE.read_text(encoding="utf-8"))
    return found


def _plain(text: str) -> str:
    """Return C or JSON without comments, each run of blanks as one."""
    return " ".join(re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL).split())


@lru_cache(maxsize=256)
def _expressions(name: str) -> str:
    """Return f and f′ of an activation as SymPy writes them."""
    act = activation(name)
    return sympy.srepr(act.derivative(0)) + sympy.srepr(act.derivative(1))


@lru_cache(maxsize=256)  # 50 ms for the files of one digest, and a book has hundreds of records
def canonical(source: str) -> str:
    """Return Python `source` as one line of node names and constants: what it does, not how it is laid out.

    Imports are left out, so that a file may move.

    Empty fields are left out, so that a Python version that adds an optional field to its syntax tree gives the same
    text.
    """
    return _canonical(ast.parse(source))


def _is_blank(statement: ast.stmt) -> bool:
    """Say whether a statement is a docstring or an import."""
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return text or isinstance(statement, (ast.Import, ast.ImportFrom))


def _canonical(node: object) -> str:
    if isinstance(node, list):
        return "[" + ",".join(_canonical(item) for item in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = []
    for field, value in ast.iter_fields(node):
        if field == "body" and isinstance(value, list):
            value = [statement for statement in value if not _is_blank(statement)]
        if value is not None and value != []:
            parts.append(f"{field}={_canonical(value)}")
    return f"{type(node).__name__}({','.join(parts)})"
