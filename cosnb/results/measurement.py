"""Measurements that are no training runs, kept like runs: one small record a (settings, seed), written once."""

import hashlib
import json
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

import cosnb
from cosnb import results
from cosnb.errors import CosnbError
from cosnb.paths import repository_root
from cosnb.results.summary import Record, by_activation, group
from cosnb.results.tables import name_pair
from cosnb.statistics import Claim, Comparison, Direction, judge
from cosnb.training.device import describe_device
from cosnb.training.digest import canonical

Settings = Mapping[str, Any]
SEEN_BEFORE = {"kinks": 4}  # numbers added after the networks of seeds 0 to 3 had been seen: judged on later seeds
_BEFORE = {"figure-16-landscape": "cosnb.measure.landscape"}  # what the first records, which lack "code", came from


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
            if results.find(experiment, config_digest(chosen), seed, root) is None:
                started = datetime.now(UTC)
                found = measure(chosen, seed)
                results.write(make_record(experiment, chosen, seed, found, code.__name__, device, started), root)
                written += 1
    return written


def largest(records: Iterable[Record]) -> list[Record]:
    """Return the records of the configuration that has most of them, the finer or longer one of equals; or none."""

    def size(found: tuple[Mapping[str, Any], list[Record]]) -> tuple[int, float]:
        numbers = [value for value in found[0].values() if isinstance(value, int | float)]
        return len(found[1]), float(sum(numbers))

    return max(group(records), key=size, default=({}, []))[1]


def measured(records: Iterable[Record], key: str) -> dict[str, dict[int, float]]:
    """Return {activation: {seed: number}} of one configuration's records, of those that have it and are not lost."""
    return {
        name: {
            seed: record["measured"][key]
            for seed, record in runs.items()
            if record["status"] == "ok" and key in record["measured"]
        }
        for name, runs in by_activation(records).items()
    }


def paired(values: Mapping[str, Mapping[int, float]], first: str, second: str) -> list[float]:
    """Return first − second over the seeds that both have."""
    a, b = values.get(first, {}), values.get(second, {})
    return [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]


def judge_pairs(
    values: Mapping[str, Mapping[int, float]],
    pairs: Sequence[tuple[str, str]],
    claim: Claim,
    family_size: int | None = None,
) -> dict[str, Comparison]:
    """Judge the differences of `pairs` (first − second), one family with one claim; see `cosnb.statistics.judge`."""
    return judge({name_pair(*pair): (paired(values, *pair), claim) for pair in pairs}, family_size)


def judge_landscape(records: Sequence[Record], key: str, moving: bool = False) -> dict[str, Comparison]:
    """Judge P18: ReLU's number `key` lies above Swish's and CoS's, over all seeds but those of `SEEN_BEFORE`.

    The level holds for the claim's six comparisons, two for each of three numbers.

    With `moving` networks that are flat everywhere with ReLU are left out too. The protocol does not say so and it
    depends on the outcome, so that comparison is exploratory.
    """
    first, out = SEEN_BEFORE.get(key, 0), flat_everywhere(records) if moving else set()
    values = {
        name: {seed: value for seed, value in by_seed.items() if seed >= first and seed not in out}
        for name, by_seed in measured(records, key).items()
    }
    return judge_pairs(values, (("relu", "swish"), ("relu", "cos")), None if moving else Direction.HIGHER, 6)


def flat_everywhere(records: Sequence[Record]) -> set[int]:
    """Return the seeds of the landscapes whose gradient is 0 at every point with ReLU."""
    return {seed for seed, share in measured(records, "flat").get("relu", {}).items() if share == 1}


def code_files(record: Record) -> list[Path]:
    """Return the files whose code decided a measurement's numbers; CosnbError where the record names none of ours."""
    modules = str(record.get("code", _BEFORE.get(record["experiment"], ""))).split(" ")
    paths = [repository_root().joinpath(*module.split(".")).with_suffix(".py") for module in modules]
    for module, path in zip(modules, paths, strict=True):
        if not re.fullmatch(r"cosnb(\.[a-z_]+)+", module) or not path.is_file():
            raise CosnbError(
                f"the record's code is {module!r}, expected a module of cosnb: it may have been renamed since"
            )
    return paths


def file_digest(*paths: str | Path) -> str:
    """Return 16 hexadecimal digits over the files' code, blind to comments, docstrings and layout."""
    code = "".join(canonical(Path(path).read_text(encoding="utf-8")) for path in paths)
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def config_digest(settings: Settings) -> str:
    """Return 10 hexadecimal digits that name a measurement's settings."""
    return hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode()).hexdigest()[:10]


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
        "schema": results.SCHEMA,
        "experiment": experiment,
        "config": dict(settings),
        "config_digest": config_digest(settings),
        "seed": seed,
        "status": status,
        "error": None,
        "epochs": [],
        "measured": dict(found),
        **results.checked_out(),
        "code": code,
        "data": None,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "cosnb": cosnb.__version__},
        "device": describe_device(device),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return record | {"code_digest": file_digest(*code_files(record))}
