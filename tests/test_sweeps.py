"""Runs on a Dask cluster: each recorded once, whatever dies; what cannot go on says why and leaves nothing running."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
import torch
from processes import alive
from tiny_book import code, write_light_task, write_notebook, write_runs, write_swept
from tiny_training import figures, mlp

from cosnb import cli
from cosnb.book import notebooks
from cosnb.book.notebooks import runs as book_runs
from cosnb.errors import CosnbError
from cosnb.experiments import cluster, gpus, results
from cosnb.experiments.data import load
from cosnb.experiments.runner import remote, run_missing, runs, study, task
from cosnb.experiments.runner.remote import training_device
from cosnb.paths import repository_root

sys.path.insert(0, str(repository_root() / "benchmarks"))
import simulated_cluster

ALL = {("relu", 0), ("relu", 1), ("cos", 0), ("cos", 1)}
CONFIGS = [mlp("relu", epochs=1), mlp("cos", epochs=1)]
IMAGES = load("digits", 64)
Remote = tuple[str, str, list[subprocess.Popen]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository with a results folder of its own, and tasks that train nothing."""
    monkeypatch.setenv("COSNB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{repository_root()}")
    monkeypatch.setattr(remote, "TASK", "light_task")
    write_light_task(tmp_path)
    return tmp_path


