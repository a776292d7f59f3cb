"""Tables 1 to 3 of the paper, made again from records."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from cosnb.display import Markdown, Table
from cosnb.experiments.results import paper, tables
from cosnb.experiments.results.frames import epoch_frame
from cosnb.experiments.results.summary import (
    FIGURES,
    METRICS,
    Record,
    Row,
    by_activation,
    figures,
    final_window,
    network_title,
    summarize,
)
from cosnb.experiments.results.tables import ACTIVATIONS, is_full
from cosnb.experiments.statistics import LEAST_RUNS, Interval

if TYPE_CHECKING:
    from pandas import DataFrame

_DIGITS = {"accuracy": 2, "loss": 4}


class PaperTable:
    """A network's table: means beside the paper's numbers, and judged differences.

    Of `records` those of the configuration nearest to the paper's are kept: 50,000 images of CIFAR-10 for 200 epochs.
    `settings` is that configuration without its activation; `groups` has all configurations with their records.
    """

    activations = ACTIVATIONS

    def __init__(self, records: Iterable[Record], network: str) -> None:
        self.network = network
        self.groups = tables.configurations(records)
        self.settings, self.records = self.groups[0] if self.groups else ({}, [])

    @cached_property
    def rows(self) -> list[Row]:
        """The table's rows; see `cosnb.experiments.results.summary.summarize`."""
        return summarize(self.records, activations=ACTIVATIONS)

    @property
    def reported(self) -> dict[str, float]:
        """The paper's accuracies (%) by activation, where the runs are of its length; else none."""
        columns = paper.TABLES[self.network] if self.full else {}
        return {name: column.accuracy for name, column in columns.items()}

    @property
    def full(self) -> bool:
        """Whether the runs have the paper's length, and so answer its table."""
        return bool(self.records) and is_full(self.settings)

    @property
    def size(self) -> str:
        """The runs' images and epochs, in words."""
        if not self.records:
            return "no run"
        return f"{self.settings['train_images']:,} images × {self.settings['epochs']} epochs"

    def frame(self) -> "DataFrame":
        """Return the runs' epochs, one a row; see `cosnb.experiments.results.frames.epoch_frame`."""
        return epoch_frame(self.records)

    def length(self) -> Markdown:
        """Return what must be said before the records are shown: how far they are from the paper's length."""
        if not self.records:
            return Markdown(f"No run of {network_title(self.network)} is here: name it in `networks` to train it.")
        rows = [row for row in self.rows if row.n]
        counts, window = sorted({row.n for row in rows}), final_window(self.settings["epochs"])
        runs = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else "".join(map(str, counts)) or "no finished"
        shown = f"For each activation there are {runs} runs of {self.settings['train_images']:,} images and "
        shown += f"{self.settings['epochs']} epochs. A run's figure is the mean of its last epochs, 5 % of them: here "
        shown += f"the last {window}." if window > 1 else "the final one alone."
        if rows and not self.full:
            means = sorted(row.intervals["accuracy"].mean for row in rows)
            theirs = sorted(column.accuracy for column in paper.TABLES[self.network].values())
            shown += " The paper's runs have 50,000 images and 200 epochs, and accuracies of "
            shown += f"{theirs[0]:.1f} to {theirs[-1]:.1f} %; these reach {means[0]:.0f} to {means[-1]:.0f} %. "
            shown += "**They show how the activations differ early in training, and decide nothing "
            shown += "about the paper's table.**"
        return Markdown(shown)

    def beside_the_paper(self) -> Table:
        """Return means and n beside the paper's numbers."""
        return paper.beside(self.rows, paper.TABLES[self.network])

    def differences(self, metric: str = "accuracy") -> Table:
        """Return CoS − ReLU and CoS − Swish with their intervals, tests and verdicts."""
        judged = tables.judge_table(self.records, self.network, metric)
        return paper.judged_table(judged, _DIGITS[metric], "points" if metric == "accuracy" else "cross-entropy")

    def curve_differences(self) -> Table:
        """Return the same of the means over all epochs, in accuracy and loss, against a sign alone."""
        judged = {
            f"{metric}, {name}": comparison
            for metric in METRICS
            for name, comparison in tables.judge_curves(self.records, metric).items()
        }
        return paper.judged_table(judged, digits=3, unit="points, or loss")

    def conclusion(self, claims: str) -> Markdown:
        """Return the verdicts in this configuration, and on the paper's `claims` by number."""
        if not self.records:
            return self.length()
        records, settings = self.records, self.settings
        judged = tables.judge_table(records, self.network)
        parts = {f"accuracy, {name}": comparison.verdict for name, comparison in judged.items()}
        parts |= tables.loss_verdicts(records, self.network)
        lines = [f"**In this configuration**: {'; '.join(f'{name}: {verdict}' for name, verdict in parts.items())}."]
        if self.full:
            lines.append(
                f"It is the paper's own length, so these are the verdicts on {claims} and on the leads of P15."
            )
        else:
            size = f"{settings['train_images']:,} images and {settings['epochs']} epochs"
            lines.append(
                f"These runs have {size}, not 50,000 of CIFAR-10 and 200: they say how the activations differ early"
            )
            lines.append(
                f"in training, and nothing of the paper's table. **{claims}, and the leads of P15: {tables.OPEN}**, "
                f"for lack of runs at full length: at least {LEAST_RUNS} of each activation are needed."
            )
        return Markdown(" ".join(lines))

    def three_ways(self) -> list[list[Any]]:
        """Return a row for each way of reporting a run: its name, then a difference in accuracy and a verdict each.

        The mean of the last epochs has no row where it is that of the final one alone.
        """
        alone = bool(self.records) and final_window(self.settings["epochs"]) == 1
        rows = []
        for figure, meaning in FIGURES.items():
            if not (alone and figure == "last"):
                judged = tables.judge_table(self.records, self.network, figure=figure).values()
                rows.append([meaning, *(cell for c in judged for cell in (_short(c.interval), c.verdict))])
        return rows


def selection_row(added: Sequence[float]) -> list[Any]:
    """Return n, mean, median and largest of the points that choosing the best epoch adds."""
    return [len(added), *(f"{show(added):.2f}" for show in (fmean, median, max))] if added else [0, *["missing"] * 3]


def selection_effects(records: Iterable[Record]) -> dict[str, list[float]]:
    """Return best − last accuracy (points) of each finished run by activation."""
    runs = by_activation(records)
    effects = {}
    for name in ACTIVATIONS:
        chosen = [figures(record) for record in runs.get(name, {}).values() if record["status"] == "ok"]
        effects[name] = [run["best"]["accuracy"] - run["last"]["accuracy"] for run in chosen]
    return effects


def _short(interval: Interval) -> str:
    if interval.n < 2:
        return "missing" if not interval.n else f"{interval.mean:+.2f} (n = 1)"
    return f"{interval.mean:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"
