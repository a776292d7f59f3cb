import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_book import code, write_notebook, write_runs

import cosnb
from cosnb import cli
from cosnb.book.notebooks import runs
from cosnb.experiments.records.record import config_digest

RECORD = Path("table-3-squeezenet") / "cos-0123456789-seed0.json"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two notebooks, one of which fails."""
    monkeypatch.setattr(runs, "repository_root", lambda: tmp_path)
    write_notebook(tmp_path / "notebooks" / "works.ipynb", code("print(count)"))
    write_notebook(tmp_path / "notebooks" / "fails.ipynb", code("1 / 0"))
    write_runs(tmp_path, {"works": 60, "fails": 60})
    return tmp_path


def test_run_reports_what_it_wrote_and_what_failed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "works", "fails", "-p", "count=41", "--jobs", "2"]) == 1
    out, err = capsys.readouterr()
    written = root / "_build" / "notebooks" / "quick" / "works.ipynb"
    assert out.splitlines()[-1] == str(written)
    assert "41" in written.read_text()
    assert err.startswith("cosnb: notebook fails, cell 2 (1 / 0): ZeroDivisionError: division by zero\n")
    assert "works" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "work"], "There is no notebook 'work' (did you mean 'works'?)"),
        (["run", "works", "--profile", "fast"], "There is no profile 'fast'"),
        (["run", "works", "-p", "count"], "'count' sets no parameter"),
        (["run", "works", "-p", "count=many"], "Parameter count of works is a whole number"),
        (["run", "works", "-p", "cuont=2"], "works has no parameter 'cuont' (did you mean 'count'?)"),
        (["run", "works", "--seeds", "0:20"], "works has no parameter 'seeds'"),
        (["run", "works", "--seeds", "0:x"], "seeds must be like"),
        (["run", "works", "--activations", "rleu"], "unknown activation 'rleu'"),
        (["run", "works", "--jobs", "0"], "jobs is 0"),
        (["data", "download", "imagenet"], "There is no data set 'imagenet'"),
        (["campaign", "answer", "--device", "tpu"], "unknown device 'tpu': give cpu, cuda or cuda:1"),
        (["campaign", "answer", "--device", "cuda:99"], "device 'cuda:99' is not here: PyTorch sees "),
        (["campaign", "answer", "--executor", "foo"], "unknown executor 'foo'"),
        (["campaign", "answer", "--minutes", "0", "--device", "cpu"], "minutes is 0.0: give a number above 0"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    arguments: list[str], message: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"cosnb: {message}")
    assert err.count("\n") == 1
    assert not (root / "_build").exists()


def test_a_folder_that_cannot_be_made_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "_build").write_text("a file where a folder should be")
    assert cli.main(["run", "works"]) == 2
    assert f"cosnb: {root / '_build'}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["-h"], ["run", "-h"], ["book", "-h"], ["data", "-h"], ["results", "-h"], ["export", "-h"]]
)
def test_help_is_there(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(arguments)
    assert "usage: cosnb" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["run"], ["nonsense"]])
def test_half_a_command_is_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    assert "usage: cosnb" in capsys.readouterr().err


def test_data_says_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COSNB_DATA", str(tmp_path))
    assert cli.main(["data"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Data folder: {tmp_path}"
    assert lines[1].startswith("cifar10 ")
    assert "missing" in lines[1]
    assert lines[3].startswith("digits   1,437 + 360 images")


def test_results_lists_configurations_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COSNB_RESULTS", str(tmp_path))
    (tmp_path / RECORD).parent.mkdir()
    for activation, seed, status in (("cos", 0, "ok"), ("cos", 1, "ok"), ("relu", 0, "diverged")):
        config = {"activation": activation, "epochs": 8}
        record = {
            "schema": 1,
            "experiment": "table-3-squeezenet",
            "config": config,
            "config_digest": config_digest(config),
            "seed": seed,
            "status": status,
            "epochs": [],
            "code_digest": "c",
            "data": {},
            "device": {},
        }
        (tmp_path / RECORD.parent / f"{activation}-{config_digest(config)}-seed{seed}.json").write_text(
            json.dumps(record)
        )
    assert cli.main(["results"]) == 0
    out = capsys.readouterr().out
    assert "table-3-squeezenet\n  epochs 8\n    cos: 2 ok, relu: 1 diverged\n" in out


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"cosnb {cosnb.__version__}\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_a_shell_completes_commands_options_and_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out, encoding="utf-8")
    for words, expected in (
        (["camp"], "campaign"),
        (["campaign", "--li"], "--list"),
        (["run", "table-3"], "table-3-squeezenet"),
    ):
        ask = f"COMP_WORDS=(cosnb {' '.join(words)}); COMP_CWORD={len(words)}; $1; printf '%s ' ${{COMPREPLY[@]}}"
        code = f". {tmp_path}/script; set -- $(complete -p cosnb | sed 's/.*-F \\([^ ]*\\).*/\\1/'); {ask}"
        said = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
        assert said.stdout.split() == [expected], said.stderr


def test_a_reader_that_has_enough_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as when `head` has ended
    command = [sys.executable, "-m", "cosnb.cli", "results"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
