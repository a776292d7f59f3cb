import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import pytest
from processes import alive
from tiny_book import code, markdown, write_notebook, write_runs

from cosnb.book import notebooks
from cosnb.errors import CosnbError
from cosnb.experiments.registry import FILE, Run

DEFAULTS = {"count": 1, "scale": 1.0, "label": "a", "flag": False, "sizes": [1], "anything": None}

# --- parameters


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=3", 3),
        ("a=-1.5e-3", -0.0015),
        ("a = true", True),
        ('a="3"', "3"),
        ("a=relu", "relu"),
        ("a=relu,cos", "relu,cos"),
        ("a=0:20", "0:20"),
        ("a=", ""),
        ("a=[1, 2]", [1, 2]),
        ("a=x=y", "x=y"),
        ("a=2026-11-21", "2026-11-21"),
        ("a=1\nb = 2", "1\nb = 2"),
    ],
)
def test_overrides_are_toml_literals_or_text(text: str, value: object) -> None:
    name, parsed = notebooks.parse_override(text)
    assert name == "a"
    assert type(parsed) is type(value)
    assert parsed == value


@pytest.mark.parametrize("text", ["a", "=3", "a b=3", ""])
def test_an_override_without_a_name_is_an_error(text: str) -> None:
    with pytest.raises(CosnbError, match="name=value"):
        notebooks.parse_override(text)


def test_a_whole_number_is_taken_for_a_float() -> None:
    checked = notebooks.check_parameters("nb", DEFAULTS, {"scale": 2, "count": 5, "anything": "x", "sizes": []})
    assert checked == {"scale": 2.0, "count": 5, "anything": "x", "sizes": []}
    assert type(checked["scale"]) is float


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", 1.5, "count of nb is a whole number .*1.5 is a number"),
        ("count", True, "count of nb is a whole number .*True is true or false"),
        ("count", "3", "count of nb is a whole number .*'3' is text"),
        ("scale", True, "scale of nb is a number"),
        ("flag", 1, "flag of nb is true or false"),
        ("label", 3.5, "label of nb is text .*3.5 is a number: .*'label=\"3.5\"'"),
        ("scale", "inf", "scale of nb is a number .*'inf' is text"),
        ("scale", "fast", "scale of nb is a number .*'fast' is text"),
        ("flag", "yes", "flag of nb is true or false .*'yes' is text"),
        ("cuont", 3, r"no parameter 'cuont' \(did you mean 'count'\?\)"),
    ],
)
def test_misspelt_and_ill_typed_parameters_are_errors(name: str, value: object, message: str) -> None:
    with pytest.raises(CosnbError, match=message):
        notebooks.check_parameters("nb", DEFAULTS, {name: value})


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("label", 0, "0"),
        ("scale", "1e-3", 1e-3),
        ("scale", ".5", 0.5),
        ("flag", "True", True),
        ("flag", "false", False),
    ],
)
def test_what_yaml_and_toml_take_for_something_else_is_taken(name: str, value: object, taken: object) -> None:
    (checked,) = notebooks.check_parameters("nb", DEFAULTS, {name: value}).values()
    assert type(checked) is type(taken)
    assert checked == taken


def test_defaults_are_read_from_the_parameters_cell(tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path / "nb.ipynb", parameters='a: int = 1  # how many\nb = -2.5\n\nc: str = "#x"  # a colour'
    )
    assert notebooks.read_defaults(path) == {"a": 1, "b": -2.5, "c": "#x"}


@pytest.mark.parametrize("source", ["a = f(1)", "a = [1,\n 2]", "a = b = 1", "a = 1\na = 2", "import os", "a ="])
def test_a_parameters_cell_holds_only_one_line_literals(source: str, tmp_path: Path) -> None:
    with pytest.raises(CosnbError, match="`name: type = literal`"):
        notebooks.read_defaults(write_notebook(tmp_path / "nb.ipynb", parameters=source))


