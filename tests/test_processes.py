"""Runs in processes of their own: the numbers that each has alone; stopped, killed and failed ones."""

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import digits, figures, mlp

from cosnb.errors import CosnbError
from cosnb.experiments import results
from cosnb.experiments.data import ImageData
from cosnb.experiments.runner import run_missing
from cosnb.experiments.training import train
from cosnb.experiments.training.processes import in_processes


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums of several threads may differ in the last bit from those of one
    yield
    torch.set_num_threads(threads)


@pytest.mark.long
def test_processes_give_the_very_numbers_of_single_runs(tmp_path: Path) -> None:
    configs = [mlp(epochs=1), mlp("relu", epochs=2)]
    heard = []
    call = partial(run_missing, "table", configs, (0, 1), digits(), "cpu", tmp_path)
    assert call(max_parallel=2, should_stop=lambda: heard.append(None)) == 4
    assert len(heard) == 2 * (1 + 2)
    assert call(max_parallel=2) == 0
    made = results.read("table", tmp_path)
    for record in made:
        config = next(c for c in configs if c.digest() == record["config_digest"])
        assert figures(record["epochs"]) == figures(train(config, record["seed"], digits())[1])
    assert [record["timing"]["together"] for record in made] == [2] * 4
    assert [record["device"]["threads"] for record in made] == [1] * 4
    assert not (tmp_path / "table" / ".checkpoints").exists()


class Stop(BaseException):
    """The time is over."""


@pytest.mark.long
def test_what_ends_the_call_ends_the_processes_and_the_next_goes_on(tmp_path: Path) -> None:
    def enough() -> None:
        raise Stop

    call = partial(run_missing, "table", [mlp(epochs=400)], (0, 1, 2), digits(), "cpu", tmp_path)
    start = time.monotonic()
    with pytest.raises(Stop):
        call(max_parallel=2, should_stop=enough)
    assert time.monotonic() - start < 30, "none of them went on to its end"
    assert results.read("table", tmp_path) == []


def work(job: str, data: ImageData, send: Any) -> str:
    send(job.upper())
    if job == "killed":
        os._exit(9)
    if job == "failing":
        raise ValueError("its own fault")
    return f"{job} {len(data.train_images)} {torch.get_num_threads()}"


@pytest.mark.long
def test_messages_and_results_come_back_and_errors_too() -> None:
    heard: list[tuple[str, str]] = []
    found = dict(in_processes(work, ["a", "b", "c"], digits(), 2, lambda *message: heard.append(message)))
    assert found == {job: f"{job} 64 1" for job in "abc"}
    assert sorted(heard) == [("a", "A"), ("b", "B"), ("c", "C")]
    assert list(in_processes(work, [], digits(), 2, print)) == []
    with pytest.raises(ValueError, match="its own fault"):
        list(in_processes(work, ["failing"], digits(), 2, lambda *message: None))
    with pytest.raises(CosnbError, match="a process that trains has died"):
        list(in_processes(work, ["killed", "a"], digits(), 1, lambda *message: None))


def test_wrong_settings_are_refused() -> None:
    given = ("table", [mlp()], [0], digits(), "cpu", Path("nowhere"))
    with pytest.raises(CosnbError, match="unknown executor 'threads' for several runs: choose one of"):
        run_missing(*given, max_parallel=2, executor="threads")
    with pytest.raises(CosnbError, match="max_parallel must be at least 1, got 0"):
        run_missing(*given, max_parallel=0)
