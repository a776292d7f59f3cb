"""Claims P0 to P6: the paper's statements on the functions it presents, decided by SymPy and proven properties."""

import sympy

from cosnb import activation
from cosnb.analysis.findings import show
from cosnb.book import readings
from cosnb.book.claims.finding import Evidence, Finding, decide
from cosnb.experiments.statistics import Verdict


def p0(evidence: Evidence) -> list[Finding]:
    """The step function cannot be differentiated where it matters."""
    x, near = sympy.Symbol("x", real=True), sympy.Symbol("h", positive=True)
    step = sympy.Heaviside(x)
    ends = [sympy.limit(step.subs(x, sign * near), near, 0) for sign in (-1, 1)]
    slopes = {sympy.diff(step, x).subs(x, place) for place in (-1, 1)}
    shown = f"it jumps from {ends[0]} to {ends[1]} at 0; its slope is {show(slopes.pop())} elsewhere"
    return [Finding("P0", "no derivative at 0", decide(ends[0] != ends[1]), shown)]


def p1(evidence: Evidence) -> list[Finding]:
    """Sigmoid saturates, so its gradient vanishes; its output is not zero-centred, so learning zigzags."""
    found = activation("sigmoid").properties()
    centred = found["parity"].value == "odd"
    return [
        _fades("P1", "sigmoid"),
        Finding("P1", "the output is not zero-centred", decide(not centred), f"its range is {_range('sigmoid')}"),
        Finding(
            "P1",
            "a layer's gradients share a sign",
            Verdict.REASON if found["range"].value.inf >= 0 else Verdict.REFUTED,
            "∂L/∂wᵢ = δ·aᵢ with all aᵢ > 0: all have the sign of δ for one unit and one example, a condition that the "
            "paper leaves out; over a batch they need not",
        ),
    ]


def p2(evidence: Evidence) -> list[Finding]:
    """Tanh is zero-centred, and its gradient still vanishes."""
    odd = activation("tanh").properties()["parity"].value == "odd"
    centred = Finding("P2", "zero-centred", decide(odd), f"odd, with the range {_range('tanh')}")
    return [centred, _fades("P2", "tanh")]


def p3(evidence: Evidence) -> list[Finding]:
    """ReLU trains faster than sigmoid and tanh, does not vanish for x > 0, and has gradient 0 for x ≤ 0."""
    relu = activation("relu")
    right, left = (relu.derivative(1).subs(relu.x, place) for place in (1, -1))
    kinks = relu.properties()["kinks"].value
    runs = [record["config"]["activation"] for found in evidence.values() for record in found if record["epochs"]]
    # No recorded experiment trains the three side by side: the page's networks are too small and too few to decide.
    shown = f"recorded training runs with sigmoid: {runs.count('sigmoid')}, with tanh: {runs.count('tanh')}; small "
    shown += "networks on the page “From the step to Swish” train all three, too few to decide; a measurement could"
    return [
        Finding("P3", "much faster than sigmoid and tanh", Verdict.NOT_RESOLVED, shown),
        Finding("P3", "no vanishing for x > 0", decide(right == 1), f"f′ = {right} for x > 0"),
        Finding("P3", "gradient 0 for x < 0", decide(left == 0), f"f′ = {left} for x < 0"),
        Finding(
            "P3",
            "gradient 0 at x = 0",
            Verdict.SLIP if 0 in kinks else Verdict.CONFIRMED,
            "a convention: at 0 there is no slope, and programs take 0, as the paper says",
        ),
    ]


def p4(evidence: Evidence) -> list[Finding]:
    """Swish is unbounded above, bounded below, smooth and non-monotone."""
    found = activation("swish").properties()
    checks = {
        "unbounded above": (not found["bounded_above"].value, "f → ∞ for x → ∞"),
        "bounded below": (found["bounded_below"].value, f"range {_range('swish')}"),
        "smooth": (found["smoothness"].value == "C^∞", str(found["smoothness"].value)),
        "non-monotone": (found["monotone"].value == "no", f"turns at {_places(found['critical_points'].value)}"),
    }
    return [Finding("P4", part, decide(bool(holds)), shown) for part, (holds, shown) in checks.items()]


def p5(evidence: Evidence) -> list[Finding]:
    """CoS is Swish with the square of a sigmoid added, equation (5)."""
    row = readings.statement_table((readings.READINGS[0],))[0]
    held = [sum(row[name].holds for name in names) for names in (readings.STATEMENTS, readings.ADDED)]
    met = f"of its {len(readings.STATEMENTS)} statements our reading meets {held[0]}, and {held[1]} of the "
    met += f"{len(readings.ADDED)} that the book adds; it was chosen to, so that is no test"
    return [
        Finding("P5", "what the paper says of it in words", Verdict.NOT_TESTABLE, met),
        Finding("P5", "equation (5) as printed", Verdict.NOT_TESTABLE, "not legible in the text that we hold"),
    ]


def p6(evidence: Evidence) -> list[Finding]:
    """A linear activation's derivative is constant, which tells nothing of how prediction and weights relate."""
    a, b, x = sympy.symbols("a b x", real=True)
    constant = sympy.diff(a * x + b, x)
    reason = "the conclusion is right, its reason is not: ∂L/∂w = δ·a·input does depend on prediction and input; "
    reason += "what is lost is depth (P20)"
    return [
        Finding(
            "P6", "the derivative does not depend on x", decide(not constant.has(x)), f"d/dx (a·x + b) = {constant}"
        ),
        Finding("P6", "so it is of little use between layers", Verdict.REASON, reason),
    ]


def _fades(claim: str, name: str) -> Finding:
    limits = activation(name).properties()["derivative_limits"].value
    shown = f"f′ → {show(limits[0])} and {show(limits[1])} for x → −∞ and ∞"
    return Finding(
        claim, "the gradient vanishes where it saturates", decide(all(limit == 0 for limit in limits)), shown
    )


def _range(name: str) -> str:
    found = activation(name).properties()["range"].value
    low, high = ("(" if found.left_open else "["), (")" if found.right_open else "]")
    return f"{low}{show(found.inf)}, {show(found.sup)}{high}"


def _places(points: tuple) -> str:
    return ", ".join(f"{float(point.value):.4f}" for point in points)
