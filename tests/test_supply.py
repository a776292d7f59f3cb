"""What comes in and what goes out: pins with digests, pinned actions, no network in tests, whole packages."""

import re
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import network
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from cosnb.paths import repository_root

ROOT = repository_root()
LOCKS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("requirements/*.lock"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
_DIGEST = re.compile(r"--hash=sha256:([0-9a-f]{64})(?: |$)")


def pins(lock: str) -> dict[str, list[tuple[Requirement, list[str]]]]:
    """Return what a lock pins: {name: [(requirement, digests)]}, several where a marker decides."""
    found: dict[str, list[tuple[Requirement, list[str]]]] = {}
    for line in (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", "").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line.partition("--hash")[0])
            found.setdefault(canonicalize_name(requirement.name), []).append((requirement, _DIGEST.findall(line)))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_exact_and_has_a_digest_for_everything_but_pytorch(lock: str) -> None:
    for name, entries in pins(lock).items():
        for requirement, digests in entries:
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            assert "*" not in pin.version
            assert bool(digests) == (name != "torch"), name
            assert len(set(digests)) == len(digests)
    assert ("torch" in pins(lock)) == (lock == "requirements/torch.lock")


def here(entries: list[tuple[Requirement, list[str]]]) -> Version:
    """Return the version that is meant for this Python and machine."""
    (version,) = [
        next(iter(need.specifier)).version for need, _ in entries if not need.marker or need.marker.evaluate()
    ]
    return Version(version)


def test_the_lock_pins_every_dependency() -> None:
    pinned = pins("requirements/main.lock") | pins("requirements/torch.lock")
    if any(Version(metadata.version(name)).base_version != str(here(pinned[name])) for name in ("torch", "sympy")):
        pytest.skip("this environment was not made from the locks")
    todo, seen = [("cosnb", frozenset({"book", "dev"}))], set()
    while todo:
        package, extras = todo.pop()
        for line in metadata.requires(package) or []:
            need = Requirement(line)
            if need.marker and not any(need.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                continue
            name = canonicalize_name(need.name)
            if re.match("nvidia-|cuda-|triton", name):  # pinned by torch's own metadata
                continue
            assert name in pinned, f"{name}, needed by {package}, is in no lock"
            version = here(pinned[name])
            assert need.specifier.contains(version), f"{name} {version} does not suit {package}: {line}"
            if (name, frozenset(need.extras)) not in seen:
                seen.add((name, frozenset(need.extras)))
                todo.append((name, frozenset(need.extras)))
    assert len(seen) > 100


def test_the_environment_file_installs_the_locks() -> None:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    pip = next(entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict))
    assert "python=3.12" in content["dependencies"]
    assert pip == ["--require-hashes", "--requirement requirements/main.lock"]
    assert "pip install -r requirements/torch.lock && pip install --no-deps --no-build-isolation --editable ." in text


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_pins_its_actions_and_may_do_little(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}  # each job says what it may
    uses = re.findall(r"uses: (?!\./)(\S+)(.*)", path.read_text(encoding="utf-8"))
    assert uses
    for action, comment in uses:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{action} does not say its version"
    for name, job in workflow["jobs"].items():
        granted = {kind for kind, level in job["permissions"].items() if level == "write"}
        assert granted <= {"deploy": {"pages", "id-token"}, "package": {"id-token"}}.get(name, set()), name
        for step in job.get("steps", ()):
            if "actions/checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
            assert "${{ github.event" not in step.get("run", "")  # text of strangers in a shell


def test_nothing_is_published_before_the_tests_have_passed() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "publish.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/test.yml"
    assert jobs["build"]["needs"] == "test"
    assert all(job["needs"] == "build" for name, job in jobs.items() if name not in ("test", "build"))
    matrix = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))["jobs"]
    assert set(matrix["check"]["strategy"]["matrix"]["python"]) >= {"3.11", "3.12", "3.13"}
    systems = {entry["system"].partition("-")[0] for entry in matrix["elsewhere"]["strategy"]["matrix"]["include"]}
    assert systems == {"ubuntu", "macos", "windows"}


CONNECT = "import socket; socket.create_connection(('{host}', {port}), timeout=5)"
ELSEWHERE = "192.0.2.1"  # RFC 5737: nobody's


@pytest.mark.filterwarnings("ignore:A test tried")
def test_tests_reach_nothing_beyond_this_machine() -> None:
    import socket

    from pytest_socket import SocketConnectBlockedError

    with pytest.raises(SocketConnectBlockedError):
        socket.create_connection((ELSEWHERE, 80), timeout=5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        assert subprocess.run([sys.executable, "-c", CONNECT.format(host="127.0.0.1", port=port)]).returncode == 0
    if network.left:
        command = [sys.executable, "-c", CONNECT.format(host=ELSEWHERE, port=80)]
        assert "unreachable" in subprocess.run(command, capture_output=True, text=True).stderr


def test_a_folder_of_its_name_does_not_hide_the_package(tmp_path: Path) -> None:
    """As in the parent of a clone, for an editable installation too."""
    (tmp_path / "cosnb").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", "import cosnb; print(cosnb.__version__)"], cwd=tmp_path, capture_output=True
    )
    assert done.stdout.decode().strip() == metadata.version("cosnb"), done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the wheel and the source package, made from what git has and will have."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for file in files:
        if file and (ROOT / file).is_file():
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            (tree / file).write_bytes((ROOT / file).read_bytes())
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def test_the_wheel_holds_the_package_its_notebooks_and_records_and_nothing_else(built: tuple[Path, Path]) -> None:
    names = set(zipfile.ZipFile(built[0]).namelist())
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "cosnb").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "README.md"
    }
    (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    own = {name for name in names if not name.startswith(info)}
    beside = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "results").glob("*/*.json")]
    assert len(beside) > 400
    assert own == package | {f"cosnb/shipped/{path.relative_to(ROOT).as_posix()}" for path in beside}
    assert {f"{info}/licenses/LICENSE", f"{info}/entry_points.txt", f"{info}/METADATA"} <= names


def test_the_source_package_builds_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, source = built
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "cosnb/experiments/runs.toml"} <= names
    assert not {name for name in names if name.startswith(("_build/", ".venv/", "data/"))}
    (tree,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), str(tree)]
    assert subprocess.run(command, capture_output=True).returncode == 0
    (again,) = tmp_path.glob("*.whl")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())
