"""Parts of a claim with verdict and evidence, and the verdict that they make together."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cosnb.display import p_value
from cosnb.experiments.results.summary import Record, data_title, network_title
from cosnb.experiments.statistics import MANY, Comparison, Verdict, more_runs

Evidence = Mapping[str, Sequence[Record]]

MARKS = {
    Verdict.CONFIRMED: "✓",
    Verdict.SLIP: "✓",
    Verdict.REASON: "✓",
    Verdict.MIXED: "±",
    Verdict.DEPENDS: "±",
    Verdict.SMALLER: "≈",
    Verdict.NO_LEAD: "≈",
    Verdict.EXCLUDED: "✗",
    Verdict.REFUTED: "✗",
    Verdict.NOT_RESOLVED: "?",
    Verdict.NOT_TESTABLE: "–",
    Verdict.EXPLORATORY: "–",
}


@dataclass(frozen=True)
class Finding:
    """One part of a claim: the claim's number (as "P7"), what the part says, the verdict, and what decided it."""

    claim: str
    part: str
    verdict: Verdict
    evidence: str

    def row(self) -> list[str]:
        """Return the part as the cells of a table: claim and part, verdict, evidence."""
        return [f"{self.claim}: {self.part}", badge(self.verdict, str(self.verdict)), self.evidence]


def style(verdict: Verdict) -> str:
    """Return the classes by which the site colours a verdict."""
    return f"verdict verdict-{verdict.replace(',', '').replace(' ', '-')}"


def badge(verdict: Verdict, words: str) -> str:
    """Return a verdict as HTML in Markdown: its mark, and its words where there are any."""
    shown = f"{MARKS[verdict]}\u00a0{words}" if words else MARKS[verdict]
    return f'<span class="{style(verdict)}" title="{verdict}">{shown}</span>'


def overall(findings: Iterable[Finding]) -> Verdict:
    """Return the verdict on a claim as a whole: that of its parts where they agree, else "mixed".

    Parts that are not testable or exploratory decide nothing. A slip or an incomplete reason qualifies a claim that is
    otherwise confirmed and changes no other verdict. Where some parts are smaller than claimed and the others
    confirmed, the claim is smaller than claimed.
    """
    verdicts = {finding.verdict for finding in findings} - {Verdict.NOT_TESTABLE, Verdict.EXPLORATORY}
    decided = verdicts - {Verdict.CONFIRMED, Verdict.REASON, Verdict.SLIP}
    if not decided:
        known = (Verdict.REASON, Verdict.SLIP, Verdict.CONFIRMED)
        return next((verdict for verdict in known if verdict in verdicts), Verdict.NOT_TESTABLE)
    if Verdict.CONFIRMED in verdicts and decided != {Verdict.SMALLER}:
        return Verdict.MIXED
    return decided.pop() if len(decided) == 1 else Verdict.MIXED


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on one statement of several comparisons: as `overall`, but open while one of them is open."""
    found = set(verdicts)
    if found <= {Verdict.CONFIRMED, Verdict.SMALLER, Verdict.NOT_RESOLVED} and Verdict.NOT_RESOLVED in found:
        return Verdict.NOT_RESOLVED
    return overall(Finding("", "", verdict, "") for verdict in found)


def label(findings: Iterable[Finding]) -> str:
    """Return the words for a claim's verdict, the same everywhere; "in part" where a part cannot be tested."""
    parts = list(findings)
    return f"{overall(parts)}{' in part' if in_part(parts) else ''}"


def count(findings: Iterable[Finding]) -> str:
    """Return how many parts have which verdict, as "2 confirmed, 1 refuted"; "" for a single part."""
    counts = Counter(str(finding.verdict) for finding in findings)
    return ", ".join(f"{number} {verdict}" for verdict, number in counts.items()) if counts.total() > 1 else ""


def in_part(findings: Iterable[Finding]) -> bool:
    """Return whether a claim is confirmed, and some part of it cannot be tested."""
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
