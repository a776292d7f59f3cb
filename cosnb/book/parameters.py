"""Parameters of a notebook, from its one cell tagged `parameters`, checked; and `name=value` of a command line.

They are checked before a notebook runs, and once more in its kernel: papermill by itself takes any name.
"""

import ast
import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cosnb.errors import CosnbError
from cosnb.experiments.registry import did_you_mean

_INJECTED = "# Parameters"  # papermill's first line of the cell that it adds
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list", dict: "a table"}


def read_defaults(notebook: Path) -> dict[str, Any]:
    """Return the parameters of a notebook with their default values, in the order written.

    Raises CosnbError where the file is missing or not a notebook, where it was saved from an executed copy, where the
    number of code cells tagged `parameters` is not one, and where that cell has anything but lines `name: type =
    literal`, in which the type is optional.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except FileNotFoundError:
        raise CosnbError(f"There is no notebook {notebook}: check its name in runs.toml.") from None
    except (ValueError, KeyError, TypeError):
        raise CosnbError(f"{notebook} is not a Jupyter notebook: restore it from the repository.") from None
    tags = [cell.get("metadata", {}).get("tags", []) for cell in cells]
    if any("injected-parameters" in names for names in tags):
        raise CosnbError(
            f"{notebook.name} was saved from an executed copy: values of its cell tagged `injected-parameters` would "
            "win over the defaults; delete that cell."
        )
    tagged = [cell for cell, names in zip(cells, tags, strict=True) if "parameters" in names]
    if len(tagged) != 1 or tagged[0]["cell_type"] != "code":
        raise CosnbError(f"{notebook.name} needs exactly one code cell tagged `parameters`, it has {len(tagged)}.")
    source = "".join(tagged[0]["source"])
    defaults = _literals(source)
    if defaults is None:
        raise CosnbError(
            f"The parameters cell of {notebook.name} may hold only lines `name: type = literal`, "
            f"each name once:\n{source}"
        )
    return defaults


def _literals(source: str) -> dict[str, Any] | None:
    """Return what lines `name = literal`, with or without the literal's type, assign; None for any other text."""
    found: dict[str, Any] = {}
    try:
        for statement in ast.parse(source).body:
            if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.lineno != statement.end_lineno:
                return None
            (target,) = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if not isinstance(target, ast.Name) or target.id in found or statement.value is None:
                return None
            found[target.id] = ast.literal_eval(statement.value)
    except (SyntaxError, ValueError):
        return None
    return found


def check_injected(notebook: str) -> None:
    """Have this kernel, if it is one, check the cell of parameters that papermill puts after the notebook's own.

    A name that the notebook does not have and a value of another type end the run there.
    """
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return

    def check(lines: list[str]) -> list[str]:
        if not lines or lines[0].strip() != _INJECTED:
            return lines
        defaults = _literals(shell.history_manager.input_hist_raw[-1])  # the cell before it
        given = _literals("".join(lines))
        if not defaults or given is None:
            return lines
        checked = check_parameters(notebook, defaults, given)
        return [lines[0], *(f"{name} = {value!r}\n" for name, value in checked.items())]

    shell.input_transformers_cleanup.append(check)


def check_parameters(notebook: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `given` with the types of the defaults. Raises CosnbError with the parameter, what it takes and its value.

    `notebook`: its name, for messages. Accepted are whole numbers and text such as "1e-3", which YAML reads as text,
    for a number, whole numbers for text, and "True" for True. A bool is not a number, and a default of None takes any
    value.
    """
    checked = {}
    for name, value in given.items():
        if name not in defaults:
            hint = did_you_mean(name, defaults)
            raise CosnbError(f"{notebook} has no parameter {name!r}{hint}; it has {', '.join(defaults) or 'none'}.")
        kind = type(defaults[name])
        value = _as_kind(value, kind)
        if kind not in (type(None), type(value)):
            raise CosnbError(
                f"Parameter {name} of {notebook} is {_KINDS.get(kind, kind.__name__)} (default {defaults[name]!r}), "
                f"but {value!r} is {_KINDS.get(type(value), type(value).__name__)}"
                + (f": on a command line write -p '{name}=\"{value}\"'." if kind is str else ".")
            )
        checked[name] = value
    return checked


def _as_kind(value: Any, kind: type) -> Any:
    """Return `value` as one of `kind` where it can only be meant so."""
    if kind is str and type(value) is int:
        return str(value)
    if kind is bool and isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), value)
    if kind is float and type(value) in (int, str):
        try:
            number = float(value)
        except ValueError:
            return value
        return number if math.isfinite(number) else value
    return value


def parse_override(text: str) -> tuple[str, Any]:
    """Return the name and value in `name=value`; a value that is no TOML number, boolean, string or array is text.

    Raises CosnbError without an = or without a name before it.
    """
    name, literal = split_setting(text, "name=value, for example -p epochs=2.")
    try:
        parsed = tomllib.loads(f"value = {literal}")
    except tomllib.TOMLDecodeError:
        return name, literal
    value = parsed.get("value")
    # Text with a line break could smuggle in a second key, and TOML's dates and times are no notebook's parameters.
    return name, value if len(parsed) == 1 and isinstance(value, bool | int | float | str | list) else literal


def parse_values(parts: Iterable[str]) -> dict[str, str]:
    """Return {"a": "5", "c": "1/2"} of "a=5" and "c=1/2"; CosnbError for no name=value, and a name that comes twice."""
    values: dict[str, str] = {}
    for name, value in map(split_setting, parts):
        if name in values:
            raise CosnbError(f"the parameter {name} is given twice: give it one value")
        values[name] = value
    return values


def split_setting(text: str, example: str = "it like a=5") -> tuple[str, str]:
    """Return name and value of `name=value`; CosnbError, which shows the `example`, where it is none."""
    name, equals, value = (piece.strip() for piece in text.partition("="))
    if not (equals and name.isidentifier()):
        raise CosnbError(f"{text!r} sets no parameter: write {example}")
    return name, value
