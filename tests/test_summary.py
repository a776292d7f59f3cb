"""Summaries of records: windows, figures, groups and rows, from records small enough to sum by hand."""

import math
import statistics

import pytest

from cosnb.errors import CosnbError
from cosnb.experiments.results.summary import (
    by_activation,
    differences,
    figures,
    final_window,
    group,
    markdown,
    summarize,
)

SECONDS = (9.0, 1.0, 1.2, 1.1)  # the first epoch compiles


def record(activation="cos", seed=0, accuracies=(0.5, 0.8, 0.9, 0.7), losses=(1.5, 0.7, 0.4, 0.6), **changes):
    settings = {"network": "squeezenet", "activation": activation, "epochs": len(accuracies), "lr": 0.001}
    return {
        "config": settings | changes.pop("config", {}),
        "seed": seed,
        "status": "ok",
        "epochs": [
            {"epoch": i + 1, "test_accuracy": a, "test_loss": b, "train_seconds": SECONDS[i % 4]}
            for i, (a, b) in enumerate(zip(accuracies, losses, strict=True))
        ],
        "timing": {"method": "wall clock", "total_seconds": 1.0},
        "device": {"name": "a GPU"},
        "code_digest": "c0de",
    } | changes


@pytest.mark.parametrize(("epochs", "window"), [(1, 1), (8, 1), (20, 1), (40, 2), (60, 3), (100, 5), (200, 10)])
def test_final_window_is_5_percent_and_at_least_1(epochs, window):
    assert final_window(epochs) == window


class TestFigures:
    def test_of_four_epochs(self):
        chosen = figures(record())
        assert chosen["last"] == chosen["final"] == pytest.approx({"accuracy": 70.0, "loss": 0.6})
        assert chosen["best"] == pytest.approx({"accuracy": 90.0, "loss": 0.4})

    def test_last_is_the_mean_of_the_last_10_of_200(self):
        accuracies = [0.1] * 190 + [0.80, 0.82] * 5
        losses = [2.0] * 190 + [0.4, 0.5] * 5
        chosen = figures(record(accuracies=accuracies, losses=losses))
        assert chosen["last"] == pytest.approx({"accuracy": 81.0, "loss": 0.45})
        assert chosen["final"] == pytest.approx({"accuracy": 82.0, "loss": 0.5})

    def test_best_takes_each_metric_by_itself(self):
        chosen = figures(record(accuracies=(0.6, 0.9, 0.5, 0.5), losses=(0.3, 0.7, 0.8, 0.9)))
        assert chosen["best"] == pytest.approx({"accuracy": 90.0, "loss": 0.3})

    @pytest.mark.parametrize("changes", [{"status": "diverged"}, {"status": "failed"}, {"config": {"epochs": 5}}])
    def test_an_unfinished_run_has_none(self, changes):
        with pytest.raises(CosnbError, match=r"cos, seed 0, is .* after 4 of"):
            figures(record(**changes))


class TestGroups:
    def test_by_configuration_without_activation(self):
        one, two, other = record("cos"), record("relu", 3), record("cos", config={"lr": 0.1})
        groups = group([one, other, two])
        assert [settings["lr"] for settings, _ in groups] == [0.001, 0.1]
        assert all("activation" not in settings for settings, _ in groups)
        assert [members for _, members in groups] == [[one, two], [other]]

    def test_two_configurations_in_one_table_are_refused_by_name(self):
        with pytest.raises(CosnbError, match="differ in lr, precision,"):
            summarize([record(), record("relu", config={"lr": 0.1, "precision": "bfloat16"})])

    def test_a_doubled_run_is_refused(self):
        with pytest.raises(CosnbError, match="two records of cos, seed 4"):
            by_activation([record(seed=4), record(seed=4)])

    def test_no_records(self):
        assert by_activation([]) == {}
        assert summarize([]) == []


