"""Provenance of numbers: data, runs, devices, dates, code and the records themselves, of groups of records."""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cosnb.display import Markdown, Table
from cosnb.errors import CosnbError
from cosnb.experiments.records.digest import code_digest, file_digest, is_same_code
from cosnb.experiments.records.measurement import code_files
from cosnb.experiments.results.curves import setting
from cosnb.experiments.results.summary import Record, data_title, network_title, title
from cosnb.experiments.training.config import TrainingConfig
from cosnb.experiments.training.protocol import PROTOCOLS
from cosnb.paths import repository_address, repository_root, results_dir

_ALL = "all"  # the activation of a measurement that has every activation in it
# What a measurement's settings mean; those that another line says, and those of training, have no words here.
_WORDS = {
    "batch": "batches of {:,} images",
    "rounds": "{:,} rounds",
    "reach": "as far as {:g} times the weights' size",
    "lines": "{:,} random lines",
    "inputs": "{}",
    "targets": "code by {}",
    "on": "loss on {:,} images",
    "initial": "initial weights: {}",
    "images": "one batch of {:,} images",
    "dataset": "data {}",
}
_SAID = ("activation", "network", "device", "threads", "points")
VARIED = ("activation", "lr", "gain", "depth")  # what the records of one group may differ in, beside the seed


def provenance(*groups: Sequence[Record]) -> Markdown:
    """Return the origin of a table's or figure's records: a line for all, and folded a paragraph for each part.

    The line has the number of runs, the days, whether code has changed since, and links to the records. A part, made by
    `split`, has its settings, seeds, device and commit.
    """
    parts = [part for records in groups for part in split(records)]
    if not parts:
        return Markdown("")
    records = [record for part in parts for record in part]
    noun = "measurement" if all("measured" in record for record in records) else "run"
    names = sorted({record.get("experiment", "") for record in records})
    links = [(name, link) for name in names if (link := address(name))]
    line = f"*{_count(len(records), noun)}, recorded {days(records)}.*{_age(records)}"
    if len(links) == 1:
        line += f" [Records]({links[0][1]})."
    elif links:
        line += f" Records: {', '.join(f'[{name}]({link})' for name, link in links)}."
    folded = "\n\n".join(map(_sentences, parts))
    head = '<details class="provenance"><summary>Settings, seeds, device and commit</summary>'
    return Markdown(f"{line}\n\n{head}\n\n{folded}\n\n</details>")


def split(records: Iterable[Record]) -> list[list[Record]]:
    """Return the records in groups that `provenance` and `table` take: alike but for what they may differ in."""
    found: dict[str, list[Record]] = {}
    for record in records:
        config = {key: value for key, value in record["config"].items() if key not in VARIED}
        found.setdefault(json.dumps(config, sort_keys=True), []).append(record)
    return list(found.values())


def table(evidence: Mapping[str, Sequence[Record]], link: Callable[[str], str] = str) -> Table:
    """Return the origin of all records, a row for each group of `split`; `link` links an experiment's name."""
    rows = []
    for experiment, records in evidence.items():
        for group in split(records):
            what, *others = _row(group)
            rows.append([[link(experiment), what], *others])
    return Table(["page and settings", "runs", "data", "device and versions", "recorded", "code"], rows)


def _row(records: Sequence[Record]) -> list[Any]:
    older = sum(map(is_older, records))
    states = Counter(record["status"] for record in records)
    data = sorted(
        {f"{data_title(r['data']['name'])}, SHA-256 {r['data']['digest'][:16]}…" for r in records if r["data"]}
    )
    place = address(records[0].get("experiment", ""))
    files = _count(len(records), "file")
    return [
        settings(records),
        [number(records), ", ".join(f"{count} {state}" for state, count in states.items())],
        "; ".join(data) or ("no digest noted" if "dataset" in records[0]["config"] else "none"),
        [devices(records), versions(records)],
        [days(records), f"commit {commits(records)}", f"[{files}]({place})" if place else "not in the repository"],
        f"changed since for {_share(older, len(records))}" if older else "unchanged since",
    ]


def number(records: Sequence[Record]) -> str:
    """Return how many runs or measurements there are, of which activations, with which seeds."""
    noun = "measurement" if "measured" in records[0] else "run"
    if records[0]["config"]["activation"] == _ALL:
        return f"{_count(len(records), noun)} of all activations" if len(records) > 1 else f"one {noun}"
    seeds = sorted({record["seed"] for record in records})
    return f"{_count(len(records), noun)}, seed{'s' * (len(seeds) > 1)} {_ranges(seeds)} ({arms(records)})"


def is_older(record: Record) -> bool:
    """Say whether code that decided a record's numbers has changed them since, or takes its settings no longer."""
    try:
        now = (
            file_digest(*code_files(record))
            if "measured" in record
            else code_digest(_config(record), _execution(record))
        )
    except (CosnbError, TypeError):
        return True
    return not is_same_code(record["code_digest"], now)


