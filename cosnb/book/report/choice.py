"""Choice of an activation: what formulas, times and records say of each candidate, for the page `which-to-choose`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy

from cosnb.activations import Activation, activation
from cosnb.analysis.findings import show
from cosnb.book.claims import costs
from cosnb.book.claims.finding import Evidence, measured
from cosnb.display import Markdown, Table
from cosnb.experiments.diagnostics import cost
from cosnb.experiments.results import answer
from cosnb.experiments.results.summary import differences, network_title
from cosnb.experiments.results.tables import EXPERIMENTS, configurations
from cosnb.experiments.statistics import LEAST_RUNS, Comparison, Direction, judge

_FADING = ("sigmoid", "tanh")  # their slopes fade, so they are no choice for hidden layers


@dataclass(frozen=True)
class Facts:
    """Properties of a formula: of f its class, range and least Lipschitz constant; of f′ the rest."""

    smoothness: str
    dead: list[sympy.Set]  # intervals on which the slope is 0
    left: sympy.Expr  # limit of the slope for x → −∞
    stretch: sympy.Expr
    turn: sympy.Expr  # the slope's Lipschitz constant
    range: sympy.Set


@dataclass(frozen=True)
class Candidates:
    """Activations to choose from, and the records that say something of them.

    names: of the catalogue, with commas between, "relu" among them.
    """

    names: str
    evidence: Evidence = field(repr=False)

    @cached_property
    def activations(self) -> dict[str, Activation]:
        """The activations by name."""
        return {name: activation(name) for name in self.names.split(",")}

    @cached_property
    def titles(self) -> dict[str, str]:
        """Their titles by name."""
        return {name: one.formula.title for name, one in self.activations.items()}

    @cached_property
    def facts(self) -> dict[str, Facts]:
        """What follows from the formulas, by name."""
        return {name: _facts(one) for name, one in self.activations.items()}

    @property
    def hidden(self) -> list[str]:
        """The names of those whose slope does not fade, which hidden layers can use."""
        return [name for name in self.titles if name not in _FADING]

    @property
    def smooth(self) -> list[str]:
        """Swish and Mish, where they are among the candidates."""
        return [name for name in ("swish", "mish") if name in self.titles]

    def fact_table(self) -> Table:
        """Return what follows from the formulas, a candidate a row."""
        rows = []
        for name, fact in self.facts.items():
            shown = [", ".join(map(show, fact.dead)) or "nowhere"]
            shown += [show(value) for value in (fact.left, fact.stretch, fact.turn, fact.range)]
            rows.append([self.titles[name], fact.smoothness, *shown])
        return Table(["", "class", "dead on", "slope far left", "stretch", "turn", "outputs"], rows)

    def operations(self, name: str) -> list[int]:
        """Return the number of operations of f and of f′ in the code that is made of the formula."""
        return [sum(self.activations[name].operations(order)["after"].values()) for order in (0, 1)]

    @cached_property
    def steps(self) -> dict[str, dict[str, float]]:
        """Recorded time of a training step, compiled, over that of PyTorch's own ReLU, by name and network."""
        found: dict[str, dict[str, float]] = {}
        for network, record in costs.by_network(self.evidence.get("cost", ())).items():
            for name in self.titles:
                if name == "relu":
                    found.setdefault(name, {})[network] = 1.0
                elif f"{name}, compiled" in record["measured"]:
                    ratio = cost.over_relu(record["measured"], f"{name}, compiled", "step")[1]
                    found.setdefault(name, {})[network] = ratio
        return found

    def trade(self) -> dict[str, tuple[list[float], list[float]]]:
        """Return {name: (recorded steps over ReLU's, a network each; accuracies of small networks, a run each)}."""
        runs = answer.runs(self.evidence.get(answer.EXPERIMENT, ()), answer.RATES)
        values = answer.accuracies(runs)
        return {n: (list(by_network.values()), values[n]) for n, by_network in self.steps.items() if n in values}

    def cost_table(self) -> Table:
        """Return operations, and what recorded training steps took, a network a column."""
        networks = list(dict.fromkeys(network for by_network in self.steps.values() for network in by_network))
        rows = []
        for name in self.activations:
            found = self.steps.get(name, {})
            cells = [f"{found[network]:.2f}" if network in found else None for network in networks]
            rows.append([self.titles[name], *self.operations(name), *cells])
        return Table(["", "operations of f", "of f′", *networks], rows)

    def cost_sentence(self) -> Markdown:
        """Return whether operations tell the time of CoS and Swish."""
        if not {"cos", "swish"} <= self.steps.keys():
            return Markdown("")
        return Markdown(
            f"CoS takes {self.operations('cos')[0]} operations where Swish takes {self.operations('swish')[0]}; a step "
            f"takes {self._span('cos')} times as long as with ReLU, and with Swish {self._span('swish')} times. "
            "Operations alone do not set the time: both move the same memory."
        )

    @cached_property
    def judged(self) -> dict[str, dict[str, Comparison]]:
        """Each candidate's accuracy minus ReLU's by network and name, a family a network, against a sign."""
        found: dict[str, dict[str, Comparison]] = {}
        for network, experiment in EXPERIMENTS.items():
            if groups := configurations(self.evidence.get(experiment, [])):
                gaps = {n: differences(groups[0][1], n, "relu") for n in self.titles if n != "relu"}
                family = {n: (list(gap.values()), Direction.HIGHER) for n, gap in gaps.items() if gap}
                found[network] = judge(family)
        return found

    def accuracy_table(self) -> Table:
        """Return the comparisons of `judged`, a row each."""
        rows = []
        for network, experiment in EXPERIMENTS.items():
            if network not in self.judged:
                rows.append([network_title(network), "no record"])
                continue
            config = configurations(self.evidence[experiment])[0][0]
            runs = f"{config['train_images']:,} images, {config['epochs']} epochs"
            for name, found in self.judged[network].items():
                row = [network_title(network), self.titles[name], runs, measured(found, ""), str(found.verdict)]
                rows.append(row)
        return Table(["network", "", "runs", "minus ReLU", "better than ReLU?"], rows)

    def accuracy_sentence(self) -> Markdown:
        """Return how many comparisons have which verdict, who has no record, and where there are too few runs."""
        found = [(name, one) for family in self.judged.values() for name, one in family.items()]
        verdicts = [str(one.verdict) for _, one in found]
        counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in sorted(set(verdicts)))
        missing = [self.titles[n] for n in self.titles if n != "relu" and n not in dict(found)]
        few = "".join(
            f" With n = {n} nothing is confirmed, even where the interval excludes 0: the rule asks for {LEAST_RUNS} "
            "runs at least."
            for n in sorted({one.interval.n for _, one in found})
            if n < LEAST_RUNS
        )
        return Markdown(
            f"Of these comparisons: {counts or 'none'}. No record at all: {', '.join(missing) or 'none'}.{few}"
        )

    def advice_table(self) -> Table:
        """Return the article's sentences, each with what is known of it."""
        dearer = ", ".join(f"{self.titles[n]} {self._span(n)}" for n in self.smooth if n in self.steps)
        on_gpu = [r for r in self.evidence.get("cost", []) if str(r["config"]["device"]).startswith("cuda")]
        classes = ", ".join(f"{self.titles[n]} {self.facts[n].smoothness}" for n in ["relu", *self.smooth])
        return Table(
            ["advice", "known here"],
            [
                ["ReLU: fast and simple", f"holds: a step takes, over ReLU's, {dearer}" if dearer else "no record"],
                [
                    "ReLU: efficient on a GPU, suits large networks",
                    f"{len(on_gpu)} records of training steps" if on_gpu else "not measured on a GPU",
                ],
                ["ReLU: converges fast", "not measured against Swish and Mish"],
                ["Mish, Swish: continuous, smooth gradient", f"holds: {classes}"],
                ["Mish, Swish: more stable", f"runs that diverged: {', '.join(map(self._diverged, self._trio()))}"],
                ["Mish, Swish: more expressive", "no measure of it is given; not testable"],
                ["Mish, Swish: generalise better", self._generalise()],
                ["Mish: detection, for example YOLOv4", "YOLOv4's backbone does use Mish; not measured here"],
            ],
        )

    def choice(self) -> Markdown:
        """Return by what one may choose, and what that gives."""
        facts, titles = self.facts, self.titles
        never = [n for n in self.hidden if not facts[n].dead]
        alive = [titles[n] for n in never if facts[n].left != 0]
        slower = ", ".join(f"{titles[n]} {self._span(n)}" for n in self.steps if n != "relu")

        def least(key: str) -> str:
            values = {n: getattr(facts[n], key) for n in self.hidden}
            return ", ".join(titles[n] for n in values if values[n] == min(values.values()))

        lines = [
            f"Time counts most: ReLU (a training step over ReLU's, compiled: {slower or 'no record'}).",
            f"No unit may be stuck on an interval: {', '.join(titles[n] for n in never)}.",
            f"Nor may the slope fade on the left: {', '.join(alive) or 'none'}.",
            f"Small changes must stay small: {least('stretch')}; the gradient must change slowly: {least('turn')}.",
        ]
        return Markdown("\n".join(f"- {line}" for line in lines))

    def _generalise(self) -> str:
        """Return the verdicts on Swish's and Mish's accuracy against ReLU's, counted."""
        found = [one.verdict for family in self.judged.values() for name, one in family.items() if name in self.smooth]
        counts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(map(str, found)).most_common())
        return f"of {len(found)} comparisons with ReLU: {counts}" if found else "no record"

    def _span(self, name: str) -> str:
        """Return the least and the greatest of the recorded steps over ReLU's."""
        low, high = (f"{end(self.steps[name].values()):.2f}" for end in (min, max))
        return low if low == high else f"{low} to {high}"

    def _trio(self) -> Sequence[str]:
        return ["relu", *self.smooth]

    def _diverged(self, name: str) -> str:
        runs = [r for found in self.evidence.values() for r in found if r["epochs"]]
        own = [r["status"] for r in runs if r["config"]["activation"] == name]
        return f"{self.titles[name]} {own.count('diverged')} of {len(own)}"


def _facts(function: Activation) -> Facts:
    found, slope = function.properties(), function.properties(1)
    value: dict[str, Any] = {key: finding.value for key, finding in found.items()}
    return Facts(
        smoothness=value["smoothness"],
        dead=[place for place in slope["roots"].value if isinstance(place, sympy.Set)],
        left=value["derivative_limits"][0],
        stretch=value["lipschitz"],
        turn=slope["lipschitz"].value,
        range=value["range"],
    )
