"""Networks measured after their training (the records of `loss-surface`), and their table."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cosnb.display import Markdown, Table
from cosnb.experiments.results.summary import Record, by_activation, extent, group, network_title, title
from cosnb.experiments.results.tables import ACTIVATIONS, describe, is_cifar, is_full

EXPERIMENT = "loss-surface"
FULL = "Networks trained to the end, by protocol `paper` at full length:"
Figure = Callable[[Mapping[str, Any]], float]  # of what was measured


def longest(records: Iterable[Record], network: str = "squeezenet") -> list[Record]:
    """Return a network's measurements after its longest training, CIFAR-10 first, most records of equals; or none."""

    def size(found: list[Record]) -> tuple[bool, tuple[bool, int], int]:
        config = found[0]["config"]
        return "dataset" in config and is_cifar(config), extent(config), len(found)

    groups = [found for settings, found in group(records) if settings.get("network", network) == network]
    return max(groups, key=size, default=[])


def full(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return {network: its measurements after protocol `paper` at full length}, those with dead units and gradients."""
    whole = [r for r in records if "dead_units" in r["measured"] and is_full(r["config"])]
    networks = dict.fromkeys(record["config"]["network"] for record in whole)
    return {network: longest(whole, network) for network in networks}


def overview(networks: Mapping[str, list[Record]], columns: Mapping[str, Figure], digits: int = 3) -> Markdown:
    """Return a row for each network of `full` and activation: n, and mean ± half of its 95 % interval of each figure.

    Nothing where there is no network.
    """
    rows = []
    for network, records in networks.items():
        runs = by_activation(records)
        for name in (*ACTIVATIONS, *(runs.keys() - set(ACTIVATIONS))):
            finished = [record["measured"] for record in runs.get(name, {}).values() if record["status"] == "ok"]
            cells = [describe([figure(measured) for measured in finished], digits) for figure in columns.values()]
            rows.append([network_title(network), title(name), len(finished), *cells])
    return Markdown(f"{FULL}\n\n{Table(['network', '', 'n', *columns], rows)}" if rows else "")
