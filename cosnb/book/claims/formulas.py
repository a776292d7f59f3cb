"""Claims P7, P20 and B1 to B6, decided by formulas, without a run."""

import sympy

from cosnb import activation
from cosnb.analysis.findings import show
from cosnb.book.claims.finding import Evidence, Finding, decide
from cosnb.experiments.results.summary import title
from cosnb.experiments.statistics import Verdict
from cosnb.symbolic.functions import sigmoid, softplus

SMOOTH = ("swish", "mish", "cos")


def p7(evidence: Evidence) -> list[Finding]:
    """Swish is unbounded above, which keeps the gradient from saturating."""
    found = activation("swish").properties()
    left, right = found["derivative_limits"].value
    above = Finding("P7", "unbounded above", decide(not found["bounded_above"].value), f"supremum {show(sympy.oo)}")
    shown = f"f′ → {show(right)} for x → ∞ (for x → −∞ it tends to {show(left)}, as ReLU's does)"
    keeps = Finding("P7", "the gradient does not saturate for x > 0", decide(right != 0), shown)
    x = sympy.Symbol("x", real=True)
    slow = sympy.asinh(x)
    limit = sympy.limit(sympy.diff(slow, x), x, sympy.oo)
    enough = not (sympy.limit(slow, x, sympy.oo) == sympy.oo and limit == 0)
    shown = f"needed but not enough: asinh is unbounded above and its slope tends to {show(limit)}"
    because = Finding("P7", "because it is unbounded", Verdict.CONFIRMED if enough else Verdict.REASON, shown)
    return [above, keeps, because]


def p20(evidence: Evidence) -> list[Finding]:
    """Non-linearity is essential; CoS raises the complexity of the relation between input and output."""
    a, b, c, d, x = sympy.symbols("a b c d x", real=True)
    composed = sympy.expand(a * (b * x + c) + d)
    linear = sympy.Poly(composed, x).degree() <= 1
    shown = f"two linear layers make {show(sympy.collect(composed, x))}, one linear layer"
    essential = Finding("P20", "non-linearity is essential", decide(linear), shown)
    turns = {name: len(activation(name).properties()["inflections"].value) for name in ("relu", "swish", "cos")}
    shown = "the paper does not say how complexity is counted; inflections: "
    shown += ", ".join(f"{title(name)} {count}" for name, count in turns.items())
    raised = Finding("P20", "CoS raises the complexity between layers", Verdict.NOT_TESTABLE, shown)
    return [essential, raised]


def b1(evidence: Evidence) -> list[Finding]:
    """The chain rule: ∂L/∂w is a product of three factors, the activation's slope the middle one."""
    w, b, u, target = sympy.symbols("w b u t", real=True)
    mish = activation("mish")
    y, v = sympy.Symbol("y", real=True), w * u + b
    loss = (y - target) ** 2
    output = mish.expr.subs(mish.x, v)
    whole = sympy.diff(loss.subs(y, output), w)
    parts = sympy.diff(loss, y).subs(y, output) * mish.derivative(1).subs(mish.x, v) * sympy.diff(v, w)
    equal = sympy.simplify((whole - parts).rewrite(sympy.exp)) == 0
    return [Finding("B1", "three factors, the slope in the middle", decide(equal), "squared error of one Mish neuron")]


def b2(evidence: Evidence) -> list[Finding]:
    """A gradient of 0 stops learning; a jump makes it unstable."""
    w, u, rate = sympy.symbols("w u eta", positive=True)
    x = sympy.Symbol("x", real=True)
    slope = activation("relu").derivative(1).subs(activation("relu").x, x)
    step = rate * u * slope.subs(x, -w * u)
    shown = "the step of plain gradient descent is η · 0"
    stops = Finding("B2", "a gradient of 0 stops a neuron", decide(sympy.simplify(step) == 0), shown)
    shown = "“unstable” is not defined; runs that diverged, by activation: " + _diverged(evidence)
    return [stops, Finding("B2", "a jump makes learning unstable", Verdict.NOT_TESTABLE, shown)]


