"""Numbers and words in the pages' prose, taken from records, formulas and verdicts: each has a key.

- `table-3-squeezenet/cos.accuracy`: mean over runs with half its 95 % interval, unit and n; so `loss` and the name of
  anything measured.

- `table-3-squeezenet/cos-relu.accuracy`: mean paired difference with its 95 % interval, unit and n.

- `table-3-squeezenet/runs`: a count or setting, also `seeds`, `epochs`, `images`.

- `paper/squeezenet.cos.accuracy`: what the paper reports; `paper/squeezenet.cos-relu.accuracy` its difference;
  `paper/epochs`, `paper/images`; `paper/times`: CoS's time an epoch over ReLU's.

- `formula/cos.lipschitz`: a property of `cosnb.analysis.findings`; of an extremum `formula/cos.minimum`, its
  place `.at`, and `.near`, the place as a decimal.

- `claims/P12`: the verdict on a claim, "confirmed in part" where a part is not testable; `claims/all`: how many claims
  there are; `claims/counts`: how many have each verdict.

- `catalogue/rows`: how many activations there are.

- `answer/accuracy`, `answer/tables`, `answer/cost`: the book's answers: what the page "Is CoS more accurate?" says,
  which of the paper's tables have runs of its length, and how long a step takes.

- `readings/all`, `readings/words`, `readings/both`: how many readings of equation (5) there are, how many meet the
  paper's words, and how many of these what the book adds as well.

Of an experiment with several configurations it is the one that its page shows.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import sympy

from cosnb import activation
from cosnb.analysis.findings import Extremum, Point, show
from cosnb.book import answers, claims, readings
from cosnb.errors import CosnbError
from cosnb.experiments.results import measurements, tables
from cosnb.experiments.results.paper import TABLES
from cosnb.experiments.results.summary import METRICS, Record, by_activation, summarize
from cosnb.experiments.statistics import Interval, Verdict, t_interval
from cosnb.symbolic.catalogue import CATALOGUE

LANGUAGES = ("en", "ko")
DIGITS = {"accuracy": 2, "loss": 4}
_UNITS = {"en": {"accuracy": " %", "difference": " points"}, "ko": {"accuracy": "%", "difference": "%p"}}
_LENGTH = {"epochs": "epochs", "images": "train_images"}
_ALONE = {"en": "no interval", "ko": "구간 없음"}
_VERDICTS = {
    "ko": {
        Verdict.CONFIRMED: "확인됨",
        Verdict.SLIP: "맞으나 사소한 오류 있음",
        Verdict.REASON: "맞으나 근거 불충분",
        Verdict.MIXED: "부분마다 다름",
        Verdict.REFUTED: "반박됨",
        Verdict.SMALLER: "차이는 있으나 주장보다 작음",
        Verdict.NO_LEAD: "언급할 만한 우위 없음",
        Verdict.EXCLUDED: "주장한 크기는 배제됨",
        Verdict.DEPENDS: "조건에 따라 다름",
        Verdict.NOT_RESOLVED: "판정하지 못함",
        Verdict.NOT_TESTABLE: "검증할 수 없음",
        Verdict.EXPLORATORY: "탐색적 비교",
    }
}


def number(key: str, language: str = "en") -> str:
    """Return the text of `key` in "en" or "ko". Raises CosnbError, which says what keys there are, for another.

    Records and verdicts are read once for each process.
    """
    if language not in LANGUAGES:
        raise CosnbError(f"there are no words in {language!r}: choose one of {', '.join(LANGUAGES)}")
    place, slash, rest = key.partition("/")
    if not slash or not rest:
        raise CosnbError(f"{key!r} is no key: write it like table-3-squeezenet/cos.accuracy")
    kinds: dict[str, Callable[[str, str], str]] = {"paper": _reported, "formula": _property, "claims": _claim}
    kinds |= {"answer": _answer, "catalogue": _catalogue, "readings": _readings}
    return kinds[place](rest, language) if place in kinds else _recorded(place, rest, language)


@cache
def evidence() -> claims.Evidence:
    """Return all recorded runs by experiment."""
    return claims.gather()


@cache
def findings() -> Mapping[str, list[claims.Finding]]:
    """Return the parts of every claim, P0 to P21 and B1 to B11."""
    return claims.examine(evidence(), claims.DEFINITIONS | claims.CLAIMS)


def verdict_word(verdict: Verdict, language: str = "en") -> str:
    """Return the word for a verdict in a language."""
    return _VERDICTS.get(language, {}).get(verdict, str(verdict))


def shown_records(experiment: str) -> list[Record]:
    """Return the records of the configuration shown on an experiment's page. Raises CosnbError where there are none."""
    found = evidence().get(experiment, ())
    if not found:
        raise CosnbError(f"{experiment} has no records: there are some of {', '.join(evidence()) or 'nothing'}")
    if experiment in tables.EXPERIMENTS.values():
        return list(tables.configurations(found)[0][1])
    return measurements.largest(found)


