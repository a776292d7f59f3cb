"""Records: written whole or not at all, never replaced, found again, and damage is named."""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosnb.errors import CosnbError
from cosnb.experiments import results
from cosnb.experiments.data import ImageData, load
from cosnb.experiments.records import record as record_module
from cosnb.experiments.runner import run_missing, runs
from cosnb.experiments.training import TrainingConfig

CONFIG = TrainingConfig("cos", "digits", 64, epochs=1, batch_size=32)
EPOCH = {
    "epoch": 1,
    "train_loss": 2.0,
    "train_accuracy": 0.25,
    "test_loss": 1.75,
    "test_accuracy": 0.5,
    "train_seconds": 0.1,
    "test_seconds": 0.1,
}


def record(seed: int = 0, status: str = "ok", **changes: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "experiment": "table",
        "config": CONFIG.as_dict(),
        "config_digest": CONFIG.digest(),
        "seed": seed,
        "status": status,
        "error": None,
        "epochs": [EPOCH],
        "timing": {"method": "none", "total_seconds": 0.2},
        "code_digest": "0123456789abcdef",
        "data": {"name": "digits"},
        "device": {"name": "Prüfgerät®", "type": "cpu", "threads": 1},
        "started": "2026-01-01T00:00:00+00:00",
    } | changes


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "table").iterdir())


# Writing and reading


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = results.write(record(3), tmp_path)
    assert path == tmp_path / "table" / f"cos-{CONFIG.digest()}-seed3.json"
    assert results.read("table", tmp_path) == [record(3)]
    assert results.find("table", CONFIG.digest(), 3, tmp_path) == record(3)
    assert results.find("table", CONFIG.digest(), 30, tmp_path) is None
    assert results.find("table", "0" * 10, 3, tmp_path) is None
    assert results.find("other", CONFIG.digest(), 3, tmp_path) is None
    assert results.read("other", tmp_path) == []


def test_a_record_is_readable_by_all_and_ends_with_a_newline(tmp_path: Path) -> None:
    path = results.write(record(), tmp_path)
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.read_bytes().endswith(b"}\n")
    assert "Prüfgerät®" in path.read_text(encoding="utf-8")


def test_records_go_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSNB_RESULTS", str(tmp_path / "elsewhere"))
    assert results.write(record()).parent == tmp_path / "elsewhere" / "table"
    assert results.read("table") == [record()]


def test_a_record_is_never_replaced(tmp_path: Path) -> None:
    results.write(record(), tmp_path)
    with pytest.raises(CosnbError, match=r"cos-.*-seed0\.json exists already: a record is never replaced"):
        results.write(record(epochs=[]), tmp_path)
    assert results.read("table", tmp_path) == [record()]
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_failing_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    results.write(record(1), tmp_path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record_module, "require_writable", lambda experiment, root: tmp_path / experiment)
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(
        CosnbError, match=r"cannot write the record .*seed2\.json: No space left on device; free the disk"
    ):
        results.write(record(2), tmp_path)
    assert names(tmp_path) == [f"cos-{CONFIG.digest()}-seed1.json"]


