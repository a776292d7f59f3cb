"""Many seeds at once: each has the losses and weights that it has alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import digits, figures, mlp, weights
from torch import nn

from cosnb import models, results
from cosnb.errors import CosnbError
from cosnb.training import TrainingConfig, run_missing, train, train_many
from cosnb.training import checkpoint as checkpoint_module
from cosnb.training.checkpoint import Checkpoint

SEEDS = (5, 0, 2)


def losses(epochs: list[dict[str, Any]]) -> list[float]:
    return [epoch[key] for epoch in epochs for key in ("train_loss", "test_loss")]


def test_losses_are_equal_within_rounding_over_20_steps() -> None:
    config = mlp(epochs=20, batch_size=64, flip=0.5, rotation=20.0)  # one step an epoch, so each step's loss is seen
    together = train_many(config, SEEDS, digits(), way="fused")
    assert tuple(together) == SEEDS
    for seed, outcome in together.items():
        status, alone, _ = train(config, seed, digits())
        assert (outcome.status, outcome.error) == (status, None)
        assert losses(outcome.epochs) == pytest.approx(losses(alone), rel=1e-5)  # 20 steps of float32's 6e-8
        assert [e["train_accuracy"] for e in outcome.epochs] == [e["train_accuracy"] for e in alone]


@pytest.mark.parametrize("protocol", ["depth", "modern"])
def test_weights_are_equal_after_an_epoch_with_dropout_and_shuffling(protocol: str) -> None:
    config = mlp(epochs=1, protocol=protocol, lr=0.01)
    together = train_many(config, SEEDS, digits(), way="fused")
    for seed, outcome in together.items():
        _, _, net = train(config, seed, digits())
        assert outcome.net is not None
        torch.testing.assert_close(outcome.net.state_dict(), net.state_dict(), rtol=1e-5, atol=1e-6)
    first, second = (together[seed].net for seed in SEEDS[:2])
    assert weights(first) != weights(second)  # type: ignore[arg-type]


def test_convolutions_and_adam_are_fused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(network: str, activation: nn.Module, classes: int, depth: int) -> nn.Module:
        head = (nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 4 * 4, classes))
        depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False)
        return nn.Sequential(nn.Conv2d(3, 6, 4, 4, bias=False), nn.BatchNorm2d(6), activation, depthwise, *head)

    monkeypatch.setattr(models, "build", build)
    config = TrainingConfig("cos", "digits", 64, epochs=7, batch_size=24)
    together = train_many(config, SEEDS, digits(), way="fused")
    for seed, outcome in together.items():
        _, alone, net = train(config, seed, digits())
        assert losses(outcome.epochs) == pytest.approx(losses(alone), rel=1e-4)
        assert outcome.net is not None
        # Adam divides by the root of a gradient's square, so rounding of a small gradient counts as much as of a large.
        torch.testing.assert_close(outcome.net.state_dict(), net.state_dict(), rtol=1e-3, atol=1e-4)


def test_bfloat16_is_fused_too() -> None:
    config = mlp(epochs=2, precision="bfloat16")
    for seed, outcome in train_many(config, SEEDS, digits(), way="fused").items():
        assert losses(outcome.epochs) == pytest.approx(losses(train(config, seed, digits())[1]), rel=0.01)


def test_a_run_that_diverges_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real = models.build
    built = []

    def build(*arguments: Any) -> nn.Module:
        built.append(real(*arguments))
        if len(built) == 2:
            with torch.no_grad():
                next(built[-1].parameters()).fill_(float("nan"))
        return built[-1]

    config = mlp(epochs=3)
    expected = losses(train(config, SEEDS[2], digits())[1])
    monkeypatch.setattr(models, "build", build)
    together = train_many(config, SEEDS, digits(), way="fused")
    assert [outcome.status for outcome in together.values()] == ["ok", "diverged", "ok"]
    assert [len(outcome.epochs) for outcome in together.values()] == [3, 1, 3]
    assert losses(together[SEEDS[2]].epochs) == pytest.approx(expected, rel=1e-5)


class Stop(BaseException):
    """Ends a run as a kill would."""


@pytest.mark.parametrize("protocol", ["modern", "paper"])
def test_a_fused_group_goes_on_from_its_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setattr(checkpoint_module, "INTERVAL", 0.0)
    config = mlp(epochs=3, protocol=protocol)
    kept = {seed: Checkpoint(tmp_path / str(seed), {"seed": seed}) for seed in (0, 1)}

    def stop(seed: int, epoch: dict[str, Any]) -> None:
        if (seed, epoch["epoch"]) == (when, 2):
            raise Stop

    whole = train_many(config, (0, 1), digits(), way="fused")
    for when in (1, 0):  # both seeds at the same epoch; then one an epoch ahead of the other
        with pytest.raises(Stop):
            train_many(config, (0, 1), digits(), "cpu", stop, kept, "fused")
        if when == 1:
            again = train_many(config, (0, 1), digits(), "cpu", checkpoints=kept, way="fused")
            assert all(figures(again[seed].epochs) == figures(whole[seed].epochs) for seed in (0, 1))
            kept[0].delete()
            kept[1].delete()
    again = train_many(config, (0, 1), digits(), "cpu", checkpoints=kept, way="fused")
    for seed in (0, 1):
        assert losses(again[seed].epochs) == pytest.approx(losses(whole[seed].epochs), rel=1e-3)


def test_processes_give_the_very_numbers_of_single_runs(tmp_path: Path) -> None:
    config = mlp(epochs=1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums of several threads may differ in the last bit from those of one
    try:
        assert run_missing("table", [config], (0, 1), digits(), "cpu", tmp_path, together=2) == 2
        alone = {seed: figures(train(config, seed, digits())[1]) for seed in (0, 1)}
    finally:
        torch.set_num_threads(threads)
    made = results.read("table", tmp_path)
    assert {record["seed"]: figures(record["epochs"]) for record in made} == alone
    assert all(record["timing"]["together"] == 2 for record in made)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(CosnbError, match="seed 1 is given twice"):
        train_many(mlp(), (1, 0, 1), digits())
    with pytest.raises(CosnbError, match="unknown way 'threads' of training many seeds: choose one of"):
        train_many(mlp(), (1, 0), digits(), way="threads")
    with pytest.raises(CosnbError, match="together must be at least 1, got 0"):
        run_missing("table", [mlp()], [0], digits(), "cpu", Path("nowhere"), together=0)
