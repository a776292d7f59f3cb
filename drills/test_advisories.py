"""What is pinned has no known vulnerability, by the Python Packaging Advisory Database where that can be reached.

tests/test_supply.py has the rest of this item.
"""

import json
import subprocess
import sys
import venv

import pytest
from counting import Tally

from cosnb.paths import repository_root

ITEM = "7 supply"
ROOT = repository_root()


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the program pip-audit, in an environment of its own; skips where it cannot be had."""
    folder = tmp_path_factory.mktemp("audit")
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    done = run(str(scripts / "python"), "-m", "pip", "install", "--require-hashes", "-r", "requirements/audit.lock")
    if done.returncode:
        pytest.skip("pip-audit cannot be installed here: " + done.stderr.strip()[-200:])
    return str(scripts / "pip-audit")


@pytest.mark.drill
@pytest.mark.parametrize("lock", sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("requirements/*.lock")))
def test_no_pinned_version_has_a_known_vulnerability(lock: str, audit: str, tally: Tally) -> None:
    pinned = ["--no-deps"] if lock == "requirements/torch.lock" else ["--require-hashes"]
    done = run(audit, "-r", lock, "--disable-pip", *pinned, "--progress-spinner", "off", "--format", "json")
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        pytest.skip("the advisories cannot be reached: " + done.stderr.strip()[-200:])
    asked = [package for package in packages if "vulns" in package]
    if not asked:
        pytest.skip("the advisories cannot be reached: " + packages[0]["skip_reason"])
    tally(len(asked), [f"{one['name']} {one['version']}: {one['vulns']}" for one in asked if one["vulns"]])
