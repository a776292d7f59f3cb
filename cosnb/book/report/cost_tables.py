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

QUANTITIES = {"step": "time of a step", "inference": "time of inference", "saved": "kept for backward"}
_WHOLE = (
    "On a GPU three more things matter: whether Python launches the kernels fast enough, which a step captured as one "
    "CUDA graph leaves out; whether a compiler has fused the activation with its neighbours; and the number format. So "
    "each network is measured in whole steps as it is trained in this book (channels last, bfloat16 where the device "
    "has it), eager and compiled, launched and as a graph, beside PyTorch's own activations and with `cosnb.fuse_bn`. "
    "ReLU is PyTorch's own here, in MobileNet v2 too. Memory is the most that a step takes beside weights, Adam's "
    "state and the batch."
)
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
    """Return a table a device and network: medians as ratios to plain ReLU."""
    parts = []
    for where, networks in costs.by_device(records).items():
        parts.append(f"**{where}**")
        for name, record in networks.items():
            found, rows = record["measured"], []
            for label in found:
                medians = [f"{cost.over_relu(found, label, what)[1]:.2f}" for what in ("step", "inference", "saved")]
                rows.append([_words(label), *medians])
            head = [name, "step", "inference", "kept for backward"]
            parts.append(Table(head, rows).text)
    return Markdown("\n\n".join(parts))


def sentences(records: Sequence[Record]) -> Markdown:
    """Return by device how long a step with CoS takes, beside ReLU's and Swish's and by the paper's times."""
    parts = []
    for where, networks in costs.by_device(records).items():
        said = _listed(f"{_reported(record, 'cos'):.2f}" for record in networks.values())
        plain = _medians(networks, "cos, plain", "relu, plain")
        compiled = [_medians(networks, "cos, compiled", other) for other in ("relu, plain", "swish, compiled")]
        parts.append(
            f"**A training step with CoS, its formula typed in, takes {plain} times as long as one with ReLU** "
            f"({_listed(networks)}; {where}). The paper's seconds an epoch give {said}. Compiled from the formula into "
            f"one kernel, CoS takes {compiled[0]} times as long as ReLU, and {compiled[1]} times as long as Swish, "
            "compiled too."
        )
    return Markdown("\n\n".join(parts))


def drawn(records: Sequence[Record], *what: str) -> dict[tuple[str, str], dict[str, Ratios]]:
    """Return {(what, network): {"plain" | "compiled": ratios to plain ReLU's}} of "step", "inference" or "saved".

    Of a GPU where one has a record.
    """
    networks = list(costs.by_device(records).values())[-1]
    found: dict[tuple[str, str], dict[str, Ratios]] = {}
    for one in what:
        for network, record in networks.items():
            panel = found.setdefault((QUANTITIES[one], network), {"plain": {}, "compiled": {}})
            for label in record["measured"]:
                name, _, kind = label.partition(", ")
                panel[kind][name] = cost.over_relu(record["measured"], label, one)
    return found


def reported(records: Sequence[Record]) -> dict[tuple[str, str], dict[str, float]]:
    """Return the paper's seconds an epoch over its ReLU's, as `drawn` returns the ratios of a step."""
    networks = list(costs.by_device(records).values())[-1]
    return {
        (QUANTITIES["step"], network): {name: value for name in ACTIVATIONS if (value := _reported(record, name))}
        for network, record in networks.items()
    }


def step_tables(records: Sequence[Record]) -> Markdown:
    """Return a table of whole steps a device, batch, execution and precision; nothing where there is none."""
    parts = [f"**{title}**\n\n{Table(head, rows).text}" for title, head, rows in costs.whole_steps(records)]
    return Markdown("\n\n".join([_WHOLE, *parts]) if parts else "")


def _reported(record: Record, name: str) -> float | None:
    """Return the paper's seconds an epoch over its ReLU's."""
    column = TABLES[record["config"]["network"]]
    return column[name].seconds / column["relu"].seconds if name in column else None


def _words(label: str) -> str:
    name, _, rest = label.partition(", ")
    first, _, more = name.partition(" ")
    return f"{title(first)}{' ' + more if more else ''}, {rest}"


def _medians(networks: Mapping[str, Record], label: str, other: str) -> str:
    return _listed(f"{cost.over(r['measured'], label, other, 'step')[1]:.2f}" for r in networks.values())


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
