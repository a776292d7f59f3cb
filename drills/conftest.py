"""Drills: what a careful person would try before relying on this, each item with its cases, failures and time.

A drill is a test that says by the fixture `tally` how many cases it tried. Those marked `drill` are left out of CI.
"""

from collections import Counter
from collections.abc import Sequence

import pytest
from counting import Tally

_totals: dict[str, Counter[str]] = {}


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Return the function that counts cases tried, and fails the drill where some of them failed."""

    def count(cases: int, failures: Sequence[object] = ()) -> None:
        request.node.user_properties.append(("cases", cases))
        if failures:
            request.node.user_properties.append(("failures", len(failures) - 1))  # the failing test itself counts once
            shown = "\n".join(map(str, failures[:10]))
            pytest.fail(f"{len(failures)} of {cases} cases failed, among them:\n{shown}", pytrace=False)

    return count


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.user_properties.append(("item", item.module.ITEM))  # type: ignore[attr-defined]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # A report carries what was counted, also from one of several processes to the one that prints.
    found = dict(report.user_properties)
    if "item" not in found:
        return
    total = _totals.setdefault(str(found["item"]), Counter())
    total["failures"] += report.failed
    total["skipped"] += report.skipped
    total["seconds"] += report.duration  # type: ignore[assignment]
    if report.when == "call":
        for name, value in report.user_properties:
            if name in ("cases", "failures"):
                total[name] += value  # type: ignore[operator]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _totals:
        return
    width = max(map(len, _totals))
    terminalreporter.section("drills")
    terminalreporter.write_line(f"{'item':<{width}}  {'cases':>7}  {'failures':>8}  {'skipped':>7}  {'seconds':>7}")
    for name, total in sorted(_totals.items()):
        counts = f"{total['cases']:>7}  {total['failures']:>8}  {total['skipped']:>7}  {total['seconds']:>7.1f}"
        terminalreporter.write_line(f"{name:<{width}}  {counts}", red=bool(total["failures"]))
