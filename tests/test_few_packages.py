"""Kernels, campaigns and benchmarks on a machine that has PyTorch, but not all that cosnb asks for."""

import subprocess
import sys

from cosnb.paths import repository_root

SCRIPT = """
import sys
ABSENT = "pooch platformdirs requests fastjsonschema pandas psutil sklearn altair hypothesis pytest_socket "
ABSENT += "pytest_timeout xdist distributed papermill nbformat"
sys.modules |= dict.fromkeys(ABSENT.split())  # an import of one fails
import json, os, tempfile
from pathlib import Path

folder = tempfile.mkdtemp()
os.environ |= {"XDG_CACHE_HOME": folder, "COSNB_RESULTS": folder}
import activations, campaign_speed, launches, networks
from cosnb import activation, cli, paths
from cosnb.experiments import records
from cosnb.experiments.diagnostics import exhaustive
from cosnb.experiments.records import record
from cosnb.experiments.runner import ahead, campaign, smoke, timed

assert paths.cache_dir() == Path(folder) / "cosnb"
assert cli.main(["campaign", "wide", "--list"]) == cli.main(["gpu", "--list"]) == 0
activation("cos")(__import__("torch").randn(4))
(path, *_) = sorted(Path("results/cost").glob("*.json"))
found = json.loads(path.read_text())
assert record._problem(found) is None
assert "config_digest" in record._problem(found | {"config_digest": "0123456789"})
records.write(found)
print("whole")
"""


def test_what_a_gpu_is_wanted_for_starts_without_most_packages() -> None:
    root = repository_root()
    path = [str(root / "benchmarks"), str(root), *(path for path in sys.path if path)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path}\n{SCRIPT}"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout.endswith("whole\n"), done.stderr[-3000:]
