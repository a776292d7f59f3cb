"""Records survive: writers that are killed leave whole files, none lost, none doubled; readers name what is wrong."""

import json
import random
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from counting import Tally
from write_records import CONFIG, made

from cosnb.experiments import results
from cosnb.experiments.records.record import config_digest

ITEM = "3 records"
WRITERS, RECORDS, KILLS = 8, 2000, 24
PROGRAM = Path(__file__).with_name("write_records.py")


@pytest.mark.long
def test_killed_writers_lose_and_double_nothing(tally: Tally, tmp_path: Path) -> None:
    said: Counter[int] = Counter()
    lock = threading.Lock()
    running: dict[int, subprocess.Popen[str]] = {}
    over, kills = threading.Event(), 0

    def supervise(first: int) -> None:
        while True:  # until a writer comes to its end: what was killed is started again
            command = [sys.executable, str(PROGRAM), str(tmp_path), str(first), str(WRITERS), str(RECORDS)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                running[first] = process
                assert process.stdout is not None
                for line in process.stdout:
                    if line.endswith("\n"):
                        with lock:
                            said[int(line)] += 1
            if process.returncode == 0:
                return

    def kill() -> None:
        nonlocal kills
        rng = random.Random(8)
        while not over.is_set() and kills < KILLS:
            time.sleep(rng.uniform(0.05, 0.5))
            victim = running.get(rng.randrange(WRITERS))
            if sum(said.values()) > 50 * kills and victim is not None and victim.poll() is None:
                victim.kill()
                kills += 1

    threads = [threading.Thread(target=supervise, args=(first,)) for first in range(WRITERS)]
    killer = threading.Thread(target=kill)
    for thread in (*threads, killer):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    killer.join()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a file that is not whole would be warned of
        found = results.read("drill", tmp_path)
    by_seed = Counter(record["seed"] for record in found)
    failures = [f"seed {seed}: {by_seed[seed]} records" for seed in range(RECORDS) if by_seed[seed] != 1]
    failures += [f"seed {seed} was said and is not there" for seed in said if not by_seed[seed]]
    failures += [f"seed {record['seed']} has other content" for record in found if record != made(record["seed"])]
    assert kills >= 5, f"only {kills} writers were killed"
    tally(RECORDS + kills, failures)


TEXT = json.dumps(made(1), indent=1)
DAMAGE: dict[str, Callable[[], str | bytes]] = {
    **{f"cut off at {at}": lambda at=at: TEXT[:at] for at in range(0, len(TEXT) - 2, len(TEXT) // 40)},  # type: ignore[misc]
    "schema 0": lambda: json.dumps(made(1) | {"schema": 0}),
    "schema 2": lambda: json.dumps(made(1) | {"schema": 2}),
    "no schema": lambda: json.dumps({key: value for key, value in made(1).items() if key != "schema"}),
    "a list": lambda: "[]",
    "a number": lambda: "3",
    "null": lambda: "null",
    "bytes": lambda: bytes(range(256)),
    "zeros": lambda: bytes(4096),
    "a page": lambda: "<html>",
    "a wrong type": lambda: json.dumps(made(1) | {"epochs": "none"}),
    "a wrong seed": lambda: json.dumps(made(1) | {"seed": 1.5}),
    "too deep": lambda: "[" * 100_000,
    "a huge number": lambda: '{"schema": ' + "9" * 10_000 + "}",
    "empty": lambda: "",
}


@pytest.mark.parametrize("among", [0, 3])
def test_damaged_and_older_files_are_named_and_skipped(tally: Tally, tmp_path: Path, among: int) -> None:
    failures = []
    for seed in range(among):
        results.write(made(seed + 10), tmp_path)
    path = tmp_path / "drill" / f"cos-{config_digest(CONFIG)}-seed1.json"
    path.parent.mkdir(exist_ok=True)
    for name, text in DAMAGE.items():
        content = text()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                read = len(results.read("drill", tmp_path))
            except BaseException as error:
                failures.append(f"{name}: {error!r:.100}")
                continue
        said = [str(warning.message) for warning in caught]
        if read != among or len(said) != 1 or str(path) not in said[0]:
            failures.append(f"{name}: {read} records, {said}")
    tally(len(DAMAGE), failures)
