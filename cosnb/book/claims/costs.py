"""Claims P16, P19 and P21: the cost of CoS, by the records of the page `cost`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sympy

from cosnb import activation
from cosnb.book.claims.finding import Evidence, Finding, decide
from cosnb.experiments.diagnostics.cost import NO_SQUARE, over, over_relu
from cosnb.experiments.results import tables
from cosnb.experiments.results.summary import Record, network_title
from cosnb.experiments.statistics import Verdict
from cosnb.symbolic.normal_form import normal_form

Found = dict[str, dict[str, Any]]
NONE = "no record of the page cost"


def by_device(records: Iterable[Record]) -> dict[str, dict[str, Record]]:
    """Return {device, images a step and rounds: {network's name: record}}, CPUs first, networks in the tables' order.

    Records of whole steps (see `whole_steps`) are left out.
    """
    found: dict[str, dict[str, Record]] = {}
    for record in sorted((r for r in records if "execution" not in r["config"]), key=_place):
        found.setdefault(where(record), {})[network_title(record["config"]["network"])] = record
    return found


def by_network(records: Iterable[Record]) -> dict[str, Record]:
    """Return {network's name: record} of `by_device`; with more than one device the name says on which."""
    devices = by_device(records)
    names = {there: _device_name(next(iter(networks.values()))) for there, networks in devices.items()}
    if len(set(names.values())) < len(names):  # one device, several batches
        names = {there: there for there in names}
    return {
        f"{network}, {names[there]}" if len(devices) > 1 else network: record
        for there, networks in devices.items()
        for network, record in networks.items()
    }


def where(record: Record) -> str:
    """Return on what device a cost was measured, with how many images a step and in how many rounds."""
    config, device = record["config"], record.get("device", {})
    threads = f", {device['threads']} thread{'s' * (device['threads'] > 1)}" if "threads" in device else ""
    images = f", {config['batch']:,} images a step" if "batch" in config else ""
    rounds = f", {config['rounds']} rounds" if "rounds" in config else ""
    return f"{_device_name(record)}{threads}{images}{rounds}"


def _device_name(record: Record) -> str:
    return str(record.get("device", {}).get("name", "a device"))


def _place(record: Record) -> tuple[bool, str, int, int]:
    order = [*tables.EXPERIMENTS, record["config"]["network"]]
    place = order.index(record["config"]["network"])
    cuda = record.get("device", {}).get("type") == "cuda"
    return cuda, _device_name(record), record["config"].get("batch", 0), place


def whole_steps(records: Iterable[Record]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return title, head and rows of a table for each device, batch, execution and precision of whole steps.

    A row a contestant, three columns a network, all as ratios to ReLU's: a step as launched, as a CUDA graph, and its
    memory. Median over the rounds; empty where it was not measured, "failed" where it did not run.
    """
    groups: dict[str, dict[str, Found]] = {}
    for record in sorted((r for r in records if "execution" in r["config"]), key=_place):
        config = record["config"]
        way = "compiled" if config["execution"] == "compile" else config["execution"]
        networks = groups.setdefault(f"{where(record)}, {way}, {config['precision']}", {})
        networks[network_title(config["network"])] = record["measured"]
    result = []
    for title, networks in groups.items():
        head = ["", *(f"{network}, {what}" for network in networks for what in ("step", "graph", "memory"))]
        names = dict.fromkeys(name for found in networks.values() for name in found)
        rows = [[name, *(cell for found in networks.values() for cell in _ratios(found, name))] for name in names]
        result.append((title, head, rows))
    return result


def _ratios(found: Found, name: str) -> list[str]:
    if "error" in found.get(name, {}):
        return ["failed", "", ""]
    memory = "peak" if "peak" in found.get("relu", {}) else "saved"
    cells = []
    for what in ("step", "captured", memory):
        there = what in found.get(name, {}) and what in found.get("relu", {})
        cells.append(f"{over(found, name, 'relu', what)[1]:.3f}" if there else "")
    return cells


def proven_equal() -> bool:
    """Say whether CoS's compiled form is the formula as typed in: for either sign of x with t = e^(−|x|) a symbol."""
    cos = activation("cos")
    form = normal_form(cos.expr, cos.x)
    assert form is not None  # CoS is made of sigmoids, so it has one
    t = sympy.Symbol("t", positive=True)
    plain = cos.expr.rewrite(sympy.exp)
    rest = [
        (plain - form.branch_expr(cos.x, negative)).subs(cos.x, sympy.log(t) if negative else -sympy.log(t))
        for negative in (False, True)
    ]
    return all(sympy.cancel(sympy.together(difference)) == 0 for difference in rest)


def findings(records: Sequence[Record]) -> list[Finding]:
    """Return the three claims' parts."""
    evidence = {"cost": records}
    return [*p16(evidence), *p19(evidence), *p21(evidence)]


def p16(evidence: Evidence) -> list[Finding]:
    """CoS trains slowest, because of the square."""
    slowest = "slowest to train, as the formula is typed in"
    square = "because of the square"
    runs = _runs(evidence)
    if not runs:
        return [Finding("P16", part, Verdict.NOT_RESOLVED, NONE) for part in (slowest, square)]
    others = {
        network: [over(found, "cos, plain", f"{name}, plain", "step") for name in ("relu", "swish")]
        for network, found in runs.items()
    }
    shown = "CoS / ReLU " + _listed({network: relu[1] for network, (relu, _) in others.items()})
    shown += "; CoS / Swish " + _listed({network: swish[1] for network, (_, swish) in others.items()})
    lows = [quartiles[0] for pair in others.values() for quartiles in pair]
    highs = [quartiles[2] for pair in others.values() for quartiles in pair]
    slow = _by_quartiles(lows, highs, 1.0)
    return [Finding("P16", slowest, slow, shown), Finding("P16", square, *_because_of_the_square(runs))]


def _because_of_the_square(runs: Mapping[str, Found]) -> tuple[Verdict, str]:
    """Return whether most of CoS's extra time over Swish goes with the square, and how much does."""
    saved = {network: _share_of_square(found) for network, found in runs.items()}
    compiled = {network: over(found, "cos, compiled", "swish, compiled", "step")[1] for network, found in runs.items()}
    shown = "the square's share of CoS's extra time over Swish: " + _listed(saved, ".0%")
    shown += "; with the square, compiled, CoS / Swish " + _listed(compiled)
    sides = {(share > 0.5) - (share < 0.5) for share in saved.values()}
    return (decide(sides == {1}) if sides in ({1}, {-1}) else Verdict.NOT_RESOLVED), shown


def p19(evidence: Evidence) -> list[Finding]:
    """Less computation is possible, which should improve time and accuracy."""
    same = "the compiled form is the same function" if proven_equal() else "the compiled form is not proven the same"
    same += ", which leaves accuracy as it is; another function is not named"
    accuracy = Finding("P19", "accuracy improves", Verdict.NOT_TESTABLE, same)
    runs = _runs(evidence)
    if not runs:
        return [Finding("P19", "time improves", Verdict.NOT_RESOLVED, NONE), accuracy]
    times = {network: over(found, "cos, compiled", "cos, plain", "step") for network, found in runs.items()}
    verdict = _by_quartiles([1 / t[2] for t in times.values()], [1 / t[0] for t in times.values()], 1.0)
    shown = "compiled / plain CoS: " + _listed({network: t[1] for network, t in times.items()})
    return [Finding("P19", "time improves", verdict, shown), accuracy]


def p21(evidence: Evidence) -> list[Finding]:
    """In use accuracy matters more than training time (a preference)."""
    part = "accuracy matters more than the time of training"
    runs = _runs(evidence)
    shown = "a matter of what one wants; "
    if not runs:
        return [Finding("P21", part, Verdict.NOT_TESTABLE, shown + NONE)]
    for kind in ("plain", "compiled"):
        ratios = {network: over_relu(found, f"cos, {kind}", "inference")[1] for network, found in runs.items()}
        shown += f"inference, {kind} CoS / ReLU {_listed(ratios)}; "
    return [Finding("P21", part, Verdict.NOT_TESTABLE, shown.rstrip("; "))]


def _runs(evidence: Evidence) -> dict[str, Found]:
    return {name: record["measured"] for name, record in by_network(evidence.get("cost", ())).items()}


def _listed(values: Mapping[str, float], digits: str = ".2f") -> str:
    return ", ".join(f"{value:{digits}} ({network})" for network, value in values.items())


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
