"""Choice of an activation: what formulas, times and records say of each candidate, for the page `which-to-choose`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import sympy
import torch

from cosnb.activations import Activation, activation
from cosnb.analysis.findings import show
from cosnb.book.claims.finding import Evidence, measured
from cosnb.display import Markdown, Table
from cosnb.experiments.diagnostics import cost
from cosnb.experiments.results.summary import differences, network_title
from cosnb.experiments.results.tables import EXPERIMENTS, configurations
from cosnb.experiments.statistics import LEAST_RUNS, Comparison, Direction, judge
from cosnb.experiments.training.device import describe_device
from cosnb.kernels import timing

_FADING = ("sigmoid", "tanh")  # their slopes fade, so they are no choice for hidden layers
Ratio = tuple[float, float, float]  # lower quartile, median, upper quartile


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

    def times(self, elements: int, rounds: int) -> dict[str, Ratio]:
        """Return the quartiles of forward and backward's time over ReLU's, over `elements` float32 numbers.

        All take turns in every round; one round more goes before, which compiles.
        """
        x = torch.randn(elements, requires_grad=True)

        def call(function: Activation) -> object:
            return torch.autograd.grad(function(x).sum(), x)

        taken = timing.turns({n: partial(call, f) for n, f in self.activations.items()}, rounds, warm_up=1)
        return {name: timing.quartiles(seconds, taken["relu"]) for name, seconds in taken.items()}

    def operations(self, name: str) -> list[int]:
        """Return the number of operations of f and of f′ in the code that is made of the formula."""
        return [sum(self.activations[name].operations(order)["after"].values()) for order in (0, 1)]

    def cost_table(self, ratios: Mapping[str, Ratio]) -> Table:
        """Return operations, the times of `times`, and what recorded training steps took."""
        rows = []
        for name in self.activations:
            label = f"{name}, compiled"
            recorded = [
                f"{network_title(r['config']['network'])} {cost.over_relu(r['measured'], label, 'step')[1]:.2f}"
                for r in self.evidence.get("cost", [])
                if label in r["measured"]
            ]
            low, middle, high = ratios[name]
            cells = [*self.operations(name), f"{middle:.2f} ({low:.2f} to {high:.2f})"]
            rows.append([self.titles[name], *cells, ", ".join(recorded) or "no record"])
        heads = ["operations of f", "of f′", "time / ReLU, here", "training step / PyTorch's own ReLU, recorded"]
        return Table(["", *heads], rows)

    def cost_sentence(self, ratios: Mapping[str, Ratio]) -> Markdown:
        """Return on what device was measured, and whether operations tell the time of CoS and Swish."""
        line = f"Measured on: {describe_device('cpu')['name']}."
        if {"cos", "swish"} <= set(self.titles):
            line += (
                f" CoS takes {self.operations('cos')[0]} operations where Swish takes {self.operations('swish')[0]}; "
                f"its median time is {ratios['cos'][1] / ratios['swish'][1]:.2f} times Swish's. Operations alone do "
                "not set the time: both move the same memory."
            )
        return Markdown(line)

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

    def advice_table(self, ratios: Mapping[str, Ratio]) -> Table:
        """Return the article's sentences, each with what is known of it."""
        dearer = ", ".join(f"{self.titles[n]} {ratios[n][1]:.2f} × ReLU" for n in self.smooth)
        on_gpu = [r for r in self.evidence.get("cost", []) if str(r["config"]["device"]).startswith("cuda")]
        classes = ", ".join(f"{self.titles[n]} {self.facts[n].smoothness}" for n in ["relu", *self.smooth])
        verdicts = [
            f"{network_title(network)} {self.titles[name]} {one.verdict}"
            for network, family in self.judged.items()
            for name, one in family.items()
            if name in self.smooth
        ]
        return Table(
            ["advice", "known here"],
            [
                ["ReLU: fast and simple", f"median not above ReLU's: {self._cheap(ratios)}; medians: {dearer}"],
                [
                    "ReLU: efficient on a GPU, suits large networks",
                    f"{len(on_gpu)} records of training steps" if on_gpu else "no record",
                ],
                ["ReLU: converges fast", "not measured against Swish and Mish"],
                ["Mish, Swish: continuous, smooth gradient", f"holds: {classes}"],
                ["Mish, Swish: more stable", f"runs that diverged: {', '.join(map(self._diverged, self._trio()))}"],
                ["Mish, Swish: more expressive", "no measure of it is given; not testable"],
                ["Mish, Swish: generalise better", ", ".join(verdicts) or "no record"],
                ["Mish: detection, for example YOLOv4", "YOLOv4's backbone does use Mish; not measured here"],
            ],
        )

    def choice(self, ratios: Mapping[str, Ratio]) -> Markdown:
        """Return by what one may choose, and what that gives."""
        facts, titles = self.facts, self.titles
        never = [n for n in self.hidden if not facts[n].dead]
        alive = [titles[n] for n in never if facts[n].left != 0]

        def least(key: str) -> str:
            values = {n: getattr(facts[n], key) for n in self.hidden}
            return ", ".join(titles[n] for n in values if values[n] == min(values.values()))

        lines = [
            f"Time counts most: {self._cheap(ratios)} (median time not above ReLU's, here).",
            f"No unit may be stuck on an interval: {', '.join(titles[n] for n in never)}.",
            f"Nor may the slope fade on the left: {', '.join(alive) or 'none'}.",
            f"Small changes must stay small: {least('stretch')}.",
            f"The gradient must change slowly: {least('turn')}.",
        ]
        return Markdown("\n".join(f"- {line}" for line in lines))

    def _trio(self) -> Sequence[str]:
        return ["relu", *self.smooth]

    def _cheap(self, ratios: Mapping[str, Ratio]) -> str:
        return ", ".join(self.titles[n] for n in self.hidden if ratios[n][1] <= 1)

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
