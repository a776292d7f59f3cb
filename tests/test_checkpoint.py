"""Checkpoints: a killed run goes on and ends as one that was not, bit by bit; a damaged one is told and ignored."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import digits, figures, mlp, weights

from cosnb.errors import CosnbError
from cosnb.experiments import results
from cosnb.experiments.runner import run_missing
from cosnb.experiments.runner.runs import open_checkpoint
from cosnb.experiments.training import TrainingConfig, loop, train
from cosnb.experiments.training import checkpoint as checkpoint_module
from cosnb.experiments.training.checkpoint import Checkpoint

# Trains each configuration once as it is, then kills it in five children at random moments and lets it end. Children
# are forked when torch and the activation are ready, so they train at once, and before there is a thread (tqdm's).
NURSERY = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from tiny_training import digits, mlp
from cosnb.experiments.runner import run_missing
from cosnb.experiments.training import checkpoint, train
from cosnb.experiments.records.digest import code_digest

torch.set_num_threads(1)
checkpoint.INTERVAL = 0.0
data, moments, kills = digits(), random.Random(0), 0
train(mlp(epochs=1), 0, data)
code_digest(mlp())

def child(config, folder):
    pid = os.fork()
    if not pid:
        run_missing("table", [config], [0], data, "cpu", Path(sys.argv[1], folder))
        os._exit(0)
    return pid

for protocol in ("paper", "modern"):
    config = mlp(epochs=40, protocol=protocol)
    start = time.perf_counter()
    assert os.waitpid(child(config, "whole"), 0)[1] == 0
    whole = time.perf_counter() - start
    for _ in range(5):
        pid = child(config, "killed")
        time.sleep(moments.uniform(0, 0.4 * whole))
        os.kill(pid, signal.SIGKILL)
        kills += os.waitpid(pid, 0)[1] == signal.SIGKILL
    assert os.waitpid(child(config, "killed"), 0)[1] == 0
print("kills", kills)
"""


