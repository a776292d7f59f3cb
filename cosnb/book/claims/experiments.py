"""Claims P8, P10, P17, P18 and B7 to B11, judged by experiments beyond the three tables and by formulas."""

import math
from collections.abc import Sequence

import sympy

from cosnb import activation
from cosnb.analysis.findings import show
from cosnb.book.claims.finding import Evidence, Finding, decide, measured, size, together, wanted
from cosnb.book.claims.tables import CLAIMS, nearest
from cosnb.experiments.results import curves, measurements, tables, trained
from cosnb.experiments.results.paper import SMALLEST_LEAD
from cosnb.experiments.results.summary import Record, differences, network_title, title
from cosnb.experiments.statistics import Comparison, Direction, Verdict, alike, judge, more_runs_alike

SWEEPS = {"lr": "the learning rate", "gain": "initial weights"}


def sensitivity(evidence: Evidence, first: str, second: str) -> dict[str, Comparison]:
    """Return first − second in flatness over the learning rates, and over the gains: one family of two.

    Flatness is a seed's accuracy at its worst setting minus that at its best, over the settings at which both learnt.
    """
    family = {}
    for parameter in SWEEPS:
        found = curves.curves(curves.varied(evidence.get("sensitivity", ()), parameter), parameter)
        both = curves.learnt({name: found.get(name, curves.empty()) for name in (first, second)})
        gaps = curves.flatness(both[first]) - curves.flatness(both[second])
        family[parameter] = (gaps.dropna().tolist(), Direction.HIGHER)
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
        shown = f"accuracy at the worst setting − at the best, {tables.name_pair(first, second)} "
        shown += f"{measured(comparison, 'points')} ({_settings(evidence, parameter, first, second)}"
        shown += f"{size(curves.varied(evidence.get('sensitivity', ()), parameter))})"
        found.append(Finding(claim, f"less sensitive to {SWEEPS[parameter]}", comparison.verdict, shown))
    return found


def _settings(evidence: Evidence, parameter: str, *names: str) -> str:
    """Return how many settings count, where some do not since not every run of `names` learnt at them."""
    found = curves.curves(curves.varied(evidence.get("sensitivity", ()), parameter), parameter)
    chosen = {name: found.get(name, curves.empty()) for name in names}
    places, kept = len(set().union(*chosen.values())), len(curves.learnt(chosen)[names[0]].columns)
    return f"{kept} of {places} settings, at the others not every run learnt; " if kept < places else ""


