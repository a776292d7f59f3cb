"""P8, P10, P17, P18 and B7 to B11: what experiments beyond the three tables say, and formulas where they decide."""

import math

import sympy

from cosnb import activation
from cosnb.claims.finding import Evidence, Finding, decide, measured, overall, size
from cosnb.claims.tables import CLAIMS, nearest
from cosnb.results import curves, measurement, tables
from cosnb.results.summary import differences, title
from cosnb.statistics import Comparison, Direction, Verdict, alike, judge, smallest_n
from cosnb.symbolic.findings import show

SWEEPS = {"lr": "the learning rate", "gain": "initial weights"}
SMALLEST_LEAD = 0.38  # points: the least that P calls an improvement, so less is "about as good"


def sensitivity(evidence: Evidence, first: str, second: str) -> dict[str, Comparison]:
    """Return first − second in the mean accuracy over the learning rates, and over the gains: one family of two."""
    family = {}
    for parameter in SWEEPS:
        found = curves.curves(curves.varied(evidence.get("sensitivity", ()), parameter), parameter)
        a, b = (curves.areas(found.get(name, {})) for name in (first, second))
        gaps = [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]
        family[parameter] = (gaps, Direction.HIGHER)
    return judge(family)


def p8(evidence: Evidence) -> list[Finding]:
    """Swish is less sensitive to initial values and to the learning rate."""
    return _sensitive("P8", evidence, "swish", "relu")


def p10(evidence: Evidence) -> list[Finding]:
    """CoS is less sensitive than Swish."""
    return _sensitive("P10", evidence, "cos", "swish")


def _sensitive(claim: str, evidence: Evidence, first: str, second: str) -> list[Finding]:
    found = []
    for parameter, comparison in sensitivity(evidence, first, second).items():
        shown = f"area under accuracy, {tables.name_pair(first, second)} {measured(comparison, 'points')}"
        shown += f" ({size(curves.varied(evidence.get('sensitivity', ()), parameter))})"
        found.append(Finding(claim, f"less sensitive to {SWEEPS[parameter]}", comparison.verdict, shown))
    return found


