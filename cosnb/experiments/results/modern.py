"""Protocol `modern` beside protocol `paper`: the longest recorded runs of each network."""

from collections.abc import Iterable, Mapping, Sequence

from cosnb.display import Markdown, Table
from cosnb.experiments import results
from cosnb.experiments.results.summary import Record, differences, format_mean, network_title, summarize, title
from cosnb.experiments.results.tables import ACTIVATIONS, EXPERIMENTS, PAIRS, configurations, is_full, name_pair
from cosnb.experiments.statistics import Comparison, Direction, judge

Best = Mapping[str, Sequence[Record]]  # by network


def longest(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return {network: its runs of the longest configuration}, CIFAR-10 first."""
    found: dict[str, list[Record]] = {}
    for settings, runs in configurations(records):
        found.setdefault(settings["network"], runs)
    return found


def protocol_table(best: Best) -> Table:
    """Return accuracies (%) by network and protocol, those of `paper` from the records of the three tables."""
    rows = []
    for network, experiment in EXPERIMENTS.items():
        shown = {"modern": best.get(network, [])}
        if groups := configurations(results.read(experiment)):
            shown["paper"] = groups[0][1]
        for protocol, found in shown.items():
            means = [format_mean(row.intervals["accuracy"], 2) for row in summarize(found, activations=ACTIVATIONS)]
            rows.append([network_title(network), protocol, _size(found) if found else None, *means])
    return Table(["", "protocol", "images × epochs", *map(title, ACTIVATIONS)], rows)


def short(best: Best) -> list[str]:
    """Return "SqueezeNet: 128 × 1" and so on, of the networks whose runs are shorter than the paper's."""
    return [
        f"{network_title(network)}: {_size(found)}"
        for network, found in best.items()
        if not is_full(found[0]["config"] | {"protocol": "paper"})
    ]


def length(best: Best) -> Markdown:
    """Return how far the runs are from full length, and what follows."""
    if not short(best):
        return Markdown("All runs of protocol `modern` shown here have full length.")
    return Markdown(
        f"Runs of protocol `modern` that are short, in images × epochs: {'; '.join(short(best))}. "
        "Full length is 50,000 images of CIFAR-10 × 200. At this size nothing is trained well, "
        "so the question of this page's title is open."
    )


def judge_networks(best: Best) -> dict[str, Comparison]:
    """Judge CoS − ReLU and CoS − Swish in accuracy against a sign, a family a network."""
    judged: dict[str, Comparison] = {}
    for network, records in best.items():
        judged |= judge(
            {
                f"{network_title(network)}: {name_pair(*pair)}": (
                    list(differences(records, *pair).values()),
                    Direction.HIGHER,
                )
                for pair in PAIRS
            }
        )
    return judged


def conclusion(best: Best) -> Markdown:
    """Return the verdicts of `judge_networks` in a sentence."""
    shown = "; ".join(f"{name}: {comparison.verdict}" for name, comparison in judge_networks(best).items())
    where = "in runs as short as these" if short(best) else "under good training"
    return Markdown(f"**CoS ahead {where} (exploratory)**: {shown}.")


def _size(records: Sequence[Record]) -> str:
    config = records[0]["config"]
    return f"{config['train_images']:,} × {config['epochs']}"
