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
_OPTIONAL = {"settings": dict}


@dataclass(frozen=True)
class Run:
    """One notebook's entry: `timeout` in seconds and `parameters` by profile; gpu: whether a full run wants one.

    settings: fields of the experiment's `TrainingConfig` that are no parameters of the notebook.
    """

    name: str
    title: str
    gpu: bool
    timeout: dict[str, int]
    parameters: dict[str, dict[str, Any]]
    settings: dict[str, Any]

    def points(self, **changes: Any) -> tuple[dict[str, Any], ...]:
        """Return the settings of each configuration that the full profile trains with every activation.

        A network of `networks` and a depth of `depths` make one each, or a rate of `rates` and then a gain of `gains`
        but 1. changes: other parameters, or settings, than the registry's.
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
    """Return the registry's entries by notebook name, in the order written; `root`: another repository's.

    Raises CosnbError where the file is missing, is no TOML, or has an unknown, missing or ill-typed key.
    """
    path = (root or repository_root()) / FILE
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CosnbError(f"There is no {path}: install cosnb again, or restore the file from its repository.") from None
    except tomllib.TOMLDecodeError as error:
        raise CosnbError(f"{path} is not valid TOML: {error}.") from None
    return {name: _read_entry(path, name, entry) for name, entry in entries.items()}


def tables(root: Path | None = None) -> dict[str, str]:
    """Return the experiments of the paper's three tables by network, Table 1 first; `root` as in `read_runs`."""
    runs = read_runs(root)
    return {runs[name].settings["network"]: name for name in sorted(runs) if re.match("table-[123]-", name)}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean ...?)` for the known name closest to `name`, or nothing where none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


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
    return Run(name, entry["title"], entry["gpu"], timeout, parameters, dict(entry.get("settings", {})))
