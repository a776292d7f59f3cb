"""Runs side by side: each has, bit by bit, what it has alone."""

import dataclasses
from pathlib import Path

import pytest
import torch
from tiny_training import digits, figures, mlp, weights

from cosnb import results
from cosnb.errors import CosnbError
from cosnb.training import TrainingConfig, run_missing, train
from cosnb.training.checkpoint import Checkpoint
from cosnb.training.digest import code_digest
from cosnb.training.streams import train_streams

SEEDS = (5, 0, 2)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("protocol", ["depth", "modern", "paper"])
def test_each_run_is_as_it_is_alone(protocol: str, device: str) -> None:
    config = mlp(protocol=protocol, epochs=3, lr=0.01, flip=0.5, rotation=20.0)
    together = train_streams(config, SEEDS, digits(), device)
    assert tuple(together) == SEEDS
    for seed, outcome in together.items():
        status, epochs, net = train(config, seed, digits(), device, execution="eager")
        assert (outcome.status, outcome.error) == (status, None)
        if device == "cpu":
            assert figures(outcome.epochs) == figures(epochs)
            assert weights(outcome.net) == weights(net)  # type: ignore[arg-type]
        else:  # the atomic additions of some kernels have no order
            for ours, theirs in zip(figures(outcome.epochs), figures(epochs), strict=True):
                assert ours == pytest.approx(theirs, rel=2e-3, abs=0.05)


def test_probes_and_a_network_with_convolutions() -> None:
    config = TrainingConfig("cos", "digits", 40, epochs=1, batch_size=16, probes=("dead_units", "gradient_norms"))
    (outcome,) = train_streams(config, (1,), digits(40, 20), "cpu").values()
    _, epochs, _ = train(config, 1, digits(40, 20))
    assert figures(outcome.epochs) == figures(epochs)
    assert "gradient_norms_at_start" in epochs[0]


def test_a_run_goes_on_from_its_checkpoint_beside_one_that_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosnb.training.checkpoint.INTERVAL", 0.0)
    config = mlp(epochs=4)
    whole = train_streams(config, (0, 1), digits(), "cpu")
    kept = {seed: Checkpoint(tmp_path / str(seed), {}) for seed in (0, 1)}

    def stop(seed: int, epoch: dict[str, object]) -> None:
        if epoch["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_streams(config, (0,), digits(), "cpu", stop, kept)
    seen: list[tuple[int, int]] = []
    again = train_streams(config, (0, 1), digits(), "cpu", lambda seed, e: seen.append((seed, e["epoch"])), kept)
    assert seen[:3] == [(0, 1), (0, 2), (0, 3)]
    for seed in (0, 1):
        assert figures(again[seed].epochs) == figures(whole[seed].epochs)
        assert weights(again[seed].net) == weights(whole[seed].net)  # type: ignore[arg-type]


def test_a_run_that_diverges_ends_alone() -> None:
    config = mlp(epochs=3, lr=1e30)
    outcomes = train_streams(config, (0, 1), digits(), "cpu")
    assert {outcome.status for outcome in outcomes.values()} == {"diverged"}
    assert all(len(outcome.epochs) < 3 for outcome in outcomes.values())


def test_records_say_how_they_were_made(tmp_path: Path) -> None:
    config = mlp(epochs=1)
    assert run_missing("x", [config], (0, 1), digits(), "cpu", tmp_path, together=2, way="streams") == 2
    assert run_missing("x", [config], (2,), digits(), "cpu", tmp_path, way="streams") == 1
    assert run_missing("x", [config], (3,), digits(), "cpu", tmp_path) == 1
    records = {record["seed"]: record for record in results.read("x", tmp_path)}
    assert [records[seed]["device"]["execution"] for seed in range(4)] == ["captured"] * 3 + ["eager"]
    assert "side by side" in records[0]["timing"]["method"]
    assert records[2]["code_digest"] == code_digest(config, "captured") != code_digest(config)
    assert records[3]["code_digest"] == code_digest(config)


def test_data_that_do_not_fit_are_an_error() -> None:
    small = dataclasses.replace(digits(), name="other", train_images=torch.zeros(64, 1, 28, 28, dtype=torch.uint8))
    with pytest.raises(CosnbError, match="squeezenet takes images of 3 × 32 × 32"):
        train_streams(TrainingConfig("cos", "digits", 64, batch_size=24), (0,), small, "cpu")
