"""Measurements other than training runs, read from their records: by activation, in pairs, judged."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cosnb.experiments.results.summary import Record, by_activation, group
from cosnb.experiments.results.tables import name_pair
from cosnb.experiments.statistics import Claim, Comparison, Direction, judge

SEEN_BEFORE = {"kinks": 4}  # numbers added after the networks of seeds 0 to 3 had been seen: judged on later seeds


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
    """Judge the differences of `pairs` (first − second), one family with one claim; see `statistics.judge`."""
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