def test_one_parameters_cell_is_needed(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "nb.ipynb", code("a = 1", ["parameters"]))
    with pytest.raises(CosnbError, match="exactly one code cell tagged `parameters`, it has 2"):
        notebooks.read_defaults(path)


def test_a_notebook_saved_from_an_executed_copy_is_refused(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "nb.ipynb", code("count = 99", ["injected-parameters"]), parameters="count = 3")
    with pytest.raises(CosnbError, match=r"nb\.ipynb was saved from an executed copy: .*delete that cell"):
        notebooks.read_defaults(path)


def test_a_file_that_is_no_notebook_is_named(tmp_path: Path) -> None:
    (tmp_path / "nb.ipynb").write_text("{")
    with pytest.raises(CosnbError, match=r"nb\.ipynb is not a Jupyter notebook"):
        notebooks.read_defaults(tmp_path / "nb.ipynb")


# --- runs.toml

GOOD = {"title": '"t"', "gpu": "false", "timeout": "{ quick = 1, full = 1 }", "quick": "{}", "full": "{}"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gqu": "true"}, r"unknown key 'gqu' \(did you mean 'gpu'\?\)"),
        ({"gpu": "1"}, "gpu must be of type bool"),
        ({"title": None}, "lacks title"),
        ({"timeout": "{ quick = 1 }"}, "timeout must be"),
        ({"timeout": "{ quick = 1, full = 0 }"}, "timeout must be"),
        ({"timeout": "{ quick = true, full = 1 }"}, "timeout must be"),
    ],
)
def test_runs_toml_is_validated(changes: dict[str, str | None], message: str, tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir(parents=True)
    lines = [f"{key} = {value}" for key, value in {**GOOD, **changes}.items() if value is not None]
    (tmp_path / FILE).write_text("\n".join(["[nb]", *lines]))
    with pytest.raises(CosnbError, match=message):
        notebooks.read_runs(tmp_path)


def test_points_are_those_of_networks_depths_rates_and_gains(tmp_path: Path) -> None:
    lists = {"networks": "a,b", "depths": [1, 2], "rates": [0.1], "gains": [1.0, 2.0], "epochs": 0, "seeds": "0:3"}
    run = Run("nb", "t", False, {}, {"quick": {}, "full": lists}, {"protocol": "depth"})
    varied = ({"lr": 0.1}, {"gain": 2.0})
    assert run.points() == tuple(
        {"protocol": "depth", "network": network, "depth": depth, **point}
        for network in "ab"
        for depth in (1, 2)
        for point in varied
    )
    assert run.points(networks="c", depths=(), rates=(), gains=(), epochs=5) == (
        {"protocol": "depth", "epochs": 5, "network": "c"},
    )


def test_an_experiment_runs_by_the_notebook_it_names_with_that_ones_parameters_below_its_own(tmp_path: Path) -> None:
    write_notebook(tmp_path / "notebooks" / "nb.ipynb")
    write_runs(tmp_path, {"nb": 10}, quick='{ count = 2, label = "b" }')
    with (tmp_path / FILE).open("a") as file:
        file.write('\n[one]\ntitle = "One"\nnotebook = "nb"\nquick = { count = 3 }\n')
    (job,) = notebooks.plan(["one"], "quick", root=tmp_path)
    assert job.source == tmp_path / "notebooks" / "nb.ipynb"
    assert job.output.name == "one.ipynb"
    assert job.parameters == {"count": 3, "label": "b"}
    assert job.timeout == 10
    assert notebooks.read_runs(tmp_path)["one"].title == "One"


def test_a_profile_may_only_override_what_the_notebook_has(tmp_path: Path) -> None:
    write_notebook(tmp_path / "notebooks" / "nb.ipynb")
    write_runs(tmp_path, {"nb": 10}, quick="{ counts = 2 }")
    with pytest.raises(CosnbError, match="no parameter 'counts'"):
        notebooks.plan(["nb"], "quick", root=tmp_path)
    assert notebooks.plan(["nb"], "full", {"count": 2}, tmp_path)[0].parameters == {"count": 2}


def test_unknown_notebooks_and_profiles_are_errors(tmp_path: Path) -> None:
    write_notebook(tmp_path / "notebooks" / "derive-cos.ipynb")
    write_runs(tmp_path, {"derive-cos": 10})
    with pytest.raises(CosnbError, match=r"'derive-cso' \(did you mean 'derive-cos'\?\); known: derive-cos"):
        notebooks.plan(["derive-cso"], "quick", root=tmp_path)
    with pytest.raises(CosnbError, match="profile 'fast': choose one of quick, full"):
        notebooks.plan(["derive-cos"], "fast", root=tmp_path)
    with pytest.raises(CosnbError, match="jobs is 0"):
        notebooks.run(["derive-cos"], jobs=0, root=tmp_path)


# --- execution, with real kernels: one run of notebooks that end in every way


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, notebooks.Failure], str]:
    root, mark = tmp_path_factory.mktemp("ended"), uuid4().hex
    folder = root / "notebooks"
    show = "import os\nprint(count, scale, label, flag, os.getcwd(), os.environ['OMP_NUM_THREADS'])"
    write_notebook(folder / "fails.ipynb", markdown("text"), code("x = 1"), code("\n# why\nassert x == 2, 'x is off'"))
    write_notebook(folder / "dies.ipynb", code("import os\nos.kill(os.getpid(), 9)"), code("print('never')"))
    write_notebook(folder / "quits.ipynb", code("import sys\nsys.exit()"), code("print('never')"))
    temporary = "import tempfile\nwith open('{}.place', 'w') as file:\n    file.write(tempfile.mkdtemp())"
    write_notebook(folder / "slow.ipynb", code(temporary.format("slow")), code("import time\ntime.sleep(100)"))
    write_notebook(folder / "works.ipynb", code(temporary.format("works")), code(show))
    write_notebook(folder / "raises.ipynb", code("1 / 0", ["raises-exception"]), code("print('went on')"))
    for name in ("cosnb", "python3"):  # other kernels of these names, which come first on Jupyter's path
        kernel = {"argv": ["/bin/false", "{connection_file}"], "display_name": name, "language": "python"}
        (root / "share" / "kernels" / name).mkdir(parents=True)
        (root / "share" / "kernels" / name / "kernel.json").write_text(json.dumps(kernel))
    write_runs(
        root, {"fails": 60, "dies": 60, "raises": 60, "quits": 60, "slow": 6, "works": 60}, quick="{ scale = 2 }"
    )
    (old := notebooks.executed_path("slow", "quick", root)).parent.mkdir(parents=True)
    old.write_text("the previous good one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSNB_TEST_MARK", mark)
        patch.setenv("JUPYTER_PATH", str(root / "share"))
        patch.delenv("OMP_NUM_THREADS", raising=False)
        names = list(notebooks.read_runs(root))
        failures = notebooks.run(names, "quick", {"label": "b'\"\n"}, jobs=2, root=root)
    return root, {failure.name: failure for failure in failures}, mark


