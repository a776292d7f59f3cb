"""Numbered claims of the two sources with their verdicts, computed from formulas or from recorded runs.

One function a claim, `p0(evidence)` to `b11(evidence)`, returns its parts; `evidence` is {experiment: its records}.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from cosnb.book.claims import costs, definitions, experiments, formulas, overview, tables
from cosnb.book.claims.arguments import ARGUMENTS
from cosnb.book.claims.finding import Evidence, Finding, badge, count, in_part, label, overall
from cosnb.book.claims.overview import legend
from cosnb.book.claims.pages import PAGES
from cosnb.display import Markdown, Table
from cosnb.experiments import results
from cosnb.experiments.records import record
from cosnb.experiments.statistics import Verdict

__all__ = [
    "CLAIMS",
    "DEFINITIONS",
    "Evidence",
    "Finding",
    "details",
    "examine",
    "gather",
    "in_part",
    "label",
    "legend",
    "overall",
    "say",
    "summary",
    "tiles",
    "verdict_line",
]

# What the paper presents before it claims anything of its own.
DEFINITIONS: dict[str, Callable[[Evidence], list[Finding]]] = {
    "P0": definitions.p0,
    "P1": definitions.p1,
    "P2": definitions.p2,
    "P3": definitions.p3,
    "P4": definitions.p4,
    "P5": definitions.p5,
    "P6": definitions.p6,
}

CLAIMS: dict[str, Callable[[Evidence], list[Finding]]] = {
    "P7": formulas.p7,
    "P8": experiments.p8,
    "P9": tables.p9,
    "P10": experiments.p10,
    "P11": tables.p11,
    "P12": tables.p12,
    "P13": tables.p13,
    "P14": tables.p14,
    "P15": tables.p15,
    "P16": costs.p16,
    "P17": experiments.p17,
    "P18": experiments.p18,
    "P19": costs.p19,
    "P20": formulas.p20,
    "P21": costs.p21,
    "B1": formulas.b1,
    "B2": formulas.b2,
    "B3": formulas.b3,
    "B4": formulas.b4,
    "B5": formulas.b5,
    "B6": formulas.b6,
    "B7": experiments.b7,
    "B8": experiments.b8,
    "B9": experiments.b9,
    "B10": experiments.b10,
    "B11": experiments.b11,
}


def gather(root: Path | None = None, only: Iterable[str] | None = None) -> Evidence:
    """Return all recorded runs by experiment, or those of the experiments in `only`."""
    if only is None:
        record.note_read("*")
        only = record.experiments(root)
    return {name: results.read(name, root) for name in only}


def examine(evidence: Evidence, claims: Iterable[str] = tuple(CLAIMS)) -> dict[str, list[Finding]]:
    """Return {claim: its parts} for every claim of `claims`, P0 to P21 and B1 to B11."""
    return {claim: (DEFINITIONS | CLAIMS)[claim](evidence) for claim in claims}


def say(claim: str) -> str:
    """Return a claim in one sentence."""
    return ((DEFINITIONS | CLAIMS)[claim].__doc__ or "").strip().rstrip(".")


def tiles(findings: Mapping[str, Sequence[Finding]]) -> Markdown:
    """Return how many claims have each label, and every claim's topic and label in columns; see `overview.tiles`."""
    counts = Counter(map(label, findings.values())).most_common()
    said = f"{len(findings)} claims: {'; '.join(f'{number} {word}' for word, number in counts)}."
    return Markdown(f"{said}\n\n{overview.tiles(findings, say)}")


def summary(findings: dict[str, list[Finding]], letter: str) -> Table:
    """Return a table with a row for each claim whose number begins with `letter` ("P" or "B").

    Its columns: number, sentence, verdict, parts, why, pages.
    """
    rows = []
    for claim, parts in findings.items():
        if claim.startswith(letter):
            anchor = f'<a id="claim-{claim.lower()}"></a>'  # so that other pages can point at the answer
            pages = ", ".join(f"[{page.replace('-', ' ')}]({page}.ipynb)" for page in PAGES[claim])
            answer = badge(overall(parts), label(parts))
            marks = "".join(badge(part.verdict, "") for part in parts)  # one a part, its verdict as a tooltip
            rows.append([anchor + claim, say(claim), answer, marks, ARGUMENTS[claim], pages])
    return Table(["no.", "claim", "verdict", "its parts", "why", "pages"], rows)


def details(findings: Mapping[str, list[Finding]], claims: Sequence[str] | None = None) -> Table:
    """Return a table with a row for each part of `claims`, by default of all: verdict and evidence."""
    rows = [part.row() for claim in (findings if claims is None else claims) for part in findings[claim]]
    return Table(["claim", "verdict", "evidence"], rows)


def verdict_line(findings: Mapping[str, list[Finding]], end: str = ".") -> Markdown:
    """Return the verdict on each claim in one bold line that closes with `end`; a mixed verdict with its parts."""
    lines = []
    for claim, parts in findings.items():
        mixed = f" ({count(parts)})" if overall(parts) == Verdict.MIXED else ""
        lines.append(f"**{claim}: {label(parts)}**{mixed}")
    return Markdown(", ".join(lines) + end)
