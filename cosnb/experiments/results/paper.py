"""Numbers that P reports in Tables 1 to 3, apparently of one run each (Han and Kang 2021, IV), and ours beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from typing import NamedTuple

from cosnb.display import Markdown, Table, p_value
from cosnb.experiments.results.summary import Row, format_mean, network_title, title
from cosnb.experiments.statistics import MANY, Claim, Comparison, Direction, Interval, more_runs


class Reported(NamedTuple):
    """One column of a table of P: seconds an epoch (device not named), test loss, test accuracy in percent."""

    seconds: float
    loss: float
    accuracy: float


TABLES: dict[str, dict[str, Reported]] = {
    "shufflenet_v2": {
        "relu": Reported(36, 0.4673, 87.59),
        "swish": Reported(39, 0.4646, 87.72),
        "cos": Reported(46, 0.4514, 88.36),
    },
    "mobilenet_v2": {
        "relu": Reported(47, 0.4667, 87.39),
        "swish": Reported(55, 0.4415, 87.44),
        "cos": Reported(72, 0.4561, 87.85),
    },
    "squeezenet": {
        "relu": Reported(32, 0.4193, 88.58),
        "swish": Reported(36, 0.3810, 88.80),
        "cos": Reported(45, 0.3927, 89.18),
    },
}


TEST_IMAGES = 10_000  # of CIFAR-10, on which the accuracies are counted
SMALLEST_LEAD = 0.38  # points of accuracy: the least that P calls an improvement, so less is "about as good"


@dataclass(frozen=True)
class PrintedLead:
    """A lead of CoS as printed in the paper's tables, in points, with standard errors from sampling test images.

    `own`: the error of CoS's accuracy. `error`: the error of the lead if the two networks' mistakes are independent, an
    upper limit, since the two agree on most images.
    """

    network: str
    pair: str
    lead: float
    own: float
    error: float

    @property
    def ratio(self) -> float:
        """The lead divided by its error."""
        return self.lead / self.error


def printed_leads(images: int = TEST_IMAGES) -> list[PrintedLead]:
    """Return P's six leads, over ReLU and Swish in each table, with their errors for so many test `images`.

    An accuracy that is a share p of N images has the standard error √(p (1 − p)/N).
    """
    found = []
    for network, columns in TABLES.items():
        shares = {name: column.accuracy / 100 for name, column in columns.items()}
        errors = {name: 100 * sqrt(p * (1 - p) / images) for name, p in shares.items()}
        for other in ("relu", "swish"):
            lead = round(columns["cos"].accuracy - columns[other].accuracy, 2)
            both = hypot(errors["cos"], errors[other])
            found.append(PrintedLead(network, f"{title('cos')} − {title(other)}", lead, errors["cos"], both))
    return found


def sampling(leads: Sequence[PrintedLead], errors: float = 2) -> Markdown:
    """Return how many of P's leads reach so many standard errors, the largest of them, and how many are below one."""
    large, small = (sum(test) for test in ([one.ratio >= errors for one in leads], [one.ratio < 1 for one in leads]))
    top = max(leads, key=lambda one: one.ratio)
    head = f"{large or 'None'} of the paper's six leads {'reach' if large > 1 else 'reaches'} {errors:g}"
    return Markdown(
        f"**{head} standard errors of its own test images.** The largest, {top.pair} in {network_title(top.network)}, "
        f"is {top.lead:.2f} points, {top.ratio:.1f} errors; {small} are below one. The noise between training runs "
        "comes on top."
    )


def printed_table() -> Table:
    """Return P's three tables as printed."""
    return Table(
        ["", "activation", "time (s / epoch)", "loss", "accuracy (%)"],
        [
            [f"Table {number}", title(name), column.seconds, f"{column.loss:.4f}", f"{column.accuracy:.2f}"]
            for number, columns in enumerate(TABLES.values(), 1)
            for name, column in columns.items()
        ],
    )


def beside(rows: Sequence[Row], reported: Mapping[str, Reported]) -> Table:
    """Return our rows and P's numbers (columns P), activation by activation; "–" for what either lacks."""
    lines = []
    for row in rows:
        p = reported.get(row.activation)
        theirs = (f"{p.accuracy:.2f}", f"{p.loss:.4f}") if p else ("–",) * 2
        ours = (format_mean(row.intervals["accuracy"], 2), format_mean(row.intervals["loss"], 4))
        lines.append(
            [title(row.activation), row.n, *(cell for pair in zip(ours, theirs, strict=True) for cell in pair)]
        )
    return Table(["", "n", "accuracy (%)", "the paper's", "loss", "the paper's"], lines)


def judged_table(judged: Mapping[str, Comparison], digits: int = 2, unit: str = "points") -> Table:
    """Return the comparisons of a family, one a column: intervals, tests, verdict, and the runs that would decide.

    Differences are shown to `digits` decimals. The rows of the bootstrap (n ≥ 20) and of the runs that would decide are
    there where some comparison has such a figure.
    """
    columns = [
        [
            c.n,
            _show_claim(c.claimed, digits),
            _show(c.interval, digits),
            _show(c.bootstrap, digits) if c.bootstrap else None,
            _show(c.decisive, digits),
            p_value(c.p),
            str(c.verdict),
            p_value(c.test.p),
            f"{c.superiority:.2f}" if c.n else None,
            _show(c.prediction, digits),
            _runs(more_runs(c)),
        ]
        for c in judged.values()
    ]
    names = ["pairs of runs, n", f"claimed difference ({unit})", "ours, 95 % interval", "the same by BCa bootstrap"]
    names += [f"the interval that decides, {_level(judged)}", "p of the paired t test, for the family", "verdict"]
    names += ["sign-flip p, beside", "share of pairs with the first higher", "95 % interval of one more pair"]
    names.append("runs more that would resolve it (power 0.8)")
    rows = [row for row in zip(names, *columns, strict=True) if any(cell is not None for cell in row[1:])]
    return Table(["", *judged], rows)


def _runs(more: int | None) -> str | None:
    if more is None:
        return None
    return str(more) if more <= MANY else f"> {MANY:,}"


def _level(judged: Mapping[str, Comparison]) -> str:
    levels = {comparison.decisive.level for comparison in judged.values()}
    return " or ".join(f"{100 * level:.4g} %" for level in sorted(levels))


def _show_claim(claimed: Claim, digits: int) -> str | None:
    if isinstance(claimed, Direction):
        return {Direction.HIGHER: "above 0", Direction.LOWER: "below 0"}[claimed]
    return None if claimed is None else f"{claimed:+.{digits}f}"


def _show(interval: Interval, digits: int) -> str:
    if interval.n < 2:
        return "missing"
    return f"{interval.mean:+.{digits}f} [{interval.low:+.{digits}f}, {interval.high:+.{digits}f}]"