def b3(evidence: Evidence) -> list[Finding]:
    """“Smooth gradient”: exists everywhere, has no jumps, changes gradually (a definition)."""
    lines = []
    for name in ("relu", *SMOOTH):
        function = activation(name)
        steepest = function.properties(1)["lipschitz"].value if name != "relu" else sympy.oo
        lines.append(f"{title(name)}: {function.properties()['smoothness'].value}, sup |f″| {show(steepest)}")
    return [Finding("B3", "the meaning of smooth", Verdict.NOT_TESTABLE, "a definition; " + "; ".join(lines))]


def b4(evidence: Evidence) -> list[Finding]:
    """The gradient points uphill, so a step against it goes downhill."""
    a, b, rate, g, h = sympy.symbols("a b eta g h", real=True)
    loss = sympy.Function("L")
    along = sympy.diff(loss(a - rate * g, b - rate * h), rate).subs(rate, 0).doit()
    uphill = {g: sympy.diff(loss(a, b), a), h: sympy.diff(loss(a, b), b)}
    downhill = sympy.simplify(along.subs(uphill) + uphill[g] ** 2 + uphill[h] ** 2) == 0
    shown = "d/dη L(w − η∇L) = −|∇L|² at η = 0, for small steps"
    return [Finding("B4", "w ← w − η∇L goes downhill", decide(downhill), shown)]


def b5(evidence: Evidence) -> list[Finding]:
    """ReLU's derivative and its jump."""
    relu = activation("relu")
    near = sympy.Symbol("h", positive=True)
    jump = [sympy.limit(relu.expr.subs(relu.x, sign * near) / (sign * near), near, 0) for sign in (-1, 1)]
    kinks = relu.properties()["kinks"].value
    shown = f"one-sided slopes at 0: {jump[0]} and {jump[1]}"
    jumps = Finding("B5", "the derivative jumps from 0 to 1 at 0", decide(jump == [0, 1] and kinks == (0,)), shown)
    zero, one = (relu.derivative(1).subs(relu.x, place) for place in (-1, 1))
    given = "true; at 0, which the article leaves out, the one-sided slopes differ, so there is none; programs take 0"
    sides = Finding("B5", "derivative 0 for x < 0 and 1 for x > 0", decide((zero, one) == (0, 1)), given)
    dead = Finding("B5", "dead for x < 0", decide(zero == 0), f"f′(−1) = {zero}: such an input moves no weight")
    return [sides, jumps, dead, Finding("B5", "the most used", Verdict.NOT_TESTABLE, "nobody counts them here")]


def b6(evidence: Evidence) -> list[Finding]:
    """The derivative of Mish, in four steps."""
    mish = activation("mish")
    x, s = mish.x, softplus(mish.x)
    inner = x * (1 - sympy.tanh(s) ** 2) * sigmoid(x)

    def equal(other: sympy.Expr) -> bool:
        return sympy.simplify((mish.derivative(1) - other).rewrite(sympy.exp)) == 0

    product, total = equal(sympy.tanh(s) * inner), equal(sympy.tanh(s) + inner)
    shown = f"a sign misprinted, · for +: the sum {'equals' if total else 'does not equal'} f′, "
    shown += f"the product printed {'equals it too' if product else 'does not'}"
    verdict = Verdict.SLIP if total and not product else decide(product)
    return [Finding("B6", "f′ as printed", verdict, shown)]


def _diverged(evidence: Evidence) -> str:
    counts: dict[str, list[int]] = {}
    for records in evidence.values():
        for record in records:
            if record["epochs"]:
                count = counts.setdefault(record["config"]["activation"], [0, 0])
                count[0] += record["status"] == "diverged"
                count[1] += 1
    return ", ".join(f"{title(name)} {bad} of {all_}" for name, (bad, all_) in sorted(counts.items())) or "no record"
