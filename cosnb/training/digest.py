"""A digest of the code that decides a run's numbers, blind to comments, docstrings and layout."""

import ast
import hashlib
from pathlib import Path

from cosnb.activation import activation
from cosnb.training.config import TrainingConfig

_PACKAGE = Path(__file__).resolve().parent.parent


def code_digest(config: TrainingConfig) -> str:
    """Return 16 hexadecimal digits over the loop, the augmentation, the network and the activation's printed code."""
    digest = hashlib.sha256()
    for name in ("training/loop.py", "data/augment.py", f"models/{config.network}.py"):
        digest.update(canonical((_PACKAGE / name).read_text()).encode())
    act = activation(config.activation)
    for order in (0, 1):
        digest.update(canonical(act.source("pytorch", order)).encode())
    return digest.hexdigest()[:16]


def canonical(source: str) -> str:
    """Return Python `source` as one line of node names and constants: what it does, not how it is laid out.

    Empty fields are left out, so that a Python version that adds an optional field to its syntax tree gives the same
    text.
    """
    return _canonical(ast.parse(source))


def _canonical(node: object) -> str:
    if isinstance(node, list):
        return "[" + ",".join(_canonical(item) for item in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = []
    for field, value in ast.iter_fields(node):
        if field == "body" and isinstance(value, list):
            value = [s for s in value if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
        if value is not None and value != []:
            parts.append(f"{field}={_canonical(value)}")
    return f"{type(node).__name__}({','.join(parts)})"
