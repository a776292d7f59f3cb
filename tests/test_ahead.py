"""Kernels compiled ahead: the processes' parts are all of them, each once."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import digits, mlp

from cosnb.experiments.runner import ahead
from cosnb.experiments.training import TrainingConfig
from cosnb.experiments.training.streams import EXECUTION
from cosnb.kernels.launch import Launcher, compiling_share


class Compiler:
    """Stands for a Triton kernel and for what it compiles to."""

    packed_metadata = function = None

    def __init__(self) -> None:
        self.compiled: list[int] = []
        self.launched: list[int] = []

    def __getitem__(self, grid: tuple[int, int, int]) -> Any:
        def call(x: torch.Tensor, count: int, width: int) -> "Compiler":
            self.compiled.append(width)
            return self

        return call

    def run(self, *arguments: Any) -> None:
        self.launched.append(arguments[-1])


def launched(kernel: Compiler, widths: list[int]) -> None:
    launcher = Launcher(kernel)
    launcher._current_stream = lambda index: 0
    for width in widths:
        launcher((1, 1, 1), [torch.zeros(4)], [5], [], (width,))


def test_each_kernel_is_compiled_in_one_of_the_parts() -> None:
    widths = [1, 2, 3, 2, 1, 4, 5, 6, 7, 7]
    found = []
    for number in range(3):
        kernel = Compiler()
        with compiling_share(number, 3) as share:
            launched(kernel, widths)
        assert share.compiled == len(kernel.compiled)
        assert set(kernel.launched) <= set(kernel.compiled)
        found += kernel.compiled
    assert sorted(found) == [1, 2, 3, 4, 5, 6, 7]
    launched(kernel := Compiler(), widths)
    assert kernel.compiled == [1, 2, 3, 4, 5, 6, 7]  # outside, all


@pytest.mark.parametrize(
    "config",
    [mlp(), TrainingConfig("cos", "digits", 64, network="speedrun", protocol="speedrun", batch_size=24)],
    ids=lambda config: config.network,
)
def test_a_process_takes_a_step_of_every_size(config: TrainingConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    task = ahead.task_of([config], digits(), "cpu")
    assert task["sizes"] == {"train": [16, 24], "test": [50]}
    taken = []
    for name in ("training_step", "evaluation_step"):
        step = getattr(ahead, name)

        def note(*given: Any, step: Any = step) -> None:
            taken.extend(len(value) for value in given if isinstance(value, torch.Tensor) and value.dim() == 1)
            step(*given)

        monkeypatch.setattr(ahead, name, note)
    assert ahead.compile_part(task | {"number": 0, "count": 2}) == 0  # no Triton on a CPU
    assert taken == [16, 24, 50]


def test_what_is_compiled_is_noted_and_what_failed_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(ahead, "execution_on", lambda device: EXECUTION)
    monkeypatch.setattr(ahead.cuda, "supports", lambda x: True)
    monkeypatch.setattr(ahead, "_identity", lambda task: repr(len(task["configs"])))
    ends, asked = [False, True], []

    def in_processes(task: ahead.Task, count: int) -> bool:
        asked.append(task)
        return ends[len(asked) - 1]

    monkeypatch.setattr(ahead, "_in_processes", in_processes)
    jobs = [(mlp(), 0), (mlp(), 1), (mlp("relu", lr=0.5), 0)]
    for calls in (1, 2, 2):  # the third process finds the note
        monkeypatch.setattr(ahead, "_tried", set())
        for _ in range(2):
            ahead.compile_ahead(jobs, digits(), "cpu", 2)
        assert len(asked) == calls
    assert [config["activation"] for config in asked[0]["configs"]] == ["cos", "relu"]
    ahead.compile_ahead(jobs, digits(), "cpu", 1)  # nothing to share out
    assert len(asked) == 2
