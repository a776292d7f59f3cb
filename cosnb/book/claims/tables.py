"""Claims P9 and P11 to P15, judged by the records of Tables 1 to 3."""

from collections.abc import Sequence

from cosnb import activation
from cosnb.book.claims.finding import Evidence, Finding, decide, measured, size, together, wanted
from cosnb.experiments.results import answer, gaps, tables
from cosnb.experiments.results.paper_tables import elsewhere
from cosnb.experiments.results.summary import Record, network_title
from cosnb.experiments.statistics import LEAST_RUNS, Comparison, Verdict, more_runs

SAID = {"relu": (0.46, 0.77), "swish": (0.38, 0.54)}  # P's abstract, in points
CLAIMS = {"P12": "shufflenet_v2", "P13": "mobilenet_v2", "P14": "squeezenet"}


def p9(evidence: Evidence) -> list[Finding]:
    """Swish's bound below regularises; small negative inputs give negative outputs."""
    swish = activation("swish")
    value = float(swish.expr.subs(swish.x, -0.1))
    negative = Finding("P9", "small negative inputs give negative outputs", decide(value < 0), f"f(−0.1) = {value:.4f}")
    bounded = swish.properties()["bounded_below"].value
    relu = activation("relu").properties()["bounded_below"].value
    bound = Finding("P9", "Swish is bounded below", decide(bounded), f"ReLU too: {'yes' if relu else 'no'}")
    records = nearest(evidence, "squeezenet")
    judged = gaps.judge_gaps(records)["Swish − ReLU"]
    shown = f"training − test loss, Swish − ReLU {measured(judged, '', 4)} ({size(records)})"
    return [negative, bound, Finding("P9", "it reduces over-fitting", judged.verdict, shown)]


def p11(evidence: Evidence) -> list[Finding]:
    """CoS's derivative emphasises non-monotonicity compared with Swish's, and that makes it more accurate."""
    waves = [len(activation(name).properties()["critical_points"].value) for name in ("cos", "swish")]
    shape = f"CoS turns around {waves[0]} times, Swish {waves[1]}; but this reading of equation (5) was chosen for it"
    found = [Finding("P11", "non-monotonicity emphasised", Verdict.NOT_TESTABLE, shape)]
    verdicts, shown = [], []
    for network in CLAIMS.values():
        judged, note = _accuracy(evidence, network, len(CLAIMS))
        verdicts.append(contrast(evidence, network, "CoS − Swish")[1])
        shown.append(f"{network_title(network)} {measured(judged['CoS − Swish'], 'points', decides=not note)}{note}")
    return [*found, Finding("P11", "more accurate than Swish for it", together(verdicts), "; ".join(shown))]


def p12(evidence: Evidence) -> list[Finding]:
    """ShuffleNet v2: CoS best in loss and accuracy, and its curves too."""
    curves = [part for metric in ("accuracy", "loss") for part in _curves("P12", evidence, metric, 8)]
    return [*_table("P12", evidence, 8), *curves, _elsewhere("P12", evidence)]


def p13(evidence: Evidence) -> list[Finding]:
    """MobileNet v2: CoS most accurate, its curve too, losses alike, CoS's above Swish's."""
    return [*_table("P13", evidence, 6), *_curves("P13", evidence, "accuracy", 6), _elsewhere("P13", evidence)]


def p14(evidence: Evidence) -> list[Finding]:
    """SqueezeNet: CoS most accurate, its curve too, losses alike, CoS's above Swish's."""
    return [*_table("P14", evidence, 6), *_curves("P14", evidence, "accuracy", 6), _elsewhere("P14", evidence)]


def p15(evidence: Evidence) -> list[Finding]:
    """CoS beats ReLU by 0.46–0.77 points and Swish by 0.38–0.54."""
    shown, right = [], True
    for other, (low, high) in SAID.items():
        leads = [tables.claimed(network, "cos", other) for network in CLAIMS.values()]
        said = f"{tables.name_pair('cos', other)} {low:.2f} to {high:.2f}"
        same = (min(leads), max(leads)) == (low, high)
        right &= same
        shown.append(f"{said}{'' if same else f', where its tables give {min(leads):.2f} to {max(leads):.2f}'}")
    note = "; ".join(shown) + ("" if right else ": an error against the authors' own interest")
    found = [Finding("P15", "the ranges as printed", Verdict.CONFIRMED if right else Verdict.SLIP, note)]
    networks = {
        network: together(p.verdict for p in _table(number, evidence, 6) if p.part.startswith("accuracy"))
        for number, network in CLAIMS.items()
    }
    lines = (f"{network_title(n)}: {verdict}{_wanted(evidence, n)}" for n, verdict in networks.items())
    judged = Finding("P15", "the leads", together(networks.values()), "; ".join(lines))
    return [*found, judged, _elsewhere("P15", evidence)]


