"""The registry of notebooks and experiments, `runs.toml`, which campaigns, notebooks and commands read."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosnb.errors import CosnbError
from cosnb.paths import repository_root

PROFILES = ("quick", "full")
FILE = Path("cosnb", "experiments", "runs.toml")  # below the repository, or below an installed package's folder
_KEYS = {"title": str, "gpu": bool, "timeout": dict, "quick": dict, "full": dict}
_OPTIONAL = {"settings": dict, "notebook": str}


@dataclass(frozen=True)
class Run:
    """One entry of the registry: `timeout` in seconds and parameters by profile; `gpu`: whether a full run needs one.

    `notebook`: the notebook that runs, by default the one with the entry's name. `settings`: fields of the experiment's
    TrainingConfig that are not parameters of the notebook.
    """

    name: str
    title: str
    gpu: bool
    timeout: dict[str, int]
    parameters: dict[str, dict[str, Any]]
    settings: dict[str, Any]
    notebook: str = ""

    def points(self, **changes: Any) -> tuple[dict[str, Any], ...]:
        """Return the settings of each configuration that the full profile trains with every activation.

        There is one for each network in `networks` and each depth in `depths`; or one for each rate in `rates`, then
        one for each gain in `gains` but 1. `changes`: parameters or settings that replace the registry's.
        """
        full = self.settings | self.parameters["full"] | changes
        names = ("network", "protocol", "depth", "epochs", "batch_size", "lr", "precision", "probes")
        common = {name: full[name] for name in names if full.get(name)}
        networks = [{"network": name} for name in full["networks"].split(",")] if "networks" in full else [{}]
        depths = [{"depth": depth} for depth in full.get("depths", ())] or [{}]
        varied = [{"lr": rate} for rate in full.get("rates", ())]
        varied += [{"gain": gain} for gain in full.get("gains", ()) if gain != 1.0]
        return tuple(
            common | network | depth | point for network in networks for depth in depths for point in varied or [{}]
        )


def read_runs(root: Path | None = None) -> dict[str, Run]:
    """Return the registry's entries by name, in the order written; `root`: of another repository.

    An entry that names another's notebook takes that entry's values and parameters where it has none of its own. Raises
    CosnbError where the file is missing or not TOML, and for an unknown, missing or ill-typed key.
    """
    path = (root or repository_root()) / FILE
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CosnbError(f"There is no {path}: install cosnb again, or restore the file from its repository.") from None
    except tomllib.TOMLDecodeError as error:
        raise CosnbError(f"{path} is not valid TOML: {error}.") from None
    return {name: _read_entry(path, name, _completed(entry, entries)) for name, entry in entries.items()}


def tables(root: Path | None = None) -> dict[str, str]:
    """Return the experiments of the paper's three tables by network, Table 1 first; `root` as in `read_runs`."""
    runs = read_runs(root)
    names = [name for name in sorted(runs) if re.match("table-[123]-", name)]
    return {runs[name].parameters["full"]["networks"]: name for name in names}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean ...?)` for the known name closest to `name`, or nothing where none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _completed(entry: Any, entries: Mapping[str, Any]) -> Any:
    """Return an entry with what it takes over from that of its notebook."""
    host = entries.get(entry.get("notebook", "")) if isinstance(entry, Mapping) else None
    if host is None:
        return entry
    profiles = {name: {**host.get(name, {}), **entry.get(name, {})} for name in PROFILES}
    return {**host, **entry, **profiles}


def _read_entry(path: Path, name: str, entry: Any) -> Run:
    where = f"[{name}] in {path}"
    if not isinstance(entry, Mapping):
        raise CosnbError(f"{name} in {path} must be a table [{name}].")
    known = _KEYS | _OPTIONAL
    for key, value in entry.items():
        if key not in known:
            raise CosnbError(
                f"{where} has an unknown key {key!r}{did_you_mean(key, known)}; known: {', '.join(known)}."
            )
        if not isinstance(value, known[key]):
            raise CosnbError(f"{where}: {key} must be of type {known[key].__name__}, not {value!r}.")
    missing = [key for key in _KEYS if key not in entry]
    if missing:
        raise CosnbError(f"{where} lacks {', '.join(missing)}.")
    timeout = entry["timeout"]
    if set(timeout) != set(PROFILES) or not all(type(value) is int and value > 0 for value in timeout.values()):
        raise CosnbError(f"{where}: timeout must be {{ quick = seconds, full = seconds }}, whole numbers above 0.")
    parameters = {profile: entry[profile] for profile in PROFILES}
    settings, notebook = dict(entry.get("settings", {})), entry.get("notebook", name)
    return Run(name, entry["title"], entry["gpu"], timeout, parameters, settings, notebook)
