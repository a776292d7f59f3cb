"""The page "Is CoS more accurate?": which runs count, what the looks say, and every interval recomputed."""

import base64
import json
import math
from typing import Any

import numpy as np
import pytest

from cosnb.book import answers
from cosnb.book.plots import forest, sequence, shares, ticks
from cosnb.experiments import results
from cosnb.experiments.results import answer, images
from cosnb.experiments.statistics import t_interval
from cosnb.paths import repository_root

RATES = {"relu": 0.2, "swish": 0.3, "cos": 0.3, "mish": 0.3}


def run(name: str, seed: int, accuracy: float, right: Any = None, **changes: Any) -> dict[str, Any]:
    """A run's record as far as the page reads it; accuracy in percent."""
    config = {"activation": name, **answer.FULL, "network": "speedrun", "epochs": 20, "lr": RATES.get(name, 0.3)}
    bits = np.zeros(16, bool) if right is None else np.array(right, bool)
    last = {
        "train_seconds": 20.0,
        "test_seconds": 1.0,
        "test_accuracy": accuracy / 100 - 0.01,
        "mirrored_test_accuracy": accuracy / 100,
        "mirrored_test_loss": 0.4,
        "right": base64.b64encode(np.packbits(bits).tobytes()).decode(),
    }
    status = changes.pop("status", "ok")
    return {
        "config": config | changes,
        "seed": seed,
        "status": status,
        "epochs": [last],
        "data": {"test_images": len(bits)},
    }


def experiment(lead: float, seeds: int, spread: float = 0.2) -> list[dict[str, Any]]:
    """Runs of the four arms; CoS leads ReLU by `lead` and Swish by half of it, in points."""
    noise = np.random.default_rng(0).normal(0, spread, (4, seeds))
    leads = {"relu": 0.0, "swish": lead / 2, "cos": lead, "mish": lead}
    return [
        run(name, seed, 89 + at + noise[place, seed])
        for place, (name, at) in enumerate(leads.items())
        for seed in range(seeds)
    ]


def test_the_claimed_leads_are_the_least_of_the_papers_tables() -> None:
    assert answer.claimed("cos", "relu") == 0.46
    assert answer.claimed("cos", "swish") == 0.38


def test_runs_that_count() -> None:
    other: list[dict[str, Any]] = [{"lr": 0.1}, {"held_out": 5000}, {"epochs": 10}, {"train_images": 45_000}]
    other += [{"dataset": "digits"}, {"network": "squeezenet_half"}, {"protocol": "modern"}, {"status": "diverged"}]
    records = [run("cos", 9, 89.0, **changes) for changes in other]
    records += [run("cos", 1, 19.9), run("cos", 2, 20.1), run("cos", 0, 90.0)]
    assert list(answer.runs(records, RATES)["cos"]) == [0, 2]
    half = run("cos", 3, 88.0, network="squeezenet_half", epochs=24)
    assert list(answer.runs([half], RATES, "squeezenet_half")["cos"]) == [3]


def test_blocks_are_whole_and_without_a_gap() -> None:
    records = experiment(0.5, 6)
    assert answer.blocks(answer.runs(records, RATES)) == list(range(6))
    lost = [r for r in records if (r["config"]["activation"], r["seed"]) != ("swish", 2)]
    assert answer.blocks(answer.runs(lost, RATES)) == [0, 1]
    without_mish = [r for r in lost if r["config"]["activation"] != "mish"]
    assert answer.blocks(answer.runs(without_mish, RATES)) == [0, 1], "exploratory arms never decide"


@pytest.mark.parametrize(
    ("lead", "seeds", "head", "said"),
    [
        (1.0, 7, "Not known yet", "7 of the 8 blocks"),
        (1.0, 8, "Yes", "after 8 seeds (lead)"),
        (0.3, 8, "Not known yet", "open"),
        (0.0, 14, "Not by as much", "claimed size excluded"),
        (0.0, 20, "No lead worth naming", "after 14 seeds (claimed size excluded)"),
        (-1.0, 20, "No, it is behind", "after 8 seeds (behind; claimed size excluded)"),
    ],
)
def test_the_answer(lead: float, seeds: int, head: str, said: str) -> None:
    text = answer.answer(answer.runs(experiment(lead, seeds), RATES)).text
    assert text.startswith(f"**{head}"), text
    assert said in text


