"""Campaigns end on time, go on where they stopped, and say what is left."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cosnb import cli
from cosnb.errors import CosnbError
from cosnb.experiments import data, results
from cosnb.experiments.data import ImageData, cifar10, mnist
from cosnb.experiments.registry import FILE, read_runs, tables
from cosnb.experiments.results.provenance import is_older
from cosnb.experiments.results.tables import EXPERIMENTS
from cosnb.experiments.runner import campaign, campaigns, study
from cosnb.experiments.runner import runs as trainings
from cosnb.experiments.runner.campaigns import CAMPAIGNS
from cosnb.experiments.runner.stages import Costs, RunOptions, Runs, Stage, Study
from cosnb.experiments.training import parse_seeds
from cosnb.paths import repository_root

POINT = {"protocol": "depth", "network": "depth_mlp", "depth": 1, "epochs": 2, "batch_size": 32}
STAGES = (
    Runs("figure-15-depth", "digits", "relu,cos", "0", (POINT,), 64),
    Runs("figure-15-depth", "digits", "relu,cos", "0:2", (POINT,), 64),
)


def run(root: Path, minutes: float | None = None, **more: object) -> tuple[bool, list[str]]:
    """Carry STAGES out and return whether they are done, and the lines."""
    lines: list[str] = []
    done = campaign.carry_out(STAGES, minutes, root=root, say=lines.append, **more)  # type: ignore[arg-type]
    return done, lines


def standing(root: Path) -> list[tuple[int, int]]:
    found = campaign.progress(STAGES, root=root)
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


def test_a_piece_ends_within_an_epoch(tmp_path: Path) -> None:
    class Endless(Stage):
        experiment, experiments = "figure-15-depth", ("figure-15-depth",)

        def parts(self, max_parallel: int) -> list[list[int]]:
            return [[0]]

        def carry_out(self, seeds: list[int], options: RunOptions, should_stop: Callable[[], None]) -> None:
            for _ in range(1000):
                time.sleep(0.02)
            raise AssertionError("not interrupted")

    assert not campaign.carry_out([Endless()], 0.005, root=tmp_path)
    with pytest.raises(KeyboardInterrupt), campaign.interrupted(60):
        raise KeyboardInterrupt  # a person's


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
    assert campaign.progress(STAGES, root=tmp_path)[0].seconds is None
    campaign.carry_out(STAGES[:1], root=tmp_path, say=str)
    first, second = campaign.progress(STAGES, root=tmp_path)
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
def test_a_rehearsals_stages_are_small(name: str) -> None:
    for stage in CAMPAIGNS[name]:
        small = stage.small()
        assert len(small.wanted(RunOptions())) <= 2 * 2 * 4  # points, seeds, activations
        if isinstance(small, Costs):
            assert small.timed == {"batch": 2, "rounds": 1}
        else:
            assert len(parse_seeds(small.seeds)) <= 2
            assert len({repr(point) for point in small.points}) == len(small.points) <= 2
            assert small.dataset == "digits"


def notebooks_configurations(name: str, monkeypatch: pytest.MonkeyPatch, **given: object) -> dict[str, set[str]]:
    """Return what a notebook's full profile would train: digests of configurations by experiment; no image is read."""
    asked: dict[str, set[str]] = {}

    def find(experiment: str, digest: str, seed: int, root: Path | None = None) -> dict[str, str]:
        asked.setdefault(experiment, set()).add(digest)
        return {}  # there already

    def load(name: str, count: int | None = None, held_out: int = 0, test_images: int | None = None) -> ImageData:
        images = torch.zeros(1, 1, 1, 1, dtype=torch.uint8).expand(
            count or data.TRAIN_IMAGES[name] - held_out, 3, 32, 32
        )
        return ImageData(name, (), images, images, images, images, "", held_out)

    monkeypatch.setattr(results, "find", find)
    monkeypatch.setattr(data, "load", load)
    for module in (trainings, study):
        monkeypatch.setattr(module, "check", lambda *given: None)
    source = repository_root() / "notebooks" / f"{read_runs()[name].notebook}.ipynb"
    names = {"precision": "float32", **read_runs()[name].parameters["full"], "keep": False, **given}
    space: dict[str, object] = {}
    for cell in json.loads(source.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code" and "google.colab" not in "".join(cell["source"]):
            try:
                exec("".join(cell["source"]), space)
            except Exception:
                if not asked:  # what shows records finds none
                    raise
            if "parameters" in cell["metadata"].get("tags", ()):
                space |= names
        if asked:
            return asked
    raise AssertionError(f"{name} trains nothing")


ALONE = ("figure-15-depth", "sensitivity", "dead-units", "gradient-flow", "protocol-modern", *EXPERIMENTS.values())


def digests(*stages: Runs) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for stage in stages:
        found.setdefault(stage.experiment, set()).update(digest for digest, _ in stage.wanted(FLOAT32))
    return found


FLOAT32 = RunOptions(precision="float32")


@pytest.mark.parametrize("name", ALONE)
def test_a_notebook_trains_what_a_campaign_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert notebooks_configurations(name, monkeypatch) == digests(campaigns._runs(name))


def test_so_do_those_that_train_for_two_experiments_or_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notebooks_configurations("precision", monkeypatch) == digests(*campaigns._precision())
    measured = digests(*(stage for stage in CAMPAIGNS["trained"] if isinstance(stage, Study)))
    assert notebooks_configurations("loss-surface", monkeypatch) == measured
    answered = notebooks_configurations("is-cos-more-accurate", monkeypatch, precision="bfloat16")
    assert answered == digests(campaigns._answer())


@pytest.mark.parametrize("name", ["tables", "depth", "probes", "modern", "trained", "precision"])
def test_a_campaign_ends_with_all_that_the_notebooks_train(name: str) -> None:
    def keys(stages: Iterable[Stage]) -> set[tuple[str, str, int]]:
        return {(stage.experiment, *key) for stage in stages for key in stage.wanted(FLOAT32)}

    stages = CAMPAIGNS[name]
    full = {stage.experiment for stage in stages} - (set(EXPERIMENTS.values()) if name == "precision" else set())
    if name == "trained":
        wanted = keys(campaigns._trained(network) for network in EXPERIMENTS)
    else:
        wanted = keys(campaigns._runs(experiment) for experiment in full)
    assert wanted <= keys(stages)


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_a_list_needs_neither_data_nor_network(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COSNB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COSNB_RESULTS", str(tmp_path / "results"))
    assert cli.main(["campaign", name, "--list"]) == 0
    assert f"\nleft: {len(wanted_records(name))} runs; no record to go by\n" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def wanted_records(name: str) -> set[tuple[str, str, int]]:
    return {(stage.experiment, *key) for stage in CAMPAIGNS[name] for key in stage.wanted(RunOptions())}


def test_the_numbers_of_images_are_those_of_the_data() -> None:
    assert data.TRAIN_IMAGES["digits"] == len(data.load("digits").train_images)
    assert data.TRAIN_IMAGES["cifar10"] == 5 * cifar10.OFFICIAL.records
    assert (data.TRAIN_IMAGES["mnist"], 28, 28) in [file.shape for file in mnist.OFFICIAL.files]
    (stage, *_) = CAMPAIGNS["answer"]
    assert {settings["train_images"] for settings in stage.wanted(RunOptions()).values()} == {45_000}


def test_a_stage_trains_on_as_many_images_as_the_registry_says(monkeypatch: pytest.MonkeyPatch) -> None:
    full = {**read_runs()["dead-units"].parameters["full"], "dataset": "digits", "train_images": 160}
    entry = dataclasses.replace(read_runs()["dead-units"], parameters={"full": full})
    monkeypatch.setitem(campaigns._REGISTRY, "dead-units", entry)
    stage = campaigns._runs("dead-units")
    assert {settings["train_images"] for settings in stage.wanted(RunOptions()).values()} == {160}
    assert len(stage.images().train_images) == 160


def test_a_fourth_table_takes_no_paper_tables_place(tmp_path: Path) -> None:
    entries = (repository_root() / FILE).read_text(encoding="utf-8")
    fourth = entries[entries.index("[table-3-") : entries.index("[table-1-")].replace(
        "table-3-squeezenet", "table-4-new"
    )
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text(entries + fourth, encoding="utf-8")
    assert "table-4-new" in read_runs(tmp_path)
    assert list(tables(tmp_path).values()) == ["table-1-shufflenet", "table-2-mobilenet", "table-3-squeezenet"]


def test_costs_have_the_settings_of_their_records() -> None:
    (stage,) = CAMPAIGNS["cost"]
    (chosen, *_) = stage.wanted(RunOptions()).values()
    assert all(chosen.keys() == record["config"].keys() for record in results.read("cost"))


STUDY = Study("loss-surface", "digits", "cos", "0", ({"epochs": 1, "batch_size": 32},)).small()


@pytest.mark.long
def test_a_trained_network_is_measured_and_its_run_counts_among_the_tables(tmp_path: Path) -> None:
    def carry_out() -> list[str]:
        lines: list[str] = []
        assert campaign.carry_out([STUDY], root=tmp_path, say=lines.append)
        return lines

    assert campaign.progress([STUDY], root=tmp_path)[0].seconds is None
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
    assert campaign.progress([STUDY], root=tmp_path)[0].seconds > 0  # type: ignore[operator]
    assert [line.split(":")[0] for line in carry_out()] == ["loss-surface"]  # the run has its record


@pytest.mark.long
def test_a_study_that_the_end_of_the_time_interrupts_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosnb.experiments.training.checkpoint.INTERVAL", 0.0)
    stage = dataclasses.replace(STUDY, points=({**STUDY.points[0], "epochs": 2},))
    # the start, before the stage, after the first epoch; then the second and before measuring
    for times, runs in (([0.0, 1.0, 99.0], 0), ([0.0, 1.0, 2.0, 3.0, 99.0], 1)):
        with monkeypatch.context() as patch:
            patch.setattr(campaign, "time", SimpleNamespace(monotonic=iter(times).__next__))
            assert not campaign.carry_out([stage], 1.0, root=tmp_path, say=str)
        assert len(results.read("table-3-squeezenet", tmp_path)) == runs
        assert not results.read("loss-surface", tmp_path)
    assert campaign.carry_out([stage], root=tmp_path, say=str)
    (run,) = results.read("table-3-squeezenet", tmp_path)
    assert run["timing"]["resumed"]
    assert len(results.read("loss-surface", tmp_path)) == 1


def test_a_precision_of_its_own_goes_before_the_campaigns(tmp_path: Path) -> None:
    stages = [stage.small() for stage in CAMPAIGNS["precision"][:2]]
    given = [{settings["precision"] for settings in stage.wanted(RunOptions()).values()} for stage in stages]
    assert given == [{"bfloat16"}, {"float32"}]


def test_mistakes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CosnbError, match="unknown campaign 'table': choose one of answer, tables, depth"):
        campaign.get("table")
    with pytest.raises(CosnbError, match="minutes is 0"):
        run(tmp_path, 0)
    assert cli.main(["campaign", "nothing"]) == 2
    assert "unknown campaign" in capsys.readouterr().err
