"""Records of measurements that are no training runs: one small file a (settings, seed), written once."""

import platform
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

import cosnb
from cosnb.errors import CosnbError
from cosnb.experiments.records.digest import code_under, file_digest
from cosnb.experiments.records.record import SCHEMA, checked_out, config_digest, find, write
from cosnb.experiments.training.device import describe_device
from cosnb.paths import repository_root

Settings = Mapping[str, Any]
# What the first records, which lack "code", came from.
_BEFORE = {"figure-16-landscape": "cosnb.experiments.diagnostics.landscape"}
# Where code lies that records name by the place it had then.
_MOVED = {"cosnb.measure.": "cosnb.experiments.diagnostics.", "cosnb.training.": "cosnb.experiments.training."}
# Modules that measure what compiled activations do, so that the code of these decides their numbers too.
_OF_KERNELS = ("cosnb.experiments.diagnostics.cost", "cosnb.experiments.diagnostics.steps", "cosnb.accuracy.errors")


def measure_missing(
    experiment: str,
    settings: Iterable[Settings],
    seeds: Iterable[int],
    measure: Callable[[Settings, int], Mapping[str, Any]],
    code: ModuleType,
    device: str | torch.device = "cpu",
    root: Path | None = None,
) -> int:
    """Record `measure(settings, seed)` for every pair that has no record yet; return how many were written.

    `settings` are JSON types with the key "activation"; what `measure` returns are JSON types too, kept under
    "measured". `code` is the module whose code decides the numbers; its digest is kept.
    """
    written = 0
    listed = list(settings)
    for seed in seeds:
        for chosen in listed:
            if find(experiment, config_digest(chosen), seed, root) is None:
                started = datetime.now(UTC)
                found = measure(chosen, seed)
                write(make_record(experiment, chosen, seed, found, code.__name__, device, started), root)
                written += 1
    return written


def code_files(record: Mapping[str, Any]) -> list[Path]:
    """Return the files whose code decided a measurement's numbers; CosnbError where the record names none of ours."""
    named = str(record.get("code", _BEFORE.get(record["experiment"], ""))).split(" ")
    modules = [_now(module) for module in named]
    paths = [repository_root().joinpath(*module.split(".")).with_suffix(".py") for module in modules]
    for module, path in zip(modules, paths, strict=True):
        if not re.fullmatch(r"cosnb(\.[a-z_]+)+", module) or not path.is_file():
            raise CosnbError(
                f"the record's code is {module!r}, expected a module of cosnb: it may have been renamed since"
            )
    return [*paths, *(code_under("codegen", "kernels") if set(modules) & set(_OF_KERNELS) else ())]


def _now(module: str) -> str:
    """Return where a module lies now that a record names by where it lay then."""
    for before, now in _MOVED.items():
        if module.startswith(before):
            return now + module.removeprefix(before)
    return module


def make_record(
    experiment: str,
    settings: Settings,
    seed: int,
    found: Mapping[str, Any],
    code: str,
    device: str | torch.device,
    started: datetime,
    status: str = "ok",
) -> dict[str, Any]:
    """Return the record of a measurement that ended now; `code` names the modules that decided it, spaces between.

    status: "diverged" where it is that of a network whose training was lost.
    """
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "experiment": experiment,
        "config": dict(settings),
        "config_digest": config_digest(settings),
        "seed": seed,
        "status": status,
        "error": None,
        "epochs": [],
        "measured": dict(found),
        **checked_out(),
        "code": code,
        "data": None,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "cosnb": cosnb.__version__},
        "device": describe_device(device),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return record | {"code_digest": file_digest(*code_files(record))}
