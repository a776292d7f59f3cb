"""Runs side by side: each has, bit by bit, what it has alone."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import simulated_graphs
import torch
from tiny_training import digits, figures, mlp, weights
from torch.utils._python_dispatch import TorchDispatchMode

from cosnb.errors import CosnbError
from cosnb.experiments import models, results
from cosnb.experiments.records.digest import code_digest
from cosnb.experiments.results.provenance import is_older
from cosnb.experiments.runner import run_missing, runs
from cosnb.experiments.training import TrainingConfig, loop, streams, train
from cosnb.experiments.training.checkpoint import Checkpoint
from cosnb.experiments.training.loop import Run, take_turns, train_together
from cosnb.experiments.training.streams import Captured, train_streams

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.mark.long
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("protocol", ["depth", "modern", "paper"])
def test_each_run_is_as_it_is_alone(protocol: str, device: str) -> None:
    config = mlp(protocol=protocol, epochs=3, lr=0.01, flip=0.5, rotation=20.0)
    other = dataclasses.replace(config, activation="relu", lr=0.02)
    jobs = [(config, 5), (config, 0), (other, 0)]
    together = train_together(jobs, digits(), device, make=Captured)
    assert list(together) == jobs
    for (config, seed), outcome in together.items():
        status, epochs, net = train(config, seed, digits(), device, execution="eager")
        assert (outcome.status, outcome.error) == (status, None)
        if device == "cpu":
            assert figures(outcome.epochs) == figures(epochs)
            assert weights(outcome.net) == weights(net)  # type: ignore[arg-type]
        else:  # the atomic additions of some kernels have no order
            for ours, theirs in zip(figures(outcome.epochs), figures(epochs), strict=True):
                assert ours == pytest.approx(theirs, rel=2e-3, abs=0.05)


@pytest.mark.long
@pytest.mark.parametrize("make", [Run, Captured])
def test_probes_and_a_network_with_convolutions(make: type[Run]) -> None:
    config = TrainingConfig("cos", "digits", 40, epochs=1, batch_size=16, probes=("dead_units", "gradient_norms"))
    (outcome,) = train_together([(config, 1)], digits(40, 20), "cpu", make=make).values()
    _, epochs, _ = train(config, 1, digits(40, 20))
    assert figures(outcome.epochs) == figures(epochs)
    assert "gradient_norms_at_start" in epochs[0]


@pytest.mark.parametrize("make", [Run, Captured])
def test_a_run_goes_on_from_its_checkpoint_beside_one_that_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: type[Run]
) -> None:
    monkeypatch.setattr("cosnb.experiments.training.checkpoint.INTERVAL", 0.0)
    jobs = [(mlp(epochs=4), seed) for seed in (0, 1)]
    whole = train_together(jobs, digits(), "cpu", make=make)
    kept = {job: Checkpoint(tmp_path / str(job[1]), {}) for job in jobs}

    def stop(job: object, epoch: dict[str, object]) -> None:
        if epoch["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_together(jobs[:1], digits(), "cpu", stop, kept, make)
    seen: list[tuple[int, int]] = []
    again = train_together(jobs, digits(), "cpu", lambda job, epoch: seen.append((job[1], epoch["epoch"])), kept, make)
    assert seen[:3] == [(0, 1), (0, 2), (0, 3)]
    for job in jobs:
        assert figures(again[job].epochs) == figures(whole[job].epochs)
        assert weights(again[job].net) == weights(whole[job].net)  # type: ignore[arg-type]


def test_a_capture_refuses_what_asks_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated_graphs.install(monkeypatch)
    x = torch.arange(3.0)
    for call in (lambda: x.sum().item(), lambda: x[x > 1], lambda: x + torch.tensor([1.0, 2.0, 3.0]), x.nonzero):
        with pytest.raises(simulated_graphs.CaptureError), torch.cuda.graph(torch.cuda.CUDAGraph()):
            call()


class NoReading(TorchDispatchMode):
    """What a capture on a GPU forbids: that a number is read from the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func is not torch.ops.aten._local_scalar_dense.default, "this would end a capture"
        return func(*args, **(kwargs or {}))


def test_a_step_that_a_graph_holds_reads_nothing_from_the_device() -> None:
    config = mlp(epochs=2)
    data = loop.fitted(digits(), config.network)
    run = Captured(config, 0, data)
    run.begin_training()
    run.rate = torch.zeros(())  # as on a GPU, where the optimiser takes its rate from there; here it takes no step
    run.state.optimizer = SimpleNamespace(zero_grad=lambda: None, step=lambda: None)  # type: ignore[assignment]
    for step in range(2):
        with NoReading():
            run._train(24)
        assert run.rate.item() == run.rates[step].item() > 0
    assert run.number.item() == 2


SLOW = {"mobilenet_v2": pytest.mark.matrix, "shufflenet_v2": pytest.mark.matrix, "squeezenet": pytest.mark.long}
CAPTURED = [
    mlp(protocol="paper", epochs=2, flip=0.5, rotation=20.0),
    mlp(protocol="depth", epochs=2),
    mlp(protocol="modern", epochs=2, lr=0.01),
    *(
        pytest.param(
            TrainingConfig("cos", "digits", 40, network=net, epochs=1, batch_size=16, depth=2 * models.has_depth(net)),
            marks=SLOW.get(net, ()),
        )
        for net in models.NETWORKS
        if net not in ("speedrun_wide", "squeezenet_half")  # the same modules in other sizes
    ),
    pytest.param(
        TrainingConfig("cos", "digits", 40, network="speedrun", protocol="speedrun", epochs=2, batch_size=16),
        marks=pytest.mark.long,
    ),
]