def test_one_failure_does_not_stop_the_others(ended: tuple) -> None:
    root, failures, _ = ended
    assert set(failures) == {"fails", "dies", "quits", "slow", "raises"}
    (output,) = [
        output
        for cell in json.loads(notebooks.executed_path("works", "quick", root).read_text())["cells"]
        for output in cell.get("outputs", [])
    ]
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    assert "".join(output["text"]) == f"1 2.0 b'\"\n False {root / 'notebooks'} {threads}\n"


def test_a_failure_names_notebook_cell_line_and_error(ended: tuple) -> None:
    failure = ended[1]["fails"]
    assert (failure.cell, failure.line) == (3, "# why")
    assert str(failure).startswith("notebook fails, cell 3 (# why): AssertionError: x is off\n  see ")
    assert "AssertionError" in failure.kept.read_text()


def test_a_cell_that_may_raise_is_the_one_that_is_named(ended: tuple) -> None:
    failure = ended[1]["raises"]
    assert (failure.cell, failure.line) == (2, "1 / 0")


def test_a_dead_kernel_is_a_failure(ended: tuple) -> None:
    failure = ended[1]["dies"]
    assert "DeadKernelError" in failure.error
    assert (failure.cell, failure.line) == (2, "import os")


def test_leaving_early_is_a_failure(ended: tuple) -> None:
    failure = ended[1]["quits"]
    assert "ended before its last cell" in failure.error
    assert failure.cell == 2