def _recorded(experiment: str, rest: str, language: str) -> str:
    records = shown_records(experiment)
    config = records[0]["config"]
    counts = {"runs": len(records), "seeds": len({record["seed"] for record in records})}
    counts |= {word: config[key] for word, key in _LENGTH.items() if key in config}
    if rest in counts:
        return f"{counts[rest]:,}"
    name, dot, metric = rest.partition(".")
    if not dot:
        raise CosnbError(f"{experiment} has no {rest!r}: write cos.accuracy, or one of {', '.join(counts)}")
    first, minus, second = name.partition("-")
    values = [_values(experiment, records, arm, metric) for arm in ((first, second) if minus else (first,))]
    if not minus:
        return _mean(t_interval(list(values[0].values())), metric, language)
    common = sorted(values[0].keys() & values[1].keys())
    if not common:
        raise CosnbError(f"{experiment}: {first} and {second} have no seed in common, so there is no difference")
    return _difference(t_interval([values[0][seed] - values[1][seed] for seed in common]), metric, language)


def _values(experiment: str, records: list[Record], name: str, metric: str) -> Mapping[int, float]:
    """Return {seed: number} of an activation."""
    if metric in METRICS and records[0]["epochs"]:
        values = summarize(records, activations=(name,))[0].values[metric]
    else:
        runs = by_activation(records).get(name, {})
        values = {seed: run.get("measured", {}).get(metric) for seed, run in runs.items()}
        values = {seed: value for seed, value in values.items() if isinstance(value, int | float)}
    if not values:
        there = ", ".join(by_activation(records))
        raise CosnbError(f"{experiment} has no {metric!r} of {name!r}: it has records of {there}")
    return values


def _mean(interval: Interval, metric: str, language: str) -> str:
    unit = _UNITS[language].get(metric, "")
    if interval.n == 1:
        return f"{interval.mean:.{_digits(interval, metric)}f}{unit} (n = 1, {_ALONE[language]})"
    digits = _digits(interval, metric)
    return f"{interval.mean:.{digits}f}\u00a0±\u00a0{interval.half_width:.{digits}f}{unit} (n = {interval.n})"


def _difference(interval: Interval, metric: str, language: str) -> str:
    unit = _UNITS[language]["difference"] if metric == "accuracy" else ""
    digits = _digits(interval, metric)
    if interval.n == 1:
        return _signs(f"{interval.mean:+.{digits}f}{unit} (n = 1, {_ALONE[language]})")
    shown = f"{interval.mean:+.{digits}f} [{interval.low:+.{digits}f}, {interval.high:+.{digits}f}]"
    return _signs(f"{shown}{unit} (n = {interval.n})")


def _digits(interval: Interval, metric: str) -> int:
    """Return the decimals of a metric, else those that show two digits of the interval's half width."""
    width = interval.half_width if interval.n > 1 else abs(interval.mean)
    return DIGITS.get(metric, 1 - math.floor(math.log10(width)) if width and math.isfinite(width) else 2)


