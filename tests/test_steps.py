"""The benchmark of training steps: every contestant is measured, pieces are picked up again; no time is judged."""

import contextlib
import json
import statistics
import sys

import pytest
import simulated_graphs
import torch
from torch import nn

from cosnb.errors import CosnbError
from cosnb.experiments import results
from cosnb.experiments.diagnostics import steps
from cosnb.paths import repository_root

sys.path.insert(0, str(repository_root() / "benchmarks"))
import networks

pytestmark = pytest.mark.filterwarnings("ignore:.*(should not be instantiated|torch.jit.script).*:DeprecationWarning")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A network of one pair, traced but run by eager mode where it is to be compiled."""

    def build(network, act):
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), act, nn.Conv2d(8, 10, 30), nn.Flatten())

    original = torch.compile
    monkeypatch.setattr(steps, "build", build)
    monkeypatch.setattr(torch, "compile", lambda function, **settings: original(function, backend="eager", **settings))
    yield
    torch.compiler.reset()


def run(folder, *more, network="squeezenet"):
    threads = str(torch.get_num_threads())
    arguments = [network, "--batches", "2", "--rounds", "2", "--device", "cpu", "--threads", threads, *more]
    code = networks.main([*arguments, "--output", str(folder)])
    return code, json.loads((folder / "networks.json").read_text(encoding="utf-8"))


@pytest.mark.long
def test_every_contestant_takes_part_eager_and_compiled(tmp_path, capsys):
    code, record = run(tmp_path, "--executions", "eager", "compile", "--precision", "bfloat16")
    assert code == 0
    eager, compiled = record["groups"]
    assert list(eager["measured"]) == list(steps.CONTESTANTS)
    assert tuple(compiled["measured"]) == steps.COMPILED
    for group in (eager, compiled):
        for row in group["measured"].values():
            assert len(row["step"]) == 2
            assert all(seconds > 0 for seconds in row["step"])
    saved = {name: row["saved"] for name, row in eager["measured"].items()}
    assert saved["cos"] == saved["silu"] > saved["relu"] == saved["cos, fuse_bn"] == saved["relu, fuse_bn"]
    assert saved["cos, plain"] > saved["cos"]
    assert "saved" not in compiled["measured"]["cos"]
    text = (tmp_path / "networks.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    assert "## squeezenet, 2, eager, bfloat16" in text
    assert "| squeezenet, 2, bfloat16: memory, CoS with fuse_bn / ReLU" in text


@pytest.mark.long
def test_it_goes_on_where_it_stopped(tmp_path, monkeypatch):
    _, record = run(tmp_path, "--executions", "eager", "compile", "--minutes", "0")
    assert record["groups"] == []
    _, record = run(tmp_path, "--executions", "eager")
    calls = []
    original = steps.measure

    def counted(*arguments, **settings):
        calls.append(arguments[2])
        return original(*arguments, **settings)

    monkeypatch.setattr(steps, "measure", counted)
    _, more = run(tmp_path, "--executions", "eager", "compile")
    assert calls == ["compile"]
    assert more["groups"][0] == record["groups"][0]
    run(tmp_path, "--executions", "eager", "--rounds", "3")  # other settings: all anew
    run(tmp_path, "--executions", "eager", "--rounds", "3", "--anew")
    assert calls == ["compile", "eager", "eager"]


@pytest.mark.long
def test_groups_are_recorded_once(tmp_path, monkeypatch):
    monkeypatch.setenv("COSNB_RESULTS", str(tmp_path / "results"))
    for _ in range(2):
        run(tmp_path, "--record", "--anew")
    (record,) = results.read("cost")
    assert record["code"] == "cosnb.experiments.diagnostics.steps"
    assert record["config"]["execution"] == "eager"
    assert set(record["measured"]) == set(steps.CONTESTANTS)


@pytest.mark.long
def test_what_fails_is_named_and_the_others_are_measured(tmp_path, monkeypatch):
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("no kernel\nfor this")

    monkeypatch.setitem(steps.CONTESTANTS, "silu", Broken)
    code, record = run(tmp_path, "--check")
    assert code == 1
    measured = record["groups"][0]["measured"]
    assert measured["silu"] == {"error": "no kernel"}
    assert measured["cos"]["step"]
    bound = next(row for row in record["bounds"] if row["figure"].endswith("CoS / SiLU"))
    assert bound["ratio"] is None
    assert "silu failed: no kernel" in (tmp_path / "networks.md").read_text(encoding="utf-8")


def test_bounds_are_medians_of_ratios_within_rounds():
    relu = {"step": [1.0, 2.0, 4.0], "captured": [1.0, 1.0, 1.0], "peak": 100, "saved": 100, "enqueue": 0.1}
    cos = {"step": [1.2, 2.2, 4.0], "captured": [1.0, 1.3, 1.2], "peak": 101, "saved": 200, "enqueue": 2.1}
    measured = {"relu": relu, "silu": relu, "cos": cos, "cos, fuse_bn": relu | {"peak": 99}}
    group = {"network": "n", "batch": 2, "execution": "eager", "precision": "float32", "measured": measured}
    found = {row["figure"].partition(": ")[2]: row for row in networks.bounds([group])}
    assert found["CoS / ReLU, eager"]["ratio"] == pytest.approx(1.1)
    assert found["CoS / ReLU, eager"]["met"]
    assert found["CoS / ReLU, eager, captured"]["ratio"] == pytest.approx(1.2)
    assert not found["CoS / ReLU, eager, captured"]["met"]
    assert found["memory, CoS / SiLU"]["ratio"] == pytest.approx(1.01)  # of the peak, where it was measured
    assert found["memory, CoS with fuse_bn / ReLU"]["met"]
    assert found["CoS with fuse_bn / ReLU"]["met"]
    assert not any("compiled" in name for name in found)
    cos["step"] = [1.3 * seconds for seconds in relu["step"]]
    found = {row["figure"].partition(": ")[2]: row for row in networks.bounds([group])}
    assert cos["enqueue"] < 0.9 * statistics.median(cos["step"])
    assert found["CoS / ReLU, eager"]["why"] == ""
    cos["enqueue"] = 2.5
    found = {row["figure"].partition(": ")[2]: row for row in networks.bounds([group])}
    assert found["CoS / ReLU, eager"]["why"] == "the device waits for Python"


def test_a_step_learns_and_frees_the_gradients_of_the_last():
    training = steps.Training("squeezenet", "cos", 4, "eager", "float32", torch.device("cpu"))
    before = training.loss().item()
    for _ in range(5):
        training.step()
    assert training.loss().item() < before


def test_after_a_failed_capture_the_next_has_the_stream_of_before_and_memory_of_its_own(monkeypatch):
    """PyTorch leaves the capture's stream in place, and its pool open, where a capture ends with an error."""
    simulated_graphs.install(monkeypatch)
    before = simulated_graphs.Stream()
    current, pools = [before], []

    @contextlib.contextmanager
    def graph(captured, pool=None):
        pools.append(pool)
        current.append(simulated_graphs.Stream())
        with captured:
            yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: current[-1])
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: current.append(stream))
    training = steps.Training("squeezenet", "cos", 2, "eager", "float32", torch.device("cpu"))
    with monkeypatch.context() as patch:
        patch.setattr(training, "step", lambda: torch.ones(2).sum().item())
        with pytest.raises(simulated_graphs.CaptureError):
            training.capture()
    assert current[-1] is before
    training.capture()()
    assert pools == [None, None]


def test_unknown_names_are_refused():
    with pytest.raises(CosnbError, match="unknown contestant 'gelu'"):
        steps.make("squeezenet", "gelu", torch.device("cpu"))
    with pytest.raises(CosnbError, match="unknown execution 'fast'"):
        steps.measure("squeezenet", 2, "fast", "float32", 2, "cpu", ["relu"])
