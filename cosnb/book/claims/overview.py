"""The verdicts at a glance: every claim's topic and label, linked to its row, in three columns; and the labels."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

from cosnb.book.claims.finding import MARKS, Finding, label, overall, style
from cosnb.display import Markdown
from cosnb.experiments.statistics import Verdict

TOPICS: dict[str, str] = {
    "P0": "the step has no slope",
    "P1": "sigmoid saturates, zigzags",
    "P2": "tanh saturates",
    "P3": "ReLU is faster",
    "P4": "Swish's shape",
    "P5": "CoS, equation (5)",
    "P6": "linear activations fail",
    "P7": "Swish does not saturate",
    "P8": "Swish is less sensitive",
    "P9": "Swish regularises",
    "P10": "CoS is less sensitive",
    "P11": "CoS's derivative helps",
    "P12": "Table 1, ShuffleNet v2",
    "P13": "Table 2, MobileNet v2",
    "P14": "Table 3, SqueezeNet",
    "P15": "CoS leads in all tables",
    "P16": "CoS trains slowest",
    "P17": "Figure 15, depth",
    "P18": "Figure 16, smooth landscape",
    "P19": "a cheaper square",
    "P20": "non-linearity, complexity",
    "P21": "accuracy before time",
    "B1": "the chain rule",
    "B2": "zero gradient, jumps",
    "B3": "“smooth gradient”",
    "B4": "downhill steps",
    "B5": "ReLU's derivative",
    "B6": "Mish's derivative",
    "B7": "no neuron dies with Mish",
    "B8": "ReLU's loss surface",
    "B9": "vanishing, exploding gradients",
    "B10": "which to choose",
    "B11": "smooth gradients spread evenly",
}
_COLUMNS = (
    ("The paper, P0 to P10", tuple(f"P{number}" for number in range(11))),
    ("The paper, P11 to P21", tuple(f"P{number}" for number in range(11, 22))),
    ("The blog article, B1 to B11", tuple(f"B{number}" for number in range(1, 12))),
)
# What a label means, in the order of the legend.
MEANINGS: dict[Verdict, str] = {
    Verdict.CONFIRMED: "the interval, at a level that holds for all parts of the claim, lies on the claimed side of 0; "
    "or a proof",
    Verdict.SLIP: "true but for a misprint or a convention, which is named",
    Verdict.REASON: "the conclusion is true, and the reason given for it does not suffice",
    Verdict.MIXED: "its parts differ, and are listed: one part neither makes nor breaks a claim",
    Verdict.DEPENDS: "confirmed in one setting and refuted in another",
    Verdict.SMALLER: "the interval lies on the claimed side of 0, and the claimed number beyond it",
    Verdict.NO_LEAD: "from 20 runs on, the 90 % interval lies within ± 0.3 points",
    Verdict.EXCLUDED: "the interval holds 0, and the claimed number lies beyond it",
    Verdict.REFUTED: "the interval lies on the other side of 0; or a proof of the contrary",
    Verdict.NOT_RESOLVED: "the runs that we have cannot tell, or are too few or too short",
    Verdict.NOT_TESTABLE: "no measurement could decide",
    Verdict.EXPLORATORY: "shown, and judged by no rule",
}


def tiles(findings: Mapping[str, Sequence[Finding]], say: Callable[[str], str]) -> Markdown:
    """Return a list of three columns: number, topic and label of each claim, a link to its row of `summary`.

    `say` returns the sentence of a claim, which is the link's tooltip.
    """
    columns = []
    for head, claims in _COLUMNS:
        shown = "".join(f"<li>{_tile(claim, findings[claim], say(claim))}</li>" for claim in claims)
        columns.append(f"<section><p>{head}</p><ul>{shown}</ul></section>")
    return Markdown(f'<div class="verdict-tiles">{"".join(columns)}</div>')


def legend(findings: Mapping[str, Sequence[Finding]]) -> Markdown:
    """Return the meaning of each label in use, one a line."""
    there = {part.verdict for parts in findings.values() for part in parts} | set(map(overall, findings.values()))
    lines = [
        f'- <span class="{style(verdict)}">{MARKS[verdict]}\u00a0{verdict}</span>: {meaning}.'
        for verdict, meaning in MEANINGS.items()
        if verdict in there
    ]
    return Markdown("\n".join(lines))


def _tile(claim: str, parts: Sequence[Finding], sentence: str) -> str:
    verdict = overall(parts)
    words = f'<span class="{style(verdict)}">{MARKS[verdict]}\u00a0{label(parts)}</span>'
    address = f"#claim-{claim.lower()}"
    return f'<a href="{address}" title="{escape(sentence)}"><b>{claim}</b> {escape(TOPICS[claim])}</a> {words}'
