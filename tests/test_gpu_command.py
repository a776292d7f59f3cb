"""The command gpu: steps end on time, go on where they stopped, and leave one archive of what is new."""

import json
import os
import shutil
import signal
import sys
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cosnb import cli
from cosnb.commands import budget, gpu
from cosnb.commands.budget import MINUTES, Step, Work
from cosnb.experiments.runner.stages import RunOptions, Runs
from cosnb.paths import repository_root

sys.path.insert(0, str(repository_root() / "benchmarks"))
import activations
import networks


def python(text: str) -> list[str]:
    return [sys.executable, "-S", "-c", text]


def work(folder: Path, *steps: Step) -> Work:
    return Work(steps, folder / "out", folder / "recorded")


def results_of(done: Work) -> dict[str, str]:
    return {name: found["result"] for name, found in done.state.items()}


RECORD = "import os, pathlib; p = pathlib.Path(os.environ['COSNB_RESULTS']) / 'x' / '{}.json'; p.write_text('{}')"


def test_steps_end_on_time_and_the_next_call_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counter = tmp_path / "counter"
    steps = (
        Step("good", "prints", 1, 60, [python("print('printed')"), python(f"open({str(counter)!r}, 'a').write('1')")]),
        Step("bad", "fails", 1, 60, [python("raise SystemExit(2)"), python("")]),
        Step("slow", "hangs", 1, 0.5, [python("import time; time.sleep(60)"), python("")]),
        Step("late", "is long", 500, 1000, [python("")]),
        Step("data", "trains", 1, 60, [python("")], needs_data=True),
        Step("unfinished", "has more", 1, 60, [python(f"raise SystemExit({budget.UNFINISHED})")]),
    )
    begun = time.monotonic()
    assert work(tmp_path, *steps).run(100, has_data=lambda: False) == 1
    assert time.monotonic() - begun < 50
    shown = capsys.readouterr().out
    assert "printed" in shown
    expected = {"good": "done", "bad": "failed (exit codes 2, 0)", "slow": "out of time", "late": "no time"}
    assert results_of(work(tmp_path, *steps)) == expected | {"data": "no data", "unfinished": "out of time"}
    again = work(tmp_path, *steps)
    assert again.run(100, has_data=lambda: True) == 0
    assert counter.read_text() == "1"
    assert results_of(again)["data"] == "done"
    assert results_of(again)["good"] == "done"


def test_other_code_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Step("good", "prints", 1, 60, [python("")])
    work(tmp_path, step).run(100)
    assert results_of(work(tmp_path, step)) == {"good": "done"}
    monkeypatch.setattr(budget, "_code", lambda: "other")
    assert results_of(work(tmp_path, step)) == {}


def test_a_command_gets_the_time_that_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = Step("told", "prints", 1, 60, [[*python("import sys; print('minutes', sys.argv[1])"), MINUTES]])
    work(tmp_path, step).run(36)
    minutes = float(capsys.readouterr().out.split("minutes ")[1].split()[0])
    assert 0.4 < minutes <= 0.5


def test_the_archive_has_what_is_new_and_unpacks_into_a_clone(tmp_path: Path) -> None:
    old = tmp_path / "recorded" / "x" / "old.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    seen = python(
        f"import os; assert os.path.exists(os.environ['COSNB_RESULTS'] + '/x/old.json'); {RECORD.format('new', 1)}"
    )
    folder = str(tmp_path / "out" / "benchmarks")
    bench = python(f"import os; os.mkdir({folder!r}); open({folder!r} + '/a.md', 'w')")
    first = work(tmp_path, Step("record", "records", 1, 60, [seen]), Step("bench", "writes", 1, 60, [bench]))
    assert first.run(100) == 0
    with tarfile.open(tmp_path / "out" / "records.tar.gz") as tar:
        assert sorted(tar.getnames()) == [
            "_build/gpu/benchmarks/a.md",
            "_build/gpu/log.txt",
            "_build/gpu/state.json",
            "results/x/new.json",
        ]
        tar.extractall(tmp_path / "clone", filter="data")
    shutil.copytree(tmp_path / "clone" / "results", tmp_path / "recorded", dirs_exist_ok=True)  # and the next day
    work(tmp_path, Step("more", "records", 1, 60, [python(RECORD.format("newer", 2))])).run(100)
    with tarfile.open(tmp_path / "out" / "records.tar.gz") as tar:
        assert [name for name in tar.getnames() if name.startswith("results")] == ["results/x/newer.json"]


def test_what_ends_the_command_ends_its_processes(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    text = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    running = work(tmp_path, Step("long", "hangs", 1, 60, [python(text)]))

    def stop() -> None:
        while not (pid.exists() and pid.read_text()):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    with pytest.raises(KeyboardInterrupt):
        running.run(100)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert (tmp_path / "out" / "records.tar.gz").exists()


def test_the_plan_is_thirteen_minutes_of_what_exists() -> None:
    steps = {step.name: step for step in gpu.steps(Path("out"))}
    before = [steps[name].limit for name in ("smoke", "tests", "bandwidth", "accuracy", "steps")]
    assert sum(before) <= 600  # a call of ten minutes does them all, whatever happens
    assert (
        sum(steps[name].least for name in ("smoke", "tests", "bandwidth", "accuracy", "steps", "wide", "table-3")) < 300
    )
    for command in (command for step in steps.values() for command in step.commands):
        for part in command:
            assert not part.endswith(".py") or (repository_root() / part).is_file()
    assert "not matrix and not drill" in steps["tests"].commands[0]
    chosen = activations.parse(steps["bandwidth"].commands[0][2:])
    assert (chosen.kinds, chosen.exponents, chosen.dtypes) == (["cosnb", "torch"], [24, 28], ["float32", "bfloat16"])
    for name, count in (("steps", 1), ("more-steps", 3)):
        arguments = [part.replace(MINUTES, "2") for part in steps[name].commands[0][2:]]
        assert len(networks.wanted(networks.parse(arguments))) == count


def test_the_command_lists_its_steps_and_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["gpu", "--list", "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.count("  not begun\n") == len(gpu.steps(tmp_path))
    assert not (tmp_path / "out").exists()
    assert cli.main(["gpu", "--out", str(tmp_path / "out")]) == 2
    assert "say for how long" in capsys.readouterr().err
    monkeypatch.setattr(gpu, "visible_gpus", list)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert cli.main(["gpu", "--minutes", "1", "--out", str(tmp_path / "out")]) == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_a_state_that_is_damaged_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for text in ("{", "[]", json.dumps({"code": budget._code()})):
        (tmp_path / "out" / "state.json").write_text(text)
        assert work(tmp_path).state == {}


@pytest.mark.parametrize(
    ("name", "first", "done"),
    [
        ("wide", "is-cos-more-accurate, speedrun_wide, bfloat16, relu,swish,cos, seeds 0:8", True),
        ("table-3", "table-3-squeezenet, squeezenet, relu,swish,mish,cos, seeds 0:2", False),
        ("tables", "table-3-squeezenet, squeezenet, relu,swish,mish,cos, seeds 0", False),
    ],
)
def test_training_steps_have_their_runs_and_their_time(
    name: str, first: str, done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def train_in_time(stages: list[Runs], seconds: float, options: RunOptions) -> bool:
        asked.extend((str(stages[0]), seconds, options.device))
        return done

    monkeypatch.setattr("cosnb.experiments.runner.timed.train_in_time", train_in_time)
    assert cli.main(["gpu", "--step", name, "--minutes", "2"]) == (0 if done else budget.UNFINISHED)
    assert asked[::2] == [first, "cuda"]
    assert 60 < asked[1] < 120