def deep(evidence: Evidence, network: str = "depth_mlp") -> dict[str, list[float]]:
    """Return CoS − ReLU and CoS − Swish, seed by seed, in mean accuracy over the deeper half of Figure 15's depths."""
    records = [r for r in evidence.get("figure-15-depth", ()) if r["config"]["network"] == network]
    found = curves.curves(curves.varied(records, "depth"), "depth")
    depths = sorted({depth for curve in found.values() for depth in curve})
    least = depths[len(depths) // 2] if depths else 0
    means = {name: curves.means_from(curve, least) for name, curve in found.items()}
    return {tables.name_pair("cos", other): measurement.paired(means, "cos", other) for other in ("relu", "swish")}


def p17(evidence: Evidence) -> list[Finding]:
    """In deep networks CoS is about as good as Swish and better than ReLU."""
    gaps = deep(evidence)
    better = judge({"CoS − ReLU": (gaps["CoS − ReLU"], Direction.HIGHER), "CoS − Swish": (gaps["CoS − Swish"], None)})
    same = alike({"CoS − Swish": gaps["CoS − Swish"]}, SMALLEST_LEAD)
    shown = {name: f"{name} {measured(comparison, 'points')}" for name, comparison in better.items()}
    size_ = f" ({size(evidence.get('figure-15-depth', ()))})"
    return [
        Finding("P17", "better than ReLU", better["CoS − ReLU"].verdict, shown["CoS − ReLU"] + size_),
        Finding("P17", f"as good as Swish, within {SMALLEST_LEAD} points", same, shown["CoS − Swish"] + size_),
    ]


def p18(evidence: Evidence) -> list[Finding]:
    """ReLU's landscape is sharp, Swish's and CoS's are smooth."""
    records = measurement.largest(evidence.get("figure-16-landscape", ()))
    words = {"mean_turn": "mean change of the gradient's direction", "largest_turn": "largest change of its direction"}
    # The protocol names the two above; this one was added after four random networks (seeds 0 to 3) had been seen.
    words["kinks"] = "jumps of the gradient (added later)"
    found = []
    for key, meaning in words.items():
        judged = measurement.judge_landscape(records, key)
        shown = "; ".join(f"{name} {measured(comparison, '', 3)}" for name, comparison in judged.items())
        parts = [Finding("P18", name, comparison.verdict, "") for name, comparison in judged.items()]
        found.append(Finding("P18", f"ReLU sharp, the others smooth, by {meaning}", overall(parts), shown))
    shown = "a random network's output says nothing of training; for that see P12 to P15"
    return [*found, Finding("P18", "hence easier optimisation", Verdict.NOT_TESTABLE, shown)]


def b7(evidence: Evidence) -> list[Finding]:
    """Mish's gradient exists everywhere and is never stuck at 0, so no neuron dies."""
    found = activation("mish").properties()
    smooth, points = found["smoothness"].value, found["critical_points"].value
    exists = Finding("B7", "exists everywhere, continuous", decide(smooth == "C^∞"), f"f is {smooth}")
    isolated = all(not isinstance(point, sympy.Set) for point in points)
    shown = f"{len(points)} zero, at {show(points[0].value)}, and limit 0 for x → −∞: not stuck, but not never zero"
    stuck = Finding("B7", "never stuck at 0", decide(isolated), shown)
    dead = curves.last(evidence.get("dead-units", ()), "dead_units").get("mish", {})
    if not dead:
        return [exists, stuck, Finding("B7", "no neuron dies", Verdict.NOT_RESOLVED, "no record of dead units")]
    relu = curves.last(evidence["dead-units"], "dead_units").get("relu", {})
    shown = f"dead units at the end, largest share of {len(dead)} runs: {max(dead.values()):.2%}"
    shown += f"; ReLU {max(relu.values()):.2%}" if relu else ""
    verdict = decide(max(dead.values()) == 0)
    if verdict is Verdict.CONFIRMED and len(dead) < smallest_n(1):
        verdict = Verdict.NOT_RESOLVED  # a few runs without a dead unit are no sign that there are none
    return [exists, stuck, Finding("B7", "no neuron dies", verdict, shown)]


def b8(evidence: Evidence) -> list[Finding]:
    """ReLU's loss surface is discontinuous and angular, Mish's continuous and curved."""
    smooth = activation("relu").properties()["smoothness"].value
    shown = f"ReLU is {smooth}, and so is every composition with it; its gradient jumps"
    found = [Finding("B8", "ReLU's surface is discontinuous", decide(smooth == "discontinuous"), shown)]
    records = measurement.largest(evidence.get("loss-surface", ()))
    for key, meaning in (("bend", "angular"), ("roughness", "rough")):
        values = measurement.measured(records, key)
        judged = measurement.judge_pairs(values, (("relu", "mish"),), Direction.HIGHER)["ReLU − Mish"]
        part = f"ReLU's more {meaning} than Mish's along random lines"
        found.append(Finding("B8", part, judged.verdict, f"ReLU − Mish {measured(judged, '', 3)}"))
    return found


def b9(evidence: Evidence) -> list[Finding]:
    """A smooth gradient neither vanishes nor explodes; small input changes make small output changes."""
    sigmoid = activation("sigmoid").properties()
    slope = sigmoid["lipschitz"].value
    vanishes = sigmoid["smoothness"].value == "C^∞" and slope < 1
    shown = f"sigmoid is C^∞ and its slope is at most {show(slope)}: through 20 layers {float(slope) ** 20:.0e}"
    keeps = Finding("B9", "smooth gradients do not vanish", decide(not vanishes), shown)
    names = ("relu", "mish", "swish", "cos")
    constants = {name: activation(name).properties()["lipschitz"].value for name in names}
    shown = "Lipschitz constants: " + ", ".join(f"{name} {show(value)}" for name, value in constants.items())
    smallest = min(constants, key=lambda name: constants[name])
    small = Finding("B9", "smaller output changes than ReLU's", decide(smallest != "relu"), shown)
    even = _even("B9", "Mish's and Swish's reach deep layers more evenly than ReLU's", evidence)
    return [keeps, _bounded(evidence), small, even]


def b10(evidence: Evidence) -> list[Finding]:
    """When to choose which family is advice; the accuracies that bear on it."""
    shown = []
    for network in CLAIMS.values():
        records = nearest(evidence, network)
        gaps = list(differences(records, "mish", "relu").values()) if records else []
        comparison = judge({"Mish − ReLU": (gaps, None)})["Mish − ReLU"]
        shown.append(f"{network}, Mish − ReLU {measured(comparison, 'points')} ({size(records)})")
    return [Finding("B10", "which family to choose", Verdict.NOT_TESTABLE, "advice; " + "; ".join(shown))]


def b11(evidence: Evidence) -> list[Finding]:
    """A smooth gradient spreads evenly and guarantees stable, lasting learning."""
    smooth = activation("sigmoid").properties()["smoothness"].value
    bad = sum(
        record["status"] == "diverged" and record["config"]["activation"] != "relu"
        for records in evidence.values()
        for record in records
    )
    shown = f"sigmoid is {smooth} and vanishes (B9); recorded runs of smooth activations that diverged: {bad}"
    guarantee = Finding("B11", "guarantees stable learning", decide(smooth != "C^∞" and not bad), shown)
    return [_even("B11", "Mish's and Swish's spread more evenly than ReLU's", evidence), guarantee]


def _bounded(evidence: Evidence) -> Finding:
    """Judge whether Mish's and Swish's gradients grow towards the input, block by block, before training.

    Written after the growth of the first records (0.04 decades a block) had been seen.
    """
    factors = curves.growths(evidence.get("gradient-flow", ()))
    judged = judge(
        {
            title(name): ([math.log10(factor) for factor in factors.get(name, {}).values()], Direction.LOWER)
            for name in ("mish", "swish")
        }
    )
    shown = "growth a block towards the input, decades, with batch normalisation: "
    shown += "; ".join(f"{name} {measured(comparison, '', 3)}" for name, comparison in judged.items())
    for name in ("mish", "swish", "relu"):
        if factors.get(name):
            factor = math.exp(math.fsum(map(math.log, factors[name].values())) / len(factors[name]))
            shown += f"; {title(name)} × {factor:.2f}"
    parts = [Finding("B9", name, comparison.verdict, "") for name, comparison in judged.items()]
    return Finding(
        "B9", "Mish's and Swish's do not explode, grow by no factor a block (added later)", overall(parts), shown
    )


def _even(claim: str, part: str, evidence: Evidence) -> Finding:
    """Judge the spread of gradient norms over layers of trained networks, Mish and Swish below ReLU."""
    values = curves.spreads(evidence.get("gradient-flow", ()))
    judged = measurement.judge_pairs(values, (("mish", "relu"), ("swish", "relu")), Direction.LOWER)
    parts = [Finding(claim, name, comparison.verdict, "") for name, comparison in judged.items()]
    shown = "; ".join(f"{name} {measured(comparison, 'decades')}" for name, comparison in judged.items())
    return Finding(claim, part, overall(parts), f"largest over smallest norm by layer: {shown}")
