"""Parameters of a notebook, from its one cell tagged `parameters`, checked; and `name=value` of a command line."""

import ast
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cosnb.errors import CosnbError
from cosnb.experiments.registry import did_you_mean

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list", dict: "a table"}


def read_defaults(notebook: Path) -> dict[str, Any]:
    """Return the parameters of a notebook with their default values, in the order written.

    Raises CosnbError where the file is missing or no notebook, where it was saved from an executed copy, where not
    exactly one code cell is tagged `parameters`, and where that cell holds anything but lines `name = literal`.
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
    defaults: dict[str, Any] = {}
    source = "".join(tagged[0]["source"])
    try:
        for statement in ast.parse(source).body:
            if not isinstance(statement, ast.Assign) or statement.lineno != statement.end_lineno:
                raise ValueError
            (target,) = statement.targets
            if not isinstance(target, ast.Name) or target.id in defaults:
                raise ValueError
            defaults[target.id] = ast.literal_eval(statement.value)
    except (SyntaxError, ValueError):
        raise CosnbError(
            f"The parameters cell of {notebook.name} may hold only lines `name = literal`, each name once:\n{source}"
        ) from None
    return defaults


def check_parameters(notebook: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `given` with whole numbers made floats where the default is a float.

    notebook: its name, for messages. A value must have the type of the default; bool is no number, and a default of
    None takes any value. Raises CosnbError naming the parameter, what was expected and what was given.
    """
    checked = {}
    for name, value in given.items():
        if name not in defaults:
            hint = did_you_mean(name, defaults)
            raise CosnbError(f"{notebook} has no parameter {name!r}{hint}; it has {', '.join(defaults) or 'none'}.")
        kind = type(defaults[name])
        if kind is float and type(value) is int:
            value = float(value)
        if kind not in (type(None), type(value)):
            raise CosnbError(
                f"Parameter {name} of {notebook} is {_KINDS.get(kind, kind.__name__)} (default {defaults[name]!r}), "
                f"but {value!r} is {_KINDS.get(type(value), type(value).__name__)}"
                + (f": on a command line write -p '{name}=\"{value}\"'." if kind is str else ".")
            )
        checked[name] = value
    return checked


def parse_override(text: str) -> tuple[str, Any]:
    """Return name and value of `name=value`; a value that is no TOML number, boolean, string or array is text.

    Raises CosnbError where there is no `=` or no name before it.
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
