"""Bytes saved for backward: exact counts, and the bounds that the project has set itself."""

import json
import sys
import weakref

import pytest
import torch
from torch import nn

from cosnb.experiments.diagnostics import cost, steps
from cosnb.nn.memory import saved_bytes
from cosnb.paths import repository_root

sys.path.insert(0, str(repository_root() / "benchmarks"))
import memory


def test_storages_are_counted_once_and_weights_not() -> None:
    net, x = nn.Linear(8, 8), torch.randn(4, 8)
    assert saved_bytes(net, lambda: net(x)) == x.nbytes
    assert saved_bytes(net, lambda: net(x) * net(x[:2]).sum()) == 2 * x.nbytes + 4  # x, one product, one sum
    assert saved_bytes(nn.ReLU(), lambda: nn.functional.relu(x.clone().requires_grad_())) == x.nbytes


def test_a_composition_keeps_more_than_a_kernel() -> None:
    inputs = torch.randn(4, 8, requires_grad=True)
    plain = nn.Sequential(nn.Linear(8, 8), cost.Plain("swish"))
    # linear keeps its input (4·8·4 bytes); x·σ(x) keeps x and σ(x), the latter for sigmoid's own backward too.
    assert saved_bytes(plain, lambda: plain(inputs)) == 3 * 128
    compiled = nn.Sequential(nn.Linear(8, 8), cost.activation("swish").module())
    assert saved_bytes(compiled, lambda: compiled(inputs)) == 2 * 128


@pytest.mark.long
def test_cost_and_memory_count_the_same_bytes_without_running_statistics() -> None:
    net = cost.make("squeezenet", "relu", "plain").train()
    images = torch.randn(8, 3, 32, 32)
    counted = saved_bytes(net, lambda: net(images))
    assert cost.compare("squeezenet", {"a": ("relu", "plain")}, 8, 1, "cpu")["a"]["saved"] == counted == 35_839_232


def test_what_was_counted_is_freed() -> None:
    outputs = []

    def forward() -> torch.Tensor:
        outputs.append(weakref.ref(out := nn.functional.relu(torch.ones(3, requires_grad=True))))
        return out

    saved_bytes(nn.ReLU(), forward)
    assert outputs[0]() is None, "the graph holds the output that it saved"


@pytest.mark.parametrize(
    ("network", "smooth", "fused"),
    [("squeezenet", 1.114, 0.788), ("shufflenet_v2", 1.135, 0.866), ("mobilenet_v2", 1.438, 0.982)],
)
def test_a_step_saves_no_more_than_the_bounds_say(network: str, smooth: float, fused: float) -> None:
    row = memory.count(network, 4, torch.device("cpu"))
    assert all(bound["met"] for bound in memory.bounds([row]))
    saved = row["bytes"]
    assert saved["cos"] == saved["silu"]  # both keep their input
    assert saved["cos"] / saved["relu"] == pytest.approx(smooth, abs=0.002)
    assert saved["cos, fuse_bn"] / saved["relu"] == pytest.approx(fused, abs=0.002)


def test_the_report_names_every_network_and_bound(tmp_path, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def tiny(network: str, act: nn.Module) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), act, nn.Conv2d(8, 10, 30), nn.Flatten())

    monkeypatch.setattr(steps, "build", tiny)
    threads = str(torch.get_num_threads())
    arguments = ["squeezenet", "--batch", "2", "--device", "cpu", "--threads", threads, "--check"]
    assert memory.main([*arguments, "--output", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "memory.json").read_text(encoding="utf-8"))
    assert [row["network"] for row in record["rows"]] == ["squeezenet"]
    assert [(bound["at_most"], bound["met"]) for bound in record["bounds"]] == [(1.01, True), (1.05, True)]
    relu = record["rows"][0]["bytes"]["relu"]
    # the images and two maps of 8 × 30 × 30; statistics, logits and labels are less than 1 %
    assert relu == pytest.approx(4 * 2 * (3 * 32**2 + 2 * 8 * 30**2), rel=0.01)
    text = (tmp_path / "memory.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    assert "| squeezenet: CoS with fuse_bn / ReLU without | 1.05 | 1.0" in text


def test_a_missed_bound_is_said() -> None:
    row = {"network": "squeezenet", "batch": 1, "bytes": {"relu": 100, "silu": 100, "cos": 102, "cos, fuse_bn": 105}}
    assert [bound["met"] for bound in memory.bounds([row])] == [False, True]
