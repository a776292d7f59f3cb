"""A notebook is executed again when its source, parameters, code or records have changed, and not else."""

import contextlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_book import code, markdown, write_notebook, write_runs

from cosnb import cli
from cosnb.book import notebooks
from cosnb.book.notebooks import cache, runs

READS = 'from cosnb.experiments import results\nprint(len(results.read("one")))'
GATHERS = "from cosnb.book import claims\nprint(sorted(claims.gather()))"
RECORD = {"schema": 1, "experiment": "one", "config": {}, "config_digest": "", "seed": 0, "status": "ok", "epochs": []}
RECORD |= {"code_digest": "", "data": {}, "device": {}}


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book of three notebooks that has been executed: one reads one experiment's records, one those of all."""
    root = tmp_path_factory.mktemp("book")
    write_notebook(root / "notebooks" / "formulas.ipynb", code("print(count)"), markdown("Text."))
    write_notebook(root / "notebooks" / "reads.ipynb", code(READS))
    write_notebook(root / "notebooks" / "gathers.ipynb", code(GATHERS))
    write_runs(root, {"formulas": 120, "reads": 120, "gathers": 120})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSNB_RESULTS", str(root / "results"))
        write_record(root, "one", "a")
        write_record(root, "two", "a")
        assert notebooks.run(["formulas", "reads", "gathers"], root=root, jobs=2) == []
    return root


@pytest.fixture
def book(executed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(executed, tmp_path / "book")
    monkeypatch.setenv("COSNB_RESULTS", str(tmp_path / "book" / "results"))
    return tmp_path / "book"


def write_record(root: Path, experiment: str, name: str) -> None:
    (root / "results" / experiment).mkdir(parents=True, exist_ok=True)
    (root / "results" / experiment / f"{name}.json").write_text(json.dumps(RECORD | {"experiment": experiment}))


def stale(root: Path) -> set[str]:
    """Return the notebooks that would be executed again."""
    records = cache.record_digests()
    jobs = notebooks.plan(list(notebooks.read_runs(root)), "quick", root=root)
    return {job.name for job in jobs if not cache.is_current(cache.mark(job, records))}


def test_nothing_is_executed_again_where_nothing_has_changed(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stale(book) == set()
    before = {name: notebooks.executed_path(name, "quick", book).stat().st_mtime_ns for name in ("formulas", "reads")}
    assert notebooks.run(list(before), root=book, reuse=True) == []
    assert {name: notebooks.executed_path(name, "quick", book).stat().st_mtime_ns for name in before} == before
    assert capsys.readouterr().out == "unchanged since they were executed: 2 of 2 notebooks\n"


def test_a_changed_source_is_executed_again(book: Path) -> None:
    write_notebook(book / "notebooks" / "formulas.ipynb", code("print(count)"), markdown("Other text."))
    assert stale(book) == {"formulas"}
    assert notebooks.run(list(notebooks.read_runs(book)), root=book, reuse=True) == []
    assert "Other text." in notebooks.executed_path("formulas", "quick", book).read_text()
    assert stale(book) == set()


def test_a_changed_parameter_is(book: Path) -> None:
    write_runs(book, {"formulas": 60, "reads": 120, "gathers": 120}, quick="{ count = 2 }")
    assert stale(book) == {"formulas", "reads", "gathers"}


def test_a_time_limit_is_no_change(book: Path) -> None:
    write_runs(book, {"formulas": 60, "reads": 120, "gathers": 120})
    assert stale(book) == set()


def test_a_run_with_other_parameters_is_not_taken_for_the_books(book: Path) -> None:
    assert notebooks.run(["formulas"], overrides={"count": 7}, root=book) == []
    assert stale(book) == {"formulas"}


@pytest.mark.parametrize(
    ("experiment", "again"),
    [("one", {"reads", "gathers"}), ("two", {"gathers"}), ("three", {"gathers"})],
)
def test_a_new_record_is_for_those_that_read_it(experiment: str, again: set[str], book: Path) -> None:
    write_record(book, experiment, "b")
    assert stale(book) == again


def test_changed_code_is_for_all(book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    (package / "book" / "notebooks").mkdir(parents=True)
    (package / "code.py").write_text("x = 1\n")
    monkeypatch.setattr(cache, "PACKAGE", package)
    digests = []
    for changed, text in (("code.py", "x = 1\n"), ("code.py", "x = 2\n"), ("book/notebooks/runs.py", "x = 3\n")):
        (package / changed).write_text(text)
        cache._package_digest.cache_clear()
        digests.append(cache._package_digest())
    assert digests[0] != digests[1] == digests[2]  # what runs notebooks does not decide what they show
    assert stale(book) == {"formulas", "reads", "gathers"}
    monkeypatch.undo()
    cache._package_digest.cache_clear()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"metadata": {}}', '{"metadata": {"cosnb": 3}}'])
def test_a_damaged_or_older_output_is_executed_again(content: str, book: Path) -> None:
    notebooks.executed_path("reads", "quick", book).write_text(content)
    assert stale(book) == {"reads"}


def test_the_book_runs_all_when_asked(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(runs, "repository_root", lambda: book)
    monkeypatch.setattr(notebooks, "run", lambda names, profile, **given: asked.append(given["reuse"]) or [])
    monkeypatch.setattr(
        "cosnb.book.site.build.Builder", lambda: contextlib.nullcontext(SimpleNamespace(build=lambda: book))
    )
    assert cli.main(["book"]) == cli.main(["book", "--all"]) == cli.main(["book", "--reuse"]) == 0
    assert asked == [True, False]