def deep(evidence: Evidence) -> dict[str, list[float]]:
    """Return CoS − ReLU and CoS − Swish, seed by seed, in mean accuracy over the deeper half of Figure 15's depths.

    Depths at which some run of the three did not learn judge nothing.
    """
    records = [r for r in evidence.get("figure-15-depth", ()) if r["config"]["network"] == "depth_mlp"]
    found = curves.curves(curves.varied(records, "depth"), "depth")
    found = curves.learnt({name: found.get(name, curves.empty()) for name in ("relu", "swish", "cos")})
    depths = sorted({depth for curve in found.values() for depth in curve})
    least = depths[len(depths) // 2] if depths else 0
    means = {name: curves.means_from(curve, least) for name, curve in found.items()}
    return {tables.name_pair("cos", o): (means["cos"] - means[o]).dropna().tolist() for o in ("relu", "swish")}


def p17(evidence: Evidence) -> list[Finding]:
    """In deep networks CoS is about as good as Swish and better than ReLU."""
    gaps = deep(evidence)
    better = judge({"CoS − ReLU": (gaps["CoS − ReLU"], Direction.HIGHER), "CoS − Swish": (gaps["CoS − Swish"], None)})
    same = alike({"CoS − Swish": gaps["CoS − Swish"]}, SMALLEST_LEAD)
    shown = {name: f"{name} {measured(comparison, 'points')}" for name, comparison in better.items()}
    shown["CoS − Swish"] += wanted(more_runs_alike({"CoS − Swish": gaps["CoS − Swish"]}, SMALLEST_LEAD))
    size_ = f" ({size(evidence.get('figure-15-depth', ()))})"
    return [
        Finding("P17", "better than ReLU", better["CoS − ReLU"].verdict, shown["CoS − ReLU"] + size_),
        Finding("P17", f"as good as Swish, within {SMALLEST_LEAD} points", same, shown["CoS − Swish"] + size_),
    ]


def p18(evidence: Evidence) -> list[Finding]:
    """ReLU's landscape is sharp, Swish's and CoS's are smooth."""
    records = measurements.largest(evidence.get("figure-16-landscape", ()))
    words = {"mean_turn": "mean change of the gradient's direction", "largest_turn": "largest change of its direction"}
    words["kinks"] = "jumps of the gradient (added later)"  # the protocol names the two above
    seeds, flat = measurements.measured(records, "flat").get("relu", {}), measurements.flat_everywhere(records)
    count = f"; {len(flat)} of {len(seeds)} networks are flat everywhere with ReLU" if seeds else ""
    found = []
    for key, meaning in words.items():
        judged = measurements.judge_landscape(records, key)
        shown = "; ".join(f"{name} {measured(comparison, '', 3)}" for name, comparison in judged.items())
        verdict = together(comparison.verdict for comparison in judged.values())
        found.append(Finding("P18", f"ReLU sharp, the others smooth, by {meaning}", verdict, shown + count))
    smooth = {name: activation(name).properties()["smoothness"].value for name in ("relu", "swish", "cos")}
    kinks = smooth["relu"] == "continuous" and {smooth["swish"], smooth["cos"]} == {"C^∞"}
    steepest = {name: show(activation(name).properties(1)["lipschitz"].value) for name in ("swish", "cos")}
    shown = "; ".join(f"{title(name)} is {value}, and so is a network of it" for name, value in smooth.items())
    shown += f"; sup |f″| is {steepest['swish']} for Swish and {steepest['cos']} for CoS, which is the less smooth"
    found.insert(0, Finding("P18", "ReLU's landscape has kinks, the others' have none", decide(kinks), shown))
    shown = "a random network's output says nothing of training; for that see P12 to P15"
    return [*found, Finding("P18", "hence easier optimisation", Verdict.NOT_TESTABLE, shown)]


def b7(evidence: Evidence) -> list[Finding]:
    """Mish's gradient exists everywhere and is never stuck at 0, so no neuron dies."""
    found = activation("mish").properties()
    smooth, points = found["smoothness"].value, found["critical_points"].value
    exists = Finding("B7", "exists everywhere, continuous", decide(smooth == "C^∞"), f"f is {smooth}")
    isolated = all(not isinstance(point, sympy.Set) for point in points)
    shown = f"{len(points)} zero, at {show(points[0].value)}, and limit 0 for x → −∞: 0 on no interval, so not stuck"
    stuck = Finding("B7", "never stuck at 0", decide(isolated), shown)
    x = sympy.Symbol("x", real=True)
    # Far left Mish's slope is (x + 1)·e^x; below 2^−150 float32 rounds it to 0.
    edge = float(sympy.nsolve(sympy.log(-x - 1) + x + 150 * sympy.log(2), x, -109))
    limits = f"in float32 the slope is exactly 0 left of {edge:.1f}".replace("-", "−")
    return [exists, stuck, _none_dies(evidence, isolated, limits)]


def _none_dies(evidence: Evidence, isolated: bool, limits: str) -> Finding:
    """Judge B7's last part: it follows where zeros of the slope are `isolated`, unless a recorded run has a dead unit.

    `limits` says where rounding sets a bound to what follows.
    """
    runs = [r for r in evidence.get("dead-units", ()) if r["status"] == "ok" and "dead_units" in r["epochs"][-1]]
    ends = [(r["config"]["activation"], r["epochs"][-1]["dead_units"]) for r in runs]
    for records in trained.full(evidence.get(trained.EXPERIMENT, ())).values():
        runs += records
        ends += [(r["config"]["activation"], r["measured"]["dead_units"]) for r in records if r["status"] == "ok"]
    shares = {name: [share for arm, share in ends if arm == name] for name in ("mish", "relu")}
    counted = [f"{tables.title(name)} {max(found):.2%} (n = {len(found)})" for name, found in shares.items() if found]
    shown = f"largest share of dead units at the end: {', '.join(counted) or 'no record'}, {_sizes(runs)}; {limits}"
    if max(shares["mish"], default=0) > 0:
        return Finding("B7", "no neuron dies", Verdict.REFUTED, shown)
    shown = f"follows from the part above in exact arithmetic; {shown}"
    return Finding("B7", "no neuron dies", decide(isolated), shown)


def b8(evidence: Evidence) -> list[Finding]:
    """ReLU's loss surface is discontinuous and angular, Mish's continuous and curved."""
    smooth = activation("relu").properties()["smoothness"].value
    shown = f"ReLU is {smooth}, and so is every composition with it; its gradient jumps"
    found = [Finding("B8", "ReLU's surface is discontinuous", decide(smooth == "discontinuous"), shown)]
    curved = activation("mish").properties()["smoothness"].value
    angular = f"ReLU is {smooth}, Mish {curved}, and so are networks and losses made of them"
    holds = smooth == "continuous" and curved == "C^∞"
    found.append(Finding("B8", "ReLU's is angular, Mish's is continuous and curved", decide(holds), angular))
    records = trained.longest(evidence.get(trained.EXPERIMENT, ()))
    for key, meaning in (("bend", "angular"), ("roughness", "rough")):
        values = measurements.measured(records, key)
        judged = measurements.judge_pairs(values, (("relu", "mish"),), Direction.HIGHER, 2)["ReLU − Mish"]
        part = f"ReLU's more {meaning} than Mish's along random lines"
        found.append(Finding("B8", part, judged.verdict, f"ReLU − Mish {measured(judged, '', 3)} ({size(records)})"))
    return found


def b9(evidence: Evidence) -> list[Finding]:
    """A smooth gradient neither vanishes nor explodes; a small change of input makes no abrupt change of output."""
    sigmoid = activation("sigmoid").properties()
    slope = sigmoid["lipschitz"].value
    vanishes = sigmoid["smoothness"].value == "C^∞" and slope < 1
    shown = f"sigmoid is C^∞ and its slope is at most {show(slope)}: through 20 layers {float(slope) ** 20:.0e}"
    keeps = Finding("B9", "smooth gradients do not vanish", decide(not vanishes), shown)
    names = ("relu", "mish", "swish", "cos")
    constants = {name: activation(name).properties()["lipschitz"].value for name in names}
    shown = "Lipschitz constants: " + ", ".join(f"{title(name)} {show(value)}" for name, value in constants.items())
    smallest = title(min(constants, key=lambda name: constants[name]))
    shown += f": a change of the input grows by no more; smoothness is not the reason, for {smallest}'s is the smallest"
    finite = all(value.is_finite for value in constants.values())
    small = Finding("B9", "no abrupt change of output", decide(finite), shown)
    return [keeps, _growth(evidence), small]


def b10(evidence: Evidence) -> list[Finding]:
    """ReLU's family for speed and large networks, Mish's and Swish's for stability and generalisation (advice)."""
    shown = []
    for network in CLAIMS.values():
        records = nearest(evidence, network)
        gaps = list(differences(records, "mish", "relu").values()) if records else []
        comparison = judge({"Mish − ReLU": (gaps, None)})["Mish − ReLU"]
        shown.append(f"{network_title(network)}, Mish − ReLU {measured(comparison, 'points')} ({size(records)})")
    return [Finding("B10", "which family to choose", Verdict.NOT_TESTABLE, "advice; " + "; ".join(shown))]


def b11(evidence: Evidence) -> list[Finding]:
    """A smooth gradient spreads evenly and guarantees stable, lasting learning."""
    smooth = activation("sigmoid").properties()["smoothness"].value
    bad = sum(
        record["status"] == "diverged" and record["config"]["activation"] != "relu"
        for records in evidence.values()
        for record in records
    )
    shown = f"sigmoid is {smooth} and its gradient vanishes (B9); recorded runs of smooth activations that diverged: "
    shown += f"{bad}"
    guarantee = Finding("B11", "guarantees stable learning", decide(smooth != "C^∞" and not bad), shown)
    return [_even("B11", "Mish's and Swish's spread more evenly than ReLU's", evidence, 6), guarantee]


def _growth(evidence: Evidence) -> Finding:
    """Return by what factor gradients grow a block towards the input, before training, with batch normalisation.

    It judges nothing: with batch normalisation the factor is at least 1 for every activation (`gradient-flow`), so
    that no record could have confirmed the claim.
    """
    factors = curves.growths(curves.largest(evidence.get("gradient-flow", ())))
    means = {
        name: math.exp(math.fsum(map(math.log, factors[name].values())) / len(factors[name]))
        for name in ("mish", "swish", "relu")
        if factors.get(name)
    }
    shown = "; ".join(f"{title(name)} × {factor:.2f}" for name, factor in means.items()) or "no record"
    shown = f"growth a block towards the input with batch normalisation: {shown}; a theorem puts it at 1 or more for "
    shown += "every activation, so this could only refute, and no verdict is given"
    return Finding("B9", "smooth gradients do not explode, and reach deep layers", Verdict.EXPLORATORY, shown)


def _even(claim: str, part: str, evidence: Evidence, family_size: int) -> Finding:
    """Judge the spread of gradient norms over layers before training, Mish's and Swish's below ReLU's.

    In three settings, six comparisons; where the settings contradict each other, it depends.
    """
    normalised = curves.largest(evidence.get("gradient-flow", ()))
    settings = {"with batch normalisation": curves.spreads(normalised, trained=False)}
    for initial, words in (("he", "He's initial weights"), ("default", "PyTorch's default")):
        records = [r for r in evidence.get("gradient-flow", ()) if r["config"].get("initial") == initial]
        settings[f"without, {words}"] = measurements.measured(records, "spread") if records else {}
    found: dict[str, Verdict] = {}
    shown = []
    for setting, values in settings.items():
        gaps = {
            tables.name_pair(name, "relu"): (measurements.paired(values, name, "relu"), Direction.LOWER)
            for name in ("mish", "swish")
        }
        judged = judge(gaps, family_size)
        found[setting] = together(one.verdict for one in judged.values())
        pairs = "; ".join(f"{name} {measured(one, 'decades')}" for name, one in judged.items())
        shown.append(f"{setting}: {found[setting]} ({pairs})")
    contrary = {Verdict.CONFIRMED, Verdict.REFUTED} <= set(found.values())
    verdict = Verdict.DEPENDS if contrary else together(found.values())
    return Finding(claim, part, verdict, f"largest over smallest norm by layer before training, {'; '.join(shown)}")


def _sizes(records: Sequence[Record]) -> str:
    """Return what the records are, each configuration's network, data, images and epochs once."""
    return "; ".join(sorted({size([record]) for record in records})) or "no record"