def address(experiment: str) -> str | None:
    """Return the public address of an experiment's records; None where they are not in the repository."""
    folder, root = results_dir() / experiment, repository_address()
    inside = folder.is_dir() and folder.is_relative_to(repository_root())
    return f"{root}/{folder.relative_to(repository_root()).as_posix()}" if root and inside else None


def devices(records: Sequence[Record]) -> str:
    """Return the devices' names and numbers of threads."""
    return "; ".join(sorted({_device(record) for record in records}))


def days(records: Sequence[Record]) -> str:
    """Return the first and the last day of recording, UTC."""
    found = sorted({record["finished"][:10] for record in records})
    return " to ".join(dict.fromkeys((found[0], found[-1])))


def commits(records: Sequence[Record]) -> str:
    """Return the commits that were checked out; "(changed)" where a tracked file differed."""
    known = {(str(r["commit"])[:7] if r.get("commit") else "not noted", bool(r.get("dirty"))) for r in records}
    return ", ".join(sorted(name + " (changed)" * dirty for name, dirty in known))


def versions(records: Sequence[Record]) -> str:
    """Return the versions of Python and packages, those that differ between records side by side."""
    found: dict[str, set[str]] = {}
    for record in records:
        for name, version in record.get("versions", {}).items():
            found.setdefault(name, set()).add(version)
    return ", ".join(f"{name} {' and '.join(sorted(values))}" for name, values in found.items())


def settings(records: Sequence[Record]) -> str:
    """Return a group's settings in words: of training data, protocol and what varies, and what was measured how."""
    config = records[0]["config"]
    trained = _training(records) if "protocol" in config else ""
    parts = [trained or (network_title(config["network"]) if "network" in config else "")]
    if "points" in config:
        points = f"{config['points']:,}"
        parts.append(f"{points} points a line" if "lines" in config else f"{points} × {points} points")
    fields = {field.name for field in dataclasses.fields(TrainingConfig)} if trained else set()
    for key, value in config.items():
        if key not in fields and key not in _SAID:
            parts.append(_WORDS[key].format(value) if key in _WORDS else f"{key} {value}")
    return ", ".join(filter(None, parts))


def _training(records: Sequence[Record]) -> str:
    config = records[0]["config"]
    optimizer = {"adam": "Adam", "sgd": "SGD"}[PROTOCOLS[config["protocol"]].optimizer]
    shown = (
        f"protocol `{config['protocol']}`, {network_title(config['network'])}, {config['train_images']:,} images of "
    )
    shown += f"{data_title(config['dataset'])}, {_count(config['epochs'], 'epoch')}, "
    shown += f"batch {config['batch_size']}, {optimizer}, "
    shown += f"learning rate {_values(records, 'lr')}, {config['precision']}"
    for key, meaning in (("depth", "depth"), ("gain", "initial weights times")):
        if any(key in record["config"] for record in records):
            shown += f", {meaning} {_values(records, key)}"
    return shown


def arms(records: Sequence[Record]) -> str:
    """Return the number of records by activation: "ReLU 8, CoS 7"."""
    counts: dict[str, int] = {}
    for record in records:
        name = record["config"]["activation"]
        counts[name] = counts.get(name, 0) + 1
    named = {re.sub(r"([*_])", r"\\\1", title(name)): count for name, count in counts.items()}  # stars are no emphasis
    return ", ".join(f"{name} {count}" for name, count in named.items())


def _tested(record: Record) -> str:
    held_out, few = (record["config"].get(key) for key in ("held_out", "test_images"))
    if held_out:
        return (f"the first {few:,} of " if few else "") + f"the last {held_out:,} training images, held out"
    return f"the first {few:,} test images" if few else f"all {record['data']['test_images']:,} test images"


def _sentences(records: Sequence[Record]) -> str:
    first = records[0]
    shown = [f"{_capital(settings(records))}."]
    if first["data"]:
        shown.append(f"Tested on {_tested(first)}.")
    shown.append(f"{_capital(number(records))}.")
    commit = commits(records)
    at = f" at commit {commit}" if any(r.get("commit") for r in records) else f", commit {commit}"
    shown.append(f"Device: {devices(records)}. Recorded {days(records)}{at}.")
    return f"*{' '.join(shown)}*"


def _age(records: Sequence[Record]) -> str:
    older, n = sum(map(is_older, records)), len(records)
    who = f"{older} of {n} were" if older < n else "All were" if n > 1 else "It was"
    return f" **{who} recorded with code that has changed since.**" if older else ""


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" if part < whole else "all of them" if whole > 1 else "it"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _execution(record: Record) -> str:
    return str(record["device"].get("execution", ""))


def _config(record: Record) -> TrainingConfig:
    return TrainingConfig(**record["config"])


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' * (n != 1)}"


def _values(records: Sequence[Record], key: str) -> str:
    return ", ".join(f"{value:g}" for value in sorted({setting(record, key) for record in records}))


def _device(record: Record) -> str:
    device: dict[str, Any] = record["device"]
    threads = f", {_count(device['threads'], 'thread')}" if "threads" in device else ""
    return f"{device['name']}{threads}"


def _ranges(seeds: Sequence[int]) -> str:
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))
