"""The tool that says which code gives equal numbers: rewritten code is equal, another constant is not."""

import json
import shutil
from pathlib import Path

import pytest

from cosnb.experiments.records.digest import code_digest
from cosnb.experiments.training import TrainingConfig
from cosnb.paths import repository_root
from tools import same_code


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.mark.long
def test_only_code_that_gives_equal_numbers_is_the_same(tmp_path: Path) -> None:
    package, now = repository_root() / "cosnb", tmp_path / "now"
    shutil.copytree(package, now / "cosnb", ignore=shutil.ignore_patterns("__pycache__"))
    experiments = now / "cosnb" / "experiments"
    edit(experiments / "training" / "protocol.py", "top = 0.3 * steps - 1", "top = -1 + steps * 0.3")
    edit(experiments / "models" / "depth.py", "DROPOUT = 0.25", "DROPOUT = 0.5")
    settings = [
        {"activation": "relu", "network": network, "protocol": protocol, "precision": "float32", "depth": depth}
        for network, protocol, depth in (("squeezenet", "modern", 0), ("depth_mlp", "depth", 20))
    ]
    kept, changed = same_code.cases(settings)
    same, different = same_code.compare(repository_root(), now, [kept, changed])
    assert different == [changed]
    ((earlier, later),) = same.items()
    assert earlier == code_digest(TrainingConfig(**kept)) != later


def test_runs_of_one_kind_are_one_case() -> None:
    common = {"activation": "cos", "network": "squeezenet", "protocol": "paper", "precision": "float32"}
    varied = ({"lr": 0.1, "epochs": 50}, {"lr": 0.2}, {"gain": 0.5}, {"gain": 4.0}, {"held_out": 5000})
    varied += ({"probes": ["dead_units"]},)
    found = same_code.cases(common | settings for settings in varied)
    assert len(found) == 4
    assert all(TrainingConfig(**case).activation == "cos" for case in found)
    assert json.loads(json.dumps(found)) == found


def test_every_network_and_protocol_of_the_campaigns_is_compared() -> None:
    found = {(case["network"], case["protocol"]) for case in same_code.cases(same_code.configurations())}
    assert {("speedrun", "speedrun"), ("squeezenet_half", "speedrun"), ("mobilenet_v2", "modern")} < found
    assert {("depth_conv", "depth"), ("shufflenet_v2", "paper")} < found