def test_the_table_of_looks() -> None:
    found = answer.runs(experiment(0.0, 14), RATES)
    lines = str(answer.look_table(found)).splitlines()
    assert lines[2].startswith("| 8 | 99.90 % |")
    assert lines[3].startswith("| 14 | 99.15 % |")
    assert "claimed size excluded" in lines[3]
    assert lines[4] == "| 20 | 97.95 % | not reached |  | not reached |  |"


def test_rates_are_chosen_by_the_mean_of_the_held_out_runs() -> None:
    accuracies = {("relu", 0.1): (86, 88), ("relu", 0.2): (87, 87), ("cos", 0.1): (86, 87), ("cos", 0.5): (88, 86)}
    records = [
        run(name, seed, value, lr=rate, held_out=5000, epochs=10)
        for (name, rate), values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    found = answer.trials([*records, run("cos", 0, 99.0, lr=0.2)])
    assert answer.chosen(found) == {"relu": 0.1, "cos": 0.5}  # of equal ones the lowest
    shown = str(answer.trial_table(found, {"relu": 0.1, "cos": 0.5}))
    assert "| ReLU | **87.00** | 87.00 |  |  |" in shown
    assert "| CoS | 86.50 |  |  | **87.00** |" in shown


def test_a_rate_at_the_end_of_the_grid_is_said() -> None:
    assert answer.at_the_edge({"relu": 0.2, "cos": 0.3}).text == ""
    assert answer.at_the_edge({"relu": 0.1, "cos": 0.3}).text.startswith("ReLU does best at an end")
    assert answer.at_the_edge({"relu": 0.5, "cos": 0.5}).text.startswith("ReLU, CoS do best")


def test_images() -> None:
    records = [
        run("relu", 0, 50, [1, 1, 0, 0]),
        run("relu", 1, 50, [1, 0, 1, 0]),
        run("cos", 0, 50, [1, 1, 0, 0]),
        run("cos", 1, 50, [0, 0, 0, 0]),
    ]
    found = answer.runs(records, RATES)
    assert images.right(records[1]).tolist() == [True, False, True, False]
    assert images.disagreement(found, [0, 1]) == {
        "one activation, two seeds": {"ReLU": 0.5, "CoS": 0.5},
        "two activations, one seed": {"ReLU, CoS": 0.25},
        "two activations, two seeds": {"ReLU, CoS": 0.5},
    }
    lines = str(images.image_table(found, [0, 1])).splitlines()
    assert lines[2:] == ["| ReLU | 2 | 1 | 1 | 2 |", "| CoS | 2 | 0 | 2 | 2 |"]


def test_what_is_beyond_the_primary_contrasts() -> None:
    records = experiment(0.4, 3)
    records += [run(answer.RIVAL, seed, 89.0, lr=0.3) for seed in range(3)]
    records += [run("relu", seed, 88.0, lr=0.3) for seed in range(3)]
    records += [
        run(name, seed, 88.0, network="squeezenet_half", epochs=24) for name in ("relu", "cos") for seed in range(2)
    ]
    found = answer.others(records, RATES)
    names = ["CoS − Mish", "the rival reading − CoS", "the rival reading − Swish", "CoS − ReLU, rate 0.3 for all"]
    assert list(found) == [*names, "CoS − ReLU, SqueezeNet at half width"]
    assert found["CoS − ReLU, SqueezeNet at half width"] == ([0.0, 0.0], 0.46)
    assert np.mean(found["CoS − ReLU, rate 0.3 for all"][0]) > 1
    rows = answer.forest_rows(records, RATES)
    assert [row.primary for row in rows] == [True, True] + [False] * 5
    assert "the rival reading" in str(answer.means(answer.runs(records, RATES | {answer.RIVAL: 0.3})))


def test_before_the_first_look_the_forest_has_pairs_and_no_interval() -> None:
    rows = answer.forest_rows(experiment(0.4, 7), RATES)
    assert [(len(row.gaps), row.interval) for row in rows] == [(7, None)] * 3
    axes = forest(rows).axes[0]
    assert [line.get_marker() for line in axes.lines if line.get_marker() == "o"] == []
    assert "0.46 to 0.77 points over ReLU and 0.38 to 0.64 points over Swish" in answer.reported()


def test_the_figures_show_what_they_are_given() -> None:
    records = experiment(0.4, 9)
    found = answer.runs(records, RATES)
    rows = answer.forest_rows(records, RATES)
    axes = forest(rows).axes[0]
    assert axes.get_yticklabels()[0].get_text() == "CoS − ReLU\nn = 8"
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"] == [0.46, 0.38]
    assert [len(line.get_xdata()) for line in axes.lines if line.get_marker() == "|"] == [8, 8, 9]
    looks = answer.looks(found)
    gaps = answer.primary(found)
    figure = sequence({name: (gaps[name], looks[name], 0.38) for name in gaps})
    assert [axis.get_ylabel() for axis in figure.axes] == ["CoS − ReLU\n(points)", "CoS − Swish\n(points)"]
    values = {name: [answer.accuracy(r) for r in by_seed.values()] for name, by_seed in found.items()}
    assert len(ticks(values, "x").axes[0].get_yticklabels()) == 4
    assert shares(images.disagreement(found, [0, 1]), "x").axes[0].get_xlim()[0] == 0


class TestRecords:
    """What is in the repository."""

    records = results.read(answer.EXPERIMENT)

    def test_the_rates_are_those_that_the_trials_chose(self) -> None:
        found = answer.trials(self.records)
        assert all(len(values) == 2 for by_rate in found.values() for values in by_rate.values())
        assert {name: len(by_rate) for name, by_rate in found.items()} == dict.fromkeys(answer.RATES, 4)
        assert answer.chosen(found) == answer.RATES

    def test_a_record_s_bits_are_its_accuracy(self) -> None:
        for record in self.records:
            if record["status"] == "ok":
                assert images.right(record).mean() == record["epochs"][-1]["mirrored_test_accuracy"]

    def test_printed_intervals_are_those_that_numpy_alone_gives(self) -> None:
        """From the JSON files; the quantile of Student's t by integrating its density."""
        accuracies: dict[str, dict[int, float]] = {}
        for path in (repository_root() / "results" / answer.EXPERIMENT).glob("*.json"):
            record = json.loads(path.read_text())
            config = record["config"]
            own = config["lr"] == answer.RATES.get(config["activation"])
            if own and (config["network"], config["train_images"], config["epochs"]) == ("speedrun", 50_000, 20):
                last = record["epochs"][-1]
                accuracies.setdefault(config["activation"], {})[record["seed"]] = 100 * last["mirrored_test_accuracy"]
        found = answer.runs(self.records, answer.RATES)
        assert {name: len(runs) for name, runs in accuracies.items()} == {n: len(r) for n, r in found.items() if r}
        for first, second in answer.PAIRS:
            for comparison in answer.looks(found)[answer.tables.name_pair(first, second)]:
                gaps = np.array([accuracies[first][s] - accuracies[second][s] for s in range(comparison.n)])
                level = {8: 0.0010, 14: 0.0085, 20: 0.0205}[comparison.n]
                half = quantile(1 - level / 2, comparison.n - 1) * gaps.std(ddof=1) / math.sqrt(comparison.n)
                ends = (comparison.decisive.low, comparison.decisive.high)
                assert ends == pytest.approx((gaps.mean() - half, gaps.mean() + half), abs=1e-6)


def test_the_recomputation_s_quantile_is_student_s() -> None:
    values = [1.0, 2.0, 4.0, 3.5, 2.5]
    expected = t_interval(values, 0.99).half_width
    assert quantile(0.995, 4) * np.std(values, ddof=1) / math.sqrt(5) == pytest.approx(expected, abs=1e-6)


def quantile(p: float, freedom: int) -> float:
    """The p-quantile of Student's t, by Simpson's rule and bisection."""
    log = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)

    def share(end: float) -> float:
        x = np.linspace(0, end, 20_001)
        density = np.exp(log - (freedom + 1) / 2 * np.log1p(x * x / freedom))
        weights = np.where(np.arange(len(x)) % 2, 4, 2)
        weights[[0, -1]] = 1
        return 0.5 + float((weights * density).sum()) * end / 20_000 / 3

    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) < p else (low, middle)
    return low


def test_the_worked_verdict_is_that_of_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "RATES", RATES)
    assert answers.worked({answer.EXPERIMENT: experiment(0.5, 7)}) is None  # the first look takes 8
    found = answers.worked({answer.EXPERIMENT: experiment(6.0, 8)})
    assert found is not None
    text, figure = found
    assert text.startswith("An example: in 8 pairs of runs ")
    assert "The interval lies right of zero; the paper's least lead is +0.38 points. The verdict: **lead**." in text
    shown = [piece.get_text() for piece in figure.axes[0].texts]
    assert [words.partition(",")[0] for words in shown] == ["refuted", "confirmed"]