def nearest(evidence: Evidence, network: str) -> list[Record]:
    """Return the records of the configuration nearest to P's, or none."""
    groups = tables.configurations(evidence.get(tables.EXPERIMENTS[network], ()))
    return groups[0][1] if groups else []


def _curves(claim: str, evidence: Evidence, metric: str, parts: int) -> list[Finding]:
    """Judge a network's curves of `metric`, as means over all epochs, at the level for all the `parts` of a claim."""
    records = nearest(evidence, CLAIMS[claim])
    note = _note(records)
    return [
        Finding(
            claim,
            f"curve of {metric} on average, {name}",
            tables.OPEN if note else comparison.verdict,
            measured(comparison, "", 3, not note) + note,
        )
        for name, comparison in tables.judge_curves(records, metric, parts).items()
    ]


def _table(claim: str, evidence: Evidence, parts: int) -> list[Finding]:
    """Judge a table's claims at the level that holds for all the `parts` of a claim."""
    network = CLAIMS[claim]
    judged, note = _accuracy(evidence, network, parts)
    found = [
        Finding(
            claim,
            f"accuracy, {name}",
            tables.OPEN if note else c.verdict,
            measured(c, "points", decides=not note) + note,
        )
        for name, c in judged.items()
    ]
    records = nearest(evidence, network)
    losses = tables.judge_table(records, network, "loss", family_size=parts)
    shown = "; ".join(f"{name} {measured(c, '', 4, not note)}" for name, c in losses.items())
    for part, verdict in tables.loss_verdicts(records, network, family_size=parts).items():
        more = wanted(tables.more_alike(records)) if "alike" in part and not note else ""
        evidence_ = f"{shown}{more and '; alike: n'}{more}{note}"
        found.append(Finding(claim, part, tables.OPEN if note else verdict, evidence_))
    return found


def _elsewhere(claim: str, evidence: Evidence) -> Finding:
    """Return what small networks trained well show: evidence about generality, which decides nothing of P's tables."""
    shown = []
    for network, judged in elsewhere(evidence.get(answer.EXPERIMENT, ())).items():
        lines = (
            f"{name} {measured(one, 'points', decides=False)}: {answer.words(one)}" for name, one in judged.items()
        )
        shown.append(f"{network_title(network)}, {answer.EPOCHS[network]} epochs: {'; '.join(lines)}")
    part = "a lead in small networks trained well (evidence about generality)"
    return Finding(claim, part, Verdict.EXPLORATORY, "; ".join(shown) or "no look has been reached yet")


def _accuracy(evidence: Evidence, network: str, parts: int) -> tuple[dict[str, Comparison], str]:
    records = nearest(evidence, network)
    return tables.judge_table(records, network, family_size=parts), _note(records)


def contrast(evidence: Evidence, network: str, pair: str) -> tuple[Comparison | None, Verdict]:
    """Return the judgement of a pair such as "CoS − Swish" in test accuracy, and its verdict: open in shorter runs."""
    judged, note = _accuracy(evidence, network, len(CLAIMS))
    found = judged.get(pair)
    return found, tables.OPEN if note or found is None else found.verdict


def _full(records: Sequence[Record]) -> bool:
    return bool(records) and tables.is_full(records[0]["config"])


def _note(records: Sequence[Record]) -> str:
    """Say why records cannot answer P; nothing where they can."""
    return (
        ""
        if _full(records)
        else f" (not the paper's length: {size(records)}; at least {LEAST_RUNS} runs of it are needed)"
    )


def _wanted(evidence: Evidence, network: str) -> str:
    """Return how many runs more would resolve both leads of a network, after a verdict; nothing where they are."""
    judged, note = _accuracy(evidence, network, 6)
    more = max((more_runs(comparison) or 0 for comparison in judged.values()), default=0)
    return note or (f" (n = {min(c.n for c in judged.values())}{wanted(more)})" if more else "")
