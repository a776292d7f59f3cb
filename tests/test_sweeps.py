"""Runs shared out on Dask: each recorded once, whatever dies; a sweep that cannot go on says why and leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from processes import alive
from tiny_book import write_runs, write_swept

from cosnb import cli
from cosnb.book import notebooks
from cosnb.book.notebooks import cluster, runs, sweep
from cosnb.errors import CosnbError
from cosnb.paths import repository_root

sys.path.insert(0, str(repository_root() / "benchmarks"))
import simulated_cluster

ALL = {("relu", 0), ("relu", 1), ("cos", 0), ("cos", 1)}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository with a results folder of its own."""
    monkeypatch.setenv("COSNB_RESULTS", str(tmp_path / "results"))
    return tmp_path


@pytest.fixture
def remote(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str, list[subprocess.Popen]]]:
    """A scheduler and two workers with a GPU each, as processes: address, their mark, (scheduler, worker, worker)."""
    mark = uuid4().hex
    monkeypatch.setenv("COSNB_TEST_MARK", mark)
    address_file = root / "scheduler.json"

    def start(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    own = ["--scheduler-file", str(address_file)]
    worker = ["worker", *own, "--no-nanny", "--nthreads", "1", "--resources", "GPU=1", "--host", "127.0.0.1"]
    processes = [start("scheduler", *own, "--host", "127.0.0.1", "--port", "0"), start(*worker), start(*worker)]
    try:
        wait_for(lambda: address_file.exists() and address_file.read_text().endswith("}"))
        yield json.loads(address_file.read_text())["address"], mark, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
    monkeypatch.delenv("COSNB_TEST_MARK")
    wait_for(lambda: alive(mark) == [])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def begun(root: Path) -> Counter[tuple[str, int]]:
    path = root / "notebooks" / "begun"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return Counter((name, int(seed)) for name, seed in map(str.split, lines))


def recorded(root: Path, name: str = "table") -> set[tuple[str, int]]:
    found = [json.loads(path.read_text()) for path in (root / "results" / name).glob("*.json")]
    return {(one["config"]["activation"], one["seed"]) for one in found}


def later(condition: Callable[[], bool], action: Callable[[], object]) -> threading.Thread:
    def act() -> None:
        wait_for(condition)
        action()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_runs_are_shared_out_recorded_once_and_shown(root: Path) -> None:
    write_swept(root, "table")
    write_runs(root, {"table": 60})
    for _ in range(2):
        assert notebooks.run(["table"], "quick", {"keep": True}, jobs=2, root=root, together=2) == []
        assert begun(root) == Counter(ALL)  # nothing again the second time
        assert recorded(root) == ALL
        assert "4 records" in notebooks.executed_path("table", "quick", root).read_text()
    assert [path.name for path in (root / "results").iterdir()] == ["table"]
    assert [path.name for path in (root / "_build" / "notebooks" / "quick").iterdir()] == ["table.ipynb"]


def test_a_failed_run_is_said_and_the_others_are_done(root: Path) -> None:
    write_swept(root, "table", trouble="failed")
    write_runs(root, {"table": 60})
    (failure,) = notebooks.run(["table"], "quick", {"keep": True}, jobs=2, root=root, together=2)
    assert failure.name == "table, cos-cos0000000-seed0-1"
    assert "its record says why" in failure.error
    assert recorded(root) == ALL - {("cos", 1)}
    assert "3 records" in notebooks.executed_path("table", "quick", root).read_text()


def test_wrong_settings_in_one_notebook_keep_all_from_training(root: Path) -> None:
    write_swept(root, "table")
    write_swept(root, "wrong", trouble="settings")
    write_runs(root, {"table": 60, "wrong": 60})
    failures = notebooks.run(["table", "wrong"], "quick", {"keep": True}, jobs=2, root=root)
    assert {failure.name: failure.error for failure in failures} == {
        "wrong": "CosnbError: epochs must be at least 1, got 0",
        "table": "not begun, since another notebook was refused",
    }
    assert begun(root) == Counter()


def test_a_full_disk_stops_the_sweep_with_its_message(root: Path) -> None:
    write_swept(root, "table", trouble="disk")
    write_runs(root, {"table": 60})
    with pytest.raises(CosnbError, match=r"No space left on device; free the disk[\s\S]*what was finished is recorded"):
        notebooks.run(["table"], "quick", {"keep": True}, jobs=2, root=root)
    assert ("relu", 0) in recorded(root) <= {("relu", 0), ("cos", 0)}


def test_a_killed_worker_loses_nothing_and_doubles_nothing(root: Path, remote: tuple) -> None:
    address, mark, (_, victim, _) = remote
    write_swept(root, "table", trouble="slow")
    write_runs(root, {"table": 60}, gpu=True)
    thread = later(lambda: len(begun(root)) >= 2, victim.kill)
    assert notebooks.run(["table"], "full", {"keep": True}, root=root, scheduler=address) == []
    thread.join()
    assert recorded(root) == ALL
    assert 4 <= sum(begun(root).values()) <= 5  # the one that was under way on the killed worker twice
    wait_for(lambda: len(alive(mark)) == 2)  # the scheduler and the other worker: no notebook is left
    assert "4 records" in notebooks.executed_path("table", "full", root).read_text()


def test_a_scheduler_that_goes_away_is_said_and_nothing_is_left(root: Path, remote: tuple) -> None:
    address, mark, (scheduler, _, _) = remote
    write_swept(root, "table", trouble="slow")
    write_runs(root, {"table": 60})
    thread = later(lambda: len(recorded(root)) >= 2, scheduler.kill)
    with pytest.raises(CosnbError, match=r"The Dask scheduler is gone.* what was finished is recorded"):
        notebooks.run(["table"], "quick", {"keep": True}, root=root, scheduler=address)
    thread.join()
    assert len(recorded(root)) >= 2
    wait_for(lambda: not any("worker.py" in command or "ipykernel" in command for command in alive(mark)))


def test_ctrl_c_ends_what_runs_on_the_workers(
    root: Path, remote: tuple, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address, mark, _ = remote
    write_swept(root, "table", trouble="slow")
    write_runs(root, {"table": 60})
    monkeypatch.setattr(runs, "repository_root", lambda: root)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread = later(lambda: len(begun(root)) >= 1, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert cli.main(["run", "table", "-p", "keep=true", "--scheduler", address]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    thread.join()
    assert "nothing is left running" in capsys.readouterr().err
    wait_for(lambda: len(alive(mark)) == 3)  # the cluster alone, and no notebook
    assert not list(root.glob("**/.running-*"))


def test_a_cluster_that_cannot_do_it_is_refused_before_anything_starts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    write_swept(root, "table")
    write_runs(root, {"table": 60}, gpu=True)
    with pytest.raises(CosnbError, match=r"No Dask scheduler answers at 'tcp://127\.0\.0\.1:1'"):
        notebooks.run(["table"], "full", {"keep": True}, root=root, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(CosnbError, match="No Dask scheduler answers at 'nonsense://"):
        notebooks.run(["table"], "full", {"keep": True}, root=root, scheduler="nonsense://x")
    for settings, message in (({"jobs": 2, "scheduler": "tcp://x"}, "jobs is for"), ({"together": 0}, "together is 0")):
        with pytest.raises(CosnbError, match=message):
            notebooks.run(["table"], root=root, **settings)
    with pytest.raises(CosnbError, match="seeds must be"):
        notebooks.run(["table"], "full", {"seeds": "0:x"}, root=root)
    said: list[str] = []
    with cluster.connect(None, 0, 0) as client:
        cluster.require_workers(client, True, said.append)
    assert said == ["the cluster has no worker yet: waiting for one (`dask worker ADDRESS`)"]


def test_gpus_are_a_resource_of_the_embedded_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert cluster.visible_gpus() == ["2", "5"]
    with cluster.connect(None, 3, 2) as client:
        assert sorted(len(worker["resources"]) for worker in client.scheduler_info()["workers"].values()) == [0, 1, 1]
        calls: cluster.Calls[int, dict[str, str]] = cluster.Calls(client, lambda number: cluster.own_gpu())
        calls.add(range(8), {"GPU": 1})
        seen = []
        while len(calls):
            seen += [environment["CUDA_VISIBLE_DEVICES"] for _, environment in calls.ended()]
    assert set(seen) == {"2", "5"}
    with cluster.connect(None, 1, 1) as client:
        monkeypatch.setattr(client, "scheduler_info", lambda: {"workers": {"a": {"resources": {}}}})
        with pytest.raises(CosnbError, match="offers a GPU"):
            cluster.require_workers(client, True, print)


def test_shares_go_by_seed_and_then_by_configuration(tmp_path: Path) -> None:
    job = notebooks.Job("table", tmp_path, tmp_path, {}, 60, together=2)
    missing = [{"experiment": "e", "digest": d, "seed": s, "activation": d} for d in ("a", "b") for s in (2, 0, 1)]
    parts = sweep.shares(job, missing, job.together)
    assert [part.order["train"] for part in parts if part.order] == [
        [["e", "a", 0], ["e", "a", 1]],
        [["e", "b", 0], ["e", "b", 1]],
        [["e", "a", 2]],
        [["e", "b", 2]],
    ]
    assert [part.part for part in parts] == ["a-a-seed0-1", "b-b-seed0-1", "a-a-seed2", "b-b-seed2"]


def test_a_hundred_runs_while_workers_come_and_go() -> None:
    done = simulated_cluster.simulate(workers=10, runs=100, seconds=0.05, killed=0.2, hosts=5)
    assert (done.killed, done.joined) == (2, 2)
    assert done.records == Counter(range(100))
    assert not done.torch


def test_the_way_to_a_record_needs_no_pytorch() -> None:
    modules = "cosnb.book.notebooks.sweep, cosnb.experiments.records.record"
    program = f"import sys; import {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_ctrl_c_while_modules_are_imported_comes_after() -> None:
    swallowed = []

    def imports() -> None:
        with runs.interrupt_later():
            try:  # as a module compiled by Cython does that registers with collections.abc
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.05)
            except KeyboardInterrupt as taken:
                swallowed.append(taken)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            imports()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert not swallowed