class TestTable:
    def runs(self):
        finals = {"relu": (0.86, 0.87, 0.88), "cos": (0.88, 0.87, 0.92)}
        return [
            record(name, seed, (0.5, 0.8, 0.95, final), (1.5, 0.7, 0.4, 1 - final))
            for name, values in finals.items()
            for seed, final in enumerate(values)
        ]

    def test_rows_by_hand(self):
        relu, cos = summarize(self.runs())
        assert (relu.activation, relu.n, relu.seeds) == ("relu", 3, (0, 1, 2))
        accuracy = relu.intervals["accuracy"]
        assert (accuracy.mean, accuracy.sd) == pytest.approx((87.0, 1.0))
        assert accuracy.half_width == pytest.approx(2.484138, abs=1e-6)  # 4.302653 / √3
        assert cos.values["accuracy"] == pytest.approx({0: 88.0, 1: 87.0, 2: 92.0})
        assert cos.intervals["loss"].mean == pytest.approx(statistics.mean([0.12, 0.13, 0.08]))
        assert (cos.diverged, cos.failed, cos.missing) == ((), (), ())
        assert cos.seconds_per_epoch == pytest.approx(1.15)  # median of 9, 1, 1.2, 1.1: one slow epoch moves nothing

    def test_the_figure_asked_for(self):
        assert summarize(self.runs(), "best")[0].intervals["accuracy"].mean == pytest.approx(95.0)
        with pytest.raises(CosnbError, match="'median': choose one of last, final, best"):
            summarize(self.runs(), "median")

    def test_missing_diverged_and_failed_runs_are_shown_and_not_averaged(self):
        runs = [*self.runs(), record("cos", 3, (0.1,), (math.nan,), status="diverged", config={"epochs": 4})]
        runs.append(record("cos", 5, (), (), status="failed", config={"epochs": 4}))
        relu, cos = summarize(runs)
        assert (cos.n, cos.diverged, cos.failed, cos.missing) == (3, (3,), (5,), ())
        assert cos.intervals["accuracy"].mean == pytest.approx(89.0)
        assert relu.missing == (3, 5)

    def test_planned_seeds_and_activations_fix_the_rows(self):
        cos, mish = summarize(self.runs(), activations=("cos", "mish"), seeds=range(1, 5))
        assert (cos.seeds, cos.missing) == ((1, 2), (3, 4))
        assert (mish.n, mish.missing) == (0, (1, 2, 3, 4))
        assert math.isnan(mish.intervals["accuracy"].mean)
        assert math.isnan(mish.seconds_per_epoch)

    def test_differences_pair_by_seed_in_points(self):
        runs = [run for run in self.runs() if (run["config"]["activation"], run["seed"]) != ("relu", 1)]
        assert differences(runs, "cos", "relu") == pytest.approx({0: 2.0, 2: 4.0})
        assert differences(runs, "relu", "cos", "loss") == pytest.approx({0: 0.02, 2: 0.04})
        assert differences(runs, "cos", "mish") == {}
        with pytest.raises(CosnbError, match="'error'"):
            differences(runs, "cos", "relu", "error")


class TestMarkdown:
    def test_complete_table(self):
        lines = markdown(summarize(TestTable().runs())).split("\n")
        assert len(lines) == 4
        assert lines[2] == "| ReLU | 3 | 87.00\u00a0±\u00a02.48 | 1.00 | 0.1300\u00a0±\u00a00.0248 | 0.0100 | 1.15 |"
        assert lines[3].startswith("| CoS | 3 | 89.00\u00a0±\u00a0")

    def test_gaps_are_written_out(self):
        runs = [record("cos", 0), record("cos", 1, status="diverged"), record("a*x*sigmoid(x)", 0)]
        lines = markdown(summarize(runs, activations=("cos", "a*x*sigmoid(x)", "mish"))).split("\n")
        assert lines[2].startswith("| CoS | 1 | 70.00\u00a0±\u00a0? | ? | 0.6000\u00a0±\u00a0? | ? | 1.15 |")
        assert lines[2].endswith("| 1 diverged (seed 1) |")
        assert lines[3].startswith(r"| a\*x\*sigmoid(x) | 1 |")
        assert lines[3].endswith("| 1 missing (seed 1) |")
        assert lines[4] == "| Mish | 0 | missing | ? | missing | ? | missing | 2 missing (seed 0, 1) |"
        assert len({line.count(" | ") for line in lines}) == 1