def _reported(rest: str, language: str) -> str:
    if rest in _LENGTH:
        return f"{tables.FULL[_LENGTH[rest]]:,}"
    if rest == "times":
        ratios = [column["cos"].seconds / column["relu"].seconds for column in TABLES.values()]
        return f"{min(ratios):.2f}{'~' if language == 'ko' else ' to '}{max(ratios):.2f}"
    network, _, column = rest.partition(".")
    name, _, metric = column.partition(".")
    first, _, second = name.partition("-")
    arms = [arm for arm in (first, second) if arm]
    if network not in TABLES or metric not in DIGITS or not arms or not set(arms) <= TABLES[network].keys():
        raise CosnbError(f"the paper reports no {rest!r}: write squeezenet.cos.accuracy or squeezenet.cos-relu.loss")
    if second:
        unit = _UNITS[language]["difference"] if metric == "accuracy" else ""
        return _signs(f"{tables.claimed(network, first, second, metric):+.{DIGITS[metric]}f}{unit}")
    return f"{getattr(TABLES[network][first], metric):.{DIGITS[metric]}f}{_UNITS[language].get(metric, '')}"


def _property(rest: str, language: str) -> str:
    name, _, wanted = rest.partition(".")
    wanted, _, part = wanted.partition(".")
    found = activation(name).properties()
    if wanted not in found:
        raise CosnbError(f"{name} has no property {wanted!r}: there are {', '.join(found)}")
    value: Any = found[wanted].value
    if isinstance(value, Extremum):
        value = {"at": value.at, "near": value.at.evalf()}.get(part, value.value)
    elif part:
        raise CosnbError(f"{name}.{wanted} has no part {part!r}: write formula/{name}.{wanted}")
    return ", ".join(map(_short, value)) if isinstance(value, tuple) else _short(value)


def _short(value: Any) -> str:
    """Return a value with five digits where it is a decimal number."""
    if isinstance(value, Point):
        return _short(value.value if value.exact is None else value.exact)
    if isinstance(value, sympy.Float):
        return _signs(f"{float(value):.5g}")
    return show(value) if isinstance(value, sympy.Basic) else str(value)


def _readings(rest: str, language: str) -> str:
    table = readings.statement_table()
    words = [row for row in table if all(row[name].holds for name in readings.STATEMENTS)]
    counts = {"all": len(table), "words": len(words)}
    counts["both"] = sum(all(row[name].holds for name in readings.ADDED) for row in words)
    if rest not in counts:
        raise CosnbError(f"there is no readings/{rest}: write one of readings/{', readings/'.join(counts)}")
    return str(counts[rest])


def _catalogue(rest: str, language: str) -> str:
    if rest != "rows":
        raise CosnbError(f"there is no catalogue/{rest}: write catalogue/rows")
    return str(len(CATALOGUE))


def _answer(rest: str, language: str) -> str:
    if rest not in answers.KINDS:
        raise CosnbError(f"there is no answer/{rest}: write one of answer/{', answer/'.join(answers.KINDS)}")
    return _signs(answers.KINDS[rest](evidence(), language == "ko"))


_IN_PART = {"en": "{} in part", "ko": "일부 {}"}


def _claim(rest: str, language: str) -> str:
    words = {claim: _label(parts, language) for claim, parts in findings().items()}
    if rest in words:
        return words[rest]
    if rest == "all":
        return str(len(words))
    if rest == "counts":
        return "; ".join(f"{word} {count}" if language == "ko" else f"{count} {word}" for word, count in _tally(words))
    raise CosnbError(f"there is no claim {rest!r}: write P0 to P21, B1 to B11, all or counts")


def _label(parts: list[claims.Finding], language: str) -> str:
    word = verdict_word(claims.overall(parts), language)
    return _IN_PART[language].format(word) if claims.in_part(parts) else word


def _tally(words: Mapping[str, str]) -> list[tuple[str, int]]:
    return Counter(words.values()).most_common()


def _signs(text: str) -> str:
    return text.replace("-", "−")
