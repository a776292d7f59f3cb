"""Where numbers come from: data, runs, devices, dates and code of a group of records, in one sentence each."""

from collections.abc import Sequence

from cosnb.display import Markdown
from cosnb.results.curves import setting
from cosnb.results.summary import Record
from cosnb.training.config import TrainingConfig
from cosnb.training.digest import code_digest
from cosnb.training.protocol import PROTOCOLS


def provenance(records: Sequence[Record]) -> Markdown:
    """Return what a table or figure must say of its `records`, of one configuration but for the activation.

    Where they differ in learning rate, gain or depth too, all values are named.
    """
    first = records[0]
    config, data = first["config"], first["data"]
    seeds = sorted({record["seed"] for record in records})
    devices = sorted({_device(record) for record in records})
    commits = sorted({str(record["commit"])[:7] + (" (changed)" if record["dirty"] else "") for record in records})
    days = sorted({record["finished"][:10] for record in records})
    older = sum(record["code_digest"] != code_digest(TrainingConfig(**record["config"])) for record in records)
    age = f" **{older} of them were recorded with code that has changed since.**" if older else ""
    shown = [f"Data: {data['name']}, {data['train_images']:,} training images"]
    shown[0] += f", tested on all {data['test_images']:,} test images."
    optimizer = {"adam": "Adam", "sgd": "SGD"}[PROTOCOLS[config["protocol"]].optimizer]
    epochs = f"{config['epochs']} epoch{'s' * (config['epochs'] > 1)}"
    shown.append(f"Protocol `{config['protocol']}`: {epochs}, batch {config['batch_size']}, {optimizer},")
    shown.append(f"learning rate {_values(records, 'lr')}, {config['precision']}.")
    for key, meaning in (("depth", "Depth"), ("gain", "Initial weights times")):
        if any(key in record["config"] for record in records):
            shown.append(f"{meaning} {_values(records, key)}.")
    shown.append(f"{len(records)} runs, seeds {_ranges(seeds)}. Device: {'; '.join(devices)}.")
    shown.append(f"Recorded {' to '.join(dict.fromkeys((days[0], days[-1])))} at commit {', '.join(commits)}.")
    return Markdown(f"*{' '.join(shown)}*{age}")


def _values(records: Sequence[Record], key: str) -> str:
    return ", ".join(f"{value:g}" for value in sorted({setting(record, key) for record in records}))


def _device(record: Record) -> str:
    device = record["device"]
    threads = f", {device['threads']} thread{'s' * (device['threads'] > 1)}" if "threads" in device else ""
    return f"{device['name']}{threads}"


def _ranges(seeds: Sequence[int]) -> str:
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))
