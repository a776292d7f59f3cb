"""Tables 1 to 3 of the paper together: every lead of CoS that they report, beside what records show."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from cosnb.display import Markdown, Table, typeset
from cosnb.experiments import results
from cosnb.experiments.results import answer, tables
from cosnb.experiments.results.paper_table import PaperTable, selection_effects, selection_row
from cosnb.experiments.results.summary import Record, Row, data_title, differences, network_title, title
from cosnb.experiments.statistics import ALPHA, Comparison, Interval, compare, t_interval

OTHERS = ("speedrun", "squeezenet_half", "speedrun_wide")  # small networks trained well


@dataclass(frozen=True)
class Lead:
    """A lead of CoS over another activation in one network: `interval` (points) is ours, `claimed` the paper's.

    `length`: how the runs were trained. `long`: whether they answer their question, which is a table of the paper or,
    in another network, whether its result is general.
    """

    network: str
    pair: str
    interval: Interval
    claimed: float
    length: str
    long: bool


class PaperTables:
    """The three tables by network.

    `records`: {network: records} of networks trained just now; the records of the others are read.
    """

    experiments = tables.EXPERIMENTS

    def __init__(self, records: Mapping[str, Iterable[Record]] | None = None) -> None:
        given = records or {}
        self._tables = {
            network: PaperTable(given[network] if network in given else results.read(name), network)
            for network, name in self.experiments.items()
        }

    def __getitem__(self, network: str) -> PaperTable:
        return self._tables[network]

    @property
    def records(self) -> list[Sequence[Record]]:
        """The records that the tables and the leads show, one group for each network."""
        return [group for group in (*(table.records for table in self._tables.values()), *self._beside()[1]) if group]

    def _beside(self) -> tuple[dict[str, dict[str, Comparison]], list[Sequence[Record]]]:
        """Return the judgements of `elsewhere` and their records, a group a network."""
        records = results.read(answer.EXPERIMENT)
        judged = elsewhere(records)
        runs = (answer.runs(records, answer.RATES, network) for network in judged)
        return judged, [[record for by_seed in found.values() for record in by_seed.values()] for found in runs]

    def leads(self) -> list[Lead]:
        """Return CoS − ReLU and CoS − Swish in the paper's networks, then in small networks trained well.

        Each interval is the one that decides: at the level for two comparisons, or at that of the last look reached.
        """
        found = []
        for network, table in self._tables.items():
            judged = tables.judge_table(table.records, network).values()
            for pair, one in zip(tables.PAIRS, judged, strict=True):
                found.append(_lead(network, pair, one, tables.claimed(network, *pair), table.size, table.full))
        for network, by_pair in self._beside()[0].items():
            length = f"50,000 images × {answer.EPOCHS[network]} epochs"
            for pair, one in zip(tables.PAIRS, by_pair.values(), strict=True):
                found.append(_lead(network, pair, one, answer.claimed(*pair), length, True))
        return found

    def opening(self) -> Markdown:
        """Return in words what the records of each network show, and what short runs cannot show."""
        full: list[str] = []
        apart: list[str] = []
        even: list[str] = []
        for network, table in self._tables.items():
            where = network_title(network)
            if table.full:
                judged = tables.judge_table(table.records, network).items()
                full.append(f"{where}: {', '.join(f'{n} {answer.show(c.decisive)} ({c.verdict})' for n, c in judged)}.")
            elif table.records:
                groups = _apart(table)
                (apart if groups else even).append(f"{groups} in {where}" if groups else where)
        short = [*apart, *([f"in {' and '.join(even)} no group of activations is clearly ahead"] if even else [])]
        if short:
            full = full or ["None of the three has been run again at its full length yet."]
            full.append(
                f"In the shorter runs recorded so far, {'; '.join(short)}. Short runs show how the activations "
                "differ early in training; they decide nothing about the paper's tables."
            )
        return Markdown(typeset(" ".join(full)) or "No run of these networks is here yet; the cells below train them.")

    def configurations(self) -> Table:
        """Return a table of the configurations that have records, network by network, with their numbers of runs."""
        rows = [
            [network_title(n), data_title(s["dataset"]), f"{s['train_images']:,}", s["epochs"], s["precision"], len(r)]
            for n, table in self._tables.items()
            for s, r in table.groups
        ]
        return Table(["network", "data", "training images", "epochs", "precision", "runs"], rows)

    def three_ways(self) -> Table:
        """Return a table of differences in accuracy with their verdicts, by each convention of reporting a run."""
        rows = []
        for table in self._tables.values():
            rows += [[network_title(table.network), *row] for row in table.three_ways()]
        heads = [cell for pair in tables.PAIRS for cell in (f"{tables.name_pair(*pair)} (points)", "verdict")]
        return Table(["network", "reported", *heads], rows)

    def selection(self) -> Table:
        """Return a table of best epoch on the test set − mean of the last epochs: what choosing that epoch adds.

        The difference is never below 0 and often 0, so its median and largest value are shown, not an interval of its
        mean.
        """
        rows = [
            [network_title(network), title(name), *selection_row(added)]
            for network, table in self._tables.items()
            for name, added in selection_effects(table.records).items()
        ]
        return Table(["network", "", "n", "mean (points)", "median", "largest"], rows)


def elsewhere(records: Sequence[Record]) -> dict[str, dict[str, Comparison]]:
    """Return {network: {pair: its judgement}} of small networks trained well that have reached a look."""
    found = {}
    for network in OTHERS:
        runs = answer.runs(records, answer.RATES, network)
        if network == "speedrun":
            judged = {name: looks[-1] for name, looks in answer.looks(runs).items() if looks}
        else:  # one look, at the end
            gaps = {pair: answer.contrast(runs, *pair) for pair in tables.PAIRS}
            judged = {
                tables.name_pair(*pair): compare(values, answer.claimed(*pair), ALPHA / len(gaps), points=True)
                for pair, values in gaps.items()
                if len(values) >= answer.LEAST_BLOCKS
            }
        if len(judged) == len(tables.PAIRS):
            found[network] = judged
    return found


def _lead(network: str, pair: tuple[str, str], judged: Comparison, claimed: float, length: str, long: bool) -> Lead:
    return Lead(network, tables.name_pair(*pair), judged.decisive, claimed, length, long)


def _apart(table: PaperTable) -> str:
    """Return which activations are ahead of the others, and by how much; nothing where an interval between holds 0."""
    rows = sorted((row for row in table.rows if row.n > 1), key=lambda row: -row.intervals["accuracy"].mean)
    means = [row.intervals["accuracy"].mean for row in rows]
    if len(rows) < 2:
        return ""
    cut = max(range(1, len(rows)), key=lambda place: means[place - 1] - means[place])
    gaps = [
        t_interval(list(differences(table.records, above.activation, below.activation).values()))
        for above, below in product(rows[:cut], rows[cut:])
    ]
    if any(gap.low <= 0 for gap in gaps):
        return ""
    sizes = sorted(gap.mean for gap in gaps)
    return f"{_names(rows[:cut])} are {sizes[0]:.1f} to {sizes[-1]:.1f} points ahead of {_names(rows[cut:])}"


def _names(rows: Sequence[Row]) -> str:
    return " and ".join(title(row.activation) for row in rows)