@pytest.fixture
def workers(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    """A scheduler and two workers with a GPU each: address, their mark, (scheduler, worker, worker).

    The workers have another working folder and another results folder than the test.
    """
    mark = uuid4().hex
    monkeypatch.setenv("COSNB_TEST_MARK", mark)
    address_file, elsewhere = root / "scheduler.json", root / "elsewhere"
    elsewhere.mkdir()

    def start(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        own = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
        environment = os.environ | {"COSNB_RESULTS": str(elsewhere / "results")}
        return subprocess.Popen(command, cwd=elsewhere, env=environment, **own)

    file = ["--scheduler-file", str(address_file)]
    worker = ["worker", *file, "--no-nanny", "--nthreads", "1", "--resources", "GPU=1", "--host", "127.0.0.1"]
    processes = [start("scheduler", *file, "--host", "127.0.0.1", "--port", "0"), start(*worker), start(*worker)]
    try:
        wait_for(lambda: address_file.exists() and address_file.read_text().endswith("}"))
        yield json.loads(address_file.read_text())["address"], mark, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
    monkeypatch.delenv("COSNB_TEST_MARK")
    wait_for(lambda: alive(mark) == [])


train = partial(run_missing, "table", CONFIGS, (0, 1), IMAGES, "cpu")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def begun(root: Path) -> Counter[tuple[str, int]]:
    path = root / "begun"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return Counter((name, int(seed)) for name, seed in map(str.split, lines))


def recorded(status: str = "ok") -> set[tuple[str, int]]:
    return {(r["config"]["activation"], r["seed"]) for r in results.read("table") if r["status"] == status}


def later(condition: Callable[[], bool], action: Callable[[], object]) -> threading.Thread:
    def act() -> None:
        wait_for(condition)
        action()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


@pytest.mark.long
def test_a_cluster_gives_the_very_numbers_of_this_process(
    root: Path, workers: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "TASK", "cosnb.experiments.runner.task")
    address, _, _ = workers
    assert training_device(address) == training_device()  # this machine's, asked on a worker
    configs = [mlp(epochs=2), mlp(epochs=1, batch_size=21)]  # the second one's last batch has one image
    threads = torch.get_num_threads()
    call = partial(run_missing, "table", configs, (0,), IMAGES, "cpu")
    assert call(scheduler=address) == 2
    made = {record["config_digest"]: record for record in results.read("table")}
    assert [made[config.digest()]["status"] for config in configs] == ["ok", "failed"]
    try:
        torch.set_num_threads(made[configs[0].digest()]["device"]["threads"])
        call(root=root / "here")
    finally:
        torch.set_num_threads(threads)
    for config in configs:
        here = next(r for r in results.read("table", root / "here") if r["config_digest"] == config.digest())
        there = made[config.digest()]
        assert (there["status"], there["error"]) == (here["status"], here["error"])
        assert figures(there["epochs"]) == figures(here["epochs"])
        assert there["code_digest"] == here["code_digest"]
    assert not (root / "results" / "table" / ".checkpoints").exists()
    assert not list((root / "elsewhere").glob("results/*/.checkpoints"))


@pytest.mark.long
def test_a_study_on_a_cluster_gives_a_run_and_its_measurement(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "TASK", "cosnb.experiments.runner.task")
    walk = {"points": 5, "reach": 0.5, "lines": 1, "on": 32}
    call = partial(study.study_missing, "lines", CONFIGS[:1], (0,), IMAGES, "cpu", walk)
    assert call(scheduler="local:1") == 1
    assert call(scheduler="local:1") == 0
    (there,) = results.read("lines")
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(there["device"]["threads"])
        assert call(root=root / "here") == 1
    finally:
        torch.set_num_threads(threads)
    (here,) = results.read("lines", root / "here")
    assert (there["measured"], there["config"]) == (here["measured"], here["config"])


def test_each_missing_run_is_a_task_and_none_is_done_twice(root: Path, workers: Remote) -> None:
    address, _, _ = workers
    assert run_missing("table", CONFIGS, (0,), IMAGES, "cpu", scheduler=address) == 2
    assert train(scheduler=address) == 2
    assert train(scheduler=address) == 0
    assert begun(root) == Counter(ALL)
    assert recorded() == ALL
    assert not (root / "elsewhere" / "results").exists()  # it is here that records are written


def test_a_failed_run_is_recorded_and_the_others_are_done(root: Path) -> None:
    write_light_task(root, "failed")
    assert train(scheduler="local:2") == 4
    assert recorded() == ALL - {("cos", 1)}
    assert recorded("failed") == {("cos", 1)}


def test_a_run_that_dies_again_and_again_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "DEATHS", 2)
    write_light_task(root, "deadly")
    with pytest.raises(CosnbError, match=r"table, cos seed 1: ProcessDied: its process was ended by signal 9\. What"):
        train(scheduler="local:1")
    assert begun(root)["cos", 1] == 3
    assert recorded() == ALL - {("cos", 1)}


def test_a_process_that_breaks_ends_the_call_with_its_error(root: Path) -> None:
    write_light_task(root, "broken")
    with pytest.raises(CosnbError, match="seed 0: ValueError: its own fault"):
        train(scheduler="local:1")


def test_a_full_disk_stops_all_with_its_message(root: Path, workers: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    address, mark, _ = workers
    write_light_task(root, "slow")
    write, full = results.write, "cannot write the record: No space left on device; free the disk"

    def refuse(record: dict, folder: Path | None) -> Path:
        if len(recorded()) == 1:
            raise CosnbError(full)
        return write(record, folder)

    monkeypatch.setattr(results, "write", refuse)
    with pytest.raises(CosnbError, match=full):
        train(scheduler=address)
    assert len(recorded()) == 1
    wait_for(lambda: len(alive(mark)) == 3)  # the cluster alone


def test_a_killed_worker_loses_nothing_and_doubles_nothing(root: Path, workers: Remote) -> None:
    address, mark, (_, victim, _) = workers
    write_light_task(root, "slow")
    thread = later(lambda: len(begun(root)) >= 2, victim.kill)
    assert train(scheduler=address) == 4
    thread.join()
    assert recorded() == ALL
    assert 4 <= sum(begun(root).values()) <= 5  # the one that was under way on the killed worker twice
    wait_for(lambda: len(alive(mark)) == 2)  # the scheduler and the other worker: no run is left


def test_a_scheduler_that_goes_away_is_said_and_nothing_is_left(root: Path, workers: Remote) -> None:
    address, mark, (scheduler, _, _) = workers
    write_light_task(root, "slow")
    thread = later(lambda: len(recorded()) >= 2, scheduler.kill)
    with pytest.raises(CosnbError, match=r"The Dask scheduler is gone.* what was finished is recorded"):
        train(scheduler=address)
    thread.join()
    assert len(recorded()) >= 2
    wait_for(lambda: not any("light_task" in command for command in alive(mark)))


class Stop(BaseException):
    """The time is over."""


def test_what_ends_the_call_ends_what_runs_on_the_workers(root: Path, workers: Remote) -> None:
    address, mark, _ = workers
    write_light_task(root, "slow")

    def should_stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        train(scheduler=address, should_stop=should_stop)
    wait_for(lambda: len(alive(mark)) == 3)
    assert recorded() == set()


@pytest.mark.long
def test_a_notebook_runs_once_and_its_runs_on_the_cluster(
    root: Path, workers: Remote, capsys: pytest.CaptureFixture[str]
) -> None:
    address, mark, _ = workers
    write_swept(root, "table")
    write_notebook(root / "notebooks" / "other.ipynb", code("print(count)"), parameters="count = 1\nkeep = True")
    write_runs(root, {"table": 120, "other": 60}, gpu=True)
    for shown in ("4 trained", "0 trained"):
        assert notebooks.run(["table", "other"], "full", {"keep": True}, root=root, scheduler=address) == []
        executed = notebooks.executed_path("table", "full", root).read_text()
        assert shown in executed
        assert "4 records" in executed
    assert begun(root) == Counter(ALL)
    assert (root / "notebooks" / "executed").read_text() == "once once "
    assert "other: trains no runs that are recorded" in capsys.readouterr().out
    wait_for(lambda: len(alive(mark)) == 3)


def test_ctrl_c_ends_what_runs_on_the_workers(
    root: Path, workers: Remote, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address, mark, _ = workers
    write_light_task(root, "slow")
    write_swept(root, "table")
    write_runs(root, {"table": 60})
    monkeypatch.setattr(book_runs, "repository_root", lambda: root)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread = later(lambda: len(begun(root)) >= 1, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert cli.main(["run", "table", "-p", "keep=true", "--scheduler", address]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    thread.join()
    assert "nothing is left running" in capsys.readouterr().err
    wait_for(lambda: len(alive(mark)) == 3)  # the cluster alone, no notebook and no run


def test_a_cluster_that_cannot_do_it_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with pytest.raises(CosnbError, match=r"No Dask scheduler answers at 'tcp://127\.0\.0\.1:1'"):
        train(scheduler="tcp://127.0.0.1:1")
    with pytest.raises(CosnbError, match="No Dask scheduler answers at 'nonsense://"):
        train(scheduler="nonsense://x")
    for wrong in ("local:", "local:0", "local:x"):
        with pytest.raises(CosnbError, match=f"'{wrong}' names no cluster: write local:2"):
            train(scheduler=wrong)
    said: list[str] = []
    with cluster.connect("local:1") as client:
        monkeypatch.setattr(client, "scheduler_info", lambda: {"workers": {}})
        cluster.require_workers(client, True, said.append)
        assert said == ["the cluster has no worker yet: waiting for one (`dask worker ADDRESS`)"]
        monkeypatch.setattr(client, "scheduler_info", lambda: {"workers": {"a": {"resources": {}}}})
        with pytest.raises(CosnbError, match="offers a GPU"):
            cluster.require_workers(client, True, print)
    assert begun(root) == Counter()


def test_other_images_and_other_code_are_refused() -> None:
    order = {"config": CONFIGS[0].as_dict(), "seed": 0, "identity": remote.identity(CONFIGS[0])}
    wanted = {"name": "digits", "held_out": 0, "tested": 0}
    order["data"] = {**wanted, **remote.images_identity(IMAGES), "digest": "of others"}
    with pytest.raises(CosnbError, match=re.escape("the images of digits on ")):
        task.perform(order)
    with pytest.raises(CosnbError, match="another version of cosnb"):
        task.perform(order | {"identity": [CONFIGS[0].digest(), "of others"]})


def test_a_run_goes_on_from_the_workers_checkpoint(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(epoch: object) -> None:
        raise Stop

    monkeypatch.setattr("cosnb.experiments.training.checkpoint.INTERVAL", 0.0)
    config = mlp(epochs=2)
    checkpoint = runs.open_checkpoint("table", config, 0, IMAGES)
    with pytest.raises(Stop):
        runs.run("table", config, 0, IMAGES, "cpu", stop, checkpoint)
    assert checkpoint.path.exists()
    order = {"experiment": "table", "config": config.as_dict(), "seed": 0, "identity": remote.identity(config)}
    order |= {"data": {"name": "digits", "held_out": 0, "tested": 0, **remote.images_identity(IMAGES)}, "device": "cpu"}
    (record,) = task.perform(order | {"resume": True, "loss_slice": None, "execution": "auto", "beside": 1})
    assert record["timing"]["resumed"]
    assert not checkpoint.path.exists()
    assert figures(record["epochs"]) == figures(runs.run("table", config, 0, IMAGES, "cpu")["epochs"])


def test_gpus_are_a_resource_of_the_embedded_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert gpus.visible_gpus() == ["2", "5"]
    with cluster.connect("local:3") as client:
        assert sorted(len(worker["resources"]) for worker in client.scheduler_info()["workers"].values()) == [0, 1, 1]
        calls: cluster.Calls[int, dict[str, str]] = cluster.Calls(client, lambda number: cluster.own_gpu())
        calls.add(range(8), {"GPU": 1})
        seen = []
        while len(calls):
            seen += [environment["CUDA_VISIBLE_DEVICES"] for _, environment in calls.ended()]
    assert set(seen) == {"2", "5"}


def test_several_gpus_of_one_machine_share_a_notebooks_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_swept(root, "table")
    write_runs(root, {"table": 60}, gpu=True)
    given = []
    monkeypatch.setattr(book_runs.pool, "execute", lambda jobs, *settings: given.append((jobs[0], settings)) or [])
    for devices, keep, address in (("2,5", True, "local:2"), ("2,5", False, ""), ("2", True, ""), ("", True, "")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
        assert notebooks.run(["table"], "full", {"keep": keep}, jobs=2, root=root) == []
        job, (_, _, seen) = given.pop()
        assert job.parameters.get("scheduler", "") == address
        assert len(seen) == (1 if address else len(list(filter(None, devices.split(",")))))
    assert notebooks.run(["table"], "quick", {"keep": True}, jobs=3, root=root) == []
    assert given.pop()[0].parameters["scheduler"] == "local:3"


def test_a_hundred_runs_while_workers_come_and_go() -> None:
    done = simulated_cluster.simulate(workers=10, runs=100, seconds=0.05, killed=0.2, hosts=5)
    assert (done.killed, done.joined) == (2, 2)
    assert done.records == Counter(range(100))
    assert not done.torch


@pytest.mark.parametrize(
    "modules", ["cosnb.experiments.cluster, cosnb.experiments.records.record", "cosnb.book.notebooks"]
)
def test_a_worker_and_the_command_need_no_pytorch(modules: str) -> None:
    program = f"import sys; import {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_calls_begin_in_their_order() -> None:
    with cluster.connect("local:1") as client:
        calls: cluster.Calls[int, float] = cluster.Calls(client, lambda number: time.monotonic())
        calls.add(range(8))
        begun: list[tuple[int, float]] = []
        while len(calls):
            begun += calls.ended()  # type: ignore[arg-type]
            time.sleep(0.01)
    assert [number for number, _ in sorted(begun, key=lambda one: one[1])] == list(range(8))
