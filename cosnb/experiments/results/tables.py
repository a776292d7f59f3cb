"""Judgement of P's Tables 1 to 3: the runs that count, and the verdict on each claim."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cosnb.experiments import registry
from cosnb.experiments.results.frames import epoch_frame
from cosnb.experiments.results.paper import TABLES
from cosnb.experiments.results.summary import (
    Record,
    by_activation,
    differences,
    extent,
    format_mean,
    group,
    is_tested_on_all,
    title,
)
from cosnb.experiments.statistics import Comparison, Direction, Verdict, alike, judge, more_runs_alike, t_interval

EXPERIMENTS = registry.tables()  # by network
ACTIVATIONS = ("relu", "swish", "mish", "cos")
FULL = {"dataset": "cifar10", "train_images": 50_000, "epochs": 200, "protocol": "paper"}
PAIRS = (("cos", "relu"), ("cos", "swish"))  # the primary family, m = 2
OPEN = Verdict.NOT_RESOLVED
ALIKE = 0.05  # of cross-entropy


def configurations(records: Iterable[Record]) -> list[tuple[dict[str, Any], list[Record]]]:
    """Return (settings, records) a configuration, the nearest to 50,000 images × 200 epochs of CIFAR-10 first."""
    groups = group(records)
    return sorted(groups, key=lambda item: (is_cifar(item[0]), extent(item[0])), reverse=True)


def is_cifar(settings: Mapping[str, Any]) -> bool:
    """Say whether a configuration trains on CIFAR-10, and so belongs to P's tables at all."""
    return settings["dataset"] == FULL["dataset"]


def is_full(settings: Mapping[str, Any]) -> bool:
    """Say whether a configuration is protocol `paper` at full length, which alone answers P's tables."""
    return is_tested_on_all(settings) and all(settings[key] == value for key, value in FULL.items())


def judge_table(
    records: Sequence[Record],
    network: str,
    metric: str = "accuracy",
    figure: str = "last",
    family_size: int | None = None,
) -> dict[str, Comparison]:
    """Judge P's primary family of a network, CoS − ReLU and CoS − Swish, in `metric`, against P's own numbers.

    family_size: see `cosnb.experiments.statistics.judge`; by default the two.
    """
    return judge(
        {
            name_pair(first, second): (
                list(differences(records, first, second, metric, figure).values()),
                claimed(network, first, second, metric),
            )
            for first, second in PAIRS
        },
        family_size,
        points=metric == "accuracy",
    )


def judge_curves(
    records: Sequence[Record], metric: str = "accuracy", family_size: int | None = None
) -> dict[str, Comparison]:
    """Judge P12's "on average": CoS's whole curve above (loss: below) the others', as means over all epochs."""
    by_activation(records)  # refuses several configurations
    frame = epoch_frame(records)
    means = frame[frame["status"] == "ok"].groupby(["seed", "activation"])[metric].mean().unstack()
    means = means.reindex(columns=["cos", "relu", "swish"])
    better = Direction.HIGHER if metric == "accuracy" else Direction.LOWER
    gaps = {name_pair(*pair): (means[pair[0]] - means[pair[1]]).dropna().tolist() for pair in PAIRS}
    family = {name: (values, better) for name, values in gaps.items()}
    return judge(family, family_size, points=metric == "accuracy")


def claimed(network: str, first: str, second: str, metric: str = "accuracy") -> float:
    """Return P's difference, first − second, of a table: points of accuracy to 2 decimals, or loss to 4."""
    column = TABLES[network]
    return round(getattr(column[first], metric) - getattr(column[second], metric), 2 if metric == "accuracy" else 4)


def more_alike(records: Sequence[Record]) -> int | None:
    """Return how many runs more would show the losses alike, were they so; None where that is resolved."""
    return more_runs_alike(_loss_gaps(records), ALIKE)


def _loss_gaps(records: Sequence[Record]) -> dict[str, list[float]]:
    names = ("relu", "swish", "cos")
    pairs = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    return {name_pair(*pair): list(differences(records, *pair, "loss").values()) for pair in pairs}


def loss_verdicts(records: Sequence[Record], network: str, family_size: int | None = None) -> dict[str, Verdict]:
    """Return P's claims of loss for a network with their verdicts: alike and CoS above Swish, or CoS lowest.

    Alike: the three pairs of ReLU, Swish and CoS lie within ± 0.05, for which P gives no margin.
    """
    judged = judge_table(records, network, "loss", family_size=family_size)
    if claimed(network, "cos", "swish", "loss") < 0:
        return {f"loss, {name}": comparison.verdict for name, comparison in judged.items()}
    return {
        f"losses alike, within {ALIKE}": alike(_loss_gaps(records), ALIKE),
        "loss of CoS above Swish's": judged[name_pair("cos", "swish")].verdict,
    }


def describe(values: Sequence[float], digits: int) -> str:
    """Return "mean ± half of its 95 % interval" of a cell's values, as `format_mean` writes it."""
    return format_mean(t_interval(values), digits)


def name_pair(first: str, second: str) -> str:
    """Return "CoS − ReLU" for ("cos", "relu")."""
    return f"{title(first)} − {title(second)}"
