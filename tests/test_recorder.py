"""The recorder: a campaign in a worktree at one commit, its records committed and nothing else."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cosnb.paths import repository_root

# Writes a record a call, as a campaign that says which code it is; then waits where it is told to.
CAMPAIGN = """
import json, os, sys, time
from pathlib import Path

VERSION = {version}

def main():
    folder = Path(os.environ["COSNB_RESULTS"]) / "is-cos-more-accurate"
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.glob("*.json")))
    (folder / ".checkpoints").mkdir(exist_ok=True)
    (folder / ".checkpoints" / "unfinished").write_text("")
    commit = os.popen("git rev-parse HEAD").read().strip()
    record = {{"finished": str(number), "commit": commit, "version": VERSION, "arguments": sys.argv[1:]}}
    record["nice"] = os.nice(0)
    group = Path("/proc/self/autogroup")
    record["group"] = group.read_text() if group.exists() else "nice 19"
    (folder / f"{{number}}.json").write_text(json.dumps(record))
    try:
        time.sleep(60 if "wait" in sys.argv else 0)
    except KeyboardInterrupt:
        (folder / "stopped.json").write_text(json.dumps(record | {{"finished": "-"}}))
        return 130
    return 0
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    root = tmp_path / "clone"
    (root / "tools").mkdir(parents=True)
    shutil.copy(repository_root() / "tools" / "record.py", root / "tools")
    (root / ".gitignore").write_text("_build/\n.checkpoints/\n")
    (root / "cosnb").mkdir()
    (root / "cosnb" / "__init__.py").write_text("")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "config", "user.name", "tests")
    git(root, "config", "user.email", "tests@example.org")
    change(root, 1)
    return root


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True).stdout


def change(root: Path, version: int) -> None:
    (root / "cosnb" / "cli.py").write_text(CAMPAIGN.format(version=version))
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", f"Version {version}")


def start(root: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {key: value for key, value in os.environ.items() if key not in ("COSNB_RESULTS", "PYTHONPATH")}
    command = [sys.executable, str(root / "tools" / "record.py"), *arguments]
    return subprocess.Popen(command, env=environment)


def record(root: Path, *arguments: str) -> int:
    return start(root, *arguments).wait(60)


def records(root: Path) -> list[dict[str, object]]:
    found = (root / "results" / "is-cos-more-accurate").glob("[0-9]*.json")
    return [json.loads(path.read_text()) for path in sorted(found)]


def test_the_newest_record_s_code_goes_on_and_another_commit_can_be_named(clone: Path) -> None:
    assert record(clone, "answer", "--max-parallel", "3") == 0
    change(clone, 2)
    assert record(clone, "answer") == 0
    assert record(clone, "answer", "--commit", "HEAD", "--minutes", "5") == 0
    first, second, third = records(clone)
    assert [each["version"] for each in (first, second, third)] == [1, 1, 2]
    assert first["commit"] == second["commit"] != third["commit"]
    assert first["arguments"] == ["campaign", "answer", "--device", "cpu", "--together", "3"]
    assert third["arguments"] == ["campaign", "answer", "--device", "cpu", "--together", "2", "--minutes", "5"]
    assert first["nice"] == 19
    assert str(first["group"]).strip().endswith("nice 19")
    assert record(clone, "answer", "--commit", "no-such") != 0


def test_records_are_committed_and_nothing_else(clone: Path) -> None:
    (clone / "notes.txt").write_text("staged by a developer")
    git(clone, "add", "notes.txt")
    (clone / "cosnb" / "__init__.py").write_text("# changed, not staged")
    assert record(clone, "answer") == 0
    assert git(clone, "show", "--name-only", "--format=%s").split() == [
        *("Records:", "1", "of", "is-cos-more-accurate"),
        "results/is-cos-more-accurate/0.json",
    ]
    assert git(clone, "diff", "--cached", "--name-only").split() == ["notes.txt"]
    assert git(clone, "diff", "--name-only").split() == ["cosnb/__init__.py"]


def test_a_recorder_that_is_stopped_stops_its_campaign_and_commits(clone: Path) -> None:
    recorder = start(clone, "wait")
    folder = clone / "results" / "is-cos-more-accurate"
    end = time.monotonic() + 30
    while not (folder / "0.json").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)
    recorder.send_signal(signal.SIGTERM)
    assert recorder.wait(30) != 0
    assert (folder / "stopped.json").exists(), "as Ctrl-C would"
    assert "stopped.json" in git(clone, "show", "--name-only", "--format=%s")