def test_what_is_no_json_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CosnbError, match="was not written: data must be object or null"):
        results.write(record(data=object()), tmp_path)
    (tmp_path / "table").mkdir()
    with pytest.raises(TypeError):
        results.write(record(versions={}, extra=object()), tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"seed": "3"}, "seed must be integer"),
        ({"seed": -1}, "seed must be bigger than or equal to 0"),
        ({"status": "fine"}, "status must be one of"),
        ({"config": {}}, r"config must contain \['activation'\]"),
        ({"config_digest": "../../x"}, "config_digest must match pattern"),
        ({"epochs": [EPOCH | {"test_loss": "2"}]}, r"epochs\[0\].test_loss must be number"),
        ({"device": {"threads": 0}}, "device.threads must be bigger"),
        (
            {"epochs": [EPOCH | {"test_accuracy": 55.11}]},
            r"epochs\[0\].test_accuracy must be smaller than or equal to 1",
        ),
        ({"epochs": [EPOCH | {"train_accuracy": -0.1}]}, r"epochs\[0\].train_accuracy must be bigger"),
        ({"epochs": [EPOCH | {"mirrored_test_accuracy": 90.1}]}, r"epochs\[0\].mirrored_test_accuracy must be smaller"),
        ({"epochs": [EPOCH | {"test_loss": -1.0}]}, r"epochs\[0\].test_loss must be bigger"),
        ({"epochs": [EPOCH, EPOCH]}, "its epochs are not 1, 2, 3"),
        ({"measured": {"test_accuracy": 35.2}}, "measured.test_accuracy must be smaller"),
        (
            {"config": CONFIG.as_dict() | {"lr": 0.01}},
            "its config_digest is .*, that of its config .*: one of them was",
        ),
    ],
)
def test_what_the_schema_does_not_allow_is_neither_written_nor_read(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(CosnbError, match=problem):
        results.write(record(**changes), tmp_path)
    assert not (tmp_path / "table").exists()
    path = results.write(record(), tmp_path)
    path.write_text(json.dumps(record(**changes)))
    with pytest.warns(UserWarning, match=f"was left out: {problem}"):
        assert results.read("table", tmp_path) == []


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (f"cos-{CONFIG.digest()}-seed0.json", {"seed": 77}),
        (f"cos-{CONFIG.digest()}-seed0.json", {"experiment": "another"}),
        (f"cos-{CONFIG.digest()}-seed0.json", {"status": "failed"}),
        (f"cos-{CONFIG.digest()}-seed0 (1).json", {}),
        (f"mish-{CONFIG.digest()}-seed0.json", {}),
    ],
)
def test_a_record_under_another_records_name_is_left_out(tmp_path: Path, name: str, changes: dict[str, Any]) -> None:
    folder = tmp_path / "table"
    folder.mkdir()
    (folder / name).write_text(json.dumps(record(**changes)))
    with pytest.warns(UserWarning, match="was left out: it holds the record (table|another)/cos-.*-seed(0|77)"):
        assert results.read("table", tmp_path) == []
    if "(1)" not in name:  # else it is no file of this seed
        with pytest.raises(CosnbError, match="is no usable record: it holds the record"):
            results.find("table", CONFIG.digest(), 0, tmp_path)


def test_unknown_fields_are_named_and_kept(tmp_path: Path) -> None:
    results.write(record(mood="good"), tmp_path)
    with pytest.warns(UserWarning, match="fields that this program does not know: mood"):
        assert results.read("table", tmp_path)[0]["mood"] == "good"


def test_failures_within_one_second_are_all_kept(tmp_path: Path) -> None:
    for _ in range(3):
        results.write(record(status="failed", error="it failed"), tmp_path)
    assert len(names(tmp_path)) == 3


def test_nan_of_a_diverged_run_survives(tmp_path: Path) -> None:
    results.write(record(status="diverged", epochs=[EPOCH | {"test_loss": float("nan")}]), tmp_path)
    (back,) = results.read("table", tmp_path)
    assert back["epochs"][0]["test_loss"] != back["epochs"][0]["test_loss"]


# Damage


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is no readable record"),
        ("", "is no readable record"),
        ("\x00\x01", "is no readable record"),
        ("[]", "a record is a JSON object"),
        ('{"schema": 2}', "its schema version is 2, this program reads 1"),
        (
            '{"schema": 1, "seed": 0}',
            "it lacks code_digest, config, config_digest, data, device, epochs, experiment, status",
        ),
    ],
)
def test_a_damaged_file_is_named_and_left_out(tmp_path: Path, text: str, problem: str) -> None:
    results.write(record(1), tmp_path)
    broken = tmp_path / "table" / f"cos-{CONFIG.digest()}-seed0.json"
    broken.write_text(text)
    with pytest.warns(UserWarning, match=problem) as caught:
        assert results.read("table", tmp_path) == [record(1)]
    assert str(broken) in str(caught[0].message)
    with pytest.raises(CosnbError, match=r"seed0\.json is no (readable|usable) record.*then run again"):
        results.find("table", CONFIG.digest(), 0, tmp_path)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    results.write(record(1), tmp_path)
    (tmp_path / "table" / "x.json").write_bytes(b"\xff\xfe{")
    with pytest.warns(UserWarning, match=r"x\.json is no readable record and was left out"):
        assert len(results.read("table", tmp_path)) == 1


