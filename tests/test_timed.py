"""Training for a fixed time: what is begun ends, in whole seeds, and nothing that is recorded is trained again."""

import time
from pathlib import Path

import pytest
import torch

from cosnb.errors import CosnbError
from cosnb.experiments import results
from cosnb.experiments.runner import smoke, timed
from cosnb.experiments.runner.stages import RunOptions, Runs
from cosnb.experiments.training.loop import now

POINT = {"protocol": "depth", "network": "depth_mlp", "depth": 1, "epochs": 1, "batch_size": 32}
STAGE = Runs("figure-15-depth", "digits", "relu,swish,cos", "0:2", (POINT,), 64)


def recorded(root: Path) -> list[tuple[int, str]]:
    return sorted((record["seed"], record["config"]["activation"]) for record in results.read(STAGE.experiment, root))


@pytest.mark.parametrize(
    ("pilot", "left", "block", "blocks", "chosen"),
    [
        ({4: 50.0, 8: 40.0}, 400, 4, 2, (8, 2)),
        ({4: 50.0, 8: 40.0}, 319, 4, 2, (4, 1)),  # eight take 320
        ({4: 50.0, 8: 40.0}, 199, 4, 2, (0, 0)),
        ({4: 50.0, 8: 60.0}, 500, 4, 2, (4, 2)),  # of equal numbers the quicker
        ({3: 5.0, 6: 4.0}, 100, 3, 8, (6, 8)),
        ({3: 5.0, 6: 4.0}, 95, 3, 8, (6, 6)),  # three groups of six
        ({4: 10.0, 8: 9.0}, 100, 1, 9, (8, 8)),
        ({}, 1000, 4, 2, (0, 0)),
    ],
)
def test_most_seeds_that_end_in_time(
    pilot: dict[int, float], left: float, block: int, blocks: int, chosen: tuple[int, int]
) -> None:
    assert timed.choose(pilot, left, block, blocks) == chosen


def test_all_is_trained_where_there_is_time_and_once(tmp_path: Path) -> None:
    lines: list[str] = []
    options = RunOptions(root=tmp_path, precision="float32")
    assert timed.train_in_time([STAGE], 900, options, lines.append)
    assert recorded(tmp_path) == [(seed, name) for seed in range(2) for name in ("cos", "relu", "swish")]
    assert next(line for line in lines if "s a run" in line).startswith("3 side by side: ")
    lines.clear()
    assert timed.train_in_time([STAGE], 900, options, lines.append)
    assert lines == []


def test_what_would_not_end_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed, "run_seconds", lambda stage, together, options: 20.0)
    options = RunOptions(root=tmp_path, precision="float32")
    assert not timed.train_in_time([STAGE], 39, options, str)
    assert recorded(tmp_path) == []
    lines: list[str] = []
    timed.train_in_time([STAGE], 61, options, lines.append)  # one seed; that it took less, shows when it has ended
    assert [line for line in lines if "side by side" in line][2].startswith(f"{STAGE}"[:-3] + "0: 3 side by side, 6")


def test_relu_and_cos_alone_where_these_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed, "run_seconds", lambda stage, together, options: 30.0)
    options = RunOptions(root=tmp_path, precision="float32")
    assert not timed.train_in_time([STAGE], 70, options, str)
    assert recorded(tmp_path) == [(0, "cos"), (0, "relu")]


def test_a_pilot_ends_where_memory_or_time_does(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def run_seconds(stage: Runs, together: int, options: RunOptions) -> float:
        asked.append(together)
        if together > 3:
            raise torch.OutOfMemoryError
        return 1.0

    monkeypatch.setattr(timed, "run_seconds", run_seconds)
    assert timed.measure(STAGE, 2, time.monotonic() + 100, RunOptions(), str) == {3: 1.0}
    assert asked == [3, 6]
    assert timed.measure(STAGE, 2, time.monotonic() + 10, RunOptions(), str) == {}


def test_a_run_is_measured_with_its_preparation(monkeypatch: pytest.MonkeyPatch) -> None:
    start = now(torch.device("cpu"))
    seconds = timed.run_seconds(STAGE, 3, RunOptions(precision="float32"))
    assert 0 < seconds < 2 * (now(torch.device("cpu")) - start)


def test_smoke_trains_each_activation_and_refuses_a_loss_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "NETWORKS", {"speedrun": "speedrun"})
    monkeypatch.setattr(smoke, "ACTIVATIONS", ("cos",))
    lines: list[str] = []
    smoke.smoke("cpu", lines.append, (256, 50))
    assert [line.split(": ")[0] for line in lines] == ["speedrun, cos"]
    monkeypatch.setattr(smoke, "train_streams", lambda jobs, *rest: {jobs[0]: _ended(0.0)})
    with pytest.raises(CosnbError, match="speedrun with cos does not train on cpu"):
        smoke.smoke("cpu", lines.append, (256, 50))


def _ended(loss: float) -> object:
    epoch = {"train_loss": loss, "test_loss": loss, "train_seconds": 1.0}
    return type("Outcome", (), {"status": "ok", "epochs": [epoch]})
