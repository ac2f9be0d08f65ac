"""
What every test shares: log lines of its own, and an honest account of what was skipped.

A test skips itself when a service is missing, and its reason names the service and how to get it. The closing
summary collects those reasons. With ``CARDWIRE_REQUIRE_SERVICES=1`` (as in CI) a skip is a failure. And the search for
secrets in everything that is said: `tests.support.leaks`.
"""

import os
from collections import Counter
from collections.abc import Generator, Iterator

import pytest

from shared.observability import release_logs

pytest_plugins = ["pytester", "tests.support.leaks", "tests.support.services"]

_Report = pytest.TestReport | pytest.CollectReport


@pytest.fixture(autouse=True)
def _own_log_lines() -> Iterator[None]:
    """Leave no test the log lines that an earlier one set up in this process, nor the thread that writes them."""
    yield
    release_logs()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where nothing may be skipped."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module into an error where nothing may be skipped."""
    report = yield
    if report.skipped:
        _refuse_skip(report)
    return report


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was skipped and what to install for it."""
    reasons = Counter(_reason(report) for report in terminalreporter.getreports("skipped"))
    if not reasons:
        return
    terminalreporter.section("skipped: what is missing, and how to get it")
    for reason, count in sorted(reasons.items()):
        tests = "test" if count == 1 else "tests"
        terminalreporter.line(f"{count} {tests}: {reason}")


def _refuse_skip(report: _Report) -> None:
    if os.environ.get("CARDWIRE_REQUIRE_SERVICES", "") not in {"", "0"}:
        reason = _reason(report)
        report.outcome = "failed"
        report.longrepr = f"Nothing may be skipped (CARDWIRE_REQUIRE_SERVICES is set): {reason}"


def _reason(report: _Report) -> str:
    match report.longrepr:
        case (_, _, str(reason)):
            return reason.removeprefix("Skipped: ")
        case other:
            return str(other)