@pytest.mark.parametrize("config", CAPTURED, ids=lambda config: f"{config.protocol}-{config.network}")
def test_captured_steps_are_eager_ones(config: TrainingConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    _, epochs, _ = train(config, 0, digits(), execution="eager")
    simulated_graphs.install(monkeypatch)
    monkeypatch.setattr(streams, "execution_on", lambda device: streams.EXECUTION)
    (outcome,) = train_streams([(config, 0)], digits(), "cpu").values()
    assert len(outcome.epochs) == len(epochs)
    for ours, theirs in zip(outcome.epochs, epochs, strict=True):  # Adam divides by moments that round to other signs
        assert [ours[key] for key in ("train_loss", "test_loss")] == pytest.approx(
            [theirs[key] for key in ("train_loss", "test_loss")], rel=1e-3
        )
        assert ours["test_accuracy"] == pytest.approx(theirs["test_accuracy"], abs=0.041)


@pytest.mark.long
@pytest.mark.parametrize("make", [Run, Captured])
def test_a_run_that_diverges_ends_alone(make: type[Run]) -> None:
    jobs = [(mlp(epochs=3, lr=1e30), 0), (mlp(epochs=3), 0)]
    wild, tame = train_together(jobs, digits(), "cpu", make=make).values()
    assert (wild.status, tame.status) == ("diverged", "ok")
    assert len(wild.epochs) < len(tame.epochs) == 3


def test_records_say_how_they_were_made(tmp_path: Path) -> None:
    configs = [mlp(epochs=1), mlp("relu", epochs=1)]
    assert run_missing("x", configs, (0, 1), digits(), "cpu", tmp_path, max_parallel=3, executor="streams") == 4
    assert run_missing("x", configs, (2,), digits(), "cpu", tmp_path) == 2
    records = {(record["config"]["activation"], record["seed"]): record for record in results.read("x", tmp_path)}
    assert [records["cos", seed]["device"]["execution"] for seed in range(3)] == ["eager"] * 3
    assert [records[job]["timing"].get("together") for job in (("cos", 0), ("relu", 1), ("cos", 2))] == [3, 1, None]
    assert "side by side" in records["cos", 0]["timing"]["method"]
    assert records["cos", 0]["code_digest"] == records["cos", 2]["code_digest"] == code_digest(configs[0])
    assert code_digest(configs[0]) != code_digest(configs[0], "captured")
    assert not any(map(is_older, records.values()))


def test_what_is_captured_is_recorded_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "execution_on", lambda device: streams.EXECUTION)
    monkeypatch.setattr(runs, "execution_on", streams.execution_on)  # as on CUDA
    assert run_missing("x", [mlp(epochs=1)], (0,), digits(), "cpu", tmp_path, executor="streams") == 1
    (record,) = results.read("x", tmp_path)
    assert record["device"]["execution"] == "captured"
    assert record["code_digest"] == code_digest(mlp(epochs=1), "captured")


def test_turns_are_taken_step_by_step_and_must_be_as_many() -> None:
    seen: list[str] = []

    def steps(name: str, count: int) -> Iterator[None]:
        for number in range(count):
            seen.append(f"{name}{number}")
            yield

    take_turns(steps(name, 3) for name in "ab")
    assert seen == ["a0", "b0", "a1", "b1", "a2", "b2"]
    with pytest.raises(ValueError, match="shorter"):
        take_turns([steps("a", 3), steps("b", 2)])


def test_a_call_that_is_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosnb.experiments.training.checkpoint.INTERVAL", 0.0)
    epochs = iter(range(5))

    def enough() -> None:
        if next(epochs) == 4:  # the third epoch of the first of two
            raise KeyboardInterrupt

    given = ("x", [mlp(epochs=3)], (0, 1), digits(), "cpu", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_missing(*given, max_parallel=2, executor="streams", should_stop=enough)
    assert results.read("x", tmp_path) == []
    assert run_missing(*given, max_parallel=2, executor="streams") == 2
    assert all(record["timing"]["resumed"] for record in results.read("x", tmp_path))
    assert not (tmp_path / "x" / ".checkpoints").exists()


def test_runs_that_cannot_be_beside_each_other_are_an_error() -> None:
    with pytest.raises(CosnbError, match="one network and batch size"):
        train_streams([(mlp(), 0), (mlp(batch_size=8), 0)], digits(), "cpu")
    with pytest.raises(CosnbError, match="no run"):
        train_streams([], digits(), "cpu")


def test_data_that_do_not_fit_are_an_error() -> None:
    small = dataclasses.replace(digits(), name="other", train_images=torch.zeros(64, 1, 28, 28, dtype=torch.uint8))
    with pytest.raises(CosnbError, match="squeezenet takes images of 3 × 32 × 32"):
        train_streams([(TrainingConfig("cos", "digits", 64, batch_size=24), 0)], small, "cpu")
