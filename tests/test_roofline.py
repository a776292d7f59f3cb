"""Bytes that a step must move: hand-counted cases, and the networks' own order."""

import json
import sys

import pytest
import torch
from torch import nn

from cosnb.paths import repository_root

sys.path.insert(0, str(repository_root() / "benchmarks"))
import roofline


def counted(function) -> int:  # type: ignore[no-untyped-def]
    with roofline.Bytes() as moved:
        function()
    return moved.counts.total()


def test_an_operation_reads_each_input_once_and_writes_its_output() -> None:
    x, y = torch.empty(100, device="meta"), torch.empty(100, device="meta")
    assert counted(lambda: x + y) == 3 * 400
    assert counted(lambda: x + x) == 2 * 400
    assert counted(lambda: x.view(10, 10).T.detach()) == 0


def test_an_activation_moves_two_tensors_forward_and_three_back() -> None:
    x = torch.empty(100, device="meta", requires_grad=True)
    assert counted(lambda: nn.SiLU()(x)) == 2 * 400
    y, dy = nn.SiLU()(x), torch.empty(100, device="meta")
    assert counted(lambda: torch.autograd.grad(y, x, dy)) == 3 * 400


def test_a_run_adds_up_its_steps() -> None:
    row = {"batch": 50_000, "step": 10**9, "adam": 10**8, "test": 5 * 10**9}
    assert roofline.seconds(row, 1e12) == pytest.approx(200 * (1e9 + 1e8 + 1e9) / 1e12)


def test_the_table_has_every_network(tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    assert roofline.main(["--output", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "roofline.json").read_text(encoding="utf-8"))["rows"]
    by_network = {row["network"]: row["seconds"] for row in rows if row["activation"] == "cos"}
    assert by_network["squeezenet"] < by_network["shufflenet_v2"] < by_network["mobilenet_v2"]
    relu = {row["network"]: row["step"] for row in rows if row["activation"] == "relu"}
    # ReLU's backward reads its output where CoS's reads its input: as many bytes
    assert all(row["step"] == pytest.approx(relu[row["network"]], rel=0.01) for row in rows)
    assert "| squeezenet | cos |" in capsys.readouterr().out
