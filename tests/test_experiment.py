"""The face of an experiment: its configurations, its records kept or not, and frames of them."""

import subprocess
import sys

import pytest
from synthetic import full_table, run

from cosnb.errors import CosnbError
from cosnb.experiments import Experiment, paired_difference, provenance, results
from cosnb.experiments.results.frames import epoch_frame, run_frame
from cosnb.experiments.results.summary import FIGURES, differences, summarize
from cosnb.experiments.runner.runs import run_missing
from cosnb.experiments.statistics import t_interval
from cosnb.experiments.training.device import multiplies_bfloat16

SHORT = {"dataset": "digits", "train_images": 64, "protocol": "depth", "depth": 1, "epochs": 2, "batch_size": 32}


@pytest.fixture(autouse=True)
def records_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COSNB_RESULTS", str(tmp_path))
    return tmp_path


def small(name="own", activations="relu,cos", **changes):
    return Experiment(name, "depth_mlp", activations, **SHORT | changes)


def test_configurations_are_those_of_every_network_point_and_activation() -> None:
    rates = {"relu": 0.1, "cos": 0.2}
    points = [{"lr": rates}, {"gain": 2.0}]
    experiment = Experiment("own", "squeezenet,mobilenet_v2", "relu,cos", "digits", 64, points=points, batch_size=32)
    found = [(c.network, c.lr, c.gain, c.activation) for c in experiment.configs]
    by_point = [(0.1, 1.0, "relu"), (0.2, 1.0, "cos"), (0.001, 2.0, "relu"), (0.001, 2.0, "cos")]
    assert found == [(network, *rest) for network in ("squeezenet", "mobilenet_v2") for rest in by_point]
    assert {(c.dataset, c.train_images) for c in experiment.configs} == {("digits", 64)}


def test_runs_on_part_of_the_test_images_are_runs_of_their_own(records_folder) -> None:
    part, whole = small(activations="cos", test_images=30), small(activations="cos")
    (mine,), (other,) = part.configs, whole.configs
    assert (mine.test_images, other.test_images) == (30, 0)
    assert "test_images" not in other.as_dict()  # so that the digests of all earlier records hold
    assert mine.digest() != other.digest()
    assert part.train([0]) == whole.train([0]) == 1
    found = {record["config"].get("test_images"): record for record in whole.records}
    assert {asked: record["data"]["test_images"] for asked, record in found.items()} == {30: 30, None: 360}
    assert "Tested on the first 30 test images." in str(provenance([found[30]]))
    assert "Tested on all 360 test images." in str(provenance([found[None]]))
    with pytest.raises(
        CosnbError, match=r"asks for 64 images of digits, the data given are .*, tested on the first 30"
    ):
        run_missing("own", [other], [1], part.images, "cpu")


def test_a_points_network_goes_before_the_experiments() -> None:
    points = [{"network": "speedrun", "epochs": 2}, {"network": "squeezenet_half", "epochs": 3}]
    experiment = Experiment("own", "speedrun", ["cos"], "digits", 128, points=points, batch_size=32)
    assert [(c.network, c.epochs) for c in experiment.configs] == [("speedrun", 2), ("squeezenet_half", 3)]


def test_automatic_precision_is_bfloat16_for_speedruns_where_the_device_multiplies_it() -> None:
    def precision(**settings):
        return Experiment("own", "speedrun", ["cos"], "digits", 512, **settings).configs[0].precision

    device = Experiment("own").device
    assert precision(protocol="speedrun") == ("bfloat16" if multiplies_bfloat16(device) else "float32")
    assert precision(protocol="speedrun", precision="float32") == "float32"
    assert device == "cuda" or precision(protocol="paper") == "float32"


def test_runs_that_are_not_kept_leave_no_record(records_folder) -> None:
    experiment = small()
    assert experiment.records == []
    assert experiment.train("0:2", keep=False) == 4
    assert list(records_folder.iterdir()) == []
    assert len(experiment.records) == len(experiment.unkept) == 4
    assert experiment.training_losses().count("CoS: training loss ") == 2
    assert experiment.train("0:2", keep=False) == 0


def test_kept_runs_are_trained_once_and_shown_before_others() -> None:
    assert small().train([0], keep=False) == 2
    experiment = small()
    assert experiment.train([0]) == 2
    assert small().train([0, 1]) == 2
    assert experiment.unkept == []
    assert experiment.training_losses() == ""
    assert experiment.records == results.read("own")
    assert str(provenance(experiment.records)).startswith("*4 runs, recorded 20")


def test_a_frame_holds_every_epoch() -> None:
    experiment = small(activations="cos")
    experiment.train([3], keep=False)
    frame = experiment.frame()
    [record] = experiment.records
    assert list(frame.epoch) == [1, 2]
    assert set(frame.activation) == {"cos"}
    assert set(frame.seed) == {3}
    assert list(frame.accuracy) == [100 * entry["test_accuracy"] for entry in record["epochs"]]
    assert list(frame.loss) == [entry["test_loss"] for entry in record["epochs"]]
    assert list(frame.train_accuracy) == [100 * entry["train_accuracy"] for entry in record["epochs"]]


def noisy():
    records = full_table("squeezenet", noise=0.5)
    for place, record in enumerate(records):
        for entry in record["epochs"]:
            entry["test_accuracy"] += 1e-4 * ((entry["epoch"] * 7 + place) % 11)
            entry["test_loss"] += 1e-3 * ((entry["epoch"] * 5 + place) % 13)
    return [r for r in records if (r["config"]["activation"], r["seed"]) != ("relu", 2)]


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_frames_agree_with_the_tables_rows(figure, metric) -> None:
    records = noisy()
    frame = epoch_frame(records)
    for row in summarize(records, figure):
        assert dict(run_frame(frame, figure)[metric][row.activation]) == pytest.approx(row.values[metric], rel=1e-12)
    expected = t_interval(list(differences(records, "cos", "relu", metric, figure).values()))
    found = paired_difference(frame, "cos", "relu", metric, figure)
    assert found.n == expected.n == 7
    assert (found.mean, found.low, found.high) == pytest.approx((expected.mean, expected.low, expected.high))


def test_unfinished_runs_and_absent_activations_are_not_compared() -> None:
    records = noisy()
    records[0]["status"] = "diverged"
    frame = epoch_frame(records)
    first = records[0]["config"]["activation"], records[0]["seed"]
    assert first not in run_frame(frame).index
    assert paired_difference(frame, "cos", "mish").n == 0
    assert paired_difference(epoch_frame([]), "cos", "relu").n == 0


def test_what_a_frame_cannot_compare_is_refused() -> None:
    frame = epoch_frame([run("squeezenet", "cos", 0, 80, 1.0), run("squeezenet", "cos", 0, 80, 1.0, lr=0.1)])
    with pytest.raises(CosnbError, match="two runs of one seed"):
        run_frame(frame)
    with pytest.raises(CosnbError, match="'median': choose one of last"):
        run_frame(frame[frame.lr == 0.1], "median")
    with pytest.raises(CosnbError, match="'error': choose one of accuracy"):
        paired_difference(frame, "cos", "relu", "error")


def test_the_face_is_light_until_it_is_asked_for() -> None:
    program = (
        "import sys; import cosnb.experiments as e; assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", f"{program}; print(e.paired_difference); assert 'torch' not in sys.modules"], check=True
    )
    assert not hasattr(sys.modules["cosnb.experiments"], "nothing")
