"""Cost of an activation: measurements, tables and sentences of the page `cost`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from cosnb.book.claims import costs
from cosnb.display import Markdown, Table
from cosnb.experiments import Experiment
from cosnb.experiments.diagnostics import cost, steps
from cosnb.experiments.results.paper import TABLES
from cosnb.experiments.results.summary import Record, title
from cosnb.experiments.results.tables import ACTIVATIONS
from cosnb.experiments.training.device import resolve_precision

Ratios = dict[str, tuple[float, float, float]]  # activation: lower quartile, median, upper quartile


def measure(experiment: Experiment, networks: str, batch: int, rounds: int, keep: bool) -> int:
    """Record the times of every contestant in each network (commas between); return how many were measured."""
    device = experiment.device
    settings = [
        {"activation": "all", "network": name, "batch": batch, "rounds": rounds}
        | {"device": device, "threads": torch.get_num_threads()}
        for name in networks.split(",")
    ]

    def compare(chosen: Mapping[str, Any], seed: int) -> Mapping[str, Any]:
        return cost.compare_all(chosen["network"], batch, rounds, device)

    return experiment.measure(settings, "0", compare, cost, keep, device)


def measure_steps(experiment: Experiment, networks: str, batches: Sequence[int], rounds: int, keep: bool) -> int:
    """Record the times of whole steps of these batch sizes, on a GPU alone; return how many were measured."""
    device = experiment.device
    if device != "cuda":
        return 0
    settings = [
        steps.settings(name, batch, execution, resolve_precision("auto", device), rounds, device)
        for name in networks.split(",")
        for batch in batches
        for execution in steps.EXECUTIONS
    ]

    def measured(chosen: Mapping[str, Any], seed: int) -> Mapping[str, Any]:
        network, batch, execution, precision = (chosen[key] for key in ("network", "batch", "execution", "precision"))
        return steps.measure(network, batch, execution, precision, rounds, device)

    return experiment.measure(settings, "0", measured, steps, keep, device)


def split(records: Iterable[Record]) -> tuple[list[Record], list[Record]]:
    """Return the records of contestants side by side, and those of whole steps."""
    found = list(records)
    return [r for r in found if "execution" not in r["config"]], [r for r in found if "execution" in r["config"]]


def ratio_tables(records: Sequence[Record]) -> Markdown:
    """Return a table a device and network: medians as ratios to plain ReLU, beside the paper's seconds an epoch."""
    parts = []
    for where, networks in costs.by_device(records).items():
        parts.append(f"**{where}**")
        for name, record in networks.items():
            found, rows = record["measured"], []
            for label in found:
                medians = [f"{cost.over_relu(found, label, what)[1]:.2f}" for what in ("step", "inference", "saved")]
                rows.append([_words(label), *medians, _reported(record, label)])
            head = [name, "step", "inference", "kept for backward", "the paper's epoch"]
            parts.append(Table(head, rows).text)
    return Markdown("\n\n".join(parts))


def ratio_sentences(records: Sequence[Record]) -> Markdown:
    """Return by device how long a step with CoS takes, beside ReLU's and Swish's."""
    parts = []
    for where, networks in costs.by_device(records).items():
        said = ", ".join(str(_reported(record, "cos, plain")) for record in networks.values())
        compiled = [_medians(networks, "cos, compiled", other) for other in ("relu, plain", "swish, compiled")]
        parts.append(
            f"On {where}: a step with CoS, written plainly, takes {_medians(networks, 'cos, plain', 'relu, plain')} "
            f"times one with ReLU ({', '.join(networks)}); by the paper's seconds an epoch it is {said}. Compiled it "
            f"takes {compiled[0]} times plain ReLU's, and {compiled[1]} times compiled Swish's, square and all."
        )
    return Markdown("\n\n".join(parts))


def drawn(records: Sequence[Record]) -> tuple[str, dict[str, Ratios]]:
    """Return the network that the figure shows, and {"plain" | "compiled": ratios of a step to plain ReLU's}.

    Of a GPU where one has a record, and MobileNet where it has one.
    """
    networks = list(costs.by_device(records).values())[-1]
    network = next((name for name in networks if "MobileNet" in name), next(iter(networks)))
    found = networks[network]["measured"]
    kinds = {
        kind: {name: cost.over_relu(found, f"{name}, {kind}", "step") for name in ACTIVATIONS}
        for kind in ("plain", "compiled")
    }
    return network, kinds


def step_tables(records: Sequence[Record]) -> Markdown:
    """Return a table of whole steps a device, batch, execution and precision; a sentence where there is none."""
    parts = [f"**{title}**\n\n{Table(head, rows).text}" for title, head, rows in costs.whole_steps(records)]
    return Markdown("\n\n".join(parts) or "No GPU has recorded whole steps yet.")


def _reported(record: Record, label: str) -> str | None:
    """Return the paper's seconds an epoch over its ReLU's, of a contestant written plainly."""
    column = TABLES[record["config"]["network"]]
    name, _, kind = label.partition(", ")
    if kind != "plain" or name not in column:
        return None
    return f"{column[name].seconds / column['relu'].seconds:.2f}"


def _words(label: str) -> str:
    name, _, rest = label.partition(", ")
    first, _, more = name.partition(" ")
    return f"{title(first)}{' ' + more if more else ''}, {rest}"


def _medians(networks: Mapping[str, Record], label: str, other: str) -> str:
    return ", ".join(f"{cost.over(r['measured'], label, other, 'step')[1]:.2f}" for r in networks.values())