def test_the_time_limit_ends_a_notebook(ended: tuple) -> None:
    root, failures, _ = ended
    assert failures["slow"].error == "TimeoutError: not finished after 6 s, its limit in runs.toml"
    assert notebooks.executed_path("slow", "quick", root).read_text() == "the previous good one"


def test_only_whole_outputs_appear_and_sources_stay_clean(ended: tuple) -> None:
    root, failures, _ = ended
    present = {path.name for path in (root / "_build" / "notebooks" / "quick").iterdir()}
    kept = {failure.kept.name for failure in failures.values() if failure.kept}
    assert present == {"works.ipynb", "slow.ipynb"} | kept
    for path in (root / "notebooks").glob("*.ipynb"):
        assert not any(cell.get("outputs") for cell in json.loads(path.read_text())["cells"])


@pytest.mark.parametrize(("length", "transport"), [(1, "ipc"), (100, "tcp")])
def test_kernels_speak_over_sockets_in_the_jobs_folder_where_their_names_fit(
    length: int, transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A TCP port may be taken by another program between the look-up and the kernel's start: it hung for 120 s."""
    temporary = tempfile.mkdtemp(prefix="x" * length)
    monkeypatch.setattr(tempfile, "tempdir", temporary)
    show = "from ipykernel.connect import get_connection_info\nprint(get_connection_info(unpack=True)['transport'])"
    write_notebook(tmp_path / "notebooks" / "shows.ipynb", code(show))
    write_runs(tmp_path, {"shows": 60})
    try:
        assert notebooks.run(["shows"], root=tmp_path) == []
    finally:
        shutil.rmtree(temporary)
    cells = json.loads(notebooks.executed_path("shows", "quick", tmp_path).read_text())["cells"]
    assert [output["text"] for cell in cells for output in cell.get("outputs", [])] == [[f"{transport}\n"]]


def test_no_process_stays(ended: tuple) -> None:
    assert alive(ended[2]) == []


@pytest.mark.parametrize("name", ["works", "slow"])
def test_no_temporary_file_stays(name: str, ended: tuple) -> None:
    place = Path((ended[0] / "notebooks" / f"{name}.place").read_text())
    assert "cosnb-run-" in str(place)
    assert not place.exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_workers_and_kernels(number: signal.Signals, status: int, tmp_path: Path) -> None:
    write_notebook(
        tmp_path / "notebooks" / "slow.ipynb",
        code("from pathlib import Path\nimport time\nPath('started').touch()\ntime.sleep(100)"),
    )
    write_runs(tmp_path, {"slow": 100})
    mark = uuid4().hex
    program = (
        "import signal, sys; from pathlib import Path; from cosnb import cli; from cosnb.book.notebooks import runs\n"
        # A shell without job control starts background processes, a CI run among them, with SIGINT ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "runs.repository_root = lambda: Path(sys.argv[1])\nsys.exit(cli.main(['run', 'slow']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "COSNB_TEST_MARK": mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            deadline = time.monotonic() + 60
            while not (tmp_path / "notebooks" / "started").exists():
                assert time.monotonic() < deadline
                time.sleep(0.1)
            process.send_signal(number)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == status
    assert "Traceback" not in said
    assert alive(mark) == []
    assert list((tmp_path / "_build" / "notebooks" / "quick").iterdir()) == []
