"""What holds for every test: a clean environment, and saying plainly what was left out.

A part that needs something the machine lacks calls `pytest.skip("rclone is not installed")`; the
reasons are listed before the closing line. With `COFFRE_REQUIRE_ALL=1` leaving out is failing, but
for a program that nothing can install (`NOT_TO_BE_HAD`): races show without it what it shows.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator

import pytest
from _pytest.terminal import TerminalReporter

REQUIRE_ALL = os.environ.get("COFFRE_REQUIRE_ALL") == "1"
NOT_TO_BE_HAD = ("terraform is not installed",)
# Clients read their settings from many variables, and nodes from ours: only a test's own count.
FOREIGN = ("AWS_", "COFFRE_")
OURS = ("COFFRE_REQUIRE_ALL", "COFFRE_LONG", "COFFRE_SIM_", "COFFRE_TEST_")

for _name in list(os.environ):
    if _name.lower().endswith("_proxy") or (
        _name.startswith(FOREIGN) and not _name.startswith(OURS)
    ):
        del os.environ[_name]


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped, without the place that said so."""
    told = report.longrepr
    text = told[2] if isinstance(told, tuple) else str(told)
    return text.removeprefix("Skipped: ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    reason = _reason(report) if report.skipped else ""
    excused = reason.startswith(NOT_TO_BE_HAD) or hasattr(report, "wasxfail")
    if REQUIRE_ALL and report.skipped and not excused:
        report.outcome = "failed"
        report.longrepr = f"left out although everything is required: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if REQUIRE_ALL and report.skipped:
        reason = _reason(report)
        report.outcome = "failed"
        report.longrepr = f"left out although everything is required: {reason}"
    return report


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    left_out = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    if left_out:
        terminalreporter.section("left out on this machine")
        for reason, count in sorted(left_out.items()):
            terminalreporter.write_line(f"{count} test{'s' if count > 1 else ''}: {reason}")
        terminalreporter.write_line("`make clients` installs the clients that tests/clients uses.")
