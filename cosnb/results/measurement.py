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
            if results.find(experiment, _digest(chosen), seed, root) is None:
                started = datetime.now(UTC)
                results.write(_record(experiment, chosen, seed, measure(chosen, seed), code, device, started), root)
                written += 1
    return written


def largest(records: Iterable[Record]) -> list[Record]:
    """Return the records of the configuration that has most of them, the finer or longer one of equals; or none."""

    def size(found: tuple[Mapping[str, Any], list[Record]]) -> tuple[int, float]:
        numbers = [value for value in found[0].values() if isinstance(value, int | float)]
        return len(found[1]), float(sum(numbers))

    return max(group(records), key=size, default=({}, []))[1]


def measured(records: Iterable[Record], key: str) -> dict[str, dict[int, float]]:
    """Return {activation: {seed: number}} of one configuration's records."""
    return {
        name: {seed: record["measured"][key] for seed, record in runs.items()}
        for name, runs in by_activation(records).items()
    }


def paired(values: Mapping[str, Mapping[int, float]], first: str, second: str) -> list[float]:
    """Return first − second over the seeds that both have."""
    a, b = values.get(first, {}), values.get(second, {})
    return [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]


def judge_pairs(
    values: Mapping[str, Mapping[int, float]], pairs: Sequence[tuple[str, str]], claim: Claim
) -> dict[str, Comparison]:
    """Judge the differences of `pairs` (first − second), one family with one claim."""
    return judge({name_pair(*pair): (paired(values, *pair), claim) for pair in pairs})


def judge_landscape(records: Sequence[Record], key: str, moving: bool = False) -> dict[str, Comparison]:
    """Judge P18: ReLU's number `key` lies above Swish's and CoS's, over all seeds but those of `SEEN_BEFORE`.

    With `moving` networks that are flat everywhere with ReLU are left out too. The protocol does not say so and it
    depends on the outcome, so that comparison is exploratory.
    """
    first, out = SEEN_BEFORE.get(key, 0), flat_everywhere(records) if moving else set()
    values = {
        name: {seed: value for seed, value in by_seed.items() if seed >= first and seed not in out}
        for name, by_seed in measured(records, key).items()
    }
    return judge_pairs(values, (("relu", "swish"), ("relu", "cos")), None if moving else Direction.HIGHER)


def flat_everywhere(records: Sequence[Record]) -> set[int]:
    """Return the seeds of the landscapes whose gradient is 0 at every point with ReLU."""
    return {seed for seed, share in measured(records, "flat").get("relu", {}).items() if share == 1}


def code_file(record: Record) -> Path:
    """Return the file whose code decided a measurement's numbers; CosnbError where the record names none of ours."""
    module = record.get("code", _BEFORE.get(record["experiment"], ""))
    path = repository_root().joinpath(*str(module).split(".")).with_suffix(".py")
    if not re.fullmatch(r"cosnb(\.[a-z_]+)+", str(module)) or not path.is_file():
        raise CosnbError(f"the record's code is {module!r}, expected a module of cosnb: it may have been renamed since")
    return path


def file_digest(path: str | Path) -> str:
    """Return 16 hexadecimal digits over a file's code, blind to comments, docstrings and layout."""
    return hashlib.sha256(canonical(Path(path).read_text(encoding="utf-8")).encode()).hexdigest()[:16]


def _digest(settings: Settings) -> str:
    return hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode()).hexdigest()[:10]


def _record(
    experiment: str,
    settings: Settings,
    seed: int,
    found: Mapping[str, Any],
    code: ModuleType,
    device: str | torch.device,
    started: datetime,
) -> dict[str, Any]:
    return {
        "schema": results.SCHEMA,
        "experiment": experiment,
        "config": dict(settings),
        "config_digest": _digest(settings),
        "seed": seed,
        "status": "ok",
        "error": None,
        "epochs": [],
        "measured": dict(found),
        **results.checked_out(),
        "code": code.__name__,
        "code_digest": file_digest(str(code.__file__)),
        "data": None,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "cosnb": cosnb.__version__},
        "device": describe_device(device),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