# A folder that refuses


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(CosnbError, match=r"the results folder .*table cannot be written \(Permission denied\)"):
            results.require_writable("table", tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("")
    with pytest.raises(CosnbError, match=r"the results folder .*table cannot be written \(File exists\)"):
        results.require_writable("table", tmp_path)


@pytest.mark.parametrize("call", ["mkdir", "link"])
def test_what_writing_will_need_is_tried_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(
        CosnbError, match=r"cannot be written \(Read-only file system\): allow it, or set COSNB_RESULTS"
    ):
        results.require_writable("table", tmp_path / "new")
    assert not list(tmp_path.rglob("*.*"))


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    assert results.require_writable("table", tmp_path) == tmp_path / "table"
    assert names(tmp_path) == []


# Running what is missing


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load("digits", train_images=64)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """Put a training of no time in the place of the real one; return the list of what it was asked for."""
    asked: list[tuple[str, int]] = []

    def train(
        config: TrainingConfig, seed: int, data: object, device: object, after_epoch: Any, *_: object
    ) -> tuple[str, list, None]:
        asked.append((config.activation, seed))
        for number in range(config.epochs):
            after_epoch(EPOCH | {"epoch": number + 1})
        return "ok", [], None

    monkeypatch.setattr(runs, "train", train)
    return asked


def configs(*activations: str) -> list[TrainingConfig]:
    return [dataclasses.replace(CONFIG, activation=name) for name in activations]


def test_only_what_is_missing_is_run(tmp_path: Path, data: ImageData, trained: list[tuple[str, int]]) -> None:
    assert run_missing("table", configs("relu", "cos"), [0], data, "cpu", tmp_path) == 2
    assert run_missing("table", configs("relu", "cos"), [0, 1], data, "cpu", tmp_path) == 2
    assert run_missing("table", configs("relu", "cos"), [0, 1], data, "cpu", tmp_path) == 0
    assert trained == [("relu", 0), ("cos", 0), ("relu", 1), ("cos", 1)]
    assert len(results.read("table", tmp_path)) == 4


def test_a_record_says_what_was_run_on_what(tmp_path: Path, data: ImageData, trained: list[tuple[str, int]]) -> None:
    run_missing("table", [CONFIG], [5], data, "cpu", tmp_path)
    (made,) = results.read("table", tmp_path)
    assert (made["status"], made["error"], made["seed"]) == ("ok", None, 5)
    assert made["config"] == CONFIG.as_dict()
    assert made["epochs"] == [EPOCH]
    assert made["data"] == {"name": "digits", "train_images": 64, "test_images": 360, "digest": data.digest}
    assert made["device"]["type"] == "cpu"
    assert set(made["versions"]) == {"python", "torch", "numpy", "cosnb"}
    assert made["started"] <= made["finished"]
    assert made["timing"]["total_seconds"] >= 0
    assert json.loads(json.dumps(made)) == made


def test_a_failed_run_is_kept_and_tried_again(tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: TrainingConfig, *_: object) -> tuple[str, list, None]:
        if config.activation == "relu":
            raise RuntimeError("out of memory")
        return "ok", [], None

    monkeypatch.setattr(runs, "train", fail)
    assert run_missing("table", configs("relu", "cos"), [0], data, "cpu", tmp_path) == 2
    by_status = {r["status"]: r for r in results.read("table", tmp_path)}
    assert by_status["failed"]["error"] == "RuntimeError: out of memory"
    assert results.find("table", configs("relu")[0].digest(), 0, tmp_path) is None
    monkeypatch.setattr(runs, "train", lambda *_: ("ok", [], None))
    assert run_missing("table", configs("relu", "cos"), [0], data, "cpu", tmp_path) == 1
    assert sorted(r["status"] for r in results.read("table", tmp_path)) == ["failed", "ok", "ok"]


def test_a_failed_run_goes_on_from_its_checkpoint(
    tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosnb.experiments.training.checkpoint.INTERVAL", 0.0)
    config, given = (
        dataclasses.replace(CONFIG, network="depth_mlp", protocol="depth", depth=1, epochs=3),
        ("table", data, "cpu", tmp_path),
    )
    real, shown = runs.train, []

    def fail(config: TrainingConfig, seed: int, data: ImageData, device: str, after_epoch: Any, *rest: Any) -> Any:
        def then_fail(epoch: dict[str, Any]) -> None:
            after_epoch(epoch)
            if epoch["epoch"] == 2:
                raise RuntimeError("the device is lost")

        return real(config, seed, data, device, then_fail, *rest)

    monkeypatch.setattr(runs, "train", fail)
    run_missing(given[0], [config], [0], *given[1:])
    monkeypatch.setattr(runs, "train", lambda *arguments: real(*arguments[:4], shown.append, *arguments[5:]))
    run_missing(given[0], [config], [0], *given[1:])
    assert [epoch["epoch"] for epoch in shown] == [1, 2, 3]
    found = {record["status"]: record for record in results.read("table", tmp_path)}
    assert found["ok"]["timing"]["resumed"]
    assert found["failed"]["error"] == "RuntimeError: the device is lost"
    assert not (tmp_path / "table" / ".checkpoints").exists()


def test_a_device_on_which_all_runs_failed_ends_the_call() -> None:
    failed, done = {"error": "AcceleratorError: unspecified launch failure"}, {"error": None}
    with pytest.raises(CosnbError, match=r"every run on cuda failed .*unspecified launch failure"):
        runs.refuse_a_broken_device([failed, failed], "cuda")
    runs.refuse_a_broken_device([failed, done], "cuda")
    runs.refuse_a_broken_device([failed], "cpu")  # where the next may succeed
    runs.refuse_a_broken_device([], "cuda")


def test_a_tree_without_git_has_the_commit_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "repository_root", lambda: tmp_path)
    monkeypatch.delenv("COSNB_COMMIT", raising=False)
    assert results.checked_out() == {"commit": None, "dirty": None}
    monkeypatch.setenv("COSNB_COMMIT", "c" * 40)
    assert results.checked_out() == {"commit": "c" * 40, "dirty": None}


def test_a_diverged_run_counts_as_done(tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "train", lambda *_: ("diverged", [], None))
    assert run_missing("table", [CONFIG], [0], data, "cpu", tmp_path) == 1
    assert run_missing("table", [CONFIG], [0], data, "cpu", tmp_path) == 0


def test_an_interrupt_ends_the_run_without_a_record(
    tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        run_missing("table", [CONFIG], [0], data, "cpu", tmp_path)
    assert names(tmp_path) == []


def test_two_processes_may_train_the_same_seed(
    tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = record(0, config_digest=CONFIG.digest())

    def train(*_: object) -> tuple[str, list, None]:
        results.write(other, tmp_path)  # the other process is done first
        return "ok", [], None

    monkeypatch.setattr(runs, "train", train)
    assert run_missing("table", [CONFIG], [0], data, "cpu", tmp_path) == 0
    assert results.read("table", tmp_path) == [other]


def test_wrong_data_and_a_refusing_folder_end_before_any_training(
    tmp_path: Path, data: ImageData, trained: list[tuple[str, int]]
) -> None:
    wrong = dataclasses.replace(CONFIG, train_images=63, batch_size=63)
    with pytest.raises(CosnbError, match=r"asks for 63 images of digits, the data given are 64 images of digits"):
        run_missing("table", [wrong], [0], data, "cpu", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CosnbError, match=r"the results folder .* cannot be written"):
        run_missing("table", [CONFIG], [0], data, "cpu", tmp_path / "file")
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / f"cos-{CONFIG.digest()}-seed0.json").write_text("{")
    with pytest.raises(CosnbError, match="is no readable record"):
        run_missing("table", [CONFIG], [0], data, "cpu", tmp_path)
    assert trained == []


def test_a_real_run_leaves_a_real_record(tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    few = dataclasses.replace(data, train_images=data.train_images[:16], train_labels=data.train_labels[:16])
    few = dataclasses.replace(few, test_images=data.test_images[:20], test_labels=data.test_labels[:20])
    small = dataclasses.replace(CONFIG, activation="relu", train_images=16, batch_size=16)
    assert run_missing("table", [small], [0], few, "cpu", tmp_path) == 1
    (made,) = results.read("table", tmp_path)
    assert made["status"] == "ok", made["error"]
    assert len(made["epochs"]) == 1
    assert made["epochs"][0]["test_accuracy"] * 20 == round(made["epochs"][0]["test_accuracy"] * 20)


def test_an_installed_package_brings_records_which_own_ones_precede(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    monkeypatch.setattr("cosnb.paths.SHIPPED", shipped)
    monkeypatch.setenv("COSNB_RESULTS", str(own))
    brought = results.write(record(seed=1), shipped / "results")
    results.write(record(seed=2), shipped / "results")
    results.write(record(seed=2), own)
    assert [found["seed"] for found in results.read(record()["experiment"])] == [1, 2]
    assert [path.is_relative_to(own) for path in record_module.files(record()["experiment"])] == [False, True]
    assert record_module.experiments() == [record()["experiment"]]
    digest = record()["config_digest"]
    assert results.find(record()["experiment"], digest, 1) == json.loads(brought.read_text(encoding="utf-8"))
    monkeypatch.setenv("COSNB_SHIPPED", "no")
    assert results.find(record()["experiment"], digest, 1) is None
    assert [found["seed"] for found in results.read(record()["experiment"])] == [2]
