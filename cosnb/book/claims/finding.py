"""Parts of a claim with verdict and evidence, and the verdict that they make together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cosnb.display import p_value
from cosnb.experiments.results.summary import Record, data_title, network_title
from cosnb.experiments.statistics import Comparison, Verdict, more_runs

Evidence = Mapping[str, Sequence[Record]]
MANY = 10_000  # runs; beyond it the number says no more than that nobody will make them


@dataclass(frozen=True)
class Finding:
    """One part of a claim: its number (as "P7"), what this part says, the verdict, and what decided it."""

    claim: str
    part: str
    verdict: Verdict
    evidence: str

    def row(self) -> list[str]:
        """Return the cells of a table: claim and part, verdict, evidence."""
        return [f"{self.claim}: {self.part}", str(self.verdict), self.evidence]


def overall(findings: Iterable[Finding]) -> Verdict:
    """Return the verdict on a claim as a whole, which says all its parts together.

    Parts that are not testable decide only where all are. One refuted part refutes the claim; else one without a lead
    worth naming, or whose claimed size is excluded, or which depends on the setting, makes it that; else one that is
    not resolved leaves it so; else one that is real but smaller makes it that.
    """
    verdicts = {finding.verdict for finding in findings} - {Verdict.NOT_TESTABLE}
    for verdict in (
        Verdict.REFUTED,
        Verdict.NO_LEAD,
        Verdict.EXCLUDED,
        Verdict.DEPENDS,
        Verdict.NOT_RESOLVED,
        Verdict.SMALLER,
        Verdict.CONFIRMED,
    ):
        if verdict in verdicts:
            return verdict
    return Verdict.NOT_TESTABLE


def in_part(findings: Iterable[Finding]) -> bool:
    """Say whether a claim is confirmed in those parts alone that something could decide."""
    parts = list(findings)
    untested = any(finding.verdict == Verdict.NOT_TESTABLE for finding in parts)
    return untested and overall(parts) == Verdict.CONFIRMED


def decide(holds: bool) -> Verdict:
    """Return the verdict on a statement that a formula or an exact count decides."""
    return Verdict.CONFIRMED if holds else Verdict.REFUTED


def measured(comparison: Comparison, unit: str, digits: int = 2, decides: bool = True) -> str:
    """Return a comparison in one line: mean with its decisive interval, p, n, and how many runs more would tell.

    The last stands where the comparison is not resolved, and not where it `decides` nothing.
    """
    interval = comparison.decisive
    more = wanted(more_runs(comparison)) if decides else ""
    if interval.n < 2:
        return f"n = {interval.n}{more}"
    shown = f"{interval.mean:+.{digits}f} [{interval.low:+.{digits}f}, {interval.high:+.{digits}f}]"
    p = p_value(comparison.p)
    return f"{shown}{unit and ' '}{unit}, p {p if p.startswith('<') else f'= {p}'}, n = {interval.n}{more}"


def wanted(more: int | None) -> str:
    """Return what evidence says of runs that are lacking, after their number n; nothing where none are."""
    if not more:
        return ""
    return f" and {f'{more:,}' if more <= MANY else f'more than {MANY:,}'} more to resolve it"


def size(records: Sequence[Record]) -> str:
    """Return what the records are: network, data, images, epochs."""
    if not records:
        return "no record"
    config = records[0]["config"]
    images = f"{config['train_images']:,} images of {data_title(config['dataset'])}"
    return f"{network_title(config['network'])}, {images}, {config['epochs']} epoch{'s' * (config['epochs'] != 1)}"
