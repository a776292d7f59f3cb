"""Claims P16, P19 and P21: the cost of CoS, by the records of the page `cost`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sympy

from cosnb import activation
from cosnb.book.claims.finding import Evidence, Finding
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
    """CoS trains slowest, because of the added squared term."""
    slowest = "slowest to train, as the formula is typed in"
    square = "because of the added term, a squared sigmoid"
    runs = _runs(evidence)
    if not runs:
        return [Finding("P16", part, Verdict.NOT_RESOLVED, NONE) for part in (slowest, square)]
    others = {
        network: [over(found, "cos, plain", f"{name}, plain", "step") for name in ("relu", "swish")]
        for network, found in runs.items()
    }
    shown = "CoS / ReLU " + _listed({network: relu[1] for network, (relu, _) in others.items()})
    shown += "; CoS / Swish " + _listed({network: swish[1] for network, (_, swish) in others.items()})
    swish = [pair[1] for pair in others.values()]
    every = [quartiles for pair in others.values() for quartiles in pair]
    return [
        Finding("P16", slowest, _above_one(every), shown),
        Finding("P16", square, _above_one(swish), _because_of_the_term(runs)),
    ]


def _because_of_the_term(runs: Mapping[str, Found]) -> str:
    """Say what of CoS's extra time over Swish goes with the squaring alone, and what is left of it when compiled."""
    saved = {network: _share_of_square(found) for network, found in runs.items()}
    compiled = {network: over(found, "cos, compiled", "swish, compiled", "step")[1] for network, found in runs.items()}
    shown = "CoS is Swish and that term, so what it takes longer than Swish is the term's; of it the squaring alone "
    return shown + f"takes {_listed(saved, '.0%')}; compiled, CoS / Swish is {_listed(compiled)}"


def p19(evidence: Evidence) -> list[Finding]:
    """Another function in place of the square takes less computation, which should improve time and accuracy."""
    time = "time improves, with CoS without its square for one"
    shown = "the paper names no function to train instead"
    accuracy = Finding("P19", "accuracy improves", Verdict.NOT_TESTABLE, shown)
    runs = _runs(evidence)
    if not runs:
        return [Finding("P19", time, Verdict.NOT_RESOLVED, NONE), accuracy]
    times = {network: over(found, "cos, plain", NO_SQUARE, "step") for network, found in runs.items()}
    shown = f"CoS / {NO_SQUARE}: {_listed({network: found[1] for network, found in times.items()})}"
    compiled = {network: over(found, "cos, plain", "cos, compiled", "step")[1] for network, found in runs.items()}
    same = "the same function" if proven_equal() else "not proven the same function"
    shown += f"; compiled, which is {same} and so no answer to this: plain / compiled CoS {_listed(compiled)}"
    return [Finding("P19", time, _above_one(list(times.values())), shown), accuracy]


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


def _above_one(ratios: Sequence[tuple[float, float, float]]) -> Verdict:
    """Confirmed where every lower quartile lies above 1, refuted where some upper one lies below, else open."""
    if all(low > 1 for low, _, _ in ratios):
        return Verdict.CONFIRMED
    return Verdict.REFUTED if any(high < 1 for _, _, high in ratios) else Verdict.NOT_RESOLVED


def _share_of_square(found: Found) -> float:
    """Return (CoS − CoS without its square) / (CoS − Swish), of plain medians over plain ReLU's."""
    middle = {label: over_relu(found, label, "step")[1] for label in ("cos, plain", "swish, plain", NO_SQUARE)}
    extra = middle["cos, plain"] - middle["swish, plain"]
    return (middle["cos, plain"] - middle[NO_SQUARE]) / extra if extra else 0.0
