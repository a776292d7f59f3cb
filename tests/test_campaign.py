"""Campaigns end on time, go on where they stopped, and say what is left."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from cosnb import cli
from cosnb.book.notebooks import read_runs
from cosnb.errors import CosnbError
from cosnb.experiments import results
from cosnb.experiments.results.provenance import is_older
from cosnb.experiments.runner import campaign
from cosnb.experiments.runner import runs as trainings
from cosnb.experiments.runner.stages import CAMPAIGNS, Costs, RunOptions, Stage, Study
from cosnb.experiments.training import parse_seeds

POINT = {"protocol": "depth", "network": "depth_mlp", "depth": 1, "epochs": 2, "batch_size": 32}
STAGES = (
    Stage("figure-15-depth", "digits", "relu,cos", "0", (POINT,)),
    Stage("figure-15-depth", "digits", "relu,cos", "0:2", (POINT,)),
)


def run(root: Path, minutes: float | None = None, **more: object) -> tuple[bool, list[str]]:
    """Carry STAGES out and return whether they are done, and the lines."""
    lines: list[str] = []
    done = campaign.carry_out(STAGES, minutes, train_images=64, root=root, say=lines.append, **more)  # type: ignore[arg-type]
    return done, lines


def standing(root: Path) -> list[tuple[int, int]]:
    found = campaign.progress(STAGES, train_images=64, root=root)
    return [(step.recorded, step.wanted) for step in found]


@pytest.mark.parametrize("how", [{}, {"max_parallel": 3, "executor": "streams"}])
def test_all_that_is_missing_is_trained_once(how: dict[str, object], tmp_path: Path) -> None:
    assert standing(tmp_path) == [(0, 2), (0, 2)]
    done, lines = run(tmp_path, **how)
    assert done
    assert len(lines) == 4
    assert lines[0].startswith("figure-15-depth: depth_mlp ")
    assert lines[0].endswith(" images/s")
    assert standing(tmp_path) == [(2, 2), (2, 2)]
    assert run(tmp_path, **how) == (True, [])


def test_a_piece_ends_on_time_and_the_next_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosnb.experiments.training.checkpoint.INTERVAL", 0.0)
    clock = iter([0.0, 1.0, 2.0, 99.0])  # the start, before the stage, after the first epoch, after the second
    with monkeypatch.context() as patch:
        patch.setattr(campaign, "time", SimpleNamespace(monotonic=clock.__next__))
        assert run(tmp_path, 1.0) == (False, [])
    assert standing(tmp_path) == [(0, 2), (0, 2)]
    done, lines = run(tmp_path, 60.0)
    assert done
    assert len(lines) == 4
    resumed = [record["timing"]["resumed"] for record in results.read("figure-15-depth", tmp_path)]
    assert sum(resumed) == 1


def test_the_time_left_is_that_of_the_records_of_the_same_network(tmp_path: Path) -> None:
    assert campaign.progress(STAGES, train_images=64, root=tmp_path)[0].seconds is None
    campaign.carry_out(STAGES[:1], train_images=64, root=tmp_path, say=str)
    first, second = campaign.progress(STAGES, train_images=64, root=tmp_path)
    assert first.seconds == 0
    assert second.seconds is not None
    assert second.seconds > 0
    shown = campaign.table([first, second])
    assert " 1.    2 of    2  done" in shown
    assert "left: 2 runs" in shown


def test_a_rehearsal_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    assert campaign.rehearse(STAGES[:1], say=lines.append)
    assert len(lines) == 2
    assert not any(record["config"]["dataset"] == "digits" for record in results.read("figure-15-depth"))


def test_a_run_that_fails_fails_the_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*given: object) -> None:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(trainings, "train", train)
    lines: list[str] = []
    assert not campaign.rehearse(STAGES[:1], say=lines.append)
    assert lines[0].endswith("failed (RuntimeError: no kernel image)")


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_stages_are_those_of_the_notebooks(name: str) -> None:
    runs = read_runs()
    for stage in CAMPAIGNS[name]:
        full = runs[stage.experiment].parameters["full"]
        small = stage.small()
        assert len(parse_seeds(small.seeds)) <= 2
        assert len({repr(point) for point in small.points}) == len(small.points) <= 2
        if isinstance(stage, Costs):
            assert stage.timed == {key: full[key] for key in ("batch", "rounds")}
            assert [point["network"] for point in stage.points] == full["networks"].split(",")
            continue
        assert stage.dataset == full["dataset"]
        if "(" in stage.activations:  # a formula, which no notebook trains by default
            continue
        if "epochs" not in stage.points[0] or stage.points[0]["epochs"] == full["epochs"]:
            assert set(parse_seeds(stage.seeds)) <= set(parse_seeds(full["seeds"]))
            assert set(stage.activations.split(",")) <= set(full["activations"].split(","))
        if isinstance(stage, Study):
            walk = {"points": full["points"], "lines": full["directions"], "on": full["loss_images"]}
            assert stage.loss_slice == {**walk, "reach": 0.5}
        if stage.dataset == "mnist":  # those notebooks name no precision: float32, on a GPU too
            assert all(point["precision"] == "float32" for point in stage.points)


def test_costs_have_the_settings_of_their_records() -> None:
    (stage,) = CAMPAIGNS["cost"]
    (chosen, *_) = stage.wanted(None, RunOptions()).values()
    assert all(chosen.keys() == record["config"].keys() for record in results.read("cost"))


STUDY = Study("loss-surface", "digits", "cos", "0", ({"epochs": 1, "batch_size": 32},)).small()


def test_a_trained_network_is_measured_and_its_run_counts_among_the_tables(tmp_path: Path) -> None:
    def carry_out() -> list[str]:
        lines: list[str] = []
        assert campaign.carry_out([STUDY], train_images=64, root=tmp_path, say=lines.append)
        return lines

    assert campaign.progress([STUDY], train_images=64, root=tmp_path)[0].seconds is None
    assert [line.split(":")[0] for line in carry_out()] == ["loss-surface", "table-3-squeezenet"]
    (record,), (run,) = (results.read(name, tmp_path) for name in STUDY.experiments)
    assert run["config"].items() <= record["config"].items()
    measured = record["measured"]
    assert measured["test_accuracy"] == run["epochs"][-1]["test_accuracy"]
    assert len(measured["dead_units_by_layer"]) == len(measured["dead_units_by_layer_at_start"]) == 25
    assert measured["gradient_norms"] != measured["gradient_norms_at_start"]
    assert len(measured["line"]) == STUDY.loss_slice["points"]
    assert not is_older(record)
    assert carry_out() == []
    (tmp_path / "loss-surface" / next((tmp_path / "loss-surface").glob("*.json")).name).unlink()
    assert campaign.progress([STUDY], train_images=64, root=tmp_path)[0].seconds > 0  # type: ignore[operator]
    assert [line.split(":")[0] for line in carry_out()] == ["loss-surface"]  # the run has its record


def test_a_study_that_the_end_of_the_time_interrupts_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosnb.experiments.training.checkpoint.INTERVAL", 0.0)
    stage = dataclasses.replace(STUDY, points=({**STUDY.points[0], "epochs": 2},))
    # the start, before the stage, after the first epoch; then the second and before measuring
    for times, runs in (([0.0, 1.0, 99.0], 0), ([0.0, 1.0, 2.0, 3.0, 99.0], 1)):
        with monkeypatch.context() as patch:
            patch.setattr(campaign, "time", SimpleNamespace(monotonic=iter(times).__next__))
            assert not campaign.carry_out([stage], 1.0, train_images=64, root=tmp_path, say=str)
        assert len(results.read("table-3-squeezenet", tmp_path)) == runs
        assert not results.read("loss-surface", tmp_path)
    assert campaign.carry_out([stage], train_images=64, root=tmp_path, say=str)
    (run,) = results.read("table-3-squeezenet", tmp_path)
    assert run["timing"]["resumed"]
    assert len(results.read("loss-surface", tmp_path)) == 1


def test_a_precision_of_its_own_goes_before_the_campaigns(tmp_path: Path) -> None:
    stages = [stage.small() for stage in CAMPAIGNS["precision"][:2]]
    given = [{settings["precision"] for settings in stage.wanted(64, RunOptions()).values()} for stage in stages]
    assert given == [{"bfloat16"}, {"float32"}]


def test_mistakes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CosnbError, match="unknown campaign 'table': choose one of answer, tables, depth"):
        campaign.get("table")
    with pytest.raises(CosnbError, match="minutes is 0"):
        run(tmp_path, 0)
    assert cli.main(["campaign", "nothing"]) == 2
    assert "unknown campaign" in capsys.readouterr().err