@pytest.fixture(autouse=True)
def _at_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "INTERVAL", 0.0)


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_runs_killed_at_ten_random_moments_end_bit_identical(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", NURSERY, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 5, "the runs were over before most of the kills"
    ended = {part: results.read("table", tmp_path / part) for part in ("whole", "killed")}
    for whole, killed in zip(*ended.values(), strict=True):
        assert figures(killed["epochs"]) == figures(whole["epochs"])
        assert (whole["config"], len(whole["epochs"]), whole["status"]) == (killed["config"], 40, "ok")
    assert any(record["timing"]["resumed"] for record in ended["killed"])
    assert not any(record["timing"]["resumed"] for record in ended["whole"])
    # A kill while a record is being written leaves its temporary file; nothing reads that.
    left = {part: (path.name for path in (tmp_path / part / "table").iterdir()) for part in ended}
    names = [sorted(name for name in found if not name.endswith(".tmp")) for found in left.values()]
    assert names[0] == names[1], "no checkpoint stays once the record is written"
    assert len(names[0]) == 2


class Stop(BaseException):
    """Ends a run as a kill would, without a word to it."""


def half(config: TrainingConfig, path: Path, seed: int = 0) -> Checkpoint:
    """Train until the second epoch's checkpoint is written."""

    def stop(epoch: dict[str, Any]) -> None:
        if epoch["epoch"] == 2:
            raise Stop

    kept = Checkpoint(path, {"config": config.as_dict(), "seed": seed})
    with pytest.raises(Stop):
        train(config, seed, digits(), "cpu", stop, kept)
    return kept


@pytest.mark.long
def test_weights_and_epochs_go_on_bit_by_bit(tmp_path: Path) -> None:
    config = mlp(epochs=4, probes=("dead_units",))
    kept = half(config, tmp_path / "c")
    seen: list[dict[str, Any]] = []
    _, epochs, net = train(config, 0, digits(), "cpu", seen.append, kept)
    _, expected, reference = train(config, 0, digits(), "cpu")
    assert figures(epochs) == figures(expected)
    assert seen == epochs
    assert weights(net) == weights(reference)


@pytest.mark.long
@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "pickle", "other"])
def test_a_damaged_checkpoint_is_named_and_the_run_starts_anew(tmp_path: Path, damage: str) -> None:
    config, path = mlp(epochs=3), tmp_path / "c"
    kept = half(config, path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "bit":
        content[len(content) // 2] ^= 1
    elif damage == "empty":
        content = bytearray()
    elif damage == "pickle":
        body = b"cos\nsystem\n(S'true'\ntR."
        content = bytearray(checkpoint_module.hashlib.sha256(body).digest() + body)
    else:
        kept = Checkpoint(path, {"config": config.as_dict(), "seed": 1})
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=rf"the checkpoint {path} was ignored \(it .*\): the run starts anew"):
        _, epochs, _ = train(config, 0, digits(), "cpu", checkpoint=kept)
    assert figures(epochs) == figures(train(config, 0, digits(), "cpu")[1])


def test_a_disk_that_refuses_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Checkpoint(tmp_path / "file" / "c", {})
    with pytest.warns(UserWarning, match="no checkpoint at .*: the run goes on without"):
        kept.save({"a": torch.zeros(3)})
    kept.delete()


def test_checkpoints_are_not_written_more_often_than_the_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_module, "INTERVAL", 3600.0)
    train(mlp(), 0, digits(), "cpu", checkpoint=Checkpoint(tmp_path / "c", {}))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_is_recorded_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = loop.evaluate
    calls = iter(range(100))

    def evaluate(*arguments: Any) -> tuple[float, float]:
        if next(calls) == 1:
            raise RuntimeError("out of memory")
        return real(*arguments)

    monkeypatch.setattr(loop, "evaluate", evaluate)
    assert run_missing("table", [mlp()], [0, 1], digits(), "cpu", tmp_path) == 2
    made = {record["seed"]: record for record in results.read("table", tmp_path)}
    assert (made[0]["status"], made[0]["error"], len(made[0]["epochs"])) == ("failed", "RuntimeError: out of memory", 1)
    assert made[1]["status"] == "ok"


def test_a_checkpoint_that_a_kill_left_beside_its_record_goes_with_the_next_call(tmp_path: Path) -> None:
    assert run_missing("table", [mlp()], [0], digits(), "cpu", tmp_path) == 1
    for seed in (0, 1):
        left = open_checkpoint("table", mlp(), seed, digits(), tmp_path)
        left.path.parent.mkdir(exist_ok=True)
        left.path.write_bytes(b"")
    assert run_missing("table", [mlp()], [0], digits(), "cpu", tmp_path) == 0
    assert [path.name for path in left.path.parent.iterdir()] == [left.path.name]  # another run's is kept


def test_wrong_settings_are_refused_before_anything_starts(tmp_path: Path) -> None:
    for arguments, message in (
        (([mlp()], [0, 1, 0]), "seed 0 is given twice"),
        (([mlp()], []), "no seed is given"),
        (([mlp()], [-1]), "a seed is a whole number from 0 on, got -1"),
        (([mlp(), mlp()], [0]), "a configuration of depth_mlp with cos is given twice"),
    ):
        with pytest.raises(CosnbError, match=message):
            run_missing("table", *arguments, digits(), "cpu", tmp_path)
    for options, message in (
        ({"execution": "fast"}, "unknown execution 'fast': choose one of auto, eager, compile"),
        ({"execution": "compile", "executor": "streams"}, "so execution 'compile' needs executor 'processes'"),
        (
            {"execution": "eager", "executor": "streams", "max_parallel": 2},
            "executor 'streams' has an execution of its",
        ),
    ):
        with pytest.raises(CosnbError, match=message):
            run_missing("table", [mlp()], [0], digits(), "cpu", tmp_path, **options)
    assert list(tmp_path.iterdir()) == []
