"""P16, P19, P21: what CoS costs, from the records of the page `cost`."""

from collections.abc import Sequence
from typing import Any

import sympy

from cosnb import activation
from cosnb.claims.finding import Evidence, Finding, decide
from cosnb.measure.cost import NO_SQUARE, over, over_relu
from cosnb.results.summary import Record
from cosnb.statistics import Verdict
from cosnb.symbolic.normal_form import normal_form

Found = dict[str, dict[str, Any]]
NONE = "no record of the page cost"


def findings(records: Sequence[Record]) -> list[Finding]:
    """Return the three claims' parts, of the first record each for every network."""
    evidence = {"cost": records}
    return [*p16(evidence), *p19(evidence), *p21(evidence)]


def p16(evidence: Evidence) -> list[Finding]:
    """CoS trains slowest, because of the square."""
    slowest = "slowest to train, as the formula is typed in"
    square = "because of the square"
    runs = [record["measured"] for record in evidence.get("cost", ())]
    if not runs:
        return [Finding("P16", part, Verdict.NOT_RESOLVED, NONE) for part in (slowest, square)]
    others = [[over(found, "cos, plain", f"{name}, plain", "step") for name in ("relu", "swish")] for found in runs]
    shown = "CoS / ReLU " + ", ".join(f"{relu[1]:.2f}" for relu, _ in others)
    shown += "; CoS / Swish " + ", ".join(f"{swish[1]:.2f}" for _, swish in others)
    lows = [quartiles[0] for pair in others for quartiles in pair]
    highs = [quartiles[2] for pair in others for quartiles in pair]
    slow = _by_quartiles(lows, highs, 1.0)
    # What goes with the square, and what of CoS's extra time over Swish is left without it.
    saved = [_share_of_square(found) for found in runs]
    compiled = [over(found, "cos, compiled", "swish, compiled", "step")[1] for found in runs]
    reason = "the square's share of CoS's extra time over Swish: " + ", ".join(f"{share:.0%}" for share in saved)
    reason += "; with the square, compiled, CoS / Swish " + ", ".join(f"{value:.2f}" for value in compiled)
    because = Verdict.NOT_RESOLVED
    if all(share > 0.5 for share in saved) or all(share < 0.5 for share in saved):
        because = decide(saved[0] > 0.5)
    return [Finding("P16", slowest, slow, shown), Finding("P16", square, because, reason)]


def p19(evidence: Evidence) -> list[Finding]:
    """Less computation is possible, which should improve time and accuracy."""
    cos = activation("cos")
    form = normal_form(cos.expr, cos.x)
    assert form is not None  # CoS is made of sigmoids, so it has one
    rest = [
        sympy.simplify((cos.expr.rewrite(sympy.exp) - form.branch_expr(cos.x, place < 0)).subs(cos.x, place))
        for place in (-3, 2)
    ]
    same = f"compiled minus typed in, for either sign: {rest[0]} and {rest[1]}; another function is not named"
    accuracy = Finding("P19", "accuracy improves", Verdict.NOT_TESTABLE, same)
    runs = [record["measured"] for record in evidence.get("cost", ())]
    if not runs:
        return [Finding("P19", "time improves", Verdict.NOT_RESOLVED, NONE), accuracy]
    times = [over(found, "cos, compiled", "cos, plain", "step") for found in runs]
    verdict = _by_quartiles([1 / t[2] for t in times], [1 / t[0] for t in times], 1.0)
    shown = "compiled / plain CoS: " + ", ".join(f"{t[1]:.2f}" for t in times)
    return [Finding("P19", "time improves", verdict, shown), accuracy]


def p21(evidence: Evidence) -> list[Finding]:
    """In use accuracy matters more than training time (a preference)."""
    part = "accuracy matters more than the time of training"
    runs = [record["measured"] for record in evidence.get("cost", ())]
    shown = "a matter of what one wants; "
    if not runs:
        return [Finding("P21", part, Verdict.NOT_TESTABLE, shown + NONE)]
    for kind in ("plain", "compiled"):
        ratios = [over_relu(found, f"cos, {kind}", "inference")[1] for found in runs]
        shown += f"inference, {kind} CoS / ReLU " + ", ".join(f"{value:.2f}" for value in ratios) + "; "
    return [Finding("P21", part, Verdict.NOT_TESTABLE, shown.rstrip("; "))]


def _by_quartiles(lows: Sequence[float], highs: Sequence[float], one: float) -> Verdict:
    """Confirmed where every lower quartile lies above `one`, refuted where some upper one lies below, else open."""
    if all(low > one for low in lows):
        return Verdict.CONFIRMED
    return Verdict.REFUTED if any(high < one for high in highs) else Verdict.NOT_RESOLVED


def _share_of_square(found: Found) -> float:
    """Return (CoS − CoS without its square) / (CoS − Swish), of plain medians over plain ReLU's."""
    middle = {label: over_relu(found, label, "step")[1] for label in ("cos, plain", "swish, plain", NO_SQUARE)}
    extra = middle["cos, plain"] - middle["swish, plain"]
    return (middle["cos, plain"] - middle[NO_SQUARE]) / extra if extra else 0.0
